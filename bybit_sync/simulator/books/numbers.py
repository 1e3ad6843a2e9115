"""The numbers that a user gives: texts, integers or ``Decimal``, and no floats."""

from __future__ import annotations

from decimal import Decimal

__all__ = ["Number", "exact", "exact_or_none"]

Number = str | int | Decimal


def exact(name: str, number: Number) -> Decimal:
    """Return *number* as a ``Decimal``. Raises ``TypeError`` for a float."""
    if isinstance(number, float):
        raise TypeError(f"{name}: {number!r} is a float, which is not exact; write it as text")
    return Decimal(number)


def exact_or_none(name: str, number: Number | None) -> Decimal | None:
    """Return *number* as a ``Decimal``, None for None."""
    return None if number is None else exact(name, number)
