"""The division of long times into windows: the exchange answers for at most seven days at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import frozen

__all__ = ["SPAN", "Window", "chunks"]

_MINUTE: Final = 60_000
SPAN: Final = 7 * 24 * 60 * _MINUTE - _MINUTE
"""The longest window in ms, a minute below the exchange's limit, so that rounding cannot exceed it."""


@frozen(order=True)
class Window:
    """A window from *start* to *end*, in ms of the exchange's clock, both inclusive."""

    start: int
    end: int

    @property
    def parameters(self) -> dict[str, int]:
        """The parameters of a request, always with both ends."""
        return {"startTime": self.start, "endTime": self.end}

    def halves(self) -> tuple[Window, Window] | None:
        """Return both halves, the older first, which share one instant; None when the window is too short to halve."""
        middle = (self.start + self.end) // 2
        if middle in (self.start, self.end):
            return None
        return Window(self.start, middle), Window(middle, self.end)


def chunks(window: Window, span: int = SPAN) -> Iterator[Window]:
    """Yield windows of at most *span* ms that cover *window*, the oldest first.

    Neighbours share an instant: it is not documented which ends are inclusive, and keys
    remove what comes twice.
    """
    start = window.start
    while window.end - start > span:
        yield Window(start, start + span)
        start += span
    yield Window(start, window.end)
