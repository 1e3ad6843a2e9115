"""Time windows of ``order/history`` and ``execution/list``.

A window has at most seven days, and seven days when one end is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bybit_sync.simulator.rest.refusals import RestRefusal

__all__ = ["DAY", "LONGEST", "window_of"]

DAY: Final = 86_400_000
LONGEST: Final = 7 * DAY


def window_of(parameters: Mapping[str, Any], now: int) -> tuple[int, int]:
    """Return the first and the last instant (ms, inclusive) of the window.

    *now* is the exchange's clock.

    Raises `RestRefusal` 10001 for a window of more than seven days, or one that ends
    before it starts.
    """
    start, end = _instant(parameters, "startTime"), _instant(parameters, "endTime")
    if start is None and end is None:
        return now - LONGEST, now
    if end is None:
        assert start is not None
        return start, start + LONGEST
    if start is None:
        return end - LONGEST, end
    if start > end:
        raise RestRefusal(10001, "startTime should be less than endTime")
    if end - start > LONGEST:
        raise RestRefusal(10001, "The time range between startTime and endTime cannot exceed 7 days")
    return start, end


def _instant(parameters: Mapping[str, Any], name: str) -> int | None:
    value = parameters.get(name)
    try:
        return None if value in (None, "") else int(str(value))
    except ValueError:
        raise RestRefusal(10001, f"params error: {name} invalid") from None
