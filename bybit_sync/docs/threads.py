"""Threads: which one runs your code, which locks matter, signals and forks.

| your code | its thread |
|:--|:--|
| a callback, and ``on_error`` | one for each callback subscription |
| `bybit_sync.Inline` with a callback | the connection thread: microseconds only |
| ``on_change`` of an account view | one of its own |
| ``on_status`` | one of its own |
| ``put_nowait`` of your queue, log handlers | the connection thread: keep them short |
| ``signer`` | a thread for each call |
| ``get()`` and iteration | your own |

All are daemons: they end with the program, so a script needs ``client.wait()`` to stay.
Any method may be called on any thread, except in your queue and in log handlers.

## A callback may be slow

Each callback has a buffer of ``maxsize`` events. When it is full, the oldest event is
dropped and a gap with the reason OVERFLOW takes its place. The connection does not
notice.

```python
import threading

import bybit_sync

lock, latest = threading.Lock(), {}

def on_orders(event):  # called with one event at a time
    with lock:  # your lock
        latest.update({order.order_id: order for order in event})

client = bybit_sync.Client("KEY", "SECRET")
sub = client.subscribe_orders(on_orders, maxsize=1_000, overflow="drop_oldest")
sub.close()  # delivers what is buffered; do not call it while you hold the lock
```

``close()`` waits for the running callback. So never call it while you hold a lock that
the callback takes: both would wait until ``timeout``. Inside the callback ``close()``
does not wait.

## One queue for a program that has its own loop

```python
import queue

import bybit_sync

client = bybit_sync.Client("KEY", "SECRET")
inbox = queue.Queue(maxsize=10_000)
client.subscribe_orders(inbox)
client.subscribe_positions(inbox)
try:
    event = inbox.get(timeout=1.0)
    if bybit_sync.is_orders(event):
        print(event.client, "orders", len(event))
except queue.Empty:
    pass  # your own work
client.close()
```

## Signals

Ctrl-C raises `KeyboardInterrupt` in every call that waits. For SIGTERM install a
handler that ends the program; ``with`` then closes the client.

```python
import signal
import sys

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
```

## Forks

A client does not survive a fork: in the child every call raises
`bybit_sync.ClientClosed`, and nothing is sent on the parent's socket. Make clients
after the fork. `bybit_sync.docs.recipes` has gunicorn and celery.
"""
