"""``bybit-sync simulate``: an exchange for clients of any language, that says where it is and which key logs in."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import bybit_sync
from bybit_sync import Client, Recovery
from bybit_sync.cli.options import SCENARIOS
from bybit_sync.simulator import Exchange, scenarios
from tests.commands import PATIENCE, call, interrupt, start


def introduced(process: subprocess.Popen[str]) -> dict[str, str]:
    """Return what the command says about itself before it does anything."""
    told: dict[str, str] = {}
    assert process.stdout is not None
    while "scenario" not in told:
        name, _, value = process.stdout.readline().partition(" ")
        assert name, process.communicate(timeout=PATIENCE)
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
        code, _, err = interrupt(process)
        assert (code, "Traceback" in err) == (130, False), err


def test_a_simulation_serves_a_client_with_the_keys_that_it_prints(simulation: Callable[..., subprocess.Popen[str]]) -> None:
    """The account does something; Ctrl-C ends it with 130."""
    told = introduced(simulation("--scenario", "busy"))
    assert told["url"].startswith("ws://127.0.0.1:")
    recover = Recovery(base_url=told["rest"])
    with Client(told["key"], told["secret"], environment=told["url"], recover=recover) as client:
        assert client.subscribe_orders().get(timeout=30).snapshot


def test_a_simulation_prints_the_line_of_a_client(simulation: Callable[..., subprocess.Popen[str]]) -> None:
    """It can be copied as it stands; the authority that it trusts is in a file, which is gone afterwards."""
    process = simulation("--host", "0.0.0.0", "--tls", "--name", "localhost", "--rate", "50")
    told = introduced(process)
    assert told["url"].startswith("wss://localhost:")
    with eval(told["client"], {"bybit_sync": bybit_sync, "ssl": ssl}) as client:
        assert client.subscribe_orders().get(timeout=30)
    assert Path(told["authority"]).exists()
    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE)
    assert not Path(told["authority"]).exists()


@pytest.mark.parametrize("options", [[], ["--tls"], ["--name", "localhost"]])
def test_a_simulation_for_others_that_they_cannot_use_says_what_is_missing(
    options: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A client of another machine needs TLS, and a name that is in the certificate."""
    (tmp_path / "end.json").write_text('[{"do": "fill", "order": "refused, which ends it"}]')
    call("simulate", "--host", "0.0.0.0", "--scenario", str(tmp_path / "end.json"), *options)
    assert "need --tls and --name NAME" in caplog.text


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


def test_a_simulation_listens_where_it_is_told(exchange: Exchange) -> None:
    """And says so when somebody else does already."""
    code, out, err = call("simulate", "--port", exchange.url.rpartition(":")[2])
    assert (code, out) == (2, "")
    assert "Address already in use" in err


def test_a_scenario_that_does_not_exist_is_told(tmp_path: Path) -> None:
    """With those that do; a file that cannot be played with its step."""
    code, _, err = call("simulate", "--scenario", "chaos")
    assert code == 2
    assert err == "bybit-sync: --scenario: 'chaos' is none of story, busy, outages, liquidation, and no file either\n"
    (tmp_path / "bug.json").write_text('[{"do": "dance"}]')
    code, _, err = call("simulate", "--scenario", str(tmp_path / "bug.json"))
    assert (code, err.startswith("bybit-sync: step 1: do: 'dance' is none of")) == (2, True)


def test_a_step_that_is_refused_ends_a_simulation(tmp_path: Path) -> None:
    """With the step, and what was wrong; the keys were printed before."""
    (tmp_path / "bug.json").write_text('[{"after": 0.1, "do": "fill", "order": "mine"}]')
    code, out, err = call("simulate", "--scenario", str(tmp_path / "bug.json"))
    assert (code, "DEMO-KEY" in out) == (2, True)
    assert err == "bybit-sync: step 1: order: no step before it gave an order the name 'mine'\n"


def test_the_command_line_knows_every_scenario() -> None:
    """Its help can name them without the simulator being there."""
    assert tuple(scenarios.SCENARIOS) == SCENARIOS
