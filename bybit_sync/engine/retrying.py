"""Retries: a rule for each kind of failure, and the growing pauses between attempts."""

from __future__ import annotations

from http import HTTPStatus

from attrs import Factory, define, field, frozen

from bybit_sync.config.arguments import at_least, positive
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

__all__ = ["Backoff", "RetryRule", "RetrySchedule", "rule_for"]


@frozen
class Backoff:
    """The growing pauses between attempts.

    Each is at most *initial* · *factor*ⁿ and *maximum* seconds, and at least half of
    that. *n* counts the failures since the last connection that stayed LIVE for 30
    seconds. A random part spreads clients that were dropped together.

    Example:
        >>> [Backoff().delay(failures, chance=1) for failures in range(6)]  # at most
        [0.25, 0.5, 1.0, 2.0, 4.0, 5.0]
        >>> Client("KEY", "SECRET", backoff=Backoff(initial=1, maximum=30), name="main")
        <Client main: mainnet v5, IDLE, no stream>

    Raises:
        ConfigurationError: *initial* or *maximum* is not above 0, or *factor* less than
            1.

    """

    initial: float = field(default=0.25, validator=positive)
    factor: float = field(default=2.0, validator=at_least(1))
    maximum: float = field(default=5.0, validator=positive)

    def delay(self, failures: int, chance: float) -> float:
        """Return the pause in seconds after *failures*; *chance* is in [0, 1)."""
        try:
            ceiling = min(self.maximum, self.initial * self.factor**failures)
        except OverflowError:  # the power is too large; *maximum* has applied for long
            ceiling = self.maximum
        return ceiling * (1 + chance) / 2


# --- a rule for each failure ---


@frozen
class RetryRule:
    """The rule for one kind of failure."""

    fatal_on_first: bool = False
    """True when a client that never was LIVE raises it at once, because a retry cannot
    help.
    """
    pauses: tuple[float, ...] = (0.0,)
    """The shortest delays before the next attempts; the last value repeats."""
    gives_up: bool = False
    """True when the client fails after the last delay."""
    log_error: bool = False
    """True when it is logged once, as an ERROR."""


def rule_for(error: Exception, times: Timings) -> RetryRule:
    """Return the rule for *error*, which ended an attempt or a connection."""
    match error:
        case AuthenticationError(transient=True) | ConnectionLost(code=1013):
            return RetryRule(pauses=(times.busy,))
        case AuthenticationError():
            return RetryRule(fatal_on_first=True, pauses=times.refused, gives_up=True, log_error=True)
        case HandshakeRejected():
            return _of_status(error, times)
        case TLSError() | ConfigurationError():
            return RetryRule(fatal_on_first=True, pauses=(times.distrust,), log_error=True)
        case ConnectionFailed() | ProtocolError():
            return RetryRule()
    return RetryRule(fatal_on_first=True, pauses=(), gives_up=True, log_error=True)


def _of_status(error: HandshakeRejected, times: Timings) -> RetryRule:
    match error.status:
        case HTTPStatus.FORBIDDEN:
            return RetryRule(fatal_on_first=True, pauses=times.forbidden, log_error=True)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return RetryRule(pauses=(times.crowded if error.retry_after is None else times.busy,))
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.NOT_FOUND | HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS:
            return RetryRule(fatal_on_first=True, pauses=(times.distrust,), log_error=True)
    redirected = HTTPStatus.MULTIPLE_CHOICES <= error.status < HTTPStatus.BAD_REQUEST
    return RetryRule(fatal_on_first=True, pauses=(times.distrust,), log_error=True) if redirected else RetryRule()


def _asked_for(error: Exception, times: Timings) -> float:
    """Return the seconds that the exchange asks for, up to a limit."""
    asked: float | None = getattr(error, "retry_after", None)
    return min(asked or 0.0, times.longest_wait)


@define
class RetrySchedule:
    """The pauses of one client, computed from its failures so far."""

    backoff: Backoff
    times: Timings
    failures: int = 0
    """The failures since the last connection that stayed LIVE long enough."""
    least: float = 0.0
    """The seconds after the last failure before which `reconnect` does not connect."""
    _streaks: dict[tuple[type[Exception], RetryRule], int] = Factory(dict)

    def after(self, error: Exception, chance: float, *, proven: bool) -> float | None:
        """Return the pause before the next attempt in seconds; None to give up.

        *chance* is in [0, 1). *proven* means that *error* ended a connection that had
        stayed LIVE long enough to forget the failures before it.
        """
        rule = rule_for(error, self.times)
        kind = type(error), rule
        streak = self._streaks[kind] = self._streaks.get(kind, 0) + 1
        if rule.gives_up and streak > len(rule.pauses):
            return None
        self.failures = 0 if proven else self.failures + 1
        pause = self.backoff.delay(self.failures, chance)
        asked = _asked_for(error, self.times)
        self.least = max(rule.pauses[0], asked)
        return max(pause, rule.pauses[min(streak, len(rule.pauses)) - 1], asked)

    def is_first_of_kind(self, error: Exception) -> bool:
        """Return whether *error*, the last failure, is the first of its kind.

        Counted since the last login.
        """
        return self._streaks.get((type(error), rule_for(error, self.times))) == 1

    def accepted(self) -> None:
        """Forget the failures by kind, because a login was accepted."""
        self._streaks.clear()
