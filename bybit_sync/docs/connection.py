"""The life of a connection.

`bybit_sync.Client` opens no connection when you make it. The first ``subscribe_*``
starts the connection thread, which dials, logs in and asks for the topics of the
stream. The call returns when the exchange has confirmed all of them. From then on the
client keeps the connection, also without a subscription, and dials again after each
failure, until you call ``close()``.

```python
import bybit_sync

client = bybit_sync.Client("KEY", "SECRET")
print(client.state)  # IDLE: nothing has been opened
orders = client.subscribe_orders()
print(client.state)  # LIVE
client.close()
print(client.state)  # CLOSED: make a new client to go on
```

## The states of a client

`bybit_sync.State`, as in ``client.state``, ``health().state`` and what ``on_status`` is
called with. FAILED and CLOSED are final.

```mermaid
stateDiagram-v2
    [*] --> IDLE
    IDLE --> CONNECTING: a stream is subscribed
    IDLE --> FAILED: a bug
    IDLE --> CLOSED: close()
    CONNECTING --> LIVE: every stream is confirmed
    CONNECTING --> BACKING_OFF: a failure
    CONNECTING --> IDLE: subscribe_* raises
    CONNECTING --> FAILED: refused for good
    CONNECTING --> CLOSED: close()
    LIVE --> BACKING_OFF: the connection is lost
    LIVE --> CONNECTING: cancelled, called again
    LIVE --> IDLE: subscribe_* cancelled
    LIVE --> FAILED: a bug
    LIVE --> CLOSED: close()
    BACKING_OFF --> CONNECTING: the pause is over
    BACKING_OFF --> IDLE: subscribe_* raises
    BACKING_OFF --> FAILED: a bug
    BACKING_OFF --> CLOSED: close()
```

"A bug" is an error of this library that it did not expect. It is logged as CRITICAL,
and every subscription gets it as an ENDED gap.

## The states of a subscription

`bybit_sync.SubscriptionState`, as in ``sub.state``. CLOSED is final.

```mermaid
stateDiagram-v2
    [*] --> PENDING
    PENDING --> LIVE: confirmed
    PENDING --> CLOSED: close(), refused
    LIVE --> STALE: the connection is lost
    LIVE --> CLOSED: close(), refused
    STALE --> LIVE: confirmed again
    STALE --> CLOSED: close(), refused
```

## From dial to LIVE

1. The name is looked up, and the addresses are tried side by side (IPv6 and IPv4).
   Proxy, TLS and the websocket upgrade follow. All of it has ``connect_timeout`` (10
   seconds).
2. The login is signed and sent. If the refusal may come from a wrong clock, the client
   measures the exchange's clock with a ping and signs once more.
3. Each topic is requested by itself, so that a refusal is about one topic. An answer
   may take ``request_timeout`` (10 seconds).
4. When every topic of a stream is confirmed, its subscriptions are LIVE; when this
   holds for all streams that were wanted at the login, so is the client.

A ping every ``ping_interval`` (5 seconds) proves that the connection works. When
nothing arrives for ``pong_timeout`` (5 seconds) longer, it is dead.

## Follow the states

```python
import bybit_sync

def told(change):  # on a thread of its own
    print(change.previous, "->", change.state, change.error or "")

client = bybit_sync.Client("KEY", "SECRET", on_status=told)
client.subscribe_orders(print)
health = client.health()
print(health.state, health.epoch, health.last_frame_age, health.next_attempt_at)
client.close()
```

The pauses after each failure are in a table in the docstring of `bybit_sync.Client`.
``health().next_attempt_at`` is the end of the present one, and ``client.reconnect()``
shortens it.
"""
