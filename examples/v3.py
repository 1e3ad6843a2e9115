"""Read user trades in the V3 dialect.

The gateway is that of BYBIT_ENVIRONMENT, or --simulate.

Bybit itself switched V3 off in January 2025.
"""

from __future__ import annotations

import sys

from bybit_sync import Client

if "--simulate" in sys.argv:
    from bybit_sync.simulator import demo_client as connect
else:
    connect = Client.from_env

with connect(dialect="v3") as client:
    for event in client.subscribe_user_trades():
        for trade in event:
            print(event.topic, trade.symbol, trade.side, trade.exec_qty, "at", trade.exec_price, "fee", trade.exec_fee)
