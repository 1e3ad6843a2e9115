"""The interface of a connection that is logged in to an account.

The books are below the server and import nothing of it: an account pushes through this
interface, which `bybit_sync.simulator.Connection` implements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from bybit_sync.simulator.dialects import Dialect, Topic

__all__ = ["AccountConnection"]


class AccountConnection(Protocol):
    """A connection as an account sees it; see `bybit_sync.simulator.Connection`."""

    gateway: Dialect
    epoch: int
    received: list[Any]

    @property
    def account(self) -> object:
        """The account that is logged in; None before the login."""

    @property
    def is_open(self) -> bool:
        """True until either side ends the connection."""

    @property
    def topics(self) -> Sequence[str]:
        """The names of the subscribed topics, oldest first."""

    def has(self, topic: str) -> bool:
        """Return whether *topic*, or one that carries it, is subscribed."""

    def push(self, message_for: Callable[[Topic], str | None]) -> None:
        """Send what *message_for* returns for each subscribed topic, if not None."""

    def send_raw(self, message: str | bytes) -> None:
        """Send *message* as one text or binary message."""

    def send_bytes(self, data: bytes) -> None:
        """Write *data* into the TCP connection, without framing it."""

    def freeze(self, *, mid_frame: bool = False) -> None:
        """Hold everything that would be sent until `thaw`."""

    def thaw(self) -> None:
        """Send everything that was held, in order."""

    def half_open(self) -> None:
        """Stop reading and writing, while TCP stays up; this cannot be undone."""

    def drop(self, *, code: int | None = None, reason: str = "", reset: bool = False) -> None:
        """End the connection: with a FIN, a RST, or a close frame first."""
