"""When something happened: on our clocks, and on the exchange's."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

__all__ = ["ExchangeClock", "Moment", "seconds_asleep"]


class Moment(NamedTuple):
    """One instant on both of our clocks.

    Deadlines are kept on the monotonic one, so that a wall clock that is set moves no timer.
    """

    ns: int
    """``time.monotonic_ns()``."""
    utc: datetime

    @classmethod
    def now(cls) -> Moment:
        """Read both clocks."""
        return cls(time.monotonic_ns(), datetime.now(timezone.utc))

    @property
    def seconds(self) -> float:
        """``time.monotonic()``."""
        return self.ns * 1e-9


def seconds_asleep() -> float:
    """Return for how long this machine was suspended since it was started, as far as the system tells; else 0.

    The clock that counts the time asleep is compared with the one that does not. A wall clock that is set changes neither.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) - time.monotonic() if clock is not None else 0.0


class ExchangeClock:
    """The exchange's clock, as far as it is known.

    Until an answer told it is taken to be ours. Afterwards it runs on from that answer on the monotonic clock, so that
    setting our wall clock does not move it.
    """

    def __init__(self, now: Moment) -> None:
        self.offset: float | None = None
        """The exchange's clock minus ours, in seconds; None before it was measured."""
        self._anchor = now
        self._slack = 0

    def learn(self, told: datetime, *, sent: Moment, received: Moment) -> None:
        """Take *told*, the exchange's time in an answer, as the middle between *sent* and *received*.

        What is known is kept when it fits and is the more exact: an answer that was long under way, or lay here while this
        process was stopped, only says between which two instants it was written.
        """
        slack = received.ns - sent.ns
        fits = self.offset is not None and self.at(sent) <= told <= self.at(received)
        if not fits or slack < self._slack:
            self._anchor = Moment(received.ns, told + _nanoseconds(slack / 2))
            self._slack = slack
        self.offset = (self._run_on(received) - received.utc).total_seconds()

    def at(self, moment: Moment) -> datetime:
        """Return what the exchange's clock shows, or showed, at *moment*."""
        return moment.utc if self.offset is None else self._run_on(moment)

    def _run_on(self, moment: Moment) -> datetime:
        return self._anchor.utc + _nanoseconds(moment.ns - self._anchor.ns)


def _nanoseconds(ns: float) -> timedelta:
    return timedelta(microseconds=ns / 1000)
