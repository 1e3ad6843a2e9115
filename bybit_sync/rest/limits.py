"""Rate limits per endpoint and key, and per host, over all clients of this process.

https://bybit-exchange.github.io/docs/v5/rate-limit
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from typing import Final

from bybit_sync.threads.forks import in_child

__all__ = ["HOST_RATE", "HostLimits", "host_limits"]

HOST_RATE: Final = 60.0
"""The most requests per second of this process to one host: half of what Bybit allows
an address.
"""
_KEPT: Final = 1_000


class _Turns:
    """The times of the latest requests, and the end of a pause.

    Not locked: `HostLimits` locks.
    """

    def __init__(self) -> None:
        self._taken: deque[float] = deque(maxlen=_KEPT)
        self.closed_until = 0.0

    def wait(self, rate: float, now: float) -> float:
        """Return the seconds to wait so that no second has more than *rate* turns."""
        turns = max(1, min(int(rate), _KEPT))
        period = 1.0 if rate >= 1.0 else 1.0 / rate
        free_at = self._taken[-turns] + period if len(self._taken) >= turns else now
        return max(0.0, self.closed_until - now, free_at - now)

    def take(self, now: float) -> None:
        """Record a turn."""
        self._taken.append(now)


class HostLimits:
    """The turns of one host. Any thread; *now* is always monotonic seconds."""

    def __init__(self) -> None:
        # Held for a few steps only; no thread waits while it holds it.
        self._lock = threading.Lock()
        self._host = _Turns()
        self._endpoints: defaultdict[tuple[bytes, str], _Turns] = defaultdict(_Turns)

    def reserve(self, key: bytes, endpoint: str, rate: float, now: float) -> float:
        """Take a turn and return 0.0, or return the seconds to wait.

        *key* (a digest) gets at most *rate* turns a second at *endpoint*.
        """
        with self._lock:
            turns = self._endpoints[key, endpoint]
            wait = max(self._host.wait(HOST_RATE, now), turns.wait(rate, now))
            if wait == 0.0:
                self._host.take(now)
                turns.take(now)
            return wait

    def pause(self, key: bytes, endpoint: str, until: float) -> None:
        """Block *key* at *endpoint* until *until*: the exchange's limit is used up."""
        with self._lock:
            turns = self._endpoints[key, endpoint]
            turns.closed_until = max(turns.closed_until, until)

    def block(self, until: float) -> None:
        """Block all requests to the host until *until*: it blocks this address."""
        with self._lock:
            self._host.closed_until = max(self._host.closed_until, until)

    def blocked_for(self, now: float) -> float:
        """Return the seconds for which the host blocks this address; 0.0 for none."""
        with self._lock:
            return max(0.0, self._host.closed_until - now)


_hosts: dict[str, HostLimits] = {}


def host_limits(host: str) -> HostLimits:
    """Return the limits of this process at *host* (``host:port``)."""
    return _hosts.setdefault(host, HostLimits())


# In a forked child: a thread of the parent may hold a lock, and the child has sent no
# requests yet.
in_child(_hosts.clear)
