"""``bybit-sync watch``: show an account live."""

from __future__ import annotations

import argparse
import contextlib
import queue
import time
from collections.abc import Callable, Iterator
from typing import Final

from bybit_sync.cli import connection, options
from bybit_sync.cli.board import Board
from bybit_sync.cli.exits import DONE
from bybit_sync.cli.status_line import of_client
from bybit_sync.cli.target import SUBSCRIBE, Target, open_target
from bybit_sync.cli.views import QUEUE, add_views, follow, note, open_view
from bybit_sync.client import Client
from bybit_sync.errors import ConfigurationError
from bybit_sync.model.events import AnyEvent

__all__ = ["add", "watch"]

_NO_SNAPSHOT: Final = "the exchange sends no snapshot: a row appears with its first update"
_RECOVERING: Final = "what is there, and what an outage hides, is read over REST"
# Seconds to wait for the last pushes of a simulated account.
_AFTERGLOW: Final = 0.3

_DESCRIPTION: Final = """\
Show positions, open orders, the latest trades and balances as they change: as tables on a terminal, else a line per update.

What is there at the start, and what an outage hid, is read over REST (V5, with the extra rest). Otherwise a row appears with
its first update, and after an outage every row of a stream is marked as stale (~) until its next update. q or Ctrl-C ends
it."""

_EXAMPLES: Final = """\
  bybit-sync watch                      all four streams of your account
  bybit-sync watch positions orders     two of them
  bybit-sync watch --simulate           a simulated account: no key, no network
  bybit-sync watch --simulate --scenario outages
  bybit-sync watch --environment testnet --key-file ~/.bybit-testnet
  bybit-sync watch --plain | tee log    a line per update
  bybit-sync watch --metrics 9464       with metrics for Prometheus
  bybit-sync watch orders --json | jq -c .data[]"""


def add(command: argparse.ArgumentParser) -> None:
    """Add help and arguments to *command*."""
    options.describe(command, _DESCRIPTION, _EXAMPLES)
    options.add_streams(command)
    add_views(command)
    options.add_seconds(command)
    connection.add_connection(command)
    connection.add_rest_host(command)
    command.add_argument("--no-recover", action="store_true", help="read nothing over REST")
    command.add_argument(
        "--metrics",
        type=options.address,
        metavar="PORT",
        help="serve metrics for Prometheus to this machine; to others with ADDRESS:PORT (the extra prometheus)",
    )
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    return watch(arguments, say=note)


def watch(
    arguments: argparse.Namespace,
    *,
    keep: bool = False,
    say: Callable[[str], object] = lambda _text: None,
    called: str = "watch",
) -> int:
    """Subscribe and show events until a signal or the end of the last stream.

    *keep* leaves the last picture on the terminal; *say* is called with texts about the
    progress; *called* is the command in the title.
    """
    inbox: queue.Queue[AnyEvent] = queue.Queue(QUEUE)
    with (
        open_target(arguments) as target,
        _client(target, say, recover=not arguments.no_recover) as client,
        _metrics(arguments.metrics, client, say),
    ):
        streams = arguments.streams or target.streams
        board = Board(streams)
        say(f"connecting to {target.title} ...")
        for stream in streams:
            SUBSCRIBE[stream](client, inbox)
        say(f"connected; {_NO_SNAPSHOT if client.health().recovery is None else _RECOVERING}")
        target.begin()
        deadline = time.monotonic() + arguments.seconds if arguments.seconds else None
        title = f"bybit-sync {called}  {target.title}  q or Ctrl-C ends"
        with open_view(arguments, board, title, lambda: of_client(client.health(), board), keep=keep) as (view, enough):
            follow(inbox, view, enough, go_on=lambda: not client.wait(0), deadline=deadline)
            if target.end():
                follow(inbox, view, enough, go_on=lambda: True, deadline=time.monotonic() + _AFTERGLOW)
    return DONE


@contextlib.contextmanager
def _metrics(place: tuple[str, int] | None, client: Client, say: Callable[[str], object]) -> Iterator[None]:
    """Serve the metrics of *client* at *place*, address and port, if there is one."""
    if place is None:
        yield
        return
    from bybit_sync.integrations.prometheus import serve  # noqa: PLC0415 - comes with an extra

    with contextlib.ExitStack() as stack:
        try:
            port = stack.enter_context(serve(place[1], client, address=place[0]))
        except OSError as error:
            raise ConfigurationError(f"--metrics: cannot listen at {place[0]}:{place[1]}: {error.strerror}") from error
        say(f"metrics at http://{place[0]}:{port}/metrics")
        yield


def _client(target: Target, say: Callable[[str], object], *, recover: bool) -> Client:
    """Return a client of *target*, which recovers if *recover* says so and it can."""
    if recover:
        try:
            return target.client(recover=True)
        except ConfigurationError as error:
            say(f"nothing is read over REST: {error}")
    return target.client()
