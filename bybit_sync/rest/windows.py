"""The division of long times into windows of seven days, the exchange's limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import frozen

__all__ = ["SPAN", "Window", "chunks"]

_MINUTE: Final = 60_000
SPAN: Final = 7 * 24 * 60 * _MINUTE - _MINUTE
"""The longest window in ms; a minute below the exchange's limit, so that rounding
cannot exceed it.
"""


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
        """Return both halves, the older first; None when it is too short.

        They share one instant.
        """
        middle = (self.start + self.end) // 2
        if middle in (self.start, self.end):
            return None
        return Window(self.start, middle), Window(middle, self.end)


def chunks(window: Window, span: int = SPAN) -> Iterator[Window]:
    """Yield windows of at most *span* ms that cover *window*, the oldest first.

    Neighbours share an instant: the documentation does not say which ends are
    inclusive, and keys remove duplicates.
    """
    start = window.start
    while window.end - start > span:
        yield Window(start, start + span)
        start += span
    yield Window(start, window.end)
