"""Section T: the windows of gaps, which recovery over REST stands on. The checks of each history look at every lost update."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

from bybit_sync import Event, Gap, GapReason, QueueOverflow, State, SubscriptionRejected, replay
from tests.asleep import Sleep
from tests.client.test_subscribing import in_background
from tests.faults.conftest import Play
from tests.faults.exchange import Act, Message, Talk, answer, ignore, order, pong, push_order, reset, say, serve, subscribed
from tests.faults.history import History, lost_outside
from tests.faults.pace import patience, seconds, until
from tests.faults.rows import row
from tests.faults.scene import Scene
from tests.peers import frame


def arrive(scene: Scene) -> None:
    """Have the exchange send an update that arrives: what is lost after it is missing."""
    scene.exchange.push_order("arrives")
    scene.histories[0].update("arrives")


def lose(line: Talk) -> None:
    """Send an update of the order "lost", which nobody gets."""
    order(line, "lost")


def lose_and_reset(line: Talk) -> None:
    """Send that update and reset: a pong in between would tell that all that was sent before it has been read."""
    lose(line)
    reset(line)


def cut(scene: Scene, act: Act = reset) -> Gap:
    """Have *act* reset the connection, wait for the return, and return the gap; what comes after it arrives."""
    history = scene.histories[0]
    scene.exchange.do(act)
    gap = history.gap(GapReason.DISCONNECTED).gap
    assert gap is not None
    scene.exchange.push_order("after")
    history.update("after")
    return gap


def fresh_as_of(scene: Scene) -> datetime:
    """Return the exchange's time in a pong that comes from now on."""
    before = scene.client.health().fresh_as_of
    until(lambda: scene.client.health().fresh_as_of not in (before, None))
    fresh = scene.client.health().fresh_as_of
    assert fresh is not None
    return fresh


# --- pongs ---


class Stall:
    """A way back on which pongs wait, and then come at once."""

    def __init__(self, *, numbered: bool) -> None:
        self.on = False
        self.kept: list[bytes] = []
        self._numbered = numbered

    def pong(self, line: Talk, request: Message) -> None:
        """Answer a ping, now or when the stall is over."""
        number = {"req_id": request["req_id"]} if self._numbered else {}
        said = frame(json.dumps({"op": "pong", "args": [str(line.exchange.milliseconds())], **number}))
        if self.on:
            self.kept.append(said)
            line.exchange.changed()
        else:
            say(line, said)

    def end(self, line: Talk) -> None:
        """Let through what waited, all but the latest pong."""
        say(line, *self.kept[:-1])


@row(200, kills="a pong is taken for the answer to the latest ping")
@pytest.mark.parametrize("numbered", [True, False], ids=["numbered", "without numbers"])
def test_a_late_pong_teaches_nothing_wrong(play: Play, numbered: bool) -> None:  # noqa: FBT001
    """The way back stalls for longer than a ping is apart, and the connection is reset: what is lost is in the window."""
    stall = Stall(numbered=numbered)
    scene = play(partial(serve, ping=stall.pong), partial(serve, ping=ignore), ping_interval=0.2, pong_timeout=60.0)
    orders = scene.subscribe()
    fresh_as_of(scene)
    stall.on = True
    scene.exchange.wait_for(lambda: len(stall.kept) == 2)
    scene.exchange.do(stall.end)
    scene.exchange.push_order("behind the burst")
    orders.update("behind the burst")
    arrive(scene)
    gap = cut(scene, lose_and_reset)
    assert (gap.until - scene.exchange.sent_at["lost"]).total_seconds() < patience()


# --- clocks ---


class AnswersFirst:
    """An exchange that confirms subscriptions before it answers a ping that came earlier."""

    def __init__(self) -> None:
        self._pings: list[Message] = []

    def ping(self, line: Talk, request: Message) -> None:
        """Answer it when orders are subscribed."""
        self._pings.append(request)
        self._answer(line)

    def subscribe(self, line: Talk, request: Message) -> None:
        """Confirm it."""
        subscribed(line, request)
        self._answer(line)

    def _answer(self, line: Talk) -> None:
        while len(line.topics) == 2 and self._pings:
            pong(line, self._pings.pop())


@row(201, kills="a window is told before the exchange's time is known")
@pytest.mark.parametrize("skew", [-60.0, 60.0])
@pytest.mark.parametrize("late", [False, True], ids=["pong first", "answers first"])
def test_the_first_connection_dies_before_its_first_pong(play: Play, skew: float, late: bool) -> None:  # noqa: FBT001
    """With a clock that is a minute off: the window is in the exchange's time all the same."""
    late_pongs = AnswersFirst()
    second = partial(serve, ping=late_pongs.ping, subscribe=late_pongs.subscribe) if late else serve
    scene = play(partial(serve, ping=ignore), second, timings={"probe": patience()})
    scene.exchange.clock_offset = skew
    scene.subscribe()
    arrive(scene)
    gap = cut(scene, lose_and_reset)
    assert (gap.until - gap.since).total_seconds() < patience()


@row(201, kills="the first ping goes out behind the subscribes")
def test_the_first_ping_goes_out_before_the_subscribes(play: Play) -> None:
    """An exchange that answers in order tells its time before it confirms anything."""
    scene = play()
    scene.subscribe()
    assert [request["op"] for request in scene.exchange.talks[0].requests[:3]] == ["auth", "ping", "subscribe"]


@row(201, kills="a gap waits for a pong for ever")
def test_an_exchange_that_never_answers_a_ping_delays_a_gap_by_a_moment_only(play: Play) -> None:
    """Two seconds after the login it is told by what is known."""
    scene = play(partial(serve, ping=ignore))
    scene.subscribe()
    assert cut(scene).reason is GapReason.DISCONNECTED


@pytest.fixture
def sleep(monkeypatch: pytest.MonkeyPatch) -> Sleep:
    """The machine's sleep."""
    return Sleep(monkeypatch)


@row(202, kills="the exchange's clock stands still while this machine sleeps")
@pytest.mark.parametrize("lasted", [2.0, 10.0])
def test_a_suspend_is_no_pause_of_the_exchange(play: Play, sleep: Sleep, lasted: float) -> None:
    """It went on meanwhile: what is lost afterwards is in the window, also before any pong told how late it is."""
    scene = play(serve, partial(serve, ping=ignore))
    scene.subscribe()
    fresh_as_of(scene)
    sleep.seconds, scene.exchange.clock_offset = lasted, lasted
    arrive(scene)
    cut(scene, lose_and_reset)


# --- ends ---


@row(210, kills="an end is told with the window of the whole subscription")
def test_an_overflow_that_ends_a_subscription_is_told_from_the_last_pong_on(play: Play) -> None:
    """Not from hours ago, when it was subscribed, nor from an outage of the past."""
    scene = play(ping_interval=seconds(1))
    slow = scene.client.subscribe_orders(maxsize=1, overflow="fail")
    last = scene.subscribe()  # what it has received, `slow` was given before
    scene.exchange.do(reset)
    last.gap()
    assert slow.get(patience()).gap is not None
    fresh = fresh_as_of(scene)
    for name in ("fits", "does not"):
        scene.exchange.push_order(name)
        last.update(name)
    slow.get(patience())
    gap = slow.get(patience()).gap
    assert gap is not None
    assert isinstance(gap.error, QueueOverflow)
    assert fresh <= gap.since < scene.exchange.sent_at["does not"] <= gap.until


class Broken:
    """A queue that raises when it is given the order "bad"."""

    def __init__(self) -> None:
        self.last: Event[Any] | None = None

    def put_nowait(self, event: Event[Any]) -> None:
        """Take it, or raise."""
        if [row.order_id for row in event] == ["bad"]:
            raise OSError("the disk is full")
        self.last = event


@row(210, kills="the end of a queue that raises is told by this machine's clock")
def test_the_end_of_a_queue_that_raises_is_told_in_the_exchanges_time(play: Play) -> None:
    """From the last pong on until now."""
    scene = play(ping_interval=seconds(1))
    scene.exchange.clock_offset = 60.0
    first, broken = scene.subscribe(), Broken()
    scene.client.subscribe_orders(broken)
    fresh = fresh_as_of(scene)
    scene.exchange.push_order("bad")
    first.update("bad")
    until(lambda: broken.last is not None)
    assert broken.last is not None
    assert broken.last.gap is not None
    assert fresh <= broken.last.gap.since <= scene.exchange.sent_at["bad"] <= broken.last.gap.until


def refused(line: Talk, request: Message) -> None:
    """Refuse a subscription."""
    answer(line, request, success=False, text="error:handler not found")


@row(210, kills="a topic refused on return is told with the window of an earlier outage")
def test_a_topic_refused_on_return_is_told_from_the_outage_on(play: Play) -> None:
    """The second outage: what was before it had been told."""
    scene = play(serve, serve, partial(serve, subscribe=refused), ping_interval=seconds(1))
    orders = scene.subscribe()
    cut(scene)
    fresh = fresh_as_of(scene)
    scene.exchange.do(reset)
    gap = orders.gap(GapReason.ENDED).gap
    assert gap is not None
    assert isinstance(gap.error, SubscriptionRejected)
    assert fresh <= gap.since <= gap.until


# --- pushes of a stream that is not confirmed, or should not be ---


def is_linear(request: Message) -> bool:
    """Return whether *request* is about the first of the two topics of orders."""
    return request["args"] == ["order.linear"]


def only_linear(line: Talk, request: Message) -> None:
    """Confirm that topic; leave the other one without an answer."""
    if is_linear(request):
        subscribed(line, request)


@row(74, kills="what waits for a confirmation that never comes is dropped in silence")
@pytest.mark.parametrize("wait", [True, False])
def test_what_waited_for_a_confirmation_that_never_came_is_told(play: Play, wait: bool) -> None:  # noqa: FBT001
    """One of two topics pushes already when the connection is lost: a gap from when it was asked for, pongs or not."""
    scene = play(partial(serve, subscribe=only_linear), serve, request_timeout=60.0)
    subscribing = in_background(partial(scene.subscribe, wait=wait))
    scene.exchange.wait_for(lambda: scene.exchange.talks and scene.exchange.talks[0].topics)
    scene.exchange.push_order("held")
    fresh_as_of(scene)
    cut(scene)
    gap = subscribing.get(timeout=patience()).events[0].gap
    assert gap.reason is GapReason.DISCONNECTED
    assert gap.since <= scene.exchange.sent_at["held"] <= gap.until


def push_and_refuse(line: Talk, request: Message) -> None:
    """Confirm the first topic and push an update of it; refuse the other one."""
    only_linear(line, request)
    if is_linear(request):
        push_order(line, "held")
    else:
        answer(line, request, success=False, text="error:handler not found,topic:order.inverse")


@row(74, kills="the end of a subscription says nothing of what waited for its confirmation")
def test_what_waited_for_a_confirmation_that_was_refused_is_told(play: Play) -> None:
    """One of two topics pushes before the other one is refused: the window of ENDED begins when it was asked for."""
    scene = play(partial(serve, subscribe=push_and_refuse))
    gap = scene.subscribe(wait=False).gap(GapReason.ENDED).gap
    assert gap is not None
    assert gap.since <= scene.exchange.sent_at["held"] <= gap.until


class SaysYesTwice:
    """An exchange that confirms one topic twice, the second time without a number, and refuses the other one later."""

    def __init__(self, **refusal: Any) -> None:
        self._refused: Message = {}
        self._refusal = refusal

    def subscribe(self, line: Talk, request: Message) -> None:
        """Confirm the first topic."""
        if is_linear(request):
            subscribed(line, request)
        else:
            self._refused = request
            answer(line, {**request, "args": ["order.linear"]}, req_id=None)

    def refuse(self, line: Talk) -> None:
        """Refuse the other one."""
        answer(line, self._refused, success=False, **self._refusal)


@row(200, kills="a stream that was confirmed by mistake counts as complete up to the last pong")
@pytest.mark.parametrize(
    "refusal",
    [{"text": "no such topic"}, {"text": "no topic:order.inverse", "req_id": None}, {"text": "no", "req_id": None}],
    ids=["numbered", "named", "neither"],
)
def test_the_window_after_a_confirmation_by_mistake_begins_when_it_was_asked_for(play: Play, refusal: Any) -> None:
    """The refusal comes behind pongs: they tell nothing of a topic that was never subscribed."""
    mistaken = SaysYesTwice(**refusal)
    scene = play(partial(serve, subscribe=mistaken.subscribe), serve)
    orders = scene.subscribe()
    arrive(scene)
    scene.exchange.do(lose)
    fresh_as_of(scene)
    scene.exchange.do(mistaken.refuse)
    gap = orders.gap(GapReason.DISCONNECTED).gap
    assert gap is not None
    assert gap.since <= scene.exchange.sent_at["lost"] <= gap.until


# --- rounds of reading ---


class Slow(History):
    """A queue that is stuck with its first event until it is set `free`."""

    def __init__(self) -> None:
        super().__init__()
        self.stuck, self.free = threading.Event(), threading.Event()

    def put_nowait(self, event: Event[Any]) -> None:
        """Take *event*, sooner or later."""
        self.record(event)
        self.stuck.set()
        assert self.free.wait(patience())


@row(212, kills="all that is read in one round has the time of its beginning")
def test_what_is_read_after_a_put_that_blocks_is_not_dated_before_it(play: Play) -> None:
    """More lies ready than one read takes: what is read afterwards came afterwards, by both clocks."""
    scene = play()
    slow = Slow()
    scene.histories.append(slow)
    scene.client.subscribe_orders(slow)
    scene.exchange.do(lambda line: say(line, order(line, "slow"), order(line, "long", orderLinkId="x" * 400_000)))
    assert slow.stuck.wait(patience())
    sent_ns, sent = time.monotonic_ns(), scene.exchange.now()
    scene.exchange.push_order("next")
    slow.free.set()
    slow.update("slow")
    slow.update("long")
    event = slow.update("next")
    assert event.received_ns >= sent_ns
    assert event.received_at >= sent


# --- replays ---


def refuse_twice(line: Talk, request: Message) -> None:
    """Refuse one topic twice, then confirm it; confirm the others."""
    topic = request["args"][0]
    asked = sum(request["args"] == earlier["args"] for earlier in line.requests if earlier["op"] == "subscribe")
    # A second topic's refusal may be read after the first has ended the subscription, and end the next one.
    if topic != "order.linear" or asked > 2:
        subscribed(line, request)
    else:
        answer(line, request, success=False, text=f"error:handler not found,topic:{topic}")


def numbered(events: Iterable[Event[Any]]) -> list[tuple[object, ...]]:
    """Return the number of each of *events*, and all that tells what it is."""
    return [
        (
            event.index,
            event.epoch,
            event.stream,
            [row.order_id for row in event],
            event.gap and attrs.evolve(event.gap, error=None),
        )
        for event in events
    ]


@row(215, kills="a replay numbers on where a subscription ended, or has other windows than the client had")
@pytest.mark.parametrize(
    "what", ["refused and allowed", "not confirmed", "refused with something held", "confirmed by mistake"]
)
def test_a_replay_tells_the_same_numbers_and_windows(play: Play, tmp_path: Path, what: str) -> None:
    """Of a subscription that ended, of the one that took its place, and of gaps that pushes without confirmation leave."""
    mistaken = SaysYesTwice(text="no such topic")
    scripts: dict[str, tuple[Act, ...]] = {
        "refused and allowed": (serve, partial(serve, subscribe=refuse_twice)),
        "not confirmed": (partial(serve, subscribe=only_linear), serve),
        "refused with something held": (partial(serve, subscribe=push_and_refuse),),
        "confirmed by mistake": (partial(serve, subscribe=mistaken.subscribe), serve),
    }
    scene = play(*scripts[what], record=tmp_path / "session.jsonl", request_timeout=60.0)
    happens[what](scene, mistaken)
    assert scene.client.close()
    live = [event for history in scene.histories for event in history.events]
    assert numbered(replay(tmp_path / "session.jsonl")) == numbered(live)


def is_refused_and_allowed(scene: Scene, _: SaysYesTwice) -> None:
    """Have a subscription that received something end, and another one receive."""
    first = scene.subscribe()
    scene.exchange.push_order("first")
    first.update("first")
    scene.exchange.do(reset)
    assert first.gap(GapReason.ENDED).index == 2
    second = scene.subscribe()
    scene.exchange.push_order("second")
    assert second.update("second").index == 1


def is_lost_unconfirmed(scene: Scene, _: SaysYesTwice) -> None:
    """Have a connection lost while a push waits for the confirmation."""
    scene.subscribe(wait=False)
    scene.exchange.wait_for(lambda: scene.exchange.talks and scene.exchange.talks[0].topics)
    scene.exchange.push_order("held")
    fresh_as_of(scene)
    cut(scene)


def is_refused(scene: Scene, _: SaysYesTwice) -> None:
    """Have a subscription refused while a push waits for its confirmation."""
    scene.subscribe(wait=False).gap(GapReason.ENDED)


def is_confirmed_by_mistake(scene: Scene, mistaken: SaysYesTwice) -> None:
    """Have a confirmation taken back after pongs."""
    orders = scene.subscribe()
    fresh_as_of(scene)
    scene.exchange.do(mistaken.refuse)
    orders.gap(GapReason.DISCONNECTED)


happens: dict[str, Callable[[Scene, SaysYesTwice], None]] = {
    "refused and allowed": is_refused_and_allowed,
    "not confirmed": is_lost_unconfirmed,
    "refused with something held": is_refused,
    "confirmed by mistake": is_confirmed_by_mistake,
}


# --- the checks ---


def test_the_checks_find_what_was_lost_outside_of_the_window(play: Play) -> None:
    """An update that was sent a minute after the gap's end is in no window."""
    scene = play()
    orders = scene.subscribe()
    arrive(scene)
    cut(scene, lose_and_reset)
    sent, sent_at = scene.exchange.sent, dict(scene.exchange.sent_at)
    assert scene.client.state is State.LIVE
    assert lost_outside(orders.events, ["first", *sent], {**sent_at, "first": sent_at["lost"]}) == []
    sent_at["lost"] = scene.exchange.now().replace(year=2100)
    first = orders.events[-1]
    assert lost_outside([first, *orders.events], ["after", *sent], sent_at) == ["lost"]
