"""``bybit-sync check``: try every step from here to the account's topics."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Iterator
from typing import Final

from bybit_sync.cli import connection, options
from bybit_sync.cli.exits import DONE
from bybit_sync.cli.inspection import Outcome, inspect
from bybit_sync.cli.status_line import seconds_text
from bybit_sync.cli.target import open_target

__all__ = ["add"]

_DESCRIPTION: Final = """\
Say in order what works: the name (DNS), TCP, TLS, the upgrade to a WebSocket, the clock, the login, each topic, and for
recovery (V5, with the extra rest, where the REST host is known) that host with its clock, and what the key may read there.
The first thing that does not work is told with what to do about it, and what depends on it is not tried. Without a key the
steps before the login are taken. Nothing is traded or changed."""

_EXAMPLES: Final = """\
  bybit-sync check
  bybit-sync check --environment testnet --key-file ~/.bybit-testnet
  bybit-sync check --categories all
  bybit-sync check --json | jq -c .steps[]
  bybit-sync check --simulate             how it looks when everything works"""

_INDENT: Final = " " * 8
_SIGNS: Final = {True: "ok", False: "FAILED", None: "-"}


def add(command: argparse.ArgumentParser) -> None:
    """Add help and arguments to *command*."""
    options.describe(command, _DESCRIPTION, _EXAMPLES)
    command.add_argument("--json", action="store_true", help="one JSON object")
    connection.add_connection(command)
    connection.add_rest_host(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Take the steps, and print each outcome at once."""
    with open_target(arguments, without_key=True) as target:
        if not arguments.json:
            print(f"bybit-sync check  {target.title}", flush=True)
        outcomes = list(_told(inspect(target), aloud=not arguments.json))
    failure = next((outcome for outcome in outcomes if outcome.works is False), None)
    if arguments.json:
        steps = [{"step": o.step, "works": o.works, "seconds": o.seconds, "says": o.says} for o in outcomes]
        print(json.dumps({"environment": target.environment.url, "works": failure is None, "steps": steps}))
    elif failure is None:
        print("everything works")
    return DONE if failure is None else failure.code


def _told(outcomes: Iterator[Outcome], *, aloud: bool) -> Iterator[Outcome]:
    for outcome in outcomes:
        if aloud:
            print(_line(outcome), flush=True)
        yield outcome


def _line(outcome: Outcome) -> str:
    """Return *outcome* as a line, with the sentence of a failure below it."""
    took = seconds_text(outcome.seconds) if outcome.seconds is not None else ""
    line = f"{_SIGNS[outcome.works]:<7} {outcome.step:<12} {took:>7}"
    if outcome.works is not False:
        return f"{line}  {outcome.says}"
    return f"{line}\n{textwrap.fill(outcome.says, 78, initial_indent=_INDENT, subsequent_indent=_INDENT)}"
