"""The rule for logging the exceptions of a callback that may raise at every event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import define

__all__ = ["LOG_INTERVAL", "RepeatedErrors"]

LOG_INTERVAL: Final = 60.0
"""The seconds between two log records about one kind of exception."""
# The number of kinds that are remembered; the oldest one is forgotten.
_MOST_KINDS: Final = 20


@define
class _Kind:
    """One kind: when it was last logged, and how often it was raised since."""

    logged: float
    count: int = 0


class RepeatedErrors:
    """Decides which exceptions of a callback are logged.

    The first of a kind (of one class, raised on one line) is logged, further ones as a
    number. *now* is in seconds on the monotonic clock. One thread.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def is_first(self, error: BaseException, now: float) -> bool:
        """Count *error*; return whether it is the first of its kind."""
        name = _name(error)
        kind = self._kinds.get(name)
        if kind is not None:
            kind.count += 1
            return False
        if len(self._kinds) >= _MOST_KINDS:
            del self._kinds[next(iter(self._kinds))]
        self._kinds[name] = _Kind(now)
        return True

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
