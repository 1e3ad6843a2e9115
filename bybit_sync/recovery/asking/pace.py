"""The windows in which very many executions are read."""

from __future__ import annotations

from typing import Final

from bybit_sync.rest.windows import SPAN, Window

__all__ = ["Pace"]

_GROWTH: Final = 8


class Pace:
    """Divides *whole* into windows, the oldest first, none with more than *most* rows.

    A window's rows come newest first, so that one with too many has to be read again in
    parts. How long its latest rows took tells how short these have to be, and where
    they begin how far the windows before them may grow.
    """

    def __init__(self, whole: Window, most: int) -> None:
        self.at: int = whole.start
        """The time up to which everything was read, in ms."""
        self._end = whole.end
        self._most = most
        self._span = SPAN
        # The windows from *_dense_from* on have the span *_dense*.
        self._dense_from = whole.end
        self._dense = SPAN

    @property
    def is_done(self) -> bool:
        """True when everything was read."""
        return self.at >= self._end

    def window(self) -> Window:
        """Return the next window."""
        limit = self._dense_from if self.at < self._dense_from else self._end
        return Window(self.at, min(self.at + self._span, limit, self._end))

    def shorten(self, window: Window, read: Window | None) -> None:
        """Take note that *window* has too many rows.

        *read* is from the oldest to the newest that were read, None when none was.
        """
        read = read or window
        self._span = self._dense = max(1, (read.end - read.start) // 2)
        self._dense_from = read.start

    def advance(self, window: Window, rows: int) -> None:
        """Take note that *window* was read, and had so many *rows*."""
        is_dense = self.at < self._dense_from <= window.end
        self.at = window.end
        if is_dense:
            self._span = self._dense
        elif rows < self._most // 4:
            self._span = min(_GROWTH * self._span, SPAN)
