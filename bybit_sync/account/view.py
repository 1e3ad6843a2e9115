"""The public account view: what is true now, and whether that is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

import attrs

from bybit_sync.account.snapshot import AccountSnapshot, PositionKey
from bybit_sync.config.arguments import not_negative, plain_callable
from bybit_sync.model.balances import BalanceUpdate, CoinBalance
from bybit_sync.model.enums import Category
from bybit_sync.model.events import AnyEvent, Stream
from bybit_sync.model.orders import OrderUpdate
from bybit_sync.model.positions import PositionUpdate
from bybit_sync.model.trades import UserTradeUpdate
from bybit_sync.public import name_public

if TYPE_CHECKING:
    from typing_extensions import Self

    from bybit_sync.account.receiver import ViewOwner

__all__ = ["AccountView"]


class AccountView:
    """Positions, open orders, balances and latest trades, as they are now.

    Made by `Client.account_view`. Every property may be read from any thread: it waits
    for nothing, and never shows half an event. Read `snapshot` where several of them
    have to fit together. It is a context manager that closes itself.

    Example:
        >>> client = Client("KEY", "SECRET", environment=exchange.url, recover=Recovery(base_url=exchange.rest_url))
        >>> with client, client.account_view() as view:
        ...     filled = account.fill(account.place_order("ETHUSDT", "Buy", qty="1.5", price="2000"))
        ...     print(view.wait_current(timeout=10), view.position("ETHUSDT").size)
        True 1.5

    """

    def __init__(
        self,
        owner: ViewOwner,
        streams: Iterable[Stream],
        on_change: Callable[[AccountView, AnyEvent], object] | None,
        *,
        trades: int,
    ) -> None:
        from bybit_sync.account.receiver import ViewReceiver  # noqa: PLC0415 - most clients have no view

        function = plain_callable("on_change", on_change)
        changed = None if function is None else partial(function, self)
        self._receiver = ViewReceiver(owner, streams, trades=trades, on_change=changed)

    # --- the account ---

    @property
    def positions(self) -> Mapping[PositionKey, PositionUpdate]:
        """Return the open positions by category, symbol and position_idx."""
        return self._receiver.reducer.state.positions

    @property
    def orders(self) -> Mapping[str, OrderUpdate]:
        """Return the open orders by order_id, in no order."""
        return self._receiver.reducer.state.orders

    @property
    def balance(self) -> BalanceUpdate | None:
        """Return the totals with every coin that is not zero; None before the first."""
        return self._receiver.reducer.state.balance

    @property
    def trades(self) -> tuple[UserTradeUpdate, ...]:
        """Return the latest executions since it was made, newest last, each once."""
        return self._receiver.reducer.state.trades

    def position(
        self, symbol: str, *, position_idx: int | None = None, category: Category | str | None = None
    ) -> PositionUpdate | None:
        """Return the open position of *symbol*; None when it is flat.

        Until the view is current, None may also mean that it was not read. A symbol
        that does not exist, such as btcusdt, is flat for ever.

        Raises `LookupError`, which names them, when several are open: give
        *position_idx* in hedge mode, *category* for contracts of the same name.
        """
        return self._receiver.reducer.state.position(symbol, position_idx=position_idx, category=category)

    def coin(self, name: str) -> CoinBalance | None:
        """Return the balance of the coin *name*; None when it is zero."""
        return self._receiver.reducer.state.coin(name)

    def snapshot(self) -> AccountSnapshot:
        """Return all of it as it is now, frozen."""
        # Before the state: it is then at least as new as what is said of it.
        is_current, as_of, waits_for = self.is_current, self.as_of, self.waits_for
        return attrs.evolve(self._receiver.reducer.state, is_current=is_current, as_of=as_of, waits_for=waits_for)

    # --- its validity ---

    @property
    def is_current(self) -> bool:
        """Return whether nothing is known to be missing.

        False from the moment an outage is noticed until it is mended, before the first
        snapshots, while an order is unresolved, and once it is closed.
        """
        return self._receiver.is_current

    @property
    def as_of(self) -> datetime | None:
        """Return the exchange's time up to which nothing is missing.

        It advances with each pong. Returns None before the first snapshots.
        """
        return self._receiver.as_of

    @property
    def waits_for(self) -> tuple[str, ...]:
        """Return what is missing, a text for each stream; () when it is current."""
        return self._receiver.waits_for

    def wait_current(self, timeout: float | None = None) -> bool:
        """Wait until it is current.

        Return False when *timeout* (in seconds, None: no limit) passes first.

        Raises:
            BybitSyncError: the error that ended one of its streams.
            SubscriptionClosed: it was closed.
            ConfigurationError: *timeout* is no number from 0 up, or this is the
                client's own thread.
            ClientClosed: this process was forked from the client's.

        """
        if timeout is not None:
            not_negative(self, "timeout", timeout)
        return self._receiver.wait(lambda: self.is_current, None if timeout is None else time.monotonic() + timeout)

    def refresh(self) -> None:
        """Read over REST what is missing, and the state of now.

        An outage is mended without it. It is for what was refused, once the reason is
        gone: a permission that the key has got since. Returns at once.

        Raises:
            ClientClosed: this process was forked from the client's.

        """
        self._receiver.refresh()

    # --- the end ---

    def close(self, timeout: float = 5.0) -> bool:
        """End its subscriptions; the last state can still be read, and is not current.

        Waits up to *timeout* seconds until `on_change` has had every event, as
        `Subscription.close` does for a callback. Returns False if it still ran then.
        """
        not_negative(self, "timeout", timeout)
        return self._receiver.close(time.monotonic() + timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        state, as_of = self._receiver.reducer.state, self.as_of
        missing = "; ".join(self.waits_for)
        facts = [
            f"waits for {missing}" if missing else "current",
            f"as of {as_of:%H:%M:%S}" if as_of is not None else "not begun",
            f"{len(state.positions)} positions, {len(state.orders)} orders, {len(state.trades)} trades",
        ]
        return f"<AccountView of {self._receiver.owner.name}: {', '.join(facts)}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an AccountView cannot be pickled or copied: pickle its snapshot()")


name_public(AccountView)
