"""Section C: the HTTP upgrade."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from functools import partial

import pytest

from bybit_sync import Backoff, ConnectionFailed, ConnectTimeout, HandshakeRejected, State
from tests.conftest import KEY, SECRET
from tests.faults import pace
from tests.faults.conftest import Play
from tests.faults.exchange import hang_up, ignore, serve
from tests.faults.pace import seconds, short, within
from tests.faults.rows import PLAIN_AND_TLS, row
from tests.faults.scene import Scene
from tests.network.test_websocket import JUNK, WRONG, answers, drips
from tests.peers import Line, Peer, Script, frame, plays


def http(status: int, *headers: str, body: str = "") -> Script:
    """Return the script that answers the request to upgrade with *status*, and waits."""
    return answers("\r\n".join([f"HTTP/1.1 {status} Because", *headers, "", body]))


@contextmanager
def after_an_outage(scene: Scene, *scripts: Script) -> Iterator[Peer]:
    """Have a client that was LIVE meet *scripts*, inside the ``with`` block; the next attempt after it is a good one."""
    relay = scene.relay
    scene.subscribe()
    with scene.instead(*scripts) as other:
        scene.mark()
        relay.reset()
        scene.is_found(within=0.1)
        yield other
    scene._found_at = time.monotonic()


HASTY = Backoff(initial=seconds(0.1), factor=1, maximum=seconds(0.1))
LOUD = ["WARNING", "ERROR", "INFO"]


# --- answers that mean no ---


def rejection(scene: Scene, script: Script) -> HandshakeRejected:
    """Subscribe where *script* is played, which must raise at once and leave nothing, and return what it raised."""
    with scene.instead(script) as other:
        began = time.monotonic()
        with pytest.raises(HandshakeRejected) as raised:
            scene.subscribe()
        assert time.monotonic() - began <= within(1)
        assert other.accepted == 1
    assert scene.client.state is State.IDLE
    scene.logged([])
    scene.histories.clear()
    scene.subscribe()
    scene.goes_on()
    return raised.value


@row(27, kills="a status that says no is worth another try")
@PLAIN_AND_TLS
@pytest.mark.parametrize("status", [401, 404])
def test_a_no_is_raised_at_once_with_what_it_says(play: Play, status: int) -> None:
    """The error has the status, and of the body what may be shown."""
    error = rejection(play(), http(status, body="nobody\x1b[31m here" + "x" * 500))
    assert error.status == status
    assert f"answered {status} Because" in str(error)
    assert "nobody\\x1b[31m here" in str(error)
    assert "x" * 200 not in str(error)


@row(27, kills="a status that says no is tried again with the usual backoff")
@pytest.mark.parametrize("status", [401, 404, 451])
def test_a_no_on_return_is_asked_about_every_thirty_seconds(play: Play, status: int) -> None:
    """One ERROR, however often; and the first yes is taken."""
    scene = play(timings={"distrust": seconds(4)})
    with after_an_outage(scene, http(status)):
        assert isinstance(scene.fails(), HandshakeRejected)
        began = failed_at(scene)
        assert isinstance(scene.fails(), HandshakeRejected)
        assert failed_at(scene) - began >= 0.9 * seconds(4)
    scene.recovers("reset", levels=LOUD)


def failed_at(scene: Scene) -> float:
    """Return when the failure happened that was told last; the telling may come later."""
    assert scene.status.latest is not None
    return scene.status.latest.at.timestamp()


@row(28, kills="403 is raised only after the timeout")
def test_a_ban_is_raised_at_once(play: Play) -> None:
    """At a first start, that is; the error says what Bybit means by it."""
    assert "wait, or use the right site" in str(rejection(play(), http(403, body="access too frequent")))


@row(28, kills="a banned address tries again as soon as ever")
def test_a_ban_on_return_is_waited_out_ever_longer(play: Play) -> None:
    """The pauses double, up to a maximum; one ERROR with what the server says; `health` tells why nothing comes."""
    waits = tuple(seconds(s) for s in (1, 2, 4, 4))
    scene = play(timings={"forbidden": waits})
    with after_an_outage(scene, http(403, body="access too frequent")):
        failed = [(scene.fails(), failed_at(scene))[1] for _ in range(4)]
        health = scene.client.health()
        assert health.state is State.BACKING_OFF
        assert isinstance(health.last_error, HandshakeRejected)
        assert health.last_error.status == 403
    assert [b - a >= 0.9 * w for a, b, w in zip(failed, failed[1:], waits, strict=False)] == [True] * 3
    texts = [text for level, text in scene.log.messages if level == "ERROR"]
    assert ["access too frequent" in text for text in texts] == [True]
    scene.recovers("reset", levels=LOUD)


def date_in(seconds_ahead: float) -> str:
    """Return the time so many seconds from now as HTTP writes it."""
    return format_datetime(datetime.now(timezone.utc) + timedelta(seconds=seconds_ahead), usegmt=True)


WAITS = {
    "7": (7, 7),
    "a date": (120, 300),
    "garbage": (seconds(30), seconds(30)),
    "nothing": (seconds(30), seconds(30)),
    "0": (seconds(5), seconds(5)),
    "1000000000": (seconds(600), seconds(600)),
}


@row(29, kills="what Retry-After asks for is not obeyed")
@pytest.mark.parametrize("asked", WAITS)
def test_a_crowded_server_says_when_to_come_back(play: Play, asked: str) -> None:
    """It is obeyed, from 5 s to 600 s; where it does not say, or nonsense, 30 s."""
    headers = [] if asked == "nothing" else [f"Retry-After: {date_in(300) if asked == 'a date' else asked}"]
    scene = play(timings={"longest_wait": seconds(600) if asked == "1000000000" else 600})
    with scene.instead(http(429, *headers)):
        scene.subscribe(wait=False)
        scene.fails()
    wait = re.search(r"429.*next attempt in ([0-9.]+) s", scene.logged(["WARNING"]))
    assert wait is not None
    least, most = WAITS[asked]
    assert least - 0.06 <= float(wait[1]) <= most + 0.06
    if asked == "0":
        scene.status.wait_for(State.LIVE)
        scene.goes_on()


BROKEN = {
    "500": http(500, body="oops"),
    "502 without an end": answers("HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<html>"),
    "503 that promises a body": http(503, "Content-Length: 100000"),
    "504 in chunks": http(504, "Transfer-Encoding: chunked", body="ffff\r\nhalf"),
}


@row(30, kills="the body of an answer is read to its end")
@PLAIN_AND_TLS
def test_a_broken_server_is_tried_again_at_once(play: Play) -> None:
    """Whatever it says beside its status is not waited for, and its fault is an outage as any."""
    scene = play(backoff=HASTY)
    with after_an_outage(scene, *BROKEN.values()):
        for script in BROKEN:
            scene.status.wait_for(State.CONNECTING)
            began = time.monotonic()
            assert script[:3] in str(scene.fails())
            assert time.monotonic() - began <= within(1)
    scene.recovers("reset")


@row(31, kills="redirects are followed")
@PLAIN_AND_TLS
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_nowhere(play: Play, status: int) -> None:
    """It is no connection, at a first start it is raised, and where it points to never hears from us."""
    with Peer(Line.wait_for_end) as elsewhere:
        error = rejection(play(), http(status, f"Location: ws://127.0.0.1:{elsewhere.port}/v5/private"))
        assert elsewhere.accepted == 0
    assert error.status == status
    assert "Redirects are not followed" in str(error)


@row(31, kills="a redirect counts as connected")
@PLAIN_AND_TLS
def test_a_redirect_on_return_is_no_return(play: Play) -> None:
    """No LIVE before the exchange itself has answered; one ERROR."""
    scene = play(timings={"distrust": seconds(4)})
    with Peer(Line.wait_for_end) as elsewhere:
        with after_an_outage(scene, http(302, f"Location: ws://127.0.0.1:{elsewhere.port}/v5/private")):
            scene.fails(2)
        assert elsewhere.accepted == 0
    states = [change.state for change in scene.status.changes]
    assert states.count(State.LIVE) == 1
    scene.recovers("reset", levels=LOUD)


# --- answers that mean nothing ---


def survives(scene: Scene, *scripts: Script) -> None:
    """Check that the attempts which meet *scripts*, one each, fail soon, and the one after them works."""
    with after_an_outage(scene, *scripts):
        for _ in scripts:
            scene.status.wait_for(State.CONNECTING)
            began = time.monotonic()
            error = scene.fails()
            assert isinstance(error, ConnectionFailed)
            assert "(while upgrading to a WebSocket)" in str(error)
            assert str(error).isprintable()
            assert time.monotonic() - began <= within(5)
    scene.recovers("reset")


ONLY_UPGRADE = ("wrong accept", "no accept", "no upgrade", "another upgrade", "no connection")


@row(32, kills="the answer's Sec-WebSocket-Accept is not looked at")
@PLAIN_AND_TLS
def test_a_101_that_proves_nothing_is_tried_again(play: Play) -> None:
    """A wrong digest, none, or no word of an upgrade: no WebSocket, and no login over it."""
    survives(play(backoff=HASTY), *[WRONG[name] for name in ONLY_UPGRADE])


@row(32, kills="every answer with a 2 in front is a success")
def test_a_200_is_tried_again(play: Play) -> None:
    """Somebody's web page is not the exchange; at a first start it is tried until the timeout."""
    scene = play()
    with scene.instead(http(200, body="welcome")) as other:
        with pytest.raises(ConnectTimeout, match="answered 200") as raised:
            scene.subscribe(timeout=short())
        assert other.accepted > 1
    assert isinstance(raised.value.__cause__, HandshakeRejected)


@row(33, kills="what websocket-client raises is not translated, and ends the client as a bug")
@PLAIN_AND_TLS
def test_junk_is_tried_again(play: Play) -> None:
    """Whatever bytes answer, for ever or at once: attempts that failed, told in one outage."""
    junk = [answers(junk) for name, junk in JUNK.items() if "MB" not in name]
    survives(play(backoff=HASTY), *junk, http(101, "Content-Length: -1"))


@row(33, kills="a byte that is not ASCII, in a header that nobody reads, is junk")
@PLAIN_AND_TLS
@pytest.mark.parametrize("odd", ["not ASCII", "folded", "interim"])
def test_what_is_legal_or_harmless_is_no_junk(play: Play, odd: str) -> None:
    """A good server is LIVE at the first attempt, however talkative what stands before it is."""
    scene = play()
    scene.exchange.headers = {"not ASCII": ("X-Served-By: caf\xe9",), "folded": ("X-Via: one,\r\n two",), "interim": ()}[odd]
    scene.exchange.announcement = b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n" if odd == "interim" else b""
    scene.subscribe()
    scene.goes_on()


@row(34, kills="each byte of an answer gets connect_timeout of its own")
@PLAIN_AND_TLS
def test_an_answer_that_drips_is_cut_at_the_deadline(play: Play) -> None:
    """One byte now and then does not prolong an attempt."""
    takes_an_attempt(play(connect_timeout=short()), drips)


@row(35, kills="the answer to the upgrade has no deadline")
@PLAIN_AND_TLS
def test_an_answer_that_never_comes_is_cut_at_the_deadline(play: Play) -> None:
    """A server that only listens costs one attempt's time, and does not hold `close`."""
    scene = play(connect_timeout=short())
    takes_an_attempt(scene, plays(Line.read_head, Line.wait_for_end))
    with scene.instead(plays(Line.read_head, Line.wait_for_end)):
        scene.relay.reset()
        scene.status.wait_for(State.CONNECTING)
        began = time.monotonic()
        assert scene.client.close()
        assert time.monotonic() - began <= within(0.2)


def takes_an_attempt(scene: Scene, script: Script) -> None:
    """Check that an attempt that meets *script* is given up after `connect_timeout`, and the next one works."""
    with after_an_outage(scene, script):
        scene.status.wait_for(State.CONNECTING)
        began = time.monotonic()
        assert "timed out (while upgrading to a WebSocket)" in str(scene.fails())
        assert 0.9 * short() <= time.monotonic() - began <= short() + within(0)
    scene.recovers("reset")


# --- answers that mean yes ---


@row(36, kills="what came with the answer to the upgrade is dropped")
@PLAIN_AND_TLS
def test_what_comes_with_the_answer_is_read(play: Play) -> None:
    """The first frames may lie in the same segment: here the exchange lets us in before we have asked."""
    scene = play(partial(serve, auth=ignore), serve)
    scene.exchange.greeting = frame(json.dumps({"op": "auth", "success": True, "ret_msg": "", "conn_id": "conn-1"}))
    scene.subscribe()
    scene.goes_on()
    scene.cause(hang_up)
    scene.exchange.greeting = b""
    scene.recovers("without a close frame")


@row(37, kills="what the server chooses without having been offered it is put up with")
@PLAIN_AND_TLS
def test_what_was_not_offered_is_not_accepted(play: Play) -> None:
    """A server that would compress, or speak another protocol, is not understood: the attempt has failed."""
    survives(play(backoff=HASTY), WRONG["compression"], WRONG["subprotocol"])


@row(38, kills="websocket-client's cookies, which the process shares, are used")
@PLAIN_AND_TLS
def test_a_cookie_of_one_account_is_not_shown_by_another(play: Play) -> None:
    """Neither by another client of this process, nor by the same one when it returns."""
    scene = play()
    scene.exchange.headers = ("Set-Cookie: account=1; Domain=127.0.0.1; Path=/", "Set-Cookie: account=2")
    scene.subscribe()
    scene.cause(hang_up)
    scene.recovers("without a close frame")
    arguments = {"environment": scene.url, "ssl_context": scene._net.client, **pace.arguments()}
    with pace.FaultClient(KEY, SECRET, **arguments) as other:
        other.subscribe_balances()
    assert len(scene.exchange.talks) == 3
    assert not any("cookie" in talk.head.lower() for talk in scene.exchange.talks)
