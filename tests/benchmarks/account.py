"""What the account view costs: a read of it, and the change of one of many open orders."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from bybit_sync import AccountView, Category, Client, OrderStatus, OrderUpdate, Recovery, Stream
from bybit_sync.account.reducer import Reducer
from bybit_sync.model.events import new_event
from bybit_sync.simulator import Exchange
from tests.benchmarks.contestants import KEY, SECRET
from tests.benchmarks.table import Spread, number, percentile, spread, table

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
PATIENCE = 60.0


class Plan(NamedTuple):
    """What one run measures."""

    rounds: int = 5
    reads: int = 20_000
    changes: int = 5_000
    orders: Sequence[int] = (10, 1_000, 10_000, 100_000)


class Found(NamedTuple):
    """What was found, in µs: each kind of read, and the changes of one order among so many."""

    reads: dict[str, Spread]
    changes: dict[int, list[float]]


def measure(plan: Plan) -> Found:
    """Measure everything."""
    return Found(_reads(plan), {count: _changes(count, plan.changes) for count in plan.orders})


def _reads(plan: Plan) -> dict[str, Spread]:
    with Exchange() as exchange:
        account = exchange.account(KEY, SECRET)
        account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
        recover = Recovery(base_url=exchange.rest_url)
        # A pong, after which `as_of` is what it says.
        client = Client(KEY, SECRET, environment=exchange.url, recover=recover, ping_interval=0.2)
        with client, client.account_view() as view:
            if not view.wait_current(PATIENCE):
                raise RuntimeError(f"the account is not current: {view}")
            deadline = time.monotonic() + PATIENCE
            while client.health().fresh_as_of is None and time.monotonic() < deadline:
                time.sleep(0.05)
            return {name: _timed(read, plan) for name, read in _kinds(view).items()}


def _kinds(view: AccountView) -> dict[str, Callable[[], Any]]:
    return {
        'position("BTCUSDT")': lambda: view.position("BTCUSDT"),
        'coin("USDT")': lambda: view.coin("USDT"),
        "orders": lambda: view.orders,
        "is_current": lambda: view.is_current,
        "as_of": lambda: view.as_of,
        "snapshot()": view.snapshot,
    }


def _timed(read: Callable[[], Any], plan: Plan) -> Spread:
    return spread(seconds / plan.reads * 1e6 for seconds in timeit.repeat(read, number=plan.reads, repeat=plan.rounds))


def _changes(count: int, changes: int) -> list[float]:
    """Return how long each change of an order took, with *count* open ones."""
    reducer = Reducer((Stream.ORDERS,))
    for index in range(count):
        reducer.take(_push(index, 0))
    events = [_push(index % count, index + 1) for index in range(changes)]
    times = []
    for event in events:
        began = time.perf_counter_ns()
        reducer.take(event)
        times.append((time.perf_counter_ns() - began) / 1_000)
    return times


def _push(index: int, second: int) -> Any:
    row = OrderUpdate(
        category=Category.LINEAR,
        symbol="BTCUSDT",
        order_id=f"order-{index}",
        order_status=OrderStatus.NEW,
        updated_time=NOW + timedelta(seconds=second),
    )
    return new_event(Stream.ORDERS, "order.linear", NOW, 1, (row,))


def report(found: Found) -> list[str]:
    """Return the tables."""
    changes = (
        (f"{count:,}", number(percentile(times, 0.5)), number(percentile(times, 0.99)))
        for count, times in found.changes.items()
    )
    return [
        table(("a read of the account view", "µs"), found.reads.items()),
        table(("open orders", "a change of one, µs", "99 of 100 are faster than, µs"), changes),
    ]


def as_json(found: Found) -> dict[str, Any]:
    """Return everything that was measured."""
    return {
        "reads_us": {name: each._asdict() for name, each in found.reads.items()},
        "changes_us": {str(count): times for count, times in found.changes.items()},
    }
