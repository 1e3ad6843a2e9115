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


def add(commands: options.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    command = options.add_command(
        commands,
        "simulate",
        summary="run the simulated exchange for other clients",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    command.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default: this machine only)")
    command.add_argument("--port", type=options.port, default=0, metavar="N", help="which port (default: a free one)")
    command.add_argument("--tls", action="store_true", help="speak TLS, with a throw-away authority that is written to a file")
    command.add_argument(
        "--name",
        action="append",
        default=[],
        dest="names",
        metavar="NAME",
        help="the host name or address that clients of other machines use, for the URL and the certificate; may be repeated",
    )
    command.add_argument("--scenario", default="story", metavar="NAME|FILE", help="what happens (default: story)")
    command.add_argument(
        "--rate", type=options.above_zero, metavar="N", help="N steps a second, instead of the scenario's own pace"
    )
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Run the simulated exchange until Ctrl-C."""
    from bybit_sync.simulator.server_command import simulate  # noqa: PLC0415 - comes with an extra

    names = ("host", "port", "tls", "names", "scenario", "rate")
    wrong = simulate(**{name: getattr(arguments, name) for name in names})
    print(f"bybit-sync: {wrong}", file=sys.stderr)
    return WRONG
