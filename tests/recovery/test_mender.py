from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from bybit_sync.clock import Moment
from bybit_sync.delivery.buffer import Buffer, Overflow
from bybit_sync.errors import QueueOverflow, RestRefused
from bybit_sync.model.events import Event, GapReason, Source, Stream
from bybit_sync.recovery import gate
from bybit_sync.recovery.balances import BalanceMemory
from bybit_sync.recovery.memory import Memory
from bybit_sync.recovery.mender import Mender
from bybit_sync.recovery.options import Recovery
from bybit_sync.recovery.precedence import ORDERS, POSITIONS
from bybit_sync.recovery.sink import RecoveringSink
from bybit_sync.recovery.states import StateMemory
from bybit_sync.recovery.trades import TradeMemory
from bybit_sync.recovery.wants import Unreadable
from tests.recovery.rows import answer, at, balance, coin, gap, ns, order, position, push, trade

DISCONNECTED, UNDECODABLE, START, OVERFLOW, ENDED = (
    GapReason.DISCONNECTED,
    GapReason.UNDECODABLE,
    GapReason.START,
    GapReason.OVERFLOW,
    GapReason.ENDED,
)
REFUSED = RestRefused("execution/list: refused with 10005: no. Give it", endpoint="execution/list", remedy="Give it")


class Bench:
    """A subscription that mends itself, without a client: events go in, answers go in, events come out."""

    def __init__(
        self, memory: Memory, stream: Stream, *, maxsize: int = 100, overflow: Overflow = Overflow.DROP_OLDEST
    ) -> None:
        self.buffer = Buffer[Any](maxsize, overflow)
        self.changes = 0
        self.mender = Mender(self.buffer, stream, memory, Recovery(), client="main", on_change=self._changed)
        self.sink = RecoveringSink(self.buffer, self.mender)
        self.stream = stream

    def _changed(self, mender: Mender) -> None:
        self.changes += 1

    def put(self, *events: Event[Any]) -> Bench:
        """Put events of the stream in."""
        for event in events:
            self.sink.put(event)
        return self

    def start(self, seconds: float = 0.0) -> Bench:
        """Confirm it."""
        return self.put(gap(START, seconds, seconds, stream=self.stream))

    def drop(self, since: float, until: float) -> Bench:
        """Lose the connection from *since* until *until*."""
        return self.put(gap(DISCONNECTED, since, until, stream=self.stream))

    def mend(self, *rows: Any, seconds: float = 1.0, **fields: Any) -> Bench:
        """Answer what is asked."""
        self.mender.known()
        self.mender.windows.asked(seconds)
        self.mender.mended(answer(*rows, asked=seconds - 0.1, **fields), moment(seconds), 3)
        return self

    def confirm(self, *rows: Any, seconds: float = 5.0, **fields: Any) -> Bench:
        """Answer a further read."""
        self.mender.known()
        self.mender.confirmed(answer(*rows, asked=seconds - 0.1, **fields), moment(seconds), 3)
        return self

    def events(self) -> list[Event[Any]]:
        """Take everything out."""
        return [event for event in iter(lambda: self.buffer.take(0), None) if event is not None]

    def shown(self) -> list[Any]:
        """Take everything out; return what matters of it."""
        return [outline(event) for event in self.events()]


def outline(event: Event[Any]) -> Any:
    """Return what matters of *event*: a gap, a push, or rows of REST with the window that they mend."""
    if event.gap is not None:
        told = event.gap
        return (told.reason.value, seconds_of(told.since), seconds_of(told.until), told.recovering)
    rows = [getattr(row, "exec_id", None) or getattr(row, "order_id", None) or row.key for row in event.data]
    if event.source is Source.STREAM:
        return rows
    mended = event.recovered
    return ("REST", rows, None if mended is None else (seconds_of(mended.since), seconds_of(mended.until)))


def seconds_of(time: Any) -> float:
    """Return the seconds since noon."""
    return float((time - at(0)).total_seconds())


def moment(seconds: float) -> Moment:
    """Return our moment, *seconds* after noon."""
    return Moment(ns(seconds), at(seconds))


def trades(since: float | None = None, **options: Any) -> Bench:
    """Return a subscription to fills that was confirmed at noon."""
    memory = TradeMemory(None if since is None else at(since))
    return Bench(memory, Stream.USER_TRADES, **options).start()


def orders(**options: Any) -> Bench:
    """Return a subscription to orders that was confirmed at noon."""
    return Bench(StateMemory(ORDERS), Stream.ORDERS, **options).start()


def positions() -> Bench:
    """Return a subscription to positions that was confirmed at noon."""
    return Bench(StateMemory(POSITIONS), Stream.POSITIONS).start()


# --- the start ---


def test_fills_begin_with_nothing() -> None:
    """A push is delivered at once."""
    assert trades().put(push(trade("a"))).shown() == [["a"]]


def test_a_state_begins_with_a_snapshot_before_any_push() -> None:
    """Pushes wait for it."""
    bench = orders().put(push(order("b", seconds=9)))
    assert bench.shown() == []
    assert bench.mend(order("a")).shown() == [("REST", ["a"], None), ["b"]]


def test_a_snapshot_says_so() -> None:
    """And where it is from, when, and of which login."""
    (event,) = orders().mend(order("a"), seconds=2.0).events()
    assert (event.snapshot, event.source, event.created_at, event.epoch) == (True, Source.REST, at(2.0), 3)
    assert (event.raw, event.id, event.topic, event.gap, event.client, event.index) == (b"", None, "", None, "main", 1)


def test_a_start_that_takes_too_long_is_told() -> None:
    """Pushes flow then, and the snapshot follows, with the gap that it mends."""
    bench = orders().put(push(order("b", seconds=9)))
    bench.mender.tick(1_004.9)
    assert bench.shown() == []
    bench.mender.tick(1_005.1)
    assert bench.shown() == [("START", 0, 0, True), ["b"]]
    assert bench.put(push(order("c"))).shown() == [["c"]]
    assert bench.mend(order("b", seconds=9), order("c"), seconds=9.0).shown() == [("REST", ["b", "c"], (0, 0))]


def test_fills_begin_where_they_are_told_to() -> None:
    """The oldest first, before any push."""
    bench = trades(-100).put(push(trade("c")))
    assert bench.mend(trade("a", -100), trade("b", -50)).shown() == [("REST", ["a", "b"], None), ["c"]]


def test_a_start_without_fills_tells_nothing() -> None:
    """There is no event without rows: nothing was missing."""
    assert trades(-100).mend().shown() == []


def test_a_long_start_comes_in_parts() -> None:
    """As they are read; pushes wait for the last one."""
    bench = trades(-100).put(push(trade("c")))
    assert bench.mend(trade("a", -100), until=at(-80)).shown() == [("REST", ["a"], None)]
    assert bench.mender.since(confirms=False) == at(-80)
    assert bench.mend(trade("a", -100), trade("b", -50)).shown() == [("REST", ["b"], None), ["c"]]


def test_an_event_of_the_start_has_at_most_a_thousand_fills() -> None:
    """However many are read at once."""
    events = trades(-100).mend(*(trade(str(n), -50) for n in range(2_001))).events()
    assert [len(event.data) for event in events] == [1_000, 1_000, 1]


def test_only_the_last_part_of_a_late_start_mends() -> None:
    """A process that ends before it reads again what is missing."""
    bench = trades(-100)
    bench.mender.tick(1_005.1)
    bench.mend(trade("a", -100), until=at(-80)).mend(*(trade(str(n), -50) for n in range(1_001)))
    assert [o[-1] for o in bench.shown()] == [True, None, None, (-100, 0)]


def test_a_late_start_without_fills_is_mended_all_the_same() -> None:
    """Its consumer waits for that."""
    bench = trades(-100)
    bench.mender.tick(1_005.1)
    assert bench.mend().shown() == [("START", -100, 0, True), ("REST", [], (-100, 0))]


# --- an outage ---


def test_what_an_outage_hid_comes_in_its_place() -> None:
    """Before what was pushed afterwards; each fill once."""
    bench = trades().put(push(trade("a", 5))).drop(10, 20).put(push(trade("c", 21)))
    assert bench.mend(trade("a", 5), trade("b", 12), trade("c", 21)).shown() == [["a"], ("REST", ["b"], (10, 20)), ["c"]]


def test_an_outage_that_hid_nothing_is_told_as_mended() -> None:
    """One event, without rows."""
    assert trades().drop(10, 20).mend().shown() == [("REST", [], (10, 20))]


def test_an_outage_that_is_not_mended_in_time_is_told() -> None:
    """Pushes flow; what was missed follows, once."""
    bench = trades().drop(10, 20).put(push(trade("c", 21)))
    bench.mender.tick(1_025.0)
    bench.put(push(trade("d", 26)))
    bench.mend(trade("b", 12), trade("c", 21), trade("d", 26), seconds=30.0)
    assert bench.shown() == [("DISCONNECTED", 10, 20, True), ["c"], ["d"], ("REST", ["b"], (10, 20))]


def test_too_many_pushes_end_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the time does: nothing is dropped."""
    monkeypatch.setattr(gate, "MOST_HELD", 2)
    bench = trades().drop(10, 20).put(push(trade("c", 21)))
    assert bench.shown() == []
    assert bench.put(push(trade("d", 21))).shown() == [("DISCONNECTED", 10, 20, True), ["c"], ["d"]]


def test_a_second_outage_keeps_what_is_held() -> None:
    """One event mends both."""
    bench = trades().drop(10, 20).put(push(trade("b", 21))).drop(22, 23).put(push(trade("d", 24)))
    assert bench.mend(trade("a", 12), trade("b", 21), trade("c", 22)).shown() == [("REST", ["a", "c"], (10, 23)), ["b"], ["d"]]


def test_an_outage_that_was_told_is_mended_with_the_next() -> None:
    """From the beginning of the first one on."""
    bench = trades().drop(10, 20)
    bench.mender.tick(1_025.0)
    bench.drop(30, 31)
    assert bench.mend(trade("a", 12)).shown() == [("DISCONNECTED", 10, 20, True), ("REST", ["a"], (10, 31))]


def test_an_outage_that_is_read_in_parts_comes_in_parts() -> None:
    """As they are read: memory is bounded. Only the last one mends."""
    bench = trades().drop(10, 20).mend(trade("a", 11), until=at(11)).mend(trade("b", 12))
    assert bench.shown() == [("REST", ["a"], None), ("REST", ["b"], (10, 20))]


def test_a_refusal_loses_no_part_that_was_read() -> None:
    """And the next outage reads from the beginning."""
    bench = trades().drop(10, 20).mend(trade("a", 11), until=at(11))
    bench.mender.refused(REFUSED)
    assert bench.shown() == [("REST", ["a"], None), ("DISCONNECTED", 10, 20, False)]
    bench.drop(100, 110)
    assert bench.mender.since(confirms=False) == at(0)


def test_a_row_of_an_earlier_part_that_cannot_be_read_is_told_at_the_end() -> None:
    """Behind what mends: it would count as mended otherwise."""
    bad = Unreadable("execution/list", "list[0].execQty: no number")
    bench = trades().drop(10, 20).mend(trade("a", 11), until=at(11), unreadable=(bad,)).mend(trade("b", 12))
    assert [outline(event)[0] for event in bench.events()] == ["REST", "REST", "UNDECODABLE"]


def test_a_category_that_is_refused_for_an_earlier_part_is_told_at_the_end() -> None:
    """Once, though the later parts have it."""
    parts = [answer(trade("a", 11), until=at(11), refused=(REFUSED,)), answer(trade("b", 12), until=at(12), refused=(REFUSED,))]
    bench = trades().drop(10, 20)
    for part in parts:
        bench.mender.mended(part, moment(21), 3)
    bench.mend(trade("c", 13))
    assert [outline(event)[0] for event in bench.events()] == ["REST", "REST", "REST", "DISCONNECTED"]


@pytest.mark.parametrize("what", ["an outage", "a refresh"])
def test_a_part_that_was_dropped_is_read_again_with_what_takes_it_in(what: str) -> None:
    """The window begins before it, so the read does as well."""
    bench = trades(-100, maxsize=1).mend(trade("a", -90), until=at(-80)).mend(trade("b", -70), until=at(-60))
    if what == "an outage":
        bench.drop(10, 20)
    else:
        bench.mender.refresh()
    assert bench.mender.since(confirms=False) == at(-100)
    bench.events()
    assert bench.mend(trade("a", -90), trade("b", -70), trade("c", 15)).events()[-1].data[0].exec_id == "a"


def test_a_confirming_read_in_parts_does_not_shorten_the_next_window() -> None:
    """Each goes on where it was itself."""
    bench = trades().drop(100, 110).mend(seconds=111.0).confirm(trade("a", 105), until=at(105), seconds=115.0)
    assert bench.mender.since(confirms=True) == at(105)
    bench.drop(116, 117)
    assert bench.mender.since(confirms=False) == at(56)


def test_a_refusal_is_told_for_good() -> None:
    """With endpoint and remedy; what was held follows."""
    bench = trades().drop(10, 20).put(push(trade("b", 21)))
    bench.mender.refused(REFUSED)
    told, held = bench.events()
    assert told.gap is not None
    assert (told.gap.recovering, outline(held)) == (False, ["b"])
    assert "execution/list" in told.gap.detail
    assert "Give it" in told.gap.detail


def test_a_refusal_that_is_found_out_later_is_told_by_one_more_gap() -> None:
    """With the same window."""
    bench = trades().drop(10, 20)
    bench.mender.tick(1_025.0)
    assert bench.shown() == [("DISCONNECTED", 10, 20, True)]
    bench.mender.refused(REFUSED)
    assert bench.shown() == [("DISCONNECTED", 10, 20, False)]


def test_what_was_refused_is_tried_again_at_the_next_outage() -> None:
    """From the first one on; what was pushed in between is not brought again."""
    bench = trades().drop(10, 20)
    bench.mender.refused(REFUSED)
    bench.put(push(trade("b", 500))).drop(1_000, 1_010).mend(trade("a", 12), trade("b", 500), trade("c", 1_005))
    assert bench.shown() == [("DISCONNECTED", 10, 20, False), ["b"], ("REST", ["a", "c"], (10, 1_010))]


def test_a_category_that_is_refused_is_told_behind_the_rows_of_the_others() -> None:
    """An earlier gap would count as mended."""
    bench = trades().drop(10, 20).mend(trade("a", 12), refused=(REFUSED,))
    rest, told = bench.events()
    assert told.gap is not None
    assert outline(rest) == ("REST", ["a"], (10, 20))
    assert (told.gap.since, told.gap.recovering) == (at(10), False)
    assert "Give it" in told.gap.detail


def test_a_category_that_was_refused_is_read_again_at_the_next_outage() -> None:
    """From the first gap on."""
    bench = trades().drop(10, 20).mend(refused=(REFUSED,)).drop(30, 31)
    bench.events()
    assert bench.mend(trade("a", 12)).shown() == [("REST", ["a"], (10, 31))]


def test_a_category_that_was_refused_is_not_forgotten_when_all_was_confirmed() -> None:
    """What it hid is still taken from the next read."""
    bench = trades().drop(10, 20).mend(refused=(REFUSED,)).confirm(seconds=60.0).drop(1_000, 1_001)
    bench.events()
    assert bench.mend(trade("a", 12)).shown() == [("REST", ["a"], (10, 1_001))]


def test_a_row_that_cannot_be_read_is_told() -> None:
    """Once, with its path; not again by a further read."""
    bad = Unreadable("execution/list", "list[0].execQty: no number")
    bench = trades().drop(10, 20).mend(unreadable=(bad,)).confirm(unreadable=(bad,))
    _, told = bench.events()
    assert told.gap is not None
    assert (told.gap.reason, told.gap.missed, told.gap.recovering) == (UNDECODABLE, 1, False)
    assert "execution/list: list[0].execQty" in told.gap.detail


def test_a_row_that_still_cannot_be_read_after_another_outage_is_told_again() -> None:
    """The event before counts as mending the first gap."""
    bad = Unreadable("execution/list", "list[0].execQty: no number")
    bench = trades().drop(10, 20).mend(unreadable=(bad,)).drop(30, 31).mend(unreadable=(bad,))
    assert [outline(event)[0] for event in bench.events()] == ["REST", "UNDECODABLE", "REST", "UNDECODABLE"]


# --- states ---


def test_a_held_push_that_is_older_than_rest_is_left_out() -> None:
    """The answer was ahead of the stream."""
    bench = positions().mend(position("1", 5, 1)).drop(10, 20).put(push(position("2", 6, 19)), push(position("4", 8, 22)))
    rest = bench.mend(position("3", 7, 21)).events()[1:]
    assert [row.size for event in rest for row in event] == [Decimal(3), Decimal(4)]


def test_an_order_that_cannot_be_found_stays_and_is_named() -> None:
    """With its last row; it is read more often then."""
    bench = orders().mend(order("a")).drop(10, 20).mend(seconds=20.0)
    _, event = bench.events()
    assert (event.unresolved, [row.order_id for row in event]) == (("a",), ["a"])
    assert [round(due - 1_020) for due in bench.mender.confirms] == [3, 4, 8, 15, 30]


def test_balances_from_before_the_question_are_left_out() -> None:
    """They are in the answer."""
    bench = Bench(BalanceMemory(), Stream.BALANCES).start().mend(balance(coin("USDT", "5")))
    bench.drop(10, 20).put(push(balance(coin("USDT", "6")), seconds=20), push(balance(coin("USDT", "8")), seconds=24))
    bench.mend(balance(coin("USDT", "7")), seconds=25.0)
    assert [str(event.data[0].coins[0].wallet_balance) for event in bench.events()] == ["5", "7", "8"]


def test_balances_that_cannot_be_read_are_not_zero() -> None:
    """What is told is no snapshot."""
    bad = Unreadable("account/wallet-balance", "totalEquity: no number")
    bench = Bench(BalanceMemory(), Stream.BALANCES).start().mend(unreadable=(bad,))
    assert [event.snapshot for event in bench.events() if event.gap is None] == []
    mended, told = bench.drop(10, 20).mend(unreadable=(bad,)).events()
    assert (mended.snapshot, outline(mended), outline(told)[0]) == (False, ("REST", [], (10, 20)), "UNDECODABLE")


# --- further reads ---


def test_what_was_mended_is_read_again() -> None:
    """After the seconds that were asked for, once each."""
    bench = trades().drop(10, 20).mend(seconds=20.0)
    assert [round(due) for due in bench.mender.confirms] == [1_023, 1_050]
    assert [round(due) for due in bench.confirm(seconds=24.0).mender.confirms] == [1_050]
    assert bench.confirm(seconds=51.0).mender.confirms == []


def test_a_late_fill_comes_with_the_gap_that_it_mends() -> None:
    """Once; nothing comes when nothing was late."""
    bench = trades().drop(10, 20).mend(trade("a", 12)).confirm(trade("a", 12), trade("b", 13)).confirm(trade("b", 13))
    assert bench.shown() == [("REST", ["a"], (10, 20)), ("REST", ["b"], (10, 20))]


def test_a_state_is_told_again_only_when_it_differs() -> None:
    """As a whole."""
    bench = positions().mend(position("1", 5, 1)).confirm(position("1", 5, 1, mark_price=Decimal(7)))
    assert len(bench.events()) == 1
    (event,) = bench.confirm(position("2", 6, 2)).events()
    assert (event.snapshot, event.data[0].size, event.recovered) == (True, Decimal(2), None)


def test_what_contradicts_itself_is_not_known_until_it_is_read_again() -> None:
    """Or until nothing more is read."""
    bench = trades().drop(10, 20).mend(lags=True, seconds=21.0)
    assert (bench.mender.windows.are_mended, bench.mender.windows.are_known) == (True, False)
    assert bench.confirm(lags=True, seconds=25.0).mender.windows.are_known is False
    assert bench.confirm(seconds=29.0).mender.windows.are_known
    bench.confirm(lags=True, seconds=30.0)
    bench.mender.skip_confirms(moment(60.0).seconds)
    assert bench.mender.windows.are_known


def test_a_start_is_confirmed_only_near_its_end() -> None:
    """Fills of a year ago are not expected to be late."""
    bench = trades(-1_000).mend()
    assert bench.mender.since(confirms=True) == at(-60)


# --- what cannot be decoded ---


def test_what_cannot_be_decoded_is_told_at_once() -> None:
    """Pushes flow, and the rows follow."""
    bench = trades().put(gap(UNDECODABLE, 10, 20, missed=1), push(trade("b", 21)))
    assert bench.shown() == [("UNDECODABLE", 10, 20, True), ["b"]]
    assert bench.mend(trade("a", 15), trade("b", 21)).shown() == [("REST", ["a"], (10, 20))]


def test_what_cannot_be_decoded_is_told_at_once_while_pushes_are_held() -> None:
    """An answer that is under way is too old for it; the next one mends both."""
    bench = trades().drop(10, 20)
    bench.mender.windows.asked(20.0)
    bench.put(push(trade("b", 21)), gap(UNDECODABLE, 21, 22, missed=1))
    assert not bench.mender.windows.is_asked
    bench.mend(trade("a", 15), trade("c", 21.5))
    assert bench.shown() == [("UNDECODABLE", 21, 22, True), ("REST", ["a", "c"], (10, 22)), ["b"]]


def test_a_start_mends_what_could_not_be_decoded_before_it() -> None:
    """Its event says so, though the start itself was in time."""
    bench = trades(-100).put(gap(UNDECODABLE, 1, 2, missed=1)).mend(trade("a", 1))
    assert bench.shown() == [("UNDECODABLE", 1, 2, True), ("REST", ["a"], (-100, 2))]


# --- consumers that are too slow ---


def test_what_was_dropped_is_brought_by_a_refresh() -> None:
    """And by nothing else."""
    bench = trades(maxsize=1).put(push(trade("a", 5), seconds=5), push(trade("b", 6), seconds=6))
    assert bench.shown() == [("OVERFLOW", 5, 5, False), ["b"]]
    bench.mender.refresh()
    assert bench.mend(trade("a", 5), trade("b", 6)).shown() == [("REST", ["a"], (5, 5))]


def test_a_refresh_of_fills_brings_nothing_when_nothing_is_missing() -> None:
    """Nothing is read."""
    bench = trades()
    bench.mender.refresh()
    assert bench.mender.read_due() == float("inf")


def test_a_refresh_of_a_state_brings_a_snapshot() -> None:
    """Though nothing changed."""
    bench = orders().mend(order("a"))
    bench.mender.refresh()
    assert bench.mend(order("a")).shown() == [("REST", ["a"], None), ("REST", ["a"], None)]


def test_a_refresh_that_lacks_a_category_says_so() -> None:
    """There is no gap that it could name: that of the question is told."""
    bench = orders().mend(order("a"))
    bench.mender.refresh()
    *_, rest, told = bench.mend(order("a"), seconds=9.0, refused=(REFUSED,)).events()
    assert told.gap is not None
    assert (outline(rest), told.gap.reason, told.gap.recovering) == (("REST", ["a"], None), START, False)


def test_a_refresh_that_is_refused_opens_no_gap() -> None:
    """Nothing is missing because of it; the log tells why."""
    bench = orders().mend(order("a"))
    bench.events()
    bench.mender.refresh()
    bench.mender.refused(REFUSED)
    assert (bench.events(), bench.mender.windows.read_due()) == ([], float("inf"))


def test_a_recovered_event_that_finds_no_room_turns_back_into_its_gap() -> None:
    """What it had counts as not delivered: the next outage brings it."""
    bench = trades(maxsize=1).drop(10, 20).put(push(trade("b", 21))).mend(trade("a", 12))
    assert bench.shown() == [("DISCONNECTED", 10, 20, False), ["b"]]
    assert bench.drop(30, 31).mend(trade("a", 12), trade("b", 21)).shown() == [("REST", ["a"], (10, 31))]


def test_a_sink_that_fails_ends_the_release() -> None:
    """What it raises is passed on."""
    bench = trades(maxsize=1, overflow=Overflow.FAIL).drop(10, 20).put(push(trade("b", 21)))
    with pytest.raises(QueueOverflow):
        bench.mend(trade("a", 12))


def test_an_end_begins_where_the_sink_failed() -> None:
    """What was held behind that is lost, however long ago it was pushed."""
    bench = trades(maxsize=1, overflow=Overflow.FAIL).drop(10, 20)
    bench.put(push(trade("b"), seconds=21), push(trade("c"), seconds=22))
    with pytest.raises(QueueOverflow):
        bench.mender.tick(1_025.0)
    bench.sink.end(gap(ENDED, 40, 50))
    assert bench.shown()[-1] == ("ENDED", 22, 50, False)


# --- the end ---


@pytest.mark.parametrize("held", [[], [push(trade("b", 21))]])
def test_at_the_end_the_gap_is_told_and_what_is_held_follows(held: Sequence[Event[Any]]) -> None:
    """Nothing of REST comes any more."""
    bench = trades().drop(10, 20).put(*held)
    bench.sink.end(gap(ENDED, 20, 30))
    assert bench.shown() == [("DISCONNECTED", 10, 20, False), *(["b"] for _ in held), ("ENDED", 20, 30, False)]


def test_a_close_is_carried_out_by_the_connection_thread() -> None:
    """Another thread must not put into the sink of a user."""
    bench = trades().drop(10, 20).put(push(trade("b", 21)))
    bench.sink.stop_accepting()
    assert (bench.shown(), bench.sink.unflushed, bench.mender.is_over) == ([], 1, False)
    assert bench.sink.flush()
    assert (bench.shown(), bench.sink.unflushed, bench.mender.is_over) == ([("DISCONNECTED", 10, 20, False), ["b"]], 0, True)
    assert bench.buffer.is_spent


def test_a_close_when_nothing_is_held_is_at_once() -> None:
    """As without recovery."""
    bench = trades()
    bench.sink.stop_accepting()
    assert bench.buffer.is_spent


def test_an_outage_that_ends_after_the_close_is_told() -> None:
    """And nothing is held any more."""
    bench = trades()
    bench.mender.gate.is_closing = True
    bench.drop(10, 20)
    assert bench.shown() == [("DISCONNECTED", 10, 20, False)]


def test_what_is_held_can_be_discarded() -> None:
    """It counts as lost."""
    bench = trades().drop(10, 20).put(push(trade("b", 21)))
    assert bench.sink.size == 1
    assert bench.sink.discard() == 1
    assert bench.sink.size == 0


def test_an_end_is_told_though_the_sink_fails() -> None:
    """What was held is lost; the end says so."""
    bench = trades(maxsize=1, overflow=Overflow.FAIL).drop(10, 20)
    bench.put(push(trade("b", 21)), push(trade("c", 21)))
    bench.sink.end(gap(ENDED, 20, 30))
    assert bench.shown()[-1][0] == "ENDED"
