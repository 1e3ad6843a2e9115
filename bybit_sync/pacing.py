"""When to try again: what a failure is worth, the backoff, and the limit on connections.

Bybit allows 500 connections in five minutes per address and domain, and bans addresses that reconnect in bursts:
https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from http import HTTPStatus

from attrs import Factory, define, field, frozen

from bybit_sync.config.arguments import at_least, positive, whole
from bybit_sync.config.timings import Timings
from bybit_sync.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailed,
    ConnectionLost,
    HandshakeRejected,
    ProtocolError,
    TLSError,
)
from bybit_sync.threads.forks import in_child

__all__ = ["Backoff", "ConnectLimit", "Failure", "Patience", "Turnstile", "judge", "turnstile"]


@frozen
class Backoff:
    """How the pause between attempts grows: at most *initial* · *factor*ⁿ and *maximum* seconds, at least half of that.

    *n* counts the failures since the last connection that stayed LIVE for 30 seconds. Chance spreads clients that were
    dropped together.

    Example:
        >>> [Backoff().delay(failures, chance=1) for failures in range(6)]  # at most
        [0.25, 0.5, 1.0, 2.0, 4.0, 5.0]
        >>> Client("KEY", "SECRET", backoff=Backoff(initial=1, maximum=30), name="main")
        <Client main: mainnet v5, IDLE, no stream>

    Raises:
        ConfigurationError: *initial* or *maximum* is not above 0, or *factor* less than 1.

    """

    initial: float = field(default=0.25, validator=positive)
    factor: float = field(default=2.0, validator=at_least(1))
    maximum: float = field(default=5.0, validator=positive)

    def delay(self, failures: int, chance: float) -> float:
        """Return the pause in seconds after *failures*, *chance* being drawn from [0, 1)."""
        try:
            ceiling = min(self.maximum, self.initial * self.factor**failures)
        except OverflowError:  # of the power, long after it stopped to matter
            ceiling = self.maximum
        return ceiling * (1 + chance) / 2


@frozen
class ConnectLimit:
    """How often a host may be connected to: *burst* times at once, then *refill* times per *period* seconds.

    It counts for the process and the host, over all clients; the strictest of the live clients' limits holds. An attempt
    that never reached the host (no name, TCP refused or timed out, a proxy that refused) does not count. The default leaves
    a fifth of the 500 connections that Bybit allows an address in five minutes to other programs.

    Example:
        >>> ConnectLimit()
        ConnectLimit(refill=300, period=300.0, burst=100)

    Raises:
        ConfigurationError: one of them is not above 0, or *burst* no whole number.

    """

    refill: float = field(default=300, validator=positive)
    period: float = field(default=300.0, validator=positive)
    burst: int = field(default=100, validator=whole)


# --- what a failure is worth ---


@frozen
class Failure:
    """What follows from one kind of failure."""

    hopeless: bool = False
    """Raised at once from a client that never was LIVE: another try cannot mend it."""
    pauses: tuple[float, ...] = (0.0,)
    """At least so many seconds before the next attempts; the last one stays."""
    last: bool = False
    """When the pauses are used up, the client fails."""
    loud: bool = False
    """Told as an ERROR, once."""


def judge(error: Exception, times: Timings) -> Failure:
    """Return what follows from *error*, the end of an attempt or of a connection."""
    match error:
        case AuthenticationError(transient=True) | ConnectionLost(code=1013):
            return Failure(pauses=(times.busy,))
        case AuthenticationError():
            return Failure(hopeless=True, pauses=times.refused, last=True, loud=True)
        case HandshakeRejected():
            return _of_status(error, times)
        case TLSError() | ConfigurationError():
            return Failure(hopeless=True, pauses=(times.distrust,), loud=True)
        case ConnectionFailed() | ProtocolError():
            return Failure()
    return Failure(hopeless=True, pauses=(), last=True, loud=True)


def _of_status(error: HandshakeRejected, times: Timings) -> Failure:
    match error.status:
        case HTTPStatus.FORBIDDEN:
            return Failure(hopeless=True, pauses=times.forbidden, loud=True)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return Failure(pauses=(times.crowded if error.retry_after is None else times.busy,))
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.NOT_FOUND | HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS:
            return Failure(hopeless=True, pauses=(times.distrust,), loud=True)
    redirected = HTTPStatus.MULTIPLE_CHOICES <= error.status < HTTPStatus.BAD_REQUEST
    return Failure(hopeless=True, pauses=(times.distrust,), loud=True) if redirected else Failure()


def _asked_for(error: Exception, times: Timings) -> float:
    """Return how many seconds the exchange itself asks for, within reason."""
    asked: float | None = getattr(error, "retry_after", None)
    return min(asked or 0.0, times.longest_wait)


@define
class Patience:
    """How long to wait this time, from the failures so far."""

    backoff: Backoff
    times: Timings
    failures: int = 0
    """Since the last connection that stayed LIVE long enough."""
    least: float = 0.0
    """What the last failure demands, whoever is in a hurry."""
    _streaks: dict[tuple[type[Exception], Failure], int] = Factory(dict)

    def after(self, error: Exception, chance: float, *, proven: bool) -> float | None:
        """Return the pause before the next attempt in seconds; None for no further attempt.

        *chance* is drawn from [0, 1); *proven* says that *error* ended a connection that had stayed LIVE long enough to
        forgive the failures before it.
        """
        failure = judge(error, self.times)
        kind = type(error), failure
        streak = self._streaks[kind] = self._streaks.get(kind, 0) + 1
        if failure.last and streak > len(failure.pauses):
            return None
        self.failures = 0 if proven else self.failures + 1
        pause = self.backoff.delay(self.failures, chance)
        self.least = max(failure.pauses[min(streak, len(failure.pauses)) - 1], _asked_for(error, self.times))
        return max(pause, self.least)

    def is_news(self, error: Exception) -> bool:
        """Say whether *error*, the last failure, is the first of its kind since the exchange let us in."""
        return self._streaks.get((type(error), judge(error, self.times))) == 1

    def accepted(self) -> None:
        """Forget refused logins and banned addresses: the exchange let us in."""
        self._streaks.clear()


# --- the limit on connections ---


# A part of a token that is only a sum's rounding is not waited for.
_ROUNDING = 1e-9


@frozen
class _User:
    """One client before a `Turnstile`: its limit, and what wakes its thread."""

    limit: ConnectLimit
    wake: Callable[[], None]


class Turnstile:
    """Lets a host be reached as often as the strictest of the limits that its users set. Any thread.

    A token bucket. An attempt takes its token when it reaches the host. While it is under way its token is set aside: if it
    fails before, the next user has it at once.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        # Held for a few steps only; nothing is woken under it.
        self._lock = threading.Lock()
        self._users: weakref.WeakKeyDictionary[object, _User] = weakref.WeakKeyDictionary()
        # Tokens taken beyond what has been refilled since.
        self._used = 0.0
        self._counted_at = now()
        self._waiting: list[object] = []  # in the order in which they came
        self._under_way: list[object] = []

    def join(self, user: object, limit: ConnectLimit, wake: Callable[[], None]) -> None:
        """Let *limit* hold as long as *user* lives or until it leaves; *wake* is called when its turn may have come nearer."""
        with self._lock:
            self._users[user] = _User(limit, wake)

    def leave(self, user: object) -> None:
        """Let the limit that *user* brought hold no longer."""
        self.give_back(user)
        with self._lock:
            self._users.pop(user, None)

    def turn(self, user: object) -> float:
        """Return 0.0 when *user* may dial now, else the seconds after which to ask again; it keeps its place until then."""
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

    def give_back(self, user: object) -> None:
        """Take back the turn of *user*, unless it has reached the host."""
        with self._lock:
            for users in (self._waiting, self._under_way):
                if user in users:
                    users.remove(user)
            others = [self._users[waiting].wake for waiting in self._waiting if waiting in self._users]
        for wake in others:
            wake()

    def _strictest(self) -> tuple[float, int]:
        limits = [user.limit for user in self._users.values()] or [ConnectLimit()]
        return min(limit.refill / limit.period for limit in limits), min(limit.burst for limit in limits)

    def _refill(self, rate: float) -> None:
        now = self._now()
        self._used = max(0.0, self._used - (now - self._counted_at) * rate)
        self._counted_at = now


_turnstiles: dict[str, Turnstile] = {}


def turnstile(host: str, now: Callable[[], float]) -> Turnstile:
    """Return the one turnstile of this process before *host*."""
    return _turnstiles.setdefault(host, Turnstile(now))


# Another thread of the parent's may be inside, and the child has no clients yet.
in_child(_turnstiles.clear)
