"""A recorded session, as the exchange's side plays it again.

A recording is JSON Lines, one frame a line: ``{"recv_ns", "recv_utc", "direction", "frame"}``. *recv_ns* is a monotonic clock
and says how far apart frames are; *direction* is ``in`` for what the exchange sent and ``out`` for what the client did.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

__all__ = ["Frame", "RecordingError", "read_recording"]

DIRECTIONS = ("in", "out")


class RecordingError(ValueError):
    """A line that is none of a recording: its number, and what is wrong with it."""


@attrs.frozen
class Frame:
    """One push as it was recorded: *at* is seconds since the first frame, *topic* None for what cannot be read."""

    at: float
    text: str
    topic: str | None

    def __repr__(self) -> str:
        """Return when it came and its topic; the frame itself may hold the account's id."""
        return f"<Frame at {self.at:.3f} s, {self.topic}>"


def read_recording(source: str | Path | Iterable[str]) -> Iterator[Frame]:
    """Yield what the exchange pushed in the recording *source*, a path or its lines.

    What it answered (login, subscriptions, pings) is left out: the simulated exchange answers for itself.
    """
    if isinstance(source, (str, Path)):
        with Path(source).open(encoding="utf-8") as lines:
            yield from _frames(lines)
    else:
        yield from _frames(source)


def _frames(lines: Iterable[str]) -> Iterator[Frame]:
    first: int | None = None
    for number, line in enumerate(lines, start=1):
        recv_ns, direction, text = _parts(number, line)
        first = recv_ns if first is None else first
        says = _said(text)
        if direction == "in" and not (isinstance(says, dict) and "op" in says):
            topic = says.get("topic") if isinstance(says, dict) else None
            yield Frame((recv_ns - first) / 1e9, text, topic if isinstance(topic, str) else None)


def _parts(number: int, line: str) -> tuple[int, str, str]:
    try:
        says = json.loads(line)
        recv_ns, direction, text = says["recv_ns"], says["direction"], says["frame"]
    except (ValueError, LookupError, TypeError) as error:
        raise RecordingError(f"line {number}: no line of a recording ({type(error).__name__}: {error})") from None
    if not isinstance(recv_ns, int) or direction not in DIRECTIONS or not isinstance(text, str):
        raise RecordingError(f"line {number}: recv_ns has to be a number, direction one of in, out, and frame a text")
    return recv_ns, direction, text


def _said(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
