"""A bot that books until it is killed: ``python -m tests.integrations.killed_bot FILE URL REST_URL``.

Its times are short: REST may lag and is read again for 2 seconds, so `complete_until` needs 4 instead of 60.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from bybit_sync import Client, Recovery
from bybit_sync.integrations import sqlite_journal
from tests.conftest import KEY, SECRET

MARGIN = timedelta(seconds=4)


def main(path: str, url: str, rest_url: str) -> None:
    """Book, for ever."""
    sqlite_journal.MARGIN = MARGIN  # type: ignore[misc]
    options = Recovery(base_url=rest_url, hold=0.3, overlap=5.0, confirm_after=(0.5, 2.0))
    with sqlite_journal.Journal(path) as journal, Client(KEY, SECRET, environment=url, recover=options) as client:
        client.subscribe_user_trades(journal, since=journal.complete_until)
        client.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
