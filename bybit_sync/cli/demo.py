"""``bybit-sync demo``: a simulated account, seen by the real client."""

from __future__ import annotations

import argparse
from typing import Final

from bybit_sync.cli import options
from bybit_sync.cli.watch import watch
from bybit_sync.session.dialects import DIALECTS

__all__ = ["add"]

_DESCRIPTION: Final = """\
Start a simulated exchange in this process, run the real client against it over a real socket, and show
balances, orders, positions and user trades as they arrive. No account and no network needed."""

_EXAMPLES: Final = """\
  bybit-sync demo                    an exchange and a client, until Ctrl-C
  bybit-sync demo --seconds 10       the same for ten seconds
  bybit-sync demo --dialect v3       in the words of the V3 streams
  bybit-sync demo --scenario outages --rate 5
  bybit-sync demo --json | jq .data  one JSON object per event and line"""


def add(command: argparse.ArgumentParser) -> None:
    """Add help and arguments to *command*."""
    options.describe(command, _DESCRIPTION, _EXAMPLES)
    options.add_seconds(command)
    options.add_exchange(command)
    command.add_argument("--dialect", choices=tuple(DIALECTS), default="v5", help="which dialect of the exchange (default: v5)")
    command.add_argument("--json", action="store_true", help="one JSON object per event and line")
    # The other arguments of `watch`.
    command.set_defaults(
        run=lambda arguments: watch(arguments, keep=True, called="demo"),
        simulate=True,
        streams=None,
        categories=("linear", "inverse"),
        proxy=None,
        plain=False,
        # The streams as they are: nothing beside them.
        no_recover=True,
        metrics=None,
    )
