"""Recipes: pandas, asyncio, gunicorn, Jupyter and other programs.

Each is a whole program. ``Client.from_env()`` reads BYBIT_API_KEY and BYBIT_API_SECRET.
The tests run each of them against the simulated exchange where its library is
installed, but for the Windows service, whose types they check.

## pandas

Numbers are `Decimal`, which pandas keeps as objects. Turn them into floats to compute
with them.

```python
from decimal import Decimal

import pandas

import bybit_sync

COLUMNS = ("exec_time", "symbol", "side", "exec_qty", "exec_price", "exec_fee")

def record(trade):
    return {name: plain(getattr(trade, name)) for name in COLUMNS}

def plain(value):
    if isinstance(value, Decimal):
        return float(value)
    return str(value) if isinstance(value, str) else value  # words are open enums

records = []
with bybit_sync.Client("KEY", "SECRET") as client:
    client.subscribe_user_trades(lambda event: records.extend(map(record, event)))
    client.wait(timeout=60.0)

frame = pandas.DataFrame(records, columns=COLUMNS)
print((frame["exec_qty"] * frame["exec_price"]).sum())
```

## polars

polars has a type for decimals, so that no digit is lost.

```python
import polars

import bybit_sync

MONEY = polars.Decimal(38, 12)
SCHEMA = {
    "exec_time": polars.Datetime("ms", "UTC"),
    "symbol": polars.String,
    "side": polars.String,
    "exec_qty": MONEY,
    "exec_price": MONEY,
    "exec_fee": MONEY,
}

def record(trade):
    return {**{name: getattr(trade, name) for name in SCHEMA}, "side": str(trade.side)}

records = []
with bybit_sync.Client("KEY", "SECRET") as client:
    client.subscribe_user_trades(lambda event: records.extend(map(record, event)))
    client.wait(timeout=60.0)

frame = polars.DataFrame(records, schema=SCHEMA)
print(frame.select(polars.col("exec_fee").sum()).item())
```

## sqlite

The last row of each order. For trades there is
`bybit_sync.integrations.sqlite_journal`, which is complete after a restart, too.

```python
import contextlib
import sqlite3

import bybit_sync

with (
    contextlib.closing(sqlite3.connect("orders.db")) as db,
    bybit_sync.Client("KEY", "SECRET") as client,
):
    db.execute(
        "CREATE TABLE IF NOT EXISTS orders"
        " (id TEXT PRIMARY KEY, symbol TEXT, status TEXT, qty TEXT)"
    )
    for event in client.subscribe_orders():  # on this thread: sqlite3 demands one
        rows = [(o.order_id, o.symbol, str(o.order_status), str(o.qty)) for o in event]
        with db:
            db.executemany("INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?)", rows)
```

## asyncio

What waits runs in a thread; events come into the loop by ``call_soon_threadsafe``. The
queue has no limit here: its reader has to keep up.

```python
import asyncio

import bybit_sync

async def main():
    loop, inbox = asyncio.get_running_loop(), asyncio.Queue()

    def deliver(event):  # on the thread of the subscription
        loop.call_soon_threadsafe(inbox.put_nowait, event)

    client = bybit_sync.Client("KEY", "SECRET")
    await asyncio.to_thread(client.subscribe_orders, deliver)
    event = await asyncio.wait_for(inbox.get(), timeout=60)
    print(event)
    await asyncio.to_thread(client.close)

asyncio.run(main())
```

## gunicorn

A client does not survive a fork, so each worker makes its own in ``post_fork``; this
also holds with ``preload_app``. Each of them logs in: for many workers run one process
with the client, and let it write to what the workers read.

```python
import os

import bybit_sync

workers = 2
preload_app = True
client = None

def post_fork(server, worker):
    global client
    client = bybit_sync.Client.from_env(name=f"worker-{os.getpid()}")
    client.subscribe_orders(print, wait=False)

def worker_exit(server, worker):
    client.close()

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(client.state).encode()]
```

As ``trading.py``, it is the configuration and the application: ``gunicorn -c
python:trading trading:app``.

## celery

The same for the processes of the prefork pool. ``wait=False``, because celery gives a
process 4 seconds to start.

```python
import os

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown

import bybit_sync

url = os.environ.get("REDIS_URL", "redis://localhost:6379")
app = Celery("trading", broker=url, backend=url)
client = None

@worker_process_init.connect
def start(**_):
    global client
    client = bybit_sync.Client.from_env(name=f"celery-{os.getpid()}")
    client.subscribe_orders(print, wait=False)

@worker_process_shutdown.connect
def stop(**_):
    client.close()

@app.task(name="state")
def state():
    client.wait_live(timeout=30.0)
    return str(client.state)
```

## gevent

Patch before every other import. Threads and locks of the client are then greenlets.

```python
from gevent import monkey

monkey.patch_all()

import bybit_sync

with bybit_sync.Client.from_env() as client:
    for event in client.subscribe_orders():
        print("got", event)
        break
```

## freezegun

Let freezegun leave the client and the simulator alone; your own modules see the frozen
clock.

```python
import datetime

import freezegun

import bybit_sync

freezegun.configure(extend_ignore_list=["bybit_sync", "websocket", "websockets"])

def test_at_midnight(bybit_exchange, bybit_account):
    client = bybit_sync.Client("KEY", "SECRET", environment=bybit_exchange.url)
    with freezegun.freeze_time("2030-01-01"), client:
        orders = client.subscribe_orders()
        bybit_account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
        assert orders.get(timeout=10).data[0].order_status == "New"
        assert datetime.datetime.now().year == 2030
```

## time-machine

It changes the clock of the whole process, also that of the client and of the simulated
exchange, and lets it run on.

```python
import datetime

import time_machine

import bybit_sync

@time_machine.travel("2030-01-01", tick=True)
def test_at_midnight(bybit_exchange, bybit_account):
    with bybit_sync.Client("KEY", "SECRET", environment=bybit_exchange.url) as client:
        orders = client.subscribe_orders()
        bybit_account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
        assert orders.get(timeout=10).data[0].order_status == "New"
        assert datetime.datetime.now().year == 2030
```

## Jupyter

The callback fills a deque on its own thread, while you work in other cells. ``# %%``
begins a cell.

```python
import collections

import bybit_sync

client = bybit_sync.Client.from_env()
latest = collections.deque(maxlen=1_000)
orders = client.subscribe_orders(latest.append)

# %% as often as you like
for event in list(latest):
    print(event)

# %% at the end, and before you run the first cell again
client.close()
```

## structlog

The library logs with the standard library. Give that logger a handler with structlog's
formatter.

```python
import logging

import structlog

import bybit_sync

formatter = structlog.stdlib.ProcessorFormatter(
    foreign_pre_chain=[
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
    ],
    processors=[
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ],
)
handler = logging.StreamHandler()
handler.setFormatter(formatter)
logging.getLogger("bybit_sync").addHandler(handler)
logging.getLogger("bybit_sync").setLevel(logging.INFO)

with bybit_sync.Client.from_env() as client:
    client.subscribe_orders(print)
```

## A Windows service

With pywin32: ``python service.py install``, then ``start``.

```python
import win32service
import win32serviceutil

import bybit_sync

class Trading(win32serviceutil.ServiceFramework):
    _svc_name_ = "trading"
    _svc_display_name_ = "Trading"

    def __init__(self, args):
        super().__init__(args)
        self.client = bybit_sync.Client.from_env()

    def SvcDoRun(self):
        with self.client:
            self.client.subscribe_orders(print)
            self.client.wait()  # returns when SvcStop closes the client

    def SvcStop(self):
        self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING)
        self.client.close()

if __name__ == "__main__":
    win32serviceutil.HandleCommandLine(Trading)
```
"""
