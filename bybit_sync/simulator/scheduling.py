"""Run steps when they are due."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["on_time", "paused"]

T = TypeVar("T")


def on_time(steps: Iterable[float], stop: threading.Event, *, speed: float | None = 1.0) -> bool:
    """Run each of *steps* when it is due.

    Returns True when all were run before *stop* was set.

    Each step yields when the next one is due, in seconds since the start; *speed* 2.0
    is twice as fast, None without waiting.
    """
    start = time.monotonic()
    for due in steps:
        late = 0.0 if speed is None else start + due / speed - time.monotonic()
        if stop.wait(max(0.0, late)):
            return False
    return True


def paused(pauses: Iterable[float], *, rate: float | None = None) -> Iterator[float]:
    """Turn pauses between steps into seconds since the start.

    With *rate*, every pause is ``1 / rate``.
    """
    due = 0.0
    for pause in pauses:
        due += pause if rate is None else 1 / rate
        yield due
