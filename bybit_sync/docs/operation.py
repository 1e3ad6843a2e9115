"""In production: metrics, logs, other machines.

## Metrics

``client.health()`` is one immutable object with everything that a monitor asks for, and
`bybit_sync.to_dict` makes JSON of it. `bybit_sync.integrations.prometheus` serves it to
Prometheus. ``examples/`` in the repository has alerts, a dashboard for Grafana, and the
same for OpenTelemetry and statsd.

```python
import json

import bybit_sync

client = bybit_sync.Client("KEY", "SECRET")
print(json.dumps(bybit_sync.to_dict(client.health())))
```

## Logs

The logger is ``bybit_sync``. INFO: connections and subscriptions. WARNING: look at it.
ERROR: act. CRITICAL: a bug of the library. No record has a key, a secret or a
signature.

```python
import logging

form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
logging.basicConfig(level=logging.INFO, format=form)
```

## Consumers on other machines

`bybit_sync.integrations.redis_streams` writes the events into Redis Streams and reads
them there, gaps included.

## A file of everything

``record=`` writes every frame, without credentials, and `bybit_sync.replay` reads the
file again: the way to look at an incident afterwards.

```python
import bybit_sync

with bybit_sync.Client("KEY", "SECRET", record="session.jsonl") as client:
    client.subscribe_orders(print)
    client.wait(timeout=5.0)
print(sum(1 for event in bybit_sync.replay("session.jsonl")))
```
"""
