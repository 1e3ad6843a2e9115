"""Applies events to the state of an account.

Pure: events in, state out; no clock, no thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timezone
from typing import Any, Final

import attrs

from bybit_sync.account import validity
from bybit_sync.account.rows import Rows
from bybit_sync.account.snapshot import AccountSnapshot
from bybit_sync.account.validity import Validity
from bybit_sync.errors import ProtocolError
from bybit_sync.model.balances import CoinBalance
from bybit_sync.model.events import AnyEvent, Event, Stream
from bybit_sync.model.orders import OrderUpdate
from bybit_sync.model.record import read_only
from bybit_sync.model.trades import UserTradeUpdate
from bybit_sync.recovery.balances import is_zero
from bybit_sync.recovery.precedence import ORDERS, POSITIONS, Rules, Version, is_older

__all__ = ["Reducer"]

# The ended orders, and the flat positions, whose versions are remembered at least: an
# older row that comes late does not open them again.
_REMEMBERED: Final = 1_000
# The most open rows of a stream. An account has a hundredth of them at most.
_MOST_OPEN: Final = 100_000
_LONG_AGO: Final = datetime.min.replace(tzinfo=timezone.utc)


class Reducer:
    """The state of an account after some events. One thread calls `take` and `lose`.

    `state` is replaced as a whole: any thread may read it.
    """

    def __init__(self, streams: Iterable[Stream], *, trades: int = 1_000) -> None:
        self.state: AccountSnapshot = AccountSnapshot()
        """Positions, orders, balance and trades; it does not say whether it is current.
        """
        # Trades have no beginning that would have to be read.
        self.validity: dict[Stream, Validity] = {stream: Validity(is_listed=stream is Stream.USER_TRADES) for stream in streams}
        """The validity of each stream; each value is replaced as a whole."""
        self.is_current: bool = False
        """True when nothing is known to be missing."""
        self.ended_orders: dict[str, OrderUpdate] = {}
        """The last rows of the orders that have ended lately, the oldest first."""
        self._most_trades = trades
        self._orders = _Versions(ORDERS)
        self._open_orders: Rows[str, OrderUpdate] = Rows()
        self._positions = _Versions(POSITIONS)
        self._traded: dict[tuple[Any, str], UserTradeUpdate] = {}
        self._apply = {
            Stream.POSITIONS: self._take_positions,
            Stream.ORDERS: self._take_orders,
            Stream.BALANCES: self._take_balances,
            Stream.USER_TRADES: self._take_trades,
        }

    def take(self, event: AnyEvent, *, is_live: bool = True) -> None:
        """Apply *event*; *is_live* is False while its stream has no connection.

        Raises `ProtocolError` when more is open than any account has.
        """
        stream = event.stream
        if event.gap is None:
            self._apply[stream](event)
        # Afterwards: the state must not count as current before it is.
        self._judge(stream, validity.after(self.validity[stream], event, is_live=is_live))

    def lose(self, stream: Stream, at: datetime | None) -> None:
        """Note that the connection of *stream*, complete until *at*, was lost."""
        self._judge(stream, validity.lost(self.validity[stream], at))

    def _judge(self, stream: Stream, known: Validity) -> None:
        if known is not self.validity[stream]:
            self.validity[stream] = known
            self.is_current = all(each.is_current for each in self.validity.values())

    # --- the streams ---

    def _take_positions(self, event: Event[Any]) -> None:
        state = AccountSnapshot() if event.snapshot else self.state
        positions, by_symbol = dict(state.positions), dict(state._by_symbol)  # noqa: SLF001 - kept for this file
        for row in self._positions.newer(event):
            others = tuple(other for other in by_symbol.pop(row.symbol, ()) if other.key != row.key)
            is_open = POSITIONS.is_open(row)
            if is_open:
                positions[row.key] = row
            else:
                positions.pop(row.key, None)
            if found := (*others, row) if is_open else others:
                by_symbol[row.symbol] = found
        self.state = attrs.evolve(self.state, positions=read_only(positions), by_symbol=read_only(by_symbol))

    def _take_orders(self, event: Event[Any]) -> None:
        rows = self._orders.newer(event)
        for row in rows:
            self.ended_orders.pop(row.order_id, None)
            if not ORDERS.is_open(row):
                self.ended_orders[row.order_id] = row
        if event.snapshot:
            orders = Rows[str, OrderUpdate]({row.order_id: row for row in rows if ORDERS.is_open(row)})
        else:
            orders = self._open_orders
            for row in rows:
                orders = orders.changed(row.order_id, row if ORDERS.is_open(row) else None)
        self._open_orders = orders
        self.state = attrs.evolve(self.state, orders=orders)
        self.ended_orders = _latest(self.ended_orders)

    def _take_balances(self, event: Event[Any]) -> None:
        coins: dict[str, CoinBalance] = {} if event.snapshot else dict(self.state._coins)  # noqa: SLF001 - kept for this file
        for row in event.data:
            for coin in row.coins:
                coins.pop(coin.coin, None)
                if not is_zero(coin):
                    coins[coin.coin] = coin
        _check_count(coins)
        if event.data:
            balance = attrs.evolve(event.data[-1], coins=tuple(coins.values()))
            self.state = attrs.evolve(self.state, balance=balance, coins=read_only(coins))

    def _take_trades(self, event: Event[Any]) -> None:
        new = {(row.category, row.exec_id): row for row in event.data}
        new = {key: row for key, row in new.items() if key not in self._traded}
        if not new or not self._most_trades:
            return
        in_order = _exec_time(next(iter(new.values()))) >= max(map(_exec_time, self.state.trades[-1:]), default=_LONG_AGO)
        self._traded.update(new)
        rows = (*self.state.trades, *new.values())
        if not in_order:
            # They were late: read after newer ones had been pushed.
            rows = tuple(sorted(rows, key=_exec_time))
        for row in rows[: -self._most_trades]:
            del self._traded[row.category, row.exec_id]
        self.state = attrs.evolve(self.state, trades=rows[-self._most_trades :])


class _Versions:
    """The versions of the rows that were applied last, the ended ones for a while."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._open: dict[Any, Version] = {}
        self._ended: dict[Any, Version] = {}

    def newer(self, event: Event[Any]) -> list[Any]:
        """Return the rows of *event* that are not older than those before.

        A snapshot has the newest ones.
        """
        rules, rows = self._rules, []
        if event.snapshot:
            # What it does not list has ended: older rows must not open it again.
            self._ended.update(self._open)
            self._open = {}
        for row in event.data:
            key, version = rules.key(row), rules.version(row)
            known = self._open.get(key) or self._ended.get(key)
            if known is not None and not event.snapshot and is_older(version, known):
                continue
            rows.append(row)
            self._open.pop(key, None)
            self._ended.pop(key, None)
            (self._open if rules.is_open(row) else self._ended)[key] = version
        _check_count(self._open)
        self._ended = _latest(self._ended)
        return rows


def _latest(rows: dict[Any, Any]) -> dict[Any, Any]:
    """Return *rows*, or a copy with the later half when there are too many.

    One at a time would be slow: a dict finds its first key slowly after many deletions.
    """
    return rows if len(rows) < 2 * _REMEMBERED else dict(list(rows.items())[_REMEMBERED:])


def _check_count(rows: Collection[Any]) -> None:
    if len(rows) > _MOST_OPEN:
        raise ProtocolError(f"the exchange names more than {_MOST_OPEN:,} open orders, positions or coins of one account")


def _exec_time(row: UserTradeUpdate) -> datetime:
    return row.exec_time or _LONG_AGO
