"""The statistics of a recording: counts, rates, latencies, gaps.

Latency is from `created_at` to the moment of reading, by the exchange's clock, which is
measured from the pongs in the recording. Before the first pong, and in a recording
without any, it is by this machine's clock.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import attrs

from bybit_sync.cli.status_line import seconds_text
from bybit_sync.clock import ExchangeClock, Moment
from bybit_sync.decoding.parsing import Unreadable, parse
from bybit_sync.errors import RecordingError
from bybit_sync.model.events import AnyEvent, Gap, Stream
from bybit_sync.recording.format import Direction, Line, parts, read_recording
from bybit_sync.recording.replay import replay
from bybit_sync.session.messages import Pong, Push, classify
from bybit_sync.session.pings import Pings

__all__ = ["Statistics", "Topic", "negative_text", "percentile", "read_statistics"]

PERCENTILES: Final = (50, 90, 99, 100)


@attrs.define
class Topic:
    """The pushes of one topic.

    *at* is when each was read, in seconds since the first frame; *latency* is NaN when
    it is not known.
    """

    name: str
    rows: int = 0
    at: array[float] = attrs.field(factory=lambda: array("d"), repr=False)
    latency: array[float] = attrs.field(factory=lambda: array("d"), repr=False)

    @property
    def pushes(self) -> int:
        """The number of pushes."""
        return len(self.at)

    def latencies(self) -> Sequence[float]:
        """Return the known latencies, the smallest first."""
        return sorted(value for value in self.latency if not math.isnan(value))

    def peak(self) -> int:
        """Return the most pushes within one second of the recording."""
        return max(Counter(map(int, self.at)).values(), default=0)


@attrs.define
class Statistics:
    """The statistics of one recording."""

    file: str
    parts: int = 0
    bytes: int = 0
    first: datetime | None = None
    last: datetime | None = None
    frames: Counter[str] = attrs.field(factory=Counter)
    """By direction: in, out; lost counts the connections that ended."""
    topics: dict[str, Topic] = attrs.field(factory=dict)
    round_trips: array[float] = attrs.field(factory=lambda: array("d"), repr=False)
    """The round trips of pings, in seconds."""
    clock_offset: float | None = None
    """The exchange's clock minus ours at the end, in seconds; None without a pong."""
    gaps: list[tuple[Stream, Gap]] = attrs.field(factory=list)
    damage: RecordingError | None = None
    """The damage that ended the reading; None without any."""

    @property
    def seconds(self) -> float:
        """The seconds from the first to the last frame."""
        return (self.last - self.first).total_seconds() if self.first and self.last else 0.0

    def rate(self, pushes: int) -> float:
        """Return *pushes* a second."""
        return pushes / self.seconds if self.seconds > 0 else 0.0


def read_statistics(file: str) -> Statistics:
    """Read the recording *file*, twice: the frames, then the events that they make.

    A damaged one is counted up to the damage. Raises `OSError`.
    """
    statistics = Statistics(file)
    files = parts(Path(file))
    statistics.parts, statistics.bytes = len(files), sum(path.stat().st_size for path in files)
    try:
        _Frames(statistics).count(read_recording(file))
    except RecordingError as error:
        statistics.damage = error
    try:
        _count_events(statistics, replay(file))
    except RecordingError as error:
        statistics.damage = error
    return statistics


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """Return the percentile of *ordered*; None without a value.

    It is the smallest value that *percent* of them do not exceed.
    """
    if not ordered:
        return None
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def negative_text(statistics: Statistics) -> str:
    """Return why latencies are below 0; "" when none is."""
    below = sum(value < 0 for topic in statistics.topics.values() for value in topic.latencies())
    if not below:
        return ""
    if statistics.clock_offset is None:
        return f"{below:,} below 0: this machine's clock is behind, and no pong tells the exchange's"
    error = max(statistics.round_trips, default=0.0) / 2
    return f"{below:,} below 0: the exchange's clock is known to half a round trip, up to ± {seconds_text(error)}"


def _count_events(statistics: Statistics, events: Iterable[AnyEvent]) -> None:
    for event in events:
        if event.gap is not None:
            statistics.gaps.append((event.stream, event.gap))
        elif event.topic in statistics.topics:
            statistics.topics[event.topic].rows += len(event.data)


class _Frames:
    """A counter of frames, which measures the exchange's clock too."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics
        self._clock, self._pings = ExchangeClock(), Pings()
        self._before: Moment | None = None

    def count(self, lines: Iterable[Line]) -> None:
        """Count *lines*."""
        for line in lines:
            statistics, moment = self._statistics, line.moment
            statistics.first = statistics.first or moment.utc
            statistics.last = max(statistics.last or moment.utc, moment.utc)
            statistics.frames[line.direction.value] += 1
            self._mind_clock(moment)
            self._look(line)

    def _mind_clock(self, moment: Moment) -> None:
        # The monotonic clock started anew (a reboot): earlier measurements do not
        # apply.
        if self._before is not None and moment.ns < self._before.ns:
            self._clock, self._pings = ExchangeClock(), Pings()
        self._before = moment

    def _look(self, line: Line) -> None:
        said = _object(line.frame)
        if line.direction is Direction.OUT:
            self._sent(said, line.moment)
        elif line.direction is Direction.LOST:
            self._pings = Pings()
        else:
            meaning = classify(said)
            if isinstance(meaning, Pong):
                self._pong(meaning, line.moment)
            elif isinstance(meaning, Push):
                self._push(meaning, line.moment)

    def _sent(self, said: Mapping[str, Any], now: Moment) -> None:
        if said.get("op") == "auth":
            # A new connection brings no pong of the one before.
            self._pings = Pings()
        elif said.get("op") == "ping":
            self._pings.sent(str(said.get("req_id", "")) or None, now)

    def _pong(self, pong: Pong, now: Moment) -> None:
        echo = self._pings.answered(pong.req_id)
        if echo is None:
            return
        if echo.exact:
            self._statistics.round_trips.append((now.ns - echo.since.ns) * 1e-9)
        if pong.at is not None:
            self._clock.learn(pong.at, sent=echo.since, received=now)
            self._statistics.clock_offset = self._clock.offset

    def _push(self, push: Push, now: Moment) -> None:
        assert self._statistics.first is not None
        topic = self._statistics.topics.setdefault(push.topic, Topic(push.topic))
        topic.at.append((now.utc - self._statistics.first).total_seconds())
        created = push.created_at
        topic.latency.append(math.nan if created is None else (self._clock.at(now) - created).total_seconds())


def _object(frame: str) -> dict[str, Any]:
    """Return the JSON object in *frame*; an empty one when there is none."""
    try:
        said = parse(frame.encode(errors="surrogateescape"))
    except Unreadable:
        return {}
    return said if isinstance(said, dict) else {}
