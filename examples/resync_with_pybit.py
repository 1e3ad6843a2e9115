"""Keep orders, positions and trades right across gaps, by REST (pip install pybit).

Keys come from BYBIT_API_KEY and BYBIT_API_SECRET, or --simulate. Rows are kept in V5's
own words, which `update.wire` and REST share; only a position's entry price is
``entryPrice`` in the stream and ``avgPrice`` in REST.
"""

from __future__ import annotations

import os
import queue
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from bybit_sync import AnyEvent, Client, Stream

Row = Mapping[str, Any]
# Each has to be asked for by itself: "linear" wants a symbol or a settle coin.
SCOPES = ({"category": "linear", "settleCoin": "USDT"}, {"category": "linear", "settleCoin": "USDC"}, {"category": "inverse"})
MARGIN = timedelta(seconds=5)  # REST may know of a trade a little later, and by another clock


class Book:
    """The orders, positions and trades of an account. One thread."""

    def __init__(self, rest: Any) -> None:
        self.rest = rest
        self.orders: dict[str, Row] = {}
        self.positions: dict[tuple[str, int], Row] = {}
        self.trades: dict[str, Row] = {}

    def take(self, event: AnyEvent) -> None:
        """Apply an event: its updates, or after a gap what REST lists."""
        if event.gap:
            self.read(event.stream, event.gap.since, event.gap.until)
        for update in event:
            self.learn(event.stream, update.wire)

    def read(self, stream: Stream, since: datetime, until: datetime) -> None:
        """Read *stream* by REST.

        What is not listed is flat or final; `get_order_history` knows how an order
        ended.
        """
        if stream is Stream.USER_TRADES:
            window = {"startTime": milliseconds(since - MARGIN), "endTime": milliseconds(until + MARGIN)}  # up to 7 days
            scopes = [{"category": category, **window} for category in ("linear", "inverse")]
            rows = pages(self.rest.get_executions, scopes, limit=100)
        elif stream is Stream.ORDERS:
            rows = pages(self.rest.get_open_orders, SCOPES, limit=50)
            self.orders.clear()
        else:
            rows = pages(self.rest.get_positions, SCOPES, limit=200)
            self.positions.clear()
        for row in rows:
            self.learn(stream, row)

    def learn(self, stream: Stream, row: Row) -> None:
        """Let a row replace an older one; trades add up, each once."""
        if stream is Stream.USER_TRADES:
            self.trades.setdefault(row["execId"], row)
        elif stream is Stream.ORDERS:
            replace(self.orders, row["orderId"], row)
        else:
            replace(self.positions, (row["symbol"], int(row["positionIdx"])), row)


def replace(table: dict[Any, Row], key: object, row: Row) -> None:
    """Replace a row unless the new one is older.

    A push during the REST request may be older than its answer.
    """
    if key not in table or int(row["updatedTime"]) >= int(table[key]["updatedTime"]):
        table[key] = row


def pages(call: Callable[..., Any], scopes: Iterable[Mapping[str, object]], limit: int) -> list[Row]:
    """Return the rows of every page of one of pybit's calls, for each of *scopes*."""
    rows: list[Row] = []
    for scope in scopes:
        cursor: str | None = None
        while cursor != "":
            result = call(**scope, limit=limit, cursor=cursor)["result"]
            rows += result["list"]
            cursor = result["nextPageCursor"] if result["list"] else ""
    return rows


def milliseconds(at: datetime) -> int:
    """Return *at* as REST writes it."""
    return int(at.timestamp() * 1000)


class Nothing:
    """A replacement of pybit for --simulate, which lists nothing."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a function that prints its arguments."""

        def call(**asked: object) -> dict[str, Any]:
            print("REST:", name, asked)
            return {"result": {"list": [], "nextPageCursor": ""}}

        return call


if "--simulate" in sys.argv:
    from bybit_sync.simulator import demo_client

    client, book = demo_client(drop_at=2), Book(Nothing())
else:
    client = Client.from_env()
    from pybit.unified_trading import HTTP

    # For a key of the testnet also testnet=True, for one of demo trading demo=True.
    book = Book(HTTP(api_key=os.environ["BYBIT_API_KEY"], api_secret=os.environ["BYBIT_API_SECRET"]))
inbox: queue.Queue[AnyEvent] = queue.Queue()
with client:
    for subscribe in (client.subscribe_orders, client.subscribe_positions, client.subscribe_user_trades):
        subscribe(inbox)
    for stream in (Stream.ORDERS, Stream.POSITIONS):  # no snapshot is sent
        book.read(stream, datetime.now(timezone.utc), datetime.now(timezone.utc))
    while client.state not in ("CLOSED", "FAILED"):
        try:
            event = inbox.get(timeout=1.0)
        except queue.Empty:
            continue
        book.take(event)
        print(f"{len(book.orders)} orders, {len(book.positions)} positions, {len(book.trades)} trades")
