"""The reader of one Redis stream: its events in order, and a gap where any are gone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, Final, Protocol

import attrs

from bybit_sync.errors import RedisStreamError
from bybit_sync.integrations.redis_entries import START, EntryId, Fields, complete_until, new_gap, previous, read
from bybit_sync.integrations.redis_server import RedisServer, Retrying, ServerAway
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import Event, GapReason, Stream, new_event

__all__ = ["Follower", "GroupMember", "Reader"]

_BATCH: Final = 100
_TURN: Final = 0.1  # seconds until a consumer that waits for its turn asks again
_LONG_IDLE: Final = 1_000_000_000  # milliseconds: above each claim_idle


@attrs.frozen
class Entry:
    """An entry that was read.

    *fields* are None when it was trimmed or deleted. *is_new* is False for one that was
    read before, by this or another consumer.
    """

    id: EntryId
    fields: Fields | None
    is_new: bool = True


class EntrySource(Protocol):
    """How a reader takes entries: alone, or as a member of a group."""

    last: EntryId | None
    """The entry up to which everything was delivered before the next; None: unknown."""

    def begin(self) -> None:
        """Find the place to begin at. Raises as `RedisServer.call`."""

    def read(self, seconds: float) -> Entry | None:
        """Return the next entry; None when none came within *seconds*, or fewer.

        Raises as `RedisServer.call`.
        """

    def has(self, entry: EntryId) -> bool:
        """Return whether *entry* is in the stream, and was given to someone."""

    def leave(self) -> None:
        """Leave to others what was taken, not given. Raises as `RedisServer.call`."""


class Follower:
    """Reads every entry from now on."""

    def __init__(self, server: RedisServer, key: str) -> None:
        self._server = server
        self._key = key
        self._entries: list[Entry] = []
        self.last: EntryId | None = None
        self._at = START

    def begin(self) -> None:
        """Find the end of the stream, once: a reconnect skips nothing."""
        self.last = self._at = self._server.position(self._key).last

    def read(self, seconds: float) -> Entry | None:
        """Return the next entry; None when none came within *seconds*, or fewer."""
        if not self._entries:
            self._entries = _blocking_read(self._server, self._key, self._at, seconds)[::-1]
        if self._entries:
            self._at = self._entries[-1].id
            return self._entries.pop()
        if self._server.position(self._key).last < self._at:
            # The server lost the stream, and its clock may have gone back.
            self._at = START
        return None

    def has(self, entry: EntryId) -> bool:  # noqa: ARG002
        """Return False: it would have been read."""
        return False

    def leave(self) -> None:
        """Do nothing: each reader is given every entry."""


class GroupMember:
    """Reads as a consumer of a group: one entry at a time, in the stream's order.

    An entry is given only when no older one waits for its acknowledgement, at this or
    another consumer. What another one holds is claimed when it has been idle for
    *claim_idle* seconds.
    """

    def __init__(self, server: RedisServer, key: str, group: str, consumer: str, claim_idle: float) -> None:
        self._server = server
        self._key = key
        self._group = group
        self._consumer = consumer
        self._claim_ms = round(claim_idle * 1000)
        self._turn = min(_TURN, claim_idle)
        self.last: EntryId | None = None
        self._is_joined = False
        # The entry to acknowledge with the next read.
        self._done: EntryId | None = None
        # The entry that this consumer was given by the server before its turn.
        self._held: EntryId | None = None
        # Whether nothing older is known to wait at any consumer.
        self._is_clear = False

    def begin(self) -> None:
        """Join the group; a new one begins at the oldest entry.

        Without a stream there is no group yet: only the publisher may make the stream,
        because it notices by its absence that the server lost it.
        """
        if self._is_joined:
            return
        try:
            self._server.call(lambda client: client.xgroup_create(self._key, self._group, "0"))
            self._is_joined = True
        except RedisStreamError as error:
            if "BUSYGROUP" in error.text:
                self._resume()
            elif "requires the key to exist" not in error.text:
                raise

    def _resume(self) -> None:
        """Go on where the group is, unless it is gone again, or the stream with it."""
        for found in self._groups():
            if found["name"] == self._group.encode():
                self.last = self.last or EntryId.parse(found["last-delivered-id"])
                self._is_joined = True

    def _groups(self) -> list[Any]:
        try:
            return list(self._server.call(lambda client: client.xinfo_groups(self._key)))
        except RedisStreamError as error:
            if "no such key" not in error.text:
                raise
            return []

    def read(self, seconds: float) -> Entry | None:
        """Acknowledge the entry before; return the next one as `Follower.read`."""
        self.begin()
        if not self._is_joined:
            _blocking_read(self._server, self._key, START, seconds)
            return None
        try:
            entry = self._new(seconds) if self._is_clear else self._waiting(seconds)
        except RedisStreamError as error:
            if not error.text.startswith("NOGROUP"):
                raise
            self._is_joined = self._is_clear = False
            self._done = None
            return None
        except BaseException:
            self._is_clear = False
            raise
        if entry is not None:
            self._done = entry.id
        return entry

    def _new(self, seconds: float) -> Entry | None:
        """Read an entry that no consumer has read."""
        found, oldest = self._ask(">", max(1, round(seconds * 1000)))
        if found is not None and found.id == oldest:
            return found
        # Another consumer holds an older one.
        self._held = None if found is None else found.id
        self._is_clear = found is None and oldest is None
        return None

    def _waiting(self, seconds: float) -> Entry | None:
        """Return the oldest entry without acknowledgement, if it is this consumer's."""
        own, oldest = self._ask("0", None)
        self._held = None if own is None else own.id
        if own is not None and own.id == oldest:
            self._held = None
            self._is_clear = True
            return attrs.evolve(own, is_new=self.last is None or own.id > self.last)
        self._is_clear = oldest is None
        return None if oldest is None else self._claim(own, oldest, seconds)

    def _ask(self, position: str, block: int | None) -> tuple[Entry | None, EntryId | None]:
        """Acknowledge the last entry; return one more, and the oldest that waits."""

        def ask(client: Any) -> Any:
            with client.pipeline(transaction=False) as pipe:
                if self._done is not None:
                    pipe.xack(self._key, self._group, str(self._done))
                pipe.xreadgroup(self._group, self._consumer, {self._key: position}, count=1, block=block)
                pipe.xpending(self._key, self._group)
                # Raised by `execute`, an error would have another text.
                answers = pipe.execute(raise_on_error=False)
            for error in (answer for answer in answers if isinstance(answer, Exception)):
                raise error
            return answers[-2:]

        found, waiting = self._server.call(ask)
        self._done = None
        oldest = waiting["min"]
        return next(iter(_entries(found)), None), None if oldest is None else EntryId.parse(oldest)

    def _claim(self, own: Entry | None, oldest: EntryId, seconds: float) -> Entry | None:
        """Take the *oldest* entry from a consumer that is idle, or wait for a moment.

        *own* is this consumer's: it is kept from being claimed meanwhile.
        """
        key, group, consumer = self._key, self._group, self._consumer
        if not self._is_idle(oldest):
            if own is not None:
                self._server.call(lambda client: client.xclaim(key, group, consumer, 0, [str(own.id)], justid=True))
            time.sleep(min(self._turn, seconds))
            return None
        # Claimed, Redis 7 would forget that it waits: this consumer may die before the
        # gap is handled.
        if not self.has(oldest):
            return Entry(oldest, None, is_new=False)
        claimed = self._server.call(
            lambda client: client.xautoclaim(key, group, consumer, self._claim_ms, str(oldest), count=1)
        )
        # It was trimmed since. Redis 7 takes it from the group, and lists its id.
        return Entry(EntryId.parse(claimed[2][0]), None, is_new=False) if claimed[2:] and claimed[2] else None

    def _is_idle(self, entry: EntryId) -> bool:
        """Return whether the consumer that has *entry* is idle for long enough."""
        key, group, where, idle = self._key, self._group, str(entry), self._claim_ms
        return bool(self._server.call(lambda client: client.xpending_range(key, group, where, where, 1, idle=idle)))

    def has(self, entry: EntryId) -> bool:
        """Return whether *entry* is there: a consumer of the group was given it."""
        return bool(self._server.call(lambda client: client.xrange(self._key, str(entry), str(entry), count=1)))

    def leave(self) -> None:
        """Let another consumer claim the entry whose turn has not come, at once."""
        held, self._held = self._held, None
        if held is not None:
            key, group, consumer = self._key, self._group, self._consumer
            self._server.call(lambda client: client.xclaim(key, group, consumer, 0, [str(held)], idle=_LONG_IDLE, justid=True))


def _blocking_read(server: RedisServer, key: str, after: EntryId, seconds: float) -> list[Entry]:
    block = max(1, round(seconds * 1000))
    return _entries(server.call(lambda client: client.xread({key: str(after)}, count=_BATCH, block=block)))


def _entries(answer: Any) -> list[Entry]:
    """Return the entries in the answer of a read of one stream."""
    return [Entry(EntryId.parse(name), fields or None) for _, found in answer or () for name, fields in found]


class Reader:
    """An iterator over the events of a source; it ends after *timeout* without one."""

    def __init__(
        self, server: RedisServer, source: EntrySource, key: str, stream: Stream, client: str, timeout: float | None
    ) -> None:
        self._server = server
        self._source = source
        self._key = key
        self._stream = stream
        self._client = client
        self._timeout = timeout
        self._deadline: float | None = None
        self._retrying = Retrying("nothing can be read", ClientLog(client), self._pause)
        # The time up to which everything was delivered; None before the first event.
        self._complete: datetime | None = None

    def begin(self) -> None:
        """Connect, and find the place to begin at. Raises `RedisStreamError`."""
        self._start_clock()
        self._retrying.run(self._source.begin)

    def events(self) -> Iterator[Event[Any]]:
        """Yield the events. Raises `RedisStreamError`."""
        try:
            while (entry := self._next()) is not None:
                yield from self._events(entry)
        finally:
            with contextlib.suppress(ServerAway, RedisStreamError):
                self._source.leave()
            self._server.close()

    def _next(self) -> Entry | None:
        self._start_clock()
        while True:
            entry = self._retrying.run(lambda: self._source.read(min(self._server.block, self._left())))
            if entry is not None or self._left() <= 0:
                return entry

    def _events(self, entry: Entry) -> list[Event[Any]]:
        if entry.fields is None:
            return [self._gap(entry, None, f"entry {entry.id} was trimmed or deleted before it was acknowledged", 1)]
        last = self._source.last
        if entry.is_new:
            self._source.last = entry.id
        try:
            event, before = self._read(entry.id, entry.fields)
        except ValueError as error:
            return [self._gap(entry, None, f"{entry.id}: {error}", None, GapReason.UNDECODABLE)]
        events = [event]
        if self._retrying.run(lambda: self._is_behind(entry, before, last)):
            events.insert(0, self._hole(entry, event, last))
        self._complete = complete_until(event)
        return events

    def _read(self, entry: EntryId, fields: Fields) -> tuple[Event[Any], EntryId]:
        """Return the event of an entry, and the id before it. Raises `ValueError`."""
        event = read(fields, time.monotonic_ns())
        if event.stream is not self._stream:
            raise ValueError(f"the entry is one of {event.stream.value}")
        return event, previous(entry, fields)

    def _is_behind(self, entry: Entry, before: EntryId, last: EntryId | None) -> bool:
        """Return whether entries before *entry* are gone that were never given.

        *before* was written before it, *last* was given before it.
        """
        if not entry.is_new:
            # The consumer that was given it may have died before it handled the gap.
            return before != START and not self._source.has(before)
        if last is None or entry.id <= last:
            return last is not None
        return before != last and not self._source.has(before)

    def _hole(self, entry: Entry, event: Event[Any], last: EntryId | None) -> Event[Any]:
        """Return the gap before *entry*, of whose entries *last* was given."""
        if not entry.is_new or last is None:
            return self._gap(entry, event, f"entries before {entry.id} are gone", None)
        if entry.id <= last:
            return self._gap(entry, event, f"{entry.id} came after {last}: the stream or its group was made again", None)
        missed = entry.id.seq - last.seq - 1 if entry.id.ms == last.ms else None
        return self._gap(entry, event, f"entries between {last} and {entry.id} are gone", missed)

    def _gap(
        self,
        entry: Entry,
        event: Event[Any] | None,
        detail: str,
        missed: int | None,
        reason: GapReason = GapReason.OVERFLOW,
    ) -> Event[Any]:
        now = datetime.now(timezone.utc)
        event = event or new_event(self._stream, "", now, time.monotonic_ns(), client=self._client)
        since = self._complete or (self._source.last or entry.id).time
        return new_gap(event, reason, since, detail, missed)

    # --- time ---

    def _start_clock(self) -> None:
        self._deadline = None if self._timeout is None else time.monotonic() + self._timeout

    def _left(self) -> float:
        return self._server.block if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _pause(self, seconds: float) -> bool:
        left = seconds if self._deadline is None else min(seconds, self._left())
        time.sleep(left)
        return self._deadline is None or self._left() > 0
