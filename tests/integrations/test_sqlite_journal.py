"""`bybit_sync.integrations.sqlite_journal`: every execution once, on disk, whatever ends the process."""

from __future__ import annotations

import contextlib
import os
import queue
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from bybit_sync import Category, Client, ConfigurationError, Gap, GapReason, JournalError, Source, Stream, UserTradeUpdate
from bybit_sync.integrations import journal_file
from bybit_sync.integrations.sqlite_journal import Journal
from bybit_sync.simulator import Account
from tests.integrations.booking import event, execution
from tests.talking import at

ROOT = Path(__file__).parent.parent.parent
LOST = Gap(reason=GapReason.DISCONNECTED, since=at(5).utc, until=at(9).utc, detail="lost")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a journal that is not there yet."""
    return tmp_path / "fills.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    """Return a journal whose next subscription is given its `complete_until`."""
    with Journal(path) as journal:
        assert journal.complete_until
        yield journal


def booked(journal: Journal, **which: Any) -> list[str]:
    """Return the ids of what *journal* holds."""
    return [trade.exec_id for trade in journal.trades(**which)]


def seconds(journal: Journal) -> float:
    """Return `complete_until` in seconds after noon."""
    return (journal.complete_until - at(0).utc).total_seconds()


# --- rows ---


def test_a_trade_comes_back_as_it_was_delivered(journal: Journal) -> None:
    """With every attribute, digit for digit; only the exchange's own row is not kept."""
    given = attrs.evolve(
        execution(7), exec_qty=Decimal("0.500"), exec_fee=Decimal("-0.00"), extra={"new": 1}, wire={"execId": "e"}
    )
    journal(event(7, data=(given,), index=1))
    (kept,) = journal.trades()
    assert (kept, str(kept.exec_qty), str(kept.exec_fee)) == (given, "0.500", "-0.00")
    assert (dict(kept.extra), dict(kept.wire)) == ({"new": 1}, {})


def test_a_trade_that_comes_again_is_booked_once(journal: Journal) -> None:
    """As it was first; another category may use the same id."""
    journal(event(1, index=1))
    journal(event(1, 1, index=2, source=Source.REST))
    journal(
        event(data=(attrs.evolve(execution(1), category=Category.INVERSE), attrs.evolve(execution(1), category=None)), index=3)
    )
    assert [each.category for each in journal.trades()] == ["linear", "inverse", None]


def test_trades_come_oldest_first(journal: Journal) -> None:
    """By their time, not by their booking; those of one moment by their sequence, then as they were booked."""
    late, first, second = (attrs.evolve(execution(3), exec_id=name, seq=seq) for name, seq in (("z", 9), ("y", 1), ("x", 1)))
    journal(event(data=(late, first, second, execution(2)), index=1))
    assert booked(journal) == ["e-2", "y", "x", "z"]


def test_trades_are_chosen_by_time_and_symbol(journal: Journal) -> None:
    """The time is included."""
    other = attrs.evolve(execution(3), exec_id="other", symbol="ETHUSDT")
    journal(event(data=(execution(1), execution(2), other), index=1))
    assert booked(journal, since=at(2).utc) == ["e-2", "other"]
    assert booked(journal, since=at(1).utc, symbol="BTCUSDT") == ["e-1", "e-2"]


def test_a_naive_time_is_refused(journal: Journal) -> None:
    """It could be of any zone."""
    with pytest.raises(ConfigurationError, match="give an aware datetime"):
        journal.trades(since=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the mistake


def test_text_that_is_no_unicode_is_booked(journal: Journal) -> None:
    """JSON allows half of a surrogate pair, and SQLite does not."""
    journal(event(data=(attrs.evolve(execution(1), exec_id="\ud83d", symbol="\0'"),), index=1))
    assert booked(journal, symbol="\0'") == ["\ud83d"]


def test_trades_can_be_read_while_more_are_booked(journal: Journal) -> None:
    """And nobody waits for the reader, however long it takes."""
    journal(event(1, 2, index=1))
    reading = journal.trades()
    assert next(reading).exec_id == "e-1"
    journal(event(3, index=2))
    assert [each.exec_id for each in reading] == ["e-2"]
    assert len(booked(journal)) == 3


def test_trades_can_be_read_after_the_end_and_on_another_thread(path: Path) -> None:
    """As the documentation shows it."""
    with Journal(path) as journal:
        journal(event(1, index=1))
    found: list[str] = []
    reader = threading.Thread(target=lambda trades: found.extend(t.exec_id for t in trades), args=(journal.trades(),))
    reader.start()
    reader.join()
    assert found == ["e-1"]


# --- completeness ---


def test_a_new_journal_is_complete_from_a_minute_before_it_was_made(path: Path) -> None:
    """By our clock, as nothing of the exchange is known yet."""
    before = datetime.now(timezone.utc)
    made = Journal(path).complete_until + timedelta(seconds=60)
    assert before <= made <= datetime.now(timezone.utc)


def test_completeness_is_a_minute_behind_what_is_proven(journal: Journal) -> None:
    """And is told so by the next process."""
    journal(event(100, index=1))
    assert seconds(journal) == 40
    journal.close()
    assert seconds(Journal(Path(journal._file.path))) == 40


def test_a_gap_is_kept_until_it_is_recovered(journal: Journal, path: Path) -> None:
    """Also over the end of the process, word for word."""
    journal(event(100, index=1))
    journal(event(gap=LOST, index=2))
    assert (Journal(path).gaps(), seconds(Journal(path))) == ((LOST,), -55)
    journal(event(6, source=Source.REST, recovered=LOST, index=3))
    assert (Journal(path).gaps(), seconds(Journal(path))) == ((), 40)


def test_a_subscription_that_did_not_ask_leaves_a_gap(path: Path) -> None:
    """What was not read from `complete_until` on is missing, and the gap says what to do."""
    with Journal(path) as journal:
        journal(event(100, index=1))
        (gap,) = journal.gaps()
    assert (gap.reason, gap.detail) == ("START", "subscribed without since=journal.complete_until")


def test_asking_once_serves_one_subscription(journal: Journal) -> None:
    """The next one has to ask again."""
    journal(event(100, index=1))
    journal(event(101, index=1))
    assert [gap.reason for gap in journal.gaps()] == ["START"]


def test_a_real_subscription_is_booked(make_client: Callable[..., Client], account: Account, journal: Journal) -> None:
    """Each fill is in the file when the sink has returned; a function around the journal does no harm."""
    taken: queue.Queue[Any] = queue.Queue()
    make_client().subscribe_user_trades(lambda event: taken.put(journal(event)))
    for number in range(5):
        account.fill(account.place_order("BTCUSDT", "Buy", qty=f"0.{number}1", price="20000"))
        taken.get(timeout=10)
    assert [each.exec_qty for each in journal.trades()] == [Decimal(f"0.{number}1") for number in range(5)]
    assert journal.gaps() == ()


# --- what may be booked ---


def test_another_stream_is_refused(journal: Journal) -> None:
    """With the call that fits."""
    with pytest.raises(JournalError, match="takes no orders: give it to subscribe_user_trades"):
        journal(event(stream=Stream.ORDERS, index=1))


def test_a_second_client_is_refused(journal: Journal) -> None:
    """Its executions would hide what the first one misses."""
    journal(event(1, index=1))
    with pytest.raises(JournalError, match="serves main and got an event of other: use a file for each client"):
        journal(event(2, index=2, client="other"))
    assert booked(journal) == ["e-1"]


def test_a_second_journal_on_one_file_only_reads(journal: Journal, path: Path) -> None:
    """The first one is not disturbed; when it ends, the second one may book, and knows that it missed events."""
    journal(event(1, index=1))
    with Journal(path) as second:
        with pytest.raises(JournalError, match="cannot be locked: database is locked; close the other Journal"):
            second(event(1, index=1))
        journal(event(2, index=2))
        journal.close()
        second(event(3, index=2))
        assert booked(second) == ["e-1", "e-2", "e-3"]
        assert [gap.reason for gap in second.gaps()] == ["OVERFLOW"]


def test_a_second_process_on_one_file_only_reads(journal: Journal, path: Path) -> None:
    """It is told what holds the file."""
    journal(event(1, index=1))
    command = [sys.executable, "-m", "tests.integrations.booking", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert "JournalError" in done.stderr.splitlines()[-1]
    assert "close the other Journal that books into it, in this process or another" in done.stderr


def test_many_journals_that_are_made_at_once_are_one(path: Path) -> None:
    """The first one makes the tables."""
    with contextlib.ExitStack() as stack:
        threads = [threading.Thread(target=lambda: stack.enter_context(Journal(path))) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with contextlib.closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT count(*) FROM progress").fetchone() == (1,)


def test_a_journal_that_another_one_is_making_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite itself would wait for every statement but the one that changes the mode."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(journal_file, "sleep", lambda _seconds: other.execute("COMMIT"))
        with Journal(path) as journal:
            assert booked(journal) == []
        assert not other.in_transaction


def test_a_file_that_stays_locked_cannot_be_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a time the error says so."""
    monkeypatch.setattr(journal_file, "_BUSY", 0.0)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="cannot be opened: database is locked"):
            Journal(path)


def test_a_closed_journal_books_nothing(journal: Journal) -> None:
    """Closing it twice is no mistake."""
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="is closed: close the client before its journal"):
        journal(event(1, index=1))


# --- files ---


def test_the_file_is_for_its_owner(journal: Journal, path: Path) -> None:
    """It says what somebody trades."""
    journal(event(1, index=1))
    assert {f.name: f.stat().st_mode & 0o077 for f in path.parent.iterdir() if f.stat().st_size} == dict.fromkeys(
        ["fills.db", "fills.db-wal", "fills.db-shm"], 0
    )


def test_a_journal_that_ended_is_one_file(journal: Journal, path: Path) -> None:
    """Nothing of it is elsewhere, so it can be copied."""
    journal(event(1, index=1))
    journal.close()
    assert [f.name for f in path.parent.iterdir() if f.stat().st_size] == ["fills.db"]


def test_every_transaction_is_synced(journal: Journal) -> None:
    """A power cut takes nothing that was booked: 2 is FULL."""
    journal(event(1, index=1))
    writer = journal._file._writer
    assert writer is not None
    assert [writer.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")] == ["wal", 2]


@pytest.mark.parametrize("path", ["", b"fills.db", None, 7, "fills\0.db"])
def test_what_is_no_path_is_refused(path: Any) -> None:
    """Before anything is made."""
    with pytest.raises(ConfigurationError, match="give the path of a file, as text"):
        Journal(path)


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    """It is somebody's."""
    path.write_text("Dear diary," * 1_000)
    with pytest.raises(JournalError, match="cannot be opened: file is not a database; look at"):
        Journal(path)
    assert path.read_text() == "Dear diary," * 1_000


def test_a_file_that_is_no_database_is_closed(path: Path) -> None:
    """At once, though the error that is kept holds every frame that it came through."""
    path.write_text("Dear diary," * 1_000)
    with pytest.raises(JournalError) as kept:
        Journal(path)
    assert kept.value.__cause__
    assert str(path) not in {os.path.realpath(file) for file in Path("/proc/self/fd").iterdir()}


def test_a_database_of_something_else_is_refused_and_left_alone(path: Path) -> None:
    """Not even the way in which it is written is changed."""
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE trades (mine TEXT)")
    before = path.read_bytes()
    with pytest.raises(JournalError, match="is no journal: it is a SQLite database of something else; give another path"):
        Journal(path)
    assert path.read_bytes() == before


def test_a_file_of_another_version_is_refused(path: Path) -> None:
    """With both versions."""
    Journal(path).close()
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA user_version = 9")
    with pytest.raises(JournalError, match="of another version of this library: its format is 9, this one's 1"):
        Journal(path)


def test_a_folder_that_is_missing_is_told(path: Path) -> None:
    """With what the system says, and what to do."""
    with pytest.raises(JournalError, match="cannot be made: No such file or directory; give a path in a folder that exists"):
        Journal(path / "deeper.db")


def test_an_empty_file_becomes_a_journal(path: Path) -> None:
    """It is what a kill leaves at the wrong moment."""
    path.touch()
    with Journal(path) as journal:
        assert booked(journal) == []


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Be somebody who may not write everywhere, if we are root."""
    me = os.geteuid()
    os.seteuid(me or 65_534)
    try:
        yield
    finally:
        os.seteuid(me)


def test_a_file_that_may_not_be_written_is_refused_at_once(tmp_path: Path, path: Path) -> None:
    """Not at the first fill at night."""
    Journal(path).close()
    path.chmod(0o444)
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
        folder.chmod(0o755)
    with unprivileged(), pytest.raises(JournalError, match="cannot be opened: attempt to write a readonly database"):
        Journal(path)


# --- a disk that fails ---


@contextlib.contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """Let no file of this process grow beyond the journal's size."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name("fills.db-wal").stat().st_size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_fails_raises_and_stops_completeness(journal: Journal, path: Path) -> None:
    """What comes later is booked; the hole stays until the next start, which brings what it lacks."""
    journal(event(100, index=1))
    with full_disk(path), pytest.raises(JournalError, match=r"cannot be written: .*(disk|full).*; look at the disk"):
        journal(event(*range(101, 200), index=2))
    journal(event(300, index=3))
    assert (booked(journal), seconds(journal)) == (["e-100", "e-300"], 40)
    assert [gap.detail for gap in journal.gaps()] == ["event 3 came after event 1: what lies between was not booked"]
    journal(event(*range(100, 301), source=Source.REST, index=1))
    journal(event(301, index=2))
    assert (len(booked(journal)), seconds(journal), journal.gaps()) == (202, 241, ())


def test_an_event_is_booked_whole_or_not_at_all(journal: Journal, path: Path) -> None:
    """A row that cannot be written takes the others of its event, and what they prove, with it."""
    journal(event(100, index=1))
    with pytest.raises(AttributeError):
        journal(event(data=(execution(200), attrs.evolve(execution(201), symbol=["no text"])), index=2))
    assert (booked(Journal(path)), seconds(journal)) == (["e-100"], 40)


def test_a_first_event_that_cannot_be_written_is_not_the_last(journal: Journal) -> None:
    """The journal keeps the file, and books the next event behind a gap."""
    with pytest.raises(AttributeError):
        journal(event(data=(attrs.evolve(execution(1), symbol=["no text"]),), index=1))
    journal(event(2, index=2))
    assert booked(journal) == ["e-2"]
    assert [gap.reason for gap in journal.gaps()] == ["OVERFLOW"]


def test_a_file_that_is_gone_is_told(journal: Journal, path: Path) -> None:
    """By reading, too."""
    path.unlink()
    with pytest.raises(JournalError, match="cannot be read: no such table"):
        journal.gaps()


# --- kill -9 ---


def killed_after(path: Path, trades: int) -> list[str]:
    """Let a process book into *path*, kill it after that many *trades*, and return what it said that it booked."""
    command = [sys.executable, "-m", "tests.integrations.booking", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().strip() for _ in range(trades)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read().split()
    return said


@pytest.mark.parametrize("kills", [4, pytest.param(25, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
def test_kill_at_any_moment_leaves_every_trade_once(path: Path, kills: int) -> None:
    """What a process said that it booked is there; after the next start, so is everything before it."""
    chance = random.Random(4_711)
    said: set[str] = set()
    for _ in range(kills):
        # Nothing but a start: to be killed in the middle of it loses nothing.
        killed_after(path, chance.randrange(1, 40))
        said |= set(killed_after(path, chance.randrange(100, 200)))
        with Journal(path) as journal:
            kept = booked(journal)
            complete = seconds(journal)
        assert said <= set(kept)
        assert len(kept) == len(set(kept))
        assert {f"e-{number}" for number in range(int(complete) + 1)} <= set(kept)
    assert complete > 200


def test_a_journal_says_in_its_header_what_it_is(path: Path) -> None:
    """Other programs tell it from other databases by that."""
    Journal(path).close()
    with contextlib.closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA application_id").fetchone() == (journal_file.KIND,)


def test_its_repr_names_the_file(journal: Journal, path: Path) -> None:
    """And does not count as asking."""
    assert repr(journal) == f"Journal({str(path)!r})"


def test_a_trade_without_a_time_is_booked(journal: Journal) -> None:
    """It comes first."""
    journal(event(data=(UserTradeUpdate(exec_id="timeless"), execution(1)), index=1))
    assert booked(journal) == ["timeless", "e-1"]
