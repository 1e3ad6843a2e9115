"""The exit codes, as tables that ``--help`` prints and `entry` uses."""

from __future__ import annotations

from typing import Final

from bybit_sync.errors import (
    BybitSyncError,
    ConfigurationError,
    ConnectTimeout,
    RecordingError,
    RedisStreamError,
    RedisUnavailable,
    Refused,
)

__all__ = ["DAMAGED", "DONE", "EXITS", "MISSING", "REFUSED", "UNCERTAIN", "UNREACHABLE", "WRONG", "code_of", "described"]

DONE, MISSING, WRONG, UNREACHABLE, REFUSED, DAMAGED, UNCERTAIN = range(7)

EXITS: Final = {
    DONE: "done; of check: everything works",
    MISSING: "something is not installed, and what to install was said",
    WRONG: "wrong arguments, no key, or a key file that others can read",
    UNREACHABLE: "the exchange or the Redis server cannot be reached",
    REFUSED: "the exchange refuses the login or a topic, or the Redis server a stream",
    DAMAGED: "a file cannot be read or written, or a recording is damaged",
    UNCERTAIN: "of account: printed, but something could not be read in time",
    129: "the terminal was closed (SIGHUP)",
    130: "Ctrl-C (SIGINT)",
    143: "asked to end (SIGTERM)",
}

# The first match counts: an error of the library may be an OSError too.
_ERRORS: Final = (
    (ConfigurationError, WRONG),
    (RecordingError, DAMAGED),
    (Refused, REFUSED),
    (RedisUnavailable, UNREACHABLE),
    (RedisStreamError, REFUSED),
    (BybitSyncError, UNREACHABLE),
    (OSError, DAMAGED),
)


def code_of(error: BaseException) -> int | None:
    """Return the exit code for *error*; None for a bug, which needs its traceback."""
    cause = error.__cause__
    if isinstance(error, ConfigurationError) and isinstance(cause, ModuleNotFoundError):
        return MISSING
    if isinstance(error, ConnectTimeout) and isinstance(cause, Refused):
        return REFUSED
    return next((code for kind, code in _ERRORS if isinstance(error, kind)), None)


def described() -> str:
    """Return the codes as ``--help`` shows them."""
    return "exit codes:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in EXITS.items())
