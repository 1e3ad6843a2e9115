"""``bybit-sync forward``: write the events of accounts into Redis streams."""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from bybit_sync.cli import connection, options
from bybit_sync.cli.exits import DONE
from bybit_sync.cli.keys import key_in, read_key_file
from bybit_sync.cli.progress import ProgressLine, fresh_line
from bybit_sync.cli.status_line import counted
from bybit_sync.cli.target import SUBSCRIBE, Target, open_target
from bybit_sync.cli.views import note, warnings_to
from bybit_sync.client import Client
from bybit_sync.errors import BybitSyncError, ConfigurationError, RedisStreamError, RedisUnavailable
from bybit_sync.model.events import Stream
from bybit_sync.status import Health, State

if TYPE_CHECKING:
    from typing_extensions import Self

    from bybit_sync.integrations.redis_streams import RedisStreams

__all__ = ["add"]

_DESCRIPTION: Final = """\
Write every event of one or more accounts into the streams of a Redis server (extra redis), each exactly once, for programs on
other machines: PREFIX:NAME:STREAM, such as bybit:main:orders. Gaps are entries too.

What an outage hid is read over REST where that is possible (V5, with the extra rest), and at the start the executions since the
last one in the stream, behind a gap.

A server that goes away is waited for; meanwhile the events wait here, 10,000 of each stream, and beyond that a gap tells how
many are missing. An account that the exchange refuses is reported, and the others go on. Give each account one such process:
a second one makes the first one end."""

_EXAMPLES: Final = """\
  bybit-sync forward redis://localhost:6379    all four streams: bybit:main:...
  bybit-sync forward env orders --name risk    one of them; the URL in REDIS_URL
  bybit-sync forward redis://localhost --account a.env --account b.env
  bybit-sync forward redis://localhost --simulate --seconds 10"""

_BEAT: Final = 0.2
_PATIENCE: Final = 5.0


def add(command: argparse.ArgumentParser) -> None:
    """Add help and arguments to *command*."""
    options.describe(command, _DESCRIPTION, _EXAMPLES)
    options.add_server(command)
    options.add_streams(command)
    command.add_argument(
        "--account",
        action="append",
        metavar="FILE",
        help="a key file for each account; its name is BYBIT_NAME in the file, else that of the file",
    )
    command.add_argument("--name", default=os.environ.get("BYBIT_NAME") or "main", help="of the one account (default: main)")
    command.add_argument("--maxlen", type=int, metavar="N", default=1_000_000, help="entries kept (default: 1000000)")
    options.add_seconds(command)
    connection.add_connection(command)
    connection.add_rest_host(command)
    command.add_argument("--no-recover", action="store_true", help="read nothing over REST")
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Forward until a signal, ``--seconds``, or the end of the last account."""
    from bybit_sync.integrations.redis_streams import RedisStreams  # noqa: PLC0415 - comes with an extra

    sink = RedisStreams(arguments.url, prefix=arguments.prefix, maxlen=arguments.maxlen)
    with (
        open_target(arguments, without_key=arguments.account is not None) as target,
        warnings_to(logging.StreamHandler(), fresh_line()),
        _Forwarder(sink, _targets(target, arguments), recover=not arguments.no_recover) as forwarder,
    ):
        forwarder.begin(arguments.streams or target.streams)
        target.begin()
        forwarder.go_on(None if arguments.seconds is None else time.monotonic() + arguments.seconds)
    if forwarder.error is not None:
        raise forwarder.error
    return DONE


def _targets(target: Target, arguments: argparse.Namespace) -> dict[str, Target]:
    """Return the accounts by their names. Raises `ConfigurationError`."""
    if arguments.account is None:
        return {arguments.name: target}
    found: dict[str, Target] = {}
    for file in arguments.account:
        known = read_key_file(file)
        name = known.get("BYBIT_NAME") or Path(file).stem
        if name in found:
            raise ConfigurationError(f"--account: two are called {name}: put BYBIT_NAME=... into {file}")
        found[name] = attrs.evolve(target, key=key_in(known, file), keyless="")
    return found


class _Forwarder:
    """The clients of several accounts, which write to one server."""

    def __init__(self, sink: RedisStreams, targets: dict[str, Target], *, recover: bool) -> None:
        self._sink = sink
        self._clients = {name: self._client(each, name, recover=recover) for name, each in targets.items()}
        self._open = dict(self._clients)
        self.error: BybitSyncError | None = None
        """The first error that ended an account, or kept an event from a stream."""
        self._refused = False

    def _client(self, target: Target, name: str, *, recover: bool) -> Client:
        """Return a client that recovers, if *recover* says so and it can."""
        named: dict[str, Any] = {"name": name, "on_error": self._failed}
        if recover:
            try:
                return target.client(recover=True, **named)
            except ConfigurationError as error:
                note(f"{name}: nothing is read over REST: {error}")
        return target.client(**named)

    def _failed(self, error: BaseException, *_: Any) -> None:
        """Keep the error of the sink: it has not written an event."""
        if isinstance(error, RedisStreamError):
            self.error = self.error or error
            self._refused = self._refused or not isinstance(error, RedisUnavailable)

    def begin(self, streams: Sequence[Stream]) -> None:
        """Look at the streams, and subscribe. Raises what the server refuses."""
        complete = {name: [self._complete_until(name, stream) for stream in streams] for name in self._clients}
        note(f"{self._sink!r}: {counted(len(self._clients), 'account')}")
        for name, client in self._clients.items():
            for stream, since in zip(streams, complete[name], strict=True):
                can_mend = stream is Stream.USER_TRADES and client.health().recovery is not None
                SUBSCRIBE[stream](client, self._sink, wait=False, **({"since": since} if since and can_mend else {}))

    def _complete_until(self, name: str, stream: Stream) -> datetime | None:
        try:
            return self._sink.complete_until(name, stream)
        except RedisUnavailable as error:
            # It is waited for when there is an event.
            note(str(error))
            return None

    def go_on(self, deadline: float | None) -> None:
        """Print the progress until *deadline*, or until nothing is left to do."""
        line = ProgressLine(self._text)
        try:
            while self._open and not self._refused and (deadline is None or time.monotonic() < deadline):
                self._drop_ended()
                line.tick()
                time.sleep(_BEAT)
        finally:
            line.end()

    def _drop_ended(self) -> None:
        for name, client in list(self._open.items()):
            try:
                client.wait(0)
            except BybitSyncError as error:
                note(f"{name} ended: {error}")
                self.error = self.error or error
                del self._open[name]

    def _text(self) -> str:
        healths: list[Health] = [client.health() for client in self._clients.values()]
        live = sum(health.state is State.LIVE for health in healths)
        each = [subscription for health in healths for subscription in health.subscriptions]
        written = counted(sum(total.delivered for health in healths for total in health.totals.values()), "event")
        waiting = f"{sum(subscription.queued for subscription in each):,} waiting"
        return f"{live} of {len(healths)} live  {written}, {waiting}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Under one deadline: each waits for the server as long as it may.
        deadline = time.monotonic() + _PATIENCE
        for name, client in self._clients.items():
            if not client.close(max(0.0, deadline - time.monotonic())) and self.error is None:
                self.error = RedisUnavailable(f"{self._sink!r} did not take the last events of {name} in time")
