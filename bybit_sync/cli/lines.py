"""Events as text, a line each, for people without a terminal and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from bybit_sync.cli.columns import COLUMNS
from bybit_sync.cli.status_line import gap_text
from bybit_sync.model.events import AnyEvent, Source, Stream
from bybit_sync.model.to_dict import to_dict

__all__ = ["Json", "Lines"]

_OF_A_PUSH: Final = ("client", "epoch", "index", "stream", "topic", "created_at", "received_at", "data", "gap")
_OF_REST: Final = ("snapshot", "recovered", "unresolved")
_OF_A_GAP: Final = ("reason", "since", "until", "missed", "detail", "recovering")


class Json:
    """One JSON object per event and line, with numbers as texts."""

    def show(self, event: AnyEvent) -> None:
        """Print *event*."""
        whole = to_dict(event)
        for name in ("gap", "recovered"):
            whole[name] = whole[name] and {key: whole[name][key] for key in _OF_A_GAP}
        keys = _OF_A_PUSH if event.source is Source.STREAM else (*_OF_A_PUSH, *_OF_REST)
        print(json.dumps({key: whole[key] for key in keys}), flush=True)

    def tick(self) -> None:
        """Do nothing: every event is printed at once."""


class Lines:
    """A line per update, or per coin of it; a gap is a line too."""

    def show(self, event: AnyEvent) -> None:
        """Print *event*."""
        moment = f"{event.created_at or event.received_at:%H:%M:%S.%f}"[:-3]
        for line in [f"gap: {gap_text(event.gap)}"] if event.gap else _lines(event):
            print(f"{moment} {event.stream.value:<11} {line}", flush=True)

    def tick(self) -> None:
        """Do nothing: every event is printed at once."""


def _lines(event: AnyEvent) -> Iterator[str]:
    """Yield a line for what *event* mends, and for each of its rows."""
    if event.recovered is not None:
        yield f"recovered: {event.recovered.since:%H:%M:%S} to {event.recovered.until:%H:%M:%S}"
    for row in _rows(event):
        yield _line(event.stream, row)


def _rows(event: AnyEvent) -> Iterator[Any]:
    """Yield the updates of *event*, and the coins of a balance."""
    for update in event:
        yield from getattr(update, "coins", (update,))


def _line(stream: Stream, row: Any) -> str:
    first, *others = COLUMNS[stream]
    return " ".join([first.cell(row), *(f"{column.header.replace(' ', '_')}={column.cell(row)}" for column in others)])
