"""``bybit-sync replay``: show a recording as if it happened now."""

from __future__ import annotations

import argparse
import queue
import sys
import threading
from typing import Any, Final

from bybit_sync.cli import options
from bybit_sync.cli.board import Board
from bybit_sync.cli.exits import DONE
from bybit_sync.cli.status_line import StatusLine, counted
from bybit_sync.cli.views import add_views, follow, is_for_screen, open_view
from bybit_sync.model.events import AnyEvent
from bybit_sync.recording.format import unpacked
from bybit_sync.recording.replay import replay

__all__ = ["add"]

_DESCRIPTION: Final = """\
Read a recording through the decoder that was live when it was made, and show it as watch does: on a terminal at the pace at
which it was recorded, else as fast as it can be read. A damaged recording is shown up to where it is damaged."""

_EXAMPLES: Final = """\
  bybit-sync replay today.jsonl               on a terminal: as it happened
  bybit-sync replay today.jsonl --speed 60    a minute in a second
  bybit-sync replay today.jsonl --plain | grep Filled
  bybit-sync replay today.jsonl --json | jq 'select(.gap)'
  ssh host cat today.jsonl.gz | bybit-sync replay -"""

# The number of events that are read ahead of the view.
_AHEAD: Final = 1_000


def add(command: argparse.ArgumentParser) -> None:
    """Add help and arguments to *command*."""
    options.describe(command, _DESCRIPTION, _EXAMPLES)
    command.add_argument(
        "file",
        metavar="FILE",
        help=options.RECORDING,
    )
    add_views(command)
    command.add_argument("--speed", type=options.above_zero, metavar="X", help="X times as fast as it happened")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Show the recording to its end."""
    speed = arguments.speed or (1.0 if is_for_screen(arguments) else None)
    reader = _Reader(arguments.file, speed)
    board = Board(options.STREAMS)
    title = f"bybit-sync replay  {arguments.file}  q or Ctrl-C ends"
    with open_view(arguments, board, title, lambda: reader.status_line(board), keep=True) as (view, enough):
        reader.start()
        follow(reader.inbox, view, enough, go_on=lambda: not reader.is_done)
    if reader.error is not None:
        raise reader.error
    return DONE


def _source(file: str) -> Any:
    """Return what `replay` reads: the lines of the standard input for "-"."""
    return unpacked(sys.stdin.buffer) if file == "-" else file  # type: ignore[arg-type]  # it is buffered, so it can peek


class _Reader(threading.Thread):
    """A thread that reads the recording at its pace.

    The main thread is free to read the keyboard meanwhile.
    """

    def __init__(self, file: str, speed: float | None) -> None:
        super().__init__(name="replay", daemon=True)
        self.inbox: queue.Queue[AnyEvent] = queue.Queue(_AHEAD)
        self.error: BaseException | None = None
        """The error that ended it before the recording's end, else None."""
        self._file = file
        self._speed = speed
        self._last: AnyEvent | None = None
        self._over = threading.Event()

    @property
    def is_done(self) -> bool:
        """True when no event is left."""
        return self._over.is_set() and self.inbox.empty()

    def run(self) -> None:
        """Read the recording into the inbox."""
        try:
            for event in replay(_source(self._file), self._speed):
                self._last = event
                self.inbox.put(event)
        except BaseException as error:  # noqa: BLE001 - raised later, on the main thread
            self.error = error
        finally:
            self._over.set()

    def status_line(self, board: Board) -> StatusLine:
        """Return the status line: the time of the last event, the speed, counts."""
        when = f"{self._last.received_at:%Y-%m-%d %H:%M:%S} UTC" if self._last is not None else "-"
        speed = f"x{self._speed:g}" if self._speed is not None else "at once"
        facts = [when, speed, counted(board.updates, "update"), counted(board.gaps, "gap")]
        return StatusLine("END" if self._over.is_set() else "REPLAY", facts=facts)
