"""Signals that come at a bad time."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

import pytest


@contextlib.contextmanager
def alarm(handler: Callable[[], None], seconds: float, again: float = 0.0) -> Iterator[None]:
    """Have *handler* run in a signal handler on this thread after *seconds*, then every *again* seconds."""
    previous = signal.signal(signal.SIGALRM, lambda *_: handler())
    signal.setitimer(signal.ITIMER_REAL, seconds, again)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


on_main_thread_only = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers here")
