"""The executions since an instant: all, oldest first, in parts of bounded size."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bybit_sync.model.trades import UserTradeUpdate
from bybit_sync.recovery.asking.found_trades import FoundTrades
from bybit_sync.recovery.asking.gathering import Gathering
from bybit_sync.recovery.asking.scopes import scopes
from bybit_sync.recovery.asking.steps import Ask, Asking
from bybit_sync.recovery.asking.times import instant, window
from bybit_sync.recovery.asking.trade_check import TradeCheck
from bybit_sync.recovery.wants import Answered, Want
from bybit_sync.rest.endpoints import EXECUTIONS
from bybit_sync.rest.windows import SPAN, Window

__all__ = ["MOST_ROWS", "read"]

MOST_ROWS: Final = 2_000
"""The executions after which an answer ends, and the most of one listing."""


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
    """Add executions to *found*; return the time up to which, None for all.

    The rows of a window come newest first, so it must be read to its end: a window with
    too many is halved, and after one with few the windows grow.
    """
    start, span = whole.start, SPAN
    while True:
        part = Window(start, min(whole.end, start + span))
        rows = yield from _read_window(gathering, part, gathering.open_categories(categories))
        if rows is None:
            span = (part.end - part.start) // 2
            continue
        found.add(rows)
        if part.end == whole.end:
            return None
        start = part.end
        if len(found) >= MOST_ROWS:
            return instant(start)
        if len(rows) < MOST_ROWS // 4:
            span = min(2 * span, SPAN)


def _read_window(gathering: Gathering, part: Window, categories: Sequence[str]) -> Asking[list[UserTradeUpdate] | None]:
    """Return the executions within *part*; None when it must be halved.

    They are too many, or incomplete.
    """
    rows: list[UserTradeUpdate] = []
    for scope in scopes(EXECUTIONS, categories):
        parameters: dict[str, str | int] = {**scope, **part.parameters}
        if part.halves() is None:
            rows += yield from gathering.listing(Ask(EXECUTIONS, parameters))
            continue
        reply = yield from gathering.ask(Ask(EXECUTIONS, parameters, lambda rows: len(rows) > MOST_ROWS))
        if not reply.is_complete:
            return None
        rows += gathering.rows(reply)
    return rows
