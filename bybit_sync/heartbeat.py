"""Pings, pongs, and the silence that means that the exchange is gone."""

from __future__ import annotations

from datetime import datetime

from bybit_sync.clock import Moment
from bybit_sync.timings import Timings

__all__ = ["Heartbeat"]


class Heartbeat:
    """When the next ping is due, and how long silence may last."""

    def __init__(self, times: Timings, now: Moment) -> None:
        self._times = times
        self.rtt: float | None = None
        """The seconds that the last pong took."""
        self.fresh_as_of: datetime | None = None
        """The exchange's time in the last pong: frames arrive in order, so all that it wrote before has been read."""
        self._heard = now.seconds
        self._last_pong = now.seconds
        self._next_ping = now.seconds + times.ping_interval
        # The last ping, until its pong: the exchange may leave pings out, and gives its pongs no numbers.
        self._pinged: Moment | None = None
        # The first ping since anything was heard.
        self._unheard: float | None = None
        self._doubtful_until: float | None = None

    def next_deadline(self) -> float:
        """Return when a ping is due or the exchange counts as gone, on the monotonic clock."""
        return min(self._next_ping, self._silent_at())

    def is_ping_due(self, now: Moment) -> bool:
        """Say whether a ping is due."""
        return now.seconds >= self._next_ping

    def ping(self, now: Moment) -> None:
        """Take note that a ping is on its way out."""
        self._next_ping = now.seconds + self._times.ping_interval

    def pinged(self, now: Moment) -> None:
        """Take note that a ping went out."""
        self._pinged = now
        if self._unheard is None:
            self._unheard = now.seconds

    def ponged(self, at: datetime | None, now: Moment) -> Moment | None:
        """Take note of a pong that tells the exchange's time *at*; return when its ping was sent, if that can be told."""
        sent, self._pinged = self._pinged, None
        self._last_pong = now.seconds
        if sent is not None:
            self.rtt = (now.ns - sent.ns) * 1e-9
        if at is not None:
            self.fresh_as_of = at
        return sent

    def doubt(self, now: Moment) -> None:
        """Ask at once, and give the exchange little time: the machine slept, and the connection may be long gone."""
        self._next_ping = now.seconds
        self._doubtful_until = now.seconds + self._times.probe

    def heard(self, ns: int) -> None:
        """Take note that bytes of a data frame arrived, at *ns* on the monotonic clock."""
        seconds = ns * 1e-9
        if seconds > self._heard:
            self._heard = seconds
            self._unheard = self._doubtful_until = None

    def silence(self, now: Moment) -> float | None:
        """Return how long the exchange has been silent, if that is too long."""
        return now.seconds - self._heard if now.seconds >= self._silent_at() else None

    def without_pong(self, now: Moment) -> float:
        """Return the seconds since the last pong."""
        return now.seconds - self._last_pong

    def _silent_at(self) -> float:
        # A ping must have had its time: after this process was stopped or held up, silence alone proves nothing.
        asked = self._next_ping if self._unheard is None else self._unheard
        patient = max(self._heard + self._times.ping_interval, asked) + self._times.pong_timeout
        return patient if self._doubtful_until is None else min(patient, self._doubtful_until)
