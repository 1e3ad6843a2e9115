"""The deadlines of pings and pongs, and of a silent connection."""

from __future__ import annotations

from bybit_sync.clock import Moment
from bybit_sync.config.timings import Timings
from bybit_sync.session.pings import Pings

__all__ = ["Heartbeat"]


class Heartbeat:
    """The deadlines of pings, pongs and silence."""

    def __init__(self, times: Timings, now: Moment) -> None:
        self._times = times
        self.rtt: float | None = None
        """The seconds from ping to pong, of the last pong whose ping is known."""
        self._last_data = now.seconds
        self._last_pong = now.seconds
        self._next_ping = now.seconds + times.ping_interval
        self._pings = Pings()
        # The first ping since data was last received.
        self._unanswered_since: float | None = None
        self._probing = False

    def next_deadline(self) -> float:
        """Return when a ping is due or the connection is dead (monotonic clock)."""
        return min(self._next_ping, self._silent_at())

    def is_ping_due(self, now: Moment) -> bool:
        """Return whether a ping is due."""
        return now.seconds >= self._next_ping

    def ping(self, now: Moment) -> None:
        """Record that a ping is about to be sent."""
        self._next_ping = now.seconds + self._times.ping_interval

    def pinged(self, req_id: str | None, began: Moment, now: Moment) -> None:
        """Record that a ping was sent at *now*; sending it started at *began*."""
        self._pings.sent(req_id, began)
        if self._unanswered_since is None:
            self._unanswered_since = now.seconds

    def ponged(self, req_id: str | None, now: Moment) -> Moment | None:
        """Record a pong; return the time of a ping that it certainly followed.

        Returns None when there is no such ping.
        """
        self._last_pong = now.seconds
        echo = self._pings.answered(req_id)
        if echo is None:
            return None
        if echo.exact:
            self.rtt = (now.ns - echo.since.ns) * 1e-9
        return echo.since

    def probe_now(self, now: Moment) -> None:
        """Ping at once, with a short timeout, because the machine was suspended.

        The connection may be dead.
        """
        self._next_ping = now.seconds
        # A ping from before the suspend proves nothing; the timeout starts with the new
        # ping.
        self._unanswered_since = None
        self._probing = True

    def data_received(self, ns: int) -> None:
        """Record that bytes of a data frame arrived, at *ns* on the monotonic clock."""
        seconds = ns * 1e-9
        if seconds > self._last_data:
            self._last_data = seconds
            self._unanswered_since, self._probing = None, False

    def silence(self, now: Moment) -> float | None:
        """Return the seconds of silence if they are too many, else None."""
        return now.seconds - self._last_data if now.seconds >= self._silent_at() else None

    def without_pong(self, now: Moment) -> float:
        """Return the seconds since the last pong."""
        return now.seconds - self._last_pong

    def _silent_at(self) -> float:
        # Give a ping its time: after this process was stopped or delayed, silence alone
        # proves nothing.
        asked = self._next_ping if self._unanswered_since is None else self._unanswered_since
        patient = max(self._last_data + self._times.ping_interval, asked) + self._times.pong_timeout
        return min(patient, asked + self._times.probe) if self._probing else patient
