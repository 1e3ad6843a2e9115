"""The log records of an outage: its cause, reminders while it lasts, its length."""

from __future__ import annotations

import math

from bybit_sync.config.timings import Timings, due
from bybit_sync.logs import ClientLog

__all__ = ["OutageLog"]


class OutageLog:
    """The time since a client was LIVE, or first tried to connect.

    Only the connection thread calls it; *now* is the monotonic time.
    """

    def __init__(self, log: ClientLog, times: Timings) -> None:
        self._log = log
        self._times = times
        self._since: float | None = None
        self._told = 0

    def begin(self, now: float) -> None:
        """Begin an outage at *now*, unless one lasts."""
        if self._since is None:
            self._since, self._told = now, 0

    def failed(self, error: Exception, pause: float, *, log_error: bool) -> None:
        """Log the cause: as an ERROR if *log_error*, else one WARNING per outage."""
        level = self._log.error if log_error else self._log.debug if self._told else self._log.warning
        level("%s; next attempt in %.1f s", error, pause)
        self._told = max(self._told, 1)

    def next_reminder(self) -> float:
        """Return when `remind` is due; infinity if no cause was logged."""
        if self._since is None or not self._told:
            return math.inf
        return self._since + due(self._told - 1, self._times.outage_reminders)

    def remind(self, now: float, error: BaseException | None) -> None:
        """Log that the outage lasts, when that is due."""
        if self._since is not None and now >= self.next_reminder():
            self._told += 1
            self._log.warning("not live for %.0f s: %s", now - self._since, error)

    def forget(self) -> None:
        """End the outage without a log record."""
        self._since = None

    def end(self, now: float) -> float | None:
        """Log the length of the outage and return it in seconds; None without one."""
        since, self._since = self._since, None
        if since is None:
            return None
        self._log.info("live after %.1f s", now - since)
        return now - since
