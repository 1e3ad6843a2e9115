from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bybit_sync.errors import RestRefused
from bybit_sync.model.events import Event, GapReason, Stream
from bybit_sync.recovery import states
from bybit_sync.recovery.memory import Merged
from bybit_sync.recovery.precedence import ORDERS, POSITIONS
from bybit_sync.recovery.states import StateMemory
from bybit_sync.recovery.wants import Unreadable
from tests.recovery.rows import answer, at, gap, ns, order, position, push

OVERLAP = timedelta(seconds=60)


def orders(*rows: Any) -> StateMemory:
    """Return the memory of a subscription to orders that was given *rows*, and is being read."""
    return given(StateMemory(ORDERS), *rows)


def positions(*rows: Any) -> StateMemory:
    """Return the memory of a subscription to positions that was given *rows*, and is being read."""
    return given(StateMemory(POSITIONS), *rows)


def given(memory: StateMemory, *rows: Any) -> StateMemory:
    """Return *memory* after a push of *rows*."""
    memory.begin(at(0))
    if rows:
        memory.admit(push(*rows))
    memory.known()
    return memory


def read(memory: StateMemory, *rows: Any, held: tuple[Event[Any], ...] = (), seconds: float = 1.0, **fields: Any) -> Merged:
    """Return what is delivered of an answer with *rows*."""
    return memory.merge(answer(*rows, **fields), held, ns(seconds))


# --- reads ---


def test_a_snapshot_is_what_rest_lists() -> None:
    """Nothing was known before."""
    a, b = order("a"), order("b")
    assert read(orders(), a, b) == Merged((a, b), is_news=True)


def test_an_order_that_ended_before_the_beginning_is_left_out() -> None:
    """It was read for another subscription, which began earlier."""
    assert read(orders(), order("a", "Filled", "1", -1), order("b", "Filled", "1", 1)).rows == (order("b", "Filled", "1", 1),)


def test_a_newer_row_of_rest_replaces_what_was_pushed() -> None:
    """It is what the outage hid."""
    filled = order("a", "Filled", "1", 5)
    assert read(orders(order("a")), filled).rows == (filled,)


def test_an_older_row_of_rest_is_replaced_by_what_was_pushed() -> None:
    """REST may lag: nothing older follows something newer."""
    pushed = order("a", "PartiallyFilled", "2", 5)
    merged = read(orders(pushed), order("a", "PartiallyFilled", "1", 4))
    assert merged == Merged((pushed,), is_news=False)


def test_on_a_tie_the_push_wins() -> None:
    """It has what only the stream tells."""
    pushed, listed = position("1", 5, 1, session_avg_price=None), position("1", 5, 1)
    assert read(positions(pushed), listed).rows[0] is pushed


def test_an_order_that_was_told_to_have_ended_is_not_open() -> None:
    """REST lags, and lists it as open; its end was delivered already."""
    assert read(orders(order("a", "Filled", "1", 5)), order("a")) == Merged((), is_news=False)


def test_an_end_that_was_delivered_is_not_delivered_again() -> None:
    """The overlap brings it again."""
    end = order("a", "Filled", "1", 5)
    assert read(orders(end), end).rows == ()


def test_an_order_that_began_and_ended_in_the_outage_is_told() -> None:
    """With its final row."""
    end = order("a", "Cancelled")
    assert read(orders(), end) == Merged((end,), is_news=True)


def test_an_order_that_is_nowhere_to_be_found_is_unresolved() -> None:
    """It stays, with its last row: a cancel is never inferred."""
    pushed = order("a")
    assert read(orders(pushed)) == Merged((pushed,), is_news=True, unresolved=("a",))


def test_an_order_that_is_held_is_not_unresolved() -> None:
    """The push that follows tells of it."""
    pushed = order("a")
    assert read(orders(pushed), held=(push(order("a", "Filled", "1", 9)),)) == Merged((pushed,), is_news=False)


def test_an_order_that_was_pushed_after_the_question_is_newer() -> None:
    """It is in the snapshot, and not unresolved."""
    memory = orders()
    late = order("a", seconds=9)
    memory.admit(push(late))
    assert read(memory, asked=1) == Merged((late,), is_news=False)


def test_an_order_that_changed_after_the_question_is_newer() -> None:
    """An answer without it says nothing."""
    memory = orders(order("a"))
    changed = order("a", "PartiallyFilled", "1", 9)
    memory.admit(push(changed))
    assert read(memory) == Merged((changed,), is_news=False)


def test_an_order_that_is_found_is_news() -> None:
    """It was unresolved before."""
    memory, pushed = orders(order("a")), order("a")
    read(memory)
    memory.known()
    assert read(memory, pushed) == Merged((pushed,), is_news=True)


def test_an_order_that_stays_unresolved_is_no_news() -> None:
    """The second read finds nothing, either."""
    memory = orders(order("a"))
    read(memory)
    memory.known()
    assert read(memory).is_news is False


def test_a_position_that_is_not_listed_is_flat() -> None:
    """The exchange has no row for it any more: the mode was switched."""
    assert read(positions(position("1", 5, 1))) == Merged((), is_news=True)


@pytest.mark.parametrize("lack", [{"refused": (RestRefused("no"),)}, {"unreadable": (Unreadable("position/list", "bad"),)}])
def test_a_position_that_could_not_be_read_stays(lack: dict[str, Any]) -> None:
    """Absence says nothing then; a gap tells what is missing."""
    pushed = position("1", 5, 1)
    assert read(positions(pushed), **lack) == Merged((pushed,), is_news=False)


def test_a_position_that_was_closed_is_told_with_the_exchanges_own_flat_row() -> None:
    """It was open before."""
    flat = position("0", 6, 2)
    assert read(positions(position("1", 5, 1)), flat) == Merged((flat,), is_news=True)


def test_a_position_that_was_told_to_be_flat_stays_so() -> None:
    """REST lags, and lists it as open."""
    assert read(positions(position("0", 6, 2)), position("1", 5, 1)) == Merged((), is_news=False)


def test_a_leg_that_was_flat_before_is_not_told() -> None:
    """REST lists both legs of a hedged position."""
    held, flat = position("1", 5, 1, position_idx=1), position("0", 5, 1, position_idx=2)
    assert read(positions(), held, flat).rows == (held,)


def test_the_second_of_two_equal_answers_is_no_news() -> None:
    """A confirming read tells nothing then."""
    memory, row = positions(), position("1", 5, 1)
    read(memory, row)
    memory.known()
    assert read(memory, position("1", 5, 1, mark_price=None)).is_news is False


def test_a_snapshot_that_was_dropped_is_news_again() -> None:
    """Its consumer did not get it."""
    memory, row = positions(), position("1", 5, 1)
    read(memory, row)
    memory.forget(push(row))
    memory.known()
    assert read(memory, row).is_news is True
    assert read(memory, row).is_news is False


# --- pushes ---


def test_a_push_that_is_older_than_a_row_of_rest_is_left_out() -> None:
    """The answer was ahead of the stream; the other row of the push is delivered."""
    memory = positions()
    read(memory, position("2", 6, 2))
    other = position("1", 1, 1, symbol="ETHUSDT")
    event = memory.admit(push(position("1", 5, 1), other))
    assert event is not None
    assert event.data == (other,)
    assert memory.admit(push(position("1", 5, 1))) is None


def test_a_push_as_new_as_a_row_of_rest_is_delivered() -> None:
    """On a tie the push wins."""
    memory = positions()
    read(memory, position("2", 6, 2))
    event = push(position("2", 6, 2))
    assert memory.admit(event) is event


def test_a_push_is_not_compared_with_pushes() -> None:
    """The exchange sends them in order; it knows why it repeats itself."""
    memory = positions(position("2", 6, 2))
    event = push(position("1", 5, 1))
    assert memory.admit(event) is event


def test_pushes_are_compared_for_a_minute_after_the_last_read() -> None:
    """Later than that nothing is under way any more."""
    memory = positions()
    read(memory, position("2", 6, 2), seconds=0)
    assert memory.admit(push(position("1", 5, 1), seconds=60)) is None
    assert memory.admit(push(position("1", 5, 1), seconds=60.1)) is not None


def test_an_order_that_ended_is_not_opened_by_an_older_push() -> None:
    """A final status from REST stays final."""
    memory = orders(order("a"))
    read(memory, order("a", "Filled", "1", 5))
    assert memory.admit(push(order("a", "PartiallyFilled", "0.5", 4))) is None


def test_ended_orders_are_remembered_in_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest ones."""
    monkeypatch.setattr(states, "REMEMBERED", 10)
    memory = orders()
    for number in range(100):
        memory.admit(push(order(str(number), "Cancelled")))
    memory.known()
    assert 10 <= len(memory._ended) <= 20
    assert "99" in memory._ended


def test_a_position_that_is_opened_again_is_open() -> None:
    """It has to be accounted for."""
    memory = positions(position("1", 5, 1), position("0", 6, 2), position("2", 7, 3))
    assert [known.symbol for known in memory.known()] == ["BTCUSDT"]


def test_open_rows_are_remembered_in_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exchange that invents orders costs no memory."""
    monkeypatch.setattr(states, "MOST_OPEN", 10)
    memory = orders()
    for number in range(100):
        memory.admit(push(order(str(number))))
    names = [known.id for known in memory.known()]
    assert (len(names) <= 10, names[-1]) == (True, "99")


# --- what is asked ---


def test_what_is_open_has_to_be_accounted_for() -> None:
    """What has ended has not."""
    memory = orders(order("a"), order("b", "Filled", "1"))
    assert [known.id for known in memory.known()] == ["a"]


@pytest.mark.parametrize(("since", "expected"), [(100.0, 40.0), (30.0, 0.0)])
def test_ended_orders_are_read_from_before_the_gap(since: float, expected: float) -> None:
    """By the overlap, but not from before the confirmation."""
    event = gap(GapReason.DISCONNECTED, since, 200, stream=Stream.ORDERS)
    assert event.gap is not None
    assert orders().since(event.gap, OVERLAP) == at(expected)


def test_at_the_start_only_what_is_open_is_read() -> None:
    """What ended before was never a subject."""
    event = gap(GapReason.START, 0, 0, stream=Stream.ORDERS)
    assert event.gap is not None
    assert orders().since(event.gap, OVERLAP) is None
