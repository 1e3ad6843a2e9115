"""Every example runs, as its reader would run it, against the simulated exchange."""

from __future__ import annotations

import contextlib
import os
import random
import re
import runpy
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bybit_sync import ConfigurationError
from bybit_sync.integrations.sqlite_journal import Journal
from bybit_sync.simulator import Account, Exchange
from tests.conftest import KEY, SECRET
from tests.faults.rows import row

ROOT = Path(__file__).parent.parent
# What the output of each has to hold.
EXAMPLES = {
    "print_positions": ["BTCUSDT Buy 0.5 64250", "BTCUSDT flat 0"],
    "follow_orders": ["BTCUSDT PartiallyFilled 0.2 of 0.5", "read them by REST", "Cancelled 0 of 1000"],
    "legacy_queue": [
        f"{account} {stream} [" for account in ("main", "hedge") for stream in ("orders", "user_trades", "balances")
    ],
    "v3": ["user.execution.contractAccount BTCUSDT Buy 0.2 at 64250 fee 2.57"],
    "legacy_system": [
        "orders desk: OrderUpdate(category='linear', symbol='BTCUSDT'",
        "user_trades desk: UserTradeUpdate(",
        "positions desk: outage from ",
        "risk desk: BTCUSDT is Buy ",
        "other risk desk: BTCUSDT is ",
    ],
    "statsd_metrics": ["Event(orders, 1 row: OrderUpdate("],
    "opentelemetry_metrics": ['"name": "bybit_sync.gaps"', '"reason": "DISCONNECTED"', '"name": "bybit_sync.live"'],
    "complete_fills": ["REST recovered ", "open gaps: ()", " BTCUSDT Sell 0.375 at 64288.5"],
    "right_after_outage": ["positions: ", "orders: ", " open (recovered)", " open (pushed)"],
}


def example(name: str) -> Path:
    """Return the path of an example."""
    return ROOT / "examples" / f"{name}.py"


# Most are read in a minute.
LINES = {"legacy_system": 100, "opentelemetry_metrics": 45, "right_after_outage": 40, "complete_fills": 32}


def run(script: Path, *arguments: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Start an example in *folder*, with *environment* besides ours."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("BYBIT_")}
    return subprocess.Popen(
        [sys.executable, "-W", "error", script, *arguments],
        cwd=folder,
        env={**ours, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def statsd() -> Iterator[socket.socket]:
    """A UDP socket in the place of statsd."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(60)
        yield server


@pytest.fixture(scope="module", autouse=True)
def running(tmp_path_factory: pytest.TempPathFactory, statsd: socket.socket) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All of them, at the same time."""
    folder, port = tmp_path_factory.mktemp("examples"), str(statsd.getsockname()[1])
    processes = {name: run(example(name), "--simulate", folder=folder, STATSD_PORT=port) for name in EXAMPLES}
    yield processes
    for process in processes.values():
        process.kill()
        process.communicate()


def test_every_example_is_known() -> None:
    """None lies there that no test runs."""
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short(name: str) -> None:
    """Fewer than thirty lines, so that it is read."""
    assert len(example(name).read_text().splitlines()) < LINES.get(name, 30)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_without_keys_says_which_are_missing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --simulate it is the real thing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name])
    monkeypatch.delenv("BYBIT_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="BYBIT_API_KEY is not set"):
        runpy.run_path(str(example(name)), run_name="__main__")


# --- kill -9 ---

# `from_env` knows the REST host of a named environment only.
AT_THE_EXCHANGE = """
import runpy, sys
from bybit_sync import Client, Recovery

of_a_user = Client.from_env
Client.from_env = lambda recover: of_a_user(recover=Recovery(base_url=sys.argv[2]))
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@row(188, kills="a process begins with the time of its start")
@pytest.mark.parametrize("kills", [1, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
def test_fills_are_complete_and_booked_once_after_every_kill(
    exchange: Exchange, account: Account, tmp_path: Path, kills: int
) -> None:
    """A process is killed at a random moment; the account trades on; the next process books what is missing."""
    chance, bot = random.Random(kills), tmp_path / "bot.py"
    bot.write_text(AT_THE_EXCHANGE)
    keys = {"BYBIT_API_KEY": KEY, "BYBIT_API_SECRET": SECRET, "BYBIT_ENVIRONMENT": exchange.url}
    ledger: list[str] = []
    for life in range(kills + 1):
        with run(bot, str(example("complete_fills")), exchange.rest_url, folder=tmp_path, **keys) as process:
            ledger += traded(exchange, account, process, chance)
            if life == kills:
                exchange.wait_for(partial(is_booked, tmp_path / "fills.db", ledger), timeout=30)
            process.kill()
            assert "Traceback" not in process.communicate()[1]
    assert is_booked(tmp_path / "fills.db", ledger)


def traded(exchange: Exchange, account: Account, process: subprocess.Popen[str], chance: random.Random) -> Iterator[str]:
    """Fill orders and cut connections while *process* starts and books; yield the ids of the orders, which have a fill each."""
    for _ in range(chance.randrange(5, 60)):
        yield account.fill(account.place_order("BTCUSDT", "Buy", qty="0.1", price="20000")).order_id
        if chance.random() < 1 / 20:
            exchange.drop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.random() / 10)


def is_booked(path: Path, ledger: list[str]) -> bool:
    """Return whether the journal has one trade of each order in *ledger*, and no other."""
    with Journal(path) as journal:
        return sorted(str(trade.order_id) for trade in journal.trades()) == sorted(ledger)


# --- what it shows: they have run meanwhile ---


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_shows_what_it_promises_and_ends(name: str, running: dict[str, subprocess.Popen[str]]) -> None:
    """It runs to its end without an account, and prints what it is about."""
    out, err = running[name].communicate(timeout=60)
    assert running[name].returncode == 0, err
    assert "Traceback" not in err
    for text in EXAMPLES[name]:
        assert text in out


def test_statsd_gets_the_health_of_the_client(statsd: socket.socket) -> None:
    """As gauges in its own format, over UDP."""
    lines = statsd.recv(65_536).decode().split("\n")
    assert all(re.fullmatch(r"bybit\.bybit-1\.(\w+\.)?\w+:[0-9.]+\|g", line) for line in lines), lines
    assert {"bybit.bybit-1.live:1|g", "bybit.bybit-1.orders.gaps:0|g"} <= set(lines)
