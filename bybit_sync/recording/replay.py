"""The replay of a recording.

Its lines pass the same session, registry and receivers as in a live client.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, overload

from bybit_sync.clock import ExchangeClock, Moment
from bybit_sync.config.arguments import positive, refuse
from bybit_sync.config.timings import Timings
from bybit_sync.delivery.buffer import Overflow
from bybit_sync.delivery.dispatcher import Dispatcher
from bybit_sync.delivery.queue_sink import EventQueue, QueueSink
from bybit_sync.delivery.receiver import Receiver
from bybit_sync.delivery.registry import Ended, SubscriptionRegistry
from bybit_sync.errors import BybitSyncError, ConnectionLost
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import AnyEvent, Event, Stream
from bybit_sync.recording.format import Direction, Line, Source, read_recording
from bybit_sync.recording.recorded_session import RecordedSession
from bybit_sync.session.config import SessionConfig
from bybit_sync.session.dialects import CHANNELS, DIALECTS, Channel
from bybit_sync.session.events import LoggedIn, SessionEvent
from bybit_sync.session.messages import Request
from bybit_sync.session.session import Session
from bybit_sync.status import SubscriptionState

__all__ = ["replay"]

Sink = Callable[[AnyEvent], object] | EventQueue[AnyEvent]

# A replay logs nothing; the recorded client logged its warnings when they happened.
_SILENT: Final = logging.Logger("bybit_sync.replay", logging.CRITICAL + 1)  # noqa: LOG001 - outside the hierarchy, so that no configuration enables it
# The most seconds by which the two clocks of a recording may drift apart; more means a
# reboot or a suspension.
_SAME_CLOCK: Final = 60.0
# The number of arguments of a recorded login: client, expiry and environment.
_LOGIN: Final = 3
_LOGGED_IN: Final = b'{"op":"auth","success":true}'


@overload
def replay(path: Source, speed: float | None = None, sink: None = None) -> Iterator[AnyEvent]: ...
@overload
def replay(path: Source, speed: float | None, sink: Sink) -> int: ...
@overload
def replay(path: Source, speed: float | None = None, *, sink: Sink) -> int: ...
def replay(path: Source, speed: float | None = None, sink: Sink | None = None) -> Iterator[AnyEvent] | int:
    """Return the events of a recording, in order, gaps included.

    They are those that one subscription to each stream received. Without a *sink* it
    returns an iterator; with one it delivers in the calling thread and returns the
    number of events. All attributes are as recorded: `raw` is the recorded frame, whose
    ids are not the account's. Per stream `index` is 1, 2, 3, …, and over the whole
    recording `epoch` counts the logins. Where the recording client was not subscribed
    for a time, or another one continued in the same file, there is a gap
    (DISCONNECTED). A recording has no events that only a consumer causes: OVERFLOW, and
    an ENDED without the exchange's refusal.

    Args:
        path: The file of a recording, with its earlier rotated files, packed by gzip or
            not; or its lines, such as an open file.
        speed: 1.0 as recorded, 2.0 twice as fast; None (the default) without waiting.
        sink: A callable, or a queue (anything with ``put_nowait``). Its error, such as
            ``queue.Full``, ends the replay and is raised here.

    Raises:
        RecordingError: a line is damaged or incomplete, or a rotated file is packed by
            something else than gzip; everything before it was returned. It names file,
            line and remedy.
        ConfigurationError: *speed* is no number above 0, or *sink* neither callable nor
            queue.
        OSError: the file cannot be opened or read.

    Example:
        >>> import io
        >>> file = io.StringIO()  # or a path
        >>> with Client("KEY", "SECRET", environment=exchange.url, record=file) as client:
        ...     orders = client.subscribe_orders()
        ...     placed = account.place_order("BTCUSDT", "Buy", qty=1, price=20000)
        ...     received = orders.get(timeout=5)
        >>> (event,) = replay(file.getvalue().splitlines())
        >>> event.index, event.data == received.data, event.received_at == received.received_at
        (1, True, True)

    """
    if speed is not None:
        positive(None, "speed", speed)
    events = _events(path, speed)
    if sink is None:
        return events
    deliver = _deliver(sink)
    return sum(1 for event in events if (deliver(event), True))


def _deliver(sink: Any) -> Callable[[AnyEvent], object]:
    deliver = getattr(sink, "put_nowait", sink)
    if not callable(deliver):
        raise refuse("sink", sink, "give something that can be called, or a queue")
    return deliver  # type: ignore[no-any-return]


def _events(path: Source, speed: float | None) -> Iterator[AnyEvent]:
    replayer = _Replayer()
    due = time.monotonic()
    before: Moment | None = None
    for line in read_recording(path):
        if speed is not None:
            # After a reboot the monotonic clock starts again from 0.
            due += max(0, line.moment.ns - (before or line.moment).ns) * 1e-9 / speed
            before = line.moment
        for event in replayer.feed(line):
            if speed is not None:
                time.sleep(max(0.0, due - time.monotonic()))
            yield event


class _Replayer:
    """The recorded client, with one receiver per stream; it is the receivers' owner."""

    def __init__(self) -> None:
        self.name = "replay"
        self.log = ClientLog(self.name)
        self._environment = "the exchange"
        self._registry = SubscriptionRegistry(ExchangeClock())
        self._dispatcher = Dispatcher(self._registry, self)
        self._login: RecordedSession | None = None
        self._last: Moment | None = None
        self._epoch = 0
        self._doubted: frozenset[str] = frozenset()
        self._collector = _Collector()

    def feed(self, line: Line) -> list[Event[Any]]:
        """Return the events that *line* causes."""
        if line.direction is Direction.IN:
            self._received(line)
        elif line.direction is Direction.OUT:
            self._sent(line)
        else:
            self._lost(line.frame)
        self._last = line.moment
        return self._collector.empty()

    def _received(self, line: Line) -> None:
        login = self._login or self._begin_midway(line.moment)
        if login.is_assumed:
            self._assume_subscribed(line, login)
        # An error ended the recorded session too; the next line has it.
        with contextlib.suppress(BybitSyncError):
            events = login.receive(line.frame.encode(errors="surrogateescape"), line.moment)
            self._dispatcher.dispatch(events, login.session, line.moment)

    def _sent(self, line: Line) -> None:
        request, args = _read_request(line.frame)
        if request.op == "auth":
            self._begin(args, line.moment)
        login = self._login or self._begin_midway(line.moment)
        channel = CHANNELS.get(str(request.argument))
        if channel is not None and request.op == "subscribe":
            self._subscribe(channel, request, login)
            login.session.sent(request, line.moment)
        elif channel is not None and request.op == "unsubscribe":
            login.expect(request)
            login.session.unsubscribe(channel.stream)
            self._lose(self._of(channel.stream), "the recorded client unsubscribed")
        elif request.op in ("auth", "ping"):
            login.expect(request)
            login.session.sent(request, line.moment)

    def _lost(self, reason: str) -> None:
        login, self._login = self._login, None
        if login is not None:
            self._doubted = login.session.doubted
            for stream, asked in login.session.uncovered().items():
                self._registry.uncover(stream, asked)
            self._lose(list(self._registry), reason)

    def before(self, event: SessionEvent, session: Session, now: Moment) -> None:  # noqa: ARG002
        """Count the logins."""
        if isinstance(event, LoggedIn):
            self._epoch = session.epoch

    def ended(self, ended: Ended) -> None:
        """Do nothing: the ENDED event is among the events."""

    # --- logins ---

    def _begin(self, args: Sequence[Any], now: Moment) -> None:
        # A login without a recorded end before it: the process was killed, or the
        # machine failed.
        self._lost("the recording broke off")
        if len(args) == _LOGIN:
            self.name, _, self._environment = map(str, args)
        self._login = self._open(now, is_assumed=False)

    def _begin_midway(self, now: Moment) -> RecordedSession:
        """Begin after a login that is not recorded, because earlier files are gone."""
        login = self._login = self._open(now, is_assumed=True)
        login.expect(Request("auth", req_id=""))
        self._dispatcher.dispatch(login.receive(_LOGGED_IN, now), login.session, now)
        return login

    def _open(self, now: Moment, *, is_assumed: bool) -> RecordedSession:
        if self._last is None or not _is_same_clock(self._last, now):
            self._registry.clock = ExchangeClock()
        config = SessionConfig(
            dialect=next(iter(DIALECTS.values())),
            categories=None,
            timings=Timings(),
            client=self.name,
            environment=self._environment,
            log=_SILENT,
            redact=str,
        )
        epoch, clock = self._epoch + 1, self._registry.clock
        return RecordedSession(config, epoch=epoch, clock=clock, now=now, doubted=self._doubted, is_assumed=is_assumed)

    # --- subscriptions ---

    def _subscribe(self, channel: Channel, request: Request | None, login: RecordedSession) -> None:
        if not self._of(channel.stream):
            sink = QueueSink[Any](self._collector, Overflow.DROP_NEWEST)
            self._registry.add(Receiver[Any](self, channel.stream, (), sink))
        (subscription,) = self._of(channel.stream)
        if channel.topic not in subscription.topics:
            subscription.topics += (channel.topic,)
        login.subscribe(channel, request, resubscribing=subscription.state is not SubscriptionState.PENDING)

    def _assume_subscribed(self, line: Line, login: RecordedSession) -> None:
        channel = CHANNELS.get(_topic(line.frame))
        if channel is not None and not login.has_topic(channel):
            self._subscribe(channel, None, login)

    def _lose(self, subscriptions: Sequence[Receiver[Any]], reason: str) -> None:
        error = ConnectionLost(reason)
        for subscription in subscriptions:
            subscription.mark_stale(error)

    def _of(self, stream: Stream) -> list[Receiver[Any]]:
        return [subscription for subscription in self._registry if subscription.stream is stream]

    # --- as the owner of receivers ---

    def check_process(self) -> None:
        """Do nothing: a replay may go on in a forked process."""

    def is_inside(self) -> bool:
        """Return False: no callback runs in a replay."""
        return False  # pragma: no cover - no receiver is closed in a replay

    def release(self, receiver: Receiver[Any]) -> None:
        """Do nothing: no receiver is closed in a replay."""

    def refresh(self, receiver: Receiver[Any]) -> None:
        """Do nothing: nothing is read over REST in a replay."""

    def report_error(self, error: BaseException, event: Event[Any], receiver: Receiver[Any]) -> None:
        """Do nothing: a replay has no callback."""


class _Collector:
    """A queue that collects the events of one line."""

    def __init__(self) -> None:
        self._events: list[Event[Any]] = []

    def put_nowait(self, item: Event[Any], /) -> None:
        """Append *item*."""
        self._events.append(item)

    def empty(self) -> list[Event[Any]]:
        """Return the events since the last call."""
        events, self._events = self._events, []
        return events


# --- reading ---


def _is_same_clock(first: Moment, second: Moment) -> bool:
    """Return whether the monotonic clock went on from *first* to *second*."""
    passed = (second.ns - first.ns) * 1e-9
    return abs(passed - (second.utc - first.utc).total_seconds()) <= _SAME_CLOCK


def _read_request(frame: str) -> tuple[Request, Sequence[Any]]:
    """Parse *frame* as a request; return it and its arguments."""
    says = _read_object(frame)
    args = says.get("args")
    args = args if isinstance(args, list) else []
    return Request(says.get("op", ""), args[0] if args else None, str(says.get("req_id", "")) or None), args


def _topic(frame: str) -> str:
    return str(_read_object(frame).get("topic"))


def _read_object(frame: str) -> dict[str, Any]:
    try:
        says = json.loads(frame)
    except (ValueError, RecursionError):
        return {}
    return says if isinstance(says, dict) else {}
