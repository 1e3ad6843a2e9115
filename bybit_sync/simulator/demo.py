"""A real client on a simulated exchange, for scripts that want to be tried without an account."""

from __future__ import annotations

import itertools
import threading
from typing import Any

from bybit_sync.client import Client
from bybit_sync.simulator.account import Account
from bybit_sync.simulator.exchange import Exchange
from bybit_sync.simulator.story import story

__all__ = ["demo_client"]

KEY, SECRET = "DEMO-KEY", "DEMO-SECRET"
PATIENCE = 60.0


def demo_client(*, steps: int = 12, **options: Any) -> Client:
    """Return a client of a simulated exchange of its own, whose account trades once something is subscribed.

    Everything but the exchange is real: *options* are those of `bybit_sync.Client`. After *steps*, a few seconds, the client is
    closed, so that whatever waits for it ends: iteration, ``client.wait()``.
    """
    exchange = Exchange().start()
    account = exchange.account(KEY, SECRET, balances={"USDT": 10_000})
    client = Client(KEY, SECRET, environment=exchange.url, **options)
    threading.Thread(target=_tell, args=(exchange, account, client, steps), name="exchange-story", daemon=True).start()
    return client


def _tell(exchange: Exchange, account: Account, client: Client, steps: int) -> None:
    """Tell the story from the first subscription on, and end the client when everything has been read."""
    over = threading.Event()
    try:
        exchange.wait_for(lambda: any(connection.topics for connection in account.connections), PATIENCE)
        for pause in itertools.islice(story(account), steps):
            over.wait(pause)
    finally:
        client.close()
        exchange.close()
