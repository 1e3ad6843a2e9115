"""Notices in the text of an error, and the redaction of secrets in it."""

from __future__ import annotations

from collections.abc import Callable

from bybit_sync.errors import ConnectionFailed, Refused

__all__ = ["add_notice", "connect_limit_reached", "redact_error"]


def add_notice(error: Exception, notice: str) -> None:
    """Add *notice*, for users of an old dialect, to *error* unless it has it."""
    if notice and notice not in str(error):
        error.args = (f"{str(error).rstrip('.')}. {notice}",)
        if isinstance(error, Refused):
            error.remedy = f"{error.remedy} {notice}"


def redact_error(error: Exception, redact: Callable[[str], str]) -> None:
    """Remove key and signatures from *error* with *redact*.

    An exchange may repeat them anywhere, even in a close frame.
    """
    error.args = (redact(str(error)),)
    vars(error).update({name: redact(value) for name, value in vars(error).items() if isinstance(value, str)})


def connect_limit_reached(seconds: float, before: BaseException | None) -> ConnectionFailed:
    """Return the error for a connect limit that allows no attempt for *seconds*.

    *before* is the failure before it.
    """
    text = (
        f"the connect limit lets the next attempt through in {seconds:.1f} s. Raise connect_limit= if nothing else connects "
        "from this address: Bybit allows an address 500 connections in 5 minutes"
    )
    error = ConnectionFailed(text if before is None else f"{text}; the failure before: {before}")
    error.__cause__ = before
    return error
