"""Checks of arguments, each with an error that names the remedy.

Each check is an attrs validator too.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Final

from bybit_sync.errors import ConfigurationError

__all__ = ["at_least", "check_ran", "name_of", "not_negative", "plain_callable", "positive", "refuse", "whole"]


LARGEST: Final = 1_000_000


def refuse(argument: str, value: object, remedy: str) -> ConfigurationError:
    """Return the error for *argument*, which must not be *value*.

    *remedy* says what is allowed.
    """
    return ConfigurationError(f"{argument}={value!r} cannot work: {remedy}")


def name_of(argument: Any) -> str:
    """Return the name of *argument*, which is a name or an attrs attribute."""
    return argument if isinstance(argument, str) else str(argument.name)


def _is_number(value: object) -> bool:
    # Compared, not converted: an int may be too large for a float. NaN and infinity
    # fail the comparison too.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def positive(_owner: object, argument: Any, value: Any) -> None:
    """Raise `ConfigurationError` unless *value* is a number above 0.

    It must be small enough for the system to wait that long.
    """
    if not _is_number(value) or not 0 < value <= LARGEST:
        raise refuse(name_of(argument), value, f"give a number above 0 and up to {LARGEST:,}")


def not_negative(_owner: object, argument: Any, value: Any) -> None:
    """Raise `ConfigurationError` unless *value* is a number from 0 up."""
    if not _is_number(value) or value < 0:
        raise refuse(name_of(argument), value, "give a number from 0 up")


def at_least(bound: float) -> Callable[[object, Any, Any], None]:
    """Return a check that raises unless the value is a number from *bound* up."""

    def check(_owner: object, argument: Any, value: Any) -> None:
        if not _is_number(value) or value < bound:
            raise refuse(name_of(argument), value, f"give a number from {bound:g} up")

    return check


def whole(_owner: object, argument: Any, value: Any) -> None:
    """Raise `ConfigurationError` unless *value* is an int above 0."""
    if type(value) is not int or value < 1:
        raise refuse(name_of(argument), value, "give a whole number above 0")


# --- callables ---

_SUSPENDED: Final = (inspect.iscoroutinefunction, inspect.isasyncgenfunction, inspect.isgeneratorfunction)


def plain_callable(argument: str, value: Any, remedy: str = "give something that can be called") -> Any:
    """Return *value*, a callable or None.

    Raises `ConfigurationError` for coroutine and generator functions, and with *remedy*
    for what cannot be called.
    """
    if value is None:
        return None
    if not callable(value):
        raise refuse(argument, value, remedy)
    function = value
    while isinstance(function, functools.partial):
        function = function.func
    # Look at the class: Python calls an instance through its class (and a mock has
    # every attribute).
    bodies = (function, getattr(type(function), "__call__", None))  # noqa: B004 - its kind is inspected, not whether it exists
    if any(is_suspended(body) for is_suspended in _SUSPENDED for body in bodies):
        raise refuse(argument, value, "this library runs threads and awaits nothing; give a plain function")
    return value


def check_ran(returned: object) -> None:
    """Raise `TypeError` when a callback *returned* a coroutine or generator.

    Its body has not run; it is closed.
    """
    if returned is None or not isinstance(returned, (CoroutineType, GeneratorType, AsyncGeneratorType)):
        return
    if not isinstance(returned, AsyncGeneratorType):
        # Close it now: Python would warn later, without naming the callback.
        returned.close()
    raise TypeError(
        f"it returned a {type(returned).__name__}, of which nothing has run: this library awaits nothing. Give a plain "
        "function, and from it use asyncio.run_coroutine_threadsafe"
    )
