"""Reading rows as fast as Python can: a function for each shape of row, written when a row of that shape first comes.

A shape is the keys of a row in their order. The exchange writes a kind of row in one or two of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import attrs

from bybit_sync.decoding.parsing import parse
from bybit_sync.decoding.values import SCOPE, Leaf, Misfit, are_plain
from bybit_sync.model.lazy_row import ReadOnly
from bybit_sync.model.record import EMPTY, mutable_twin
from bybit_sync.redaction import get_logger
from bybit_sync.text import quoted

__all__ = ["Shapes", "Variables", "listed"]

_LOG = get_logger("bybit_sync.shapes")

# A peer that invents shapes can make neither the functions many, nor one of them long, nor have one written at every row, nor
# keep out for good the shapes that come after its own.
_MOST = 64
_LONGEST = 256
_LONGEST_NAMES = 4_096  # characters of all keys
_LONGEST_PAUSE = 4_096
_NAMES = 1_000  # unknown keys that are logged

Read = Callable[[Mapping[str, Any], Any], Any]
"""Makes an update out of a row, and of what is to be its `wire`."""
Variables = Mapping[str, str]
"""What a function calls the values of a row, by their keys: as their attributes are called, where they have one."""


class Shapes(dict[tuple[str, ...], Read]):
    """What reads the rows of class *cls*, by their shape.

    *leaves* maps JSON keys to their leaves, *aliases* further keys to one of these. What is found here explains nothing:
    whatever it raises, the row has to be read thoroughly. Any thread: two that meet a new shape at once write the same.
    """

    def __init__(self, cls: type[Any], leaves: Mapping[str, Leaf], aliases: Mapping[str, str]) -> None:
        super().__init__()
        self._cls = cls
        self._draft = mutable_twin(cls)
        names = {field.metadata["key"]: field.name for field in attrs.fields(cls) if "key" in field.metadata}
        self.leaves: Mapping[str, Leaf] = {names[key]: leaf for key, leaf in leaves.items()}
        """How each attribute is read."""
        # Under which keys each attribute may stand; the first one that is there counts.
        self._spellings: Mapping[str, tuple[str, ...]] = {
            name: (key, *(a for a, whose in aliases.items() if whose == key)) for key, name in names.items()
        }
        self._keys = leaves.keys() | aliases.keys()
        self._blanks: dict[str, Any] = {}
        self._scope = self._names_in_functions()
        # How many more rows of a new shape are read without one, and how many it were the last time.
        self._pause = 0
        self._last_pause = 0

    def __missing__(self, shape: tuple[str, ...]) -> Read:
        if self._pause > 0 or len(shape) > _LONGEST or sum(map(len, shape)) > _LONGEST_NAMES:
            self._pause -= self._pause > 0
            return self.read_any
        try:
            read: Read = self.written(shape, self._from_row)
        except Misfit:
            # The row cannot do without a key that is not there: this one finds it, and raises the same.
            read = self.read_any
        self._make_room()
        self[shape] = read
        return read

    def _make_room(self) -> None:
        """Forget the oldest shape when there are as many as may be, and learn ever more seldom."""
        if len(self) >= _MOST:
            self._pause = self._last_pause = min(2 * self._last_pause + 1, _LONGEST_PAUSE)
            self.pop(next(iter(self)), None)

    def read_any(self, row: Mapping[str, Any], wire: Any) -> Any:
        """Read a row of any shape, and with values that are not plain, value by value."""
        draft = self._draft()
        for name in self.leaves:
            key = self._spelling(name, row)
            setattr(draft, name, self._blank(name) if key is None else self.leaves[name].read(row[key]))
        draft.extra = self.strange_in(row)
        draft.wire = wire
        draft.__class__ = self._cls
        return draft

    def strange_in(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what stands in *row* under keys that nobody knows, read-only."""
        return _extra_of(ReadOnly((key, row[key]) for key in self._strange(row)))

    def variables(self, shape: Collection[str]) -> Variables:
        """Return what a function that reads rows of *shape* calls their values."""
        told = {self._spelling(name, shape): name for name in self.leaves}
        return {key: told.get(key, f"strange_{place}") for place, key in enumerate(shape)}

    def _spelling(self, name: str, shape: Collection[str]) -> str | None:
        """Return under which key *shape* has the attribute *name*; None when it has not."""
        for key in self._spellings[name]:
            if key in shape:
                return key
        return None

    def _blank(self, name: str) -> Any:
        """Return what the attribute *name* is without a key; raises `Misfit` when a row cannot do without."""
        if name not in self._blanks:
            self._blanks[name] = self.leaves[name].read(self.leaves[name].blank)
        return self._blanks[name]

    def _strange(self, shape: Iterable[str]) -> tuple[str, ...]:
        return tuple(key for key in shape if key not in self._keys)

    # --- writing ---

    def written(self, shape: Collection[str], taking: Callable[[Variables], Iterable[str]]) -> Any:
        """Return a function that reads rows of *shape*; *taking* writes the lines that take its variables from ``values``.

        Raises `Misfit` when a key is not there that a row cannot do without. For a row of a symbol, a size, a time, a word and
        a key that nobody knows it is ::

            def read(values, wire):
                [symbol, size, updated_time, tpsl_mode, strange_4, ] = values.values()
                if not are_plain(('', size, updated_time, )):
                    return read_any(values, wire)
                draft = Draft()
                draft.symbol = symbol if symbol.__class__ is str and symbol else read_symbol(symbol)
                draft.size = ZERO if size == "0" else number(size) if size else None
                draft.updated_time = EPOCH + MILLISECOND * int(updated_time) if updated_time > "1" else read_updated_time(...)
                draft.tpsl_mode = known_tpsl_mode[tpsl_mode] if tpsl_mode in known_tpsl_mode else read_tpsl_mode(tpsl_mode)
                draft.side = blank_side
                draft.extra = extra_of(ReadOnly(zip(strange, (strange_4, ))))
                draft.wire = wire
                draft.__class__ = Update
                return draft
        """
        variables, strange = self.variables(shape), self._strange(shape)
        told = [name for name in variables.values() if name in self.leaves]
        blanks = {name: self._blank(name) for name in self.leaves if name not in told}
        extra = f"extra_of(ReadOnly(zip(strange, ({listed(variables[key] for key in strange)}))))" if strange else "EMPTY"
        lines = [
            "def read(values, wire):",
            *taking(variables),
            "draft = Draft()",
            *(f"draft.{name} = {self.leaves[name].quick.format(x=name)}" for name in told),
            *(f"draft.{name} = blank_{name}" for name in blanks),
            f"draft.extra = {extra}",
            "draft.wire = wire",
            "draft.__class__ = Update",
            "return draft",
        ]
        scope = self._scope | {"strange": strange} | {f"blank_{name}": blank for name, blank in blanks.items()}
        exec("\n    ".join(lines), scope)  # noqa: S102 - every name in it is ours
        return scope["read"]

    def _from_row(self, variables: Variables) -> Iterable[str]:
        plain = (name for name in variables.values() if name in self.leaves and self.leaves[name].is_plain)
        yield f"[{listed(variables.values())}] = values.values()"
        yield f"if not are_plain(('', {listed(plain)})):"
        yield "    return read_any(values, wire)"

    def _names_in_functions(self) -> dict[str, Any]:
        """Return the names that a written function uses. Every one is ours: nothing that the exchange sent is in its source."""
        ours: dict[str, Any] = {
            "Draft": self._draft,
            "EMPTY": EMPTY,
            "ReadOnly": ReadOnly,
            "Update": self._cls,
            "are_plain": are_plain,
            "extra_of": _extra_of,
            "parse": parse,
            "read_any": self.read_any,
        }
        for name, leaf in self.leaves.items():
            ours |= {f"read_{name}": leaf.read, f"known_{name}": leaf.known}
        return {**SCOPE, **ours}


def listed(names: Iterable[str]) -> str:
    """Return *names* as they stand in a list or a tuple, or as what values are unpacked to."""
    return "".join(f"{name}, " for name in names)


_unknown_keys: set[str] = set()


def _extra_of(extra: ReadOnly) -> Mapping[str, Any]:
    """Return *extra*, keys that nobody knows and their values, and log each of these keys once."""
    if not extra:
        return EMPTY
    if _LOG.isEnabledFor(logging.DEBUG):
        for name in {quoted(key) for key in extra} - _unknown_keys:
            if len(_unknown_keys) < _NAMES:
                _unknown_keys.add(name)
                _LOG.debug("a new key of the exchange, %s; it is delivered in extra", name)
    return extra
