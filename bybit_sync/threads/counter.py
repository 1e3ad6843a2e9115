"""Numbers that are each returned once, to any thread."""

from __future__ import annotations

import threading

__all__ = ["Counter"]


class Counter:
    """A source of the numbers 1, 2, 3, …, each returned once. Any thread."""

    def __init__(self) -> None:
        self._last = 0
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Make a new lock: a thread of the parent process may hold the old one."""
        # Without the GIL, an `itertools.count` may give one number to two threads (up
        # to CPython 3.13). Reentrant: a signal handler may ask while the interrupted
        # code does.
        self._lock = threading.RLock()

    def take(self) -> int:
        """Return the next number."""
        with self._lock:
            self._last = number = self._last + 1
            return number
