"""Section E: logging in."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bybit_sync import AuthenticationError, Client, GapReason, State, SubscriptionRejected
from bybit_sync.simulator import Account
from bybit_sync.simulator import Exchange as Simulator
from tests.conftest import KEY, SECRET
from tests.faults import pace
from tests.faults.conftest import Play
from tests.faults.exchange import (
    Act,
    Message,
    Talk,
    accept,
    answer,
    close_frame,
    confirm,
    hang_up,
    ignore,
    log_in,
    order,
    pong,
    read_request,
    say,
    serve,
)
from tests.faults.rows import PLAIN_AND_TLS, row
from tests.faults.scene import Scene
from tests.peers import frame

WRONG_KEY = "API key is invalid. Check whether the key and domain are matched."
NUMBER = "the number"
LOGIN = {"op": "auth", "conn_id": "conn-1", "ret_msg": ""}


# --- scripts ---


def refuse(line: Talk, text: str, **fields: object) -> Message:
    """Wait for the login and refuse it with *text*."""
    request = read_request(line, "auth")
    line.exchange.signatures.append(request["args"][2])
    answer(line, request, success=False, text=text, **fields)
    return request


def refusing(text: str, *, times: int = 1, **fields: object) -> Act:
    """Return the script that refuses so many logins of a connection with *text*, then answers everything rightly."""

    def script(line: Talk) -> None:
        for _ in range(times):
            refuse(line, text, **fields)
        serve(line)

    return script


def watching_the_clock(text: str, **fields: object) -> Act:
    """Return the script that refuses a login with *text* when it has expired by the exchange's clock."""

    def answer_login(line: Talk, request: Message) -> None:
        if request["args"][1] > line.exchange.milliseconds():
            accept(line, request)
        else:
            line.exchange.signatures.append(request["args"][2])
            answer(line, request, success=False, text=text, **fields)

    return lambda line: serve(line, auth=answer_login)


def answering(login: Message) -> Act:
    """Return the script that answers the login with *login*, in which NUMBER stands for its req_id, then everything rightly."""

    def script(line: Talk) -> None:
        request = read_request(line, "auth")
        line.exchange.signatures.append(request["args"][2])
        say(line, frame(json.dumps(login).replace(NUMBER, request["req_id"])))
        serve(line)

    return script


# --- what to look at ---


def refused(scene: Scene) -> AuthenticationError:
    """Subscribe, which must fail, and return why."""
    with pytest.raises(AuthenticationError) as raised:
        scene.subscribe()
    return raised.value


def operations(talk: Talk) -> list[str]:
    """Return what the client asked for, pings aside, in order."""
    return [request["op"] for request in talk.requests if request["op"] != "ping"]


def pauses(scene: Scene) -> list[float]:
    """Return the seconds of the catalogue between the ends of attempts and the next attempts."""
    scene.status.is_told(scene.client.state)
    times = {State.BACKING_OFF: [], State.CONNECTING: []}
    for change in scene.status.changes:
        times.get(change.state, []).append(change.at)
    spans = [b - a for a, b in zip(times[State.BACKING_OFF], times[State.CONNECTING][1:], strict=False)]
    # A little is given back: the changes are stamped by the wall clock, which may be slewed meanwhile.
    return [span.total_seconds() * 1.01 / pace.seconds(1) for span in spans]


# --- refused for good ---


@row(61, kills="a login that is refused plainly is tried again")
@PLAIN_AND_TLS
def test_a_wrong_key_is_raised_at_the_first_answer(play: Play) -> None:
    """`subscribe_*` raises, there is no second attempt, and the client may be used again."""
    scene = play(refusing(WRONG_KEY), serve)
    assert WRONG_KEY in str(refused(scene))
    assert scene.client.state is State.IDLE
    assert scene.exchange.accepted == 1
    scene.logged(())
    scene.histories.clear()
    scene.subscribe()
    scene.goes_on()


@row(62, kills="every refusal gets the same remedy")
@pytest.mark.parametrize(
    ("text", "code", "remedy"),
    [
        ("Error sign, please check your signature generation algorithm.", 10004, "the secret belongs to this key"),
        ("Permission denied, please check your API key permissions.", 10005, "read permission"),
        ("Unmatched IP, please check your API key's bound IP addresses.", 10010, "public address"),
        ("IP has been banned.", 10009, "public address"),
        ("Your api key has expired.", 33004, "no longer valid: make a new one"),
        (WRONG_KEY, 10003, "works only where it was made"),
        ("User authentication failed.", 10007, "Check key, secret, permissions and environment"),
        ("", 10004, "the secret belongs to this key"),
        ("Your api key has expired.", None, "no longer valid: make a new one"),
        ("Permission denied", None, "read permission"),
    ],
)
def test_a_refusal_says_what_to_do(play: Play, text: str, code: int | None, remedy: str) -> None:
    """The error holds the exchange's own text and one line of what to do about it, by text or by code, and nothing secret."""
    scene = play(refusing(text, retCode=code))
    error = refused(scene)
    assert error.text == text
    assert text in str(error)
    assert remedy in error.remedy
    assert error.remedy in str(error)
    assert "testnet" in error.remedy
    assert "\n" not in str(error)
    assert scene.exchange.accepted == 1
    hides_all(scene, error)


def hides_all(scene: Scene, error: BaseException) -> None:
    """Make sure that neither *error* nor the frames that it passed tell a secret, nor does `health`."""
    trace = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    for told in (str(error), repr(error), repr(vars(error)), trace, repr(scene.client.health())):
        for secret in (KEY, SECRET, *scene.exchange.signatures):
            assert secret not in told, told


@row(63, kills="the fourth refusal in a row is tried again like the others")
def test_a_key_that_is_revoked_is_tried_three_times_more(play: Play) -> None:
    """Again after 5, 30 and 60 s, an ERROR each; the fourth refusal in a row ends the client, wherever it is asked."""
    scene = play(serve, refusing(WRONG_KEY), timings={"outage_reminders": (600.0,)})
    orders = scene.subscribe()
    balances = scene.client.subscribe_balances()
    scene.cause(hang_up)
    for _ in range(4):
        scene.status.wait_for(State.BACKING_OFF)
    scene.status.wait_for(State.FAILED)
    end = orders.gap(GapReason.ENDED).gap
    assert end is not None
    assert isinstance(end.error, AuthenticationError)
    assert scene.exchange.accepted == 5
    assert [pause >= least for pause, least in zip(pauses(scene)[1:], (5, 30, 60), strict=True)] == [True] * 3
    assert balances.get(timeout=pace.patience()).gap
    for ask in (balances.get, lambda: next(balances), scene.client.wait, scene.client.wait_live, scene.client.subscribe_orders):
        with pytest.raises(AuthenticationError, match="API key is invalid"):
            ask()
    scene.logged(["WARNING", *["ERROR"] * 4])


@row(63, kills="a refused login ends a client that was LIVE")
def test_a_key_that_works_again_is_no_matter(play: Play) -> None:
    """One refusal on the way back is an ERROR, five seconds of patience and, with the next login, an outage like others."""
    scene = play(serve, refusing(WRONG_KEY), serve)
    scene.subscribe()
    scene.cause(hang_up)
    scene.recovers("without a close frame", levels=("WARNING", "ERROR", "INFO"))
    assert pauses(scene)[1] >= 5


# --- refused for now ---


@row(64, kills="the code is looked at before the text")
def test_too_many_sessions_is_no_wrong_key(play: Play) -> None:
    """10003 stands for both; the text decides, and sessions may become fewer: it is tried again after 30 s."""
    scene = play(refusing("Too many sessions under the same UID", retCode=10003), serve)
    scene.subscribe()
    assert pauses(scene)[0] >= 30
    assert "Too many sessions" in scene.logged(["WARNING", "INFO"])
    scene.goes_on()


@row(64, kills="any 10003 is tried again")
def test_a_wrong_key_with_the_code_of_many_sessions_is_raised(play: Play) -> None:
    """The same code with the other text is final."""
    scene = play(refusing(WRONG_KEY, retCode=10003))
    assert not refused(scene).transient
    assert scene.exchange.accepted == 1


@row(67, kills="a transient refusal is raised, or tried again without the pause")
def test_logins_that_are_refused_for_now_are_tried_again(play: Play) -> None:
    """Rate limits wait 30 s and a busy exchange 5 s; `subscribe_*` then returns as if nothing had been; all at once."""
    scenes = [(play(refusing(text, retCode=code), serve), floor) for text, code, floor in FOR_NOW]
    for scene, _ in scenes:
        scene.subscribe(wait=False)
    for scene, floor in scenes:
        assert scene.client.wait_live(pace.patience())
        assert pauses(scene)[0] >= floor
        said = [text for level, text in scene.log.messages if level == "WARNING" and f"{scene.client.name}:" in text]
        assert ["refused the login" in text for text in said] == [True]
        scene.goes_on()


FOR_NOW = [
    ("Too many visits. Exceeded the API Rate Limit.", 10006, 30),
    ("", 10429, 30),
    ("Too frequent requests under the same session", 20003, 30),
    ("", 10016, 5),
    ("ws trade service is restarting", 10019, 5),
    ("", -1, 5),
    ("Server Timeout", 10000, 5),
    ("System is busy, please try again later.", None, 5),
]


@row(67, kills="transient refusals count as refusals: the fourth is the last")
def test_a_busy_exchange_is_never_given_up(play: Play) -> None:
    """Five in a row after an outage, and the client still comes back; one WARNING tells it all."""
    scene = play(serve, *[refusing("Server is busy")] * 5, serve)
    scene.subscribe()
    scene.cause(hang_up)
    scene.recovers("without a close frame")
    assert min(pauses(scene)[1:]) >= 5


# --- the clock ---


def about(seconds: float) -> Any:
    """Return what equals a measured *seconds*: half of the time that a pong takes on a busy machine may be missing."""
    return pytest.approx(seconds, abs=10)


def offset_told(text: str) -> float:
    """Return the exchange's clock minus this machine's as *text* tells it."""
    told = re.search(r"clock is ([\d.]+) s (behind|ahead of) the exchange's", text)
    assert told, text
    return float(told[1]) * (1 if told[2] == "behind" else -1)


@row(65, kills="the login is not signed once more with the exchange's time")
@pytest.mark.parametrize(
    ("text", "code"),
    [("Params Error", None), ("Param Error", None), ("error:request expired", None), ("", 10002), ("Params Error", 10001)],
)
def test_an_expired_login_is_corrected_at_once(play: Play, text: str, code: int | None) -> None:
    """The exchange's time is taken from its pong and the login signed again, on the same connection; a WARNING tells it."""
    scene = play(watching_the_clock(text, retCode=code))
    scene.exchange.clock_offset = 60.0
    scene.subscribe()
    first, second = (r["args"][1] for r in scene.exchange.talks[0].requests if r["op"] == "auth")
    assert second - first == pytest.approx(60_000, abs=10_000)
    assert offset_told(scene.logged(["WARNING", "INFO"])) == about(60)
    assert scene.client.health().clock_offset == about(60)
    scene.goes_on()


@row(65, kills="the login is corrected again and again")
@pytest.mark.parametrize("offset", [60.0, -60.0, 0.0])
def test_a_login_that_is_refused_again_names_the_skew(play: Play, offset: float) -> None:
    """One corrected login, then the error is raised, with the measured skew: the clock was not to blame, or not alone."""
    scene = play(refusing("Params Error", times=3))
    scene.exchange.clock_offset = offset
    error = refused(scene)
    assert operations(scene.exchange.talks[0]) == ["auth", "auth"]
    assert scene.exchange.accepted == 1
    assert error.clock_offset == about(offset)
    assert f"{error.clock_offset:+.3f} s" in str(error)
    hides_all(scene, error)


@row(65, kills="the refusal is forgotten when no pong follows")
def test_a_refused_login_without_a_pong_is_still_a_refused_login(play: Play) -> None:
    """An exchange that refuses and then says nothing, or leaves, leaves its refusal behind as the reason."""
    scene = play(lambda line: (refuse(line, "Params Error"), serve(line, ping=ignore)), pong_timeout=1.0)
    assert refused(scene).clock_offset is None
    scene = play(lambda line: (refuse(line, "Params Error"), hang_up(line)))
    assert "Params Error" in str(refused(scene))


@row(65, kills="a login that is refused twice for its clock ends a client that was LIVE")
def test_a_clock_that_cannot_be_corrected_mid_run_is_a_refused_login(play: Play) -> None:
    """After an outage it counts as one refusal: an ERROR with the skew, and again after 5 s."""
    scene = play(serve, refusing("Params Error", times=2), serve)
    scene.subscribe()
    scene.cause(hang_up)
    scene.recovers("without a close frame", levels=("WARNING", "INFO", "ERROR", "INFO"))
    assert pauses(scene)[1] >= 5


@pytest.fixture
def other_clock() -> Iterator[Simulator]:
    """An honest exchange, whose clock a test sets."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def account(other_clock: Simulator) -> Account:
    """The account there."""
    return other_clock.account(KEY, SECRET)


@pytest.fixture
def client(other_clock: Simulator) -> Iterator[Client]:
    """A client of it."""
    with pace.FaultClient(KEY, SECRET, environment=other_clock.url, **pace.arguments()) as client:
        yield client


@row(66, kills="a login expires by this machine's clock alone")
@pytest.mark.parametrize("ahead", [60.0, 3600.0, -3600.0])
def test_a_wrong_clock_logs_in_all_the_same(
    other_clock: Simulator, account: Account, client: Client, ahead: float, log: pytest.LogCaptureFixture
) -> None:
    """An exchange whose clock is a minute or an hour away lets the client in, and one WARNING tells the skew."""
    other_clock.clock_offset = ahead
    orders = client.subscribe_orders(timeout=pace.patience())
    other_clock.wait_for(lambda: client.health().clock_offset is not None)
    account.push("orders", [{"category": "linear", "orderId": "first"}])
    assert orders.get(timeout=pace.patience()).data[0].order_id == "first"
    assert client.health().clock_offset == about(ahead)
    warnings = [r.getMessage() for r in log.records if r.levelname == "WARNING"]
    assert len(warnings) == 1
    assert offset_told(warnings[0]) == about(ahead)


@row(66, kills="the exchange's time is forgotten with the connection")
def test_a_wrong_clock_is_measured_once(
    other_clock: Simulator, account: Account, client: Client, log: pytest.LogCaptureFixture
) -> None:
    """The next login is signed with the exchange's time straight away, and nothing is said about it again."""
    other_clock.clock_offset = 3600.0
    orders = client.subscribe_orders()
    other_clock.drop()
    assert orders.get(timeout=pace.patience()).gap
    assert [r["op"] for r in other_clock.connections[0].received].count("auth") == 1
    assert sum("clock is" in r.getMessage() for r in log.records) == 1
    account.push("orders", [{"category": "linear", "orderId": "next"}])
    assert orders.get(timeout=pace.patience()).data[0].order_id == "next"


# --- answers that do not come, or come twice ---


@row(68, kills="the login's answer has no deadline")
@PLAIN_AND_TLS
def test_a_login_that_is_never_answered_is_cut(play: Play) -> None:
    """Pongs do not help: an exchange that ignores the login for 10 s is left, and the next one asked."""
    scene = play(lambda line: serve(line, auth=ignore), serve, request_timeout=pace.answer())
    scene.mark()
    scene.subscribe()
    cut = scene.exchange.talks[1].began - scene.caused_at
    scene.measure("login cut", cut)
    assert pace.seconds(10) <= cut
    assert "did not answer the login" in scene.logged(["WARNING", "INFO"])
    scene.goes_on()


@row(68, kills="a login without an answer ends a client that was LIVE")
def test_a_login_that_is_not_answered_on_return_is_part_of_the_outage(play: Play) -> None:
    """Two connections are needed to come back; the user is told of one outage."""
    scene = play(serve, lambda line: serve(line, auth=ignore), serve, request_timeout=pace.answer())
    scene.subscribe()
    scene.cause(hang_up)
    scene.recovers("without a close frame")
    assert scene.exchange.accepted == 3


@row(69, kills="requests of one connection have the same numbers as those of another")
@pytest.mark.parametrize("verdict", [True, False])
def test_an_answer_to_another_connections_login_says_nothing(play: Play, verdict: bool) -> None:  # noqa: FBT001
    """A yes or no that was under way while its connection was lost is not taken for this connection's."""
    late: list[Message] = []
    then: list[str] = []

    def asked(line: Talk) -> None:
        late.append(read_request(line, "auth"))
        hang_up(line)

    def answered_late(line: Talk) -> None:
        request = read_request(line, "auth")
        answer(line, late[0], success=verdict, text="" if verdict else WRONG_KEY, conn_id="conn-of-old")
        # A client that believes it goes on with its subscriptions, or leaves; one that waits has only its ping to send.
        following = read_request(line)
        then.append(following["op"])
        pong(line, following)
        accept(line, request)
        serve(line)

    scene = play(asked, answered_late, serve)
    scene.subscribe()
    assert then == ["ping"]
    assert scene.exchange.accepted == 2
    scene.goes_on()


@row(70, kills="only one of the shapes counts as a yes")
@pytest.mark.parametrize(
    "login",
    [
        {**LOGIN, "success": True},
        {"success": True, "op": "auth"},
        {"success": True, "op": "auth", "req_id": NUMBER, "conn_id": "conn-1"},
        {"retCode": 0, "retMsg": "OK", "op": "auth", "connId": "conn-1"},
        {"retCode": 0, "op": "auth", "reqId": NUMBER},
        {"success": True, "conn_id": "conn-1", "ret_msg": "0", "type": "AUTH_RESP"},
    ],
    ids=json.dumps,
)
def test_every_known_yes_is_taken(play: Play, login: Message) -> None:
    """V3, V5, the trade socket and unified V3 say it in other words; each lets the subscriptions go out."""
    scene = play(answering(login))
    scene.subscribe()
    assert operations(scene.exchange.talks[0]) == ["auth", "subscribe", "subscribe"]
    scene.logged(())
    scene.goes_on()


@row(70, kills="whatever is not a no counts as a yes")
@pytest.mark.parametrize(
    "login",
    [
        LOGIN,
        {**LOGIN, "success": "true"},
        {**LOGIN, "success": 1},
        {**LOGIN, "success": None},
        {**LOGIN, "success": [True]},
        {"op": "auth", "retCode": "0"},
        {"op": "auth", "retCode": False},
        {"op": "auth", "retCode": 0, "success": False},
        {"op": "auth", "retMsg": "OK"},
    ],
    ids=json.dumps,
)
def test_nothing_else_is_a_yes(play: Play, login: Message) -> None:
    """What is neither true nor 0 is a refusal: nothing is subscribed to on a login that perhaps was none."""
    scene = play(answering(login))
    refused(scene)
    assert operations(scene.exchange.talks[0]) == ["auth"]
    assert scene.exchange.accepted == 1


@row(71, kills="a second answer to the login counts")
def test_the_first_of_two_answers_decides_for_no(play: Play) -> None:
    """A yes right behind the no changes nothing."""

    def script(line: Talk) -> None:
        request = refuse(line, WRONG_KEY)
        accept(line, request)
        serve(line)

    scene = play(script)
    assert WRONG_KEY in str(refused(scene))
    assert operations(scene.exchange.talks[0]) == ["auth"]


@row(71, kills="a no that follows a yes ends the connection")
@pytest.mark.parametrize("text", [WRONG_KEY, "Params Error"])
def test_the_first_of_two_answers_decides_for_yes(play: Play, text: str, log: pytest.LogCaptureFixture) -> None:
    """A no right behind the yes is logged, and nothing else."""

    def script(line: Talk) -> None:
        request = log_in(line)
        answer(line, request, success=False, text=text)
        serve(line)

    scene = play(script)
    scene.subscribe()
    scene.logged(())
    assert "belongs to no request: auth" in log.text
    scene.goes_on()


@row(71, kills="a yes to the login that was refused for its clock counts for the corrected one")
def test_a_yes_behind_a_no_for_the_clock_is_not_for_the_corrected_login(play: Play) -> None:
    """While the clock is measured nothing is logged in; the corrected login gets an answer of its own."""

    def script(line: Talk) -> None:
        accept(line, refuse(line, "Params Error"))
        serve(line)

    scene = play(script)
    scene.subscribe()
    assert operations(scene.exchange.talks[0]) == ["auth", "auth", "subscribe", "subscribe"]
    scene.goes_on()


# --- between the login and the rest ---


@row(72, kills="the gap is told when the login is accepted")
@PLAIN_AND_TLS
def test_a_connection_that_is_lost_right_after_the_login_is_made_again(play: Play) -> None:
    """Everything is done again, login and subscriptions, and the one outage has one gap."""
    scene = play(serve, lambda line: (log_in(line), hang_up(line)), serve)
    scene.subscribe()
    scene.cause(hang_up)
    assert scene.recovers("without a close frame").epoch == 3
    assert operations(scene.exchange.talks[2]) == ["auth", "subscribe", "subscribe"]


@row(74, kills="a push before the login's answer is delivered")
def test_a_push_before_the_login_breaks_the_rules(play: Play) -> None:
    """Nobody knows whose account it is from: an ERROR, and another connection."""

    def script(line: Talk) -> None:
        read_request(line, "auth")
        say(line, order(line, "whose?"))
        serve(line)

    scene = play(script, serve)
    orders = scene.subscribe()
    assert "before it answered the login" in scene.logged(["ERROR", "WARNING", "INFO"])
    assert scene.exchange.accepted == 2
    scene.exchange.push_order("ours")
    orders.update("ours")


@row(74, kills="a subscription refused for want of a login is a refused subscription")
@pytest.mark.parametrize("text", ["Request not authorized", "error:topic:wallet needs auth first"])
def test_a_login_that_the_exchange_forgot_is_done_again(play: Play, text: str) -> None:
    """Nothing is wrong with the topic: an ERROR, and the next connection subscribes to all that was wanted."""
    scene = play(lambda line: serve(line, subscribe=forgetful(text)), serve)
    scene.subscribe()
    scene.mark()
    scene.subscribe("balances")
    scene.recovers("takes the login for missing", levels=("ERROR", "WARNING", "INFO"))
    assert sorted(scene.exchange.talks[1].topics) == ["order.inverse", "order.linear", "wallet"]


def forgetful(text: str) -> Act:
    """Return the act that answers a subscription to the wallet with *text*, and others rightly."""

    def act(line: Talk, request: Message) -> None:
        wallet = request["args"] == ["wallet"]
        line.topics += [] if wallet else request["args"]
        answer(line, request, success=not wallet, text=text if wallet else "")

    return act


@row(74, kills="one topic that is answered as if there were no login takes the connection from all others for ever")
@pytest.mark.parametrize("text", ["Request not authorized", "error:topic:wallet needs auth first"])
def test_a_topic_that_stays_unauthorized_on_a_new_login_is_refused(play: Play, text: str) -> None:
    """Once may be a login that was lost; again, beside a topic that is served, it is the topic: the others receive all."""
    scene = play(lambda line: serve(line, subscribe=forgetful(text)))
    orders = scene.subscribe()
    with pytest.raises(SubscriptionRejected, match=text) as raised:
        scene.client.subscribe_balances(timeout=pace.patience())
    assert raised.value.topic == "wallet"
    orders.gap()
    for name in ("one", "two"):
        scene.exchange.push_order(name)
        assert orders.update(name).epoch == 2
    assert scene.exchange.accepted == 2


@row(74, kills="a login that is refused unasked is ignored")
def test_a_login_that_the_exchange_takes_back_is_done_again(play: Play) -> None:
    """Nobody asked, and everything may be silent from then on: an ERROR, a new login, and a gap."""
    scene = play()
    scene.subscribe()
    scene.cause(say, frame(json.dumps({"op": "auth", "success": False, "ret_msg": "session expired", "conn_id": "conn-1"})))
    scene.recovers("takes back that it accepted the login: session expired", levels=("ERROR", "WARNING", "INFO"))


# --- echoes ---


def echoing(line: Talk) -> None:
    """Refuse the login as older gateways did: with all of it in the answer."""
    request = read_request(line, "auth")
    line.exchange.signatures.append(request["args"][2])
    text = f"error:verify signature fail: {json.dumps(request)}"
    say(line, frame(json.dumps({"success": False, "ret_msg": text, "op": "auth", "conn_id": "conn-1", "request": request})))
    serve(line)


@row(73, kills="the exchange's text is not redacted")
def test_a_refusal_that_echoes_the_login_is_redacted(play: Play) -> None:
    """The error keeps the exchange's words but for key and signature, and so does whatever is logged."""
    scene = play(serve, echoing, serve)
    scene.subscribe()
    scene.cause(hang_up)
    scene.recovers("without a close frame", levels=("WARNING", "ERROR", "INFO"))
    errors = [change.error for change in scene.status.changes if isinstance(change.error, AuthenticationError)]
    assert "verify signature fail" in errors[0].text
    assert "***" in errors[0].text
    hides_all(scene, errors[0])


@row(73, kills="only refused logins are redacted")
def test_a_refused_topic_that_echoes_the_login_is_redacted(play: Play) -> None:
    """A gateway that answers a subscription with everything it was ever told gets no secret into the log either."""
    echoes: Callable[[Talk, Any], None] = lambda line, request: answer(  # noqa: E731
        line, request, success=False, text=f"what of {line.requests[0]['args']}?"
    )
    scene = play(serve, lambda line: serve(line, subscribe=echoes))
    orders = scene.subscribe()
    scene.cause(hang_up)
    event = orders.gap(GapReason.ENDED)
    assert event.gap is not None
    assert event.gap.error is not None
    hides_all(scene, event.gap.error)
    scene.log.wait_for("live after")
    assert "***" in scene.logged(["WARNING", "WARNING", "WARNING", "ERROR", "INFO"])


@row(73, kills="the reason in a close frame is not redacted")
def test_a_goodbye_that_echoes_the_login_is_redacted(play: Play) -> None:
    """A close frame with the signature for its reason is told without it."""

    def script(line: Talk) -> None:
        signature = log_in(line)["args"][2]
        confirm(line)
        read_request(line, "ping")
        say(line, close_frame(4001, f"bad {signature}".encode()))

    scene = play(script, serve)
    scene.subscribe()
    event = scene.recovers("4001 bad ***")
    assert event.gap is not None
    assert event.gap.error is not None
    hides_all(scene, event.gap.error)
