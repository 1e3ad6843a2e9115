from __future__ import annotations

import pytest

from bybit_sync.model.enums import OrderStatus
from bybit_sync.recovery.precedence import FINAL, ORDERS, POSITIONS, is_older
from tests.recovery.rows import order, position

POSITION_CASES = {
    "a smaller seq": (position("1", 4, 9.0), position("1", 5, 1.0), True),
    "a larger seq": (position("1", 5, 1.0), position("1", 4, 9.0), False),
    "the same seq, an earlier change": (position("1", 5, 1.0), position("1", 5, 2.0), True),
    "the same seq and time": (position("1", 5, 1.0), position("2", 5, 1.0), False),
    "no seq on one side, an earlier change": (position("1", None, 1.0), position("1", 5, 2.0), True),
    "no seq on one side, a later change": (position("1", 4, 3.0), position("1", None, 2.0), False),
    "nothing to compare": (position("1"), position("2", 5, 1.0), False),
}
ORDER_CASES = {
    "open, and the other has ended": (order("a", "New", seconds=9.0), order("a", "Filled", "1", 1.0), True),
    "ended, and the other is open": (order("a", "Cancelled", seconds=1.0), order("a", "New", "1", 9.0), False),
    "less is filled": (order("a", "PartiallyFilled", "1", 9.0), order("a", "PartiallyFilled", "2", 1.0), True),
    "as much is filled, changed earlier": (order("a", "New", seconds=1.0), order("a", "New", seconds=2.0), True),
    "changed at the same time": (order("a", "New", seconds=1.0), order("a", "New", seconds=1.0), False),
    "both ended, changed earlier": (order("a", "Filled", "1", 1.0), order("a", "Filled", "1", 2.0), True),
}


@pytest.mark.parametrize("case", POSITION_CASES)
def test_positions_are_compared_by_seq_then_by_time(case: str) -> None:
    """A missing seq says nothing."""
    mine, other, older = POSITION_CASES[case]
    assert is_older(POSITIONS.version(mine), POSITIONS.version(other)) is older


@pytest.mark.parametrize("case", ORDER_CASES)
def test_orders_are_compared_by_end_then_fill_then_time(case: str) -> None:
    """A final status is never followed by an open one."""
    mine, other, older = ORDER_CASES[case]
    assert is_older(ORDERS.version(mine), ORDERS.version(other)) is older


def test_an_order_ends_in_five_states() -> None:
    """All others may change again, unknown ones too."""
    assert {status.value for status in FINAL} == {"Filled", "Cancelled", "PartiallyFilledCanceled", "Rejected", "Deactivated"}
    assert ORDERS.is_open(order("a", "SomethingNew"))
    assert OrderStatus.UNTRIGGERED not in FINAL


def test_a_position_without_size_is_not_open() -> None:
    """In both spellings."""
    assert [bool(POSITIONS.is_open(position(size))) for size in ("0", "0.00", "0.1")] == [False, False, True]


def test_what_was_known_can_be_asked_for_alone() -> None:
    """By category and symbol, and what tells it apart there."""
    known = POSITIONS.known(position("1", position_idx=2)), ORDERS.known(order("a"))
    assert [(k.category, k.symbol, k.id) for k in known] == [("linear", "BTCUSDT", "2"), ("linear", "BTCUSDT", "a")]
