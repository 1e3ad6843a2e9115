"""``bybit-sync simulate``: run the exchange for clients of any language."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from bybit_sync.cli import options
from bybit_sync.cli.exits import WRONG

__all__ = ["add"]

_DESCRIPTION: Final = f"""\
Run the simulated exchange until Ctrl-C, and print where it is and which key logs in.

scenarios: {", ".join(options.SCENARIOS)}; or a JSON file of timed steps,
as python -m pydoc bybit_sync.simulator.script describes it."""

_EXAMPLES: Final = """\
  bybit-sync simulate                  for clients of any language, until Ctrl-C
  bybit-sync simulate --port 8080 --scenario outages
  bybit-sync simulate --tls --rate 50  with a throw-away certificate, and fast
  bybit-sync simulate --host 0.0.0.0 --tls --name exchange"""


def add(command: argparse.ArgumentParser) -> None:
    """Add help and arguments to *command*."""
    options.describe(command, _DESCRIPTION, _EXAMPLES)
    options.add_exchange(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Run the simulated exchange until Ctrl-C."""
    from bybit_sync.simulator.server_command import simulate  # noqa: PLC0415 - comes with an extra

    names = ("host", "port", "tls", "names", "scenario", "rate")
    wrong = simulate(**{name: getattr(arguments, name) for name in names})
    print(f"bybit-sync: {wrong}", file=sys.stderr)
    return WRONG
