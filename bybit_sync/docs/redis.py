"""Redis Streams: one process has the connection, others get its events.

Programs that act on the events may run on other machines, and in other languages. One
process connects to Bybit and writes each event into a stream of a Redis server, once;
gaps are events, too. ``pip install 'bybit-sync[redis]'``; Redis 6.2 and newer, and
Valkey.

## Write them

From the shell, for all four streams of one account or of several (``--account``), with
what outages hid (``forward --help``):

```sh
bybit-sync forward redis://localhost:6379 --name main
```

Or in a program of yours, as a sink. The client needs a name of its own, because it
names the streams: this one writes to ``bybit:main:orders``.

```python
import bybit_sync
from bybit_sync.integrations.redis_streams import RedisStreams

client = bybit_sync.Client("KEY", "SECRET", name="main")
client.subscribe_orders(RedisStreams("redis://localhost:6379"))
client.wait(timeout=60.0)
```

While the server is away the events wait in the buffer of the subscription. When that is
full, an OVERFLOW gap in the stream tells how many are missing. The connection to Bybit
goes on.

## Read them

```python
from bybit_sync.integrations.redis_streams import consume

url = "redis://localhost:6379"
for event in consume(url, "main", "orders", group="risk", consumer="risk-1"):
    if event.gap:
        print("updates may be missing:", event.gap)
    for order in event:
        print(order.order_id, order.order_status)
```

| | without ``group`` | with ``group`` |
|:--|:--|:--|
| begins with | the next event | the oldest entry, later where the group left off |
| each event goes to | every reader | one consumer of the group |
| after a crash | what came meanwhile is not seen | what was not done comes again |

In a group an event is acknowledged when you ask for the next one. So each comes at
least once, and in order: a second consumer of the group stands by, and takes over after
``claim_idle`` seconds. Give a consumer the same name after each start. What you do with
an event should be right when it is done twice: trades add up by ``update.key``, the
others replace.

From the shell: ``bybit-sync consume redis://localhost:6379 main orders``.

## When the publisher was away

A publisher that starts again writes a gap with the index 0 first. ``since`` brings the
executions of the pause:

```python
import bybit_sync
from bybit_sync.integrations.redis_streams import RedisStreams

sink = RedisStreams("redis://localhost:6379")
client = bybit_sync.Client("KEY", "SECRET", name="main", recover=True)
since = sink.complete_until("main", "user_trades")
client.subscribe_user_trades(sink, since=since)
client.wait(timeout=60.0)
```

They follow the gap; the last minute comes a second time, with the same ``update.key``.
``bybit-sync forward`` does this by itself. Positions, orders and balances begin with a
snapshot.

## Settings of the server

| setting | why |
|:--|:--|
| ``appendonly yes`` | a restart loses nothing that is on the disk |
| ``appendfsync always`` | a crash loses nothing (``everysec``: up to a second) |
| ``maxmemory-policy noeviction`` | streams are not evicted |

Give your ``XGROUP CREATE`` no ``MKSTREAM``: the publisher notices by the absence of a
stream that it was lost. A failover loses what the replica did not have. The publisher
notices each of these losses and writes a gap. ``maxlen`` (a million entries) bounds
each stream; a consumer that is overtaken by that gets a gap.

## Other languages

``XREADGROUP`` as usual. The field ``frame`` of an entry is the push as Bybit sent it.
Where it is missing, or rows were left out of it, ``event`` is JSON, as
`bybit_sync.to_dict` makes it.

Reference: `bybit_sync.integrations.redis_streams`.
"""
