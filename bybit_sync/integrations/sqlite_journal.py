"""A journal: every execution of an account on disk, across outages and restarts."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from bybit_sync.config.arguments import refuse
from bybit_sync.errors import JournalError
from bybit_sync.integrations.completeness import MARGIN, Progress, after
from bybit_sync.integrations.journal_file import JournalFile
from bybit_sync.model.events import Event, Gap, Stream
from bybit_sync.model.trades import UserTradeUpdate

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Journal"]


class Journal:
    """A sink for user trades that books each execution into a SQLite file, once.

    Example:
        >>> from bybit_sync.integrations.sqlite_journal import Journal
        >>> journal = Journal("fills.db")
        >>> since = journal.complete_until  # for since=, with recover=True
        >>> trades = client.subscribe_user_trades(journal)
        >>> filled = account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
        >>> exchange.wait_for(lambda: [(trade.symbol, trade.exec_qty) for trade in journal.trades()])
        [('BTCUSDT', Decimal('0.5'))]
        >>> trades.close(), journal.close()
        (True, None)

    A program that books every fill, also after it was killed at any moment:

        with Journal("fills.db") as journal, Client("KEY", "SECRET", recover=True) as client:
            client.subscribe_user_trades(journal, since=journal.complete_until)
            client.wait()

    Each event is one transaction, which is on the disk before the next event is taken:
    expect some milliseconds for each. An execution has the key (category, `exec_id`); a
    repeated one stays as it was booked. The row is kept with every attribute, digit for
    digit, but without `wire`.

    A journal serves one client; call it from one thread at a time, as a subscription
    does, and everything else from any thread. A second client, a second process that
    books into the file, and a disk that fails raise `JournalError`, which the client
    passes to ``on_error``: the event is then not booked, `complete_until` stops, and
    the next start with ``since=journal.complete_until`` reads the missing rows. The
    file may be read meanwhile, by a `Journal` or another program.

    Args:
        path: The file; made if it is not there, for its owner only. On a local disk:
            SQLite's locks do not work on every network disk.

    Raises:
        JournalError: The file cannot be made or opened, or is no journal.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if (
            not isinstance(path, (str, os.PathLike))
            or not (text := os.fspath(path))
            or not isinstance(text, str)
            or "\0" in text
        ):
            raise refuse("path", path, "give the path of a file, as text")
        # Absolute now, because the process may change its working directory later.
        self._file = JournalFile(Path(os.path.abspath(text)))  # noqa: PTH100 - Path.absolute would keep the dots
        # Held while an event is written, and while the file is closed: a `close` on
        # another thread must not close the connection during a transaction.
        self._writing = threading.Lock()
        self._progress: Progress | None = None
        self._client = ""
        self._asked = False
        self._closed = False

    # --- the sink ---

    def __call__(self, event: Event[UserTradeUpdate]) -> None:
        """Book the rows of *event*, and the time that it proves, in one transaction.

        Raises:
            JournalError: It is not booked: see above.
        """
        with self._writing:
            before = self._before(event)
            progress = after(before, event, asked=self._asked)
            self._file.write(event.data, progress, gaps=progress.gaps != before.gaps)
            # Only now: after an event that was not booked, the next one shows a hole.
            self._progress, self._client = progress, event.client
            self._asked = self._asked and event.index != 1

    def _before(self, event: Event[UserTradeUpdate]) -> Progress:
        """Return the state before *event*; raise when it must not be booked."""
        if self._closed:
            raise self._error("is closed", "close the client before its journal")
        if event.stream != Stream.USER_TRADES:
            raise self._error(f"takes no {event.stream}", "give it to subscribe_user_trades")
        if self._progress is None:
            self._file.own()
            return self._file.progress()
        if event.client != self._client:
            raise self._error(f"serves {self._client} and got an event of {event.client}", "use a file for each client")
        return self._progress

    # --- reading ---

    @property
    def complete_until(self) -> datetime:
        """The ``since=`` with which the next start misses no execution (exchange time).

        It lies 60 seconds before the last instant that is proven complete. Every
        execution up to that instant is in the file, because:

        * The exchange's times prove it: of a push, the time at which it was made (every
          earlier push has arrived, or a gap was delivered); of an event with
          `recovered`, the end of its window. Neither counts as later than it was read.
        * Rows of a start prove nothing before its first push, which waits for all of
          them: a kill between two events of a start begins again where that one began.
        * It stays before the beginning of every gap of `gaps`. It moves back when a gap
          begins before the last proven instant.
        * It is written in the transaction of the rows that prove it.

        The 60 seconds cover delays of the exchange: an execution that is pushed after
        younger ones, or that REST lists only when a confirming read asks again (30
        seconds after the first by default; give `Recovery` no `confirm_after` above
        60). In a new file it is 60 seconds before the file was made.

        The journal cannot see what ``since=`` a subscription has. It trusts it if this
        was read since the last subscription began; otherwise it keeps a gap over the
        time before it.
        """
        self._asked = True
        return self._file.progress().complete - MARGIN

    def gaps(self) -> tuple[Gap, ...]:
        """Return the gaps that are still open, as they were delivered.

        A gap that the next start mends is open until the first push after it. Two kinds
        are the journal's own: OVERFLOW for events that did not reach it, START for a
        subscription without ``since=``.
        """
        return tuple(each.gap for each in self._file.progress().gaps)

    def trades(self, *, since: datetime | None = None, symbol: str | None = None) -> Iterator[UserTradeUpdate]:
        """Iterate over the executions, oldest first, also after `close`.

        Those of one moment come in the order of `seq`, then as they were booked. Rows
        that are booked meanwhile are not seen.

        Args:
            since: An aware datetime; nothing before it.
            symbol: Only this contract, such as BTCUSDT.
        """
        if since is not None and since.tzinfo is None:
            raise refuse("since", since, "give an aware datetime, such as datetime.now(timezone.utc)")
        return self._file.trades(since, symbol)

    # --- the end ---

    def close(self) -> None:
        """Let another journal book into the file; later events raise.

        Idempotent. Any thread.
        """
        with self._writing:
            self._closed = True
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        """Return the class and the file."""
        return f"Journal({str(self._file.path)!r})"

    def _error(self, fault: str, remedy: str) -> JournalError:
        return JournalError(f"the journal {self._file.path} {fault}: {remedy}")
