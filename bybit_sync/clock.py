"""Instants on this machine's clocks, and estimates of the exchange's clock."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Final, NamedTuple

from attrs import define

__all__ = ["Coverage", "ExchangeClock", "Moment"]


def _clock_that_never_sleeps() -> Callable[[], int]:
    if sys.platform == "linux":
        return partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
    return time.monotonic_ns  # pragma: no cover - coverage is measured on Linux


_MILLISECOND: Final = 1_000_000
# The monotonic clock of Linux stands still while the machine is suspended; the
# exchange's does not.
_sleepless_ns: Final = _clock_that_never_sleeps()


class Moment(NamedTuple):
    """One instant on this machine's clocks.

    Deadlines use the monotonic clock: setting the wall clock moves no timer.
    """

    ns: int
    """``time.monotonic_ns()``."""
    utc: datetime
    asleep_ns: int = 0
    """The time that this machine was suspended since boot; 0 where the system does not
    provide it.
    """

    @classmethod
    def now(cls) -> Moment:
        """Read the clocks."""
        while True:
            ns, sleepless, utc = time.monotonic_ns(), _sleepless_ns(), datetime.now(timezone.utc)
            # A thread that was preempted between the reads would count that time as
            # sleep.
            if time.monotonic_ns() - ns < _MILLISECOND:
                return cls(ns, utc, (sleepless - ns) // _MILLISECOND * _MILLISECOND)

    @property
    def seconds(self) -> float:
        """``time.monotonic()``."""
        return self.ns * 1e-9

    @property
    def sleepless_ns(self) -> int:
        """The nanoseconds of a clock that runs while the machine is suspended.

        That clock cannot be set.
        """
        return self.ns + self.asleep_ns

    def utc_at(self, seconds: float) -> datetime:
        """Return our UTC time when ``time.monotonic()`` is, or was, *seconds*."""
        return self.utc + timedelta(seconds=seconds - self.seconds)


_EPOCH: Final = datetime.fromtimestamp(0, timezone.utc)
# The drift between two clocks: the fastest rate at which NTP corrects one.
_DRIFT: Final = 500e-6


class ExchangeClock:
    """An estimate of the exchange's clock, with two bounds.

    The faster an answer, the narrower they are.

    Before the first answer the estimate is this machine's clock. Afterwards it advances
    from that answer with a clock that runs while the machine is suspended, and that
    cannot be set.
    """

    def __init__(self) -> None:
        self.offset: float | None = None
        """The exchange's clock minus ours, in seconds; None before it was measured."""
        # The instant of the measurement, the exchange's time at it, and the error of
        # that time in ns. Replaced as a whole: the thread that reads REST asks for the
        # time while the connection thread learns it.
        self._measured = (0, _EPOCH, 0.0)

    def learn(self, told: datetime, *, sent: Moment, received: Moment) -> None:
        """Update the estimate: *told* was written between *sent* and *received*.

        The former bounds narrow the new ones, because an answer that was under way for
        long, or was read late by a stopped process, says little. If the two contradict
        each other, the new answer counts.
        """
        at = received.sleepless_ns
        least, most = 0.0, (at - sent.sleepless_ns) * (1 + _DRIFT)
        if self.offset is not None:
            known, slack = self._known(at)
            ahead = _in_ns(known - told)
            low, high = max(least, ahead - slack), min(most, ahead + slack)
            # *told* is cut to whole milliseconds: the true time may be up to 1 ms
            # later.
            if low <= high + _MILLISECOND:
                least, most = low, high
        then = told + _nanoseconds((least + most) / 2)
        self._measured = at, then, (most - least) / 2
        self.offset = (then - received.utc).total_seconds()

    def at(self, moment: Moment) -> datetime:
        """Return the exchange's time at *moment*: the middle of the two bounds."""
        return moment.utc if self.offset is None else self._known(moment.sleepless_ns)[0]

    def earliest(self, moment: Moment) -> datetime:
        """Return the lower bound of the exchange's time at *moment*.

        A window that begins then is complete.
        """
        if self.offset is None:
            return moment.utc
        known, slack = self._known(moment.sleepless_ns)
        return known - _nanoseconds(slack)

    def latest(self, moment: Moment) -> datetime:
        """Return the upper bound of the exchange's time at *moment*.

        A window that ends then is complete.
        """
        if self.offset is None:
            return moment.utc
        known, slack = self._known(moment.sleepless_ns)
        return known + _nanoseconds(slack + _MILLISECOND)

    def _known(self, ns: int) -> tuple[datetime, float]:
        """Return the exchange's time at *ns*, and its error in ns."""
        anchor, then, slack = self._measured
        passed = ns - anchor
        return then + _nanoseconds(passed), slack + abs(passed) * _DRIFT


@define
class Coverage:
    """The instant up to which all pushes of one connection have been read."""

    clock: ExchangeClock
    logged_in: Moment | None = None
    """The instant at which the login was accepted; None before."""
    told: datetime | None = None
    """The exchange's time in the last pong, None before: frames arrive in order, so all
    earlier frames have been read.
    """

    def complete_until(self) -> datetime | None:
        """Return that instant in exchange time, as exactly as it is known.

        None before the login was accepted.
        """
        return self.told or (self.clock.earliest(self.logged_in) if self.logged_in is not None else None)


def _nanoseconds(ns: float) -> timedelta:
    return timedelta(microseconds=ns / 1000)


def _in_ns(span: timedelta) -> float:
    return span / timedelta(microseconds=1) * 1000
