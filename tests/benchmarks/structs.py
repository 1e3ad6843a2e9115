"""Structs for the limit: every key of the pushes, as text, or its numbers as Decimals."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from tests.benchmarks.payloads import Market, Row


def _type(key: str, value: Any, *, exact: bool) -> Any:
    if isinstance(value, list):
        return list.__class_getitem__(_struct("Coin", value[0], exact=exact))
    if isinstance(value, dict):
        return dict[str, str]
    return Decimal if exact and isinstance(value, str) and _is_number(key, value) else type(value)


def _is_number(key: str, value: str) -> bool:
    try:
        Decimal(value)
    except InvalidOperation:
        return False
    return not key.endswith(("Time", "Id"))


def _struct(name: str, row: Row, *, exact: bool) -> Any:
    return msgspec.defstruct(name, [(key, _type(key, value, exact=exact)) for key, value in row.items()])


def _push(topic: str, row: Row, *, exact: bool) -> Any:
    rows = list.__class_getitem__(_struct(topic.title(), row, exact=exact))
    fields = [("id", str), ("creationTime", int), ("data", rows)]
    return msgspec.defstruct(f"{topic.title()}Push", fields, tag_field="topic", tag=topic)


def pushes(*, exact: bool) -> dict[str, Any]:
    """Return a struct for the pushes of each stream; with *exact*, numbers in quotes are Decimals, else text as they are."""
    market = Market()
    rows = {"position": market.position(), "order": market.order(), "execution": market.trade(), "wallet": market.account()}
    return {stream: _push(stream, row, exact=exact) for stream, row in rows.items()}
