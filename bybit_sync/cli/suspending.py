"""Ctrl-Z on a screen: the terminal is given back before the process stops."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from bybit_sync.cli.keyboard import Keyboard

__all__ = ["suspendable"]


class Picture(Protocol):
    """A screen, as far as a suspension needs it."""

    def leave(self) -> None:
        """Give the terminal back."""

    def come_back(self) -> None:
        """Take the terminal again."""


@contextlib.contextmanager
def suspendable(picture: Picture, keyboard: Keyboard) -> Iterator[Callable[[], bool]]:
    """Yield a function that stops this process if Ctrl-Z was typed.

    It returns False when the process goes on, as with ``fg``. Call it often, on the
    main thread. A SIGTSTP that was ignored before stays ignored.
    """
    # Windows has none.
    number = getattr(signal, "SIGTSTP", None)
    if number is None or signal.getsignal(number) is signal.SIG_IGN:
        yield lambda: False
        return
    wanted: list[int] = []

    def suspend() -> bool:
        if wanted:
            wanted.clear()
            picture.leave()
            keyboard.restore()
            # The parent learns of it as of any process that a terminal stops.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            signal.signal(number, note)
            keyboard.silence()
            picture.come_back()
        return False

    def note(signum: int, _frame: Any) -> None:
        # Not at once: a picture may be half written.
        wanted.append(signum)

    before = signal.signal(number, note)
    try:
        yield suspend
    finally:
        signal.signal(number, before)
