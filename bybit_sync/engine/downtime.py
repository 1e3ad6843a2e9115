"""The outages of a client: their number, and the time that it was not LIVE in them."""

from __future__ import annotations

__all__ = ["Downtime"]


class Downtime:
    """The outages of a client since it was LIVE first.

    Only the connection thread changes it; any thread may read it. *now* is the
    monotonic time in seconds.
    """

    def __init__(self) -> None:
        self.outages: int = 0
        """The number of outages, one that lasts included."""
        # The seconds of the outages that are over, and the begin of one that lasts.
        # Replaced as a whole: a reader on another thread counts none twice.
        self._parts: tuple[float, float | None] = (0.0, None)

    def begin(self, now: float) -> None:
        """Begin an outage at *now*."""
        self.outages += 1
        self._parts = self._parts[0], now

    def end(self, now: float) -> None:
        """End the outage, if there is one, at *now*."""
        self._parts = self.seconds(now), None

    def seconds(self, now: float) -> float:
        """Return the sum of all outages at *now*. Any thread."""
        ended, since = self._parts
        return ended if since is None else ended + max(0.0, now - since)
