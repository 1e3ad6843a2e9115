"""The rule for logging the exceptions of a callback that may raise at every event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import define

__all__ = ["LOG_INTERVAL", "RepeatedErrors"]

LOG_INTERVAL: Final = 60.0
"""The seconds between two log records about one kind of exception."""
# The number of kinds that are told apart; all others count as one.
_MOST_KINDS: Final = 20
_OTHERS: Final = "exceptions of other kinds"


@define
class _Kind:
    """One kind: when it was last logged, and how often it was raised since."""

    logged: float
    count: int = 0


class RepeatedErrors:
    """Decides which exceptions of a callback are logged.

    The first of a kind (of one class, raised on one line) is logged, further ones as a
    number. From the 21st kind on all of them are one kind. *now* is in seconds on the
    monotonic clock. One thread.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def is_first(self, error: BaseException, now: float) -> bool:
        """Count *error*; return whether it is the first of its kind."""
        name = _name(error)
        if name not in self._kinds and len(self._kinds) >= _MOST_KINDS:
            name = _OTHERS
        if name not in self._kinds:
            self._kinds[name] = _Kind(now)
            return True
        self._kinds[name].count += 1
        return False

    def due(self, now: float, interval: float = LOG_INTERVAL) -> Iterator[str]:
        """Yield a text for each kind that was not logged for *interval* seconds."""
        for name, kind in self._kinds.items():
            if kind.count and now - kind.logged >= interval:
                yield f"{name}, {kind.count} more times in {now - kind.logged:.0f} s"
                kind.logged, kind.count = now, 0


def _name(error: BaseException) -> str:
    """Return the class of *error*, and the file and line that raised it."""
    trace, line = error.__traceback__, ""
    while trace is not None:
        line = f" in {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}{line}"
