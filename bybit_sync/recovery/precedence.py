"""The order of two rows of one order or one position in time, as a table."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from attrs import frozen

from bybit_sync.model.enums import OrderStatus
from bybit_sync.model.orders import OrderUpdate
from bybit_sync.model.positions import PositionUpdate
from bybit_sync.recovery.wants import Known

__all__ = ["FINAL", "ORDERS", "POSITIONS", "Newest", "Rules", "is_older"]

Version = tuple[Any, ...]

FINAL: Final = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELLED,
        OrderStatus.PARTIALLY_FILLED_CANCELED,
        OrderStatus.REJECTED,
        OrderStatus.DEACTIVATED,
    }
)
"""The final states of an order:
https://bybit-exchange.github.io/docs/v5/enum#orderstatus
"""


@frozen
class Rules:
    """The identity and the age of the rows of a stream.

    *key* identifies the object, *is_open* says whether it exists, *version* is its age.
    *has_history*: REST lists the objects that have ended; without it, an unlisted
    object is flat. The parts of a version are compared one after the other; a part that
    is None in either row is skipped. *stamp* is what is kept of an ended row, and
    *ended* makes a version of it.
    """

    key: Callable[[Any], Any]
    is_open: Callable[[Any], Any]
    version: Callable[[Any], Version]
    known: Callable[[Any], Known]
    has_history: bool
    stamp: Callable[[Any], Any]
    ended: Callable[[Any], Version]


class Newest:
    """The newest row of each object that was found."""

    def __init__(self, rules: Rules) -> None:
        self.rows: dict[Any, Any] = {}
        """The rows by their key."""
        self._rules = rules

    def add(self, rows: Iterable[Any]) -> None:
        """Keep the newer row of each object; of equally new ones the later."""
        key, version = self._rules.key, self._rules.version
        for row in rows:
            earlier = self.rows.get(key(row))
            if earlier is None or not is_older(version(row), version(earlier)):
                self.rows[key(row)] = row


def is_older(version: Version, than: Version) -> bool:
    """Return whether *version* is older *than* the other; False when unknown.

    False also when they are the same.
    """
    for mine, other in zip(version, than, strict=True):
        if mine is not None and other is not None and mine != other:
            return bool(mine < other)
    return False


def _position_version(row: PositionUpdate) -> tuple[int | None, datetime | None]:
    return row.seq, row.updated_time


def _order_is_open(row: OrderUpdate) -> bool:
    return row.order_status not in FINAL


def _order_version(row: OrderUpdate) -> tuple[bool, Decimal | None, datetime | None]:
    return row.order_status in FINAL, row.cum_exec_qty, row.updated_time


def _known_position(row: PositionUpdate) -> Known:
    return Known(str(row.category or ""), row.symbol, str(row.position_idx))


def _known_order(row: OrderUpdate) -> Known:
    return Known(str(row.category or ""), row.symbol or "", row.order_id, row.created_time)


def _same(version: Version) -> Version:
    return version


def _ended_order(updated: datetime | None) -> tuple[bool, None, datetime | None]:
    # Its status is final, which outweighs what was filled.
    return True, None, updated


POSITIONS: Final = Rules(
    operator.attrgetter("category", "symbol", "position_idx"),
    operator.attrgetter("size"),
    _position_version,
    _known_position,
    has_history=False,
    stamp=_position_version,
    ended=_same,
)
ORDERS: Final = Rules(
    operator.attrgetter("order_id"),
    _order_is_open,
    _order_version,
    _known_order,
    has_history=True,
    stamp=operator.attrgetter("updated_time"),
    ended=_ended_order,
)
