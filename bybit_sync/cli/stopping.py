"""The signals that end a command: the first one stops it, later ones are ignored."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

__all__ = ["Stopped", "stoppable"]

# Windows has no SIGHUP.
_SIGNALS: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """A signal that ends the command with the exit code *code*."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.code: int = 128 + signum


@contextlib.contextmanager
def stoppable(*, for_good: bool) -> Iterator[None]:
    """Raise `Stopped` on the first signal that ends a command; ignore later ones.

    The code that restores the terminal and closes the connection is then not
    interrupted. A signal that was ignored before stays ignored, as under nohup. With
    *for_good*, the process ends afterwards, and later signals stay ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in _SIGNALS}
    minded = [number for number, handler in before.items() if handler is not signal.SIG_IGN]

    def stop(signum: int, _frame: FrameType | None) -> None:
        for number in minded:
            signal.signal(number, signal.SIG_IGN)
        raise Stopped(signum)

    try:
        for number in minded:
            signal.signal(number, stop)
        yield
    except Stopped:
        if for_good:
            before = dict.fromkeys(minded, signal.SIG_IGN)
        raise
    finally:
        for number in minded:
            signal.signal(number, before[number])
