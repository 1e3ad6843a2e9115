"""From pushes to events, and from undecodable frames and rows to gaps.

Every row that the exchange sends is either delivered or reported by a gap: a push of a
subscribed topic becomes an event; bad rows, undecodable frames and frames of an unknown
shape become gaps (UNDECODABLE) of each stream that they may have belonged to.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from bybit_sync.clock import Coverage, Moment
from bybit_sync.decoding.parsing import RawFrame, Unreadable
from bybit_sync.errors import ProtocolError
from bybit_sync.model.events import Event, Gap, GapReason, Stream, new_event
from bybit_sync.session.config import SessionConfig
from bybit_sync.session.dialects import Channel
from bybit_sync.session.events import SessionEvent
from bybit_sync.session.messages import Push
from bybit_sync.session.topics import Topics
from bybit_sync.text import printable

__all__ = ["SHAPES_REMEMBERED", "Pushes"]

# The connection, not one frame, is broken after this many undecodable frames within
# `Timings.unreadable_window`.
UNREADABLE_FRAMES: Final = 3
# Limits of the memory of warnings: the number of shapes, and the length of each.
SHAPES_REMEMBERED: Final = 1000
SHAPE_LENGTH: Final = 200
# The number of bad rows of a push that its gap describes.
FAULTS_TOLD: Final = 10


class Pushes:
    """The pushes of one session, and its undecodable frames.

    Only the connection thread.
    """

    def __init__(self, config: SessionConfig, topics: Topics, coverage: Coverage, epoch: int) -> None:
        self._config = config
        self._topics = topics
        self._wanted = topics.wanted
        self._coverage = coverage
        self._epoch = epoch
        self.fatal_error: ProtocolError | None = None
        """The error that ends the session at the next tick, after the gaps were
        delivered; None without one.
        """
        # The times of the latest undecodable frames, in seconds on the monotonic clock.
        self._unreadable: deque[float] = deque(maxlen=UNREADABLE_FRAMES)
        # The shapes for which a warning was logged.
        self._shapes: set[str] = set()

    # --- pushes ---

    def push(self, push: Push, frame: bytes, now: Moment) -> Sequence[SessionEvent]:
        """Return the events of *push*.

        A push for a topic that is not confirmed yet confirms it.
        """
        channel = self._wanted.confirmed_channels.get(push.topic)
        return self._first_push(push, frame, now) if channel is None else self._events(channel, push, frame, now)

    def _first_push(self, push: Push, frame: bytes, now: Moment) -> Sequence[SessionEvent]:
        topic = self._wanted.find(push.topic)
        if topic is None:
            self._drop(push.topic)
            return ()
        confirmation = self._topics.confirm_by_push(topic, now)
        events = self._wanted.hold_unconfirmed(topic.wanted, self._events(topic.channel, push, frame, now))
        return [*confirmation, *events] if confirmation else events

    def _drop(self, topic: str) -> None:
        """Log that a push for *topic*, which is not subscribed, is dropped."""
        if self._topics.was_left(topic) or not self._is_new(f"topic {topic}"):
            self._config.log.debug("dropped a push for a topic that is not subscribed")
        else:
            self._config.log.warning("a push for %s, which is not subscribed, is dropped", printable(topic))

    def _events(self, channel: Channel, push: Push, frame: bytes, now: Moment) -> list[Event[Any]]:
        try:
            updates, faults = channel.decode(push.data, RawFrame(frame))
        except Unreadable as error:
            return [self._undecodable(channel.stream, channel.topic, frame, (error.detail,), None, now)]
        topic, _, name, created_at = push
        client = self._config.client
        event = new_event(channel.stream, topic, now.utc, now.ns, updates, name, created_at, frame, client, self._epoch)
        if not faults:
            return [event]
        gap = self._undecodable(channel.stream, channel.topic, frame, faults, len(faults), now)
        return [gap, event] if updates else [gap]

    # --- frames that cannot be decoded ---

    def undecodable_frame(self, frame: bytes, detail: str, now: Moment) -> Sequence[SessionEvent]:
        """Return the gaps for *frame*, which is not JSON; *detail* gives the reason.

        Several such frames in a short time are fatal.
        """
        self._config.log.error("a frame of %d bytes cannot be read: %s", len(frame), detail)
        self._unreadable.append(now.seconds)
        window = self._config.timings.unreadable_window
        if len(self._unreadable) == UNREADABLE_FRAMES and now.seconds - self._unreadable[0] <= window:
            # The gaps below are delivered first; the next tick ends the session.
            who = self._config.environment
            self.fatal_error = ProtocolError(f"{who} sent {UNREADABLE_FRAMES} unreadable frames within {window:g} s: {detail}")
        return self._undecodable_for_all(frame, detail, now)

    def unknown_frame(self, frame: bytes, shape: str, now: Moment, *, may_hold_rows: bool) -> Sequence[SessionEvent]:
        """Return the gaps for *frame*, whose kind is unknown; none if it has no rows.

        *shape* describes the frame without its content; a warning is logged once for
        each shape.
        """
        if self._is_new(shape):
            self._config.log.warning("a frame of unknown shape: %s", shape)
        return self._undecodable_for_all(frame, shape, now) if may_hold_rows else ()

    def _undecodable_for_all(self, frame: bytes, detail: str, now: Moment) -> Sequence[SessionEvent]:
        # The stream is unknown, so every stream gets the gap.
        events: list[SessionEvent] = []
        for wanted in self._wanted.streams.values():
            gap = self._undecodable(wanted.stream, "", frame, (detail,), None, now)
            events += self._wanted.hold_unconfirmed(wanted, [gap])
        return events

    def _undecodable(
        self, stream: Stream, topic: str, frame: bytes, faults: Sequence[str], missed: int | None, now: Moment
    ) -> Event[Any]:
        """Return the gap for *missed* undecodable rows of *frame*; None if unknown."""
        detail = self._config.redact("; ".join(faults[:FAULTS_TOLD]))
        if topic and self._is_new(f"{topic} {_place(faults[0])}"):
            self._config.log.warning("%s: what arrived cannot be read: %s", topic, printable(detail))
        until = self._coverage.clock.latest(now)
        gap = Gap(
            reason=GapReason.UNDECODABLE,
            since=min(self._coverage.complete_until() or until, until),
            until=until,
            missed=missed,
            detail=detail,
            error=ProtocolError(f"{topic or 'a frame'} cannot be read: {detail}"),
        )
        return new_event(
            stream=stream,
            topic=topic,
            gap=gap,
            received_at=now.utc,
            received_ns=now.ns,
            raw=frame,
            client=self._config.client,
            epoch=self._epoch,
        )

    def _is_new(self, shape: str) -> bool:
        """Return whether *shape* is new, and remember it.

        A full memory accepts no new shapes.
        """
        shape = shape[:SHAPE_LENGTH]
        if shape in self._shapes or len(self._shapes) >= SHAPES_REMEMBERED:
            return False
        self._shapes.add(shape)
        return True


def _place(fault: str) -> str:
    """Return the place of *fault* without row number and value.

    The same mistake in another row is not new.
    """
    return re.sub(r"\[\d+\]", "[]", fault.partition(":")[0])
