"""A user's signer may hang, fail or come late: a request of REST never waits for it beyond its deadline."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator

import pytest

from bybit_sync.errors import ClientClosed, RestUnavailable
from bybit_sync.rest.endpoints import ACCOUNT_INFO, SERVER_TIME
from bybit_sync.rest.reader import RestReader
from bybit_sync.rest.signer_thread import SignerThread
from bybit_sync.signing.credentials import hmac_signer
from bybit_sync.simulator import Account, Exchange
from bybit_sync.threads.waiting import SignalSafeEvent, wait_for
from tests.conftest import SECRET

NAME = "main-rest-signer"
MakeReader = Callable[..., RestReader]


@pytest.fixture
def locked() -> Iterator[threading.Event]:
    """What a hanging signer waits for; it is let go at the end."""
    event = threading.Event()
    yield event
    event.set()


def hanging(locked: threading.Event) -> Callable[[str], str]:
    """Return a signer that signs once *locked* is set."""

    def sign(text: str) -> str:
        locked.wait()
        return hmac_signer(SECRET)(text)

    return sign


def test_a_signer_runs_on_a_thread_of_its_own(exchange: Exchange, account: Account, make_reader: MakeReader) -> None:
    """And what it returns is what is sent."""
    names: list[str] = []

    def sign(text: str) -> str:
        names.append(threading.current_thread().name)
        return hmac_signer(SECRET)(text)

    assert make_reader(exchange.rest_url, sign=sign, signer_thread=NAME).ask(ACCOUNT_INFO).result
    assert names == [NAME]


def test_a_signer_that_hangs_costs_its_request(
    exchange: Exchange, account: Account, make_reader: MakeReader, locked: threading.Event
) -> None:
    """By the request's deadline; nothing was sent for it."""
    reader = make_reader(exchange.rest_url, sign=hanging(locked), signer_thread=NAME, timeout=0.3)
    with pytest.raises(
        RestUnavailable, match="could not be signed: TimeoutError: it did not answer in time. Look into signer="
    ):
        reader.ask(ACCOUNT_INFO)
    assert exchange.rest.calls == ()


def test_a_signer_that_still_hangs_is_not_asked_again(
    exchange: Exchange, account: Account, make_reader: MakeReader, locked: threading.Event
) -> None:
    """One thread at most; what needs no signature goes on."""
    reader = make_reader(exchange.rest_url, sign=hanging(locked), signer_thread=NAME, timeout=0.3)
    for why in ("did not answer in time", "still has not answered"):
        with pytest.raises(RestUnavailable, match=why):
            reader.ask(ACCOUNT_INFO)
    assert [thread.name for thread in threading.enumerate()].count(NAME) == 1
    assert reader.ask(SERVER_TIME).result


def test_close_ends_the_wait_for_a_signer(
    exchange: Exchange, account: Account, make_reader: MakeReader, locked: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once."""
    waiting = threading.Event()

    def wait(done: SignalSafeEvent, deadline: float) -> bool:
        waiting.set()
        return wait_for(done, deadline)

    monkeypatch.setattr("bybit_sync.rest.signer_thread.wait_for", wait)
    reader = make_reader(exchange.rest_url, sign=hanging(locked), signer_thread=NAME, timeout=3600.0)
    closer = threading.Thread(target=lambda: waiting.wait() and reader.close())
    closer.start()
    with pytest.raises(ClientClosed):
        reader.ask(ACCOUNT_INFO)
    closer.join()


def test_a_signer_is_not_waited_for_after_close(locked: threading.Event) -> None:
    """Also when it was just called."""
    thread = SignerThread(NAME)
    thread.close()
    with pytest.raises(ClientClosed):
        thread.run(lambda: {"signed": str(locked.wait())}, deadline=math.inf)


@pytest.mark.parametrize("error", [OSError("away"), SystemExit("away"), KeyboardInterrupt("away")])
def test_what_a_signer_raises_fails_the_request(
    exchange: Exchange, account: Account, make_reader: MakeReader, error: BaseException
) -> None:
    """Also what would end a thread."""

    def sign(_text: str) -> str:
        raise error

    with pytest.raises(RestUnavailable, match=f"could not be signed: .*{type(error).__name__}: away"):
        make_reader(exchange.rest_url, sign=sign, signer_thread=NAME).ask(ACCOUNT_INFO)


def test_no_thread_left_fails_the_request(
    exchange: Exchange, account: Account, make_reader: MakeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again later, as everything that may pass."""

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    reader = make_reader(exchange.rest_url, signer_thread=NAME)
    reader.ask(SERVER_TIME)
    monkeypatch.setattr("bybit_sync.rest.signer_thread.threading.Thread.start", start)
    with pytest.raises(RestUnavailable, match="can't start new thread"):
        reader.ask(ACCOUNT_INFO)
    monkeypatch.undo()
    assert reader.ask(ACCOUNT_INFO).result
