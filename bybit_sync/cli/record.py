"""``bybit-sync record``: write every frame to a file."""

from __future__ import annotations

import argparse
import logging
import queue
import sys
import time
from typing import Final

from bybit_sync.cli import connection, options
from bybit_sync.cli.board import Board
from bybit_sync.cli.exits import DONE
from bybit_sync.cli.progress import ProgressLine, fresh_line
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
them all, also those that gzip packed since (FILE.1.gz). With --keep, the oldest are deleted."""

_EXAMPLES: Final = """\
  bybit-sync record today.jsonl                all four streams, until Ctrl-C
  bybit-sync record two.jsonl orders positions
  bybit-sync record year.jsonl --rotate 100M
  bybit-sync record week.jsonl --rotate 100M --keep 7
  bybit-sync record - | gzip > today.jsonl.gz
  bybit-sync record try.jsonl --simulate --seconds 10"""


def add(command: argparse.ArgumentParser) -> None:
    """Add help and arguments to *command*."""
    options.describe(command, _DESCRIPTION, _EXAMPLES)
    command.add_argument("file", metavar="FILE", help="where to; - for the standard output")
    options.add_streams(command)
    command.add_argument("--rotate", type=options.size, metavar="SIZE", help="begin a new file at SIZE, such as 500k, 100M, 1G")
    command.add_argument("--keep", type=options.above_zero_whole, metavar="N", help="with --rotate: keep the newest N files")
    options.add_seconds(command)
    connection.add_connection(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Record until a signal, ``--seconds`` or an error ends it."""
    target = sys.stdout if arguments.file == "-" else arguments.file
    recorder = Recorder(target, rotate_bytes=arguments.rotate, keep_files=arguments.keep)
    recorder.check()
    inbox: queue.Queue[AnyEvent] = queue.Queue(QUEUE)
    with open_target(arguments) as target, warnings_to(logging.StreamHandler(), fresh_line()):
        note(f"connecting to {target.title} ...")
        try:
            with target.client(record=recorder) as client:
                streams = arguments.streams or target.streams
                for stream in streams:
                    SUBSCRIBE[stream](client, inbox)
                target.begin()
                deadline = time.monotonic() + arguments.seconds if arguments.seconds else None
                board = Board(streams)
                line = ProgressLine(lambda: f"{client.state.value}  {_how_much(recorder)}, {counted(board.gaps, 'gap')}")
                follow(
                    inbox,
                    _Progress(board, line),
                    lambda: recorder.error is not None,
                    go_on=lambda: not client.wait(0),
                    deadline=deadline,
                )
        finally:
            ProgressLine(lambda: f"{arguments.file}: {_how_much(recorder)}").end()
    if recorder.error is not None:
        raise recorder.error
    return DONE


class _Progress:
    """A view of the progress."""

    def __init__(self, board: Board, line: ProgressLine) -> None:
        self._board = board
        self.tick = line.tick

    def show(self, event: AnyEvent) -> None:
        """Count *event*."""
        self._board.take(event)


def _how_much(recorder: Recorder) -> str:
    return f"{counted(recorder.frames, 'frame')}, {size_text(recorder.bytes)}"
