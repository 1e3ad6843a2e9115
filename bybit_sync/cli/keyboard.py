"""The keyboard while a screen is shown: no echo, and q ends it."""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import sys
from collections.abc import Iterator
from typing import Any

# Typed as Any: a type checker that runs on Windows knows none of its names.
termios: Any = None if sys.platform == "win32" else importlib.import_module("termios")

__all__ = ["Keyboard", "quiet_keyboard"]

_QUIT = frozenset(b"qQ")
_LOCAL_MODES, _SPECIAL = 3, 6  # where tcgetattr puts them


@contextlib.contextmanager
def quiet_keyboard() -> Iterator[Keyboard]:
    """Yield the keyboard, silenced until the end of the context."""
    if termios is None or not sys.stdin.isatty():
        yield Keyboard(None)
        return
    keyboard = Keyboard(sys.stdin.fileno())
    try:
        keyboard.silence()
        yield keyboard
    finally:
        keyboard.restore()


class Keyboard:
    """The keyboard of the terminal at *source*, a descriptor; None without one."""

    def __init__(self, source: int | None) -> None:
        self._source = source
        self._before = None if source is None else termios.tcgetattr(source)

    def silence(self) -> None:
        """Show nothing of what is typed, and give each key at once."""
        if self._source is not None:
            termios.tcsetattr(self._source, termios.TCSANOW, _silenced(termios.tcgetattr(self._source)))

    def restore(self) -> None:
        """Make it as it was before."""
        # Discard unread input, which the shell would read. A closed terminal needs no
        # restoring.
        if self._source is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._source, termios.TCSAFLUSH, self._before or [])

    def quits(self) -> bool:
        """Return whether q was typed since the last call."""
        return self._source is not None and _was_typed(self._source)


def _silenced(modes: list[Any]) -> list[Any]:
    modes[_LOCAL_MODES] &= ~(termios.ECHO | termios.ICANON)
    modes[_SPECIAL][termios.VMIN], modes[_SPECIAL][termios.VTIME] = 1, 0
    return modes


def _was_typed(source: int) -> bool:
    typed = os.read(source, 1024) if select.select([source], [], [], 0)[0] else b""
    return not _QUIT.isdisjoint(typed)
