from __future__ import annotations

from datetime import timedelta

import pytest

from bybit_sync.config.timings import Timings
from bybit_sync.errors import AuthenticationError, ConnectionLost, ProtocolError
from bybit_sync.model.events import Stream
from tests.talking import NOON, Talk, milliseconds, names

ORDERS = Stream.ORDERS


# --- asking ---


def test_a_login_is_the_first_thing_and_the_only_one() -> None:
    """It expires `auth_window` from now; nothing is subscribed before its answer."""
    [login] = Talk(ORDERS).asked()
    assert (login.op, login.argument) == ("auth", milliseconds(NOON + timedelta(seconds=10)))


def test_an_accepted_login_asks_for_what_is_wanted() -> None:
    """Then, and one topic a request."""
    talk = Talk(ORDERS, Stream.BALANCES, categories=("linear", "inverse"))
    assert [request.argument for request in talk.log_in()] == ["order.linear", "order.inverse", "wallet"]


def test_the_exchanges_time_is_asked_for_with_the_first_topics() -> None:
    """Before them: windows of gaps are told in it, also when the connection is lost within its first seconds."""
    talk = Talk(ORDERS)
    talk.answer(*talk.asked())
    assert [request.op for request in talk.asked()] == ["ping", "subscribe"]


def test_with_nothing_wanted_an_accepted_login_is_live() -> None:
    """There is nothing to wait for."""
    talk = Talk()
    assert names(talk.answer(*talk.asked())) == ["LoggedIn", "AllConfirmed"]


# --- answers that are none ---


def test_an_answer_to_another_sessions_login_is_nobodys() -> None:
    """The one before this, whose login was never answered, had the same place in line; a proxy may hold answers back."""
    before, talk = Talk(ORDERS), Talk(ORDERS, starts=20)
    [late], _ = before.asked(), talk.asked()
    assert talk.answer(late) == ()
    assert talk.topics_asked() == []


def test_an_answer_without_a_number_is_the_logins() -> None:
    """The older gateway echoes none."""
    talk = Talk(ORDERS)
    talk.asked()
    assert names(talk.hear(op="auth", success=True, conn_id="c")) == ["LoggedIn"]


def test_an_answer_before_the_login_was_sent_is_nobodys() -> None:
    """It cannot be to it."""
    talk = Talk(ORDERS)
    assert talk.hear(op="auth", success=True) == ()


def test_a_second_answer_changes_nothing() -> None:
    """The first one decided."""
    talk = Talk(ORDERS)
    [login] = talk.asked()
    talk.answer(login)
    assert talk.refuse(login, "API key is invalid") == ()
    assert talk.answer(login) == ()


def test_a_login_that_is_taken_back_ends_the_session() -> None:
    """A no that nobody asked for: what was subscribed may be silent from now on."""
    talk = Talk(ORDERS)
    talk.go_live()
    with pytest.raises(ProtocolError, match="takes back that it accepted the login: expired"):
        talk.hear(op="auth", success=False, ret_msg="expired", conn_id="c")


def test_an_answer_that_never_comes_is_a_lost_connection() -> None:
    """After `request_timeout`, whatever else is heard."""
    talk = Talk(ORDERS)
    talk.send()
    talk.live_on(9)
    with pytest.raises(ConnectionLost, match="did not answer the login within 10 s"):
        talk.wait(1)


def test_a_push_before_the_answer_is_no_order_of_things() -> None:
    """Who pushes to somebody who is not logged in, whatever it is, confuses us with another."""
    talk = Talk(ORDERS)
    with pytest.raises(ProtocolError, match="pushed wallet before it answered the login"):
        talk.push("wallet")


# --- plain refusals ---


def refusal(talk: Talk, text: str) -> AuthenticationError:
    """Return what follows from refusing the login with *text*."""
    [login] = talk.asked("auth")
    with pytest.raises(AuthenticationError) as caught:
        talk.refuse(login, text)
    return caught.value


def test_a_plain_refusal_ends_the_session_at_once() -> None:
    """With the exchange's own words and what to do about them."""
    error = refusal(Talk(), "API key is invalid.")
    assert error.text == "API key is invalid."
    assert "Check the key" in error.remedy
    assert str(error) == f"the exchange refused the login: API key is invalid. {error.remedy}"
    assert (error.transient, error.retry_after, error.clock_offset) == (False, None, None)


@pytest.mark.parametrize(("text", "seconds"), [("System busy, try again later", 5), ("Too many visits", 30)])
def test_a_refusal_for_now_says_for_how_long(text: str, seconds: float) -> None:
    """It is tried again, but not at once."""
    error = refusal(Talk(), text)
    assert (error.transient, error.retry_after) == (True, seconds)


def test_an_unexplained_refusal_is_one() -> None:
    """An answer that does not say yes is a no, whatever it lacks."""
    talk = Talk()
    talk.asked()
    with pytest.raises(AuthenticationError, match="it gives no reason"):
        talk.hear(op="auth")


def test_a_refusal_that_echoes_the_key_is_redacted() -> None:
    """In its text, and in what is raised."""
    error = refusal(Talk(key="K3Y"), "no such key K3Y: K3Y")
    assert error.text == "no such key ***: ***"
    assert "K3Y" not in f"{error!r} {error} {error.args} {error.remedy}"


def test_a_refusal_cannot_write_to_a_terminal() -> None:
    """Nor fill it."""
    error = refusal(Talk(), "sign\x1b[2J" + "x" * 1000)
    assert "\x1b" not in str(error)
    assert len(str(error)) < 500


# --- a clock to blame ---


def refused_for_the_clock(wall: float = -60.0, times: Timings | None = None) -> Talk:
    """Return a talk whose login was refused with what may mean a wrong clock, and the ping was sent for it."""
    talk = Talk(ORDERS, wall=wall, times=times)
    [login] = talk.asked()
    assert talk.refuse(login, "Params Error") == ()
    assert [request.op for request in talk.asked()] == ["ping"]
    return talk


def test_the_login_is_signed_again_with_the_exchanges_time() -> None:
    """A clock that is a minute slow still logs in."""
    talk = refused_for_the_clock(wall=-60)
    talk.pong()
    [login] = talk.asked()
    assert (login.op, login.argument) == ("auth", milliseconds(NOON + timedelta(seconds=10)))
    assert names(talk.answer(login)) == ["LoggedIn"]


def test_the_second_refusal_holds_and_names_the_measured_skew() -> None:
    """The clock was not it, or not alone."""
    talk = refused_for_the_clock(wall=-60)
    talk.pong()
    error = refusal(talk, "Params Error")
    assert error.clock_offset == pytest.approx(60)
    assert "the exchange's clock minus this one: +60.000 s" in str(error)


def test_a_plain_refusal_of_the_corrected_login_is_told_as_it_is() -> None:
    """With the clock right, the exchange says what else is wrong."""
    talk = refused_for_the_clock()
    talk.pong()
    assert refusal(talk, "API key is invalid").text == "API key is invalid"


def test_without_a_pong_the_refusal_holds() -> None:
    """After `pong_timeout`, whatever then ends the connection."""
    talk = refused_for_the_clock()
    talk.wait(4.9)
    with pytest.raises(ConnectionLost) as caught:
        talk.wait(0.1)
    assert isinstance(talk.session.ending(caught.value), AuthenticationError)


def test_a_pong_that_tells_no_time_corrects_nothing() -> None:
    """It does not say what to sign with."""
    talk = refused_for_the_clock()
    talk.hear(op="ping", ret_msg="pong", success=True)
    assert talk.asked() == []


def test_a_connection_lost_while_measuring_ends_with_the_refusal() -> None:
    """An exchange that hangs up after its no has said why."""
    talk = refused_for_the_clock()
    assert isinstance(talk.session.ending(ConnectionLost("cut")), AuthenticationError)


def test_a_connection_lost_after_the_corrected_login_is_lost() -> None:
    """That one was not refused yet."""
    talk = refused_for_the_clock()
    talk.pong()
    lost = ConnectionLost("cut")
    assert talk.session.ending(lost) is lost


def test_a_late_second_answer_to_the_first_login_is_nobodys() -> None:
    """While the clock is measured nothing is asked."""
    talk = refused_for_the_clock()
    assert talk.hear(op="auth", success=True) == ()
    assert talk.topics_asked() == []


@pytest.mark.parametrize(("wall", "words"), [(-60, "60.0 s behind"), (3600, "3600.0 s ahead of")])
def test_a_wrong_clock_is_warned_of_once(wall: float, words: str, caplog: pytest.LogCaptureFixture) -> None:
    """Also when the exchange lets us in with it."""
    talk = Talk(ORDERS, wall=wall)
    talk.go_live()
    talk.live_on(20)
    assert [record.getMessage() for record in caplog.records] == [
        f"this machine's clock is {words} the exchange's: set it (NTP)"
    ]


def test_a_good_clock_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """A second is what a slow line makes of it."""
    Talk(ORDERS, wall=1).log_in()
    assert caplog.records == []


def test_what_one_session_learned_the_next_one_signs_with() -> None:
    """Our clock is as wrong as before."""
    before = Talk(wall=-60)
    before.log_in()
    [login] = Talk(wall=-60, starts=20, clock=before.clock).asked()
    assert login.argument == milliseconds(NOON + timedelta(seconds=30))
