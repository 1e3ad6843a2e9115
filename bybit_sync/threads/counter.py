"""Numbers that are handed out once, whichever threads ask."""

from __future__ import annotations

import threading

__all__ = ["Counter"]


class Counter:
    """A source of the numbers 1, 2, 3, …, each of which it gives once. Any thread."""

    def __init__(self) -> None:
        self._last = 0
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Make the lock anew: a thread of the parent process may hold it."""
        # Without the GIL, an `itertools.count` may give one number to two threads (up
        # to CPython 3.13). Reentrant: a signal handler may ask while the interrupted
        # code does.
        self._lock = threading.RLock()

    def take(self) -> int:
        """Return the next number."""
        with self._lock:
            self._last = number = self._last + 1
            return number
