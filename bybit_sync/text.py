"""Make foreign text safe for a log line, an error and a terminal."""

from __future__ import annotations

__all__ = ["printable", "quoted"]

_SHOWN = 100  # characters of a text in quotes


def printable(text: bytes | str, limit: int = 200) -> str:
    """Return a peer's *text*, with control characters escaped.

    At most *limit* bytes or characters of it.
    """
    text = text[:limit]
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def quoted(text: str) -> str:
    """Return *text* in quotes, control characters escaped, cut at 100 characters."""
    return ascii(text[:_SHOWN]) + ("..." if len(text) > _SHOWN else "")
