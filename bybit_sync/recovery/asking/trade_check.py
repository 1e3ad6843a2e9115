"""The check that no execution is missing: REST may list some of them late."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from bybit_sync.errors import RestError
from bybit_sync.model.positions import PositionUpdate
from bybit_sync.model.trades import UserTradeUpdate
from bybit_sync.recovery.asking.found_trades import FoundTrades, Symbol
from bybit_sync.recovery.asking.gathering import Gathering, rounds
from bybit_sync.recovery.asking.scopes import scopes
from bybit_sync.recovery.asking.steps import Ask, Asking
from bybit_sync.recovery.asking.times import instant
from bybit_sync.rest.endpoints import EXECUTIONS, POSITIONS
from bybit_sync.rest.windows import SPAN, Window

__all__ = ["TradeCheck"]

# The most orders, and the most symbols, that one check requests one by one.
_MOST_ASKED: Final = 10
_MOST_ROWS: Final = 1_000


class TradeCheck:
    """Compares executions with each other and with positions; reads what is missing.

    *found* are the executions of the window *whole* in *categories*; *gathering* notes
    the unreadable rows.
    """

    def __init__(self, gathering: Gathering, found: FoundTrades, whole: Window, categories: Sequence[str]) -> None:
        self._gathering = gathering
        self._found = found
        self._start = instant(whole.start)
        # A symbol's newest execution may be older than the window.
        self._lately = Window(max(whole.end - SPAN, 0), whole.end)
        self._categories = categories

    def run(self, symbols: Iterable[Symbol], waits: tuple[float, ...]) -> Asking[bool]:
        """Add the missing executions, and return whether some are still missing.

        *symbols* are checked besides those that have executions. The checks use other
        endpoints, whose refusals and errors do not fail the executions.
        """
        try:
            yield from self._fill_holes()
            wanted = yield from self._ahead(symbols)
            left = yield from rounds(wanted, lambda names: self._read_symbols(names, wanted), waits)
        except RestError:
            return True
        return bool(left)

    def _fill_holes(self) -> Asking[None]:
        for category, order_id in self._found.holed()[:_MOST_ASKED]:
            yield from self._read({"category": category, "orderId": order_id})

    def _ahead(self, symbols: Iterable[Symbol]) -> Asking[dict[Symbol, int]]:
        """Return the positions that are ahead of the executions, and their numbers."""
        newest = self._found.newest()
        positions = yield from self._positions({*newest, *symbols})
        ahead: dict[Symbol, int] = {}
        for row in positions:
            name = (str(row.category), row.symbol)
            is_new = row.updated_time is not None and row.updated_time >= self._start
            if is_new and row.seq is not None and row.seq > max(newest.get(name, -1), ahead.get(name, -1)):
                ahead[name] = row.seq
        return dict(sorted(ahead.items())[:_MOST_ASKED])

    def _positions(self, symbols: set[Symbol]) -> Asking[list[PositionUpdate]]:
        """Return the open positions, and those of *symbols* that are flat."""
        side, rows = Gathering(), list[PositionUpdate]()
        for scope in scopes(POSITIONS, self._categories):
            rows += yield from side.listing(Ask(POSITIONS, scope))
        listed = {(str(row.category), row.symbol) for row in rows}
        flat = [name for name in sorted(symbols - listed) if any(scopes(POSITIONS, name[:1]))]
        for category, symbol in flat[:_MOST_ASKED]:
            rows += yield from side.listing(Ask(POSITIONS, {"category": category, "symbol": symbol}))
        return rows

    def _read_symbols(self, symbols: Iterable[Symbol], wanted: Mapping[Symbol, int]) -> Asking[set[Symbol]]:
        """Read the executions of *symbols* again.

        Returns the symbols whose *wanted* sequence number is still missing.

        A change of settings moves a position without an execution: then the newest
        execution, which may be older than the window, has the position's number.
        """
        behind = set()
        for category, symbol in sorted(symbols):
            trades = yield from self._read({"category": category, "symbol": symbol})
            seqs = [trade.seq for trade in trades if trade.seq is not None]
            if max(seqs, default=-1) < wanted[category, symbol]:
                behind.add((category, symbol))
        return behind

    def _read(self, scope: Mapping[str, str]) -> Asking[Sequence[UserTradeUpdate]]:
        """Return the latest executions of *scope*, and keep those of the window."""
        ask = Ask(EXECUTIONS, {**scope, **self._lately.parameters}, self._is_enough)
        reply = yield ask
        trades: Sequence[UserTradeUpdate] = self._gathering.rows(reply)
        self._found.add(trade for trade in trades if trade.exec_time is not None and trade.exec_time >= self._start)
        return trades

    def _is_enough(self, trades: Sequence[UserTradeUpdate]) -> bool:
        oldest = trades[-1].exec_time if trades else None
        return len(trades) > _MOST_ROWS or (oldest is not None and oldest < self._start)
