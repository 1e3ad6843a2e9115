"""A real client of a simulated exchange, to try scripts without an account."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

from bybit_sync.client import Client
from bybit_sync.recovery.options import recovery_at
from bybit_sync.simulator.books.account import Account
from bybit_sync.simulator.demo_trades import demo_trades
from bybit_sync.simulator.exchange import Exchange

__all__ = ["demo_client"]

KEY, SECRET = "DEMO-KEY", "DEMO-SECRET"
SUBSCRIBE_TIMEOUT = 60.0


def demo_client(*, steps: int = 8, drop_at: int | None = None, **options: Any) -> Client:
    """Return a client of a simulated exchange whose account trades.

    Trading begins with the first subscription.

    Everything but the exchange is real: *options* are those of `bybit_sync.Client`;
    with *recover* they know the exchange's REST host.
    After step *drop_at* the connection is cut, which makes a gap. After *steps*, a few
    seconds, the client is closed, which ends iteration and ``client.wait()``.

    Example:
        >>> from bybit_sync.simulator import demo_client
        >>> with demo_client(steps=1) as client:
        ...     for event in client.subscribe_orders():
        ...         print(event.data[0].symbol, event.data[0].order_status)
        BTCUSDT New

    """
    exchange = Exchange().start()
    account = exchange.account(KEY, SECRET, balances={"USDT": 10_000})
    if options.get("recover"):
        # Its REST host listens from here on.
        options["recover"] = recovery_at(exchange.rest_url, options["recover"])
    client = Client(KEY, SECRET, environment=exchange.url, **options)
    threading.Thread(target=_trade, args=(exchange, account, client, steps, drop_at), name="exchange-demo", daemon=True).start()
    return client


def _trade(exchange: Exchange, account: Account, client: Client, steps: int, drop_at: int | None) -> None:
    """Trade until the client is closed or the interpreter ends."""
    try:
        _trade_to_the_end(exchange, account, client, steps, drop_at)
    except RuntimeError:
        # The main thread has ended: the interpreter starts no thread any more.
        if threading.main_thread().is_alive():
            raise


def _trade_to_the_end(exchange: Exchange, account: Account, client: Client, steps: int, drop_at: int | None) -> None:
    """Trade from the first subscription on, then close the client."""
    try:
        exchange.wait_for(lambda: any(connection.topics for connection in account.connections), SUBSCRIBE_TIMEOUT)
        for step, pause in enumerate(itertools.islice(demo_trades(account), steps), start=1):
            time.sleep(pause)
            if step == drop_at:
                exchange.drop()
    finally:
        client.close()
        exchange.close()
