"""The rules of one login, without socket, thread or clock.

The connection thread passes frames and moments in (`receive`, `data_received`, `tick`,
`subscribe`, `unsubscribe`), handles the events that these return, and sends what
`requests` returns. An error that ends the session is raised.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import attrs

from bybit_sync.clock import Coverage, ExchangeClock, Moment
from bybit_sync.decoding.fast_path import try_fast
from bybit_sync.decoding.parsing import Unreadable, parse
from bybit_sync.errors import ConnectionLost
from bybit_sync.model.events import Stream
from bybit_sync.session.config import SessionConfig
from bybit_sync.session.events import LoggedIn, SessionEvent
from bybit_sync.session.heartbeat import Heartbeat
from bybit_sync.session.login import Login
from bybit_sync.session.messages import Answer, Pong, Push, Request, UnknownMessage, classify
from bybit_sync.session.pushes import Pushes
from bybit_sync.session.requests import PendingRequests
from bybit_sync.session.time_sync import TimeSync
from bybit_sync.session.topics import Topics
from bybit_sync.text import printable

__all__ = ["Session"]


class Session:
    """One login, from the first frame to the last. Only the connection thread."""

    def __init__(
        self,
        config: SessionConfig,
        *,
        epoch: int,
        clock: ExchangeClock,
        requests: PendingRequests,
        topics: Topics,
        now: Moment,
    ) -> None:
        self.epoch = epoch
        self._config = config
        self.clock = clock
        self.coverage: Coverage = Coverage(clock)
        """The instant up to which everything that the exchange pushed has been read."""
        self._requests = requests
        self.heartbeat: Heartbeat = Heartbeat(config.timings, now)
        self._topics = topics
        self._wanted = topics.wanted
        self.time_sync: TimeSync = TimeSync(config, self.heartbeat, requests, topics.wanted, self.coverage)
        self._login = Login(config, clock, requests, now)
        self._pushes = Pushes(config, topics, self.coverage, epoch)
        # None when it has to be computed anew.
        self._next_deadline: float | None = None

    @classmethod
    def begin(
        cls,
        config: SessionConfig,
        *,
        epoch: int,
        clock: ExchangeClock,
        wanted: Mapping[Stream, bool],
        now: Moment,
        doubted: Collection[str] = (),
        fast: Collection[Stream] = (),
    ) -> Session:
        """Return a session that subscribes to *wanted* once it is logged in.

        A stream is True in *wanted* if it was LIVE before, and is in *fast* if its
        topics of lower latency are wanted.
        """
        requests = PendingRequests(f"{now.ns:x}")
        topics = Topics(config, requests, wanted, doubted, fast)
        return cls(config, epoch=epoch, clock=clock, requests=requests, topics=topics, now=now)

    # --- output ---

    def requests(self) -> list[Request]:
        """Return the queued requests in order, and empty the queue."""
        return self._requests.take_outgoing()

    def next_deadline(self) -> float:
        """Return when `tick` is due, on the monotonic clock; never too late."""
        # Cached: a push, as nearly every frame is, only makes it later. A caller that
        # comes too early asks again.
        if self._next_deadline is None:
            self._next_deadline = self._earliest()
        return self._next_deadline

    def _earliest(self) -> float:
        if self._pushes.fatal_error is not None:
            return 0.0
        deadlines = [self.heartbeat.next_deadline(), *self._topics.due()]
        if self._login.due is not None:
            deadlines.append(self._login.due)
        if self.time_sync.gaps_due is not None:
            deadlines.append(self.time_sync.gaps_due)
        return min(deadlines)

    @property
    def is_live(self) -> bool:
        """Return whether every topic that was wanted at login is confirmed."""
        return self._wanted.is_live

    def is_confirmed(self, stream: Stream) -> bool:
        """Return whether every topic of *stream* is subscribed."""
        return self._wanted.is_confirmed(stream)

    @property
    def doubted(self) -> frozenset[str]:
        """Return the topics whose refusal contradicted the exchange.

        The next session accepts a second refusal.
        """
        return self._topics.doubted

    def uncovered(self) -> dict[Stream, Moment]:
        """Return the streams that lack pushes if the session ends now, and since when.

        The pushes arrived before a confirmation that never came, or the confirmation
        was withdrawn.
        """
        return self._wanted.uncovered()

    # --- input ---

    def sent(self, request: Request, now: Moment, *, began: Moment | None = None) -> None:
        """Record that *request* was sent by *now*, which starts the timeout.

        Sending *began* earlier: the exchange may have answered before the write
        returned.
        """
        self._next_deadline = None
        if request.op == "ping":
            self.heartbeat.pinged(request.req_id, began or now, now)
            if self._login.is_accepted:
                self.time_sync.hold_gaps(now)
        elif request.op == "auth":
            self._login.sent(now)
        elif request.op == "subscribe":
            self._topics.sent(request, began or now)

    def subscribe(self, stream: Stream, now: Moment, *, resubscribing: bool = False, fast: bool = False) -> None:
        """Subscribe to *stream*, now or as soon as the login is accepted.

        If *fast*, to its topics of lower latency.
        """
        self._next_deadline = None
        self._topics.subscribe(stream, now, resubscribing=resubscribing, fast=fast)

    def unsubscribe(self, stream: Stream) -> Sequence[SessionEvent]:
        """Unsubscribe from *stream*; later pushes for it are dropped."""
        self._next_deadline = None
        return self._topics.unsubscribe(stream)

    def probe_now(self, now: Moment) -> None:
        """Ping at once, with a short timeout, because the machine was suspended.

        The connection may be dead.
        """
        self._next_deadline = None
        self.heartbeat.probe_now(now)

    def data_received(self, ns: int) -> None:
        """Record that bytes of a data frame arrived, at *ns* on the monotonic clock."""
        self.heartbeat.data_received(ns)

    def receive(self, frame: bytes, now: Moment) -> Sequence[SessionEvent]:
        """Return the events of *frame*, in order.

        Raises the error that ends the session.
        """
        event = None
        # Optional: without the next line the parser reads every push, with the same
        # result.
        event = try_fast(frame, self._wanted.confirmed_channels, now, self._config.client, self.epoch)
        return self._read(frame, now) if event is None else [event]

    def _read(self, frame: bytes, now: Moment) -> Sequence[SessionEvent]:
        try:
            message = parse(frame)
        except Unreadable as error:
            self._next_deadline = None
            return self._pushes.undecodable_frame(frame, error.detail, now)
        if type(message) is not dict:
            return self._pushes.unknown_frame(frame, f"not an object but {_kind(message)}", now, may_hold_rows=True)
        return self._handle(classify(message), frame, now)

    def _handle(self, message: Push | Answer | Pong | UnknownMessage, frame: bytes, now: Moment) -> Sequence[SessionEvent]:
        if isinstance(message, Push):
            return self._push(message, frame, now)
        self._next_deadline = None
        if isinstance(message, Pong):
            return self._pong(message, now)
        if isinstance(message, Answer):
            return self._answer(message, now)
        return self._pushes.unknown_frame(frame, message.shape, now, may_hold_rows=message.may_hold_rows)

    def _push(self, push: Push, frame: bytes, now: Moment) -> Sequence[SessionEvent]:
        if push.topic not in self._wanted.confirmed_channels:
            # A push may confirm a topic, whose answer is then not expected any more.
            self._next_deadline = None
            if not self._login.is_accepted:
                raise self._config.breach(f"pushed {printable(push.topic)} before it answered the login")
        return self._pushes.push(push, frame, now)

    def tick(self, now: Moment) -> Sequence[SessionEvent]:
        """Do what is due at *now*, and return the events that follow.

        Raises `ConnectionLost` when the exchange did not answer in time.
        """
        self._next_deadline = None
        if self._pushes.fatal_error is not None:
            raise self._pushes.fatal_error
        if self.heartbeat.is_ping_due(now):
            self.time_sync.ping(now)
        silent = self.heartbeat.silence(now)
        if silent is not None:
            raise ConnectionLost(
                f"{self._config.environment} has sent nothing for {silent:.1f} s, pings included: the connection is dead"
            )
        self._login.check(now)
        self._topics.resend_overdue(now)
        return self.time_sync.overdue_gaps(now)

    def ending(self, error: Exception) -> Exception:
        """Return the cause of *error*, which ends the session.

        It is a refused login, if there was one.
        """
        return self._login.ending(error)

    # --- answers and pongs ---

    def _answer(self, answer: Answer, now: Moment) -> Sequence[SessionEvent]:
        answer = attrs.evolve(answer, text=self._config.redact(answer.text))
        request = self._requests.match(answer)
        if request is None:
            return self._unasked(answer, now)
        if request.op == "auth":
            return self._login_answered(answer, now)
        if request.op == "subscribe":
            return self._topics.answered(request, answer, now)
        self._topics.left(request, answer, now)
        return ()

    def _unasked(self, answer: Answer, now: Moment) -> Sequence[SessionEvent]:
        self._config.log.debug("an answer that belongs to no request: %s", answer.op)
        if answer.op == "auth":
            self._login.unasked(answer)
            return ()
        return self._topics.unasked(answer, now)

    def _login_answered(self, answer: Answer, now: Moment) -> Sequence[SessionEvent]:
        self._login.answered(answer, now)
        # Before any subscribe: the pong has the exchange's time, which the next login
        # or the first gap needs.
        self.time_sync.ping(now)
        if not self._login.is_accepted:
            return ()
        self.coverage.logged_in = now
        return [LoggedIn(), *self._topics.open(now)]

    def _pong(self, pong: Pong, now: Moment) -> Sequence[SessionEvent]:
        learned = self.time_sync.pong(pong, now)
        if learned and self._login.is_measuring:
            self._login.again(now)
        # A pong without a time means that this exchange sends none.
        return self.time_sync.tell_gaps(now) if learned or pong.at is None else ()


def _kind(value: object) -> str:
    return {list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(type(value), "a number")
