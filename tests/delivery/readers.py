"""Who reads: the consumers of a history, each of which notes what it got and when."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from bybit_sync import Event, Inline, Subscription
from tests.delivery.exchange import PATIENCE, Exchange, StuckError
from tests.delivery.record import Drained, History, Record, Taken
from tests.delivery.steps import ALL, Breaking, Calling, Inlined, Iterating, Queueing, Reader

SOON = 0.001


class CallbackRaisedError(Exception):
    """What the callbacks here raise."""


class Desk:
    """The reader of one subscription: what it was given, and the sink that it is."""

    def __init__(self, record: Record, exchange: Exchange) -> None:
        self.record = record
        self.subscription: Subscription[Any] | None = None
        self._exchange = exchange

    @property
    def sink(self) -> Any:
        """What to subscribe with."""
        return None

    @property
    def is_open(self) -> bool:
        """Whether it still wants its stream."""
        subscription = self.subscription
        if subscription is None:
            return self.record.raised is None
        return subscription.state != "CLOSED"

    @property
    def is_live(self) -> bool:
        """Whether its stream is confirmed, as it is told."""
        return self.subscription is not None and self.subscription.state == "LIVE"

    def note(self, event: Event[Any], batch: int | None = None) -> None:
        """Write down that *event* was taken."""
        self.record.taken.append(Taken(event, self._exchange.log.now, batch))

    def take(self, count: int, batch: int | None) -> None:
        """Take up to *count* events; *batch* is a number of its own when the client has nothing to do meanwhile."""

    def drain(self, batch: int | None) -> None:
        """Take all there is."""
        self.take(ALL * ALL, batch)

    def finish(self, go_on: Callable[[], None]) -> None:
        """Take what is still to come when everything has come to rest; *go_on* has the exchange do what is waited for."""

    def let_go(self) -> None:
        """Keep no callback waiting any more."""


class IteratingDesk(Desk):
    """Takes from the subscription itself."""

    def take(self, count: int, batch: int | None) -> None:
        """Take up to *count* events."""
        if self.subscription is None:
            return
        for _ in range(count):
            try:
                self.note(self.subscription.get(timeout=0), batch)
            except queue.Empty:
                return
            except BaseException as error:  # noqa: BLE001 the end, whatever it is
                self.record.end = error
                return

    def drain(self, batch: int | None) -> None:
        """Take all there is, and note that there was no more."""
        super().drain(batch)
        self.record.drained.append(Drained(len(self.record.taken), self._exchange.log.now))

    def finish(self, go_on: Callable[[], None]) -> None:
        """Take the rest."""
        self.drain(None)


class CallingDesk(Desk):
    """Is called."""

    def __init__(self, record: Record, exchange: Exchange, reader: Calling) -> None:
        super().__init__(record, exchange)
        self._reader = reader
        self._open = not reader.gated
        self._permits = 0
        self._gate = threading.Condition()

    @property
    def sink(self) -> Callable[[Event[Any]], None] | Inline[Event[Any]]:
        """The callback."""
        return self._called

    def _called(self, event: Event[Any]) -> None:
        self.note(event)
        self._exchange.ring()
        count = len(self.record.taken)
        if count == self._reader.closes and self.subscription is not None:
            self._close(self.subscription)
        with self._gate:
            if not self._gate.wait_for(lambda: self._open or self._permits > 0, PATIENCE):
                raise StuckError("nobody let the callback go")
            self._permits -= 1
        if self._reader.raises and count % self._reader.raises == 0:
            raise CallbackRaisedError(count)

    def _close(self, subscription: Subscription[Any]) -> None:
        if self.record.closed_at is None:
            self.record.closed_at = self._exchange.log.now
        self.record.discarded = True
        subscription.close()
        self.record.count_at_end = len(self.record.taken)
        self._exchange.ring()

    def take(self, count: int, batch: int | None) -> None:
        """Let *count* calls go."""
        with self._gate:
            self._permits += count
            self._gate.notify_all()

    def let_go(self) -> None:
        """Let every call go."""
        with self._gate:
            self._open = True
            self._gate.notify_all()


class InlinedDesk(CallingDesk):
    """Is called on the connection thread."""

    def __init__(self, record: Record, exchange: Exchange, reader: Inlined) -> None:
        super().__init__(record, exchange, Calling(raises=reader.raises, closes=reader.closes))

    @property
    def sink(self) -> Inline[Event[Any]]:
        """The callback."""
        return Inline(self._called)


class QueueingDesk(Desk):
    """Takes from a queue of its own."""

    def __init__(self, record: Record, exchange: Exchange, room: int) -> None:
        super().__init__(record, exchange)
        self._queue: queue.Queue[Event[Any]] = queue.Queue(room)

    @property
    def sink(self) -> queue.Queue[Event[Any]]:
        """The queue."""
        return self._queue

    def take(self, count: int, batch: int | None) -> None:
        """Take up to *count* events."""
        with contextlib.suppress(queue.Empty):
            for _ in range(count):
                self.note(self._queue.get_nowait())

    def finish(self, go_on: Callable[[], None]) -> None:
        """Take the rest: what it is still owed is offered again and again until it fits."""
        deadline = time.monotonic() + PATIENCE
        self.drain(None)
        while self._owed:
            if time.monotonic() > deadline:
                raise StuckError("the queue has room, but is not offered what it is owed")
            # A client that dials pays its debts when it is connected.
            go_on()
            # Not for long: what is owed is put first, and then counted as owed no more.
            with contextlib.suppress(queue.Empty):
                self.note(self._queue.get(timeout=SOON))
        self.drain(None)
        # One that is closed is owed nothing any more, whatever it was owed before.
        if self.is_open:
            self.record.drained.append(Drained(len(self.record.taken), self._exchange.log.now))

    @property
    def _owed(self) -> int:
        return self.subscription.queued if self.subscription is not None else 0


class SharingDesk(Desk):
    """Takes from the queue that several streams share, also what is for the others."""

    def __init__(self, record: Record, exchange: Exchange, shared: SharedQueue) -> None:
        super().__init__(record, exchange)
        self._shared = shared
        shared.desks[record.stream] = self

    @property
    def sink(self) -> queue.Queue[Event[Any]]:
        """The queue."""
        return self._shared.events

    def take(self, count: int, batch: int | None) -> None:
        """Take up to *count* events."""
        with contextlib.suppress(queue.Empty):
            for _ in range(count):
                event = self._shared.events.get_nowait()
                self._shared.desks[event.stream.value].note(event)
                self._shared.history.shared.append(Taken(event, self._exchange.log.now))

    def finish(self, go_on: Callable[[], None]) -> None:
        """Take the rest."""
        self.drain(None)


class SharedQueue:
    """The queue that several streams share, each of them once."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.events: queue.Queue[Event[Any]] = queue.Queue()
        self.desks: dict[str, SharingDesk] = {}


class BreakingDesk(Desk):
    """A queue that breaks."""

    def __init__(self, record: Record, exchange: Exchange, at: int) -> None:
        super().__init__(record, exchange)
        self._left = at - 1

    @property
    def sink(self) -> BreakingDesk:
        """Itself."""
        return self

    def put_nowait(self, item: Event[Any], /) -> None:
        """Take *item*, or raise what no queue should."""
        if self._left <= 0:
            self._exchange.ring()
            raise OSError("the disk is gone")
        self._left -= 1
        self.note(item)


def desk_for(reader: Reader, record: Record, exchange: Exchange, shared: SharedQueue) -> Desk:
    """Return the desk of *reader*, and note in *record* what there is to know about it."""
    if isinstance(reader, Iterating | Calling | Queueing):
        record.capacity, record.policy = reader.maxsize, reader.overflow
    if isinstance(reader, Queueing):
        record.queued = True
        return QueueingDesk(record, exchange, reader.maxsize)
    if isinstance(reader, Calling):
        return CallingDesk(record, exchange, reader)
    if isinstance(reader, Inlined):
        return InlinedDesk(record, exchange, reader)
    if isinstance(reader, Breaking):
        record.broken = True
        return BreakingDesk(record, exchange, reader.at)
    if isinstance(reader, Iterating):
        return IteratingDesk(record, exchange)
    record.shared = True
    return SharingDesk(record, exchange, shared)
