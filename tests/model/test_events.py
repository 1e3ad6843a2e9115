"""An event as a sequence of rows, and the guards that tell whose rows they are."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

import bybit_sync
from bybit_sync import Event, Gap, GapReason, OrderUpdate, Stream, is_balances, is_orders, is_positions, is_user_trades

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
GUARDS = {
    Stream.BALANCES: is_balances,
    Stream.ORDERS: is_orders,
    Stream.POSITIONS: is_positions,
    Stream.USER_TRADES: is_user_trades,
}
ONE, TWO = OrderUpdate(order_id="1"), OrderUpdate(order_id="2")


def event(stream: Stream = Stream.ORDERS, **values: Any) -> Event[Any]:
    """Return an event of *stream*."""
    return Event(stream=stream, topic="", received_at=NOON, received_ns=1, **values)


def test_an_event_has_a_length_and_is_indexed_as_its_rows() -> None:
    """From either end, and in slices."""
    both = event(data=(ONE, TWO))
    assert (len(both), both[0], both[-1], both[1:]) == (2, ONE, TWO, (TWO,))
    with pytest.raises(IndexError):
        both[2]


def test_a_gap_has_no_rows_and_is_true_all_the_same() -> None:
    """``if event`` asks whether there is one."""
    gap = event(gap=Gap(reason=GapReason.ENDED, since=NOON, until=NOON))
    assert (len(gap), list(gap), bool(gap)) == (0, [], True)
    with pytest.raises(IndexError):
        gap[0]


@pytest.mark.parametrize("stream", list(Stream))
def test_each_guard_knows_its_own_stream(stream: Stream) -> None:
    """Gaps included."""
    assert [of for of, guard in GUARDS.items() if guard(event(stream))] == [stream]
    assert all(guard.__name__ in bybit_sync.__all__ for guard in GUARDS.values())
