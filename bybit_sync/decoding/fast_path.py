"""Reading rows without taking their JSON apart: a pattern for each way in which a row was seen to be written.

JSON has no other reading of a text that is known but for its values, where each of these is one: a text, a number or a flag by
its pattern, what is nested by a parser, which refuses what is none. So the groups of a row that matches are the values of the
keys that the pattern was made of. All that does not match is left to the parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from bybit_sync.decoding.compiled import CompiledReaders, listed
from bybit_sync.decoding.parsing import RawFrame, scan
from bybit_sync.model.lazy_row import LazyRow

__all__ = ["Patterns"]

# A peer that invents ways to write can make neither the patterns many, nor one of them long, nor have us try at every row.
_MOST: Final = 16
_LONGEST: Final = 8_192
_LONGEST_PAUSE: Final = 4_096


class _Kind(NamedTuple):
    """How values of one kind are written, and the source of what makes a value of its text ``{x}``, if that is not the text."""

    pattern: str
    source: str = ""


_WHOLE: Final = "(0|-?[1-9][0-9]{0,17})"
_KINDS: Final[Mapping[type, _Kind]] = {
    str: _Kind(r'"([^"\\\x00-\x1f]*)"'),
    int: _Kind(_WHOLE, "DIGITS[{x}] if {x} in DIGITS else int({x})"),
    bool: _Kind("(true|false)", '{x} == "true"'),
    dict: _Kind(r"(\{[^{}\[\]]*\})", "parse({x})"),
    list: _Kind(r"(\[(?:\{[^{}\[\]]*\}(?:,\{[^{}\[\]]*\})*|[^{}\[\]]*)\])", "parse({x})"),
    type(None): _Kind("(null)", "None"),
}
# Where a number or a time stands, which is read from a text. So few characters are never more digits than there may be.
_DIGITS: Final[Mapping[type, _Kind]] = {
    str: _Kind(r'"([-.0-9]{0,40})"'),
    int: _Kind(_WHOLE),
    type(None): _Kind("(null)", '""'),
}


class _Way(NamedTuple):
    """One way to write a row: what matches it in a text, and what makes an update of the groups and of what is to be `wire`."""

    pattern: str
    match: Callable[[str, int], re.Match[str] | None]
    read: Callable[[Any, Any], Any]


class Patterns:
    """Reads the rows that *shapes* is about out of a push's text.

    Any thread: what two learn at the same time may be forgotten by one, and is learned again.
    """

    def __init__(self, shapes: CompiledReaders) -> None:
        self._shapes = shapes
        # The one that matched last is the first, at first one that never does; replaced, never changed.
        self._ways: tuple[_Way, ...] = (_Way("(?!)", re.compile("(?!)").match, shapes.read_slowly),)
        # For how many more pushes nothing is learned, and for how many it was the last time.
        self._pause = 0
        self._last_pause = 0

    def rows(self, text: str, at: int, frame: RawFrame) -> tuple[Any, ...]:
        """Return the updates of the rows that *text*, a push, ends with from *at* on.

        *frame* is where their `wire` is to be read again. Raises as it likes for what does not look as usual, or is bad: a
        parser will tell.
        """
        updates: list[Any] = []
        while True:
            _, match, read = self._ways[0]
            found = match(text, at)
            if found is None:
                found, read = self._find(text, at)
            updates.append(read(found.groups(), LazyRow(frame, ("data", len(updates)))))
            at = found.end()
            if text[at] != ",":
                break
            at += 1
        if text[at:] != "]}":
            raise LookupError
        return tuple(updates)

    def _find(self, text: str, at: int) -> tuple[re.Match[str], Callable[[Any, Any], Any]]:
        for way in self._ways[1:]:
            found = way.match(text, at)
            if found is not None:
                self._ways = (way, *(other for other in self._ways if other is not way))
                return found, way.read
        if self._pause > 0:
            self._pause -= 1
            raise LookupError
        # Taken back below, unless nothing could be learned, or another one was forgotten for it.
        self._pause = self._last_pause = min(2 * self._last_pause + 1, _LONGEST_PAUSE)
        found, way = self._learned(text, at)
        if len(self._ways) < _MOST:
            self._pause = self._last_pause = 0
        self._ways = (way, *(other for other in self._ways if other.pattern != way.pattern))[:_MOST]
        return found, way.read

    def _learned(self, text: str, at: int) -> tuple[re.Match[str], _Way]:
        """Return how the row at *at* is written; raises whatever there is against it."""
        row, end = scan(text, at)
        names = self._shapes.variables(row)
        kinds = {name: self._kind(name, row[key]) for key, name in names.items()}
        pattern = r"\{" + ",".join(f'"{re.escape(key)}":{kinds[name].pattern}' for key, name in names.items()) + r"\}"
        if len(pattern) > _LONGEST:
            raise LookupError
        way = _Way(pattern, re.compile(pattern).match, self._shapes.compile_reader(tuple(row), lambda _: _from_groups(kinds)))
        found = way.match(text, at)
        if found is None or found.end() != end:
            raise LookupError
        way.read(found.groups(), LazyRow(RawFrame("", row), ()))
        return found, way

    def _kind(self, name: str, value: Any) -> _Kind:
        """Return the kind of *value*; raises `LookupError` for a number that only a parser reads well."""
        value_reader = self._shapes.value_readers.get(name)
        return (_DIGITS if value_reader is not None and value_reader.is_plain else _KINDS)[value.__class__]


def _from_groups(kinds: Mapping[str, _Kind]) -> Iterable[str]:
    """Yield the lines that take from the groups the values that are called and written so."""
    yield f"[{listed(kinds)}] = values"
    for name, kind in kinds.items():
        if kind.source:
            yield f"{name} = {kind.source.format(x=name)}"
