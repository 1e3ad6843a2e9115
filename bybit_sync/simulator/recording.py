"""A recorded session for the exchange to replay.

A recording is what `bybit_sync.Client(record=...)` writes
(`bybit_sync.recording.format`): JSON Lines, one frame a line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import attrs

from bybit_sync.recording.format import Direction, Source
from bybit_sync.recording.format import read_recording as read_lines

__all__ = ["Frame", "read_recording"]


@attrs.frozen
class Frame:
    """One recorded push.

    *text* is its frame, *at* the seconds since the first frame, *topic* None when the
    frame cannot be read.
    """

    at: float
    text: str
    topic: str | None

    def __repr__(self) -> str:
        """Return its time and its topic; the frame may hold an account id."""
        return f"<Frame at {self.at:.3f} s, {self.topic}>"


def read_recording(source: Source) -> Iterator[Frame]:
    """Yield the pushes in the recording *source*, a path or its lines.

    Answers (login, subscriptions, pings) are left out, because the simulated exchange
    sends its own. Raises `RecordingError` at a line that is damaged.
    """
    first: int | None = None
    for line in read_lines(source):
        first = line.moment.ns if first is None else first
        says = _said(line.frame)
        if line.direction is Direction.IN and not (isinstance(says, dict) and "op" in says):
            topic = says.get("topic") if isinstance(says, dict) else None
            yield Frame((line.moment.ns - first) / 1e9, line.frame, topic if isinstance(topic, str) else None)


def _said(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
