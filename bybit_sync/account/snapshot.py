"""The state of an account at one moment, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs

from bybit_sync.account.rows import Rows
from bybit_sync.model.balances import BalanceUpdate, CoinBalance
from bybit_sync.model.enums import Category
from bybit_sync.model.orders import OrderUpdate
from bybit_sync.model.positions import PositionUpdate
from bybit_sync.model.record import EMPTY
from bybit_sync.model.trades import UserTradeUpdate
from bybit_sync.public import name_public

__all__ = ["AccountSnapshot", "PositionKey"]

PositionKey = tuple[Category | None, str, int]


@attrs.frozen(kw_only=True)
class AccountSnapshot:
    """An account at one moment; immutable.

    Made by `AccountView.snapshot`.

    Attributes:
        positions: The open positions by category, symbol and position_idx.
        orders: The open orders by order_id, in no order.
        balance: The totals, and every coin that is not zero; None before the first.
        trades: The latest executions, the newest last, each once.
        is_current: Whether nothing is known to be missing.
        as_of: The exchange's time up to which nothing is missing; None before the first
            snapshots.
        waits_for: What is missing, a text for each stream; () when it is current.
    """

    positions: Mapping[PositionKey, PositionUpdate] = attrs.field(default=EMPTY)
    orders: Mapping[str, OrderUpdate] = attrs.field(factory=Rows)
    balance: BalanceUpdate | None = None
    trades: tuple[UserTradeUpdate, ...] = ()
    is_current: bool = False
    as_of: datetime | None = None
    waits_for: tuple[str, ...] = ()
    _coins: Mapping[str, CoinBalance] = attrs.field(default=EMPTY, repr=False)
    _by_symbol: Mapping[str, tuple[PositionUpdate, ...]] = attrs.field(default=EMPTY, repr=False)

    def position(
        self, symbol: str, *, position_idx: int | None = None, category: Category | str | None = None
    ) -> PositionUpdate | None:
        """Return the open position of *symbol*; None when it is flat.

        Until the view is current, None may also mean that it was not read. A symbol
        that does not exist, such as btcusdt, is flat for ever.

        Raises `LookupError`, which names them, when several are open: give
        *position_idx* in hedge mode, *category* for contracts of the same name.
        """
        found = self._by_symbol.get(symbol)
        if found is None:
            return None
        if position_idx is not None:
            found = tuple([row for row in found if row.position_idx == position_idx])
        if category is not None:
            found = tuple([row for row in found if row.category == category])
        if len(found) > 1:
            raise LookupError(_ambiguous(symbol, found))
        return found[0] if found else None

    def coin(self, name: str) -> CoinBalance | None:
        """Return the balance of the coin *name*; None when it is zero."""
        return self._coins.get(name)


def _ambiguous(symbol: str, found: tuple[PositionUpdate, ...]) -> str:
    named = ", ".join(f"category={str(row.category)!r} position_idx={row.position_idx}" for row in found)
    return f"{symbol} has {len(found)} open positions: give one of {named}"


name_public(AccountSnapshot)
