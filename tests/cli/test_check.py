"""``bybit-sync check``: says in order what works, and the first thing that does not in one sentence with its remedy."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest

from bybit_sync.cli import main
from bybit_sync.simulator import Account, Exchange
from tests.commands import call
from tests.conftest import KEY, SECRET
from tests.peers import Line, Peer

Check = Callable[..., tuple[int, dict[str, Any]]]
STEPS = ["name", "tcp", "upgrade", "clock", "login", "positions", "orders", "user_trades", "balances"]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Check an environment with the account's key, and return the exit code and what it says of each step."""
    monkeypatch.setenv("BYBIT_API_KEY", KEY)
    monkeypatch.setenv("BYBIT_API_SECRET", SECRET)

    def run(environment: str, *arguments: str) -> tuple[int, dict[str, Any]]:
        code = main(["check", "--json", "--environment", environment, *arguments])
        told = json.loads(capsys.readouterr().out)
        assert told["works"] is (code == 0)
        return code, {step["step"]: step for step in told["steps"]}

    return run


def failure(steps: dict[str, Any]) -> tuple[str, str]:
    """Return the step that failed and what it says, all before it having worked and none behind it having been tried."""
    works = [step["works"] for step in steps.values()]
    index = works.index(False)
    assert works == [True] * index + [False] + [None] * (len(works) - index - 1)
    step = list(steps.values())[index]
    return step["step"], step["says"]


def test_everything_works(check: Check, exchange: Exchange, account: Account) -> None:
    """Each step in its order, and what is confirmed by name."""
    code, steps = check(exchange.url)
    assert (code, list(steps)) == (0, STEPS)
    assert {step["works"] for step in steps.values()} == {True}
    assert steps["orders"]["says"] == "confirmed: order.linear, order.inverse"
    exchange.wait_for(lambda: not exchange.connections)


def test_a_person_reads_a_line_a_step(exchange: Exchange, capsys: pytest.CaptureFixture[str]) -> None:
    """And the sum of it."""
    assert main(["check", "--simulate"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[1:-1]] == [*STEPS, "rest", "rest_key"]
    assert {line.split()[0] for line in lines[1:-1]} == {"ok"}
    assert lines[-1] == "everything works"


def test_a_person_reads_a_failure_in_lines_that_fit(
    exchange: Exchange, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence stands below its step, and what was not tried below that."""
    monkeypatch.setenv("BYBIT_API_KEY", KEY)
    monkeypatch.setenv("BYBIT_API_SECRET", SECRET)
    assert main(["check", "--environment", exchange.url]) == 4
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    sentence = [line.startswith(" ") for line in lines]
    assert lines[sentence.index(True) - 1].startswith("FAILED  login")
    assert [line.split()[0] for line in lines[-4:]] == ["-"] * 4


def test_a_name_that_is_none(check: Check) -> None:
    """The resolver's words, and where to look."""
    code, steps = check("wss://no-such-host.invalid")
    step, says = failure(steps)
    assert (code, step) == (3, "name")
    assert "no-such-host.invalid was not resolved" in says


def test_a_port_where_nobody_listens(check: Check) -> None:
    """Refused, and by whom."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    code, steps = check(f"ws://127.0.0.1:{port}")
    step, says = failure(steps)
    assert (code, step) == (3, "tcp")
    assert f"127.0.0.1:{port} cannot be reached: Connection refused" in says


def test_a_certificate_that_nobody_vouches_for(check: Check) -> None:
    """The step that says so is TLS; nothing secret was sent."""
    with Exchange(tls=True) as exchange:
        code, steps = check(exchange.url)
        step, says = failure(steps)
    assert (code, step) == (3, "tls")
    assert "certificate" in says
    assert "SSL_CERT_FILE" in says


def test_a_host_without_the_path(check: Check, exchange: Exchange) -> None:
    """What HTTP says, and what that means here."""
    exchange.refuse_upgrade(404, times=9)
    code, steps = check(exchange.url)
    step, says = failure(steps)
    assert (code, step) == (3, "upgrade")
    assert "answered 404" in says


def test_a_clock_that_is_wrong(check: Check, account: Account, exchange: Exchange) -> None:
    """Is measured; the login is corrected by itself, so that all of it works."""
    exchange.clock_offset = 60.0
    code, steps = check(exchange.url)
    assert code == 0
    assert steps["clock"]["says"] == "this machine is 60.0 s behind the exchange: set it (NTP)"


def test_without_a_key_the_way_is_checked_up_to_the_login(
    check: Check, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the ways to give one are told."""
    monkeypatch.delenv("BYBIT_API_SECRET")
    code, steps = check(exchange.url)
    step, says = failure(steps)
    assert (code, step) == (2, "login")
    assert "BYBIT_API_SECRET is not set" in says


def test_a_key_of_somewhere_else(check: Check, exchange: Exchange) -> None:
    """The environments that it may belong to are named."""
    code, steps = check(exchange.url)
    step, says = failure(steps)
    assert (code, step) == (4, "login")
    assert "may belong to another environment: mainnet, testnet, demo" in says
    assert KEY not in says


def test_one_topic_that_is_refused(check: Check, account: Account, exchange: Exchange) -> None:
    """The others are tried all the same."""
    exchange.refuse_topic("order.inverse", "topic not allowed", times=9)
    code, steps = check(exchange.url)
    assert code == 4
    assert [name for name, step in steps.items() if step["works"] is False] == ["orders"]
    assert "order.inverse" in steps["orders"]["says"]


# --- REST ---


def checked(check: Check, exchange: Exchange) -> tuple[int, dict[str, Any]]:
    """Check *exchange* and its REST host."""
    return check(exchange.url, "--rest-url", exchange.rest_url)


def test_rest_works(check: Check, exchange: Exchange, account: Account) -> None:
    """Its clock is measured, and each listing is read."""
    code, steps = checked(check, exchange)
    assert (code, list(steps)) == (0, [*STEPS, "rest", "rest_key"])
    assert steps["rest"]["says"].startswith("it answers; this machine is ")
    assert steps["rest_key"]["says"] == (
        "the key may read positions, open orders, ended orders, executions, balances; a read-only key is enough"
    )


def test_a_clock_that_is_wrong_is_measured(check: Check, exchange: Exchange, account: Account) -> None:
    """Requests are signed by the host's clock, so that all of it works."""
    exchange.clock_offset = 60.0
    code, steps = checked(check, exchange)
    assert code == 0
    assert steps["rest"]["says"] == "it answers; this machine is 60.0 s behind its clock: set it (NTP)"


def test_a_host_that_is_away_is_told(check: Check, exchange: Exchange, account: Account) -> None:
    """After everything else has worked."""
    url = exchange.rest_url
    exchange.rest.stop_listening()
    code, steps = check(exchange.url, "--rest-url", url)
    step, says = failure(steps)
    assert (code, step) == (3, "rest")
    assert "Connection refused" in says


def test_a_permission_that_is_missing_is_told(check: Check, exchange: Exchange, account: Account) -> None:
    """By its endpoint, with the remedy."""
    exchange.rest.refuse(10005, "execution/list")
    code, steps = checked(check, exchange)
    step, says = failure(steps)
    assert (code, step) == (4, "rest_key")
    assert says.startswith("execution/list: refused with 10005")
    assert "Give the key read permission" in says


def test_a_place_without_a_known_rest_host_is_checked_without(check: Check, exchange: Exchange, account: Account) -> None:
    """The steps are left out."""
    assert list(check(exchange.url)[1]) == STEPS


def test_without_the_extra_rest_is_left_out(
    check: Check,
    exchange: Exchange,
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The streams need no urllib3."""
    monkeypatch.delitem(sys.modules, "bybit_sync.rest.reader", raising=False)
    monkeypatch.delitem(sys.modules, "bybit_sync.rest.connections", raising=False)
    monkeypatch.setitem(sys.modules, "urllib3.connection", None)
    assert list(checked(check, exchange)[1]) == STEPS


def test_a_rest_host_that_is_not_checked_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """With the reason: else "everything works" would promise recovery, too."""
    assert main(["check", "--simulate", "--dialect", "v3"]) == 0
    assert capsys.readouterr().err.startswith("bybit-sync: the REST host is not checked: ")


def test_a_url_that_is_none_is_refused_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """With what it should look like."""
    with pytest.raises(SystemExit):
        main(["check", "--rest-url", "api.bybit.com"])
    told = capsys.readouterr().err
    assert ("'api.bybit.com' is no URL" in told, "https://host[:port]" in told, "Recovery" in told) == (True, True, False)


def test_a_key_file_that_is_missing_is_told_first() -> None:
    """Before any step, as a wrong argument."""
    code, out, err = call("check", "--environment", "wss://127.0.0.1:1", "--key-file", "/nowhere/key")
    assert (code, out) == (2, "")
    assert err == "bybit-sync: --key-file: /nowhere/key cannot be read: No such file or directory\n"


@pytest.mark.parametrize(
    ("said", "remedy"), [(b"SSH-2.0-OpenSSH_9.6\r\n", "is this the right port?"), (b"\x15\x03\x01\x00\x02\x02F", "give wss://")]
)
def test_another_protocol_on_the_port_has_a_remedy(said: bytes, remedy: str) -> None:
    """A port of something else, or of TLS."""

    def answer(line: Line) -> None:
        line.send(said)
        line.wait_for_end()

    with Peer(answer) as peer:
        code, out, _ = call("check", "--environment", f"ws://127.0.0.1:{peer.port}")
    assert code == 3
    assert "the answer is not HTTP" in " ".join(out.split())
    assert remedy in " ".join(out.split())
