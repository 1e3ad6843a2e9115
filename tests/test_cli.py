"""The command line, as a process of its own: the demo tells a story whose numbers add up."""

from __future__ import annotations

import json
import os
import pty
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bybit_sync import Client, Event, Gap, GapReason, Stream
from bybit_sync.cli import SCENARIOS, _show_json, _show_lines, main
from bybit_sync.simulator import scenarios

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
STREAMS = {"orders", "user_trades", "positions", "balances"}
Rows = list[dict[str, Any]]


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start the command."""
    plain = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": ENVIRONMENT}
    return subprocess.Popen([sys.executable, "-W", "error", "-m", "bybit_sync", *arguments], **{**plain, **options})


def run(*arguments: str) -> tuple[int, str, str]:
    """Run the command to its end: exit code, output, errors."""
    process = start(*arguments)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def told() -> Mapping[str, list[dict[str, Any]]]:
    """What the demo prints as JSON, in each dialect."""
    processes = {dialect: start("demo", "--seconds", "3", "--json", "--dialect", dialect) for dialect in ("v5", "v3")}
    outputs = {dialect: process.communicate(timeout=60) for dialect, process in processes.items()}
    assert {err for _, err in outputs.values()} == {""}
    assert {process.returncode for process in processes.values()} == {0}
    return {dialect: [json.loads(line) for line in out.splitlines()] for dialect, (out, _) in outputs.items()}


@pytest.fixture(params=["v5", "v3"])
def lines(request: pytest.FixtureRequest, told: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What the demo prints as JSON, in each dialect in turn."""
    return told[request.param]


def rows(lines: Sequence[Mapping[str, Any]], stream: str) -> Rows:
    """Return the rows of *stream*, in order."""
    return [row for line in lines if line["stream"] == stream for row in line["data"]]


def total(rows: Rows, number: Callable[[dict[str, Any]], Decimal]) -> Decimal:
    """Return the sum of *number* over *rows*."""
    return sum(map(number, rows), Decimal(0))


# --- the demo as JSON ---


def test_two_seconds_show_every_stream() -> None:
    """An onlooker need not wait for any of the four."""
    code, out, err = run("demo", "--seconds", "2", "--json")
    assert (code, err) == (0, "")
    assert {json.loads(line)["stream"] for line in out.splitlines()} == STREAMS


def test_a_line_is_an_object_of_five_keys(lines: list[dict[str, Any]]) -> None:
    """Stream, topic, time, rows and the gap, which is null here."""
    assert {tuple(line) for line in lines} == {("stream", "topic", "created_at", "data", "gap")}
    assert {line["gap"] for line in lines} == {None}
    assert all(line["data"] for line in lines)


def test_topics_are_those_of_the_dialect(told: Mapping[str, list[dict[str, Any]]]) -> None:
    """V5 has one for each category and tells the time of a push, V3 has one for each stream and does not."""
    assert {line["topic"] for line in told["v5"]} >= {"order.linear", "execution.linear", "position.linear", "wallet"}
    assert all(datetime.fromisoformat(line["created_at"]).tzinfo for line in told["v5"])
    assert {line["topic"] for line in told["v3"]} == {
        f"user.{word}.contractAccount" for word in ("order", "execution", "position", "wallet")
    }
    assert {line["created_at"] for line in told["v3"]} == {None}


def test_numbers_are_texts_in_plain_notation(lines: list[dict[str, Any]]) -> None:
    """Nothing that is a number to the exchange has been through a float."""
    values = [value for line in lines for row in line["data"] for value in row.values()]
    assert not [value for value in values if isinstance(value, float)]
    assert all(row["exec_price"] == format(Decimal(row["exec_price"]), "f") for row in rows(lines, "user_trades"))


# --- its numbers ---


def test_executions_sum_to_the_position(lines: list[dict[str, Any]]) -> None:
    """Bought less sold is what is held in the end."""
    symbol = "BTCUSDT"
    fills = [row for row in rows(lines, "user_trades") if row["symbol"] == symbol]
    last = [row for row in rows(lines, "positions") if row["symbol"] == symbol][-1]
    held = Decimal(last["size"]) * (-1 if last["side"] == "Sell" else 1)
    assert fills
    assert held == total(fills, lambda row: Decimal(row["exec_qty"]) * (1 if row["side"] == "Buy" else -1))


def test_the_wallet_changes_by_gains_less_fees(lines: list[dict[str, Any]]) -> None:
    """From first to last, to the last digit."""
    wallet = [coin for row in rows(lines, "balances") for coin in row["coins"] if coin["coin"] == "USDT"]
    fills = rows(lines, "user_trades")
    cash = total(fills, lambda row: Decimal(row["exec_value"]) * (-1 if row["side"] == "Buy" else 1))
    fees = total(fills, lambda row: Decimal(row["exec_fee"]))
    last = rows(lines, "positions")[-1]
    cost = Decimal(last["position_value"]) * (-1 if last["side"] == "Sell" else 1)
    change = Decimal(wallet[-1]["wallet_balance"]) - Decimal(wallet[0]["wallet_balance"])
    assert fees > 0
    assert change == cash + cost - fees
    assert Decimal(wallet[-1]["cum_realised_pnl"]) == change


def test_an_order_is_placed_partly_filled_and_filled(lines: list[dict[str, Any]]) -> None:
    """Its executions sum to what it says was filled, and paid."""
    first = rows(lines, "orders")[0]["order_id"]
    order = [row for row in rows(lines, "orders") if row["order_id"] == first]
    fills = [row for row in rows(lines, "user_trades") if row["order_id"] == first]
    assert [row["order_status"] for row in order] == ["New", "PartiallyFilled", "Filled"]
    assert total(fills, lambda row: Decimal(row["exec_qty"])) == Decimal(order[-1]["cum_exec_qty"]) == Decimal(order[-1]["qty"])
    assert total(fills, lambda row: Decimal(row["exec_fee"])) == Decimal(order[-1]["cum_exec_fee"])


def test_a_reduce_only_order_closes_the_position(lines: list[dict[str, Any]]) -> None:
    """One match of two fills, in one message, and the position is flat."""
    closing = next(row for row in rows(lines, "orders") if row["reduce_only"])
    match = next(
        line for line in lines if line["stream"] == "user_trades" and line["data"][0]["order_id"] == closing["order_id"]
    )
    after = lines[lines.index(match) :]
    assert [row["closed_size"] == row["exec_qty"] for row in match["data"]] == [True, True]
    assert (rows(after, "positions")[0]["size"], rows(after, "positions")[0]["side"]) == ("0", None)


# --- other ways to show ---


def test_without_a_terminal_there_is_a_plain_line_per_row() -> None:
    """No colour, no cursor, each stream by its name."""
    code, out, err = run("demo", "--seconds", "1")
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert {line.split()[1] for line in out.splitlines()} == STREAMS
    assert "BTCUSDT side=Buy qty=0.5 price=64250 filled=0.2 status=PartiallyFilled" in out


def test_on_a_terminal_there_are_tables() -> None:
    """All four with their names, and the cursor is there again at the end."""
    ours, theirs = pty.openpty()
    process = start("demo", "--seconds", "1", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = read_all(ours)
    assert process.wait(60) == 0
    for text in ("positions", "orders", "user trades", "balances", "PartiallyFilled", "Ctrl-C ends"):
        assert text in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def read_all(terminal: int) -> str:
    """Return what is written to the other end of *terminal* until that is closed."""
    parts: list[bytes] = []
    with os.fdopen(terminal, "rb", buffering=0) as source:
        try:
            while part := source.read(65536):
                parts.append(part)
        except OSError:  # how Linux says that the other end is closed
            pass
    return b"".join(parts).decode()


def test_a_gap_is_told_in_the_same_line(capsys: pytest.CaptureFixture[str]) -> None:
    """With its five keys; no rows, and no exception object."""
    _show_json(an_event_with_a_gap())
    line = json.loads(capsys.readouterr().out)
    assert list(line["gap"]) == ["reason", "since", "until", "missed", "detail"]
    assert (line["data"], line["gap"]["reason"], line["gap"]["missed"]) == ([], "DISCONNECTED", None)
    _show_lines(an_event_with_a_gap())
    assert "DISCONNECTED" in capsys.readouterr().out


def an_event_with_a_gap() -> Event[Any]:
    """Return what a subscription tells after an outage."""
    moment = datetime(2026, 1, 1, tzinfo=timezone.utc)
    gap = Gap(reason=GapReason.DISCONNECTED, since=moment, until=moment, missed=None, detail="the connection was lost")
    return Event(stream=Stream.ORDERS, topic="", gap=gap, received_at=moment, received_ns=1)


# --- how it ends ---


@pytest.mark.parametrize("options", [["--json"], []])
def test_ctrl_c_ends_it_cleanly(options: list[str]) -> None:
    """Exit code 130, and not a word."""
    process = start("demo", *options)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    # The first line came when it was told, and not with the first full buffer.
    assert out.count("\n") < 40


def test_a_reader_that_leaves_ends_it_quietly() -> None:
    """As in ``bybit-sync demo | head -n 1``."""
    process = start("demo", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(60) == 0


@pytest.mark.parametrize("missing", ["websockets", "rich"])
def test_an_extra_that_is_missing_is_told_in_one_line(missing: str) -> None:
    """What to install, and nothing else."""
    program = f"import sys; sys.modules[{missing!r}] = None; from bybit_sync.cli import main; raise SystemExit(main(['demo']))"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=theirs, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    os.close(theirs)
    read_all(ours)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == f"bybit-sync: {missing} is not installed: pip install 'bybit-sync[cli]'\n"


# --- arguments ---


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["simulate", "--help"]])
def test_help_has_examples(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """And the exit codes."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "bybit-sync demo --seconds 10" in out
    assert "130 Ctrl-C" in out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["demo", "--seconds", "0"],
        ["demo", "--seconds", "nan"],
        ["demo", "--seconds", "soon"],
        ["demo", "--dialect", "v4"],
        ["simulate", "--port", "65536"],
        ["simulate", "--rate", "0"],
    ],
)
def test_wrong_arguments_end_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """And with the usage."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: bybit-sync" in capsys.readouterr().err


# --- simulate ---


def introduced(process: subprocess.Popen[str]) -> dict[str, str]:
    """Return what the command says about itself before it does anything."""
    told: dict[str, str] = {}
    assert process.stdout is not None
    while "scenario" not in told:
        name, _, value = process.stdout.readline().partition(" ")
        assert name, process.communicate(timeout=60)
        told[name] = value.strip()
    return told


@pytest.fixture
def simulation() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start simulations that end with Ctrl-C, as they should: 130, and not a word of an error."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        started.append(start("simulate", *arguments))
        return started[-1]

    yield begin
    for process in started:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, "Traceback" in err) == (130, False), err


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_simulation_serves_a_client_with_the_keys_that_it_prints(
    simulation: Callable[..., subprocess.Popen[str]], scenario: str
) -> None:
    """Whatever the scenario, the account does something; Ctrl-C ends it with 130."""
    told = introduced(simulation("--scenario", scenario))
    with Client(told["key"], told["secret"], environment=told["url"]) as client:
        assert client.subscribe_orders().get(timeout=30)


def test_a_simulation_speaks_tls_with_an_authority_in_a_file(simulation: Callable[..., subprocess.Popen[str]]) -> None:
    """Any client can be told to trust it; afterwards the file is gone."""
    process = simulation("--tls", "--rate", "50")
    told = introduced(process)
    context = ssl.create_default_context(cafile=told["authority"])
    with Client(told["key"], told["secret"], environment=told["url"], ssl_context=context) as client:
        assert client.subscribe_orders().get(timeout=30)
    process.send_signal(signal.SIGINT)
    process.wait(60)
    assert not Path(told["authority"]).exists()


def test_a_simulation_plays_a_file_and_stays(simulation: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    """With the accounts in it; when the steps are over, clients are served on."""
    steps = [
        {"do": "wait_for_topics", "topics": ["order.linear", "order.inverse"]},
        {"do": "place_order", "symbol": "BTCUSDT", "side": "Buy", "qty": "0.5", "price": "20000"},
    ]
    (tmp_path / "bug.json").write_text(json.dumps({"accounts": [{"key": "K", "secret": "S"}], "steps": steps}))
    told = introduced(simulation("--scenario", str(tmp_path / "bug.json")))
    assert (told["key"], told["secret"]) == ("K", "S")
    with Client("K", "S", environment=told["url"]) as client:
        assert next(iter(client.subscribe_orders().get(timeout=30))).order_status == "New"
        client.reconnect()
        assert client.wait_live(30)


def test_a_simulation_listens_where_it_is_told(simulation: Callable[..., subprocess.Popen[str]]) -> None:
    """And says so when somebody else does already."""
    told = introduced(simulation())
    port = told["url"].rpartition(":")[2]
    assert told["url"].startswith("ws://127.0.0.1:")
    code, out, err = run("simulate", "--port", port)
    assert (code, out) == (2, "")
    assert "Address already in use" in err


def test_a_scenario_that_does_not_exist_is_told(tmp_path: Path) -> None:
    """With those that do; a file that cannot be played with its step."""
    code, _, err = run("simulate", "--scenario", "chaos")
    assert code == 2
    assert err == "bybit-sync: --scenario: 'chaos' is none of story, busy, outages, liquidation, and no file either\n"
    (tmp_path / "bug.json").write_text('[{"do": "dance"}]')
    code, _, err = run("simulate", "--scenario", str(tmp_path / "bug.json"))
    assert (code, err.startswith("bybit-sync: step 1: do: 'dance' is none of")) == (2, True)


def test_a_step_that_is_refused_ends_a_simulation(tmp_path: Path) -> None:
    """With the step, and what was wrong; the keys were printed before."""
    (tmp_path / "bug.json").write_text('[{"after": 0.1, "do": "fill", "order": "mine"}]')
    code, out, err = run("simulate", "--scenario", str(tmp_path / "bug.json"))
    assert (code, "DEMO-KEY" in out) == (2, True)
    assert err == "bybit-sync: step 1: order: no step before it gave an order the name 'mine'\n"


def test_the_command_line_knows_every_scenario() -> None:
    """Its help can name them without the simulator being there."""
    assert tuple(scenarios.SCENARIOS) == SCENARIOS
