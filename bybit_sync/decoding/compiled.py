"""Compile a function for each layout of a row, when a row of that layout first arrives.

A layout is the keys of a row in their order. The exchange writes each kind of row in
one or two layouts, so nearly all rows are read by a function without loops and
look-ups.
"""

from __future__ import annotations

import linecache
import logging
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import attrs

from bybit_sync.decoding.parsing import parse
from bybit_sync.decoding.values import SCOPE, InvalidValue, ValueReader, are_plain
from bybit_sync.model.lazy_row import ReadOnly
from bybit_sync.model.record import EMPTY, finisher, mutable_twin
from bybit_sync.redaction import get_logger
from bybit_sync.text import quoted

__all__ = ["CompiledReaders", "Variables", "listed"]

_LOG = get_logger("bybit_sync.shapes")

# A hostile peer may send a new layout with every row. These bound the number of
# functions, the length of each, and how often one is compiled; later layouts still get
# their turn.
_MOST = 64
_LONGEST = 256
_LONGEST_NAMES = 4_096  # characters of all keys
_LONGEST_PAUSE = 4_096
_NAMES = 1_000  # unknown keys that are logged

Read = Callable[[Mapping[str, Any], Any], Any]
"""A function that takes a row and the value of `wire`, and returns an update."""
Variables = Mapping[str, str]
"""The variables that hold the values of a row, by JSON key: named after the attribute,
if there is one.
"""


class CompiledReaders(dict[tuple[str, ...], Read]):
    """The functions that read rows of class *cls*, by the layout of the row.

    *value_readers* maps JSON keys to the readers of their values, *aliases* maps
    further keys to one of these keys. The errors of a compiled function do not name the
    field: read the row again with `Reader.explained` to learn it. Any thread: two
    threads that meet a new layout at once compile equal functions.
    """

    def __init__(self, cls: type[Any], value_readers: Mapping[str, ValueReader], aliases: Mapping[str, str]) -> None:
        super().__init__()
        self._cls = cls
        self._mutable = mutable_twin(cls)
        self._finished = finisher(cls, self._mutable)
        names = {field.metadata["key"]: field.name for field in attrs.fields(cls) if "key" in field.metadata}
        self.value_readers: Mapping[str, ValueReader] = {names[key]: reader for key, reader in value_readers.items()}
        """The reader of each attribute's value, by the name of the attribute."""
        # The keys of each attribute, in order of preference.
        self._spellings: Mapping[str, tuple[str, ...]] = {
            name: (key, *(alias for alias, target in aliases.items() if target == key)) for key, name in names.items()
        }
        self._keys = value_readers.keys() | aliases.keys()
        self._missing: dict[str, Any] = {}
        self._scope = self._names_in_functions()
        # The number of rows of new layouts that are read without compiling, now and the
        # last time. Several threads may count at once: then it is less exact.
        self._pause = 0
        self._last_pause = 0

    def __missing__(self, layout: tuple[str, ...]) -> Read:
        if self._pause > 0 or len(layout) > _LONGEST or sum(map(len, layout)) > _LONGEST_NAMES:
            self._pause -= self._pause > 0
            return self.read_slowly
        try:
            read: Read = self.compile_reader(layout, self._from_row)
        except InvalidValue:
            # A required key is missing: `read_slowly` raises the same error for each
            # row.
            read = self.read_slowly
        self._make_room()
        self[layout] = read
        return read

    def _make_room(self) -> None:
        """Drop the oldest layout when the table is full.

        Double the pause before the next one.
        """
        if len(self) >= _MOST:
            self._pause = self._last_pause = min(2 * self._last_pause + 1, _LONGEST_PAUSE)
            # From a copy: another thread may add a layout between `iter` and `next`.
            self.pop(next(iter(self.copy())), None)

    def read_slowly(self, row: Mapping[str, Any], wire: Any) -> Any:
        """Read a row of any layout and with unusual values, one value at a time."""
        update = self._mutable()
        for name in self.value_readers:
            key = self._spelling(name, row)
            setattr(update, name, self._if_missing(name) if key is None else self.value_readers[name].read(row[key]))
        update.extra = self.unknown_in(row)
        update.wire = wire
        return self._finished(update)

    def unknown_in(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values of *row* under unknown keys, read-only."""
        return _extra_of(ReadOnly((key, row[key]) for key in self._unknown(row)))

    def variables(self, layout: Collection[str]) -> Variables:
        """Return the names of the values of *layout* in its function, by JSON key."""
        names = {self._spelling(name, layout): name for name in self.value_readers}
        return {key: names.get(key, f"unknown_{place}") for place, key in enumerate(layout)}

    def _spelling(self, name: str, layout: Collection[str]) -> str | None:
        """Return the key of the attribute *name* in *layout*.

        None when there is none.
        """
        for key in self._spellings[name]:
            if key in layout:
                return key
        return None

    def _if_missing(self, name: str) -> Any:
        """Return the value of the attribute *name* without a key.

        Raises `InvalidValue` when it is required.
        """
        if name not in self._missing:
            self._missing[name] = self.value_readers[name].read(self.value_readers[name].if_missing)
        return self._missing[name]

    def _unknown(self, layout: Iterable[str]) -> tuple[str, ...]:
        return tuple(key for key in layout if key not in self._keys)

    # --- compiling ---

    def compile_reader(
        self, layout: Collection[str], taking: Callable[[Variables], Iterable[str]], further: Mapping[str, Any] = EMPTY
    ) -> Any:
        """Return a function that reads rows of *layout*.

        *taking* yields the lines that assign the variables from ``values``; they may
        use the names of *further*. Raises
        `InvalidValue` when a required key is missing. For a row of a symbol, a size, a
        time, a word and an unknown key the function is ::

            def read(values, wire):
                [symbol, size, updated_time, tpsl_mode, unknown_4, ] = values.values()
                if not are_plain(('', size, updated_time, )):
                    return read_slowly(values, wire)
                update = MutableUpdate()
                update.symbol = symbol if symbol.__class__ is str and symbol else read_symbol(symbol)
                update.size = ZERO if size == "0" else number(size) if size else None
                update.updated_time = EPOCH + MILLISECOND * int(updated_time) if updated_time > "1" else read_updated_time(...)
                update.tpsl_mode = lookup_tpsl_mode[tpsl_mode] if tpsl_mode in lookup_tpsl_mode else read_tpsl_mode(tpsl_mode)
                update.side = missing_side
                update.extra = extra_of(ReadOnly(zip(unknown, (unknown_4, ))))
                update.wire = wire
                return finished(update)
        """
        variables, unknown = self.variables(layout), self._unknown(layout)
        present = [name for name in variables.values() if name in self.value_readers]
        missing = {name: self._if_missing(name) for name in self.value_readers if name not in present}
        extra = f"extra_of(ReadOnly(zip(unknown, ({listed(variables[key] for key in unknown)}))))" if unknown else "EMPTY"
        lines = [
            "def read(values, wire):",
            *taking(variables),
            "update = MutableUpdate()",
            *(f"update.{name} = {self.value_readers[name].inline.format(x=name)}" for name in present),
            *(f"update.{name} = missing_{name}" for name in missing),
            f"update.extra = {extra}",
            "update.wire = wire",
            "return finished(update)",
        ]
        scope = self._scope | {"unknown": unknown, **further} | {f"missing_{name}": value for name, value in missing.items()}
        return _compiled("\n    ".join(lines) + "\n", scope, self._cls.__name__)

    def _from_row(self, variables: Variables) -> Iterable[str]:
        plain = (name for name in variables.values() if name in self.value_readers and self.value_readers[name].is_plain)
        yield f"[{listed(variables.values())}] = values.values()"
        yield f"if not are_plain(('', {listed(plain)})):"
        yield "    return read_slowly(values, wire)"

    def _names_in_functions(self) -> dict[str, Any]:
        """Return the names that a compiled function uses.

        Nothing that the exchange sent is in its source.
        """
        ours: dict[str, Any] = {
            "MutableUpdate": self._mutable,
            "EMPTY": EMPTY,
            "ReadOnly": ReadOnly,
            "are_plain": are_plain,
            "extra_of": _extra_of,
            "finished": self._finished,
            "parse": parse,
            "read_slowly": self.read_slowly,
        }
        for name, reader in self.value_readers.items():
            ours |= {f"read_{name}": reader.read, f"lookup_{name}": reader.lookup}
        return {**SCOPE, **ours}


def _compiled(source: str, scope: dict[str, Any], name: str) -> Any:
    """Return the function ``read`` of *source*.

    `linecache` holds the source for as long as the function lives.

    Tracebacks and `inspect.getsource` find the source there.
    """
    # No two functions that live at the same time share a scope, so none loses its
    # source to another. A counter could give two threads one number without the GIL.
    file = f"<bybit_sync reader {id(scope):#x} of {name}>"
    exec(compile(source, file, "exec"), scope)  # noqa: S102 - nothing that the exchange sent is in it
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    # Remove it from its own globals: in a reference cycle it would live until the
    # garbage collector runs.
    read = scope.pop("read")
    weakref.finalize(read, linecache.cache.pop, file, None).atexit = False
    return read


def listed(names: Iterable[str]) -> str:
    """Return *names* as source text: the items of a list or a tuple."""
    return "".join(f"{name}, " for name in names)


_unknown_keys: set[str] = set()


def _extra_of(extra: ReadOnly) -> Mapping[str, Any]:
    """Return *extra*, the unknown keys and their values, and log each key once."""
    if not extra:
        return EMPTY
    if _LOG.isEnabledFor(logging.DEBUG):
        for name in {quoted(key) for key in extra} - _unknown_keys:
            if len(_unknown_keys) < _NAMES:
                _unknown_keys.add(name)
                _LOG.debug("a new key of the exchange, %s; it is delivered in extra", name)
    return extra
