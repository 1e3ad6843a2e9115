"""Section D: losing an established connection."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial

import pytest

from bybit_sync import Backoff, ConnectionLost, ConnectLimit, ProtocolError, State
from tests.conftest import threads_of
from tests.faults.conftest import Play
from tests.faults.exchange import (
    Message,
    Talk,
    close_frame,
    every,
    hang_up,
    ignore,
    listen,
    log_in,
    order,
    pong,
    push_next,
    reset,
    say,
    serve,
)
from tests.faults.pace import FACTOR, REAL, patience, seconds, silence, until, within
from tests.faults.partition import Partition
from tests.faults.rows import OVER_CABLE, PLAIN_AND_TLS, row
from tests.faults.scene import Scene
from tests.peers import CLOSE, CONT, PING, frame

pytestmark = pytest.mark.usefixtures("silence_is_short")


@row(39, kills="a close frame is answered, and what the peer says next is waited for")
@PLAIN_AND_TLS
@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 4001])
def test_a_close_frame_is_an_outage_told_with_code_and_reason(play: Play, code: int) -> None:
    """Whatever the code, the client comes back; gap and log say code and reason, without what a terminal would obey."""
    scene = play()
    scene.subscribe()
    scene.cause(say, close_frame(code, b"restart\x1b[31m"))
    gap = scene.recovers(f"({code} restart\\x1b[31m)", attempts=1).gap
    assert gap is not None
    assert isinstance(gap.error, ConnectionLost)
    assert gap.error.code == code


@row(39, kills="a close frame without a code is taken for a broken one")
@PLAIN_AND_TLS
def test_an_empty_close_frame_is_an_outage(play: Play) -> None:
    """A peer need not say why it closes."""
    scene = play()
    scene.subscribe()
    scene.cause(say, close_frame())
    scene.recovers("(no code)")


@row(39, kills="1013 is retried as soon as any other code")
def test_close_1013_is_given_time(play: Play) -> None:
    """An exchange that says "try again later" is left alone for 5 s."""
    scene = play()
    scene.subscribe()
    scene.cause(say, close_frame(1013, b"overloaded"))
    scene.recovers("(1013 overloaded)")
    assert scene.caused_at is not None
    assert scene.exchange.talks[1].began - scene.caused_at >= seconds(5)


WRONG_CLOSES = {
    "1006": close_frame(1006),
    "1005": close_frame(1005),
    "one byte": frame(b"\x03", CLOSE),
    "not UTF-8": close_frame(1000, b"\xff\xfe"),
}


@row(40, kills="the payload of a close frame is not checked")
@pytest.mark.parametrize("wrong", WRONG_CLOSES)
def test_a_close_frame_that_must_not_be_breaks_the_protocol(play: Play, wrong: str) -> None:
    """It is an outage as any, called by its name, and the peer is told what it did."""
    scene = play()
    scene.subscribe()
    scene.cause(say, WRONG_CLOSES[wrong])
    gap = scene.recovers("The connection was closed with code").gap
    assert gap is not None
    assert isinstance(gap.error, ProtocolError)
    scene.exchange.wait_for(scene.exchange.talks[0].ended.is_set)
    opcode, payload = scene.exchange.talks[0].controls[-1]
    assert (opcode, int.from_bytes(payload, "big")) in {(CLOSE, 1002), (CLOSE, 1007)}


@row(41, kills="the end of the stream counts as nothing to read")
@PLAIN_AND_TLS
def test_an_end_without_a_close_frame_is_an_outage(play: Play) -> None:
    """A peer that is gone needs no last word to be noticed at once; a TLS stream cut off is no orderly end."""
    scene = play()
    scene.subscribe()
    scene.cause(hang_up)
    scene.is_found(within=0.1)
    scene.recovers("the peer closed the connection without a close frame")


@row(42, kills="an OSError while reading is not translated, and ends the client as a bug")
@PLAIN_AND_TLS
def test_a_reset_is_an_outage(play: Play) -> None:
    """A reset between two frames is noticed at once, and is no bug of ours."""
    scene = play()
    scene.subscribe()
    scene.cause(reset)
    scene.is_found(within=0.1)
    scene.recovers("reset")


def cut_short(line: Talk, end: Callable[[Talk], None]) -> None:
    """Send half an update, then *end* the connection."""
    line.send(order(line, "half")[:40])
    end(line)


@row(43, kills="at the end of the stream the beginning of a frame is handed on as a message")
@PLAIN_AND_TLS
@pytest.mark.parametrize("end", [hang_up, reset])
def test_half_a_frame_is_never_parsed(play: Play, end: Callable[[Talk], None]) -> None:
    """What was cut off is neither an update nor an unreadable frame: it belongs to the outage."""
    scene = play()
    scene.subscribe()
    scene.cause(cut_short, end)
    scene.recovers("", attempts=1)


@row(43, kills="the beginning of a frame outlives its connection and is put before the next one's bytes")
@PLAIN_AND_TLS
def test_a_reset_on_the_way_leaves_nothing_behind(play: Play) -> None:
    """The network may cut anywhere: the next connection starts clean."""
    scene = play(partial(serve, ping=ignore), serve)
    relay = scene.relay
    scene.subscribe()
    relay.reset_in_frame(57)
    scene.cause(say, b"".join(order(scene.exchange.talks[0], f"lost-{n}") for n in range(3)))
    scene.recovers("reset", attempts=1)


def says_goodbye(line: Talk) -> None:
    """Close properly."""
    line.send(close_frame(1001))


def pushes_and(end: Callable[[Talk], None], line: Talk) -> None:
    """Push three updates, then *end* the connection at once; a proper goodbye is in the same segment."""
    updates = b"".join(order(line, name) for name in ("one", "two", "three"))
    if end is says_goodbye:
        line.send(updates + close_frame(1001))
    else:
        line.send(updates)
        end(line)


@row(44, kills="an error on reading is raised before the messages that were read with it are handed on")
@PLAIN_AND_TLS
@pytest.mark.parametrize("end", [says_goodbye, hang_up, reset])
def test_data_before_the_end_is_delivered_before_the_gap(play: Play, end: Callable[[Talk], None]) -> None:
    """Three updates and the end of the connection, read at once: three updates, then the gap."""
    scene = play()
    orders = scene.subscribe()
    scene.cause(partial(pushes_and, end))
    for name in ("one", "two", "three"):
        orders.update(name)
    scene.recovers("")


@row(45, kills="a ping that was sent counts as a sign of life")
@PLAIN_AND_TLS
def test_a_half_open_connection_is_found_in_time(play: Play) -> None:
    """Silence is over within ping_interval + pong_timeout, though the kernel still acknowledges; a second later all is well."""
    scene = play()
    relay = scene.relay
    scene.subscribe()
    scene.mark()
    relay.freeze()
    scene.is_found(within=10)
    event = scene.recovers("has sent nothing for")
    assert scene.caused_at is not None
    assert event.received_ns * 1e-9 - scene.caused_at <= within(11) + scene.stalled(scene.caused_at)


@row(46, kills="only a write that fails ends a silent connection")
@OVER_CABLE
def test_a_partition_is_found_in_time(play: Play, cable: Partition) -> None:
    """Where nothing is acknowledged any more, neither TCP's keepalive nor its retransmissions are waited for."""
    scene = play()
    scene.subscribe()
    scene.mark()
    cable.pull()
    scene.is_found(within=10)
    cable.plug()
    scene.recovers("has sent nothing for")


@row(47, kills="a ping that is not answered at once ends the connection")
@OVER_CABLE
def test_a_partition_that_heals_in_time_costs_nothing(play: Play, cable: Partition) -> None:
    """The same connection, no gap, and what was late arrives in order."""
    # The kernel's own times, which nothing scales, decide when the bytes are sent again.
    scene = play(ping_interval=0.25, pong_timeout=8)
    orders = scene.subscribe()
    scene.status.wait_for(State.LIVE)
    cable.pull()
    scene.exchange.push_order("one")
    scene.exchange.push_order("two")
    scene.status.stays(0.5)
    cable.plug()
    orders.update("one")
    orders.update("two")
    scene.goes_on("three")
    scene.logged([])


@row(48, kills="each further ping gets pong_timeout of its own before silence counts")
@PLAIN_AND_TLS
def test_pings_that_do_not_get_through_are_noticed(play: Play) -> None:
    """An exchange that does not hear us cannot answer; when it has nothing to push either, the connection is dead."""
    # Several pings go out before the first must have been answered.
    scene = play(ping_interval=seconds(3), pong_timeout=seconds(7))
    relay = scene.relay
    scene.subscribe()
    scene.mark()
    relay.stall(relay.up)
    scene.is_found(within=10)
    relay.heal()
    scene.recovers("has sent nothing for")


@row(49, kills="what the kernel took from us counts as a sign of life")
@PLAIN_AND_TLS
def test_answers_that_do_not_get_through_are_noticed(play: Play) -> None:
    """Our pings arrive, the pongs do not: the connection is dead, and what came too late for it is discarded."""
    scene = play()
    relay = scene.relay
    scene.subscribe()
    scene.mark()
    relay.stall(relay.down)
    scene.exchange.push_order("never seen")
    scene.is_found(within=10)
    relay.heal()
    scene.recovers("has sent nothing for")


@row(50, kills="no ping is sent")
def test_a_network_that_forgets_idle_connections_does_not_forget_ours(play: Play) -> None:
    """Pings are traffic enough."""
    scene = play(ping_interval=seconds(2.5))
    scene.relay.forgets_after = seconds(12)
    scene.subscribe()
    scene.status.wait_for(State.LIVE)
    scene.status.stays(seconds(20))
    scene.goes_on()


@row(50, kills="silence is never judged")
def test_a_connection_that_the_network_forgot_is_found(play: Play) -> None:
    """Where pings are rarer than what the network forgives, the next one finds out."""
    scene = play(ping_interval=seconds(10))
    relay = scene.relay
    relay.forgets_after = seconds(4)
    scene.subscribe()
    scene.mark()
    until(lambda: any(connection.forgotten for connection in relay._connections))
    relay.forgets_after = math.inf  # or the next connection is forgotten, too, before the test has pushed
    scene.is_found(within=15)
    scene.recovers("has sent nothing for")


def pushes_all_the_time(line: Talk) -> None:
    """Serve, and push numbered orders as long as there is one who wants them."""
    every(line, seconds(0.5), push_to_subscribers)
    serve(line)


def push_to_subscribers(line: Talk) -> None:
    """Push the next order, if there is somebody who wants it."""
    if line.topics:
        push_next(line)


@row(51, kills="the connect limit is not asked before an attempt")
@PLAIN_AND_TLS
def test_flapping_costs_a_gap_each_time_and_nothing_else(play: Play) -> None:
    """Up 3 s, down 3 s: a gap for each login, no more attempts than the limit allows, nothing left behind."""
    limit = ConnectLimit(refill=80, period=seconds(300), burst=20)
    scene = play(pushes_all_the_time, connect_limit=limit, backoff=Backoff(initial=0.001, factor=1, maximum=0.001))
    relay = scene.relay
    orders = scene.subscribe()
    began = time.monotonic()
    assert relay.flap(seconds(3), seconds(3), times=4).wait(within(60))
    scene.exchange.wait_for(lambda: scene.exchange.talks[-1].is_open)
    scene.exchange.push_order("steady")
    while [row.order_id for row in orders.next()] != ["steady"]:
        pass
    assert relay.accepted <= 20 + 80 * (time.monotonic() - began) / seconds(300) + 1
    scene.measure("attempts while flapping", relay.accepted)
    assert len(threads_of(scene.client)) <= 3


@row(52, kills="the age of the last push is that of the last frame")
def test_a_quiet_account_and_a_mute_exchange_look_alike_and_the_health_says_so(play: Play) -> None:
    """Pongs come, pushes do not: LIVE, fresh up to the last pong, and the age of the last push grows and is told."""
    scene = play()
    scene.subscribe()
    scene.goes_on()
    scene.status.wait_for(State.LIVE)
    scene.status.stays(seconds(12))
    health = scene.client.health()
    assert health.fresh_as_of is not None
    assert datetime.now(timezone.utc) - health.fresh_as_of <= timedelta(seconds=within(5))
    age = health.subscriptions[0].last_push_age
    assert age is not None
    assert age >= seconds(12)


def pong_once(line: Talk, request: Message) -> None:
    """Answer the first ping only."""
    if [r["op"] for r in line.requests].count("ping") == 1:
        pong(line, request)


@row(53, kills="a missing pong ends the connection although data arrives")
def test_pushes_without_pongs_are_life_but_no_proof_of_freshness(play: Play) -> None:
    """The connection stays; `fresh_as_of` stands still and shows its age; one WARNING after 60 s."""
    silence = seconds(60) if FACTOR == REAL else seconds(20)
    scene = play(partial(serve, ping=pong_once), timings={"no_pong": silence})
    scene.subscribe()
    scene.exchange.wait_for(lambda: len(scene.exchange.talks[0].requests) >= 5)
    fresh = scene.client.health().fresh_as_of
    scene.exchange.do(every, seconds(1), push_next)
    scene.log.wait_for("no pong for")
    assert fresh is not None
    assert scene.client.health().fresh_as_of == fresh
    assert datetime.now(timezone.utc) - fresh >= timedelta(seconds=silence)
    assert scene.client.health().epoch == 1
    assert scene.client.state is State.LIVE
    scene.logged(["WARNING"])


@row(54, kills="control frames count as a sign of life")
@PLAIN_AND_TLS
@pytest.mark.parametrize("pause", [1, 0.005])
def test_a_peer_that_only_pings_is_dead(play: Play, pause: float) -> None:
    """Protocol pings prove that the peer lives, not that it hears us; a flood of them does not keep us from judging."""
    scene = play(partial(serve, ping=ignore), serve)
    scene.subscribe()
    scene.cause(every, seconds(pause) if pause == 1 else pause, partial(say_to, frame(b"there?", PING)))
    scene.is_found(within=10)
    scene.recovers("has sent nothing for")


@row(54, kills="each byte counts as a sign of life, whatever frame it belongs to")
def test_a_ping_that_trickles_is_no_sign_of_life(play: Play) -> None:
    """A control frame proves nothing, whole or in bytes."""
    scene = play(partial(serve, ping=ignore), serve)
    scene.subscribe()
    scene.exchange.do(say, frame(b"", PING, size=100))
    scene.cause(every, seconds(0.5), partial(say_to, b"x"))
    scene.is_found(within=10)
    scene.recovers("has sent nothing for")


def say_to(data: bytes, line: Talk) -> None:
    """Send *data*: `say`, the other way round."""
    line.send(data)


def falls_silent_after_login(line: Talk) -> None:
    """Accept the login, then say nothing any more."""
    log_in(line)
    listen(line)


@row(55, kills="silence is judged only once the client is LIVE")
@PLAIN_AND_TLS
def test_silence_between_login_and_subscription_is_found(play: Play) -> None:
    """A half-finished return does not last longer than 10 s, and the attempt after it is the same outage."""
    scene = play(serve, falls_silent_after_login, serve)
    scene.subscribe()
    scene.exchange.do(hang_up)
    scene.exchange.wait_for(lambda: len(scene.exchange.talks) > 1 and scene.exchange.talks[1].ended.is_set())
    scene.measure("detection", took := time.monotonic() - scene.exchange.talks[1].began)
    assert took <= within(10) + scene.stalled(scene.exchange.talks[1].began)
    scene.recovers("without a close frame")


def cuts_idle(limit: float, line: Talk) -> None:
    """Hang up on a client that has said nothing for *limit* seconds."""
    if time.monotonic() - line.spoken_at > limit:
        hang_up(line)
        raise EOFError


def serves_the_busy(limit: float, line: Talk) -> None:
    """Serve, but hang up when nothing is said for *limit* seconds."""
    every(line, seconds(0.5), partial(cuts_idle, limit))
    serve(line)


@row(56, kills="no ping is sent")
def test_the_exchange_has_no_reason_to_call_us_idle(play: Play) -> None:
    """The shortest idle time that Bybit knows is 30 s; a ping every 5 s stays below it."""
    scene = play(partial(serves_the_busy, seconds(30)))
    scene.subscribe()
    scene.status.wait_for(State.LIVE)
    scene.status.stays(seconds(32))
    scene.goes_on()


@row(56, kills="the end of the stream is taken for silence")
def test_being_cut_as_idle_is_an_outage_as_any(play: Play) -> None:
    """Whoever pings too seldom is cut, and comes back."""
    scene = play(partial(serves_the_busy, seconds(8)), serve, ping_interval=seconds(60))
    scene.subscribe()
    scene.recovers("without a close frame")


def pings_without_reading(line: Talk) -> None:
    """Send pings as fast as they are taken, and read none of the pongs."""
    while True:
        line.send(frame(b"x" * 125, PING) * 500)


def keep_little(scene: Scene) -> None:
    """Let the kernel keep little between client and exchange, so that a writer soon has to wait."""
    transport = scene.client._engine._supervisor.conversation.transport
    assert transport is not None
    transport._wire._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    scene.exchange.talks[0].sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)


@row(57, kills="a write has no deadline")
@PLAIN_AND_TLS
def test_a_peer_that_does_not_read_is_dead(play: Play) -> None:
    """What cannot be written within 5 s ends the connection: half a frame may be out."""
    # Silence would end it, too, but later than any write may take.
    scene = play(pong_timeout=within(60))
    scene.subscribe()
    keep_little(scene)
    scene.mark()
    scene.exchange.talks[0].do(pings_without_reading)
    scene.is_found(within=15)
    scene.recovers("(while sending)")


@row(58, kills="only whole frames count as a sign of life")
@PLAIN_AND_TLS
def test_a_long_message_over_a_slow_link_is_life(play: Play) -> None:
    """A message that takes 12 s to arrive, longer than any silence may last, is waited for, and the next one follows."""
    # A busy machine makes a slow link slower: how long a message may take is row 59.
    scene = play(timings={"frame": patience()})
    longer = 1.2 * silence()
    relay = scene.relay
    orders = scene.subscribe()
    long = order(scene.exchange.talks[0], "long", orderLinkId="x" * 1_200_000)
    relay.throttle(len(long) / longer)
    scene.cause(say, long)
    event = orders.update("long")
    assert scene.caused_at is not None
    assert event.received_ns * 1e-9 - scene.caused_at >= silence()
    scene.goes_on()
    scene.logged([])


@row(59, kills="a frame that grows has no deadline")
@PLAIN_AND_TLS
def test_a_frame_that_trickles_for_ever_is_an_outage(play: Play) -> None:
    """Each byte is a sign of life, but a message that has begun has to be complete within 20 s."""
    scene = play(partial(serve, ping=ignore), serve)
    scene.subscribe()
    scene.cause(say, frame(b"", size=100_000))
    scene.exchange.do(every, seconds(0.5), partial(say_to, b" "))
    scene.is_found(within=20)
    scene.recovers("stalled inside a frame")


@row(59, kills="a frame has a deadline, a message in fragments has none")
def test_fragments_without_end_are_an_outage(play: Play) -> None:
    """A message may not last longer because each of its fragments is complete."""
    scene = play(partial(serve, ping=ignore), serve)
    scene.subscribe()
    scene.cause(say, frame(b"{", fin=False))
    scene.exchange.do(every, seconds(0.5), partial(say_to, frame(b" ", CONT, fin=False)))
    scene.is_found(within=20)
    scene.recovers("stalled inside a frame")


@row(60, kills="failures are never forgiven: the backoff grows from one maintenance to the next")
@PLAIN_AND_TLS
def test_a_cut_every_minute_costs_a_moment_each_time(play: Play) -> None:
    """After a minute's LIVE the next outage is as short as the first: a gap each, and no drift."""
    rounds, minute, proven = (3, 0.2, 0.1) if FACTOR < REAL else (2, 60.0, 30.0)
    scene = play(timings={"proven": proven}, backoff=Backoff(initial=0.01, factor=3_000, maximum=60))
    scene.subscribe()
    scene.status.wait_for(State.LIVE)
    for _ in range(rounds):
        scene.status.stays(minute)
        scene.cause(say, close_frame(1012, b"maintenance"))
        scene.recovers("(1012 maintenance)")
    downtimes = [c.downtime for c in scene.status.changes if c.downtime is not None]
    assert len(downtimes) == rounds
    # What is not forgiven makes it 15 s at least; a busy machine makes it one or two.
    assert max(downtimes) < 10
