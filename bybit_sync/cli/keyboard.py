"""The keyboard while a screen is shown: no echo, and q ends it."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Callable, Iterator
from typing import Any

try:
    import termios
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

__all__ = ["quiet_keyboard"]

_QUIT = frozenset(b"qQ")
_LOCAL_MODES, _SPECIAL = 3, 6  # where tcgetattr puts them


@contextlib.contextmanager
def quiet_keyboard() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether q was typed since its last call.

    Without a terminal it returns False.
    """
    if termios is None or not sys.stdin.isatty():
        yield lambda: False
        return
    source = sys.stdin.fileno()
    before = termios.tcgetattr(source)
    try:
        termios.tcsetattr(source, termios.TCSANOW, _silenced(termios.tcgetattr(source)))
        yield lambda: _was_typed(source)
    finally:
        # Discard unread input, which the shell would read. A closed terminal needs no
        # restoring.
        with contextlib.suppress(termios.error):
            termios.tcsetattr(source, termios.TCSAFLUSH, before)


def _silenced(modes: list[Any]) -> list[Any]:
    modes[_LOCAL_MODES] &= ~(termios.ECHO | termios.ICANON)
    # Disable Ctrl-Z, which would leave the picture on the terminal.
    modes[_SPECIAL][termios.VSUSP] = b"\0"
    modes[_SPECIAL][termios.VMIN], modes[_SPECIAL][termios.VTIME] = 1, 0
    return modes


def _was_typed(source: int) -> bool:
    typed = os.read(source, 1024) if select.select([source], [], [], 0)[0] else b""
    return not _QUIT.isdisjoint(typed)
