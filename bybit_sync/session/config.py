"""What every session of a client has in common."""

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
    """What every session of a client has in common."""

    dialect: Dialect
    categories: tuple[str, ...] | None
    timings: Timings
    client: str
    environment: str
    log: logging.Logger | logging.LoggerAdapter[logging.Logger]
    redact: Callable[[str], str]
    """Takes key and signature out of what the exchange says."""
    hint: str = ""
    """What to add to a refused login's remedy: the environments that the key may belong to."""
    notice: str = ""
    """What to add to every error: that the dialect was switched off where this client connects to."""

    def breach(self, what: str) -> ProtocolError:
        """Return the error for *what* the exchange must not do; it is worth looking into, so it is logged as one."""
        error = ProtocolError(f"{self.environment} {what}")
        self.log.error("%s", error)
        return error
