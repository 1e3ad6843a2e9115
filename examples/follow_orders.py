"""Follow orders by iteration, and report gaps.

Keys come from the environment, or --simulate.
"""

from __future__ import annotations

import sys

from bybit_sync import Client

if "--simulate" in sys.argv:
    from bybit_sync.simulator import demo_client

    client = demo_client(drop_at=2)
else:
    client = Client.from_env()

with client, client.subscribe_orders() as orders:
    for event in orders:
        if event.gap:
            # The exchange replays nothing: read the open orders by REST, and trust no
            # row from before.
            print(f"orders may have changed unseen from {event.gap.since} to {event.gap.until}: read them by REST")
        for order in event:
            print(order.order_id, order.symbol, order.order_status, order.cum_exec_qty, "of", order.qty)
