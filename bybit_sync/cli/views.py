"""The views of events: JSON, a screen on a terminal, else lines."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import queue
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, Protocol

from bybit_sync.cli.board import Board
from bybit_sync.cli.keyboard import quiet_keyboard
from bybit_sync.cli.lines import Json, Lines
from bybit_sync.cli.status_line import StatusLine
from bybit_sync.cli.suspending import suspendable
from bybit_sync.model.events import AnyEvent
from bybit_sync.text import printable

if TYPE_CHECKING:
    from bybit_sync.cli.screen import Screen

__all__ = ["QUEUE", "View", "add_views", "follow", "is_for_screen", "note", "open_view", "warnings_to"]

# Seconds between two ticks without events, and the most events between two ticks.
_BEAT: Final = 0.1
_BURST: Final = 500
# The most events that wait for a slow reader (a pipe, a stopped terminal). Beyond that,
# a gap is shown.
QUEUE: Final = 10_000


class View(Protocol):
    """A view of events."""

    def show(self, event: AnyEvent) -> None:
        """Show *event*."""

    def tick(self) -> None:
        """Redraw what depends on the time."""


def add_views(command: argparse.ArgumentParser) -> None:
    """Add --plain and --json."""
    ways = command.add_mutually_exclusive_group()
    ways.add_argument("--plain", action="store_true", help="a line per update; also when the output is no terminal")
    ways.add_argument("--json", action="store_true", help="one JSON object per event and line")


def is_for_screen(arguments: argparse.Namespace) -> bool:
    """Return whether the view is a screen."""
    # Without UTF-8 the terminal has no ellipsis for a cut number.
    can_draw = os.environ.get("TERM", "dumb") != "dumb" and "utf" in sys.stdout.encoding.lower()
    return not arguments.json and not arguments.plain and sys.stdout.isatty() and can_draw


@contextlib.contextmanager
def open_view(
    arguments: argparse.Namespace, board: Board, title: str, status_line: Callable[[], StatusLine], *, keep: bool = False
) -> Iterator[tuple[View, Callable[[], bool]]]:
    """Yield a view, and a function that returns whether q was typed.

    The library's warnings go below the tables of a screen, else to the standard error.
    *keep* leaves the last picture.
    """
    if not is_for_screen(arguments):
        with warnings_to(logging.StreamHandler()):
            yield (Json() if arguments.json else Lines()), lambda: False
        return
    from bybit_sync.cli.screen import Screen  # noqa: PLC0415 - comes with an extra

    screen = Screen(board, title, status_line, keep=keep)
    # Ctrl-Z has to be minded before the first picture is there.
    with quiet_keyboard() as keyboard, suspendable(screen, keyboard) as suspended, screen, warnings_to(_Note(screen)):
        yield screen, lambda: suspended() or keyboard.quits()


def follow(
    inbox: queue.Queue[AnyEvent],
    view: View,
    enough: Callable[[], bool],
    *,
    go_on: Callable[[], bool],
    deadline: float | None = None,
) -> None:
    """Show events until *enough* is true, *deadline* passes, or *go_on* is false.

    *deadline* is monotonic seconds.

    Ready events are shown before *go_on* is called, which may also raise.
    """
    while not enough():
        now = time.monotonic()
        if deadline is not None and now >= deadline:
            break
        if not _show_ready(inbox, view, _BEAT if deadline is None else min(_BEAT, deadline - now)) and not go_on():
            break
        view.tick()
    _show_ready(inbox, view, 0.0)
    view.tick()


def _show_ready(inbox: queue.Queue[AnyEvent], view: View, patience: float) -> bool:
    """Show the events that are ready, or arrive within *patience* seconds.

    Returns False when there was none.
    """
    try:
        view.show(inbox.get(timeout=patience) if patience else inbox.get_nowait())
    except queue.Empty:
        return False
    with contextlib.suppress(queue.Empty):
        for _ in range(_BURST):
            view.show(inbox.get_nowait())
    return True


def note(text: str) -> None:
    """Print *text* on the standard error."""
    print(f"bybit-sync: {text}", file=sys.stderr, flush=True)


# --- the library's log ---


class _Note(logging.Handler):
    """A handler that shows each warning below the tables."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(logging.WARNING)
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        # Assigning an attribute is atomic: the next picture, on another thread, shows
        # the old text or the new one.
        text = record.getMessage().removeprefix(f"{getattr(record, 'client', '')}: ")
        self._screen.note = printable(f"{time.strftime('%H:%M:%S')} {text}", 1_000)


@contextlib.contextmanager
def warnings_to(handler: logging.Handler, prefix: str = "") -> Iterator[None]:
    """Send the library's warnings to *handler* only; each line begins with *prefix*."""
    logger = logging.getLogger("bybit_sync")
    if handler.formatter is None:
        handler.setFormatter(logging.Formatter(f"{prefix}%(asctime)s %(message)s", "%H:%M:%S"))
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
