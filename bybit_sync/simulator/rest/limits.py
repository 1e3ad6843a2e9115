"""Rate limits: of a key at an endpoint, and of an address.

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
    """The state of a key's limit at an endpoint.

    *limit* is requests a second, *left* how many remain, *wait* the seconds until one
    does.

    *is_over*: this request was one too many.
    """

    limit: int
    left: int
    wait: float
    is_over: bool


class KeyLimits:
    """The requests of the last second, for each key and endpoint. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[tuple[str, str], deque[float]] = defaultdict(deque)

    def take(self, key: str, name: str, limit: int, now: float) -> Standing:
        """Count a request of *key* to the endpoint *name*, unless it is refused.

        *now* is monotonic seconds.
        """
        with self._lock:
            taken = self._taken[key, name]
            while taken and taken[0] <= now - 1.0:
                taken.popleft()
            if len(taken) >= limit:
                return Standing(limit, 0, taken[0] + 1.0 - now, is_over=True)
            taken.append(now)
            return Standing(limit, limit - len(taken), 0.0, is_over=False)


class AddressLimit:
    """The limit of an address: 600 requests in 5 seconds, else a ban of 10 minutes.

    All clients of a loopback exchange have one address.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: deque[float] = deque()
        self._banned_until = 0.0

    def is_banned(self, now: float) -> bool:
        """Count a request and return whether it is refused.

        *now* is monotonic seconds.
        """
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
