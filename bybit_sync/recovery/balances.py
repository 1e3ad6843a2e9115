"""The coins that a subscription has received.

Balances have no sequence numbers: only times show which of two is newer.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import attrs

from bybit_sync.model.balances import BalanceUpdate, CoinBalance
from bybit_sync.model.events import Event, Gap, GapReason
from bybit_sync.recovery.memory import FILTERED_NS, Merged
from bybit_sync.recovery.wants import Answered, Known

__all__ = ["BalanceMemory", "is_zero"]

# The clocks of two hosts of the exchange differ: a push this close to a request may be
# older or newer than its answer.
_MOST_COINS: Final = 10_000
_MARGIN: Final = timedelta(seconds=1)
# The amounts that change with a mark price, without an event of the account.
_MOVING: Final = frozenset(
    {
        "equity",
        "usd_value",
        "unrealised_pnl",
        "cum_realised_pnl",
        "total_position_im",
        "total_position_mm",
        "available_to_withdraw",
        "available_to_borrow",
        "available_balance",
        "position_margin",
    }
)
_TEXTS: Final = {"coin", "extra", "wire"}
_COMPARED: Final = tuple(a.name for a in attrs.fields(CoinBalance) if a.name not in _MOVING | _TEXTS)
_AMOUNTS: Final = tuple(a.name for a in attrs.fields(CoinBalance) if a.name in {"equity", "wallet_balance", "borrow_amount"})


class BalanceMemory:
    """The coins as last delivered, each with the exchange's time of its last push."""

    is_state: bool = True

    def __init__(self) -> None:
        self._coins: dict[str, CoinBalance] = {}
        self._pushed: dict[str, datetime] = {}
        # Pushes from before the first are left out until the second (ns).
        self._after: datetime | None = None
        self._after_until = 0
        self._dropped = False

    def admit(self, event: Event[BalanceUpdate]) -> Event[BalanceUpdate] | None:
        """Return *event*; None when it is older than the request of the last read."""
        if self._after is not None and self._is_before_read(event):
            return None
        for row in event.data:
            for coin in row.coins:
                self._coins[coin.coin] = coin
                if event.created_at is not None:
                    self._pushed[coin.coin] = event.created_at
        if len(self._coins) > _MOST_COINS:
            self._coins = dict(list(self._coins.items())[_MOST_COINS // 2 :])
            self._pushed = {name: at for name, at in self._pushed.items() if name in self._coins}
        return event

    def _is_before_read(self, event: Event[BalanceUpdate]) -> bool:
        if event.received_ns > self._after_until:
            self._after = None
        return self._after is not None and event.created_at is not None and event.created_at < self._after

    def forget(self, event: Event[BalanceUpdate]) -> None:  # noqa: ARG002
        """Note that an event was dropped: the next snapshot is news."""
        self._dropped = True

    def known(self) -> tuple[Known, ...]:
        """Return the coins that are not zero."""
        return tuple(Known("", "", name) for name, coin in self._coins.items() if not is_zero(coin))

    def begin(self, at: datetime) -> datetime:
        """Return *at*, the time of the confirmation: it begins with a snapshot."""
        return at

    def since(self, gap: Gap, overlap: timedelta) -> None:  # noqa: ARG002
        """Return None: balances are read as they are now."""
        return

    def keep(self, gap: Gap, overlap: timedelta, now_ns: int) -> None:  # noqa: ARG002
        """Note an outage: no push from before it is newer than a read after it."""
        if gap.reason is GapReason.DISCONNECTED:
            self._pushed.clear()

    def release(self) -> None:
        """Do nothing."""

    def merge(
        self,
        answered: Answered,
        held: Iterable[Event[BalanceUpdate]],  # noqa: ARG002 - they follow
        now_ns: int,
    ) -> Merged:
        """Return the row of *answered*, with the coins pushed since its request."""
        if not answered.rows:
            return Merged((), is_news=False, is_unread=True)
        after = answered.asked_at - _MARGIN
        rows: list[BalanceUpdate] = []
        coins: dict[str, CoinBalance] = {}
        for row in answered.rows:
            coins = {coin.coin: coin for coin in row.coins}
            coins.update({name: coin for name, coin in self._coins.items() if self._is_pushed(name, after)})
            rows.append(attrs.evolve(row, coins=tuple(coins.values())))
        is_news = self._dropped or any(_differ(self._coins.get(n), coins.get(n)) for n in {*self._coins, *coins})
        self._coins, self._dropped = coins, False
        self._after, self._after_until = after, now_ns + FILTERED_NS
        return Merged(tuple(rows), is_news)

    def _is_pushed(self, name: str, after: datetime) -> bool:
        return name in self._pushed and self._pushed[name] >= after


def is_zero(coin: CoinBalance) -> bool:
    """Return whether nothing of *coin* is held or borrowed."""
    return not any(getattr(coin, name) for name in _AMOUNTS)


def _differ(mine: CoinBalance | None, other: CoinBalance | None) -> bool:
    """Return whether two rows of a coin have different amounts; none means zero."""
    return any(_amount(mine, name) != _amount(other, name) for name in _COMPARED)


def _amount(coin: CoinBalance | None, name: str) -> Any:
    # The exchange writes nothing as "", as "0" or not at all, depending on the source.
    value = None if coin is None else getattr(coin, name)
    return value if value is not None else Decimal(0)
