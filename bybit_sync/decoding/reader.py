"""Turn plain values into updates: numbers stay exact, new words are accepted.

A row that cannot be read costs only itself. A good row is read by a function that was
compiled for its class and layout, in a few microseconds; the errors of that function
name no field. When it fails, cattrs' detailed validation reads the row again, slowly,
and its errors become a text with the path to the field. Both use the same readers of
values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

import attrs
from cattrs import BaseValidationError, Converter, IterableValidationError, IterableValidationNote
from cattrs.gen import make_dict_structure_fn, override

from bybit_sync.decoding.compiled import CompiledReaders
from bybit_sync.decoding.parsing import RawFrame, Unreadable
from bybit_sync.decoding.values import (
    ABSENT,
    VALUE_READERS,
    InvalidValue,
    ValueReader,
    defaulted,
    kind_of,
    maker,
    offending,
    optional,
    required,
    word,
)
from bybit_sync.model.enums import Category, LastLiquidityInd, OpenEnum
from bybit_sync.model.lazy_row import LazyRow
from bybit_sync.public import forget_resolved

__all__ = ["Decoded", "Decoder", "Reader"]

_DESCRIBED = 100  # bad rows of one message that are described

Decoded = tuple[tuple[Any, ...], tuple[str, ...]]
"""The result of one push: the updates, and one text for each row that could not be
read.
"""


class Decoder:
    """A factory of readers of the exchange's rows, around one cattrs converter.

    *renames* maps a JSON key to another key of the same attribute; *words* maps, for
    each vocabulary, further spellings to their members.
    """

    def __init__(self, renames: Mapping[str, str], words: Mapping[type[OpenEnum], Mapping[str, Any]]) -> None:
        self.converter: Converter = Converter()
        self.renames = renames
        self._words = words
        self._readers: dict[tuple[type[Any], Category | None], Reader] = {}

    def reader(self, cls: type[Any], category: Category | None = None) -> Reader:
        """Return the reader of rows as *cls*.

        *category* is the default where a row has none.
        """
        if (cls, category) not in self._readers:
            self._readers[cls, category] = self._made(cls, category)
        return self._readers[cls, category]

    def _made(self, cls: type[Any], category: Category | None) -> Reader:
        attrs.resolve_types(cls)
        value_readers = {
            field.metadata["key"]: self._value_reader(field) for field in attrs.fields(cls) if "key" in field.metadata
        }
        if category is not None:
            value_readers["category"] = defaulted(value_readers["category"], category)
        reader = Reader(cls, value_readers, self)
        if category is None:
            self.converter.register_structure_hook(cls, lambda row, _: reader.structure(row))
        # `resolve_types` left it, which the converter calls too.
        forget_resolved(cls)
        return reader

    def _value_reader(self, field: attrs.Attribute[Any]) -> ValueReader:
        value_reader = self._reader_by_kind(field)
        return required(value_reader) if field.default is attrs.NOTHING else optional(value_reader)

    def _reader_by_kind(self, field: attrs.Attribute[Any]) -> ValueReader:
        """Return the reader of values for the metadata and the type of *field*."""
        kind = field.metadata.get("kind")
        if "rows" in field.metadata:
            return self.reader(field.metadata["rows"]).as_value_reader(field.metadata["key"])
        if kind == "maker":
            return maker(self._words[LastLiquidityInd])
        held = next(iter(get_args(field.type)), field.type)  # "X | None" holds an X
        if isinstance(held, type) and issubclass(held, OpenEnum):
            return word(held, self._words.get(held, {}))
        return VALUE_READERS[kind or held]


class Reader:
    """A reader of the rows of one class."""

    def __init__(self, cls: type[Any], value_readers: Mapping[str, ValueReader], decoder: Decoder) -> None:
        self.cls: type[Any] = cls
        """The class of the updates."""
        self._value_readers = value_readers
        self._aliases = {alias: key for alias, key in decoder.renames.items() if key in value_readers}
        self._renames = decoder.renames
        self._converter = decoder.converter
        self._written: Callable[[Any, Any], Any] | None = None
        self.compiled: CompiledReaders = CompiledReaders(cls, value_readers, self._aliases)
        """The compiled functions, which read good rows."""

    def rows(self, data: Any, frame: RawFrame) -> Decoded:
        """Return the result for *data*, the rows of *frame*.

        A bad row costs only itself.

        Raises `Unreadable` when *data* is not a list.
        """
        if data.__class__ is not list:
            raise Unreadable(f"data is not a list of rows but {kind_of(data)}")
        compiled = self.compiled
        updates: list[Any] = []
        try:
            for i, row in enumerate(data):
                updates.append(compiled[tuple(row.keys())](row, LazyRow(frame, ("data", i))))
        except Exception:  # noqa: BLE001 - a bad row costs only itself, whatever its error
            return self._go_on(updates, data)
        return tuple(updates), ()

    def structure(self, row: Any) -> Any:
        """Return the update of one *row*. Raises cattrs' errors and `InvalidValue`."""
        try:
            return self.compiled[tuple(row.keys())](row, LazyRow(RawFrame(b"", row), ()))
        except Exception:  # noqa: BLE001 - `explained` raises an error that names the field
            return self.explained(row)

    def as_value_reader(self, key: str) -> ValueReader:
        """Return the reader of a list of such rows, under *key* of another row."""

        def read(value: Any) -> Any:
            if value == "":
                return ()
            if value.__class__ is not list:
                raise InvalidValue("is not a list")
            return tuple(read_row(index, row) for index, row in enumerate(value))

        def read_row(index: int, row: Any) -> Any:
            try:
                return self.structure(row)
            except Exception as error:
                # cattrs reports the error like this too, but collects one for each of a
                # hostile peer's million rows.
                vars(error)["__notes__"] = [IterableValidationNote("", index, self.cls)]
                raise IterableValidationError("", [error], self.cls) from error

        each = f"lookup_{{x}}[tuple(row.keys())](row, wire.part({key!r}, index)) for index, row in enumerate({{x}})"
        inline = f"{{x}} if {{x}}.__class__ is tuple else tuple([{each}]) if {{x}}.__class__ is list else read_{{x}}({{x}})"
        return ValueReader(read, inline, self.compiled)

    # --- a bad row ---

    def _go_on(self, updates: list[Any], data: list[Any]) -> Decoded:
        """Return the result for *data*; its first rows are read already: *updates*.

        They are not read again, because only the last of thousands of rows may be bad.
        """
        faults: list[str] = []
        for index, row in enumerate(data[len(updates) :], len(updates)):
            # Explaining is slow: a hostile peer may send a million bad rows.
            is_brief = len(faults) >= _DESCRIBED
            try:
                updates.append(
                    self.compiled[tuple(row.keys())](row, LazyRow(RawFrame(b"", row), ())) if is_brief else self.structure(row)
                )
            except Exception as error:  # noqa: BLE001 - as above
                brief = "further rows are not described"
                faults.append(brief if is_brief else _fault(error, row, f"data[{index}]", self._renames))
        return tuple(updates), tuple(faults)

    def explained(self, row: Any) -> Any:
        """Return the update of *row*, read with cattrs' detailed validation.

        Its errors name the field.
        """
        if row.__class__ is not dict:
            raise InvalidValue("is not an object")
        missing = {key: value_reader.if_missing for key, value_reader in self._value_readers.items()}
        old = {key: row[alias] for alias, key in self._aliases.items() if alias in row}
        update = self._thorough(missing | old | row, self.cls)
        return attrs.evolve(update, extra=self.compiled.unknown_in(row), wire=row)

    @property
    def _thorough(self) -> Callable[[Any, Any], Any]:
        # Made for the first bad row: making it takes longer than the import of this
        # module. Not a `functools.cached_property`: before Python 3.12 that has a lock,
        # which a fork may leave locked. Two threads may both make it.
        if self._written is None:
            self._written = self._write_thorough()
        return self._written

    def _write_thorough(self) -> Callable[[Any, Any], Any]:
        fields: dict[str, Any] = {"extra": override(omit=True), "wire": override(omit=True)}
        for field in attrs.fields(self.cls):
            if "key" in field.metadata:
                key = field.metadata["key"]
                fields[field.name] = override(rename=key, struct_hook=_cattrs_hook(self._value_readers[key].read))
        return make_dict_structure_fn(self.cls, self._converter, _cattrs_detailed_validation=True, **fields)


def _cattrs_hook(read: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda value, _: read(value)


# --- the text of a fault ---


def _fault(error: BaseException, value: Any, path: str, renames: Mapping[str, str]) -> str:
    """Return a text about the first fault in *value*.

    It holds the *path* to it, the value there, and why it cannot be read.
    """
    others = 0
    while isinstance(error, BaseValidationError):
        others += len(error.exceptions) - 1
        cls, error = error.cl, error.exceptions[0]
        step = _step(error, cls, value, renames)
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
        value = value[step] if isinstance(step, int) else value.get(step, ABSENT)
    why = str(error) if isinstance(error, InvalidValue) else f"cannot be read: {type(error).__name__}"
    fault = f"{path} is missing" if value is ABSENT else f"{path}: {offending(value)} {why}"
    return f"{fault} (and {others} more)" if others else fault


def _step(error: BaseException, cls: Any, value: Any, renames: Mapping[str, str]) -> int | str:
    """Return the index or the JSON key of *value* from cattrs' note on *error*."""
    note = vars(error)["__notes__"][0]
    if isinstance(note, IterableValidationNote):
        return int(note.index)
    key: str = getattr(attrs.fields(cls), note.name).metadata["key"]
    spellings = [alias for alias, name in renames.items() if name == key and alias in value]
    return spellings[0] if spellings and key not in value else key
