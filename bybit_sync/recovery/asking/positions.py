"""The positions: the open ones, and the flat rows of those that were open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bybit_sync.errors import RestError
from bybit_sync.model.enums import ExecType
from bybit_sync.model.positions import PositionUpdate
from bybit_sync.model.trades import UserTradeUpdate
from bybit_sync.recovery.asking.found_trades import FoundTrades, Symbol
from bybit_sync.recovery.asking.gathering import Gathering, rounds
from bybit_sync.recovery.asking.scopes import scopes
from bybit_sync.recovery.asking.steps import Ask, Asking
from bybit_sync.recovery.asking.times import window
from bybit_sync.recovery.precedence import POSITIONS as RULES
from bybit_sync.recovery.precedence import Newest
from bybit_sync.recovery.wants import Answered, Known, Want
from bybit_sync.rest.endpoints import EXECUTIONS, POSITIONS
from bybit_sync.rest.windows import SPAN, Window

__all__ = ["read"]

_MOST_ASKED: Final = 10
# The executions that are known to move the sequence number of a position.
_MOVING: Final = (ExecType.TRADE, ExecType.FUNDING)


def read(want: Want, categories: Sequence[str], now: datetime, waits: tuple[float, ...]) -> Asking[Answered]:
    """Return the open positions, and a flat row of each known one that is not open.

    With ``want.since`` they are compared with the executions since then. `unresolved`
    are known ones of which the exchange has no row: it has changed the mode of the
    symbol, or the contract is gone.
    """
    reading = _Reading()
    for scope in scopes(POSITIONS, categories):
        reading.add((yield from reading.gathering.listing(Ask(POSITIONS, scope))))
    asked = [known for known in want.known if known.category in reading.gathering.open_categories(categories)]
    yield from reading.ask_for({(known.category, known.symbol) for known in asked if not reading.has(known)})
    lags = False
    if want.since is not None:
        lags = yield from reading.check(window(want.since, now), categories, waits)
    return reading.answered(asked, lags=lags)


class _Reading:
    """The newest row of each position that was found."""

    def __init__(self) -> None:
        self.gathering = Gathering()
        newest = Newest(RULES)
        self.add = newest.add
        self._rows: Mapping[Any, PositionUpdate] = newest.rows

    def has(self, known: Known) -> bool:
        """Return whether there is a row of *known*."""
        return any(_is_of(row, known) for row in self._rows.values())

    def ask_for(self, symbols: Iterable[Symbol]) -> Asking[None]:
        """Request each of *symbols*: the reply has all legs, flat ones too."""
        for category, symbol in sorted(symbols):
            self.add((yield from self.gathering.alone(Ask(POSITIONS, {"category": category, "symbol": symbol}))))

    def check(self, whole: Window, categories: Sequence[str], waits: tuple[float, ...]) -> Asking[bool]:
        """Request again positions that are older than their executions.

        Returns whether some still are. An error of the executions does not fail the
        positions.
        """
        try:
            traded = yield from _traded(whole, self.gathering.open_categories(categories))
            left = yield from rounds(self._behind(traded), lambda names: self._ask_again(names, traded), waits)
        except RestError:
            return True
        return bool(left)

    def _ask_again(self, symbols: set[Symbol], traded: Mapping[Symbol, int]) -> Asking[set[Symbol]]:
        yield from self.ask_for(sorted(symbols)[:_MOST_ASKED])
        return symbols & self._behind(traded)

    def _behind(self, traded: Mapping[Symbol, int]) -> set[Symbol]:
        newest = dict.fromkeys(traded, -1)
        for row in self._rows.values():
            name = (str(row.category), row.symbol)
            newest[name] = max(newest.get(name, -1), -1 if row.seq is None else row.seq)
        return {name for name, seq in traded.items() if newest[name] < seq}

    def answered(self, asked: Sequence[Known], *, lags: bool) -> Answered:
        """Return the answer: open positions, and flat ones that were requested."""
        opened = [row for row in self._rows.values() if RULES.is_open(row)]
        flat = [row for row in self._rows.values() if not RULES.is_open(row) and any(_is_of(row, known) for known in asked)]
        unresolved = tuple(known for known in asked if not self.has(known))
        return self.gathering.answered([*opened, *flat], unresolved=unresolved, lags=lags)


def _is_of(row: PositionUpdate, known: Known) -> bool:
    is_leg = known.id in ("", str(row.position_idx))
    return is_leg and (row.category, row.symbol) == (known.category, known.symbol)


def _traded(whole: Window, categories: Sequence[str]) -> Asking[dict[Symbol, int]]:
    """Return the newest sequence number of each symbol that was traded lately.

    One page of each category is read.
    """
    side, found = Gathering(), FoundTrades()
    lately = Window(max(whole.start, whole.end - SPAN), whole.end)
    for scope in scopes(EXECUTIONS, categories):
        rows = yield from side.listing(Ask(EXECUTIONS, {**scope, **lately.parameters}, _is_enough))
        found.add(row for row in rows if row.exec_type in _MOVING)
    return found.newest()


def _is_enough(trades: Sequence[UserTradeUpdate]) -> bool:
    return bool(trades)
