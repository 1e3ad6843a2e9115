"""The rows of an account as events change them, stale ones and gaps.

Pure: events in, rows out; no clock, no terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import attrs

from bybit_sync.model.balances import BalanceUpdate
from bybit_sync.model.enums import OrderStatus
from bybit_sync.model.events import AnyEvent, Gap, GapReason, Stream

__all__ = ["Board", "Row", "Total"]

# The number of finished orders that are remembered, so that a late or repeated update
# does not show one as open; and the number of trades that are shown.
FINISHED_KEPT: Final = 1_000
TRADES_KEPT: Final = 200

_FINAL: Final = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELLED,
        OrderStatus.REJECTED,
        OrderStatus.DEACTIVATED,
        OrderStatus.PARTIALLY_FILLED_CANCELED,
    }
)


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
        self._tables: Mapping[Stream, _Table] = {stream: _TABLES[stream]() for stream in streams}
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
        return tuple(self._tables)

    @property
    def has_stale(self) -> bool:
        """True while any row is stale."""
        return any(row.stale for table in self._tables.values() for row in table.rows())

    def rows(self, stream: Stream) -> Sequence[Row]:
        """Return the rows of *stream*, the most interesting first."""
        return self._tables[stream].rows()

    def take(self, event: AnyEvent) -> None:
        """Apply *event* to the rows and counters."""
        table = self._tables.get(event.stream)
        if table is None:
            return
        if event.gap is not None:
            self._lose(event.stream, event.gap, table)
            return
        self.events += 1
        self.updates += len(event.data)
        if event.snapshot:
            self.listed.add(event.stream)
            table.clear()
        for update in event.data:
            table.put(update)
        table.doubt_orders(event.unresolved)
        if event.recovered is not None:
            self.recovered += 1
            table.mend(event.recovered)

    def _lose(self, stream: Stream, gap: Gap, table: _Table) -> None:
        self.gaps += 1
        if gap.reason is GapReason.ENDED:
            self.ended[stream] = gap
        table.doubt(gap)


# --- a table per stream ---


class _Table:
    """Rows by key: an update replaces the row before."""

    def __init__(self) -> None:
        self._rows: dict[Hashable, Row] = {}

    def put(self, update: Any) -> None:
        """Add *update*."""
        self._replace(update.key, update)

    def clear(self) -> None:
        """Remove every row: a snapshot has all that there are."""
        self._rows = {}

    def doubt_orders(self, ids: Iterable[str]) -> None:
        """Mark the orders *ids* as stale: their present state is unknown."""

    def mend(self, window: Gap) -> None:
        """Forget the gaps inside *window*."""

    def doubt(self, _gap: Gap) -> None:
        """Mark every row as stale."""
        self._rows = {key: attrs.evolve(row, stale=True) for key, row in self._rows.items()}

    def rows(self) -> Sequence[Row]:
        """Return the rows in the order in which they are shown."""
        return list(self._rows.values())

    def _replace(self, key: Hashable, update: Any) -> None:
        self._rows[key] = Row(update)


class _Positions(_Table):
    """Positions, the open ones first; a closed one stays as flat."""

    def put(self, update: Any) -> None:
        known = self._rows.get(update.key)
        if known is None or not _is_older(update.updated_time, known.update.updated_time):
            self._replace(update.key, update)

    def rows(self) -> Sequence[Row]:
        return sorted(self._rows.values(), key=lambda row: (not row.update.size, row.update.symbol, row.update.position_idx))


class _Orders(_Table):
    """Open orders, the latest change first."""

    def __init__(self) -> None:
        super().__init__()
        self._finished: dict[Hashable, None] = {}

    def put(self, update: Any) -> None:
        known = self._rows.get(update.key)
        if update.key in self._finished or (known and _is_older(update.updated_time, known.update.updated_time)):
            return
        # The latest change is the last key.
        self._rows.pop(update.key, None)
        if update.order_status in _FINAL:
            _remember(self._finished, update.key, FINISHED_KEPT)
        else:
            self._replace(update.key, update)

    def doubt_orders(self, ids: Iterable[str]) -> None:
        known = [(order_id,) for order_id in ids if (order_id,) in self._rows]
        self._rows.update({key: attrs.evolve(self._rows[key], stale=True) for key in known})

    def rows(self) -> Sequence[Row]:
        return list(self._rows.values())[::-1]


class _Trades(_Table):
    """Trades, the latest first, each once; a gap is a row between them."""

    def __init__(self) -> None:
        super().__init__()
        self._gaps = 0

    def put(self, update: Any) -> None:
        if update.key not in self._rows:
            self._append(update.key, update)

    def doubt(self, gap: Gap) -> None:
        self._gaps += 1
        self._append(self._gaps, gap)

    def mend(self, window: Gap) -> None:
        gaps = [key for key, row in self._rows.items() if isinstance(row.update, Gap) and _mends(window, row.update)]
        for key in gaps:
            del self._rows[key]

    def rows(self) -> Sequence[Row]:
        return list(self._rows.values())[::-1]

    def _append(self, key: Hashable, update: Any) -> None:
        self._replace(key, update)
        while len(self._rows) > TRADES_KEPT:
            del self._rows[next(iter(self._rows))]


class _Balances(_Table):
    """The account and its coins; coins that were not sent stay."""

    def put(self, update: Any) -> None:
        if update.total_equity is not None or update.total_wallet_balance is not None:
            self._replace((update.account_type, ""), Total.of(update))
        for coin in update.coins:
            self._replace((update.account_type, coin.coin), coin)

    def rows(self) -> Sequence[Row]:
        return [row for _, row in sorted(self._rows.items(), key=lambda item: tuple(map(str, item[0])))]  # type: ignore[call-overload]


_TABLES: Final[Mapping[Stream, Callable[[], _Table]]] = {
    Stream.POSITIONS: _Positions,
    Stream.ORDERS: _Orders,
    Stream.USER_TRADES: _Trades,
    Stream.BALANCES: _Balances,
}


def _mends(window: Gap, gap: Gap) -> bool:
    """Return whether an event that recovers *window* closes *gap*."""
    dropped = gap.reason is GapReason.OVERFLOW and window.reason is not GapReason.OVERFLOW
    return not dropped and window.since <= gap.since and gap.until <= window.until


def _is_older(new: datetime | None, known: datetime | None) -> bool:
    return new is not None and known is not None and new < known


def _remember(keys: dict[Hashable, None], key: Hashable, most: int) -> None:
    keys[key] = None
    while len(keys) > most:
        del keys[next(iter(keys))]
