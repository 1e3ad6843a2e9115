"""Test your bot against a simulated exchange.

``pip install 'bybit-sync[simulator]'`` has an exchange that listens on a loopback port,
with accounts that trade as your test says. Nothing is mocked: the client under test
speaks to it over a real socket.

## With pytest

The fixtures ``bybit_exchange``, ``bybit_account`` and ``bybit_recovery`` are there once
the extra is installed.

```python
from decimal import Decimal

import bybit_sync

def test_the_bot_sees_a_fill(bybit_exchange, bybit_account):
    with bybit_sync.Client("KEY", "SECRET", environment=bybit_exchange.url) as client:
        trades = client.subscribe_user_trades()
        order = bybit_account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
        bybit_account.fill(order, qty="0.2")
        assert trades.get(timeout=10).data[0].exec_qty == Decimal("0.2")

def test_the_bot_notices_an_outage(bybit_exchange, bybit_account):
    with bybit_sync.Client("KEY", "SECRET", environment=bybit_exchange.url) as client:
        orders = client.subscribe_orders()
        bybit_exchange.drop()
        assert orders.get(timeout=10).gap.reason == "DISCONNECTED"
```

Give ``get`` a timeout and wait for the event that you mean; do not sleep.

## With unittest, or without a framework

```python
import bybit_sync
from bybit_sync.simulator import Exchange

with Exchange() as exchange:
    account = exchange.account("KEY", "SECRET")
    client = bybit_sync.Client("KEY", "SECRET", environment=exchange.url)
    positions = client.subscribe_positions()
    account.fill(account.place_order("BTCUSDT", "Sell", qty="1", price="20000"))
    while not (event := positions.get(timeout=10)).data[0].size:
        pass  # the order's own push came first
    print(event.data[0].side, event.data[0].size)
    client.close()
```

## What goes wrong in real life

| call | what it does |
|:--|:--|
| ``exchange.drop()`` | ends every connection |
| ``exchange.outage(seconds=5)`` | refuses connections for a time |
| ``exchange.rest`` | late, slow, refused, limited and cut REST answers |
| ``exchange.play("outage.json")`` | plays a scenario from a file |
| ``exchange.lose_pushes()`` and others | see `bybit_sync.simulator.faults` |

Clients in other languages, other containers or other processes use
``bybit-sync simulate``.

## Recovery

`bybit_sync.Recovery` needs the simulated REST host, which ``bybit_recovery`` knows.

```python
from decimal import Decimal

import bybit_sync

def test_fills_of_an_outage_arrive(bybit_exchange, bybit_account, bybit_recovery):
    url = bybit_exchange.url
    client = bybit_sync.Client("KEY", "SECRET", environment=url, recover=bybit_recovery)
    with client:
        trades = client.subscribe_user_trades()
        bybit_exchange.stop_listening()
        order = bybit_account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
        bybit_account.fill(order)
        bybit_exchange.listen()
        assert trades.get(timeout=10).data[0].exec_qty == Decimal("0.5")
```

Reference: `bybit_sync.simulator`.
"""
