"""The publisher of one Redis stream: every event once, under an id of its own.

Each command names the id. So after an error nothing has to be guessed: the end of the
stream shows whether the entry was written, whether the server lost entries, or whether
another program writes.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from bybit_sync.delivery.callback import CallbackThread
from bybit_sync.errors import RedisStreamError, fresh_copy
from bybit_sync.integrations.redis_entries import (
    LARGEST,
    START,
    EntryId,
    Fields,
    complete_until,
    instant,
    mending_since,
    new_gap,
    read,
    write,
)
from bybit_sync.integrations.redis_server import Position, RedisServer, Retrying
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import Event, GapReason
from bybit_sync.threads.waiting import SignalSafeEvent

__all__ = ["StreamWriter"]

_REFUSED: Final = "equal or smaller"  # of an id that is not above the stream's last one


class StreamWriter:
    """Writes the events of one subscription, in its callback's thread.

    That thread makes it.
    """

    def __init__(self, server: RedisServer, key: str, maxlen: int, log: ClientLog) -> None:
        self._server = server
        self._key = key
        self._maxlen = maxlen
        self._log = log
        self._run = uuid.uuid4().hex
        self._retrying = Retrying(
            "the event was not written: its subscription was closed", log, _pause(threading.current_thread())
        )
        # The event that is to be written, after a gap if there is one.
        self._todo: deque[Event[Any]] = deque()
        # The entry that was sent and may have been written.
        self._sent: tuple[EntryId, Fields] | None = None
        # The time in the ids of the current series; None before its first entry.
        self._series: int | None = None
        # The last entry of the stream, as far as known.
        self._last = START
        # Whether the end of the stream is known; not after an error.
        self._is_sure = False
        # The last event that was written: its number, and the time proven by it.
        self._index = 0
        self._complete: datetime | None = None
        # Since when something is missing in the stream that is still to come.
        self._mending: datetime | None = None
        self._error: RedisStreamError | None = None

    def append(self, event: Event[Any]) -> None:
        """Write *event*, and return when the server has it.

        Raises `RedisStreamError`: it is not written. The next event then follows a gap,
        unless another writer was found: then each one raises.
        """
        if self._error is not None:
            raise fresh_copy(self._error)
        self._todo.append(event)
        if event.index not in (0, self._index + 1):
            self._tell_hole(event)
        try:
            self._retrying.run(self._write)
        except BaseException:
            # What is in doubt counts as lost.
            self._todo.clear()
            self._sent = self._series = None
            self._is_sure = False
            raise

    def _tell_hole(self, event: Event[Any]) -> None:
        missed = event.index - self._index - 1
        detail = f"event {event.index} came after event {self._index}: what lies between was not written"
        self._tell(event, GapReason.OVERFLOW, self._complete or instant(event), detail, missed if missed > 0 else None)

    def _tell(self, event: Event[Any], reason: GapReason, since: datetime, detail: str, missed: int | None = None) -> None:
        self._todo.appendleft(new_gap(event, reason, since, detail, missed))

    # --- steps, which are repeated while the server is away ---

    def _write(self) -> None:
        while self._todo:
            if not self._is_sure:
                self._look()
            if self._todo:
                self._is_sure = False
                if self._add(self._todo[0]):
                    self._written()

    def _add(self, event: Event[Any]) -> bool:
        """Send *event*; return False when the end of the stream is another one."""
        if self._sent is None:
            assert self._series is not None
            is_first = self._last.ms != self._series
            entry = EntryId(self._series, 1 if is_first else self._last.seq + 1)
            mending = mending_since(event, self._mending)
            self._sent = entry, write(event, self._run, self._last if is_first else None, mending)
        entry, fields = self._sent
        try:
            done = self._server.call(
                lambda client: client.xadd(
                    self._key, fields, str(entry), self._maxlen, approximate=True, nomkstream=self._last != START
                )
            )
        except RedisStreamError as error:
            if _REFUSED not in error.text:
                raise
            return False
        return done is not None

    def _written(self) -> None:
        assert self._sent is not None
        (self._last, _), self._sent = self._sent, None
        event = self._todo.popleft()
        self._index = event.index or self._index
        self._complete = complete_until(event)
        self._mending = mending_since(event, self._mending)
        self._is_sure = True

    def _look(self) -> None:
        """Compare the end of the stream with what is known of it."""
        found = self._server.position(self._key)
        if self._series is None:
            self._begin(found)
        # One that was deleted meanwhile cannot be compared; readers notice the hole.
        elif self._sent is not None and found.last == self._sent[0] and not (found.is_there and found.fields != self._sent[1]):
            self._written()
        elif found.last > self._last:
            raise self._end(found)
        elif found.last < self._last:
            self._log.warning("%s: the server lost entries of %s: a gap is told", self._server.place, self._key)
            self._begin(found, "the server lost entries that it had acknowledged")
        self._is_sure = True

    def _begin(self, found: Position, detail: str = "the publisher began again") -> None:
        """Begin a series behind *found*, with a gap unless nothing can be missing."""
        # Above every id of the stream and of ours, also when the clock went back.
        least = max(found.last.ms, self._last.ms, self._series or 0) + 1
        if least > LARGEST:
            raise RedisStreamError(
                f"{self._key} of {self._server.place} has no ids left (its last one is {found.last}): "
                "delete it, or give another prefix="
            )
        event = self._todo[-1]
        if found.last != START or self._last != START:
            since = [self._since(found, event), *(each.gap.since for each in self._todo if each is not event and each.gap)]
            self._todo = deque([event])
            self._tell(event, GapReason.DISCONNECTED, min(since), detail)
        self._series, self._sent, self._last = max(time.time_ns() // 1_000_000, least), None, found.last

    def _since(self, found: Position, event: Event[Any]) -> datetime:
        """Return the time up to which the stream that ends at *found* is complete."""
        if found.fields is None:
            return min(found.last.time if found.last != START else self._last.time, instant(event))
        try:
            return complete_until(read(found.fields, event.received_ns))
        except ValueError:
            raise self._end(found) from None

    def _end(self, found: Position) -> RedisStreamError:
        self._error = RedisStreamError(
            f"another writer writes to {self._key} of {self._server.place} (its last entry is {found.last}): "
            "give each client a name of its own, in every program, and each stream one subscription; nothing more is written"
        )
        return self._error


def _pause(thread: threading.Thread) -> Callable[[float], bool]:
    """Return a function that waits on *thread*.

    It returns False when the subscription is closed and waits no longer.
    """
    # Another thread than a subscription's: the sink is called by a user's own code.
    stopped = thread.stopped if isinstance(thread, CallbackThread) else SignalSafeEvent()
    return lambda seconds: not stopped.wait(seconds)
