"""When something happened: on our clocks, and on the exchange's."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

__all__ = ["ExchangeClock", "Moment"]


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


class ExchangeClock:
    """The exchange's clock, as far as it is known.

    Until a pong was read it is taken to be ours. Afterwards it runs on from that pong on the monotonic clock, so that
    setting our wall clock does not move it.
    """

    def __init__(self, now: Moment) -> None:
        self._anchor = now
        self.offset: float | None = None

    def learn(self, told: datetime, *, sent: Moment, received: Moment) -> None:
        """Take *told*, the exchange's time in an answer, as the middle between *sent* and *received*."""
        half = timedelta(microseconds=(received.ns - sent.ns) / 2000)
        self._anchor = Moment(received.ns, told + half)
        self.offset = (told + half - received.utc).total_seconds()

    def at(self, moment: Moment) -> datetime:
        """Return what the exchange's clock shows at *moment*."""
        base = self._anchor if self.offset is not None else moment
        return base.utc + timedelta(microseconds=(moment.ns - base.ns) / 1000)
