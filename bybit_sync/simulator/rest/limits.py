"""How often a key may ask an endpoint, in a rolling second, and an address at all.

https://bybit-exchange.github.io/docs/v5/rate-limit
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from typing import Final

import attrs

__all__ = ["AddressLimit", "KeyLimits", "Standing"]

ADDRESS_REQUESTS: Final = 600
ADDRESS_SECONDS: Final = 5.0
BAN_SECONDS: Final = 600.0


@attrs.frozen
class Standing:
    """Where a key stands at an endpoint: its *limit* a second, how many requests are *left*, *wait* seconds until one is.

    *is_over*: this request was one too many.
    """

    limit: int
    left: int
    wait: float
    is_over: bool


class KeyLimits:
    """Rolling seconds, one for each key and endpoint. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[tuple[str, str], deque[float]] = defaultdict(deque)

    def take(self, key: str, name: str, limit: int, now: float) -> Standing:
        """Count a request of *key* to the endpoint *name* at *now* (monotonic seconds); one that is refused does not count."""
        with self._lock:
            taken = self._taken[key, name]
            while taken and taken[0] <= now - 1.0:
                taken.popleft()
            if len(taken) >= limit:
                return Standing(limit, 0, taken[0] + 1.0 - now, is_over=True)
            taken.append(now)
            return Standing(limit, limit - len(taken), 0.0, is_over=False)


class AddressLimit:
    """The requests of the one address that clients of a loopback exchange have: 600 in 5 seconds, then a ban for 10 minutes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: deque[float] = deque()
        self._banned_until = 0.0

    def is_banned(self, now: float) -> bool:
        """Count a request at *now* (monotonic seconds) and return whether it is refused."""
        with self._lock:
            while self._taken and self._taken[0] <= now - ADDRESS_SECONDS:
                self._taken.popleft()
            self._taken.append(now)
            if len(self._taken) > ADDRESS_REQUESTS:
                self._banned_until = now + BAN_SECONDS
            return now < self._banned_until

    def lift(self) -> None:
        """End a ban."""
        with self._lock:
            self._taken.clear()
            self._banned_until = 0.0
