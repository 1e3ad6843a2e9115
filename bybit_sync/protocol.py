"""The rules of one login: a session that is fed frames and moments, and asked for requests to send and news to pass on.

It opens no socket, starts no thread and reads no clock. After `start` the connection feeds it (`receive`, `heard`, `tick`,
`want`, `unwant`) and passes on what it returns and asks for (`requests`, `next_deadline`). What ends the session is raised.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final

from attrs import Factory, define, frozen

from bybit_sync.clock import ExchangeClock, Moment
from bybit_sync.decoding import Unreadable, parse
from bybit_sync.dialects import Channel, Dialect
from bybit_sync.errors import AuthenticationError, ConnectionLost, ProtocolError, SubscriptionRejected
from bybit_sync.messages import Answer, Pong, Push, Request, read
from bybit_sync.refusals import Meaning, Refusal, understand
from bybit_sync.timings import Timings
from bybit_sync.updates import Event, Gap, GapReason, Stream

__all__ = ["Confirmed", "Live", "LoggedIn", "News", "Rejected", "Session", "Terms"]

# More pushes than this before a subscription is confirmed are no start-up race: the exchange forgot its answer.
HELD_LIMIT: Final = 100_000
# Pongs that we still wait for; the exchange answers in order.
PINGS_REMEMBERED: Final = 16
# Warnings that are given once per shape; a peer that invents shapes cannot make this grow.
SHAPES_REMEMBERED: Final = 1000
UNREADABLE_FRAMES: Final = 3


@frozen(kw_only=True)
class Terms:
    """What every session of a client has in common."""

    dialect: Dialect
    categories: tuple[str, ...] | None
    timings: Timings
    client: str
    environment: str
    log: logging.Logger | logging.LoggerAdapter[logging.Logger]
    redact: Callable[[str], str]
    hint: str = ""
    """What to add to a refused login's remedy: the environments that the key may belong to."""
    notice: str = ""
    """What to add to every error: that the dialect was switched off where this client connects to."""


@frozen
class LoggedIn:
    """The exchange accepted the login."""


@frozen
class Confirmed:
    """Every topic of *stream* is subscribed; *at* is the exchange's time."""

    stream: Stream
    at: datetime


@frozen
class Live:
    """Every topic wanted at login is confirmed. Once per session."""


@frozen
class Rejected:
    """*stream* is refused for good, and no longer wanted."""

    stream: Stream
    error: SubscriptionRejected


News = LoggedIn | Confirmed | Live | Rejected | Event[Any]


class Phase(Enum):
    """How far the login is."""

    LOGIN = "waiting for the login's answer"
    MEASURING = "login refused; waiting for a pong to learn the exchange's time"
    OPEN = "logged in"


class Standing(Enum):
    """What became of a topic."""

    ASKED = "asked for, not answered"
    CONFIRMED = "subscribed"
    WAITING = "refused once, to be asked for again"


@define
class _Topic:
    """One topic that is wanted."""

    channel: Channel
    standing: Standing = Standing.ASKED
    due: float = 0.0
    """When the answer is overdue, or when it is asked for again."""
    asked: int = 0
    number: str = ""
    """The req_id of the latest request: the answer to an earlier one says nothing any more."""


@define
class _Wish:
    """One stream that is wanted."""

    stream: Stream
    topics: dict[str, _Topic]
    returning: bool
    """Someone received it on an earlier login: a refusal then gets a second chance."""
    confirmed: bool = False
    held: list[Event[Any]] = Factory(list)
    """What arrived before the confirmation, to be delivered right after it."""


class Session:
    """One login, from the first frame to the last. Only the connection thread."""

    def __init__(self, terms: Terms, *, epoch: int, clock: ExchangeClock, wanted: Mapping[Stream, bool], now: Moment) -> None:
        self.epoch = epoch
        self.fresh_as_of: datetime | None = None
        self.ping_rtt: float | None = None
        self.logged_in_at: datetime | None = None
        self._terms = terms
        self._times = terms.timings
        self._clock = clock
        self._phase = Phase.LOGIN
        self._login_due = 0.0
        self._corrected = False
        self._refusal: AuthenticationError | None = None
        self._wishes = {stream: self._wish(stream, returning=returning) for stream, returning in wanted.items()}
        self._topics: dict[str, tuple[_Wish, _Topic]] = {}
        self._index()
        # Streams still to be confirmed before this login counts as LIVE; None once it did.
        self._before_live: set[Stream] | None = set(self._wishes)
        self._outbox: list[Request] = []
        # Requests without their answer, in the order of sending: an answer without req_id belongs to the oldest of its kind.
        self._unanswered: dict[str, Request] = {}
        self._numbers = 0
        self._left: set[str] = set()
        self._strange: set[str] = set()
        self._unreadable: deque[float] = deque(maxlen=UNREADABLE_FRAMES)
        self._doom: Exception | None = None
        self._pings: deque[Moment] = deque(maxlen=PINGS_REMEMBERED)
        self._heard = now.seconds
        self._ping_unheard: float | None = None
        self._last_pong = now.seconds
        self._next_ping = now.seconds + self._times.ping_interval
        self._login(now)

    # --- asked ---

    def requests(self) -> list[Request]:
        """Take what is to be sent, in order."""
        taken, self._outbox = self._outbox, []
        return taken

    def next_deadline(self) -> float:
        """Return when `tick` is due, on the monotonic clock."""
        if self._doom is not None:
            return 0.0
        deadlines = [self._next_ping, self._silent_at()]
        if self._phase is not Phase.OPEN:
            deadlines.append(self._login_due)
        deadlines += [t.due for w in self._wishes.values() if not w.confirmed for t in w.topics.values() if t.due]
        return min(deadlines)

    def is_confirmed(self, stream: Stream) -> bool:
        """Say whether every topic of *stream* is subscribed."""
        return stream in self._wishes and self._wishes[stream].confirmed

    def complete_until(self) -> datetime | None:
        """Return the last instant, in exchange time, up to which every confirmed stream is known complete."""
        return self.fresh_as_of or self.logged_in_at

    # --- fed ---

    def want(self, stream: Stream, now: Moment, *, returning: bool = False) -> None:
        """Subscribe to *stream*, now or as soon as the login is accepted."""
        if stream in self._wishes:
            return
        self._wishes[stream] = wish = self._wish(stream, returning=returning)
        self._index()
        if self._phase is Phase.OPEN:
            self._ask_for(wish, now)
        elif self._before_live is not None:
            self._before_live.add(stream)

    def unwant(self, stream: Stream) -> list[News]:
        """Unsubscribe from *stream*; what still arrives for it is dropped."""
        news: list[News] = []
        self._drop(stream, news)
        return news

    def heard(self, ns: int) -> None:
        """Take note that bytes of a data frame arrived, at *ns* on the monotonic clock."""
        seconds = ns * 1e-9
        if seconds > self._heard:
            self._heard = seconds
            self._ping_unheard = None

    def receive(self, frame: bytes, now: Moment) -> Sequence[News]:
        """Return what *frame* means, in order. Raises what ends the session."""
        try:
            message = parse(frame)
        except Unreadable as error:
            return self._cannot_read(frame, error.detail, now)
        if type(message) is not dict:
            return self._strange_shape(frame, f"not an object but {_kind(message)}", now)
        meaning = read(message)
        if type(meaning) is Push:
            return self._push(meaning, frame, now)
        news: list[News] = []
        if type(meaning) is Pong:
            self._pong(meaning, now)
        elif type(meaning) is Answer:
            self._answer(meaning, now, news)
        else:
            return self._strange_shape(frame, meaning.shape, now)
        return news

    def tick(self, now: Moment) -> None:
        """Do what is due at *now*. Raises `ConnectionLost` when the exchange did not do what was."""
        if self._doom is not None:
            raise self._doom
        seconds = now.seconds
        if seconds >= self._next_ping:
            self._ping(now)
        if seconds >= self._silent_at():
            self._raise_silent(seconds)
        if self._phase is not Phase.OPEN and seconds >= self._login_due:
            raise self.ending(ConnectionLost(f"{self._who} did not answer the login within {self._times.request_timeout:g} s"))
        for wish in self._wishes.values():
            if not wish.confirmed:
                self._chase(wish, now)

    def ending(self, error: Exception) -> Exception:
        """Return why the session really ends, when *error* ends it: a login refused outweighs what follows from it."""
        return self._refusal if self._phase is Phase.MEASURING and self._refusal is not None else error

    # --- the login ---

    @property
    def _who(self) -> str:
        return self._terms.environment

    def _login(self, now: Moment) -> None:
        expires = self._clock.at(now).timestamp() + self._times.auth_window
        self._phase = Phase.LOGIN
        self._login_due = now.seconds + self._times.request_timeout
        self._send(Request("auth", round(expires * 1000), self._number()))

    def _logged_in(self, now: Moment, news: list[News]) -> None:
        self._phase = Phase.OPEN
        self.logged_in_at = self._clock.at(now)
        news.append(LoggedIn())
        for wish in self._wishes.values():
            self._ask_for(wish, now)
        self._check_live(news)

    def _login_refused(self, answer: Answer, now: Moment) -> None:
        refusal = understand(answer.text, answer.code)
        error = self._refusal_error(answer.text, refusal)
        if refusal.meaning is not Meaning.CLOCK or self._corrected:
            raise error
        # The same text stands for a wrong clock and for a wrong login: measure the clock, sign once more, then believe it.
        self._corrected = True
        self._refusal = error
        self._phase = Phase.MEASURING
        self._login_due = now.seconds + self._times.pong_timeout
        self._ping(now)

    def _refusal_error(self, text: str, refusal: Refusal) -> AuthenticationError:
        text = self._terms.redact(text)
        offset = self._clock.offset
        measured = f" (the exchange's clock minus this one: {offset:+.3f} s)" if offset is not None else ""
        remedy = f"{refusal.remedy} {self._terms.hint}".strip()
        waits = {Meaning.BUSY: self._times.busy, Meaning.CROWDED: self._times.crowded}
        return AuthenticationError(
            f"{self._who} refused the login: {printable(text) or 'it gives no reason'}{measured}. {remedy}",
            text=text,
            remedy=remedy,
            clock_offset=offset,
            transient=refusal.meaning in waits,
            retry_after=waits.get(refusal.meaning),
        )

    # --- answers ---

    def _answer(self, answer: Answer, now: Moment, news: list[News]) -> None:
        request = self._asked(answer)
        if request is None:
            self._terms.log.debug("an answer that belongs to no request: %s", answer.op)
            return
        del self._unanswered[str(request.req_id)]
        if request.op == "auth":
            if answer.success:
                self._logged_in(now, news)
            else:
                self._login_refused(answer, now)
        elif request.op == "subscribe":
            self._subscribe_answered(request, answer, now, news)
        else:
            self._left.discard(str(request.argument))

    def _asked(self, answer: Answer) -> Request | None:
        """Return the request that *answer* answers: by number, else by the topic it names, else the oldest of its kind."""
        if answer.req_id is not None:
            request = self._unanswered.get(answer.req_id)
            return request if request is not None and request.op == answer.op else None
        same = [r for r in self._unanswered.values() if r.op == answer.op]
        named = [r for r in same if r.argument == answer.topic]
        return next(iter(named or same), None)

    def _subscribe_answered(self, request: Request, answer: Answer, now: Moment, news: list[News]) -> None:
        topic = str(request.argument)
        wish, state = self._topics.get(topic, (None, None))
        if wish is None or state is None or state.number != request.req_id:
            return
        lowered = answer.text.lower()
        if answer.success or "already subscribed" in lowered:
            self._confirm(wish, state, now, news)
        elif "not authorized" in lowered or "needs auth" in lowered:
            raise ProtocolError(f"{self._who} accepted the login, then took it for missing: {printable(answer.text)}")
        elif wish.returning and state.asked == 1:
            self._terms.log.warning("%s is refused (%s); asking once more", topic, printable(answer.text))
            state.standing = Standing.WAITING
            state.due = now.seconds + self._times.ask_again
        else:
            self._reject(wish.stream, topic, answer.text, news)

    # --- topics ---

    def _wish(self, stream: Stream, *, returning: bool) -> _Wish:
        channels = self._terms.dialect.channels(stream, self._terms.categories)
        return _Wish(stream, {c.topic: _Topic(c) for c in channels}, returning)

    def _index(self) -> None:
        self._topics = {name: (wish, topic) for wish in self._wishes.values() for name, topic in wish.topics.items()}

    def _ask_for(self, wish: _Wish, now: Moment) -> None:
        for name, topic in wish.topics.items():
            self._ask(name, topic, now)

    def _ask(self, name: str, topic: _Topic, now: Moment) -> None:
        topic.standing = Standing.ASKED
        topic.asked += 1
        topic.due = now.seconds + self._times.request_timeout
        # One topic a request: a refusal then names its topic, and cannot take others with it.
        topic.number = self._number()
        self._send(Request("subscribe", name, topic.number))

    def _chase(self, wish: _Wish, now: Moment) -> None:
        for name, topic in wish.topics.items():
            if topic.due and now.seconds >= topic.due:
                if topic.standing is Standing.ASKED and topic.asked > 1:
                    raise ConnectionLost(f"{self._who}: no answer to the subscription to {name}, asked for twice")
                self._ask(name, topic, now)

    def _confirm(self, wish: _Wish, topic: _Topic, now: Moment, news: list[News]) -> None:
        topic.standing = Standing.CONFIRMED
        topic.due = 0.0
        if wish.confirmed or any(t.standing is not Standing.CONFIRMED for t in wish.topics.values()):
            return
        wish.confirmed = True
        news.append(Confirmed(wish.stream, self._clock.at(now)))
        news += wish.held
        wish.held.clear()
        self._settle(wish.stream, news)

    def _reject(self, stream: Stream, topic: str, text: str, news: list[News]) -> None:
        text = self._terms.redact(text)
        remedy = "Check the key's permissions, the account's kind, categories= and dialect=."
        message = f"{self._who} refused {topic}: {printable(text) or 'no reason given'}. {remedy}"
        news.append(Rejected(stream, SubscriptionRejected(message, text=text, remedy=remedy, topic=topic)))
        self._drop(stream, news)

    def _drop(self, stream: Stream, news: list[News]) -> None:
        wish = self._wishes.pop(stream, None)
        if wish is None:
            return
        self._index()
        for name, topic in wish.topics.items():
            if topic.asked and topic.standing is not Standing.WAITING:
                self._left.add(name)
                self._send(Request("unsubscribe", name, self._number()))
        self._settle(stream, news)

    def _settle(self, stream: Stream, news: list[News]) -> None:
        if self._before_live is not None:
            self._before_live.discard(stream)
            self._check_live(news)

    def _check_live(self, news: list[News]) -> None:
        if self._phase is Phase.OPEN and self._before_live is not None and not self._before_live:
            self._before_live = None
            news.append(Live())

    # --- pushes ---

    def _push(self, push: Push, frame: bytes, now: Moment) -> Sequence[News]:
        if push.topic not in self._topics:
            return self._uncalled_for(push.topic)
        if self._phase is not Phase.OPEN:
            raise ProtocolError(f"{self._who} pushed {push.topic} before it answered the login")
        wish, topic = self._topics[push.topic]
        news: list[News] = []
        if topic.standing is not Standing.CONFIRMED and push.topic not in self._left:
            # A push proves the subscription as well as an answer does, and answers can get lost.
            self._confirm(wish, topic, now, news)
        self._hand_on(wish, self._events(topic.channel, push, frame, now), news)
        return news

    def _events(self, channel: Channel, push: Push, frame: bytes, now: Moment) -> list[Event[Any]]:
        try:
            decoded = channel.decode(push.data)
        except Unreadable as error:
            return [self._spoiled(channel.stream, channel.topic, frame, error.detail, None, now)]
        event = Event(
            stream=channel.stream,
            topic=push.topic,
            data=decoded.updates,
            id=push.id,
            created_at=push.created_at,
            received_at=now.utc,
            received_ns=now.ns,
            raw=frame,
            client=self._terms.client,
            epoch=self.epoch,
        )
        if not decoded.faults:
            return [event]
        gap = self._spoiled(channel.stream, channel.topic, frame, "; ".join(decoded.faults[:10]), len(decoded.faults), now)
        return [gap, event] if decoded.updates else [gap]

    def _hand_on(self, wish: _Wish, events: list[Event[Any]], news: list[News]) -> None:
        if wish.confirmed:
            news += events
        elif len(wish.held) < HELD_LIMIT:
            wish.held += events
        else:
            self._doom = ProtocolError(f"{self._who} pushed {HELD_LIMIT} messages of {wish.stream.value} without confirming it")

    def _uncalled_for(self, topic: str) -> Sequence[News]:
        if topic in self._left or not self._first_of_its_kind(f"topic {topic}"):
            self._terms.log.debug("dropped a push for a topic that is not subscribed")
        else:
            self._terms.log.warning("a push for %s, which nobody subscribed to, is dropped", printable(topic))
        return ()

    # --- what cannot be read ---

    def _cannot_read(self, frame: bytes, detail: str, now: Moment) -> Sequence[News]:
        self._terms.log.error("a frame of %d bytes cannot be read: %s", len(frame), detail)
        self._unreadable.append(now.seconds)
        if len(self._unreadable) == UNREADABLE_FRAMES and now.seconds - self._unreadable[0] <= self._times.unreadable_window:
            # The gaps below are passed on first; the next tick ends the session.
            self._doom = ProtocolError(
                f"{self._who} sent {UNREADABLE_FRAMES} unreadable frames in a row, the last one: {detail}"
            )
        return self._spoil_all(frame, detail, now)

    def _strange_shape(self, frame: bytes, shape: str, now: Moment) -> Sequence[News]:
        if self._first_of_its_kind(shape):
            self._terms.log.warning("a frame of unknown shape: %s", shape)
        return self._spoil_all(frame, shape, now)

    def _spoil_all(self, frame: bytes, detail: str, now: Moment) -> Sequence[News]:
        # It could have been for any of them.
        news: list[News] = []
        for wish in self._wishes.values():
            self._hand_on(wish, [self._spoiled(wish.stream, "", frame, detail, None, now)], news)
        return news

    def _spoiled(self, stream: Stream, topic: str, frame: bytes, detail: str, missed: int | None, now: Moment) -> Event[Any]:
        if missed is not None and self._first_of_its_kind(detail):
            self._terms.log.warning("%s: a row cannot be read: %s", topic, detail)
        until = self._clock.at(now)
        gap = Gap(
            reason=GapReason.UNDECODABLE,
            since=min(self.complete_until() or until, until),
            until=until,
            missed=missed,
            detail=detail,
            error=ProtocolError(f"{topic or 'a frame'} cannot be read: {detail}"),
        )
        return Event(
            stream=stream,
            topic=topic,
            gap=gap,
            received_at=now.utc,
            received_ns=now.ns,
            raw=frame,
            client=self._terms.client,
            epoch=self.epoch,
        )

    def _first_of_its_kind(self, shape: str) -> bool:
        if shape in self._strange or len(self._strange) >= SHAPES_REMEMBERED:
            return False
        self._strange.add(shape)
        return True

    # --- the heartbeat ---

    def _ping(self, now: Moment) -> None:
        self._next_ping = now.seconds + self._times.ping_interval
        self._pings.append(now)
        if self._ping_unheard is None:
            self._ping_unheard = now.seconds
        if now.seconds - self._last_pong > self._times.no_pong and self._first_of_its_kind("no pong"):
            self._terms.log.warning(
                "data arrives, but no pong for %.0f s: how fresh it is cannot be told", now.seconds - self._last_pong
            )
        self._send(Request("ping"))

    def _pong(self, pong: Pong, now: Moment) -> None:
        self._last_pong = now.seconds
        sent = self._pings.popleft() if self._pings else None
        if sent is not None:
            self.ping_rtt = (now.ns - sent.ns) * 1e-9
        if pong.at is None:
            return
        # All that the exchange wrote before this pong has been read: frames arrive in order.
        self.fresh_as_of = pong.at
        if sent is not None:
            self._clock.learn(pong.at, sent=sent, received=now)
        if self._phase is Phase.MEASURING:
            self._terms.log.warning(
                "login refused; this clock is %+.3f s from the exchange's: signing with its time", -(self._clock.offset or 0.0)
            )
            self._login(now)

    def _silent_at(self) -> float:
        """Return when the exchange counts as dead.

        A ping must have had its time: after this process was stopped or held up, silence alone proves nothing.
        """
        asked = self._next_ping if self._ping_unheard is None else self._ping_unheard
        return max(self._heard + self._times.ping_interval, asked) + self._times.pong_timeout

    def _raise_silent(self, seconds: float) -> None:
        raise ConnectionLost(
            f"{self._who} has sent nothing for {seconds - self._heard:.1f} s, pings included: the connection is dead"
        )

    # --- sending ---

    def _number(self) -> str:
        self._numbers += 1
        return f"{self.epoch}-{self._numbers}"

    def _send(self, request: Request) -> None:
        # Remembered before it can be sent: an answer never finds nobody waiting.
        if request.req_id is not None:
            self._unanswered[request.req_id] = request
        self._outbox.append(request)


def printable(text: str) -> str:
    """Return *text* of the exchange's, safe to print: control characters escaped, at most 200 characters."""
    return text[:200].encode("unicode_escape").decode("ascii")


def _kind(value: object) -> str:
    return {list: "an array", str: "a text", bool: "true or false", type(None): "null"}.get(type(value), "a number")
