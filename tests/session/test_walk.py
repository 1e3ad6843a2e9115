"""Every sequence of inputs to the pure protocol, up to a depth, checked at each step.

Sequences that lead to the same state are followed once. A second is the unit of every time, so that silence has few lengths.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import pytest
from attrs import Factory, define

from bybit_sync.config.timings import Timings
from bybit_sync.errors import AuthenticationError, ConnectionLost, ProtocolError
from bybit_sync.model.events import Event, GapReason, Stream
from bybit_sync.session.events import AllConfirmed, SessionEvent, StreamConfirmed, StreamRejected
from bybit_sync.session.messages import Request
from bybit_sync.session.session import Session
from tests.talking import Talk

ORDERS, BALANCES = Stream.ORDERS, Stream.BALANCES
TOPICS: Final = {ORDERS: ("order.linear", "order.inverse"), BALANCES: ("wallet",)}
STREAM_OF: Final = {topic: stream for stream, topics in TOPICS.items() for topic in topics}
TIMES: Final = Timings(
    request_timeout=2.0, ping_interval=1.0, pong_timeout=1.0, ask_again=1.0, probe=1.0, unreadable_window=2.0
)
LONGEST: Final = 3.0
"""No deadline may be further away."""
ENDINGS: Final = (ConnectionLost, ProtocolError, AuthenticationError)


@define(eq=False)
class Wished:
    """What is known of one stream that somebody wants."""

    resubscribing: bool
    proven: set[str] = Factory(set)
    """Topics that the exchange confirmed, or pushed for."""
    confirmed: bool = False
    refused: list[str] = Factory(list)
    """Topics that the exchange refused, each time."""
    heard: list[str] = Factory(list)
    delivered: list[str] = Factory(list)


class Model:
    """A session, an honest account of what happened to it, and the checks after each step."""

    def __init__(self) -> None:
        self.pushed = 0
        self.wished: dict[Stream, Wished] = {ORDERS: Wished(resubscribing=False)}
        self.talk = Talk(ORDERS, categories=("linear", "inverse"), times=TIMES)
        self.over = False
        self._begin()

    def _begin(self) -> None:
        """Begin with a new session: nothing of the old one counts."""
        self.ended: Exception | None = None
        # The wish of which a topic was refused that had been confirmed, or had pushed.
        self.taken_back: Wished | None = None
        self.logged_in = False
        self.logins = self.lives = 0
        self.at_login = set(self.wished)
        self.pending: list[Request] = []
        # For which wish each was: an answer that comes after it was left is nothing to the next one.
        self.asked_for: dict[str | None, Wished | None] = {}
        self.asked: dict[str, int] = {}
        self.fresh: datetime | None = None
        self._take_requests()

    @property
    def leaving(self) -> list[object]:
        """The topics whose unsubscribe has no answer."""
        return [request.argument for request in self.pending if request.op == "unsubscribe"]

    # --- inputs ---

    def do(self, name: str, *, checked: bool = True) -> bool:
        """Do what *name* says and check the result, if *checked*; False when nothing can be done."""
        if self.over or (self.ended is not None and name not in ("drop", "close")):
            return False
        step, *arguments = INPUTS[name]
        try:
            done: bool = step(self, *arguments) is not False
            if done and self.ended is None and not self.over:
                self.note(self.talk.session.tick(self.talk.now))
        except ENDINGS as error:
            assert name != "jump", "a wall clock that is set ends a session"
            done, self.ended = True, self.talk.session.ending(error)
        if done and not self.over:
            self._take_requests()
            if checked:
                self.check()
            self._check_freshness()
        return done

    def answer(self, which: int, kind: str) -> bool:
        """Have the exchange answer a request, whichever of those that it has not answered."""
        if len(self.pending) < (2 if which else 1):
            return False
        request = self.pending[which]
        if kind == "clock" and request.op != "auth":
            return False
        del self.pending[which]
        self._note_answer(request, kind)
        texts = {
            "no": "error: topic is not allowed",
            "no login": "Request not authorized",
            "clock": "Params Error",
            "already": "error:already subscribed",
        }
        self.hear(
            self.talk.answer, request, success=kind in ("yes", "nameless"), text=texts.get(kind, ""), with_id=kind != "nameless"
        )
        return True

    def _note_answer(self, request: Request, kind: str) -> None:
        accepted, wished = kind in ("yes", "nameless", "already"), self.asked_for[request.req_id]
        if request.op == "auth":
            self.logged_in = accepted
        elif request.op == "subscribe" and wished is not None:
            # A no outweighs a push that came before it.
            wished.refused += [] if accepted else [str(request.argument)]
            (wished.proven.add if accepted else wished.proven.discard)(str(request.argument))

    def late(self) -> None:
        """Have the exchange answer what an earlier connection asked."""
        self.hear(self.talk.hear, op="subscribe", success=True, req_id="earlier-1", conn_id="c")

    def refuse(self, text: str, topic: str | None = None) -> None:
        """Have the exchange refuse something without a number: what it was asked for longest, or what it has confirmed."""
        asked = [r for r in self.pending if r.op == "subscribe" and topic in (None, r.argument)]
        wished = self.wished.get(STREAM_OF[topic]) if topic else None
        if asked:
            self.pending.remove(asked[0])
            self._note_answer(asked[0], "no")
        elif wished is not None and topic in wished.proven:
            self.taken_back = wished
            wished.refused.append(str(topic))
            wished.proven.discard(str(topic))
        self.hear(self.talk.hear, op="subscribe", success=False, ret_msg=text, conn_id="c")

    def take_back(self) -> None:
        """Have the exchange refuse the login though nobody asked, or because somebody did."""
        asked = [r for r in self.pending if r.op == "auth"]
        if asked:
            self.pending.remove(asked[0])
        was_in, self.logged_in = self.logged_in, False
        self.hear(self.talk.hear, op="auth", success=False, ret_msg="no", conn_id="c")
        assert not was_in, "the login was taken back, and it goes on"

    def push(self, topic: str) -> None:
        """Have the exchange push a row."""
        self.pushed += 1
        wished = self.wished.get(STREAM_OF[topic])
        # Until an unsubscribe is answered a push is the old subscription's.
        if wished is not None and self.logged_in and topic not in self.leaving:
            wished.heard.append(f"{self.pushed}")
            wished.proven.add(topic)
        frame = {"topic": topic, "id": f"{self.pushed}", "creationTime": 1_767_268_800_000, "data": []}
        self.hear(self.talk.hear_frame, json.dumps(frame).encode())

    def garbage(self) -> None:
        """Have the exchange send what is no JSON."""
        self.hear(self.talk.hear_frame, b"{")

    def pong(self) -> None:
        """Have the exchange answer a ping."""
        self.hear(self.talk.pong)

    def silence(self) -> None:
        """Let a second pass."""
        self.talk.seconds += 1

    def doubt(self) -> None:
        """Wake from a sleep."""
        self.talk.session.probe_now(self.talk.now)

    def jump(self) -> bool:
        """Set the wall clock an hour ahead."""
        if self.talk.wall:
            return False
        self.talk.wall = 3600.0
        return True

    def want(self, stream: Stream) -> bool:
        """Subscribe."""
        if stream in self.wished:
            return False
        self.wished[stream] = Wished(resubscribing=False)
        # Somebody wants it anew, and may be refused anew.
        self.asked.update(dict.fromkeys(TOPICS[stream], 0))
        if not self.logged_in:
            self.at_login.add(stream)
        self.talk.session.subscribe(stream, self.talk.now)
        return True

    def leave(self, stream: Stream) -> bool:
        """Unsubscribe."""
        if stream not in self.wished:
            return False
        del self.wished[stream]
        self.at_login.discard(stream)
        self.note(self.talk.session.unsubscribe(stream))
        return True

    def drop(self) -> bool:
        """Lose the connection, and come back with a new session."""
        if not self.wished:
            return False
        until = self.talk.session.coverage.complete_until()
        assert until is None or until <= self.talk.clock.latest(self.talk.now)
        for stream, wished in self.wished.items():
            self.wished[stream] = Wished(resubscribing=wished.resubscribing or wished.confirmed)
        old = self.talk
        self.talk = Talk(categories=("linear", "inverse"), times=TIMES, starts=old.seconds, wall=old.wall, clock=old.clock)
        wanted = {stream: wished.resubscribing for stream, wished in self.wished.items()}
        self.talk = _again(self.talk, wanted, old.session.doubted)
        self._begin()
        return True

    def close(self) -> None:
        """Unsubscribe from everything, for good."""
        for stream in tuple(self.wished):
            del self.wished[stream]
            if self.ended is None:
                self.at_login.discard(stream)
                self.note(self.talk.session.unsubscribe(stream))
        self.over = True

    # --- what it said ---

    def hear(self, say: Callable[..., Sequence[SessionEvent]], *arguments: Any, **options: Any) -> None:
        """Have the exchange say something, and note what the session makes of it."""
        self.note(say(*arguments, **options))

    def note(self, news: Sequence[SessionEvent]) -> None:
        """Take *news* down, each checked against what came before."""
        for item in news:
            if isinstance(item, StreamConfirmed):
                wished = self.wished[item.stream]
                assert not wished.confirmed, "confirmed twice"
                assert wished.proven == set(TOPICS[item.stream]), "confirmed without every topic"
                wished.confirmed = True
            elif isinstance(item, AllConfirmed):
                self.lives += 1
                assert all(self.wished[stream].proven == set(TOPICS[stream]) for stream in self.at_login), "LIVE too early"
            elif isinstance(item, StreamRejected):
                wished = self.wished.pop(item.stream)
                again = len(wished.refused) > len(set(wished.refused))
                assert again or wished.confirmed or not wished.resubscribing, "no second chance"
                self.at_login.discard(item.stream)
            elif isinstance(item, Event):
                self._note_event(item)

    def _note_event(self, event: Event[Any]) -> None:
        assert event.stream in self.wished, "an event of a stream that nobody wants"
        assert self.wished[event.stream].confirmed, "an event before the confirmation"
        if event.gap is None:
            self.wished[event.stream].delivered.append(str(event.id))
        else:
            assert event.gap.reason is GapReason.UNDECODABLE
            assert event.gap.since <= event.gap.until

    def _take_requests(self) -> None:
        for request in self.talk.asked():
            if request.op == "ping":
                continue
            topic = str(request.argument)
            assert request.op != "subscribe" or topic not in self.leaving, "asked for while it is left"
            self.pending.append(request)
            self.asked_for[request.req_id] = self.wished.get(STREAM_OF.get(topic, ORDERS))
            if request.op == "auth":
                self.logins += 1
            else:
                assert self.logged_in, "something was asked for before the login"
                self._note_request(request.op, topic)

    def _note_request(self, op: str, topic: str) -> None:
        if op == "unsubscribe":
            self.asked[topic] = 0
            return
        assert STREAM_OF[topic] in self.wished, "asked for what nobody wants"
        self.asked[topic] = self.asked.get(topic, 0) + 1
        # Once, once more without an answer, once more after a refusal.
        assert self.asked[topic] <= 3, "asked for again and again"

    # --- what holds after every step ---

    def check(self) -> None:
        """Compare session and account."""
        taken_back = self.taken_back
        if self.ended is None and taken_back in self.wished.values():
            assert not taken_back.confirmed, "what is LIVE was refused, and it goes on"
        assert self.lives <= 1
        assert self.logins <= 2
        for stream, wished in self.wished.items():
            if self.ended is None:
                assert wished.delivered == (wished.heard if wished.confirmed else []), "lost, twice or out of order"
                assert self.talk.session.is_confirmed(stream) == wished.confirmed
                held = wished.resubscribing and not self.talk.session._topics.wanted.tells_gaps
                assert wished.confirmed or held or wished.proven != set(TOPICS[stream]), "every topic, and not confirmed"
        if self.ended is None:
            self._check_time()

    def _check_time(self) -> None:
        session, now = self.talk.session, self.talk.now.seconds
        left = session.next_deadline() - now
        assert left <= LONGEST, "it would sleep for too long"
        failed = session._pushes.fatal_error is not None
        assert left > 0 or failed, "it would never sleep"
        if self.logged_in and not self.lives and session._topics.wanted.tells_gaps:
            assert not all(self.wished[stream].confirmed for stream in self.at_login), "all is confirmed, and it is not LIVE"
        for topic in session._topics.wanted.topics.values():
            unsure = topic.state.name in ("LEAVING", "ASKED", "WAITING", "DOUBTED")
            assert unsure == (topic.due is not None), "an answer that nobody waits for"
            assert self.logged_in == (topic.state.name != "WANTED"), "a topic that is not asked for"

    def _check_freshness(self) -> None:
        if self.ended is not None:
            return
        fresh = self.talk.session.coverage.complete_until()
        assert self.fresh is None or (fresh is not None and fresh >= self.fresh), "freshness ran backwards"
        # Until a pong told the exchange's time it was taken from a clock of ours that may be wrong.
        self.fresh = fresh if self.talk.clock.offset is not None else None

    # --- which state it is in ---

    def state(self) -> object:
        """Return what decides all that can follow, times relative to now."""
        session, now = self.talk.session, self.talk.now.seconds
        if self.over:
            return "over"
        # In their order, which is that of the requests.
        wishes = tuple((s.value, w.resubscribing) for s, w in self.wished.items())
        offset = self.talk.clock.offset is not None
        if self.ended is not None:
            after = tuple((s.value, w.resubscribing or w.confirmed) for s, w in self.wished.items())
            return "ended", after, offset, bool(self.talk.wall), tuple(sorted(session.doubted))
        ago = _relative_to(now)
        topics = [
            (t.name, t.state.name, ago(t.due), min(t.asked, 2), t.refusals, bool(t.wanted.held_events), t.wanted.confirmed)
            for t in session._topics.wanted.topics.values()
        ]
        beat, login, post = session.heartbeat, session._login, session._requests
        return (
            wishes,
            offset,
            bool(self.talk.wall),
            tuple(topics),
            tuple(sorted(session._topics._left.items())),
            self._doubts(),
            tuple(sorted(s.value for s in session._topics.wanted._before_live or ())),
            session._topics.wanted._before_live is None,
            tuple((r.op, r.argument if r.op != "auth" else "", self._is_for_now(r)) for r in self.pending),
            tuple((r.op, r.argument if r.op != "auth" else "") for r in post._unanswered.values()),
            (login._phase.name, ago(login.due), login._refusal is not None),
            tuple(
                ago(value) for value in (beat._last_data, beat._next_ping, beat._unanswered_since, session.time_sync.gaps_due)
            ),
            beat._probing,
            session._topics.wanted.tells_gaps,
            self.talk.ping is not None,
            session.coverage.told is not None,
            tuple(ago(value) for value in session._pushes._unreadable),
            session._pushes.fatal_error is not None,
        )

    def _doubts(self) -> tuple[tuple[str, ...], ...]:
        contradictions = self.talk.session._topics._contradictions
        return tuple(sorted(contradictions.accepted)), tuple(sorted(contradictions.found))

    def _is_for_now(self, request: Request) -> bool:
        return self.asked_for[request.req_id] in self.wished.values()


def _relative_to(now: float) -> Callable[[float | None], float | None]:
    return lambda moment: None if moment is None else round(moment - now, 3)


def _again(talk: Talk, wanted: dict[Stream, bool], doubted: frozenset[str]) -> Talk:
    """Return *talk* with a session for *wanted*, of which some return and some do not."""
    talk.session = Session.begin(talk.session._config, epoch=2, clock=talk.clock, wanted=wanted, now=talk.now, doubted=doubted)
    return talk


INPUTS: Final[dict[str, tuple[Any, ...]]] = {
    "yes": (Model.answer, 0, "yes"),
    "yes, out of order": (Model.answer, -1, "yes"),
    "yes, without a number": (Model.answer, 0, "nameless"),
    "no": (Model.answer, 0, "no"),
    "no, out of order": (Model.answer, -1, "no"),
    "no, the clock": (Model.answer, 0, "clock"),
    "already": (Model.answer, 0, "already"),
    "late yes": (Model.late,),
    "no, no login": (Model.answer, 0, "no login"),
    "not logged in": (Model.refuse, "Request not authorized"),
    "not linear": (Model.refuse, "error:handler not found,topic:order.linear", "order.linear"),
    "not anything": (Model.refuse, "busy"),
    "login taken back": (Model.take_back,),
    "push linear": (Model.push, "order.linear"),
    "push inverse": (Model.push, "order.inverse"),
    "push wallet": (Model.push, "wallet"),
    "garbage": (Model.garbage,),
    "pong": (Model.pong,),
    "silence": (Model.silence,),
    "doubt": (Model.doubt,),
    "jump": (Model.jump,),
    "want orders": (Model.want, ORDERS),
    "want balances": (Model.want, BALANCES),
    "leave orders": (Model.leave, ORDERS),
    "leave balances": (Model.leave, BALANCES),
    "drop": (Model.drop,),
    "close": (Model.close,),
}


Path = tuple[str, ...]


def played(path: Path) -> Model:
    """Return a model in which *path* has happened."""
    model = Model()
    for name in path:
        model.do(name, checked=False)
    return model


def after(path: Path, inputs: Sequence[str]) -> dict[str, object]:
    """Return to which state each of *inputs* leads that is possible after *path*."""
    states: dict[str, object] = {}
    model = played(path)
    for name in inputs:
        try:
            done = model.do(name)
        except BaseException as error:
            raise AssertionError(f"{' / '.join([*path, name])}: {type(error).__name__}: {error}") from error
        if done:
            states[name] = model.state()
            model = played(path)
    return states


class Walk:
    """Every way from *start*, one step deeper each time that it is asked for."""

    def __init__(self, start: Path, inputs: Sequence[str]) -> None:
        self.inputs = inputs
        self.known = {played(start).state(): start}
        """Each state, and the first way to it."""
        self.transitions = 0
        self.found = [1]
        """How many states were new at each depth."""
        self._edge = [start]

    def deeper(self) -> Iterator[tuple[Path, Path]]:
        """Go a step further; yield each way that leads where another had led before, behind that other one."""
        edge, self._edge = self._edge, []
        for path in edge:
            for name, state in after(path, self.inputs).items():
                self.transitions += 1
                way = (*path, name)
                first = self.known.setdefault(state, way)
                if first is way:
                    self._edge.append(way)
                else:
                    yield first, way
        self.found.append(len(self._edge))


IN: Final = ("yes",)
"""The login is accepted."""
ALWAYS: Final = ["drop", "close"]
ELSEWHERE: Final = ("already", "no, no login", "not linear", "login taken back")
"""What has walks of its own: with these, too, the one with everything takes minutes."""

WALKS: Final[dict[str, tuple[tuple[str, ...], list[str], int, int]]] = {
    # name: where from, with which inputs, how deep, how deep with ``-m soak``
    "everything": ((), [name for name in INPUTS if name not in ELSEWHERE], 3, 8),
    "login": ((), ["yes", "no", "no, the clock", "pong", "silence", "leave orders", *ALWAYS], 6, 12),
    "answers": (
        IN,
        ["yes", "yes, out of order", "yes, without a number", "no", "push linear", "push inverse", "silence", *ALWAYS],
        6,
        10,
    ),
    "wishes": (IN, ["yes", "no", "push linear", "want orders", "leave orders", *ALWAYS], 8, 10),
    "leaving": (
        (*IN, "yes", "yes"),
        ["yes", "yes, out of order", "no", "already", "push linear", "silence", "want orders", "leave orders"],
        6,
        10,
    ),
    "contradictions": (
        (*IN, "want balances", "yes, out of order"),
        ["yes", "no, no login", "not logged in", "not linear", "login taken back", "push linear", "push inverse", "drop"],
        6,
        10,
    ),
    "two streams": ((), ["yes", "yes, out of order", "push wallet", "want balances", "leave balances", "drop"], 8, 10),
    "time": ((*IN, "yes", "yes"), ["pong", "silence", "doubt", "jump", "garbage", "push linear", "drop"], 6, 10),
}


SIZES: Final = ["small", pytest.param("large", marks=[pytest.mark.soak, pytest.mark.timeout(7200)])]


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("name", WALKS)
@pytest.mark.parametrize("size", SIZES)
def test_every_way_through_the_protocol(name: str, size: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing lost, twice, too early or out of order; nothing asked for without need; nobody waits without a deadline."""
    start, inputs, small, large = WALKS[name]
    depth, began = large if size == "large" else small, time.monotonic()
    walk = Walk(start, inputs)
    for _ in range(depth):
        deque(walk.deeper(), maxlen=0)
    told = f"{len(walk.known)} states, {walk.transitions} transitions, {time.monotonic() - began:.1f} s"
    with capsys.disabled():
        sys.stdout.write(f"\n{name}, to depth {depth}: {told}, new at each depth: {walk.found}\n")
    assert len(walk.known) > 50


FOUND: Final = {
    "a push, and then a no": "yes / want balances / yes, out of order / drop / yes / push wallet / no, out of order / no",
}
"""Ways that `test_every_way_through_the_protocol` found to break a promise, deeper than it goes by default."""


@pytest.mark.parametrize("what", FOUND)
def test_a_way_that_was_found_stays_mended(what: str) -> None:
    """Each of its steps keeps every promise."""
    model = Model()
    for name in FOUND[what].split(" / "):
        model.do(name)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("size", SIZES)
def test_states_that_count_as_one_go_on_alike(size: str) -> None:
    """Following only the first of two ways to a state misses nothing: each input leads from both to the same state."""
    walk = Walk((), list(INPUTS))
    for _ in range(5 if size == "large" else 2):
        for first, other in walk.deeper():
            assert after(first, walk.inputs) == after(other, walk.inputs), (first, other)
