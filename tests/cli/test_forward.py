"""``bybit-sync forward`` and ``consume``: from accounts into a server, and out of it again."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bybit_sync import Event, UserTradeUpdate, is_user_trades
from bybit_sync.integrations.redis_streams import RedisStreams, consume
from bybit_sync.simulator import Account, Exchange
from tests.commands import ENVIRONMENT, Terminal, call, run, start
from tests.conftest import KEY, SECRET, push
from tests.integrations.servers import Server, connected
from tests.integrations.test_redis_faults import oldest, rows
from tests.integrations.test_redis_streams import publish
from tests.recovery.reading import buy

WITH_KEY = {**ENVIRONMENT, "BYBIT_API_KEY": KEY, "BYBIT_API_SECRET": SECRET}


@pytest.fixture
def forwarding(exchange: Exchange) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command, and kill it at the end."""
    processes: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        processes.append(start("forward", *arguments, "--environment", exchange.url, env=WITH_KEY))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def stopped(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return the exit code after SIGTERM, and what was told."""
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    return process.returncode, told


def test_several_accounts_come_from_key_files(
    forwarding: Callable[..., subprocess.Popen[str]], exchange: Exchange, account: Account, server: Server, tmp_path: Path
) -> None:
    """Each is called as its file says, or is called."""
    other = exchange.account("other-key", "other-secret")
    for file, text in {
        "one.env": f"BYBIT_API_KEY={KEY}\nBYBIT_API_SECRET={SECRET}\n",
        "two.env": "BYBIT_API_KEY=other-key\nBYBIT_API_SECRET=other-secret\nBYBIT_NAME=second\n",
    }.items():
        (tmp_path / file).write_text(text)
        (tmp_path / file).chmod(0o600)
    files = [f"--account={tmp_path / file}" for file in ("one.env", "two.env")]
    process = forwarding(server.url, "orders", *files)
    exchange.wait_for(lambda: account.connections[0].topics and other.connections[0].topics, timeout=60)
    push(account, "a")
    push(other, "b")
    with connected(server.url) as raw:
        exchange.wait_for(lambda: raw.xlen("bybit:one:orders") + raw.xlen("bybit:second:orders") == 2)
    code, told = stopped(process)
    assert code == 143
    assert "2 accounts\n" in told
    assert told.endswith("2 of 2 live  2 events, 0 waiting\n")


def test_two_accounts_of_one_name_are_refused(tmp_path: Path) -> None:
    """Their streams would be one."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "main.env").write_text("BYBIT_API_KEY=k\nBYBIT_API_SECRET=s\n")
        (tmp_path / folder / "main.env").chmod(0o600)
    files = [f"--account={tmp_path / folder / 'main.env'}" for folder in "ab"]
    code, _, told = call("forward", "redis://localhost", *files)
    assert (code, "two are called main" in told) == (2, True)


def test_it_survives_the_restart_of_the_server(
    forwarding: Callable[..., subprocess.Popen[str]],
    exchange: Exchange,
    account: Account,
    make_server: Callable[..., Server],
) -> None:
    """With everything that happened meanwhile."""
    kept = make_server("--appendonly", "yes", "--appendfsync", "always")
    forwarding(kept.url, "orders")
    exchange.wait_for(lambda: account.connections[0].topics, timeout=60)
    push(account, "o-1")
    kept.start()
    assert rows(oldest(kept.url, 1)) == ["o-1"]
    kept.kill()
    push(account, "o-2")
    kept.start()
    push(account, "o-3")
    assert rows(oldest(kept.url, 3, "new")) == ["o-1", "o-2", "o-3"]


def test_fills_of_a_pause_follow_its_gap(
    forwarding: Callable[..., subprocess.Popen[str]], exchange: Exchange, account: Account, server: Server
) -> None:
    """They are read over REST, from the last one in the stream on."""
    arguments = (server.url, "user_trades", "--rest-url", exchange.rest_url)
    process = forwarding(*arguments)
    exchange.wait_for(lambda: account.connections[0].topics, timeout=60)
    buy(account)
    (filled,) = oldest_trades(server, 1)
    assert stopped(process)[0] == 143
    buy(account)
    forwarding(*arguments)
    gap, recovered = oldest_trades(server, 3)[1:]
    assert gap.gap is not None
    assert [row.key for row in recovered] == [*(row.key for row in filled), recovered[-1].key]


def oldest_trades(server: Server, count: int) -> list[Event[UserTradeUpdate]]:
    """Return the oldest *count* events of the executions."""
    reading = consume(server.url, "main", "user_trades", group=f"first-{count}", timeout=60.0)
    return [event for event in itertools.islice(reading, count) if is_user_trades(event)]


def test_events_that_could_not_be_written_are_told_at_the_end(
    exchange: Exchange, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the code of a server that cannot be reached."""

    def fill(forwarder: Any, _deadline: object) -> None:
        exchange.wait_for(lambda: account.connections[0].topics, timeout=60)
        push(account, "a", "b")
        exchange.wait_for(lambda: forwarder._text().endswith(", 1 waiting"), timeout=60)

    monkeypatch.setattr("bybit_sync.cli.forward._PATIENCE", 0.1)
    monkeypatch.setattr("bybit_sync.cli.forward._Forwarder.go_on", fill)
    code, _, told = call("forward", "unix:///no/such", "orders", "--environment", exchange.url, env=WITH_KEY)
    assert code == 3
    assert "RedisStreams('unix:///no/such') did not take the last events of main in time" in told


@pytest.mark.usefixtures("account")
def test_what_the_server_refuses_ends_it(exchange: Exchange, server: Server) -> None:
    """At once, as nothing could be written."""
    with connected(server.url) as raw:
        raw.set("bybit:main:orders", "mine")
    code, _, told = call("forward", server.url, "orders", "--environment", exchange.url, env=WITH_KEY)
    assert code == 4
    assert "WRONGTYPE" in told.splitlines()[-1]


def test_another_publisher_ends_it(exchange: Exchange, account: Account, server: Server) -> None:
    """The one that began later goes on."""
    with ThreadPoolExecutor() as pool:
        ending = pool.submit(call, "forward", server.url, "orders", "--environment", exchange.url, env=WITH_KEY)
        exchange.wait_for(lambda: account.connections[0].topics, timeout=60)
        push(account, "a")
        assert rows(oldest(server.url, 1)) == ["a"]
        publish(RedisStreams(server.url), 1, 1)
        push(account, "b")
        code, _, told = ending.result(60)
    assert code == 4
    assert "another writer writes to bybit:main:orders" in told.splitlines()[-1]


def test_an_account_that_the_exchange_refuses_ends_with_its_code(exchange: Exchange, server: Server) -> None:
    """When no other is left."""
    env = {**ENVIRONMENT, "BYBIT_API_KEY": "wrong", "BYBIT_API_SECRET": "wrong"}
    code, _, told = call("forward", server.url, "--environment", exchange.url, env=env)
    assert (code, "main ended: " in told) == (4, True)


@pytest.mark.parametrize("url", ["redis://user:c4n4ry@localhost", "redis://localhost?password=c4n4ry"])
@pytest.mark.parametrize("command", ["forward", "consume"])
def test_a_password_among_the_arguments_is_refused(command: str, url: str) -> None:
    """Every user of the machine can read them."""
    code, _, told = call(command, url, *(["main"] if command == "consume" else []))
    assert (code, 'give "env"' in told, "c4n4ry" in told.partition("error:")[2]) == (2, True, False)


def test_every_event_of_an_account_gets_into_its_streams(exchange: Exchange, account: Account, server: Server) -> None:
    """On a terminal, the progress is one line."""
    env = {**WITH_KEY, "REDIS_URL": server.url}
    arguments = "orders", "--environment", exchange.url, "--name", "one", "--maxlen", "5000"
    with Terminal("forward", "env", *arguments, env=env) as terminal, connected(server.url) as raw:
        terminal.wait_for("1 of 1 live  0 events, 0 waiting\x1b[K")
        push(account, "a", "b")
        terminal.wait_for("\r1 of 1 live  2 events, 0 waiting\x1b[K")
        assert raw.xlen("bybit:one:orders") == 2
        terminal.type("\x03")
        assert terminal.end() == 130


# --- consume ---


def test_events_are_printed_as_they_come(server: Server) -> None:
    """A line per update, or JSON; a group goes on where it was."""
    publish(RedisStreams(server.url), 1, 2)
    lines = start("consume", server.url, "main", "orders", "--group", "risk", "--consumer", "a", env=ENVIRONMENT)
    assert lines.stdout is not None
    assert [lines.stdout.readline().split()[1] for _ in range(2)] == ["orders", "orders"]
    assert stopped(lines)[0] == 143
    publish(RedisStreams(server.url), 1, 1)
    told = start("consume", server.url, "main", "orders", "--group", "risk", "--consumer", "a", "--json", env=ENVIRONMENT)
    assert told.stdout is not None
    # The last event may come again: it was printed, and the signal came before the question for the next one.
    found = [event for event in (json.loads(told.stdout.readline()) for _ in range(2)) if event["gap"]]
    assert stopped(told)[0] == 143
    assert [event["gap"]["reason"] for event in found] == ["DISCONNECTED"]


def test_consuming_ends_after_so_many_seconds(server: Server) -> None:
    """Also when nothing comes."""
    code, out, told = run("consume", server.url, "main", "--seconds", "0.5", env=ENVIRONMENT)
    assert (code, out, told) == (0, "", "")


def test_what_cannot_be_read_ends_consuming(server: Server) -> None:
    """With its code."""
    with connected(server.url) as raw:
        raw.set("bybit:main:orders", "mine")
    code, _, told = call("consume", server.url, "main", "orders")
    assert (code, "WRONGTYPE" in told) == (4, True)
