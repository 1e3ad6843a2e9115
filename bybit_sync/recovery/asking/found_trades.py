"""Executions by their key, each once, and their orders and symbols."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from bybit_sync.model.trades import UserTradeUpdate

__all__ = ["FoundTrades", "Symbol"]

Symbol = tuple[str, str]
"""A category and a symbol."""
_NEVER: Final = datetime.fromtimestamp(0, timezone.utc)
_ZERO: Final = Decimal(0)


class FoundTrades:
    """The executions that a read has found so far."""

    def __init__(self) -> None:
        self._trades: dict[tuple[Any, ...], UserTradeUpdate] = {}

    def __len__(self) -> int:
        return len(self._trades)

    def add(self, trades: Iterable[UserTradeUpdate]) -> None:
        """Add *trades*; each is kept once."""
        self._trades.update(((trade.category, trade.exec_id), trade) for trade in trades)

    def in_order(self) -> list[UserTradeUpdate]:
        """Return them in the order of their execution."""
        # Parts of one match have one time and one seq; a later part leaves less.
        return sorted(
            self._trades.values(),
            key=lambda trade: (trade.exec_time or _NEVER, trade.seq or 0, -(trade.leaves_qty or _ZERO), trade.exec_id),
        )

    def newest(self) -> dict[Symbol, int]:
        """Return the newest sequence number of each symbol."""
        newest: dict[Symbol, int] = {}
        for trade in self._trades.values():
            name = (str(trade.category), trade.symbol or "")
            newest[name] = max(newest.get(name, -1), -1 if trade.seq is None else trade.seq)
        return newest

    def holed(self) -> list[tuple[str, str]]:
        """Return category and id of orders that lack an execution in the middle."""
        by_order: dict[tuple[str, str], list[UserTradeUpdate]] = {}
        for trade in self.in_order():
            if trade.order_id and trade.order_qty and trade.leaves_qty is not None:
                by_order.setdefault((str(trade.category), trade.order_id), []).append(trade)
        return [order for order, trades in by_order.items() if any(_has_hole(*pair) for pair in pairwise(trades))]


def _has_hole(earlier: UserTradeUpdate, later: UserTradeUpdate) -> bool:
    """Return whether an execution is missing between *earlier* and *later*."""
    return _executed(later) - _executed(earlier) > (later.exec_qty or _ZERO)


def _executed(trade: UserTradeUpdate) -> Decimal:
    return (trade.order_qty or _ZERO) - (trade.leaves_qty or _ZERO)
