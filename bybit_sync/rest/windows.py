"""Long times in pieces: the exchange answers for at most seven days at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import frozen

__all__ = ["SPAN", "Window", "chunks"]

_MINUTE: Final = 60_000
SPAN: Final = 7 * 24 * 60 * _MINUTE - _MINUTE
"""Milliseconds; a minute below the most, so that rounding cannot exceed it."""


@frozen(order=True)
class Window:
    """From *start* to *end*, in ms of the exchange's clock, both inclusive."""

    start: int
    end: int

    @property
    def parameters(self) -> dict[str, int]:
        """As the exchange is asked: always with both ends."""
        return {"startTime": self.start, "endTime": self.end}

    def halves(self) -> tuple[Window, Window] | None:
        """Return both halves, the older first, which share an instant; None for a window that is too short for two."""
        middle = (self.start + self.end) // 2
        if middle in (self.start, self.end):
            return None
        return Window(self.start, middle), Window(middle, self.end)


def chunks(window: Window, span: int = SPAN) -> Iterator[Window]:
    """Yield *window* in pieces of at most *span* ms, the oldest first.

    Neighbours share an instant: it is not documented which ends are inclusive, and keys remove what comes twice.
    """
    start = window.start
    while window.end - start > span:
        yield Window(start, start + span)
        start += span
    yield Window(start, window.end)
