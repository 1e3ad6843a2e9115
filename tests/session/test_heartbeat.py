from __future__ import annotations

from datetime import timedelta

import pytest

from bybit_sync.errors import ConnectionLost
from bybit_sync.model.events import Stream
from bybit_sync.session.pings import Echo, Pings
from tests.talking import NOON, Talk, at, order


def live() -> Talk:
    """Return a talk that is live, and heard the exchange at noon."""
    talk = Talk(Stream.ORDERS, starts=-0.001)
    talk.go_live()
    talk.asked()
    talk.seconds = 0
    talk.pong()
    return talk


# --- pings ---


def test_a_ping_is_sent_every_five_seconds_whatever_arrives() -> None:
    """Data proves that the exchange lives, but not that it hears us."""
    talk, pings = live(), []
    for second in range(1, 31):
        talk.wait(1)
        talk.push("order", order("1"))
        pings += [second] * len(talk.asked("ping"))
    assert pings == [5, 10, 15, 20, 25, 30]


def test_the_next_deadline_is_the_next_ping() -> None:
    """The connection sleeps until then."""
    assert live().session.next_deadline() == pytest.approx(1005, abs=0.01)


def test_a_ping_is_sent_before_the_login_is_answered_too() -> None:
    """A slow login is told from a dead exchange."""
    talk = Talk()
    talk.asked()
    talk.wait(5)
    assert [request.op for request in talk.asked()] == ["ping"]


# --- silence ---


def silent_after(talk: Talk) -> float:
    """Return how many seconds of silence it takes until the exchange counts as dead."""
    begin = talk.seconds
    with pytest.raises(ConnectionLost, match="the connection is dead"):
        for _ in range(300):
            talk.wait(0.1)
    return round(talk.seconds - begin, 1)


@pytest.mark.parametrize("quiet", [0, 0.1, 2.5, 4.9])
def test_a_dead_exchange_is_found_within_ten_seconds(quiet: float) -> None:
    """Since the last byte of a data frame, whenever that was between two pings."""
    talk = live()
    talk.wait(quiet)
    talk.push("order", order("1"))
    assert silent_after(talk) == 10


def test_a_dead_exchange_is_found_within_ten_seconds_of_a_pong() -> None:
    """The usual case: a quiet account."""
    talk = live()
    talk.wait(5)
    talk.wait(0.1)
    talk.pong()
    assert silent_after(talk) <= 10


def test_data_without_pongs_is_life() -> None:
    """But worth one warning after a minute: how fresh it is cannot be told."""
    talk = live()
    for _ in range(120):
        talk.wait(1)
        talk.push("order", order("1"))
    assert talk.session.coverage.told == NOON


def test_data_without_pongs_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """After a minute."""
    talk = live()
    for second in range(200):
        talk.wait(1)
        talk.push("order", order("1"))
        assert bool(caplog.records) == (second >= 64)
    [record] = caplog.records
    assert "no pong for 65 s" in record.getMessage()


def test_part_of_a_message_is_life() -> None:
    """A large one on a slow line is not cut off."""
    talk = live()
    for _ in range(30):
        talk.wait(1)
        talk.session.data_received(talk.now.ns)


def test_an_old_byte_is_no_life() -> None:
    """The same moment told again proves nothing."""
    talk = live()
    early = talk.now.ns
    with pytest.raises(ConnectionLost):
        for _ in range(30):
            talk.wait(1)
            talk.session.data_received(early)


# --- held up ---


def test_who_was_held_up_asks_before_judging() -> None:
    """Stopped for a minute with no ping under way: the exchange had no reason to say anything. It gets its five seconds."""
    talk = live()
    talk.wait(60)
    assert len(talk.asked("ping")) == 1
    talk.wait(4.9)
    talk.pong()
    talk.wait(4.9)


def test_who_was_held_up_does_not_wait_for_ever() -> None:
    """Nothing after that ping: dead."""
    talk = live()
    talk.wait(60)
    assert silent_after(talk) == 5


def test_who_was_held_up_with_a_ping_under_way_need_not_ask_again() -> None:
    """What lay ready was read first, and there was no pong in it: dead at once."""
    talk = live()
    talk.wait(5)
    with pytest.raises(ConnectionLost, match="sent nothing for 65.0 s"):
        talk.wait(60)


def test_a_silence_longer_than_the_pings_are_apart_is_one_silence() -> None:
    """Further pings do not put it off."""
    talk = live()
    talk.wait(5)
    talk.wait(4.9)
    with pytest.raises(ConnectionLost):
        talk.wait(0.1)


# --- slept through ---


def test_a_connection_that_was_slept_through_is_asked_at_once() -> None:
    """It may be long gone, and the next ping would be seconds away."""
    talk = live()
    talk.wait(1)
    talk.session.probe_now(talk.now)
    assert talk.session.next_deadline() <= talk.now.seconds
    talk.wait(0)
    assert len(talk.asked("ping")) == 1


def test_a_connection_that_was_slept_through_has_two_seconds() -> None:
    """Instead of ten."""
    talk = live()
    talk.session.probe_now(talk.now)
    talk.wait(0)
    assert silent_after(talk) == 2


def test_a_connection_that_answers_is_trusted_again() -> None:
    """As before."""
    talk = live()
    talk.session.probe_now(talk.now)
    talk.wait(1.9)
    talk.pong()
    assert silent_after(talk) == 10


# --- pongs ---


def test_a_pong_tells_the_round_trip_and_the_exchanges_clock() -> None:
    """Half of the way is on each side."""
    talk = live()
    talk.wait(5)
    talk.seconds += 0.4
    talk.pong(skew=-0.2)
    assert talk.session.heartbeat.rtt == pytest.approx(0.4)
    assert talk.session.coverage.told == NOON + timedelta(seconds=5.2)


def test_pings_that_were_not_answered_do_not_spoil_the_next_measurement() -> None:
    """The pong tells by its number that it belongs to the last of them: an exchange may leave some out."""
    talk = live()
    for _ in range(6):
        talk.wait(5)
        talk.push("order", order("1"))
    talk.seconds += 0.1
    talk.pong(skew=-0.05)
    assert talk.session.heartbeat.rtt == pytest.approx(0.1)
    assert talk.clock.offset == pytest.approx(0, abs=0.06)


def test_a_pong_that_nobody_asked_for_measures_nothing() -> None:
    """But it tells how fresh the data are."""
    talk = live()
    talk.seconds = 3
    talk.pong(skew=100)
    assert talk.session.heartbeat.rtt == 0
    assert talk.clock.offset == pytest.approx(0)
    assert talk.session.coverage.told == NOON + timedelta(seconds=103)


def test_a_pong_without_a_time_is_a_pong() -> None:
    """It proves life and the round trip, and nothing about freshness."""
    talk = live()
    talk.wait(5)
    talk.seconds += 0.5
    talk.hear(op="ping", ret_msg="pong", success=True)
    assert talk.session.heartbeat.rtt == pytest.approx(0.5)
    assert talk.session.coverage.told == NOON


def unanswered(talk: Talk, pings: int) -> list[str | None]:
    """Let *pings* pings go out, 5 s apart, while data arrives; return their numbers."""
    for _ in range(pings):
        talk.wait(5)
        talk.push("order", order("1"))
    return [request.req_id for request in talk.asked("ping")]


def skew_at(talk: Talk) -> float:
    """Return by how many seconds the exchange's clock may be misjudged now, in either direction."""
    true = NOON + timedelta(seconds=talk.seconds)
    earliest, latest = talk.clock.earliest(talk.now), talk.clock.latest(talk.now)
    assert earliest <= true <= latest, "the truth is not in it"
    return max(true - earliest, latest - true).total_seconds()


@pytest.mark.parametrize("numbered", [True, False])
def test_a_late_pong_teaches_nothing_wrong(numbered: bool) -> None:  # noqa: FBT001
    """It was written when the first of two pings had come; who takes it for the second's is wrong by how late it is."""
    talk = live()
    first, _ = unanswered(talk, 2)
    talk.seconds += 0.1
    talk.pong_to(first if numbered else None, skew=-5)
    assert skew_at(talk) < 0.02
    assert (talk.session.heartbeat.rtt or 0) == pytest.approx(5.1 if numbered else 0)


def test_pongs_that_come_in_one_burst_are_each_for_their_ping() -> None:
    """A way back that stalled for 9 s, and then brings what was written meanwhile."""
    talk = live()
    first, second = unanswered(talk, 2)
    talk.seconds += 0.5
    talk.pong_to(first, skew=-5.5)
    talk.pong_to(second, skew=-0.5)
    assert talk.session.heartbeat.rtt == pytest.approx(0.5)
    assert skew_at(talk) < 0.02


def test_a_pong_without_a_number_measures_where_only_one_ping_is_open() -> None:
    """The others may be left out for ever: what they say stays true, and is less exact."""
    talk = Talk(Stream.ORDERS)
    [login] = talk.asked("auth")
    talk.answer(login)
    talk.send()
    talk.seconds = 0.2
    talk.pong_to(None, skew=-0.1)
    assert talk.session.heartbeat.rtt == pytest.approx(0.2)
    assert skew_at(talk) < 0.11
    unanswered(talk, 3)
    talk.pong_to(None)
    assert talk.session.heartbeat.rtt == pytest.approx(0.2)
    assert skew_at(talk) < 0.13


def test_an_exchange_that_never_answers_pings_costs_no_memory() -> None:
    """Of a thousand the oldest is forgotten: a pong without a number proves nothing any more, one with a number does."""
    pings = Pings()
    for number in range(1001):
        pings.sent(str(number), at(number))
    assert pings.answered(None) is None
    assert pings.answered("0") is None
    assert pings.answered("1000") == Echo(at(1000), exact=True)


def test_a_ping_that_waits_behind_a_slow_log_has_its_time(caplog: pytest.LogCaptureFixture) -> None:
    """The probe after a sleep runs from when the question went out, whatever held it up."""
    talk = live()
    talk.session.probe_now(talk.now)
    talk.seconds += 3
    assert talk.session.next_deadline() <= talk.now.seconds
    talk.wait(0)
    talk.wait(1.9)
    talk.pong()
