"""How fast the faults' clock runs: fifty times as fast as the catalogue's, unless real time is asked for."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import attrs

from bybit_sync import Backoff, Client
from bybit_sync.config.timings import Timings

__all__ = [
    "REAL",
    "FaultClient",
    "Stalls",
    "answer",
    "arguments",
    "patience",
    "seconds",
    "set_pace",
    "short",
    "silence",
    "traced",
    "until",
    "within",
]

FAST: Final = 1 / 50
REAL: Final = 1.0
FACTOR = FAST
"""What a second of the catalogue is here."""

# A machine that is busy may hold an answer up for as long as this, in seconds, however fast the clock runs. A test of one of
# these times gives its own.
FLOORS: Final = {
    "connect_timeout": 10.0,
    "request_timeout": 10.0,
    "pong_timeout": 30.0,
    "write": 0.25,
    "probe": 0.25,
    "no_pong": 60.0,
    "outage_reminders": 60.0,
    "callback_reminders": 60.0,
    "reader_reminders": 60.0,
}

# After so many seconds without a byte the catalogue takes a connection for dead.
SILENCE: Final = 10

# What this machine's scheduler, not the library, may add to a deadline.
JITTER: Final = 1.0


def set_pace(factor: float) -> None:
    """Let a second of the catalogue take *factor* seconds, in clients that are made from now on."""
    global FACTOR  # noqa: PLW0603 one pace per run, set before any test is collected
    FACTOR = factor
    FaultClient._timings = paced(factor)


def paced(factor: float) -> Timings:
    """Return the times of a client where a second of the catalogue takes *factor* seconds."""
    times = Timings().scaled(factor)
    return attrs.evolve(times, **{name: _at_least(floor, getattr(times, name)) for name, floor in FLOORS.items()})


def _at_least(floor: float, value: Any) -> Any:
    return tuple(max(floor, one) for one in value) if isinstance(value, tuple) else max(floor, value)


def seconds(of_catalogue: float) -> float:
    """Return what so many seconds of the catalogue are here."""
    return of_catalogue * FACTOR


def short() -> float:
    """Return the ten seconds of an attempt or an answer, for a test that waits for their end: a busy machine needs some."""
    return max(0.5, seconds(10))


def answer() -> float:
    """Return the ten seconds of an answer, for a test that counts on another one meanwhile: a busy machine needs a second."""
    return max(1.0, seconds(10))


def silence() -> float:
    """Return for how many seconds an exchange may be silent at most, as `arguments` has it."""
    times = paced(FACTOR)
    return times.ping_interval + times.pong_timeout


def patience() -> float:
    """Return how many seconds to wait for what must come before calling the test failed."""
    return max(30.0, seconds(90))


def until(holds: Callable[[], object]) -> None:
    """Wait until *holds*."""
    deadline = time.monotonic() + patience()
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)


def within(of_catalogue: float) -> float:
    """Return a deadline of so many seconds of the catalogue: the catalogue's half second, or the machine's jitter, on top.

    From ten on they include the silence that ends a connection, which does not go as fast as the rest.
    """
    longer = silence() - seconds(SILENCE) if of_catalogue >= SILENCE else 0.0
    return seconds(of_catalogue) + longer + max(seconds(0.5), JITTER)


def traced() -> int:
    """Return by how much what costs processor time costs more than usual: a tracer, such as coverage's, looks at every line."""
    return 10 if sys.gettrace() else 1


class Stalls:
    """How long this process got no processor, inside a ``with`` block: that is the machine's doing, and no deadline's fault.

    A thread sleeps for moments, and takes down by how much it overslept.
    """

    MOMENT: Final = 0.01
    USUAL: Final = 0.02

    def __init__(self) -> None:
        self._stalls: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="stalls")

    def since(self, at: float) -> float:
        """Return for how many seconds it stood still since *at* (`time.monotonic`)."""
        return sum(stall for when, stall in tuple(self._stalls) if when >= at)

    def __enter__(self) -> Stalls:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(patience())

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._over.wait(self.MOMENT):
            now = time.monotonic()
            stall, before = now - before - self.MOMENT, now
            if stall > self.USUAL:
                self._stalls.append((now, stall))


class FaultClient(Client):
    """A client whose inner times run at the faults' pace; what is an argument of `Client` is given by `arguments`."""

    _timings = paced(FAST)


def arguments() -> dict[str, Any]:
    """Return the arguments that make a client's outer times run at the faults' pace."""
    times = paced(FACTOR)
    names = ("connect_timeout", "request_timeout", "ping_interval", "pong_timeout")
    backoff = Backoff(initial=seconds(0.25), factor=2.0, maximum=seconds(5.0))
    return {**{name: getattr(times, name) for name in names}, "backoff": backoff}
