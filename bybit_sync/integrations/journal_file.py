"""The file of a journal: a SQLite database of executions and of their completeness.

WAL mode, because a reader, such as the ``sqlite3`` command, then never blocks the
writer; with ``synchronous=FULL`` a transaction is on the disk when it returns, at the
cost of one sync. After a clean end everything is in the one file; while a journal
books, and after a kill, the newest is in the ``-wal`` file beside it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

from bybit_sync.errors import JournalError
from bybit_sync.integrations.completeness import OpenGap, Progress
from bybit_sync.model.from_dict import from_dict
from bybit_sync.model.to_dict import to_dict
from bybit_sync.model.trades import UserTradeUpdate

__all__ = ["JournalFile"]

KIND: Final = int.from_bytes(b"byfj", "big")
"""The ``application_id`` that distinguishes a journal from other SQLite databases."""
FORMAT: Final = 1
"""The version of the tables: its ``user_version``."""
_BUSY: Final = 10.0  # seconds to wait for a program that writes into the file
_OWNER_ONLY: Final = 0o600

# `seen` is the order of booking. Numbers are texts in `row`, digit for digit.
_TABLES: Final = (
    """CREATE TABLE trades (
        seen INTEGER PRIMARY KEY, category TEXT NOT NULL, exec_id TEXT NOT NULL,
        symbol TEXT, exec_time INTEGER, seq INTEGER, row TEXT NOT NULL,
        UNIQUE (category, exec_id))""",
    "CREATE INDEX trades_by_time ON trades (exec_time, seq, seen)",
    "CREATE TABLE progress (created TEXT NOT NULL, proven TEXT)",
    "CREATE TABLE gaps (gap TEXT NOT NULL)",
)
_BOOK: Final = """
    INSERT INTO trades (category, exec_id, symbol, exec_time, seq, row) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (category, exec_id) DO NOTHING"""
_READ: Final = """
    SELECT row FROM trades
    WHERE (:since IS NULL OR exec_time >= :since) AND (:symbol IS NULL OR symbol = :symbol)
    ORDER BY exec_time, seq, seen"""


class JournalFile:
    """A file that one journal at a time writes to, and that any journal reads."""

    def __init__(self, path: Path) -> None:
        """Make the file, or check that it is a journal. Raises `JournalError`."""
        self.path = path
        self._writer: sqlite3.Connection | None = None
        self._lock: sqlite3.Connection | None = None
        self._make()
        with self._translated("opened"), closing(self._connect()) as connection:
            # Check it before changing it: it may be a database of another program. In
            # one transaction, because another journal may be making the tables.
            with _transaction(connection, "DEFERRED"):
                self._is_empty(connection)
            _use_wal(connection)
            with _transaction(connection):
                self._fill(connection)

    # --- one thread at a time ---

    def own(self) -> None:
        """Become the only writer, until `close` or the end of the process.

        Raises `JournalError` when another journal is the writer.
        """
        if self._writer is not None:
            return
        remedy = "close the other Journal that books into it, in this process or another: one file serves one client"
        with self._translated("locked", remedy), ExitStack() as unless_owned:
            lock = sqlite3.connect(f"{self.path}-lock", timeout=0, isolation_level=None, check_same_thread=False)
            unless_owned.callback(lock.close)
            lock.execute("PRAGMA journal_mode = OFF")
            # The system releases this lock when the process is killed.
            lock.execute("BEGIN EXCLUSIVE")
            self._lock, self._writer = lock, self._connect()
            unless_owned.pop_all()

    def write(self, trades: tuple[UserTradeUpdate, ...], progress: Progress, *, gaps: bool) -> None:
        """Book those of *trades* that are not in the file, and *progress*.

        All or nothing, and on the disk at the return. The gaps of *progress* are
        written if *gaps* is true.
        """
        assert self._writer is not None
        with self._translated("written"), _transaction(self._writer) as connection:
            connection.executemany(_BOOK, map(_booked, trades))
            connection.execute("UPDATE progress SET proven = ?", (progress.proven and progress.proven.isoformat(),))
            if gaps:
                connection.execute("DELETE FROM gaps")
                connection.executemany("INSERT INTO gaps VALUES (?)", [(json.dumps(to_dict(g.gap)),) for g in progress.gaps])

    def close(self) -> None:
        """Let another journal write."""
        for connection in filter(None, (self._writer, self._lock)):
            connection.close()
        self._writer = self._lock = None

    # --- any thread ---

    def progress(self) -> Progress:
        """Return the completeness of the executions."""
        with self._translated("read"), closing(self._connect()) as connection, _transaction(connection, "DEFERRED"):
            created, proven = connection.execute("SELECT created, proven FROM progress").fetchone()
            gaps = [from_dict(json.loads(gap)) for (gap,) in connection.execute("SELECT gap FROM gaps ORDER BY rowid")]
        moment = datetime.fromisoformat
        return Progress(moment(created), proven and moment(proven), tuple(map(OpenGap, gaps)))

    def trades(self, since: datetime | None, symbol: str | None) -> Iterator[UserTradeUpdate]:
        """Yield the executions of *symbol* from *since* on, oldest first."""
        asked = {"since": _milliseconds(since), "symbol": symbol and _storable(symbol)}
        # A separate connection, so that the caller may read slowly and on any thread.
        with self._translated("read"), closing(self._connect()) as connection:
            for (row,) in connection.execute(_READ, asked):
                yield from_dict(json.loads(row))

    # --- opening ---

    def _make(self) -> None:
        """Make an empty file that only its owner may read, if there is none."""
        try:
            # Never an existing one: closing any descriptor of it would release the
            # locks that this process holds on it.
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _OWNER_ONLY))
        except FileExistsError:
            return
        except OSError as error:
            remedy = "give a path in a folder that exists and may be written to"
            raise self._error("cannot be made", error.strerror or error, remedy) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
        with ExitStack() as unless_usable:
            unless_usable.callback(connection.close)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA fullfsync = ON")  # macOS: down to the disk itself
            unless_usable.pop_all()
        return connection

    def _is_empty(self, connection: sqlite3.Connection) -> bool:
        """Return whether the file has no tables yet.

        Raises `JournalError` when it is no journal.
        """
        kind, version, tables = (
            connection.execute(question).fetchone()[0]
            for question in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        )
        if (kind, version, tables) == (0, 0, 0):
            return True
        if kind != KIND:
            raise self._error("is no journal", "it is a SQLite database of something else", "give another path")
        if version != FORMAT:
            versions = f"its format is {version}, this one's {FORMAT}"
            raise self._error("is of another version of this library", versions, "use that version, or give another path")
        return False

    def _fill(self, connection: sqlite3.Connection) -> None:
        """Make the tables, unless another journal has made them meanwhile."""
        if not self._is_empty(connection):
            return
        for table in _TABLES:
            connection.execute(table)
        connection.execute("INSERT INTO progress (created) VALUES (?)", (datetime.now(timezone.utc).isoformat(),))
        connection.execute(f"PRAGMA application_id = {KIND}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")

    # --- errors ---

    @contextmanager
    def _translated(self, done: str, remedy: str = "look at the disk, the rights and the kind of the file") -> Iterator[None]:
        """Raise `JournalError` for the errors of SQLite in the context."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._error(f"cannot be {done}", error, remedy) from error

    def _error(self, fault: str, cause: object, remedy: str) -> JournalError:
        return JournalError(f"the journal {self.path} {fault}: {cause}; {remedy}")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Change the mode of the file, which keeps it."""
    deadline = monotonic() + _BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # This statement alone does not wait, whatever the timeout of the connection
            # is, while another journal changes the mode or makes the tables.
            if "locked" not in str(error) or monotonic() >= deadline:
                raise
            sleep(0.01)
        else:
            return


@contextmanager
def _transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def _booked(trade: UserTradeUpdate) -> tuple[Any, ...]:
    """Return the row of the table for *trade*."""
    key = (_storable(trade.category or ""), _storable(trade.exec_id))
    return *key, trade.symbol and _storable(trade.symbol), _milliseconds(trade.exec_time), trade.seq, json.dumps(to_dict(trade))


def _storable(text: str) -> str:
    """Return *text* as SQLite accepts it.

    JSON allows half of a surrogate pair, which is escaped here.
    """
    return text.encode("utf-8", "backslashreplace").decode()


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
