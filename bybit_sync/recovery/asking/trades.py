"""The executions since an instant: all, oldest first, in parts of bounded size."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from attrs import frozen

from bybit_sync.model.trades import UserTradeUpdate
from bybit_sync.recovery.asking.found_trades import FoundTrades
from bybit_sync.recovery.asking.gathering import Gathering
from bybit_sync.recovery.asking.pace import Pace
from bybit_sync.recovery.asking.scopes import scopes
from bybit_sync.recovery.asking.steps import Ask, Asking
from bybit_sync.recovery.asking.times import instant, ms, window
from bybit_sync.recovery.asking.trade_check import TradeCheck
from bybit_sync.recovery.wants import Answered, Want
from bybit_sync.rest.endpoints import EXECUTIONS
from bybit_sync.rest.windows import Window

__all__ = ["MOST_ANSWERED", "MOST_ROWS", "read"]

MOST_ROWS: Final = 2_000
"""The most executions of one listing that are held."""
MOST_ANSWERED: Final = 5_000
"""The executions after which an answer ends."""


def read(want: Want, categories: Sequence[str], now: datetime, waits: tuple[float, ...]) -> Asking[Answered]:
    """Return every execution since ``want.since``, or the first of very many."""
    assert want.since is not None
    gathering, found = Gathering(), FoundTrades()
    whole = window(want.since, now)
    until = yield from _read_windows(gathering, found, whole, categories)
    lags = False
    if until is None:
        check = TradeCheck(gathering, found, whole, gathering.open_categories(categories))
        lags = yield from check.run([(known.category, known.symbol) for known in want.known], waits)
    return gathering.answered(found.in_order(), until=until, lags=lags)


def _read_windows(
    gathering: Gathering, found: FoundTrades, whole: Window, categories: Sequence[str]
) -> Asking[datetime | None]:
    """Add executions to *found*; return the time up to which, None for all."""
    pace = Pace(whole, MOST_ROWS)
    while True:
        part = pace.window()
        rows = yield from _read_window(gathering, part, gathering.open_categories(categories))
        if isinstance(rows, _TooMany):
            pace.shorten(part, rows.read)
            continue
        found.add(rows)
        pace.advance(part, len(rows))
        if pace.is_done:
            return None
        if len(found) >= MOST_ANSWERED:
            return instant(pace.at)


@frozen
class _TooMany:
    """The rows of a window are too many, or incomplete; those in *read* were read."""

    read: Window | None


def _read_window(gathering: Gathering, part: Window, categories: Sequence[str]) -> Asking[list[UserTradeUpdate] | _TooMany]:
    """Return the executions within *part*, unless it has to be shortened."""
    rows: list[UserTradeUpdate] = []
    for scope in scopes(EXECUTIONS, categories):
        parameters: dict[str, str | int] = {**scope, **part.parameters}
        if part.halves() is None:
            rows += yield from gathering.listing(Ask(EXECUTIONS, parameters))
            continue
        reply = yield from gathering.ask(Ask(EXECUTIONS, parameters, lambda rows: len(rows) > MOST_ROWS))
        if not reply.is_complete:
            times = [ms(row.exec_time) for row in reply.rows if row.exec_time is not None]
            return _TooMany(Window(min(times), max(times)) if times else None)
        rows += gathering.rows(reply)
    return rows
