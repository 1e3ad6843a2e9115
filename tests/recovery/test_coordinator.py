from __future__ import annotations

import logging
from typing import Any

import pytest

from bybit_sync.errors import BybitSyncError, RestBlocked, RestRefused, RestUnavailable
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import Event, GapReason, Stream
from bybit_sync.recovery.coordinator import Coordinator
from bybit_sync.recovery.mender import Mender
from bybit_sync.recovery.precedence import ORDERS
from bybit_sync.recovery.states import StateMemory
from bybit_sync.recovery.trades import TradeMemory
from bybit_sync.recovery.wants import Answered, Want
from tests.recovery.rows import answer, at, gap, trade
from tests.recovery.test_mender import Bench, moment

DISCONNECTED, START, UNDECODABLE = GapReason.DISCONNECTED, GapReason.START, GapReason.UNDECODABLE
NEVER = float("inf")
DOWN = RestUnavailable("no connection", endpoint="execution/list")
REFUSED = RestRefused("execution/list: refused with 10005: no", endpoint="execution/list")


class Desk:
    """A coordinator, the subscriptions that it serves, and what it has asked for."""

    def __init__(self) -> None:
        self.wants: list[Want] = []
        self.has_threads = True
        self.coordinator = Coordinator(self._ask, ClientLog("main"), chance=lambda: 1.0)

    def _ask(self, want: Want) -> bool:
        if self.has_threads:
            self.wants.append(want)
        return self.has_threads

    def trades(self, since: float | None = None) -> Bench:
        """Return a subscription to fills, confirmed at noon."""
        return self._served(Bench(TradeMemory(None if since is None else at(since)), Stream.USER_TRADES)).start()

    def orders(self) -> Bench:
        """Return a subscription to orders, confirmed at noon."""
        return self._served(Bench(StateMemory(ORDERS), Stream.ORDERS)).start()

    def _served(self, bench: Bench) -> Bench:
        bench.mender._on_change = self.coordinator.changed
        return bench

    def tick(self, seconds: float) -> list[tuple[Mender, BaseException]]:
        """Let the time come."""
        return self.coordinator.tick(moment(seconds).seconds)

    def answer(self, outcome: Answered | BybitSyncError, seconds: float, want: Want | None = None) -> Any:
        """Answer *want*, by default the last."""
        return self.coordinator.answered(want or self.wants[-1], outcome, moment(seconds), 3)

    def asked(self) -> list[tuple[str, float | None]]:
        """Return what was asked for since the last call, with its beginning."""
        wants, self.wants = self.wants, []
        return [(w.stream.value, None if w.since is None else (w.since - at(0)).total_seconds()) for w in wants]


def test_nothing_is_due_when_nothing_is_missing() -> None:
    """The connection thread is not woken for it."""
    desk = Desk()
    desk.trades()
    assert (desk.coordinator.due, desk.coordinator.pending()) == (NEVER, ())


def test_an_outage_is_read_as_soon_as_the_thread_looks() -> None:
    """From the overlap before it; not twice."""
    desk = Desk()
    desk.trades().drop(100, 110)
    assert desk.coordinator.due < 0
    desk.tick(110)
    desk.tick(111)
    assert desk.asked() == [("user_trades", 40)]


def test_fills_are_asked_for_first() -> None:
    """What is missing there is missing for good."""
    desk = Desk()
    orders, trades = desk.orders(), desk.trades()
    orders.drop(100, 110)
    trades.drop(100, 110)
    desk.tick(110)
    assert [stream for stream, _ in desk.asked()] == ["user_trades", "orders"]


def test_one_read_serves_every_subscription_of_a_stream() -> None:
    """From the earliest on."""
    desk = Desk()
    first, second = desk.trades(), desk.trades()
    first.drop(100, 110)
    second.drop(90, 110)
    desk.tick(110)
    assert desk.asked() == [("user_trades", 30)]


def test_a_start_a_year_ago_does_not_delay_an_outage() -> None:
    """It is read afterwards."""
    desk = Desk()
    old, new = desk.trades(-1_000_000), desk.trades()
    new.drop(100, 110)
    desk.tick(110)
    want = desk.wants[-1]
    assert desk.asked() == [("user_trades", 40)]
    desk.answer(answer(), 111, want)
    assert desk.asked() == [("user_trades", -1_000_000)]
    assert (len(new.events()), old.mender.windows.is_asked) == (1, True)


def test_the_end_of_holding_wakes_the_thread() -> None:
    """Which tells the gap then."""
    desk = Desk()
    bench = desk.trades().drop(100, 110)
    desk.tick(110)
    assert round(desk.coordinator.due) == round(moment(115).seconds)
    desk.tick(115.1)
    assert [event.gap is not None and event.gap.recovering for event in bench.events()] == [True]
    assert desk.coordinator.due == NEVER


def test_a_read_that_failed_is_tried_again() -> None:
    """After growing pauses, at most five seconds and a part."""
    desk, now, pauses = Desk(), 110.0, []
    desk.trades().drop(100, 110)
    desk.tick(now)
    for _ in range(5):
        desk.answer(DOWN, now)
        pauses.append(round(desk.coordinator._retry_at - moment(now).seconds, 3))
        now += pauses[-1] + 0.001
        desk.tick(now)
    assert pauses == [1, 2, 5, 5, 5]
    assert len(desk.asked()) == 6


def test_a_read_waits_as_long_as_it_is_told_to() -> None:
    """Ten minutes after HTTP 403, for example."""
    desk = Desk()
    desk.trades().drop(100, 110)
    desk.tick(110)
    desk.answer(RestBlocked("banned", retry_after=600.0), 110)
    desk.tick(700)
    assert len(desk.asked()) == 1
    assert desk.coordinator.due == pytest.approx(moment(710).seconds)


def test_while_reads_fail_one_at_a_time_is_tried() -> None:
    """In turn; with the first success the others follow at once."""
    desk = Desk()
    trades, orders = desk.trades(), desk.orders()
    trades.drop(100, 110)
    orders.drop(100, 110)
    desk.tick(110)
    first, second = desk.wants
    desk.asked()
    desk.answer(DOWN, 110, first)
    desk.answer(DOWN, 110, second)
    desk.tick(120)
    assert desk.asked() == [("user_trades", 40)]


def test_with_the_first_success_the_others_follow_at_once() -> None:
    """They do not wait for their pause."""
    desk = Desk()
    trades, orders = desk.trades(), desk.orders()
    trades.drop(100, 110)
    orders.drop(100, 110)
    desk.tick(110)
    first, second = desk.wants
    desk.answer(DOWN, 110, second)
    desk.asked()
    desk.answer(answer(), 110, first)
    assert desk.asked() == [("orders", 0)]


def test_an_outage_during_a_read_is_asked_for_anew() -> None:
    """The answer is too old for it."""
    desk = Desk()
    bench = desk.trades().drop(100, 110)
    desk.tick(110)
    bench.drop(112, 113)
    desk.answer(answer(trade("a", 105)), 114)
    assert bench.events() == []
    assert desk.asked() == [("user_trades", 40), ("user_trades", 40)]


def test_an_answer_that_nobody_waits_for_is_dropped() -> None:
    """The client began anew."""
    desk = Desk()
    bench = desk.trades().drop(100, 110)
    desk.tick(110)
    desk.coordinator.reset()
    assert desk.answer(answer(trade("a", 105)), 111) == []
    assert (bench.events(), desk.coordinator.due) == ([], NEVER)


def test_a_refusal_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """However many outages there are."""
    desk = Desk()
    bench = desk.trades()
    for since in (100, 200):
        bench.drop(since, since + 10)
        desk.tick(since + 10)
        desk.answer(REFUSED, since + 10)
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert [event.gap is not None and event.gap.recovering for event in bench.events()] == [False]


def test_refusals_without_end_are_logged_in_a_bounded_number(caplog: pytest.LogCaptureFixture) -> None:
    """Each with another text of the exchange."""
    desk = Desk()
    bench = desk.trades()
    for number in range(150):
        bench.drop(100 + number, 100.5 + number)
        desk.tick(100.5 + number)
        desk.answer(RestRefused(f"{number}"), 100.5 + number)
    assert len(caplog.records) == 100


def test_a_category_that_is_refused_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The others are read."""
    desk = Desk()
    bench = desk.trades().drop(100, 110)
    desk.tick(110)
    desk.answer(answer(refused=(REFUSED,)), 111)
    assert len(caplog.records) == 1
    assert len(bench.events()) == 2


def test_what_may_pass_is_logged_once_for_each_time_that_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    """Not at every attempt."""
    desk = Desk()
    desk.trades().drop(100, 110)
    desk.tick(110)
    desk.answer(DOWN, 110)
    desk.tick(120)
    desk.answer(DOWN, 120)
    assert len(caplog.records) == 1


def test_what_was_mended_is_read_again_when_it_is_time() -> None:
    """And marked, so that it comes last."""
    desk = Desk()
    desk.trades().drop(100, 110)
    desk.tick(110)
    desk.answer(answer(), 111)
    assert desk.coordinator.due == pytest.approx(moment(114).seconds)
    desk.tick(114.1)
    assert desk.wants[-1].confirms
    desk.answer(answer(), 115)
    assert desk.coordinator.due == pytest.approx(moment(141).seconds)


def test_a_further_read_that_is_refused_is_not_repeated() -> None:
    """What it confirms was told."""
    desk = Desk()
    bench = desk.trades().drop(100, 110)
    desk.tick(110)
    desk.answer(answer(), 111)
    desk.tick(114.1)
    desk.answer(REFUSED, 115)
    assert len(bench.mender.confirms) == 1


def test_a_further_read_that_failed_is_tried_again() -> None:
    """It may still find something."""
    desk = Desk()
    desk.trades().drop(100, 110)
    desk.tick(110)
    desk.answer(answer(), 111)
    desk.tick(114.1)
    desk.answer(DOWN, 115)
    desk.tick(117)
    assert [want.confirms for want in desk.wants] == [False, True, True]


def test_an_outage_outdates_a_further_read() -> None:
    """Its answer is not told: the next one tells all."""
    desk = Desk()
    bench = desk.trades().drop(100, 110)
    desk.tick(110)
    desk.answer(answer(), 111)
    desk.tick(114.1)
    bench.drop(115, 116)
    bench.events()
    desk.answer(answer(trade("a", 105)), 117)
    assert bench.events() == []
    assert not desk.wants[-1].confirms


def test_without_a_thread_it_is_tried_later() -> None:
    """The system has none left for the moment."""
    desk = Desk()
    desk.has_threads = False
    desk.trades().drop(100, 110)
    desk.tick(110)
    desk.has_threads = True
    desk.tick(111.1)
    assert len(desk.wants) == 1


def test_a_subscription_that_has_ended_is_served_no_more() -> None:
    """Nothing is read for it."""
    desk = Desk()
    bench = desk.trades().drop(100, 110)
    bench.sink.stop_accepting()
    bench.sink.flush()
    desk.tick(110)
    assert (desk.wants, desk.coordinator.due) == ([], NEVER)


def test_a_sink_that_raises_ends_its_own_subscription_only() -> None:
    """The other one is served."""
    desk = Desk()
    broken, whole = desk.trades().drop(100, 110), desk.trades().drop(100, 110)
    broken.buffer.put = _raise  # type: ignore[method-assign]
    desk.tick(110)
    failed = desk.answer(answer(trade("a", 105)), 111)
    assert [(mender, type(error)) for mender, error in failed] == [(broken.mender, ZeroDivisionError)]
    assert len(whole.events()) == 1


def _raise(_event: Event[Any]) -> None:
    raise ZeroDivisionError


def test_what_cannot_be_decoded_is_read_once_a_minute() -> None:
    """The thread is woken when it is time."""
    desk = Desk()
    bench = desk.trades().put(gap(UNDECODABLE, 100, 101))
    desk.tick(101)
    desk.answer(answer(), 102)
    bench.put(gap(UNDECODABLE, 105, 106))
    desk.answer(answer(), 106, desk.wants[-1])
    desk.tick(107)
    desk.answer(answer(), 108)
    assert len([want for want in desk.wants if not want.confirms]) == 1
    desk.tick(161.1)
    assert len([want for want in desk.wants if not want.confirms]) == 2


def test_what_waits_for_its_minute_does_not_stop_further_reads() -> None:
    """Nor keep the thread awake."""
    desk = Desk()
    bench = desk.trades().put(gap(UNDECODABLE, 100, 101))
    desk.tick(101)
    desk.answer(answer(), 102)
    bench.put(gap(UNDECODABLE, 103, 104))
    desk.tick(105.5)
    assert desk.wants[-1].confirms
    desk.answer(answer(trade("late", 100.5)), 106)
    assert bench.shown()[-1] == ("REST", ["late"], (100, 101))
    assert desk.coordinator.due == moment(132).seconds
