"""Tables that can be read as they were a few seconds ago.

Pure: the clock is an argument. A REST host may answer from older books; each change is
recorded with the value before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import attrs

__all__ = ["History", "Table"]

K = TypeVar("K")
V = TypeVar("V")
# The age up to which a table can be read, in seconds, and the most changes that are
# kept.
HORIZON: Final = 60.0
MOST_CHANGES: Final = 100_000
_ABSENT: Final[Any] = object()


@attrs.frozen
class _Change:
    at: float
    table: int
    key: Any
    before: Any


class History:
    """The latest changes of some tables. Not locked: the account does that.

    *clock* returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changes: deque[_Change] = deque(maxlen=MOST_CHANGES)

    def record(self, table: Mapping[Any, Any], key: object) -> None:
        """Remember what *table* holds under *key* before it is changed."""
        now = self._clock()
        while self._changes and self._changes[0].at < now - HORIZON:
            self._changes.popleft()
        self._changes.append(_Change(now, id(table), key, table.get(key, _ABSENT)))

    def as_of(self, seconds: float, tables: Iterable[Mapping[Any, Any]]) -> list[dict[Any, Any]]:
        """Return copies of *tables* as they were *seconds* ago, at most 60."""
        copies = {id(table): dict(table) for table in tables}
        then = self._clock() - seconds
        for change in reversed(self._changes):
            if change.at <= then:
                break
            _take_back(copies[change.table], change)
        return list(copies.values())


def _take_back(copy: dict[Any, Any], change: _Change) -> None:
    if change.before is _ABSENT:
        copy.pop(change.key, None)
    else:
        copy[change.key] = change.before


class Table(dict[K, V]):
    """A dict that records its changes in a `History`.

    Only item assignment, ``del``, ``pop`` and ``setdefault`` are recorded.
    """

    def __init__(self, history: History, content: Mapping[K, V] | None = None) -> None:
        super().__init__(content or {})
        self._history = history

    def __setitem__(self, key: K, value: V) -> None:
        self._history.record(self, key)
        super().__setitem__(key, value)

    def __delitem__(self, key: K) -> None:
        self._history.record(self, key)
        super().__delitem__(key)

    def pop(self, key: K, default: Any = None) -> Any:
        """Remove *key* and return its value, or *default*."""
        if key not in self:
            return default
        value = self[key]
        del self[key]
        return value

    def setdefault(self, key: K, default: Any = None) -> Any:
        """Return the value of *key*, set to *default* when there was none."""
        if key not in self:
            self[key] = default
        return self[key]
