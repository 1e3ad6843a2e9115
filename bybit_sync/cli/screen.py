"""The live screen: a table for each stream; the only user of rich."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final

from rich.console import Console, ConsoleDimensions, Group, JustifyMethod, RenderableType
from rich.control import Control
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bybit_sync.cli.board import Board, Row
from bybit_sync.cli.columns import BAD, COLUMNS, GOOD, Column, fitting, shares
from bybit_sync.cli.status_line import StatusLine, gap_text
from bybit_sync.model.events import AnyEvent, Gap, Stream

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Screen"]

_STYLES: Final = {GOOD: "green", BAD: "red"}
# Seconds between two pictures: at least the first, so that a burst costs one; at most
# the second, because ages change.
_SHORTEST, _LONGEST = 0.12, 1.0
_SMALLEST: Final = ConsoleDimensions(20, 6)
_USUAL: Final = os.terminal_size((80, 24))
_SPACIOUS: Final = 20
_NO_ROWS: Final = "none known: the exchange sends no snapshot, a row appears with its first update"
_LEGEND: Final = "~ stale until its next update"


class Screen:
    """A full-screen view, which restores the terminal at its end.

    *status_line* is called for each picture; *keep* leaves the last picture on the
    terminal. One thread.
    """

    def __init__(self, board: Board, title: str, status_line: Callable[[], StatusLine], *, keep: bool = False) -> None:
        self.note: str = ""
        """The line below the tables: the last warning or gap."""
        self._board = board
        self._title = title
        self._status_line = status_line
        self._keep = keep
        self._console = Console(highlight=False, force_terminal=True)
        self._live = Live(console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
        self._drawn_at = -_LONGEST
        self._drawn_size: os.terminal_size | None = None
        self._changed = True

    def __enter__(self) -> Self:
        try:
            self._live.start()
            self.tick()
        except BaseException:
            # A signal, or a closed terminal.
            self._live.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.leave()
        if self._keep and (kind is None or issubclass(kind, KeyboardInterrupt)):
            self._console.print(Group(*self._picture(self._console.size, last=True)))

    def leave(self) -> None:
        """Give the terminal back, as it was."""
        try:
            # Some terminals (tmux after a resize) would leave the picture on the main
            # screen.
            self._clear()
        finally:
            self._live.stop()

    def come_back(self) -> None:
        """Take the terminal again, and draw at once."""
        self._live.start()
        self._drawn_size = None
        self.tick()

    def show(self, event: AnyEvent) -> None:
        """Apply *event*; the next picture shows it."""
        self._board.take(event)
        if event.gap is not None:
            self.note = gap_text(event.gap, event.stream)
        self._changed = True

    def tick(self) -> None:
        """Draw, if something changed or a second has passed."""
        now, size = time.monotonic(), _size()
        due = self._drawn_at + (_SHORTEST if self._changed else _LONGEST)
        if now >= due or size != self._drawn_size:
            if size != self._drawn_size:
                self._clear()
            self._drawn_at, self._drawn_size, self._changed = now, size, False
            self._console.size = ConsoleDimensions(*size)
            self._live.update(Group(*self._picture(self._console.size)), refresh=True)

    def _clear(self) -> None:
        self._console.control(Control.home(), Control.clear())

    # --- the picture ---

    def _picture(self, size: ConsoleDimensions, *, last: bool = False) -> Iterator[RenderableType]:
        """Yield the picture from above.

        The *last* one may be longer than the terminal, which then scrolls.
        """
        width, height = max(size.width, _SMALLEST.width), max(size.height, _SMALLEST.height)
        status_line = self._status_line()
        yield _line(Text(self._title, "dim"))
        yield _line(_status(status_line))
        rows = {stream: self._board.rows(stream) for stream in self._board.streams}
        between = 1 if height >= _SPACIOUS else 0
        # All but the title, the status, the last line, and for each table its header
        # and the line before it.
        room = max(0, height - 3 - len(rows) * (1 + between))
        wanted = [max(1, len(known)) for known in rows.values()]
        given = wanted if last else shares(wanted, room)
        for stream, lines in zip(rows, given, strict=True):
            yield from [Text()] * between
            yield self._table(stream, rows[stream], lines, fitting(COLUMNS[stream], width), doubtful=not status_line.trusted)
        if not last:
            yield from [Text()] * (room - sum(given))
            yield _line(self._last_line(trusted=status_line.trusted))

    def _last_line(self, *, trusted: bool) -> Text:
        legend = _LEGEND if trusted and self._board.has_stale else ""
        return Text("; ".join(filter(None, (legend, self.note))), "yellow")

    def _table(
        self, stream: Stream, rows: Sequence[Row], lines: int, columns: Sequence[Column], *, doubtful: bool
    ) -> RenderableType:
        """Return *stream* as a table of *lines* lines below its header."""
        shown = rows if len(rows) <= lines else rows[: max(0, lines - 1)]
        table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", expand=False)
        for index, column in enumerate(columns):
            side: JustifyMethod = "left" if column.words else "right"
            header = self._name(stream) if index == 0 else Text(column.header)
            table.add_column(header, justify=side, min_width=column.width, no_wrap=True)
        for row in shown:
            style = "dim" if doubtful or row.stale else None
            table.add_row(*_cells(columns, row), style=style)
        return Group(table, *self._below(stream, rows, lines - len(shown)))

    def _name(self, stream: Stream) -> Text:
        name = stream.value.replace("_", " ")
        return Text(f"{name} ended", "bold red") if stream in self._board.ended else Text(name, "bold")

    def _below(self, stream: Stream, rows: Sequence[Row], lines: int) -> Iterator[RenderableType]:
        ended = self._board.ended.get(stream)
        if lines <= 0:
            return
        if ended is not None and not rows:
            yield _line(Text(gap_text(ended), "red"))
        elif not rows:
            yield _line(Text("none" if stream in self._board.listed else _NO_ROWS, "dim"))
        elif len(rows) > 1:
            yield _line(Text(f"... {len(rows)} in all", "dim"))


def _size() -> os.terminal_size:
    """Return the terminal's size now; COLUMNS and LINES may be outdated."""
    try:
        size = os.get_terminal_size(1)
    except OSError:
        return _USUAL
    return size if size.columns and size.lines else _USUAL


def _line(text: Text) -> Text:
    """Return *text* as one line, cut to the width."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _status(status_line: StatusLine) -> Text:
    return Text.assemble(
        (status_line.state, f"bold {_STYLES.get(status_line.style, 'yellow')}"), *(f"  {fact}" for fact in status_line.facts)
    )


def _cells(columns: Sequence[Column], row: Row) -> Iterator[Text]:
    if isinstance(row.update, Gap):
        yield from _gap_cells(columns, row.update)
        return
    for index, column in enumerate(columns):
        mark = "~" if row.stale and index == 0 else ""
        yield Text(mark + column.cell(row.update), _STYLES.get(column.style(row.update), ""))


def _gap_cells(columns: Sequence[Column], gap: Gap) -> Iterator[Text]:
    for index, column in enumerate(columns):
        text = "~ gap" if index == 0 else f"{gap.until:%H:%M:%S}" if column.header == "time" else ""
        yield Text(text, "yellow")
