"""A process that books executions into a journal until it is killed: ``python -m tests.integrations.booking FILE``.

Execution N is made in second N after noon. The process begins, as a client would, with all executions since
`Journal.complete_until` in two events of rows, goes on with one push after the other, and has an outage now and then. It
prints the number of each execution when the journal has taken it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import attrs

from bybit_sync import Category, Event, Gap, GapReason, Source, Stream, UserTradeUpdate
from bybit_sync.integrations.sqlite_journal import Journal
from tests.talking import at


def execution(number: int) -> UserTradeUpdate:
    """Return execution *number*."""
    return UserTradeUpdate(
        exec_id=f"e-{number}", category=Category.LINEAR, symbol="BTCUSDT", exec_time=at(number).utc, seq=number
    )


def event(*numbers: int, **changes: Any) -> Event[UserTradeUpdate]:
    """Return a push of executions, made and read with the last of them, with *changes*."""
    now = at(numbers[-1]) if numbers else at(0)
    push = Event(
        stream=Stream.USER_TRADES,
        topic="execution.linear",
        data=tuple(map(execution, numbers)),
        created_at=now.utc,
        received_at=now.utc,
        received_ns=now.ns,
        client="main",
    )
    return attrs.evolve(push, **changes)


def events(since: int, now: int) -> Iterator[Event[UserTradeUpdate]]:
    """Yield what a subscription gets that begins at second *now*, with executions since *since*."""
    middle = (since + now) // 2
    yield event(*range(since, middle), source=Source.REST)
    yield event(*range(middle, now), source=Source.REST)
    for number in range(now, now + 10_000, 5):
        yield event(number, number + 1)
        # An outage: its two executions come when it is recovered, sometimes late.
        lost = Gap(reason=GapReason.DISCONNECTED, since=at(number + 1).utc, until=at(number + 3.5).utc)
        if number % 2:
            yield event(gap=lost)
        yield event(number + 4)
        yield event(number + 2, number + 3, source=Source.REST, recovered=lost)


def main(path: str) -> None:
    """Book until the end of the process."""
    with Journal(path) as journal:
        numbers = [int(trade.exec_id.partition("-")[2]) for trade in journal.trades()]
        complete = round((journal.complete_until - at(0).utc).total_seconds())
        # Before the first push it is the creation of the file, which is today, not at noon.
        since = max(complete, 0) if complete < 1_000_000 else 0
        # The clock goes on while nobody books.
        now = max(numbers, default=0) + 30
        for index, each in enumerate(events(since, now), 1):
            journal(attrs.evolve(each, index=index))
            for trade in each:
                print(trade.exec_id, flush=True)  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(sys.argv[1])
