"""When something happened: on our clocks, and on the exchange's."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Final, NamedTuple

from attrs import define

__all__ = ["Coverage", "ExchangeClock", "Moment"]


def _clock_that_never_sleeps() -> Callable[[], int]:
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic_ns if clock is None else partial(time.clock_gettime_ns, clock)


_MILLISECOND: Final = 1_000_000
# The monotonic clock of Linux stands still while the machine is suspended; the exchange's does not.
_sleepless_ns: Final = _clock_that_never_sleeps()


class Moment(NamedTuple):
    """One instant on our clocks.

    Deadlines are kept on the monotonic one, so that a wall clock that is set moves no timer.
    """

    ns: int
    """``time.monotonic_ns()``."""
    utc: datetime
    asleep_ns: int = 0
    """For how long this machine has been suspended since it was started, as far as the system tells; else 0."""

    @classmethod
    def now(cls) -> Moment:
        """Read the clocks."""
        while True:
            ns, sleepless, utc = time.monotonic_ns(), _sleepless_ns(), datetime.now(timezone.utc)
            # Held up in between, this thread would take that for sleep.
            if time.monotonic_ns() - ns < _MILLISECOND:
                return cls(ns, utc, (sleepless - ns) // _MILLISECOND * _MILLISECOND)

    @property
    def seconds(self) -> float:
        """``time.monotonic()``."""
        return self.ns * 1e-9

    @property
    def sleepless_ns(self) -> int:
        """A clock that goes on while the machine is suspended, and that setting the wall clock does not move."""
        return self.ns + self.asleep_ns


_EPOCH: Final = datetime.fromtimestamp(0, timezone.utc)
# So far may two clocks drift apart: the fastest that NTP corrects one.
_DRIFT: Final = 500e-6


class ExchangeClock:
    """The exchange's clock, as far as it is known: it lies between two bounds, the narrower the quicker an answer came.

    Until an answer told it is taken to be ours. Afterwards it runs on from that answer on a clock of ours that goes on while
    the machine is suspended, and that nobody sets.
    """

    def __init__(self) -> None:
        self.offset: float | None = None
        """The exchange's clock minus ours, in seconds; None before it was measured."""
        # When it was measured, the exchange's time then, and how much more or less than that it may be.
        self._anchor = 0
        self._then = _EPOCH
        self._slack = 0.0

    def learn(self, told: datetime, *, sent: Moment, received: Moment) -> None:
        """Take *told*, the exchange's time in an answer, as one that it wrote between *sent* and *received*.

        What is known narrows it, unless the two contradict each other: an answer that was long under way, or lay here while
        this process was stopped, says little. After a contradiction the new answer counts.
        """
        at = received.sleepless_ns
        least, most = 0.0, (at - sent.sleepless_ns) * (1 + _DRIFT)
        if self.offset is not None:
            known, slack = self._known(at)
            ahead = _in_ns(known - told)
            low, high = max(least, ahead - slack), min(most, ahead + slack)
            # It tells whole milliseconds, cut off: it may have been up to one later than *told*.
            if low <= high + _MILLISECOND:
                least, most = low, high
        self._anchor, self._then, self._slack = at, told + _nanoseconds((least + most) / 2), (most - least) / 2
        self.offset = (self._then - received.utc).total_seconds()

    def at(self, moment: Moment) -> datetime:
        """Return what the exchange's clock shows, or showed, at *moment*: the middle of what it may be."""
        return moment.utc if self.offset is None else self._known(moment.sleepless_ns)[0]

    def earliest(self, moment: Moment) -> datetime:
        """Return the earliest that the exchange's clock may have shown at *moment*: a window that begins then is complete."""
        if self.offset is None:
            return moment.utc
        known, slack = self._known(moment.sleepless_ns)
        return known - _nanoseconds(slack)

    def latest(self, moment: Moment) -> datetime:
        """Return the latest that the exchange's clock may have shown at *moment*: a window that ends then is complete."""
        if self.offset is None:
            return moment.utc
        known, slack = self._known(moment.sleepless_ns)
        return known + _nanoseconds(slack + _MILLISECOND)

    def _known(self, ns: int) -> tuple[datetime, float]:
        """Return the exchange's time at *ns*, and how much more or less it may be, in ns."""
        passed = ns - self._anchor
        return self._then + _nanoseconds(passed), self._slack + abs(passed) * _DRIFT


@define
class Coverage:
    """Up to which instant all that the exchange pushed on one connection is known to have been read."""

    clock: ExchangeClock
    logged_in: Moment | None = None
    """When the login was accepted."""
    told: datetime | None = None
    """The exchange's time in the last pong: frames arrive in order, so all that it wrote before has been read."""

    def complete_until(self) -> datetime | None:
        """Return that instant in exchange time, as exactly as it is known by now; None before the login was accepted."""
        return self.told or (self.clock.earliest(self.logged_in) if self.logged_in is not None else None)


def _nanoseconds(ns: float) -> timedelta:
    return timedelta(microseconds=ns / 1000)


def _in_ns(span: timedelta) -> float:
    return span / timedelta(microseconds=1) * 1000
