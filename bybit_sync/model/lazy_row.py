"""Read the rows as the exchange sent them from their frame, at the first access.

Events wait in buffers, cross threads and may be kept for long. The texts of their rows
would be two thirds of their memory, and few programs read them: those parse the frame a
second time.
"""

from __future__ import annotations

from typing import Any, NoReturn, Protocol

__all__ = ["LazyRow", "ReadOnly", "Readable", "Wire"]


class ReadOnly(dict[str, Any]):
    """A dict that refuses changes.

    Its copies, also by ``|``, `copy` and `pickle`, are plain dicts.

    A dict, because most JSON encoders accept no other mapping.
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def _refuse(*_: object, **__: object) -> NoReturn:
    raise TypeError("this mapping is read-only; its copy() is not")


for _change in ("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update"):
    setattr(ReadOnly, _change, _refuse)


class Readable(Protocol):
    """A frame that a row is read from."""

    def message(self) -> Any:
        """Return the parsed frame."""


class LazyRow:
    """The place of a row: the object under *path*, keys and indices, in *frame*."""

    __slots__ = ("frame", "path")

    def __init__(self, frame: Readable, path: tuple[str | int, ...]) -> None:
        self.frame: Readable = frame
        self.path: tuple[str | int, ...] = path

    def part(self, key: str, index: int) -> LazyRow:
        """Return the place of item *index* of the list under *key*."""
        return LazyRow(self.frame, (*self.path, key, index))

    def read(self) -> ReadOnly:
        """Return the row, read-only."""
        value = self.frame.message()
        for step in self.path:
            value = value[step]
        return ReadOnly(value)


class Wire:
    """The attribute `wire` of a class that keeps it in *slot*.

    A `LazyRow` is replaced by its row at the first access.
    """

    def __init__(self, slot: Any) -> None:
        self._slot = slot
        # `help` and the site show that of the attribute, not that of this class.
        self.__doc__ = "The row as the exchange sent it; read-only."

    def __get__(self, update: Any, owner: type[Any] | None = None) -> Any:
        """Return the row of *update*.

        Any thread: of two threads at once, the dict of either is kept.
        """
        held = self._slot.__get__(update, owner)
        if held.__class__ is LazyRow:
            held = held.read()
            self._slot.__set__(update, held)
        return held

    def __set__(self, update: Any, value: Any) -> None:
        """Keep *value*.

        Only attrs' ``__init__`` calls this, because *update* is frozen.
        """
        self._slot.__set__(update, value)
