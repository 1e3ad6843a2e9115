"""`bybit_sync.integrations.completeness`: up to which instant every execution is booked, and why never further.

Times are seconds after noon; the file is made at noon.
"""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from bybit_sync import Event, Gap, GapReason, Source
from bybit_sync.integrations import completeness
from bybit_sync.integrations.completeness import MOST, OpenGap, Progress, after
from tests import events
from tests.talking import at

DISCONNECTED, OVERFLOW, START = GapReason.DISCONNECTED, GapReason.OVERFLOW, GapReason.START


def window(since: float, until: float, reason: GapReason = DISCONNECTED) -> Gap:
    """Return a gap from *since* to *until*."""
    return Gap(reason=reason, since=at(since).utc, until=at(until).utc)


def push(created: float | None, read: float = 9_999) -> Event[Any]:
    """Return a push that was made at *created* and read at *read*."""
    moment = None if created is None else at(created).utc
    return attrs.evolve(events.push(0), created_at=moment, received_at=at(read).utc)


def told(since: float, until: float, reason: GapReason = DISCONNECTED) -> Event[Any]:
    """Return the event of a gap."""
    return attrs.evolve(push(None), data=(), gap=window(since, until, reason))


def rows(read: float = 9_999) -> Event[Any]:
    """Return rows of REST: those of a start, or of a recovery that goes on."""
    return attrs.evolve(push(read, read), source=Source.REST)


def recovered(since: float, until: float, reason: GapReason = DISCONNECTED) -> Event[Any]:
    """Return the event that recovers a window."""
    return attrs.evolve(rows(), recovered=window(since, until, reason))


class Booked:
    """A journal's progress, fed with one event after the other."""

    def __init__(self, *history: Event[Any], progress: Progress | None = None) -> None:
        self.progress = progress or Progress(at(0).utc)
        self.index = 0
        self.feed(*history)

    def feed(self, *history: Event[Any], asked: bool = True) -> Booked:
        """Feed *history*, numbered on."""
        for event in history:
            self.index += 1
            self.progress = after(self.progress, attrs.evolve(event, index=self.index), asked=asked)
        return self

    def lose(self) -> Booked:
        """Let an event go by that is never booked."""
        self.index += 1
        return self

    def start_again(self, *history: Event[Any], asked: bool = True) -> Booked:
        """Feed *history* as the first events of a new subscription."""
        self.index = 0
        return self.feed(*history, asked=asked)

    def reopened(self) -> Booked:
        """Return the journal of the next process: it knows what was stored."""
        gaps = tuple(OpenGap(each.gap) for each in self.progress.gaps)
        return Booked(progress=Progress(self.progress.created, self.progress.proven, gaps))

    @property
    def complete(self) -> float:
        """The last complete instant, in seconds after noon."""
        return (self.progress.complete - at(0).utc).total_seconds()

    @property
    def open(self) -> list[tuple[str, float, float]]:
        """The open gaps: reason, since, until."""
        noon = at(0).utc
        gaps = [each.gap for each in self.progress.gaps]
        return [(str(g.reason), (g.since - noon).total_seconds(), (g.until - noon).total_seconds()) for g in gaps]


# --- what proves an instant ---


def test_a_new_file_is_complete_up_to_its_creation() -> None:
    """Nothing is promised about the time before."""
    assert Booked().complete == 0


def test_a_push_proves_the_time_at_which_it_was_made() -> None:
    """All that was pushed before it has come."""
    assert Booked(push(5), push(9)).complete == 9


def test_a_push_that_was_made_before_another_takes_nothing_back() -> None:
    """Two topics are not in one order."""
    assert Booked(push(9), push(8.5)).complete == 9


def test_a_file_that_was_made_by_a_clock_ahead_goes_by_its_first_push() -> None:
    """What our clock said is no proof."""
    assert Booked(push(-300)).complete == -300


def test_a_push_from_the_future_proves_only_when_it_was_read() -> None:
    """The exchange, or whoever writes for it, cannot move the next start behind what has happened."""
    assert Booked(push(created=86_400, read=7)).complete == 7


def test_a_push_without_a_time_proves_nothing() -> None:
    """It is booked all the same."""
    assert Booked(push(5), push(None)).complete == 5


def test_rows_of_a_start_prove_nothing_until_the_first_push() -> None:
    """More of them may follow: a kill here begins with the first again."""
    booked = Booked(push(5)).reopened().feed(rows(70), rows(71))
    assert booked.complete == 5
    assert booked.feed(push(72)).complete == 72


# --- gaps ---


def test_nothing_behind_the_beginning_of_a_gap_is_complete() -> None:
    """Whatever is pushed after it."""
    booked = Booked(push(5), told(3, 20), push(30))
    assert (booked.complete, booked.open) == (3, [("DISCONNECTED", 3, 20)])


def test_a_gap_that_is_recovered_is_closed() -> None:
    """With everything before it proven up to the end of its window."""
    booked = Booked(push(5), told(3, 20), recovered(3, 20))
    assert (booked.complete, booked.open) == (20, [])


def test_an_outage_that_is_recovered_in_place_proves_the_end_of_its_window() -> None:
    """No gap is told then; its pushes are still to come, so it proves no more."""
    assert Booked(push(5), recovered(3, 20)).complete == 20


def test_a_late_recovery_takes_back_nothing_that_was_proven_meanwhile() -> None:
    """Pushes went on, and only the gap held them up."""
    assert Booked(push(5), told(3, 20), push(60), recovered(3, 20)).complete == 60


def test_a_gap_that_lies_only_in_part_in_a_recovered_window_stays() -> None:
    """A second outage is told before the first one is recovered."""
    assert Booked(push(5), told(3, 20), told(40, 50), recovered(3, 20)).open == [("DISCONNECTED", 40, 50)]
    assert Booked(push(5), told(3, 20), recovered(4, 20)).open == [("DISCONNECTED", 3, 20)]
    assert Booked(push(5), told(3, 20), recovered(3, 19)).open == [("DISCONNECTED", 3, 20)]


def test_rows_that_recover_nothing_close_nothing() -> None:
    """The last event of a recovery says that it is one."""
    assert Booked(push(5), told(3, 20), rows(30)).open == [("DISCONNECTED", 3, 20)]


def test_a_gap_that_is_told_again_is_one() -> None:
    """It is told once more when it turns out that it cannot be recovered."""
    booked = Booked(push(5), told(3, 20), told(3, 20))
    assert booked.open == [("DISCONNECTED", 3, 20)]


def test_what_was_dropped_is_not_recovered_with_an_outage_around_it() -> None:
    """The library has delivered it, as far as it knows; only one that says so brings it."""
    booked = Booked(push(5), told(10, 12, OVERFLOW), recovered(3, 20))
    assert booked.open == [("OVERFLOW", 10, 12)]
    assert booked.feed(recovered(10, 12, OVERFLOW)).open == []


# --- starts ---


def test_the_next_start_closes_what_was_open() -> None:
    """Also what was dropped: it asked for everything since before the gaps."""
    booked = Booked(push(5), told(3, 20), told(25, 26, OVERFLOW), push(30)).reopened()
    assert booked.feed(rows(100)).complete == 3
    assert (booked.feed(push(101)).complete, booked.open) == (101, [])


def test_a_start_that_was_not_read_in_time_is_a_gap_until_it_is_recovered() -> None:
    """Pushes flow, and prove nothing while it is open."""
    booked = Booked(push(5)).reopened().feed(told(-55, 100, START), push(106))
    assert booked.complete == -55
    assert booked.feed(rows(107)).complete == -55
    assert booked.feed(recovered(-55, 100, START)).complete == 106


def test_a_gap_during_the_start_does_not_end_it() -> None:
    """A frame that cannot be read is told at once, before the start is read."""
    booked = Booked(push(5), told(3, 20)).reopened().feed(told(90, 91, GapReason.UNDECODABLE))
    assert booked.open == [("DISCONNECTED", 3, 20), ("UNDECODABLE", 90, 91)]


def test_a_start_that_was_not_asked_for_closes_nothing() -> None:
    """Without a look at `complete_until` it had no ``since=``: the time between is a gap, until a start that has."""
    booked = Booked(push(5)).reopened().feed(push(created=100, read=101), asked=False).feed(push(200))
    assert (booked.complete, booked.open) == (5, [("START", 5, 100)])
    assert booked.start_again(push(300)).complete == 300


def test_a_subscription_that_follows_another_has_to_ask_again() -> None:
    """Its numbers begin anew, and so does what it has to bring."""
    booked = Booked(push(5), push(6)).start_again(push(created=100, read=101), asked=False)
    assert (booked.complete, booked.open) == (6, [("START", 6, 100)])


# --- numbers ---


def test_an_event_that_was_not_booked_is_a_gap_until_the_next_start() -> None:
    """The library delivers it once only: no recovery brings it."""
    booked = Booked(push(5)).lose().feed(push(created=7, read=8), recovered(0, 20), push(30))
    assert (booked.complete, booked.open) == (5, [("OVERFLOW", 5, 7)])
    assert booked.reopened().feed(push(40)).open == []


def test_the_hole_says_which_numbers_are_missing() -> None:
    """As the subscription counts them."""
    booked = Booked(push(5)).lose().lose().feed(push(7))
    assert booked.progress.gaps[0].gap.detail == "event 4 came after event 1: what lies between was not booked"


def test_hole_after_hole_is_one_gap() -> None:
    """A disk that fails for a day leaves one."""
    booked = Booked(push(5)).lose().feed(push(7, 7)).lose().feed(push(9, 9))
    assert booked.open == [("OVERFLOW", 5, 9)]


def test_two_subscriptions_into_one_journal_prove_nothing() -> None:
    """Their numbers do not follow each other."""
    booked = Booked(push(5)).start_again(push(6), asked=False)
    booked.index = 1
    assert booked.feed(push(7)).complete == 5


def test_a_first_event_that_was_not_booked_leaves_the_start_open() -> None:
    """It may have held what the start brought."""
    booked = Booked(push(5), told(3, 20)).reopened().lose().feed(push(40))
    assert (booked.complete, booked.open[0]) == (3, ("DISCONNECTED", 3, 20))


# --- bounds ---


def test_gaps_without_end_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody recovers them for years: the oldest become one, which only a start closes."""
    monkeypatch.setattr(completeness, "MOST", 2)
    booked = Booked(push(5), told(10, 11), told(20, 21), told(30, 31))
    assert booked.open == [("DISCONNECTED", 10, 21), ("DISCONNECTED", 30, 31)]
    assert booked.feed(recovered(9, 40)).open == [("DISCONNECTED", 10, 21)]
    assert MOST > 100
