"""``bybit-sync watch`` without a terminal: a line per update, or JSON; and how it ends."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bybit_sync import Client
from bybit_sync.cli import main
from bybit_sync.simulator import Account, Exchange
from tests.commands import ENVIRONMENT, PATIENCE, call, command, interrupt, start
from tests.conftest import FAST, KEY, SECRET
from tests.integrations.scraping import scrape_port

WITH_KEY = {**ENVIRONMENT, "BYBIT_API_KEY": KEY, "BYBIT_API_SECRET": SECRET}
NO_SNAPSHOT = "the exchange sends no snapshot: a row appears with its first update"
RECOVERING = "what is there, and what an outage hides, is read over REST"
Watch = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def watch(exchange: Exchange, account: Account) -> Iterator[Watch]:
    """Watch the account in a process of its own, which is connected then; it recovers if *arguments* name a REST host."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        recovers = "--rest-url" in arguments
        process = start(
            "watch", "--environment", exchange.url, *(() if recovers else ("--no-recover",)), *arguments, env=WITH_KEY
        )
        started.append(process)
        assert process.stderr is not None
        assert process.stderr.readline() == f"bybit-sync: connecting to {exchange.url} v5 ...\n"
        assert process.stderr.readline() == f"bybit-sync: connected; {RECOVERING if recovers else NO_SNAPSHOT}\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate(timeout=PATIENCE)


def next_line(process: subprocess.Popen[str]) -> str:
    """Return the next line of its output."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate(timeout=PATIENCE)
    return line


def next_object(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the next object of its output."""
    told: dict[str, Any] = json.loads(next_line(process))
    return told


def test_there_is_a_line_per_update(watch: Watch, account: Account) -> None:
    """As soon as it is told, whoever reads."""
    process = watch("orders")
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    assert " orders      BTCUSDT side=Buy qty=0.5 price=20000 filled=0 status=New " in next_line(process)


@pytest.mark.parametrize(
    ("arguments", "topics"),
    [
        ("positions orders --categories linear,option", "position.linear position.option order.linear order.option"),
        ("orders --categories all", "order"),
    ],
)
def test_only_what_is_named_is_subscribed(
    arguments: str, topics: str, exchange: Exchange, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The streams with the categories; all of these are one topic, with spot and spread."""
    found: list[str] = []
    monkeypatch.setattr("bybit_sync.cli.watch.follow", lambda *_, **__: found.extend(exchange.connections[0].topics))
    assert call("watch", *arguments.split(), "--environment", exchange.url, "--no-recover", env=WITH_KEY)[0] == 0
    assert sorted(found) == sorted(topics.split())


def test_a_gap_is_an_object_of_its_own(watch: Watch, exchange: Exchange, account: Account) -> None:
    """Before anything newer; the outage itself is told on the standard error."""
    process = watch("orders", "--json")
    exchange.drop()
    told = next_object(process)
    assert (told["stream"], told["data"], told["gap"]["reason"]) == ("orders", [], "DISCONNECTED")
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    assert next_object(process)["data"][0]["order_status"] == "New"
    code, _, err = interrupt(process)
    assert code == 130
    assert "the peer closed the connection" in err


def test_it_begins_with_what_is_there_and_mends_an_outage(watch: Watch, exchange: Exchange, account: Account) -> None:
    """An order that was placed before is shown at once, and what an outage hid after it."""
    first = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    process = watch("orders", "--json", "--rest-url", exchange.rest_url)
    told = next_object(process)
    assert (told["snapshot"], [row["order_id"] for row in told["data"]]) == (True, [first.order_id])
    exchange.drop()
    account.cancel(first)
    told = next_object(process)
    assert (told["snapshot"], told["recovered"]["reason"]) == (True, "DISCONNECTED")
    assert [row["order_status"] for row in told["data"]] == ["Cancelled"]


def test_metrics_are_served_while_it_watches(exchange: Exchange, account: Account) -> None:
    """On the port that is told, until it ends."""
    arguments = "--environment", exchange.url, "--no-recover", "--metrics", "0"
    process = start("watch", "orders", *arguments, env=WITH_KEY)
    assert process.stderr is not None
    place = re.fullmatch(r"bybit-sync: metrics at http://127.0.0.1:(\d+)/metrics\n", process.stderr.readline())
    assert place is not None
    exchange.wait_for(
        lambda: scrape_port(int(place[1])).value("subscriptions", client="bybit-sync", stream="orders", state="LIVE")
    )
    assert interrupt(process)[0] == 130


def test_a_port_that_is_taken_is_said(exchange: Exchange, account: Account) -> None:
    """Before anything is connected."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = call("watch", "--environment", exchange.url, "--metrics", str(port), env=WITH_KEY)
    assert (code, out) == (2, "")
    assert f"--metrics: cannot listen at 127.0.0.1:{port}: Address already in use" in err


def test_without_a_rest_host_it_says_so_and_goes_on(exchange: Exchange, account: Account) -> None:
    """Nobody knows the REST host of a URL of one's own."""
    code, _, err = call("watch", "orders", "--environment", exchange.url, "--seconds", "0.1", env=WITH_KEY)
    reason, _, last = err.splitlines()
    assert (code, last.endswith(NO_SNAPSHOT)) == (0, True)
    assert "nothing is read over REST: " in reason


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_it_ends_when_it_is_asked_to(watch: Watch, exchange: Exchange, signum: int, code: int) -> None:
    """Each way with its code, without a word, and with a goodbye to the exchange."""
    process = watch("orders")
    assert interrupt(process, signum) == (code, "", "")
    exchange.wait_for(lambda: not exchange.connections)


def test_a_hang_up_is_ignored_under_nohup() -> None:
    """What was ignored when it began stays so."""
    process = subprocess.Popen(
        ["nohup", *command("watch", "--simulate", "--plain")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    next_line(process)
    process.send_signal(signal.SIGHUP)
    for _ in range(5):
        next_line(process)
    assert interrupt(process)[0] == 130


@pytest.fixture
def with_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account's key in this process's environment."""
    monkeypatch.setenv("BYBIT_API_KEY", KEY)
    monkeypatch.setenv("BYBIT_API_SECRET", SECRET)


def test_a_key_that_is_refused_ends_with_four(exchange: Exchange, with_key: None, capsys: pytest.CaptureFixture[str]) -> None:
    """In one sentence, with the remedy, and without a traceback."""
    assert main(["watch", "--plain", "--environment", exchange.url]) == 4
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"bybit-sync: {exchange.url} refused the login: ")
    assert "may belong to another environment" in last
    assert KEY not in last


def test_a_topic_that_is_refused_ends_with_four(
    exchange: Exchange, account: Account, with_key: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its name."""
    exchange.refuse_topic("order.linear", "topic not allowed")
    assert main(["watch", "orders", "--plain", "--environment", exchange.url]) == 4
    assert "order.linear" in capsys.readouterr().err.splitlines()[-1]


def test_it_ends_when_its_last_stream_does(
    exchange: Exchange,
    account: Account,
    with_key: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A topic that is refused for good on return from an outage: the end is a line, and then the sentence."""
    monkeypatch.setattr(Client, "_timings", FAST)
    confirmed = threading.Event()
    monkeypatch.setattr("bybit_sync.cli.watch.note", lambda text: text.startswith("connected") and confirmed.set())

    def spoil() -> None:
        # Not before the client has read the confirmation: a first refusal would be an error of subscribing.
        confirmed.wait(PATIENCE)
        exchange.refuse_topic("order.linear", "topic not allowed")
        exchange.drop()

    spoiler = threading.Thread(target=spoil)
    spoiler.start()
    code = main(["watch", "orders", "--plain", "--categories", "linear", "--environment", exchange.url])
    spoiler.join(PATIENCE)
    out, err = capsys.readouterr()
    assert code == 4
    assert " orders      gap: ended (ENDED, " in out
    assert "order.linear" in err.splitlines()[-1]


def test_it_ends_by_itself_when_it_is_told_to(capsys: pytest.CaptureFixture[str]) -> None:
    """For those who only want to look."""
    assert main(["watch", "--simulate", "--seconds", "0.2", "--plain"]) == 0
    assert "BTCUSDT" in capsys.readouterr().out
