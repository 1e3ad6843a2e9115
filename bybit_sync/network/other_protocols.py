"""Answers of servers that speak another protocol than HTTP."""

from __future__ import annotations

from typing import Final

from bybit_sync.text import printable

__all__ = ["not_http"]

# The first byte of a TLS record that is an alert, or a handshake message.
_TLS: Final = (b"\x15", b"\x16")


def not_http(data: bytes) -> str:
    """Return a text with a remedy about *data*, the answer to an HTTP request."""
    remedy = "it is TLS: give wss://" if data.startswith(_TLS) else "is this the right port?"
    return f"the answer is not HTTP but {printable(data, 80)!r}; {remedy}"
