"""The base of updates, events and gaps: frozen, with a short repr, picklable.

A number is a `Decimal` with the exchange's own digits, a time an aware `datetime` in
UTC, a word an open enum out of `bybit_sync.model.enums`. An attribute is None when the
exchange left its key out or sent ``""``, which means "not set": that is never 0.

Each attribute's metadata names its JSON key, and its kind where the type does not
determine its notation; `bybit_sync.decoding` reads both.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import attrs

from bybit_sync.model.lazy_row import LazyRow, ReadOnly, Wire
from bybit_sync.text import quoted

__all__ = ["EMPTY", "Record", "finisher", "json_field", "lazy_wire", "mapping_field", "mutable_twin", "read_only", "shown"]

ClassT = TypeVar("ClassT", bound=type[Any])

EMPTY: Mapping[str, Any] = ReadOnly()


def mutable_twin(cls: type[Any]) -> type[Any]:
    """Return a class with the slots of *cls* that is not frozen.

    An instance is filled, and `finisher` makes a *cls* of it. A slot of a frozen class
    is set through ``object.__setattr__``, which takes about 60 ns; here it takes 5.
    """
    bases = getattr(cls, "__orig_bases__", cls.__bases__)
    return types.new_class(f"Mutable{cls.__name__}", bases, exec_body=lambda body: body.update(__slots__=cls.__slots__))


# Without the GIL, an assignment to ``__class__`` stops every thread of the process.
SWAPS: bool = getattr(sys, "_is_gil_enabled", lambda: True)()


def finisher(cls: type[Any], twin: type[Any]) -> Callable[[Any], Any]:
    """Return a function that makes a *cls* of a filled *twin*, and returns it.

    It assigns *cls* to the twin's ``__class__``. Without the GIL it copies the slots.
    """
    slots = [(getattr(twin, field.name).__get__, getattr(cls, field.name).__set__) for field in attrs.fields(cls)]

    def swap(update: Any) -> Any:
        update.__class__ = cls
        return update

    def copy(update: Any) -> Any:
        made: Any = object.__new__(cls)
        for read, write in slots:
            write(made, read(update))
        return made

    return swap if SWAPS else copy


def shown(value: object) -> str:
    """Return *value* as a repr shows it.

    Numbers as digits, times in ISO 8601, the rest as Python's repr.
    """
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return quoted(value)
    return repr(dict(value) if isinstance(value, Mapping) else value)


class Record:
    """A frozen attrs class with a short repr.

    The repr leaves out attributes that are unset or have their default; read-only
    mappings pickle as dicts.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the class and every attribute that is set, on one line."""
        fields = [(field, getattr(self, field.name)) for field in attrs.fields(type(self)) if field.repr]  # type: ignore[arg-type]
        set_values = [(field.name, value) for field, value in fields if value not in (None, (), EMPTY, field.default)]
        return f"{type(self).__name__}({', '.join(f'{name}={shown(value)}' for name, value in set_values)})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Return a call for `pickle` and `copy`.

        It calls the class with the arguments that are not None.
        """
        fields = [field.name for field in attrs.fields(type(self))]  # type: ignore[arg-type]
        set_values = {name: getattr(self, name) for name in fields if getattr(self, name) is not None}
        plain = {name: dict(value) if isinstance(value, Mapping) else value for name, value in set_values.items()}
        return self._made_from, (plain,)

    @classmethod
    def _made_from(cls, arguments: dict[str, Any]) -> Any:
        return cls(**arguments)


def read_only(mapping: Any) -> Any:
    """Return *mapping* as a read-only mapping."""
    return mapping if isinstance(mapping, (ReadOnly, LazyRow)) else ReadOnly(mapping)


def lazy_wire(cls: ClassT) -> ClassT:
    """Make `wire` of *cls* lazy: it is read from the frame at the first access."""
    setattr(cls, "wire", Wire(vars(cls)["wire"]))  # noqa: B010 - mypy takes it for the attribute of an instance
    return cls


def json_field(key: str, kind: str | None = None) -> Any:
    """Declare an optional attribute that the exchange sends under *key*."""
    return attrs.field(default=None, metadata={"key": key, "kind": kind})


def mapping_field() -> Any:
    """Declare a mapping that `==` and `repr` leave out."""
    return attrs.field(default=EMPTY, converter=read_only, eq=False, repr=False)
