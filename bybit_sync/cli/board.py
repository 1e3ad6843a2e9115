"""The rows of an account as a screen shows them, with counters.

Pure: events in, rows out; no clock, no terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, Final

import attrs

from bybit_sync.account.reducer import Reducer
from bybit_sync.account.snapshot import AccountSnapshot
from bybit_sync.model.balances import BalanceUpdate
from bybit_sync.model.events import AnyEvent, Gap, GapReason, Stream

__all__ = ["Board", "Row", "Total", "ordered"]

# The number of trades that are shown.
TRADES_KEPT: Final = 200
_LONG_AGO: Final = datetime.min.replace(tzinfo=timezone.utc)


@attrs.frozen
class Row:
    """A row of a table.

    *update* is the latest update, *stale* is True after a later gap. A gap may be a row
    too.
    """

    update: Any
    stale: bool = False


@attrs.frozen
class Total:
    """The totals of an account, as a row among its coins."""

    coin: str
    wallet_balance: Decimal | None
    equity: Decimal | None
    unrealised_pnl: Decimal | None
    usd_value: Decimal | None = None
    cum_realised_pnl: Decimal | None = None
    total_position_im: Decimal | None = None
    total_order_im: Decimal | None = None

    @classmethod
    def of(cls, account: BalanceUpdate) -> Total:
        """Return the totals of *account*, in USD."""
        return cls(
            coin=f"{account.account_type} USD",
            wallet_balance=account.total_wallet_balance,
            equity=account.total_equity,
            unrealised_pnl=account.total_perp_upl,
            total_position_im=account.total_initial_margin,
        )


class Board:
    """The rows of some streams, and counters. One thread."""

    def __init__(self, streams: Iterable[Stream]) -> None:
        self._reducer = Reducer(streams, trades=TRADES_KEPT)
        # The rows that were there at a gap which nothing has mended. One that was
        # updated since is another object.
        self._stale: dict[Stream, dict[Hashable, Any]] = {stream: {} for stream in self._reducer.validity}
        self.events: int = 0
        """The number of pushes, without gaps."""
        self.updates: int = 0
        """The number of rows in these pushes."""
        self.gaps: int = 0
        self.recovered: int = 0
        """The number of events that mended an outage."""
        self.listed: set[Stream] = set()
        """The streams of which a snapshot has come."""
        self.ended: dict[Stream, Gap] = {}
        """The streams that have ended by themselves, each with its gap."""

    @property
    def streams(self) -> Sequence[Stream]:
        """The streams that are shown, in order."""
        return tuple(self._stale)

    @property
    def has_stale(self) -> bool:
        """True while any row is stale."""
        return any(row.stale for stream in self._stale for row in self.rows(stream))

    def rows(self, stream: Stream) -> Sequence[Row]:
        """Return the rows of *stream*, the most interesting first."""
        rows = ordered(self._reducer.state, stream)
        if stream is Stream.USER_TRADES:
            return self._with_gaps(rows)
        stale, unresolved = self._stale[stream], self._reducer.validity[stream].unresolved
        return [Row(_shown(row), stale.get(key) is row or key in unresolved) for key, row in rows]

    def _with_gaps(self, trades: Iterable[tuple[Hashable, Any]]) -> Sequence[Row]:
        """Return *trades*, which are never stale, and the gaps between them."""
        gaps = self._reducer.validity[Stream.USER_TRADES].gaps
        rows = [(trade.exec_time or _LONG_AGO, trade) for _, trade in trades] + [(gap.until, gap) for gap in gaps]
        return [Row(row) for _, row in sorted(rows, key=lambda timed: timed[0], reverse=True)][:TRADES_KEPT]

    def take(self, event: AnyEvent) -> None:
        """Apply *event* to the rows and counters."""
        stream = event.stream
        if stream not in self._stale:
            return
        self._reducer.take(event)
        if event.gap is not None:
            self._lose(stream, event.gap)
            return
        self.events += 1
        self.updates += len(event.data)
        self.recovered += event.recovered is not None
        if event.snapshot:
            self.listed.add(stream)
        if not self._reducer.validity[stream].gaps:
            self._stale[stream] = {}

    def _lose(self, stream: Stream, gap: Gap) -> None:
        self.gaps += 1
        self._stale[stream] = dict(ordered(self._reducer.state, stream))
        if gap.reason is GapReason.ENDED:
            self.ended[stream] = gap


# --- the order of the rows ---


def ordered(account: AccountSnapshot, stream: Stream) -> Iterator[tuple[Hashable, Any]]:
    """Yield the rows of *stream* by key, the most interesting first.

    The totals of the account come before its coins, as a `BalanceUpdate`.
    """
    return _ORDERS[stream](account)


def _positions(account: AccountSnapshot) -> Iterator[tuple[Hashable, Any]]:
    yield from sorted(account.positions.items(), key=lambda item: (item[1].symbol, item[1].position_idx))


def _orders(account: AccountSnapshot) -> Iterator[tuple[Hashable, Any]]:
    """Yield the open orders, the latest change first."""
    latest = sorted(account.orders.values(), key=lambda row: (row.updated_time or _LONG_AGO, row.order_id), reverse=True)
    return ((row.order_id, row) for row in latest)


def _trades(account: AccountSnapshot) -> Iterator[tuple[Hashable, Any]]:
    return ((row.exec_id, row) for row in reversed(account.trades))


def _balances(account: AccountSnapshot) -> Iterator[tuple[Hashable, Any]]:
    if account.balance is not None:
        if account.balance.total_equity is not None or account.balance.total_wallet_balance is not None:
            yield "", account.balance
        yield from ((coin.coin, coin) for coin in sorted(account.balance.coins, key=lambda coin: coin.coin))


_ORDERS: Final[Mapping[Stream, Callable[[AccountSnapshot], Iterator[tuple[Hashable, Any]]]]] = {
    Stream.POSITIONS: _positions,
    Stream.ORDERS: _orders,
    Stream.USER_TRADES: _trades,
    Stream.BALANCES: _balances,
}


def _shown(row: Any) -> Any:
    return Total.of(row) if isinstance(row, BalanceUpdate) else row
