"""Gaps and recovery: what can be missed, how you learn of it, how to mend it.

The exchange pushes changes only. It sends no snapshot, and does not repeat what it
pushed while you were away. So each possible loss is reported in the stream itself: an
event without data, with a ``gap``, at the place where updates may be missing and before
anything newer. The reasons are in `bybit_sync.GapReason`.

```python
import bybit_sync

def on_orders(event):
    if event.gap:
        print(event.gap.reason, "from", event.gap.since, "to", event.gap.until)
    for order in event:  # a gap has no rows: this loop stays right
        print(order.order_id, order.order_status)

client = bybit_sync.Client("KEY", "SECRET")
client.subscribe_orders(on_orders)
client.wait(timeout=60.0)
```

## The window

``gap.since`` and ``gap.until`` are times of the exchange's clock: use them in a REST
request as they are. The window is never too short. It begins with the last pong that
proves that everything before it was read, and ends when the stream was confirmed again.
So it may include updates that you have. Trades are told apart by ``update.key``; orders
and positions replace the row with the same key.

| reason | what to do without ``recover`` |
|:--|:--|
| DISCONNECTED | read the window over REST |
| OVERFLOW | the same; make the consumer faster, or ``maxsize`` larger |
| UNDECODABLE | look at ``event.raw`` and ``gap.detail`` |
| ENDED | nothing follows; ``gap.error`` tells why |
| START | only with ``recover``: see below |

## Let the client mend them

With ``recover=True`` (extra ``rest``) the client reads the window over REST. It
delivers the missing rows in place of the gap, each trade once. Positions, orders and
balances begin with a snapshot.

```python
import bybit_sync

with bybit_sync.Client("KEY", "SECRET", recover=True) as client:
    trades = client.subscribe_user_trades()
    for event in trades:
        if event.recovered:
            print("read over REST, since", event.recovered.since)
        for trade in event:
            print(trade.exec_id, trade.exec_qty, trade.exec_price)
```

* Events wait behind the gap while REST is read, 5 seconds at most
  (`bybit_sync.Recovery`). If that is not enough you get the gap, with ``recovering`` if
  the rows still come later.
* ``event.snapshot`` tells that ``data`` is all there is: what is not in it is closed.
* What REST cannot tell stays a gap: it has no history of positions.
* Rows of REST are full, and of every kind. With ``fast=True`` pushes are trades only,
  with few attributes: ``exec_type`` is None. Recovered events then also have funding,
  settlements and liquidations of the window, which were not pushed: there
  ``exec_type`` tells them from trades.
* What is open now, added up from snapshots and pushes: `bybit_sync.docs.account`.

## Keep each fill once, over restarts

A program that was killed does not know what happened until it starts again. The journal
writes fills to a file and knows up to when it is complete, which the next start needs.

```python
import bybit_sync
from bybit_sync.integrations.sqlite_journal import Journal

client = bybit_sync.Client("KEY", "SECRET", recover=True)
with Journal("fills.db") as journal, client:
    client.subscribe_user_trades(journal, since=journal.complete_until)
    client.wait(timeout=60.0)
    print(journal.complete_until, journal.gaps())
```

Reference: `bybit_sync.integrations.sqlite_journal`.
"""
