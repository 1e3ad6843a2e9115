"""``bybit-sync record``: write every frame to a file."""

from __future__ import annotations

import argparse
import logging
import os
import queue
import sys
import time
from collections.abc import Callable
from typing import Final

from bybit_sync.cli import options
from bybit_sync.cli.board import Board
from bybit_sync.cli.exits import DONE
from bybit_sync.cli.status_line import counted, size_text
from bybit_sync.cli.target import SUBSCRIBE, open_target
from bybit_sync.cli.views import QUEUE, follow, note, warnings_to
from bybit_sync.model.events import AnyEvent
from bybit_sync.recording.recorder import Recorder

__all__ = ["add"]

_DESCRIPTION: Final = """\
Write every frame of an account's streams to FILE as JSON Lines, with the moment on both clocks, and show how far it is on the
standard error. Neither key nor signature nor account number gets into the file, which is made for you only (mode 0600). It is
appended to; a kill loses at most the last second. FILE - is the standard output.

With --rotate, a file that would grow beyond SIZE is renamed to FILE.1, the next to FILE.2 and so on; replay and stats read
them all."""

_EXAMPLES: Final = """\
  bybit-sync record today.jsonl                all four streams, until Ctrl-C
  bybit-sync record two.jsonl orders positions
  bybit-sync record year.jsonl --rotate 100M
  bybit-sync record - | gzip > today.jsonl.gz
  bybit-sync record try.jsonl --simulate --seconds 10"""

# Seconds between two progress texts: on a terminal, and elsewhere, where each is a new
# line.
_OFTEN, _SELDOM = 0.5, 10.0


def add(commands: options.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = options.add_command(
        commands, "record", summary="write every frame to a file", description=_DESCRIPTION, examples=_EXAMPLES
    )
    command.add_argument("file", metavar="FILE", help="where to; - for the standard output")
    options.add_streams(command)
    command.add_argument("--rotate", type=options.size, metavar="SIZE", help="begin a new file at SIZE, such as 500k, 100M, 1G")
    options.add_seconds(command)
    options.add_connection(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Record until a signal, ``--seconds`` or an error ends it."""
    recorder = Recorder(sys.stdout if arguments.file == "-" else arguments.file, rotate_bytes=arguments.rotate)
    inbox: queue.Queue[AnyEvent] = queue.Queue(QUEUE)
    with open_target(arguments) as target, warnings_to(logging.StreamHandler(), _fresh_line()):
        note(f"connecting to {target.title} ...")
        try:
            with target.client(record=recorder) as client:
                streams = arguments.streams or target.streams
                for stream in streams:
                    SUBSCRIBE[stream](client, inbox)
                target.begin()
                deadline = time.monotonic() + arguments.seconds if arguments.seconds else None
                progress = _Progress(recorder, Board(streams), lambda: client.state.value)
                follow(inbox, progress, lambda: recorder.error is not None, go_on=lambda: not client.wait(0), deadline=deadline)
        finally:
            _say_last(recorder, arguments.file)
    if recorder.error is not None:
        raise recorder.error
    return DONE


class _Progress:
    """A view of the progress: one changing line on a terminal, else several."""

    def __init__(self, recorder: Recorder, board: Board, state: Callable[[], str]) -> None:
        self._recorder = recorder
        self._board = board
        self._state = state
        self._on_terminal = sys.stderr.isatty()
        self._pause = _OFTEN if self._on_terminal else _SELDOM
        self._due = 0.0

    def show(self, event: AnyEvent) -> None:
        """Count *event*."""
        self._board.take(event)

    def tick(self) -> None:
        """Print the progress, if that is due."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + self._pause
            self._print(f"{self._state()}  {_how_much(self._recorder)}, {counted(self._board.gaps, 'gap')}")

    def _print(self, text: str) -> None:
        if not self._on_terminal:
            note(text)
            return
        # Carriage return, the text, erase to the end of the line.
        width = os.get_terminal_size(sys.stderr.fileno()).columns
        print(f"\r{text[: max(1, width - 1)]}\x1b[K", end="", file=sys.stderr, flush=True)


def _say_last(recorder: Recorder, file: str) -> None:
    print(_fresh_line(), end="", file=sys.stderr)
    note(f"{file}: {_how_much(recorder)}")


def _fresh_line() -> str:
    """Return the control characters that clear the progress line."""
    return "\r\x1b[K" if sys.stderr.isatty() else ""


def _how_much(recorder: Recorder) -> str:
    return f"{counted(recorder.frames, 'frame')}, {size_text(recorder.bytes)}"
