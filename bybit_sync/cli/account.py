"""``bybit-sync account``: print an account as it is now."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from bybit_sync.account.snapshot import AccountSnapshot
from bybit_sync.cli import connection, options
from bybit_sync.cli.board import Total, ordered
from bybit_sync.cli.columns import COLUMNS, Column
from bybit_sync.cli.exits import DONE, UNCERTAIN
from bybit_sync.cli.target import open_target
from bybit_sync.cli.views import note
from bybit_sync.model.balances import BalanceUpdate
from bybit_sync.model.events import Stream
from bybit_sync.model.to_dict import to_dict
from bybit_sync.text import printable

__all__ = ["add"]

_DESCRIPTION: Final = """\
Print the open positions, the open orders and the balances of an account as they are now, read over REST (V5, with the extra
rest) and followed on the streams until all of it fits together.

The exit code says whether it is current: 0, or 6 when something could not be read in time, which is then named."""

_EXAMPLES: Final = """\
  bybit-sync account                of your account
  bybit-sync account --json | jq .positions
  bybit-sync account --seconds 5 || echo "not sure"
  bybit-sync account --simulate     a simulated account: no key, no network"""

_PATIENCE: Final = 30.0
_SHOWN: Final = (Stream.POSITIONS, Stream.ORDERS, Stream.BALANCES)


def add(command: argparse.ArgumentParser) -> None:
    """Add help and arguments to *command*."""
    options.describe(command, _DESCRIPTION, _EXAMPLES)
    command.add_argument("--json", action="store_true", help="one JSON object; numbers as texts")
    command.add_argument(
        "--seconds",
        type=options.above_zero,
        metavar="N",
        default=_PATIENCE,
        help=f"print what is known after N seconds (default: {_PATIENCE:.0f})",
    )
    connection.add_connection(command)
    connection.add_rest_host(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    with open_target(arguments) as target, target.client(recover=True) as client:
        target.begin()
        with client.account_view(timeout=arguments.seconds) as view:
            view.wait_current(arguments.seconds)
            account = view.snapshot()
    print(json.dumps(_told(account)) if arguments.json else "\n".join(_lines(account)), flush=True)
    for lack in account.waits_for:
        note(f"not current: {printable(lack, 1_000)}")
    return DONE if account.is_current else UNCERTAIN


# --- as JSON ---


def _told(account: AccountSnapshot) -> dict[str, Any]:
    return {
        "is_current": account.is_current,
        "as_of": account.as_of and account.as_of.isoformat(),
        "waits_for": list(account.waits_for),
        "positions": [to_dict(row) for _, row in ordered(account, Stream.POSITIONS)],
        "orders": [to_dict(row) for _, row in ordered(account, Stream.ORDERS)],
        "balance": account.balance and to_dict(account.balance),
    }


# --- as text ---


def _lines(account: AccountSnapshot) -> Iterator[str]:
    when = f"as of {account.as_of:%Y-%m-%d %H:%M:%S} UTC" if account.as_of is not None else "as of an unknown time"
    yield f"{'current' if account.is_current else 'NOT CURRENT'}, {when}"
    for stream in _SHOWN:
        yield ""
        rows = [Total.of(row) if isinstance(row, BalanceUpdate) else row for _, row in ordered(account, stream)]
        # "none" would say that a position which could not be read is flat.
        yield from _table(stream, rows) if rows else [f"{stream.value}: {'none' if account.is_current else 'none known'}"]


def _table(stream: Stream, rows: Sequence[Any]) -> Iterator[str]:
    """Yield *rows* as lines below their headers, each column as wide as its cells."""
    columns = COLUMNS[stream]
    cells = [[stream.value, *(column.header for column in columns[1:])], *([c.cell(row) for c in columns] for row in rows)]
    widths = [max(map(len, texts)) for texts in zip(*cells, strict=True)]
    for line in cells:
        yield "  ".join(map(_justified, columns, line, widths)).rstrip()


def _justified(column: Column, text: str, width: int) -> str:
    return text.ljust(width) if column.words else text.rjust(width)
