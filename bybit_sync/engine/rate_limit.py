"""The limit on connects to a host, over all clients of a process.

Bybit allows 500 connections in five minutes per address and domain, and bans addresses
that reconnect in bursts:
https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

from attrs import field, frozen

from bybit_sync.config.arguments import positive, whole
from bybit_sync.threads.forks import in_child

__all__ = ["ConnectLimit", "RateLimiter", "rate_limiter"]


@frozen
class ConnectLimit:
    """The limit on connects to a host, over all clients of a process.

    It allows *burst* connects at once, then *refill* per *period* seconds. Each host is
    counted separately; the strictest of the live clients' limits holds. An attempt that
    never reached the host (no name, TCP refused or timed out, a proxy that refused)
    does not count. The default leaves a fifth of the 500 connections that Bybit allows
    an address in five minutes to other programs.

    Example:
        >>> ConnectLimit()
        ConnectLimit(refill=300, period=300.0, burst=100)

    Raises:
        ConfigurationError: one of them is not above 0, or *burst* no whole number.

    """

    refill: float = field(default=300, validator=positive)
    period: float = field(default=300.0, validator=positive)
    burst: int = field(default=100, validator=whole)


# A missing part of a token below this is a rounding error.
_ROUNDING = 1e-9


@frozen
class _User:
    """A user of a `RateLimiter`: its limit, and the function that wakes its thread."""

    limit: ConnectLimit
    wake: Callable[[], None]


class RateLimiter:
    """A token bucket for one host, with the strictest of its users' limits. Any thread.

    An attempt takes its token when it reaches the host. Until then the token is
    reserved; if the attempt fails before, the next user gets it at once.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        # Held for a few steps only; no thread is woken under it.
        self._lock = threading.Lock()
        # By weak references, and changed under the lock only. A WeakKeyDictionary would
        # drop a user in whichever thread collects it, while another thread iterates.
        self._users: dict[weakref.ref[object], _User] = {}
        # The tokens taken, less those refilled since.
        self._used = 0.0
        self._counted_at = now()
        self._waiting: list[object] = []  # in the order of arrival
        self._under_way: list[object] = []

    def add(self, user: object, limit: ConnectLimit, wake: Callable[[], None]) -> None:
        """Apply *limit* as long as *user* lives or until `remove`.

        *wake* is called when a turn may have become free.
        """
        with self._lock:
            self._users[weakref.ref(user)] = _User(limit, wake)

    def remove(self, user: object) -> None:
        """Remove the limit of *user*."""
        self.cancel(user)
        with self._lock:
            self._users.pop(weakref.ref(user), None)

    def reserve(self, user: object) -> float:
        """Return 0.0 if *user* may dial now, else the seconds to wait before asking.

        It keeps its place in the queue until then.
        """
        with self._lock:
            rate, burst = self._strictest()
            self._refill(rate)
            if user not in self._waiting:
                self._waiting.append(user)
            missing = self._used + len(self._under_way) + self._waiting.index(user) + 1 - burst
            if missing > _ROUNDING:
                return missing / rate
            self._waiting.remove(user)
            self._under_way.append(user)
            return 0.0

    def reached(self, user: object) -> None:
        """Count the attempt of *user*: it has reached the host."""
        with self._lock:
            if user in self._under_way:
                self._under_way.remove(user)
                self._refill(self._strictest()[0])
                self._used += 1

    def cancel(self, user: object) -> None:
        """Cancel the reservation of *user*, unless it has reached the host."""
        with self._lock:
            for users in (self._waiting, self._under_way):
                if user in users:
                    users.remove(user)
            others = [other.wake for waiting in self._waiting if (other := self._users.get(weakref.ref(waiting)))]
        for wake in others:
            wake()

    def _strictest(self) -> tuple[float, int]:
        self._users = {place: user for place, user in self._users.items() if place() is not None}
        limits = [user.limit for user in self._users.values()] or [ConnectLimit()]
        return min(limit.refill / limit.period for limit in limits), min(limit.burst for limit in limits)

    def _refill(self, rate: float) -> None:
        now = self._now()
        self._used = max(0.0, self._used - (now - self._counted_at) * rate)
        self._counted_at = now


_limiters: dict[str, RateLimiter] = {}


def rate_limiter(host: str, now: Callable[[], float]) -> RateLimiter:
    """Return the one limiter of this process for *host*."""
    return _limiters.setdefault(host, RateLimiter(now))


# At a fork another thread of the parent may hold the lock. The child has no clients
# yet.
in_child(_limiters.clear)
