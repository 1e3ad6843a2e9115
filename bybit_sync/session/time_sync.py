"""The pings of a session and the exchange's time in their pongs.

Gaps wait for that time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bybit_sync.clock import Coverage, Moment
from bybit_sync.session.config import SessionConfig
from bybit_sync.session.events import SessionEvent
from bybit_sync.session.heartbeat import Heartbeat
from bybit_sync.session.messages import Pong
from bybit_sync.session.requests import PendingRequests
from bybit_sync.session.wanted import WantedTopics

__all__ = ["TimeSync"]


# The difference in seconds between our clock and the exchange's that causes a warning:
# half of what a login allows by default.
SKEW_TOLERATED: Final = 5.0


class TimeSync:
    """Sends pings, learns the exchange's time from their pongs, and holds gaps.

    Gaps are held until the time is known.
    """

    def __init__(
        self,
        config: SessionConfig,
        heartbeat: Heartbeat,
        requests: PendingRequests,
        wanted: WantedTopics,
        coverage: Coverage,
    ) -> None:
        self.gaps_due: float | None = None
        """The time until which gaps wait for the first pong (monotonic clock).

        None before the ping for it was sent, and when none wait any more.
        """
        self._config = config
        self._heartbeat = heartbeat
        self._requests = requests
        self._wanted = wanted
        self._coverage = coverage
        # True once the warning about missing pongs was logged.
        self._warned_of_no_pong = False

    def ping(self, now: Moment) -> None:
        """Queue a ping, and log a warning when pongs have been missing for long."""
        self._heartbeat.ping(now)
        self._requests.ping()
        silent = self._heartbeat.without_pong(now)
        if silent > self._config.timings.no_pong and not self._warned_of_no_pong:
            self._warned_of_no_pong = True
            self._config.log.warning("data arrives, but no pong for %.0f s: the age of the data is unknown", silent)

    def hold_gaps(self, now: Moment) -> None:
        """Hold gaps until the pong of a ping that was sent at *now*, or a timeout."""
        if not self._wanted.tells_gaps and self.gaps_due is None:
            self.gaps_due = now.seconds + self._config.timings.probe

    def pong(self, pong: Pong, now: Moment) -> bool:
        """Learn the exchange's time from *pong*; return whether it could be learned."""
        sent = self._heartbeat.ponged(pong.req_id, now)
        if pong.at is None:
            return False
        self._coverage.told = pong.at
        if sent is not None:
            self._learn(pong.at, sent, now)
        return sent is not None

    def _learn(self, told: datetime, sent: Moment, now: Moment) -> None:
        clock = self._coverage.clock
        first = clock.offset is None
        clock.learn(told, sent=sent, received=now)
        offset = clock.offset or 0.0
        if first and abs(offset) >= SKEW_TOLERATED:
            which = "behind" if offset > 0 else "ahead of"
            self._config.log.warning("this machine's clock is %.1f s %s the exchange's: set it (NTP)", abs(offset), which)

    def overdue_gaps(self, now: Moment) -> Sequence[SessionEvent]:
        """Return the gaps after their timeout; the exchange may never answer a ping."""
        is_overdue = self.gaps_due is not None and now.seconds >= self.gaps_due
        return self.tell_gaps(now) if is_overdue else ()

    def tell_gaps(self, now: Moment) -> Sequence[SessionEvent]:
        """Return the held gaps, with the events behind them; hold none from now on."""
        self.gaps_due = None
        return () if self._wanted.tells_gaps else self._wanted.tell_gaps(now)
