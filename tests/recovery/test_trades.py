from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bybit_sync.model.enums import Category
from bybit_sync.model.events import Event, GapReason
from bybit_sync.recovery import trades
from bybit_sync.recovery.memory import REMEMBERED
from bybit_sync.recovery.trades import TradeMemory
from tests.recovery.rows import answer, at, gap, ns, push, trade

OVERLAP = timedelta(seconds=60)
FEW = 100


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember a hundred fills at least, instead of ten thousand."""
    monkeypatch.setattr(trades, "REMEMBERED", FEW)


def begun(since: float | None = None) -> TradeMemory:
    """Return the memory of a subscription that was confirmed at noon."""
    memory = TradeMemory(None if since is None else at(since))
    memory.begin(at(0))
    return memory


def keep(memory: TradeMemory, since: float, until: float) -> None:
    """Have *memory* keep what mends an outage."""
    event = gap(GapReason.DISCONNECTED, since, until)
    assert event.gap is not None
    memory.keep(event.gap, OVERLAP, event.received_ns)


def names(event: Event[Any] | None) -> list[str] | None:
    """Return which fills *event* has."""
    return None if event is None else [row.exec_id for row in event.data]


def merged(memory: TradeMemory, *rows: Any, held: tuple[Event[Any], ...] = ()) -> list[str]:
    """Return which fills are delivered of an answer with *rows*."""
    return [row.exec_id for row in memory.merge(answer(*rows), held, ns(0)).rows]


def test_a_push_of_new_fills_is_delivered_as_it_is() -> None:
    """The very object."""
    event = push(trade("a"), trade("b"))
    assert begun().admit(event) is event


def test_a_fill_is_delivered_once() -> None:
    """What is left of a push keeps its frame; nothing is left of one that was delivered whole."""
    memory = begun()
    memory.admit(push(trade("a")))
    rest = memory.admit(push(trade("a"), trade("b")))
    assert (names(rest), rest and rest.raw) == (["b"], b"{}")
    assert memory.admit(push(trade("a"))) is None


def test_the_same_name_in_another_category_is_another_fill() -> None:
    """The key is category and execId."""
    memory = begun()
    memory.admit(push(trade("a")))
    assert names(memory.admit(push(trade("a", category=Category.INVERSE)))) == ["a"]


def test_an_answer_brings_what_an_outage_hid() -> None:
    """In its order, without what was delivered before."""
    memory = begun()
    memory.admit(push(trade("a", 5)))
    keep(memory, 10, 20)
    assert merged(memory, trade("a", 5), trade("b", 12), trade("c", 13)) == ["b", "c"]


def test_what_an_answer_brought_is_not_brought_again() -> None:
    """Neither by a later answer nor by a push."""
    memory = begun()
    keep(memory, 10, 20)
    assert merged(memory, trade("a", 12)) == ["a"]
    assert merged(memory, trade("a", 12)) == []
    assert memory.admit(push(trade("a", 12))) is None


def test_of_a_fill_both_held_and_read_the_push_is_delivered() -> None:
    """It follows, with all that only the stream tells."""
    memory = begun()
    keep(memory, 10, 20)
    held = push(trade("a", 21))
    assert merged(memory, trade("a", 21), held=(held,)) == []
    assert memory.admit(held) is held


def test_nothing_from_before_the_confirmation_is_brought() -> None:
    """It is history, no news; what was filled at that moment is."""
    memory = begun()
    keep(memory, 1, 20)
    assert merged(memory, trade("a", -0.001), trade("b", 0)) == ["b"]


def test_a_given_time_is_where_it_begins() -> None:
    """Inclusive, and nothing older."""
    memory = TradeMemory(at(-100))
    assert memory.begin(at(0)) == at(-100)
    keep(memory, -100, 0)
    assert merged(memory, trade("a", -100.001), trade("b", -100), trade("c", -1)) == ["b", "c"]


def test_without_a_given_time_nothing_is_read_at_the_start() -> None:
    """The stream begins with nothing."""
    assert TradeMemory().begin(at(0)) is None


def test_a_given_time_that_is_still_to_come_hides_no_fill_of_an_outage() -> None:
    """Those until then are pushed as well."""
    memory = TradeMemory(at(600))
    assert memory.begin(at(0)) == at(0)
    keep(memory, 100, 110)
    assert memory.merge(answer(trade("a", 105)), (), ns(111)).rows == (trade("a", 105),)


@pytest.mark.parametrize(("since", "read_from"), [(100.0, 40.0), (30.0, 0.0)])
def test_a_read_begins_before_the_gap(since: float, read_from: float) -> None:
    """By the overlap, but not before the confirmation."""
    event = gap(GapReason.DISCONNECTED, since, 200)
    assert event.gap is not None
    assert begun().since(event.gap, OVERLAP) == at(read_from)


def test_what_was_pushed_long_after_a_gap_is_not_brought_again() -> None:
    """However many keys were forgotten since: the gap could not be mended for hours."""
    memory = begun()
    keep(memory, 10, 20)
    assert merged(memory, trade("late", 20 + 59), trade("pushed", 20 + 61)) == ["late"]


def test_keys_around_an_open_gap_are_not_forgotten(few: None) -> None:
    """Ten thousand and ten minutes later they are still known."""
    memory = begun()
    memory.admit(push(trade("before", 5)))
    keep(memory, 10, 20)
    memory.admit(push(trade("after", 30)))
    flood(memory, 700, "x")
    flood(memory, 1_400, "y")
    assert merged(memory, trade("before", 5), trade("after", 30)) == []


def test_keys_are_forgotten_when_every_gap_is_mended(few: None) -> None:
    """Memory is bounded: a fill that old cannot come again."""
    memory = begun()
    memory.admit(push(trade("a", 5)))
    keep(memory, 10, 20)
    memory.release()
    flood(memory, 700, "x")
    flood(memory, 1_400, "y")
    assert names(memory.admit(push(trade("a", 5)))) == ["a"]


def flood(memory: TradeMemory, seconds: float, prefix: str) -> None:
    """Deliver as many fills as are remembered at least with *few*, and one more."""
    for number in range(FEW + 1):
        memory.admit(push(trade(f"{prefix}{number}", seconds), seconds=seconds))


def test_at_least_ten_thousand_keys_are_known() -> None:
    """However old."""
    memory = begun()
    memory.admit(push(trade("first"), seconds=0))
    for number in range(REMEMBERED - 1):
        memory.admit(push(trade(str(number)), seconds=700 + number))
    assert memory.admit(push(trade("first"), seconds=20_000)) is None


def test_keys_are_known_for_ten_minutes(few: None) -> None:
    """However many there are."""
    memory = begun()
    flood(memory, 0, "x")
    flood(memory, 500, "y")
    flood(memory, 599, "z")
    assert memory.admit(push(trade("x0"), seconds=599)) is None


def test_keys_of_a_new_generation_are_kept_for_a_gap_that_just_ended(few: None) -> None:
    """The read may bring fills from after it."""
    memory = begun()
    flood(memory, 0, "w")
    keep(memory, 690, 700)
    flood(memory, 701, "x")
    memory.admit(push(trade("after", 702), seconds=702))
    flood(memory, 1_400, "y")
    flood(memory, 2_100, "z")
    assert merged(memory, trade("after", 702)) == []


def test_a_fill_that_was_dropped_can_be_brought_again() -> None:
    """Outside of every gap, too: the consumer was too slow."""
    memory = begun()
    event = push(trade("a", 5))
    memory.admit(event)
    memory.forget(event)
    assert merged(memory, trade("a", 5), trade("b", 6)) == ["a"]
    assert merged(memory, trade("a", 5)) == []


def test_more_fills_than_can_be_remembered_may_come_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than not at all: their time is read as a whole."""
    monkeypatch.setattr(trades, "_MOST_DROPPED", 1)
    memory = begun()
    for row in (trade("5", 5), trade("6", 6), trade("7", 7), trade("timeless", exec_time=None)):
        event = push(row)
        memory.admit(event)
        memory.forget(event)
    assert merged(memory, trade("5", 5), trade("6", 6), trade("7", 7)) == ["5", "6", "7"]


def test_two_gaps_hide_no_more_than_their_own_times() -> None:
    """What was pushed between them is not brought again, though it is read."""
    memory = begun()
    keep(memory, 1_000, 1_010)
    keep(memory, 5_000, 5_010)
    assert merged(memory, trade("a", 1_005), trade("between", 3_000), trade("b", 5_005)) == ["a", "b"]


def test_a_gap_that_continues_another_widens_it() -> None:
    """A stream of small gaps is kept as one."""
    memory = begun()
    for second in range(100):
        keep(memory, second, second + 1)
    assert merged(memory, trade("a", 50), trade("b", 99)) == ["a", "b"]
    assert len(memory._spans) == 1


def test_what_was_delivered_between_two_gaps_that_touch_is_known(few: None) -> None:
    """Also when the second one comes late and its keys would be forgotten."""
    memory = begun()
    keep(memory, 10, 20)
    memory.admit(push(trade("a", 400), seconds=400))
    keep(memory, 70, 410)
    flood(memory, 1_100, "x")
    flood(memory, 1_800, "y")
    assert merged(memory, trade("a", 400)) == []


def test_trades_are_no_state() -> None:
    """A window tells all: nothing has to be asked for by name."""
    memory = begun()
    memory.admit(push(trade("a")))
    assert (memory.is_state, memory.known()) == (False, ())
