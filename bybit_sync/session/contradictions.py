"""Refusals that contradict what the exchange said before, which end a login once and then count."""

from __future__ import annotations

from collections.abc import Collection

from bybit_sync.session.config import SessionConfig
from bybit_sync.session.messages import Answer
from bybit_sync.session.refusals import misses_login
from bybit_sync.text import printable

__all__ = ["Contradictions"]


class Contradictions:
    """The refusals of one session that contradict the exchange's own word.

    The first one ends the session, as a new login may mend it. The session after
    accepts the same refusal.
    """

    def __init__(self, config: SessionConfig, accepted: Collection[str]) -> None:
        self._config = config
        self.accepted: frozenset[str] = frozenset(accepted)
        """The topics whose refusal ended the login before; "" for a refusal that names none."""
        self.found: set[str] = set()
        """The topics whose refusal ended this login."""

    def check_login(self, name: str, answer: Answer) -> None:
        """Raise `ProtocolError` when *answer*, about the topic *name*, says that nobody is logged in."""
        if not answer.success and misses_login(answer.text) and name not in self.accepted - {""}:
            self.found.add(name)
            raise self._config.breach(f"takes the login for missing: {printable(answer.text)}")

    def record(self, name: str, what: str) -> None:
        """Raise `ProtocolError` for *what*, or log it when the login before ended with the same."""
        if name not in self.accepted:
            self.found.add(name)
            raise self._config.breach(what)
        self._config.log.warning("%s %s", self._config.environment, what)
