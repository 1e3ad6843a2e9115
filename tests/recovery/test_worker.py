"""The thread of recovery: one read after the other, what confirms last, an end when nothing is left, and at once on close."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import attrs
import pytest

from bybit_sync.config.environments import Environment
from bybit_sync.config.timings import Timings
from bybit_sync.errors import BybitSyncError, RestRefused, RestUnavailable
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import Stream
from bybit_sync.recovery import worker as module
from bybit_sync.recovery.asking.times import instant
from bybit_sync.recovery.options import Recovery
from bybit_sync.recovery.reading import make_reader as make_real_reader
from bybit_sync.recovery.wants import Answered, Known, Want
from bybit_sync.recovery.worker import RecoveryWorker
from bybit_sync.rest.reader import RestReader
from bybit_sync.signing.credentials import Credentials, hmac_signer
from bybit_sync.simulator import Account, Exchange
from tests.conftest import KEY, SECRET

BALANCES = Want(Stream.BALANCES)
Outcome = tuple[Want, Answered | BybitSyncError]


@attrs.define
class Desk:
    """A worker, and what it has answered."""

    worker: RecoveryWorker
    outcomes: queue.Queue[Outcome]

    def outcome(self) -> Any:
        """Return the next outcome."""
        return self.outcomes.get(timeout=30)[1]

    def ended(self) -> bool:
        """Wait until the thread has ended."""
        return self.worker.wait_ended(time.monotonic() + 30)


@pytest.fixture
def make_desk(exchange: Exchange, account: Account, make_reader: Callable[..., RestReader]) -> Iterator[Callable[..., Desk]]:
    """Make desks of the account, whose workers end with the test."""
    made: list[Desk] = []

    def make(reader: RestReader | None = None, **options: Any) -> Desk:
        outcomes: queue.Queue[Outcome] = queue.Queue()
        given: dict[str, Any] = {
            "name": "main",
            "categories": ("linear", "inverse"),
            "now": lambda: instant(exchange.now()),
            "hold": 0.5,
            "log": ClientLog("main"),
            **options,
        }
        answered = given.pop("answered", lambda want, outcome: outcomes.put((want, outcome)))
        made.append(Desk(RecoveryWorker(reader or make_reader(exchange.rest_url), answered, **given), outcomes))
        return made[-1]

    yield make
    for desk in made:
        desk.worker.close()
        assert desk.ended()


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    """A desk of the account."""
    return make_desk()


def names() -> list[str]:
    """Return the names of the threads that run."""
    return [thread.name for thread in threading.enumerate()]


# --- reading ---


@pytest.mark.parametrize("stream", list(Stream))
def test_every_stream_is_read(desk: Desk, account: Account, stream: Stream) -> None:
    """On a thread with the client's name; the want comes back with its answer."""
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    want = Want(stream, since=desk.worker._now() - timedelta(minutes=1))
    assert desk.worker.ask(want)
    answered, outcome = desk.outcomes.get(timeout=30)
    assert answered is want
    assert isinstance(outcome, Answered)
    assert len(outcome.rows) == 1
    assert desk.worker.last_success is not None


def test_the_thread_ends_when_nothing_is_left(desk: Desk) -> None:
    """And starts again with the next want."""
    for requests in (1, 2):
        desk.worker.ask(BALANCES)
        desk.outcome()
        assert desk.ended()
        assert "main-recovery" not in names()
        assert desk.worker.requests == requests


def test_what_confirms_goes_last(desk: Desk, exchange: Exchange) -> None:
    """Everything else in the order in which it was asked for."""
    exchange.rest.slow(600.0)
    first, *wants = (attrs.evolve(BALANCES, known=(Known("", "", coin),), confirms=coin in "AC") for coin in "BACD")
    for want in (first, *wants):
        desk.worker.ask(want)
    exchange.rest.heal()
    order = [desk.outcomes.get(timeout=30)[0].known[0].id for _ in range(4)]
    assert order == ["B", "D", "A", "C"]


def test_one_request_is_under_way_at_a_time(desk: Desk, exchange: Exchange) -> None:
    """Whatever was asked for."""
    for _ in range(5):
        desk.worker.ask(BALANCES)
    for _ in range(5):
        desk.outcome()
    assert names().count("main-recovery") <= 1
    assert desk.worker.requests == 5


def test_an_error_is_the_outcome(desk: Desk, exchange: Exchange) -> None:
    """Nothing is tried again here; the next want is read."""
    exchange.rest.refuse(10016, times=1)
    desk.worker.ask(BALANCES)
    desk.worker.ask(BALANCES)
    error = desk.outcome()
    assert isinstance(error, RestUnavailable)
    assert desk.worker.last_error is error
    assert isinstance(desk.outcome(), Answered)


def test_a_bug_is_told_and_the_thread_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    """As an error that may pass."""

    def read(*_: object) -> object:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(module, "read", read)
    desk.worker.ask(BALANCES)
    assert "ZeroDivisionError: a bug" in str(desk.outcome())
    assert [record.levelname for record in log.records] == ["CRITICAL"]
    monkeypatch.undo()
    desk.worker.ask(BALANCES)
    assert isinstance(desk.outcome(), Answered)


def test_who_is_answered_may_raise(make_desk: Callable[..., Desk], log: pytest.LogCaptureFixture) -> None:
    """It is logged, and the thread ends as always."""
    desk = make_desk(answered=lambda *_: 1 / 0)
    desk.worker.ask(BALANCES)
    assert desk.ended()
    assert "ZeroDivisionError" in log.text


def test_a_confirming_read_waits_for_nothing(make_desk: Callable[..., Desk], exchange: Exchange, account: Account) -> None:
    """It comes again; any other waits for a part of the time that pushes are held."""
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    exchange.rest.lag(5.0, "execution/list")
    desk = make_desk(hold=0.5)
    want = Want(Stream.USER_TRADES, since=desk.worker._now() - timedelta(minutes=1))
    counts = []
    for confirms in (True, False):
        exchange.rest.forget_calls()
        desk.worker.ask(attrs.evolve(want, confirms=confirms))
        assert desk.outcome().lags
        counts.append(sum("symbol" in call.parameters for call in exchange.rest.calls))
    assert counts == [1, 3]


def test_one_read_waits_for_all_others(make_desk: Callable[..., Desk], exchange: Exchange, account: Account) -> None:
    """REST had time to catch up meanwhile; what it still lacks is read again later."""
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    exchange.rest.lag(50.0, "execution/list")
    exchange.rest.slow(0.2, "account/wallet-balance")
    desk = make_desk(hold=0.5)
    desk.worker.ask(BALANCES)
    for _ in range(2):
        desk.worker.ask(Want(Stream.USER_TRADES, since=desk.worker._now() - timedelta(minutes=1)))
    assert isinstance(desk.outcome(), Answered)
    assert desk.outcome().lags
    assert desk.outcome().lags
    assert sum("symbol" in call.parameters for call in exchange.rest.calls) == 3 + 1


@pytest.mark.parametrize(("categories", "count"), [(None, 1), (("linear",), 0)])
def test_what_is_never_recovered_is_told_once(
    make_desk: Callable[..., Desk], log: pytest.LogCaptureFixture, categories: tuple[str, ...] | None, count: int
) -> None:
    """The all-in-one topics bring spread trading, too."""
    desk = make_desk(categories=categories)
    for _ in range(2):
        desk.worker.ask(BALANCES)
        desk.outcome()
        assert desk.ended()
    assert [record.levelname for record in log.records if "spread trading" in record.getMessage()] == ["WARNING"] * count


def test_no_thread_left_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not taken is asked for again."""

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("bybit_sync.recovery.worker.start_thread", start)
    assert not desk.worker.ask(BALANCES)
    monkeypatch.undo()
    assert desk.worker.ask(BALANCES)
    assert isinstance(desk.outcome(), Answered)
    assert desk.ended()
    assert desk.worker.requests == 1


# --- the end ---


@pytest.mark.parametrize("where", ["an answer", "a wait for REST", "a turn"])
def test_close_ends_a_read_at_once(
    make_desk: Callable[..., Desk], make_reader: Callable[..., RestReader], exchange: Exchange, account: Account, where: str
) -> None:
    """Wherever it waits; nothing is answered any more, and nothing is taken."""
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    if where == "an answer":
        exchange.rest.slow(3600.0)
    exchange.rest.lag(50.0, "execution/list")
    reader = make_reader(exchange.rest_url, rate=0.01 if where == "a turn" else 100.0, timeout=3600.0)
    desk = make_desk(reader, hold=3600.0)
    desk.worker.ask(Want(Stream.USER_TRADES, since=desk.worker._now() - timedelta(minutes=1)))
    exchange.wait_for(lambda: desk.worker._has_waited if where == "a wait for REST" else exchange.rest.calls)
    desk.worker.close()
    desk.worker.close()
    assert desk.ended()
    assert desk.outcomes.empty()
    assert not desk.worker.ask(BALANCES)


def test_a_forked_child_closes_nothing_of_its_parent_s(
    make_desk: Callable[..., Desk], make_reader: Callable[..., RestReader]
) -> None:
    """The connection that is kept serves the next read: no close alert went out on it."""
    with Exchange(tls=True) as exchange:
        exchange.account(KEY, SECRET)
        reader = make_reader(exchange.rest_url, ssl_context=exchange.ssl_context)
        desk = make_desk(reader)
        desk.worker.ask(BALANCES)
        assert isinstance(desk.outcome(), Answered)
        kept = reader._pool._idle[0]._wire
        child = os.fork()
        if child == 0:
            desk.worker.close()
            os._exit(0)
        os.waitpid(child, 0)
        desk.worker.ask(BALANCES)
        assert isinstance(desk.outcome(), Answered)
        assert reader._pool._idle[0]._wire is kept


# --- the reader of a client ---


def reader_of(exchange: Exchange, sign: Callable[[str], str], **more: Any) -> RestReader:
    """Return the reader that a client would make."""
    given: dict[str, Any] = {
        "name": "main",
        "external_signer": True,
        "now": lambda: instant(exchange.now()),
        "timings": Timings(request_timeout=0.5, rest_blocked=0.5),
        "proxy": None,
        "ssl_context": None,
        "log": ClientLog("main"),
        **more,
    }
    options = Recovery(base_url=exchange.rest_url, rate=100.0)
    return make_real_reader(options, Environment.find(exchange.url), Credentials(KEY, sign), **given)


def test_a_client_s_reader_signs_with_its_key(make_desk: Callable[..., Desk], exchange: Exchange) -> None:
    """At the base URL that was chosen."""
    desk = make_desk(reader_of(exchange, hmac_signer(SECRET), external_signer=False))
    desk.worker.ask(BALANCES)
    assert isinstance(desk.outcome(), Answered)


def test_a_signer_that_hangs_delays_neither_reads_nor_close(make_desk: Callable[..., Desk], exchange: Exchange) -> None:
    """It has a thread of its own, and the request's time."""
    locked = threading.Event()

    def sign(_text: str) -> str:
        locked.wait()
        return ""

    desk = make_desk(reader_of(exchange, sign))
    desk.worker.ask(BALANCES)
    assert "did not answer in time" in str(desk.outcome())
    desk.worker.close()
    assert desk.ended()
    locked.set()


def test_a_ban_ends_after_its_time(make_desk: Callable[..., Desk], exchange: Exchange) -> None:
    """Until then nothing is sent; the error says for how long."""
    exchange.rest.ban(times=1)
    desk = make_desk(reader_of(exchange, hmac_signer(SECRET)))
    desk.worker.ask(BALANCES)
    assert desk.outcome().retry_after == 0.5
    outcome = desk.outcome() if desk.worker.ask(BALANCES) else None
    deadline = time.monotonic() + 30
    while not isinstance(outcome, Answered) and time.monotonic() < deadline:
        assert isinstance(outcome, RestUnavailable)
        desk.worker.ask(BALANCES)
        outcome = desk.outcome()
    assert isinstance(outcome, Answered)
    assert len(exchange.rest.calls) == 2


def test_a_wrong_secret_is_refused(make_desk: Callable[..., Desk], exchange: Exchange) -> None:
    """For good."""
    desk = make_desk(reader_of(exchange, hmac_signer("wrong")))
    desk.worker.ask(BALANCES)
    error = desk.outcome()
    assert isinstance(error, RestRefused)
    assert error.is_general
