"""The settings that all sessions of a client share."""

from __future__ import annotations

import logging
from collections.abc import Callable

from attrs import frozen

from bybit_sync.config.timings import Timings
from bybit_sync.errors import ProtocolError
from bybit_sync.session.dialects import Dialect

__all__ = ["SessionConfig"]


@frozen(kw_only=True)
class SessionConfig:
    """The settings that all sessions of a client share."""

    dialect: Dialect
    categories: tuple[str, ...] | None
    timings: Timings
    client: str
    environment: str
    log: logging.Logger | logging.LoggerAdapter[logging.Logger]
    redact: Callable[[str], str]
    """A function that removes key and signature from a text of the exchange."""
    hint: str = ""
    """A text added to the remedy of a refused login: the environments that the key may
    belong to.
    """
    notice: str = ""
    """A text added to every error: that the dialect was switched off in this
    environment.
    """

    def breach(self, what: str) -> ProtocolError:
        """Log *what*, a breach of the protocol, and return its error."""
        error = ProtocolError(f"{self.environment} {what}")
        self.log.error("%s", error)
        return error
