"""What it costs to recover, and how many fills are there after outages: ours, pybit, and pybit with a recipe.

The simulated exchange runs in this process: it takes a part of the time that is told.
"""

from __future__ import annotations

import importlib
import statistics
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from bybit_sync import Category, Client, Event, Recovery, Stream, UserTradeUpdate
from bybit_sync.model.events import new_event
from bybit_sync.recovery.trades import TradeMemory
from bybit_sync.simulator import Account, Exchange
from tests.benchmarks import throughput
from tests.benchmarks.contestants import KEY, PATH, SECRET
from tests.benchmarks.table import Spread, number, spread, table

FILLS, ORDERS = 1_000, 50
REMEMBERED = 10_000
MARGIN = timedelta(seconds=5)
PATIENCE = 60.0


class Outage(NamedTuple):
    """An outage: what is filled in it, and how far REST lags behind."""

    linear: int
    inverse: int = 0
    lag: float = 0.0


OUTAGES = (Outage(0), Outage(30), Outage(250), Outage(40, inverse=20), Outage(40, lag=2.0))
BETWEEN = 10
"""Fills before each outage, which everybody is pushed."""


class Plan(NamedTuple):
    """What one run measures."""

    rounds: int = 5
    messages: int = 5_000
    outages: Sequence[Outage] = OUTAGES


class Mended(NamedTuple):
    """How long after the client is LIVE again fills and orders are there, and what was asked for them."""

    fills_s: float
    orders_s: float
    requests: int


class Found(NamedTuple):
    """What was found."""

    pushes: list[throughput.Round]
    mended: list[Mended]
    key_bytes: float
    missed: int
    fills: int
    ends_with: dict[str, int]


def measure(plan: Plan) -> Found:
    """Measure everything."""
    missed, fills, ends_with = compare(plan.outages)
    return Found(throughput.measure(_pushes(plan)), [mend() for _ in range(plan.rounds)], key_bytes(), missed, fills, ends_with)


def _pushes(plan: Plan) -> throughput.Plan:
    kinds = ("position", "order", "execution", "wallet")
    return throughput.Plan(plan.rounds, plan.messages, plan.messages // 4, ("callback", "recover"), kinds)


# -- one long outage


def fill(account: Account, count: int, symbol: str = "BTCUSDT", parts: int = 1) -> None:
    """Fill that many orders, each in *parts*."""
    for _ in range(count):
        order = account.place_order(symbol, "Buy", qty=parts, price="20000")
        for _ in range(parts):
            account.fill(order, qty=1)


def mend() -> Mended:
    """Miss 50 orders, each filled in 20 parts; return when they are there."""
    seen: dict[Stream, float] = {}

    def note(event: Event[Any]) -> None:
        if event.recovered:
            seen.setdefault(event.stream, time.monotonic())

    with Exchange() as exchange:
        account = exchange.account(KEY, SECRET)
        with Client(KEY, SECRET, environment=exchange.url, recover=Recovery(base_url=exchange.rest_url)) as client:
            client.subscribe_user_trades(note)
            client.subscribe_orders(note)
            time.sleep(1.0)  # until the start is read
            exchange.stop_listening()
            exchange.drop()
            fill(account, ORDERS, parts=FILLS // ORDERS)
            exchange.rest.forget_calls()
            exchange.listen()
            while client.state != "LIVE":
                time.sleep(0.001)
            live = time.monotonic()
            exchange.wait_for(lambda: len(seen) == 2, timeout=PATIENCE)
            requests = len(exchange.rest.calls)
    return Mended(seen[Stream.USER_TRADES] - live, seen[Stream.ORDERS] - live, requests)


# -- memory


def key_bytes() -> float:
    """Return what one remembered fill weighs."""
    memory, now = TradeMemory(), datetime.now(timezone.utc)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for count in range(REMEMBERED - 1):
        row = UserTradeUpdate(exec_id=f"{count:036d}", category=Category.LINEAR, exec_time=now + timedelta(seconds=count))
        memory.admit(new_event(Stream.USER_TRADES, "execution.linear", now, count, (row,)))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / REMEMBERED


# -- beside others


def ours(exchange: Exchange, ids: Callable[[str], object]) -> Callable[[], object]:
    """Take fills with ``recover``."""
    client = Client(KEY, SECRET, environment=exchange.url, recover=Recovery(base_url=exchange.rest_url))
    client.subscribe_user_trades(lambda event: [ids(trade.exec_id) for trade in event])
    return client.close


def pybit(exchange: Exchange, ids: Callable[[str], object]) -> Callable[[], object]:
    """Take fills with pybit, which connects and subscribes again by itself."""
    unified_trading: Any = importlib.import_module("pybit.unified_trading")
    unified_trading.PRIVATE_WSS = exchange.url + PATH
    client = unified_trading.WebSocket(channel_type="private", testnet=False, api_key=KEY, api_secret=SECRET)
    client.execution_stream(lambda message: [ids(row["execId"]) for row in message["data"]])
    return client.exit  # type: ignore[no-any-return]


def recipe(exchange: Exchange, ids: Callable[[str], object]) -> Callable[[], object]:
    """Take fills without ``recover``, and read the window of a gap with pybit's HTTP: one page, as is often done."""
    unified_trading: Any = importlib.import_module("pybit.unified_trading")

    class Http(unified_trading.HTTP):  # type: ignore[misc]
        def __post_init__(self) -> None:
            super().__post_init__()
            self.endpoint = exchange.rest_url

    rest = Http(api_key=KEY, api_secret=SECRET)

    def take(event: Event[UserTradeUpdate]) -> None:
        if event.gap:
            window = {"startTime": milliseconds(event.gap.since - MARGIN), "endTime": milliseconds(event.gap.until + MARGIN)}
            for row in rest.get_executions(category="linear", limit=100, **window)["result"]["list"]:
                ids(row["execId"])
        for trade in event:
            ids(trade.exec_id)

    client = Client(KEY, SECRET, environment=exchange.url)
    client.subscribe_user_trades(take)
    return client.close


def milliseconds(at: datetime) -> int:
    """Return *at* as REST writes it."""
    return int(at.timestamp() * 1000)


CONTESTANTS = {"recover=True": ours, "a gap, and one page of REST": recipe, "pybit": pybit}


def compare(outages: Sequence[Outage]) -> tuple[int, int, dict[str, int]]:
    """Return how many fills were hidden by outages, how many there are, and how many each contestant ends with."""
    found: dict[str, Counter[str]] = {name: Counter() for name in CONTESTANTS}
    with Exchange() as exchange:
        account = exchange.account(KEY, SECRET)
        closes = [start(exchange, lambda id_, n=name: found[n].update([id_])) for name, start in CONTESTANTS.items()]  # type: ignore[misc]
        for outage in outages:
            exchange.wait_for(lambda: all_listen(account), timeout=PATIENCE)
            fill(account, BETWEEN)
            time.sleep(1.0)
            exchange.freeze()  # nothing is sent any more, and nobody is refused
            exchange.rest.lag(outage.lag)
            fill(account, outage.linear)
            fill(account, outage.inverse, "BTCUSD")
            exchange.drop(reset=True)
        exchange.wait_for(lambda: all_listen(account), timeout=PATIENCE)
        time.sleep(10.0)  # REST is read again after 3 seconds
        for close in closes:
            close()
    missed = sum(outage.linear + outage.inverse for outage in outages)
    if any(max(ids.values()) > 1 for name, ids in found.items() if name == "recover=True"):
        raise RuntimeError("a fill was delivered twice")
    return missed, missed + BETWEEN * len(outages), {name: len(ids) for name, ids in found.items()}


def all_listen(account: Account) -> bool:
    """Return whether every contestant is subscribed."""
    return sum(bool(connection.topics) for connection in account.connections) == len(CONTESTANTS)


# -- what it says


def ratio(found: Found, kind: str) -> Spread:
    """Return what a push costs with ``recover`` for what it costs without, in the same round."""
    return throughput.ratios(found.pushes, kind, "recover", "callback")


def report(plan: Plan, found: Found) -> list[str]:
    """Return the tables."""
    kinds = _pushes(plan).kinds
    long = [
        (f"{FILLS:,} fills are there, s after LIVE (at most 3)", spread(each.fills_s for each in found.mended)),
        (f"{ORDERS} orders are there, s after LIVE (at most 3)", spread(each.orders_s for each in found.mended)),
        ("requests for both", number(statistics.median(each.requests for each in found.mended))),
        ("bytes for each remembered fill", number(found.key_bytes)),
    ]
    return [
        table(
            ("CPU of a push with recover for that without (at most 1.05)", *kinds), [("", *(ratio(found, k) for k in kinds))]
        ),
        table((f"an outage of {FILLS:,} fills and {ORDERS} orders", ""), long),
        table(
            (f"fills after {len(plan.outages)} outages that hid {found.missed} of {found.fills}", "fills"),
            [*found.ends_with.items()],
        ),
    ]


def as_json(plan: Plan, found: Found) -> dict[str, Any]:
    """Return everything that was measured."""
    return {
        "pushes": throughput.as_json(_pushes(plan), found.pushes)["cost_us"],
        "mended": [each._asdict() for each in found.mended],
        "key_bytes": found.key_bytes,
        "missed": found.missed,
        "fills": found.fills,
        "ends_with": found.ends_with,
    }
