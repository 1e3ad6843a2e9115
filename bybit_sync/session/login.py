"""The login: sent, answered, and sent once more when our clock may be wrong."""

from __future__ import annotations

from enum import Enum

from bybit_sync.clock import ExchangeClock, Moment
from bybit_sync.errors import AuthenticationError, ConnectionLost
from bybit_sync.session.config import SessionConfig
from bybit_sync.session.messages import Answer
from bybit_sync.session.refusals import Refusal, RefusalKind, classify_refusal
from bybit_sync.session.requests import PendingRequests
from bybit_sync.text import printable

__all__ = ["Login"]


class Phase(Enum):
    """The progress of a login."""

    ASKED = "waiting for the answer"
    MEASURING = "refused; waiting for a pong to learn the exchange's time"
    ACCEPTED = "logged in"


class Login:
    """The login of one session."""

    def __init__(self, config: SessionConfig, clock: ExchangeClock, requests: PendingRequests, now: Moment) -> None:
        self._config = config
        self._times = config.timings
        self._clock = clock
        self._requests = requests
        self._refusal: AuthenticationError | None = None
        self._ask(now)

    @property
    def due(self) -> float | None:
        """Return when the expected message is overdue (monotonic clock).

        Returns None once the login is accepted.
        """
        return None if self._phase is Phase.ACCEPTED else self._due

    @property
    def is_accepted(self) -> bool:
        """Return whether the exchange accepted the login."""
        return self._phase is Phase.ACCEPTED

    @property
    def is_measuring(self) -> bool:
        """Return whether a pong must come before `again`."""
        return self._phase is Phase.MEASURING

    def answered(self, answer: Answer, now: Moment) -> None:
        """Apply the exchange's answer.

        Raises `AuthenticationError` for a refusal that a corrected clock cannot change.
        """
        if answer.success:
            self._phase = Phase.ACCEPTED
            return
        refusal = classify_refusal(answer.text, answer.code)
        error = self._error(answer.text, refusal)
        if refusal.kind is not RefusalKind.CLOCK or self._refusal is not None:
            raise error
        # The same text means a wrong clock or a wrong login: measure the clock, sign
        # once more, and accept a second refusal.
        self._refusal = error
        self._phase = Phase.MEASURING
        self._due = now.seconds + self._times.pong_timeout

    def unasked(self, answer: Answer) -> None:
        """Apply an answer that no request expects.

        Raises `ProtocolError` when it withdraws an accepted login.
        """
        # With a req_id it is a second answer to a login that is already decided.
        if self.is_accepted and not answer.success and answer.req_id is None:
            raise self._config.breach(f"takes back that it accepted the login: {printable(answer.text)}")

    def again(self, now: Moment) -> None:
        """Send the login again, signed with the exchange's time."""
        self._config.log.info("the login was refused; it is signed again with the exchange's time")
        self._ask(now)

    def sent(self, now: Moment) -> None:
        """Record that the login was sent; signing it may have taken long."""
        self._due = now.seconds + self._times.request_timeout

    def check(self, now: Moment) -> None:
        """Raise `ConnectionLost` when the answer is overdue."""
        if self.due is not None and now.seconds >= self.due:
            seconds = self._times.request_timeout
            raise ConnectionLost(f"{self._config.environment} did not answer the login within {seconds:g} s")

    def ending(self, error: Exception) -> Exception:
        """Return the real reason for the end of the session.

        A refused login is the reason for every error after it.
        """
        return self._refusal if self.is_measuring and self._refusal is not None else error

    def _ask(self, now: Moment) -> None:
        expires = self._clock.at(now).timestamp() + self._times.auth_window
        self._phase = Phase.ASKED
        self._due = now.seconds + self._times.request_timeout
        self._requests.send("auth", round(expires * 1000))

    def _error(self, text: str, refusal: Refusal) -> AuthenticationError:
        offset = self._clock.offset
        measured = f" (the exchange's clock minus this one: {offset:+.3f} s)" if offset is not None else ""
        remedy = f"{refusal.remedy} {self._config.hint}".strip()
        waits = {RefusalKind.BUSY: self._times.busy, RefusalKind.RATE_LIMITED: self._times.crowded}
        said = printable(text).rstrip(".") or "it gives no reason"
        return AuthenticationError(
            f"{self._config.environment} refused the login: {said}{measured}. {remedy}",
            text=text,
            remedy=remedy,
            clock_offset=offset,
            transient=refusal.kind in waits,
            retry_after=waits.get(refusal.kind),
        )
