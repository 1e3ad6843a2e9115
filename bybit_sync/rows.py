"""Rows as the exchange sent them, read again from their frame when somebody looks at them.

Events wait, cross threads and may be kept for long. The texts of their rows would be two thirds of what they hold, and hardly
anybody asks for them: whoever does pays for reading the frame once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bybit_sync.parsing import parse

__all__ = ["Frame", "Row"]


class Frame:
    """What was received; it is read when somebody asks what it says, and remembers that."""

    __slots__ = ("_message", "_text")

    def __init__(self, text: bytes | str, message: Any = None) -> None:
        self._text = text
        self._message = message

    def message(self) -> Any:
        """Return what it says. Any thread: two that ask at once read the same."""
        if self._message is None:
            self._message = parse(self._text)
        return self._message


class Row(Mapping[str, Any]):
    """The object that *path*, keys and indices, leads to in *frame*; read-only."""

    __slots__ = ("_frame", "_path")

    def __init__(self, frame: Frame, path: tuple[str | int, ...]) -> None:
        self._frame = frame
        self._path = path

    def part(self, key: str, index: int) -> Row:
        """Return the object that stands at *index* of the list under *key*."""
        return Row(self._frame, (*self._path, key, index))

    def __getitem__(self, key: str) -> Any:
        return self._whole()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())

    def __repr__(self) -> str:
        return repr(self._whole())

    def _whole(self) -> dict[str, Any]:
        value = self._frame.message()
        for step in self._path:
            value = value[step]
        return value  # type: ignore[no-any-return]
