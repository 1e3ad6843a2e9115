"""The progress of a command on the standard error: one changing line, or several."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Final

from bybit_sync.cli.views import note

__all__ = ["ProgressLine", "fresh_line"]

# Seconds between two progress texts: on a terminal, and elsewhere, where each is a new
# line.
_OFTEN: Final = 0.5
_SELDOM: Final = 10.0


class ProgressLine:
    """Prints what *text* returns, now and then: on a terminal in one line."""

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text
        self._on_terminal = sys.stderr.isatty()
        self._pause = _OFTEN if self._on_terminal else _SELDOM
        self._due = 0.0

    def tick(self) -> None:
        """Print the progress, if that is due."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + self._pause
            self._print(self._text())

    def _print(self, text: str) -> None:
        if not self._on_terminal:
            note(text)
            return
        # Carriage return, the text, erase to the end of the line.
        width = os.get_terminal_size(sys.stderr.fileno()).columns
        print(f"\r{text[: max(1, width - 1)]}\x1b[K", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Print the progress a last time, as a line of its own."""
        print(fresh_line(), end="", file=sys.stderr)
        note(self._text())


def fresh_line() -> str:
    """Return the control characters that clear the progress line."""
    return "\r\x1b[K" if sys.stderr.isatty() else ""
