"""The orders: those that ended in a window, and those that are open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from typing import Final

from attrs import frozen

from bybit_sync.errors import RestError
from bybit_sync.model.enums import ExecType
from bybit_sync.model.orders import OrderUpdate
from bybit_sync.model.trades import UserTradeUpdate
from bybit_sync.recovery.asking.gathering import Gathering, rounds
from bybit_sync.recovery.asking.scopes import FILTERS, scopes
from bybit_sync.recovery.asking.steps import Ask, Asking
from bybit_sync.recovery.asking.times import ms, window
from bybit_sync.recovery.precedence import FINAL, Newest
from bybit_sync.recovery.precedence import ORDERS as RULES
from bybit_sync.recovery.wants import Answered, Known, Want
from bybit_sync.rest.endpoints import EXECUTIONS, OPEN_ORDERS, ORDER_HISTORY
from bybit_sync.rest.windows import SPAN, Window

__all__ = ["read"]

_MOST_ASKED: Final = 20
_MOST_TRADES: Final = 200
_NEVER: Final = datetime.fromtimestamp(0, timezone.utc)
_ZERO: Final = Decimal(0)
_SECOND: Final = timedelta(seconds=1)


@frozen
class _Traded:
    """An order, of which the quantity *executed* was executed lately."""

    known: Known
    executed: Decimal


Traded = Mapping[str, _Traded]


def read(want: Want, categories: Sequence[str], now: datetime, waits: tuple[float, ...]) -> Asking[Answered]:
    """Return the orders that ended since ``want.since``, then the open ones.

    `unresolved` are known orders that no list has, not even by their ids, or whose
    category is refused: they do not count as cancelled.
    """
    reading = _Reading(want, categories, now)
    # Open ones before those that have ended: an order that ends in between is in both.
    yield from reading.read_open()
    if want.since is not None:
        yield from reading.read_ended(want.since)
        yield from reading.read_traded(window(want.since, now))
    yield from rounds(reading.missing(), reading.look_for, waits)
    return reading.answered()


class _Reading:
    """The newest row of each order that was found, and their executions."""

    def __init__(self, want: Want, categories: Sequence[str], now: datetime) -> None:
        self._gathering = Gathering()
        self._want = want
        self._categories = categories
        self._now = now
        newest = Newest(RULES)
        self._add = newest.add
        self._rows: Mapping[str, OrderUpdate] = newest.rows
        self._traded: Traded = {}
        # True when the executions could not be compared.
        self._is_unsure = False

    def _open_categories(self) -> list[str]:
        return self._gathering.open_categories(self._categories)

    # --- listings ---

    def read_open(self) -> Asking[None]:
        """Read the open orders, conditional ones too."""
        for scope in scopes(OPEN_ORDERS, self._categories):
            for kind in FILTERS[scope["category"]]:
                self._add((yield from self._gathering.listing(Ask(OPEN_ORDERS, {**scope, "openOnly": 0, **kind}))))

    def read_ended(self, since: datetime) -> Asking[None]:
        """Read the ended orders that were created since *since*, and the latest ones.

        The history may lag; the other list has the latest 500 of a category.
        """
        for scope in scopes(ORDER_HISTORY, self._open_categories()):
            for kind in FILTERS[scope["category"]]:
                ask = Ask(ORDER_HISTORY, {**scope, **kind})
                self._add((yield from self._gathering.history(ask, window(since, self._now))))
        for scope in scopes(OPEN_ORDERS, self._open_categories()):
            ask = Ask(OPEN_ORDERS, {**scope, "openOnly": 1}, partial(self._is_enough, scope["category"]))
            self._add((yield from self._gathering.listing(ask)))

    def _is_enough(self, category: str, orders: Sequence[OrderUpdate]) -> bool:
        """Return whether nothing new is expected after *orders* of the latest list.

        The newest come first. Of those that were created before the window, only the
        known ones are wanted.
        """
        page = orders[-OPEN_ORDERS.page_size :]
        is_new = any(row.order_id not in self._rows and self._is_created_since(row) for row in page)
        ids = {row.order_id for row in orders}
        return not is_new and all(known.id in ids for known in self._unfound() if known.category == category)

    def _is_created_since(self, row: OrderUpdate) -> bool:
        since = self._want.since
        return since is None or row.created_time is None or row.created_time >= since

    def read_traded(self, whole: Window) -> Asking[None]:
        """Read the latest executions, to compare the orders with them.

        A refusal of the executions does not fail the orders.
        """
        try:
            self._traded = yield from _traded(whole, self._open_categories())
        except RestError:
            self._is_unsure = True

    # --- what is missing ---

    def missing(self) -> set[Known]:
        """Return the orders that must be requested by their ids."""
        categories = self._open_categories()
        behind = [traded.known for traded in self._traded.values() if self._is_behind(traded)]
        missing = {known.id: known for known in behind[:_MOST_ASKED]}
        missing.update((known.id, known) for known in self._unfound() if known.category in categories)
        return set(missing.values())

    def _unfound(self) -> list[Known]:
        """Return the known orders that were not found."""
        return [known for known in self._want.known if known.id not in self._rows]

    def _is_behind(self, traded: _Traded) -> bool:
        """Return whether an order was not found, or executed beyond its row."""
        row = self._rows.get(traded.known.id)
        return row is None or (row.cum_exec_qty or _ZERO) < traded.executed

    def look_for(self, orders: set[Known]) -> Asking[set[Known]]:
        """Request *orders* by their ids; return those that are still missing."""
        for known in sorted(orders, key=lambda known: known.id):
            for ask in _asks_by_id(known, self._now):
                self._add((yield from self._gathering.alone(ask)))
                if not self._is_missing(known):
                    break
        return {known for known in orders if self._is_missing(known)}

    def _is_missing(self, known: Known) -> bool:
        traded = self._traded.get(known.id)
        return known.id not in self._rows if traded is None else self._is_behind(traded)

    # --- the answer ---

    def answered(self) -> Answered:
        """Return the answer: ended orders, then open ones, each by creation time."""
        ids = {known.id for known in self._want.known}
        rows = sorted(self._rows.values(), key=lambda row: (row.created_time or _NEVER, row.order_id))
        ended = [row for row in rows if row.order_status in FINAL and (row.order_id in ids or self._is_new(row))]
        opened = [row for row in rows if row.order_status not in FINAL]
        lags = self._is_unsure or any(map(self._is_behind, self._traded.values()))
        return self._gathering.answered([*ended, *opened], unresolved=tuple(self._unfound()), lags=lags)

    def _is_new(self, row: OrderUpdate) -> bool:
        since = self._want.since
        return since is not None and (row.updated_time or since) >= since


def _asks_by_id(known: Known, now: datetime) -> Iterator[Ask]:
    """Yield the listings that may have *known*, the likelier ones first."""
    order = {"category": known.category, "symbol": known.symbol, "orderId": known.id}
    for endpoint in (OPEN_ORDERS, ORDER_HISTORY):
        for kind in FILTERS[known.category]:
            yield Ask(endpoint, {**order, **kind})
    # Without a window the history may have the last seven days only.
    if known.created is not None and ms(now) - ms(known.created) > SPAN:
        start = ms(known.created - _SECOND)
        for kind in FILTERS[known.category]:
            yield Ask(ORDER_HISTORY, {**order, **kind, **Window(start, start + SPAN).parameters})


def _traded(whole: Window, categories: Sequence[str]) -> Asking[Traded]:
    """Return the orders that were executed lately, by id, and how much of each."""
    side, trades = Gathering(), dict[str, UserTradeUpdate]()
    lately = Window(max(whole.start, whole.end - SPAN), whole.end)
    for scope in scopes(EXECUTIONS, categories):
        rows = yield from side.listing(Ask(EXECUTIONS, {**scope, **lately.parameters}, _are_enough))
        trades.update((row.exec_id, row) for row in rows if row.exec_type == ExecType.TRADE and row.order_id)
    found: dict[str, _Traded] = {}
    for trade in trades.values():
        known = Known(str(trade.category), trade.symbol or "", trade.order_id or "")
        before = found.get(known.id)
        found[known.id] = _Traded(known, (before.executed if before else _ZERO) + (trade.exec_qty or _ZERO))
    return found


def _are_enough(trades: Sequence[UserTradeUpdate]) -> bool:
    return len(trades) >= _MOST_TRADES
