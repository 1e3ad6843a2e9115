"""A bot that books until it is killed: ``python -m tests.integrations.killed_bot FILE URL REST_URL``.

Its times are short: REST may lag and is read again for a second, so `complete_until` needs 2 instead of 60.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from bybit_sync import Recovery
from bybit_sync.integrations import sqlite_journal
from tests.conftest import FAST_ARGUMENTS, KEY, SECRET, FastClient

MARGIN = timedelta(seconds=2)


def main(path: str, url: str, rest_url: str) -> None:
    """Book, for ever."""
    sqlite_journal.MARGIN = MARGIN  # type: ignore[misc]
    options = Recovery(base_url=rest_url, hold=0.15, overlap=5.0, confirm_after=(0.25, 1.0))
    with (
        sqlite_journal.Journal(path) as journal,
        FastClient(KEY, SECRET, environment=url, recover=options, **FAST_ARGUMENTS) as client,
    ):
        client.subscribe_user_trades(journal, since=journal.complete_until)
        client.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
