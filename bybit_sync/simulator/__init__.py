"""Bybit's private streams on loopback, to develop and test against.

```python
from bybit_sync.simulator import Exchange

with Exchange() as exchange:
    account = exchange.account("KEY", "SECRET")
    client = bybit_sync.Client("KEY", "SECRET", environment=exchange.url)
    orders = client.subscribe_orders()
    order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    account.fill(order, qty="0.2", price="19999.5")  # execution, order, position and wallet pushes that add up
    exchange.outage(seconds=3)  # and the ways to fail
```

The faults are in `bybit_sync.simulator.faults`, the format of scenarios in
`bybit_sync.simulator.script`, ready ones in `bybit_sync.simulator.scenarios`. The
simulator needs the extra ``simulator``, and nothing in the library imports it.
"""

from __future__ import annotations

from bybit_sync.errors import RecordingError
from bybit_sync.extras import absent

try:
    import websockets as _websockets  # noqa: F401 - before the modules that need it
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(absent("websockets"), name="websockets") from _error

from bybit_sync.simulator.books.account import Account
from bybit_sync.simulator.books.orders import Order
from bybit_sync.simulator.books.positions import Position
from bybit_sync.simulator.books.tables import Coin
from bybit_sync.simulator.demo import demo_client
from bybit_sync.simulator.exchange import Exchange
from bybit_sync.simulator.recording import Frame
from bybit_sync.simulator.rest import RestCall, RestFaults
from bybit_sync.simulator.script import Script, ScriptError
from bybit_sync.simulator.server.connection import Connection

__all__ = [
    "Account",
    "Coin",
    "Connection",
    "Exchange",
    "Frame",
    "Order",
    "Position",
    "RecordingError",
    "RestCall",
    "RestFaults",
    "Script",
    "ScriptError",
    "demo_client",
]
