"""``bybit-sync consume``: print the events that are in Redis streams."""

from __future__ import annotations

import argparse
import contextlib
import logging
import queue
import threading
import time
from typing import Any, Final

from bybit_sync.cli import options
from bybit_sync.cli.exits import DONE
from bybit_sync.cli.lines import Json, Lines
from bybit_sync.cli.views import warnings_to

__all__ = ["add"]

_DESCRIPTION: Final = """\
Print what bybit-sync forward, or a program with RedisStreams, writes into the streams of CLIENT: a line per update, or JSON.

Without --group it begins with the next event. With --group each event is given to one consumer of the group, from the oldest
one on, and is acknowledged when it has been printed; the next start goes on from there."""

_EXAMPLES: Final = """\
  bybit-sync consume redis://localhost:6379 main orders
  bybit-sync consume env main positions balances      the URL in REDIS_URL
  bybit-sync consume redis://localhost main orders --json | jq -c .data[]
  bybit-sync consume env main orders --group books --consumer books-1"""

_BEAT: Final = 0.2


def add(command: argparse.ArgumentParser) -> None:
    """Add help and arguments to *command*."""
    options.describe(command, _DESCRIPTION, _EXAMPLES)
    options.add_server(command)
    command.add_argument("client", metavar="CLIENT", help="the name of the account that forward was given")
    options.add_streams(command)
    command.add_argument("--json", action="store_true", help="one JSON object per event and line")
    command.add_argument("--group", help="read as a consumer of this group")
    command.add_argument("--consumer", help="the name of this consumer (default: that of the machine)")
    command.add_argument(
        "--claim-idle",
        type=options.above_zero,
        metavar="N",
        default=60.0,
        help="take over what another consumer has held for N seconds (default: 60)",
    )
    options.add_seconds(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Print until a signal, ``--seconds`` or an error."""
    from bybit_sync.integrations import redis_streams  # noqa: PLC0415 - comes with an extra

    printer = _Printer(Json() if arguments.json else Lines())
    end = None if arguments.seconds is None else time.monotonic() + arguments.seconds
    with warnings_to(logging.StreamHandler()):
        for stream in arguments.streams or options.STREAMS:
            printer.follow(
                redis_streams.consume(
                    arguments.url,
                    arguments.client,
                    stream,
                    group=arguments.group,
                    consumer=arguments.consumer,
                    prefix=arguments.prefix,
                    claim_idle=arguments.claim_idle,
                )
            )
        printer.wait(end)
    return DONE


class _Printer:
    """Prints the events of several streams, each read by a thread of its own."""

    def __init__(self, view: Json | Lines) -> None:
        self._view = view
        # One line at a time; also held by the end, so that no line is cut.
        self._printing = threading.Lock()
        self._errors: queue.Queue[BaseException] = queue.Queue()

    def follow(self, events: Any) -> None:
        """Print *events* from now on."""
        threading.Thread(target=self._print, args=(events,), daemon=True).start()

    def _print(self, events: Any) -> None:
        try:
            for event in events:
                # Before the next one is asked for, which acknowledges this one.
                with self._printing:
                    self._view.show(event)
        except BaseException as error:  # noqa: BLE001 - raised by the main thread
            self._errors.put(error)

    def wait(self, end: float | None) -> None:
        """Return at *end*, in monotonic seconds; raise the first error of a thread."""
        while end is None or time.monotonic() < end:
            left = _BEAT if end is None else min(_BEAT, max(0.0, end - time.monotonic()))
            with contextlib.suppress(queue.Empty):
                raise self._errors.get(timeout=left)
        self._printing.acquire()
