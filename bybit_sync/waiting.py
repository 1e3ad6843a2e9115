"""Waiting with a deadline, so that Ctrl-C is seen."""

from __future__ import annotations

import sys
import threading
import time
from typing import Final

__all__ = ["remaining", "wait_for"]

# How long a lock is waited for at a stretch: Windows sees Ctrl-C only in between.
SLICE: Final = 0.2 if sys.platform == "win32" else threading.TIMEOUT_MAX


def remaining(deadline: float | None) -> float:
    """Return the seconds until *deadline* on the monotonic clock (None: no end), at most one slice; 0 when it has passed."""
    return SLICE if deadline is None else max(0.0, min(SLICE, deadline - time.monotonic()))


def wait_for(event: threading.Event, deadline: float | None) -> bool:
    """Wait until *event* is set; False when *deadline* passes first. Takes no lock when there is nothing to wait for."""
    while not event.is_set():
        left = remaining(deadline)
        if left <= 0:
            return False
        event.wait(left)
    return True
