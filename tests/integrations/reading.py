"""What the tests of Redis streams ask of an event."""

from __future__ import annotations

from typing import Any

import attrs

from bybit_sync import Event, Gap
from bybit_sync.errors import BybitSyncError


def difference(found: Any, given: Any, path: str = "event") -> list[str]:
    """Return the paths of the attributes in which *found* differs from *given*.

    `received_ns` may differ; of an error the text counts, and the class if it is ours.
    """
    if attrs.has(type(given)):
        names = [field.name for field in attrs.fields(type(given)) if field.name != "received_ns"]
        found_in = [difference(getattr(found, name), getattr(given, name), f"{path}.{name}") for name in names]
        return [each for part in found_in for each in part] if type(found) is type(given) else [path]
    if isinstance(given, tuple) and len(found) == len(given):
        pairs = enumerate(zip(found, given, strict=True))
        return [each for at, (a, b) in pairs for each in difference(a, b, f"{path}[{at}]")]
    if isinstance(given, BaseException):
        ours = type(given) if isinstance(given, BybitSyncError) else Exception
        return [] if (type(found), str(found)) == (ours, str(given)) else [path]
    return [] if (found, type(found)) == (given, type(given)) else [path]


def outline(events: list[Any]) -> list[object]:
    """Return the index of each event; of a gap with the index 0 its reason and number."""
    return [told(event) if event.gap is not None and not event.index else event.index for event in events]


def told(event: Event[Any]) -> tuple[str, int | None]:
    """Return the reason of the gap *event*, and what is missed."""
    gap = event.gap
    assert isinstance(gap, Gap)
    return gap.reason.value, gap.missed
