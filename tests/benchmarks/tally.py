"""Counting what a contestant is handed, the same way for all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Sink(Protocol):
    """What a contestant hands its messages to."""

    turns: int

    def add(self, rows: Sequence[Any], name: str) -> None:
        """Take the rows and the id of one message."""

    def fail(self, why: str) -> None:
        """Say that something was lost; the measurement is worth nothing."""


class Tally:
    """Counts the messages of one stream, and stops the clocks at the last one of those that are expected.

    Of each message it reads one field of a row, or, with *read*, every row.
    """

    def __init__(self, mark: Callable[[Any], object], read: Callable[[Any], object] | None = None) -> None:
        self._mark = mark
        self._read = read
        self._expected = 0
        self._done = threading.Event()
        self._wrong = ""
        self._ended = (0, 0)
        self.messages = 0
        self.rows = 0
        self.turns = 0
        """How often the user's code ran, where that is not once a message."""
        self.last: object = None

    def expect(self, messages: int) -> None:
        """Begin again, and stop the clocks at the *messages*-th message from now on."""
        self._done.clear()
        self.messages, self.rows, self.turns, self.last, self._expected = 0, 0, 0, None, messages

    def add(self, rows: Sequence[Any], name: str) -> None:
        """Count a message with *rows*."""
        self.messages += 1
        self.rows += len(rows)
        if self._read is not None:
            for row in rows:
                self._read(row)
        self.last = self._mark(rows[-1])
        if self.messages == self._expected:
            self._ended = time.process_time_ns(), time.monotonic_ns()
            self._done.set()

    def fail(self, why: str) -> None:
        """Say that something was lost; the measurement is worth nothing."""
        self._wrong = why
        self._done.set()

    def wait(self, timeout: float) -> tuple[int, int]:
        """Return the CPU time of this process and the time of the clock, both in ns, at the last message expected."""
        if not self._done.wait(timeout):
            raise TimeoutError(f"{self.messages} of {self._expected} messages within {timeout:.0f} s")
        if self._wrong:
            raise RuntimeError(self._wrong)
        return self._ended


class Stopwatch:
    """Notes when each stamped message came; the difference to its stamp is its latency."""

    def __init__(self) -> None:
        self.turns = 0
        self._seen: list[tuple[int, str]] = []
        self._expected = 0
        self._wrong = ""
        self._done = threading.Event()

    def expect(self, messages: int) -> None:
        """Begin again."""
        self._done.clear()
        self._seen, self._expected = [], messages

    def add(self, rows: Sequence[Any], name: str) -> None:
        """Note that the message that was stamped *name* is here, now."""
        self._seen.append((time.monotonic_ns(), name))
        if len(self._seen) == self._expected:
            self._done.set()

    def fail(self, why: str) -> None:
        """Say that something was lost; the measurement is worth nothing."""
        self._wrong = why
        self._done.set()

    def wait(self, timeout: float) -> list[float]:
        """Return every latency in microseconds, in the order in which the messages came."""
        if not self._done.wait(timeout):
            raise TimeoutError(f"{len(self._seen)} of {self._expected} messages within {timeout:.0f} s")
        if self._wrong:
            raise RuntimeError(self._wrong)
        return [(came - int(stamp)) / 1e3 for came, stamp in self._seen]
