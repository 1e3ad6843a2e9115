"""Rows as the exchange sent them, read again from their frame when somebody looks at them.

Events wait, cross threads and may be kept for long. The texts of their rows would be two thirds of what they hold, and hardly
anybody asks for them: whoever does pays for reading the frame once more.
"""

from __future__ import annotations

from typing import Any, NoReturn, Protocol

__all__ = ["LazyRow", "ReadOnly", "Wire"]


class ReadOnly(dict[str, Any]):
    """A dict that refuses to be changed; its copies, also by ``|``, `copy` and `pickle`, are plain dicts.

    A dict, because hardly anything that writes JSON takes another mapping.
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def _refuse(*_: object, **__: object) -> NoReturn:
    raise TypeError("this mapping is read-only; its copy() is not")


for _change in ("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update"):
    setattr(ReadOnly, _change, _refuse)


class Readable(Protocol):
    """What a row is read from."""

    def message(self) -> Any:
        """Return what it says."""


class LazyRow:
    """Where a row stands: the object that *path*, keys and indices, leads to in *frame*."""

    __slots__ = ("_frame", "_path")

    def __init__(self, frame: Readable, path: tuple[str | int, ...]) -> None:
        self._frame = frame
        self._path = path

    def part(self, key: str, index: int) -> LazyRow:
        """Return the object that stands at *index* of the list under *key*."""
        return LazyRow(self._frame, (*self._path, key, index))

    def read(self) -> ReadOnly:
        """Return what stands there."""
        value = self._frame.message()
        for step in self._path:
            value = value[step]
        return ReadOnly(value)


class Wire:
    """The attribute `wire` of a class that keeps it in *slot*: a `LazyRow` becomes what stands there when somebody looks."""

    def __init__(self, slot: Any) -> None:
        self._slot = slot

    def __get__(self, update: Any, owner: type[Any] | None = None) -> Any:
        """Return what stands in *update*'s row. Any thread: of two that look at once, either's dict is kept."""
        held = self._slot.__get__(update, owner)
        if held.__class__ is LazyRow:
            held = held.read()
            self._slot.__set__(update, held)
        return held

    def __set__(self, update: Any, value: Any) -> None:
        """Keep *value*: only attrs' ``__init__`` comes here, past what freezes *update*."""
        self._slot.__set__(update, value)
