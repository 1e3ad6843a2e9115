"""The wait for one order: its rows, and the decision whether it is over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from bybit_sync.model.events import Event
from bybit_sync.model.orders import OrderUpdate
from bybit_sync.recovery.precedence import ORDERS

__all__ = ["OrderWatch"]


class OrderWatch:
    """Takes the rows of one order, by *order_id* or *order_link_id*.

    *until* decides on the thread that waits; None for the end of the order.
    """

    def __init__(self, order_id: str | None, order_link_id: str | None, until: Callable[[OrderUpdate], object] | None) -> None:
        self.found: OrderUpdate | None = None
        """The row that was waited for."""
        self.last: OrderUpdate | None = None
        """The row that was seen last."""
        self._order_id = order_id
        self._order_link_id = order_link_id
        self._until = until
        self._rows: deque[OrderUpdate] = deque()

    def _matches(self, row: OrderUpdate) -> bool:
        if self._order_id is not None:
            return row.order_id == self._order_id
        return row.order_link_id == self._order_link_id

    def see(self, event: Event[Any]) -> None:
        """Keep the rows of *event* that are the order's. The connection thread."""
        self._rows.extend(filter(self._matches, event.data))

    # --- the thread that waits ---

    def begin(self, open_orders: Mapping[str, OrderUpdate], ended: Mapping[str, OrderUpdate]) -> None:
        """Begin with what is known of it: an open one, else the one that ended last."""
        known = [row for row in (*ended.values(), *open_orders.values()) if self._matches(row)]
        self._rows.extendleft(known[-1:])

    def check(self) -> bool:
        """Return whether the wait is over: found, or never to come."""
        while self._rows and not self.is_over:
            self.last = row = self._rows.popleft()
            if self._until(row) if self._until is not None else not ORDERS.is_open(row):
                self.found = row
        return self.is_over

    @property
    def is_over(self) -> bool:
        """Return whether no further row can change the answer."""
        return self.found is not None or (self.last is not None and not ORDERS.is_open(self.last))

    def __str__(self) -> str:
        name = self._order_id if self._order_id is not None else self._order_link_id
        if self.last is None:
            return f"nothing was heard of order {name}: it is not open and did not end lately; check the id and the account"
        return f"order {name} is {self.last.order_status}, and not what was waited for"
