"""Refusals that contradict earlier answers: the first ends a login, the next counts."""

from __future__ import annotations

from collections.abc import Collection

from bybit_sync.session.config import SessionConfig
from bybit_sync.session.messages import Answer
from bybit_sync.session.refusals import misses_login
from bybit_sync.text import printable

__all__ = ["Contradictions"]


class Contradictions:
    """The refusals of one session that contradict earlier answers of the exchange.

    The first one ends the session, because a new login may help. The next session
    accepts the same refusal.
    """

    def __init__(self, config: SessionConfig, accepted: Collection[str]) -> None:
        self._config = config
        self.accepted: frozenset[str] = frozenset(accepted)
        """The topics whose refusal ended the login before; "" for a refusal without a
        topic.
        """
        self.found: set[str] = set()
        """The topics whose refusal ended this login."""

    def check_login(self, name: str, answer: Answer) -> None:
        """Raise `ProtocolError` when *answer* refuses a topic for want of a login.

        *name* is the topic.
        """
        if not answer.success and misses_login(answer.text) and name not in self.accepted - {""}:
            self.found.add(name)
            raise self._config.breach(f"takes the login for missing: {printable(answer.text)}")

    def record(self, name: str, what: str) -> None:
        """Raise `ProtocolError` for *what*; log it if it ended the login before."""
        if name not in self.accepted:
            self.found.add(name)
            raise self._config.breach(what)
        self._config.log.warning("%s %s", self._config.environment, what)
