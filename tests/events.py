"""Events to put somewhere: pushes that carry their number, and gaps."""

from __future__ import annotations

from typing import Any

import attrs

from bybit_sync.model.events import Event, Gap, GapReason, Stream
from tests.talking import at


@attrs.frozen
class Row:
    """A row that is its number."""

    number: int


def push(number: int, **changes: Any) -> Event[Row]:
    """Return push *number*, made *number* seconds after noon."""
    now = at(number)
    usual: dict[str, Any] = {"created_at": now.utc, "received_at": now.utc, "received_ns": now.ns}
    return Event(stream=Stream.ORDERS, topic="order", data=(Row(number),), **{**usual, **changes})


def gap(reason: GapReason, since: float, until: float | None = None, missed: int | None = None, **changes: Any) -> Event[Row]:
    """Return a gap from *since* to *until*, in seconds after noon."""
    until = since if until is None else until
    told = Gap(reason=reason, since=at(since).utc, until=at(until).utc, missed=missed, detail=reason.value)
    return Event(stream=Stream.ORDERS, topic="order", gap=told, received_at=told.until, received_ns=at(until).ns, **changes)


def lost(first: int, last: int | None = None) -> Event[Row]:
    """Return the gap for pushes *first* to *last*, dropped."""
    last = first if last is None else last
    return gap(GapReason.OVERFLOW, first, last, last - first + 1)


def outline(event: Event[Row] | None) -> object:
    """Return what matters of *event*: the number of a push; reason, what is missed and the window of a gap."""
    if event is None:
        return None
    if event.gap is None:
        return event.data[0].number
    noon = at(0).utc
    window = [(moment - noon).total_seconds() for moment in (event.gap.since, event.gap.until)]
    return (event.gap.reason.value, event.gap.missed, *window)


# --- checking histories ---


def check(history: list[Event[Row]], steps: list[str]) -> None:
    """Compare *history* with what was put, place by place: *steps* are numbered by their time."""
    told: list[Event[Row]] = []
    before = -1
    for event in [*history, None]:
        if event is not None and event.gap is not None:
            told.append(event)
            continue
        now = len(steps) if event is None else event.data[0].number
        assert now > before
        check_place([(n, steps[n]) for n in range(before + 1, now) if steps[n] != "take"], told)
        told, before = [], now


def check_place(missing: list[tuple[int, str]], told: list[Event[Row]]) -> None:
    """Compare what was put between two pushes that were delivered, none of which was, with the gaps there."""
    gaps = [event.gap for event in told if event.gap is not None]
    assert bool(missing) == bool(gaps)
    for number, step in missing:
        moment = push(number).created_at
        covering = [g for g in gaps if moment is not None and g.since <= moment <= g.until]
        assert covering
        assert step == "push" or any(g.reason.value in (step, "DISCONNECTED") for g in covering)
    if all(g.missed is not None for g in gaps):
        assert sum(g.missed or 0 for g in gaps) == len(missing)
