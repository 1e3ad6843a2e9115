"""In production: deployment, metrics, logs, recordings.

## A program that runs for months

Both SIGTERM and Ctrl-C end this one with ``client.close()``. An error that the client
cannot recover from (a key that the exchange refuses) ends it with code 1, so that the
service manager sees it; lost connections do not end it.

```python
import signal
import sys
from pathlib import Path

import bybit_sync

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with bybit_sync.Client.from_env(name="keeper") as client:
    client.subscribe_positions(print)
    while not client.wait(timeout=5.0):
        if client.health().state == "LIVE":
            Path("alive").touch()
```

For systemd, ``/etc/systemd/system/keeper.service``:

```ini
[Unit]
After=network-online.target
Wants=network-online.target

[Service]
WorkingDirectory=/var/lib/keeper
ExecStart=/opt/keeper/.venv/bin/python /opt/keeper/keeper.py
# BYBIT_API_KEY=... and BYBIT_API_SECRET=..., mode 0600
EnvironmentFile=/etc/keeper.env
Restart=on-failure
RestartSec=30
TimeoutStopSec=15

[Install]
WantedBy=multi-user.target
```

For Docker; the exec form of ENTRYPOINT lets SIGTERM arrive at Python:

```dockerfile
FROM python:3.13-slim
RUN pip install bybit-sync
WORKDIR /app
COPY keeper.py .
HEALTHCHECK --interval=30s CMD find alive -mmin -1 | grep -q .
ENTRYPOINT ["python", "keeper.py"]
```

Keep the clock of the host right (NTP): a login carries the time. Make clients after a
fork (`bybit_sync.docs.threads`). `bybit-sync check` tells from a new host what works,
from its DNS to the permissions of the key.

## Metrics

``client.health()`` is one immutable object with everything that a monitor asks for, and
`bybit_sync.to_dict` makes JSON of it.

```python
import json

import bybit_sync

client = bybit_sync.Client("KEY", "SECRET")
print(json.dumps(bybit_sync.to_dict(client.health())))
```

`bybit_sync.integrations.prometheus` serves it to Prometheus, beside the metrics of your
program or alone:

```python
import bybit_sync
from bybit_sync.integrations.prometheus import serve

client = bybit_sync.Client("KEY", "SECRET", name="main")
with serve(9464, client):  # http://127.0.0.1:9464/metrics
    client.subscribe_orders(print)
    client.wait(timeout=60.0)
```

``examples/`` in the repository has alerts, a dashboard for Grafana, and the same for
OpenTelemetry and statsd. Each metric has the label ``client``; the others are in
parentheses:

* ``bybit_sync_state`` (state): 1 for the state that the client is in, 0 for the others.
* ``bybit_sync_logins_total``: Logins that the exchange accepted.
* ``bybit_sync_reconnects_total``: Returns to LIVE after an outage.
* ``bybit_sync_outages_total``: Outages of a client that was LIVE.
* ``bybit_sync_downtime_seconds_total``: Time not LIVE, of all outages.
* ``bybit_sync_next_attempt_timestamp_seconds``: Time of the next attempt to connect,
  absent unless the client pauses.
* ``bybit_sync_last_frame_age_seconds``: Time since a frame of data was read, absent
  without a connection.
* ``bybit_sync_ping_rtt_seconds``: Time from the last ping to its pong.
* ``bybit_sync_clock_offset_seconds``: The exchange's clock minus ours.
* ``bybit_sync_fresh_as_of_timestamp_seconds``: Exchange's time up to which all that it
  sent was read.
* ``bybit_sync_recovery_pending_gaps``: Gaps that are being read over REST and are not
  mended yet.
* ``bybit_sync_recovery_requests_total``: Requests to the REST host.
* ``bybit_sync_recovery_last_success_timestamp_seconds``: Time of the last read over
  REST that succeeded.
* ``bybit_sync_events_total`` (stream): Events handed over, gaps included.
* ``bybit_sync_dropped_events_total`` (stream): Events that found a full queue.
* ``bybit_sync_undecodable_rows_total`` (stream): Rows, and whole frames, that could not
  be read.
* ``bybit_sync_handler_errors_total`` (stream): Calls of callbacks that raised.
* ``bybit_sync_gaps_total`` (stream, reason): Gaps handed over: updates may be missing.
* ``bybit_sync_subscriptions`` (stream, state): Open subscriptions.
* ``bybit_sync_queued_events`` (stream): Events that wait for their consumers.
* ``bybit_sync_push_age_seconds`` (stream): Time since the last push.
* ``bybit_sync_push_lag_seconds`` (stream): Time that the last push was under way, by
  the exchange's clock.
* ``bybit_sync_callback_busy_seconds`` (stream): Time that the longest running call of a
  callback has taken so far, 0 while none runs.

## Logs

The logger is ``bybit_sync``. INFO: connections and subscriptions. WARNING: look at it.
ERROR: act. CRITICAL: a bug of the library. No record has a key, a secret or a
signature.

```python
import logging

form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
logging.basicConfig(level=logging.INFO, format=form)
```

With ``logging.config`` set ``disable_existing_loggers`` to False. For handlers that may
block use ``logging.handlers.QueueHandler``: some records come from the connection
thread.

## A file of everything

``record=`` writes every frame, without credentials, and `bybit_sync.replay` reads the
file again: the way to look at an incident afterwards. `bybit_sync.Recorder` begins a
new file at a size and keeps the last ones.

```python
import bybit_sync

with bybit_sync.Client("KEY", "SECRET", record="session.jsonl") as client:
    client.subscribe_orders(print)
    client.wait(timeout=5.0)
print(sum(1 for event in bybit_sync.replay("session.jsonl")))
```

``bybit-sync record``, ``replay`` and ``stats --plot`` do it from the shell.

## Consumers on other machines

See `bybit_sync.docs.redis`.
"""
