"""An immutable mapping that is cheap to change, however many rows it has."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Final, TypeVar

__all__ = ["Rows"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# A change copies one part: with 10,000 rows about 40 of them.
_PARTS: Final = 256
_EMPTY: Final[dict[Any, Any]] = {}
_NONE: Final = (_EMPTY,) * _PARTS


class Rows(Mapping[K, V]):
    """Rows by key, in no order. Immutable."""

    __slots__ = ("_count", "_parts")

    def __init__(self, rows: Mapping[K, V] = _EMPTY) -> None:
        parts: list[dict[K, V]] = [{} for _ in range(_PARTS)] if rows else list(_NONE)
        for key, row in rows.items():
            parts[hash(key) % _PARTS][key] = row
        self._parts, self._count = tuple(parts), len(rows)

    def changed(self, key: K, row: V | None) -> Rows[K, V]:
        """Return a copy with *row* under *key*, or without that key for None."""
        at = hash(key) % _PARTS
        part = dict(self._parts[at])
        if row is not None:
            part[key] = row
        else:
            part.pop(key, None)
        copy: Rows[K, V] = Rows()
        copy._parts = (*self._parts[:at], part, *self._parts[at + 1 :])
        copy._count = self._count + len(part) - len(self._parts[at])
        return copy

    def __getitem__(self, key: K) -> V:
        return self._parts[hash(key) % _PARTS][key]

    def __iter__(self) -> Iterator[K]:
        return (key for part in self._parts for key in part)

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"Rows({dict(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # The parts depend on hashes, which differ in every process.
        return Rows, (dict(self),)
