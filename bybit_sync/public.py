"""Name the package, from which users import, as the module of public classes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

import attrs

__all__ = ["forget_resolved", "moved", "name_public"]


def forget_resolved(cls: type) -> None:
    """Delete the note of attrs that the types of *cls* are resolved.

    Its value is the class, so `help` would show the docstring of the class twice.
    """
    with contextlib.suppress(AttributeError):
        del cls.__attrs_types_resolved__  # type: ignore[attr-defined]


def name_public(*classes: type) -> None:
    """Set the module that *classes* name to `bybit_sync`.

    Tracebacks, pickles and `help` show it. `inspect.getsource` finds no source for
    them: it looks in the file of the module that a class names.
    """
    for cls in classes:
        if attrs.has(cls):
            # Annotations are looked up in the module that a class names: resolve them
            # while that is still its own.
            attrs.resolve_types(cls)
            cls.__annotations__ = {field.name: field.type for field in attrs.fields(cls)}
            forget_resolved(cls)
        cls.__module__ = "bybit_sync"
        # Python 3.13 remembers a line of the file: `inspect` would show that line of
        # the package's own file.
        with contextlib.suppress(AttributeError):
            del cls.__firstlineno__  # type: ignore[attr-defined]


def moved(*names: str) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a module in which public *names* once lay.

    Pickles of older versions look for them there.
    """

    def find(name: str) -> object:
        if name in names:
            found: object = getattr(sys.modules["bybit_sync"], name)
            return found
        raise AttributeError(f"no attribute {name!r}")

    return find
