"""Name the package, from which users import, as the module of public classes."""

from __future__ import annotations

import attrs

__all__ = ["name_public"]


def name_public(*classes: type) -> None:
    """Set the module that *classes* name to `bybit_sync`.

    Tracebacks, pickles and `help` show it.
    """
    for cls in classes:
        if attrs.has(cls):
            # Annotations are looked up in the module that a class names: resolve them
            # while that is still its own.
            attrs.resolve_types(cls)
            cls.__annotations__ = {field.name: field.type for field in attrs.fields(cls)}
        cls.__module__ = "bybit_sync"
