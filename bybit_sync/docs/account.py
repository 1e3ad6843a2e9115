"""The account as it is now, and waiting for one order.

The streams have changes only. `bybit_sync.AccountView` adds them up: what is open now,
and whether it is sure of that. It needs ``recover=True`` (extra ``rest``), which reads
the beginning and each outage over REST; a read-only key is enough.

## What is open

```python
import bybit_sync

with bybit_sync.Client("KEY", "SECRET", recover=True) as client:
    account = client.account_view()  # all four streams
    account.wait_current(timeout=30.0)  # the first snapshots are there
    print(account.position("BTCUSDT"))  # None when flat
    print(len(account.orders), "open orders,", account.coin("USDT"))
```

Any thread may read it. A read waits for nothing, and never shows half an event. Use
``account.snapshot()`` where several values have to fit together.

## May I act on it?

``account.is_current`` is False from the moment an outage is noticed until it is mended,
and while REST does not show an order that was open. ``account.waits_for`` says for what
it waits, ``account.as_of`` up to when it is right.

```python
import bybit_sync

def on_change(account, event):  # on a thread of its own, after the event was applied
    if account.is_current:
        print("long or short:", list(account.positions))
    else:
        print("not now:", account.waits_for)

with bybit_sync.Client("KEY", "SECRET", recover=True) as client:
    client.account_view(on_change)
    client.wait(timeout=60.0)
```

## Wait for one order

Give the order a name of your own before you send it, over REST, with any other library.
``wait_for_order`` returns its last row, whichever tells it first: the stream, or REST
after an outage. An order that has ended lately, before the call, is found as well.

```python
import bybit_sync

def place(name):  # over REST: with pybit, ccxt, ...
    ...

with bybit_sync.Client("KEY", "SECRET", recover=True) as client:
    account = client.account_view()
    account.wait_current(timeout=30.0)
    place("mine-1")
    try:
        order = client.wait_for_order(order_link_id="mine-1", view=account, timeout=5.0)
        print(order.order_status, order.cum_exec_qty, order.avg_price)
    except TimeoutError as error:
        print(error)  # what is known of the order by now
```

* Make the view before you place the order, and keep it: a view for each order would
  read the whole account each time.
* ``until`` is for a step before the end: ``until=lambda order: order.cum_exec_qty``
  returns at the first fill.
* ``order_status`` says how it ended: "Filled", "Cancelled" (perhaps with a part
  filled), "Rejected", ...
* The `TimeoutError` leaves the order as it is. Cancel it over REST, then wait again.

Reference: `bybit_sync.Client.wait_for_order`, `bybit_sync.Client.account_view` and
`bybit_sync.AccountView`.
"""
