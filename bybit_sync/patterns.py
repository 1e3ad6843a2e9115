"""Reading rows without taking their JSON apart: a pattern for each way in which a row was seen to be written.

Where a text is known but for its values, and each of these is one of its kind, JSON has no other reading of it. So a row that
matches has the keys of the row that the pattern was made of, and its groups are the values. All else is left to a parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from bybit_sync.parsing import scan
from bybit_sync.rows import Frame, Row
from bybit_sync.shapes import Shapes, Variables, listed

__all__ = ["Patterns"]

# A peer that invents ways to write can make neither the patterns many, nor one of them long.
_MOST: Final = 64
_LONGEST: Final = 8_192


class _Kind(NamedTuple):
    """How values of one kind are written, and the source of what makes a value of the text ``{x}``."""

    pattern: str
    value: str = ""


_KINDS: Final[Mapping[type, _Kind]] = {
    str: _Kind(r'"([^"\\\x00-\x1f]*)"'),
    int: _Kind("(0|-?[1-9][0-9]{0,17})", "DIGITS[{x}] if {x} in DIGITS else int({x})"),
    bool: _Kind("(true|false)", '{x} == "true"'),
    dict: _Kind(r"(\{[^{}]*\})", "parse({x})"),
    list: _Kind(r"(\[[^\[\]]*\])", "parse({x})"),
    type(None): _Kind("(null)", "None"),
}
# What `are_plain` would accept; so few characters are never more digits than there may be.
_PLAIN: Final = _Kind(r'"([-.0-9]{0,40})"')
# A list of rows, on which nothing but names of ours leads: their keys are in the source.
_PARTS: Final = _KINDS[list]._replace(value="parts_{x}({x}, wire, {key})")
_NEVER: Final = re.compile(r"(?!)").match

Reading = Callable[[Any, Row], Any]
"""Makes an update of the groups of a match, and of what is to be its `wire`."""
Known = tuple[Callable[[str, int], re.Match[str] | None], Reading]
"""What matches a row in a text, and how it is then read."""


class Patterns:
    """Reads the rows that *shapes* is about out of a push's text. Any thread."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        # The one that matched last is the first, at first one that never does; replaced, never changed.
        self._known: tuple[Known, ...] = ((_NEVER, shapes.read_any),)
        self._tries = 0

    def rows(
        self, text: str, at: int, frame: Frame, path: tuple[str | int, ...] = ("data",), ending: str = "]}"
    ) -> tuple[Any, ...]:
        """Return the updates of the rows in *text*, from *at* on and with *ending* behind them.

        *path* leads to the list of them in *frame*, where their `wire` is to be read again. Raises as it likes for what does
        not look as usual, or is bad: a parser will tell.
        """
        updates: list[Any] = []
        while True:
            match, read = self._known[0]
            found = match(text, at)
            if found is None:
                found, read = self._find(text, at)
            updates.append(read(found.groups(), Row(frame, (*path, len(updates)))))
            at = found.end()
            if text[at] != ",":
                break
            at += 1
        if text[at:] != ending:
            raise LookupError
        return tuple(updates)

    def parts(self, text: str, wire: Row, key: str) -> tuple[Any, ...]:
        """Return the updates of the rows that *text* lists, which stands under *key* of the row *wire*. Raises as `rows`."""
        return self.rows(text, 1, wire.frame, (*wire.path, key), "]")

    def _find(self, text: str, at: int) -> tuple[re.Match[str], Reading]:
        for known in self._known:
            found = known[0](text, at)
            if found is not None:
                self._known = (known, *(other for other in self._known if other is not known))
                return found, known[1]
        return self._learn(text, at)

    def _learn(self, text: str, at: int) -> tuple[re.Match[str], Reading]:
        """Make a pattern of the row at *at*; raises whatever there is against it."""
        row, end = scan(text, at) if self._tries < _MOST else ({}, 0)
        self._tries += 1
        if not 0 < end - at < _LONGEST:
            raise LookupError
        match = re.compile(self._pattern(row)).match
        found = match(text, at)
        if found is None or found.end() != end:
            raise LookupError
        read = self._shapes.written(row, partial(self._from_texts, row))
        self._known = ((match, read), *self._known)
        return found, read

    def _pattern(self, row: Mapping[str, Any]) -> str:
        variables = self._shapes.variables(row)
        return "\\{" + ",".join(f'"{re.escape(key)}":{self._kind(variables[key], row[key]).pattern}' for key in row) + "\\}"

    def _kind(self, name: str, value: Any) -> _Kind:
        """Return the kind of *value*; raises `LookupError` for one that only a parser reads well."""
        leaf = self._shapes.leaves.get(name)
        if leaf is not None and leaf.is_plain:
            return {str: _PLAIN}[value.__class__]
        return _PARTS if leaf is not None and leaf.parts and value.__class__ is list and value else _KINDS[value.__class__]

    def _from_texts(self, row: Mapping[str, Any], variables: Variables) -> Iterable[str]:
        yield f"[{listed(variables.values())}] = row"
        for key, name in variables.items():
            if value := self._kind(name, row[key]).value:
                yield f"{name} = {value.format(x=name, key=repr(key))}"
