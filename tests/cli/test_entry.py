"""The command line as a whole: its help, its exit codes, and what it says when something is not there."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from bybit_sync import (
    AuthenticationError,
    ConfigurationError,
    ConnectTimeout,
    ProtocolError,
    RecordingError,
    SubscriptionRejected,
    TLSError,
)
from bybit_sync.cli import main
from bybit_sync.cli.entry import COMMANDS
from bybit_sync.cli.exits import EXITS, code_of
from bybit_sync.cli.stopping import Stopped, stoppable
from tests.commands import ENVIRONMENT, run


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_has_examples_and_exit_codes(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command's own, and every code of the table; on 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    name = command[0] if command else "demo"
    assert f"\n  bybit-sync {name} " in out.replace("check\n", "check \n")
    assert all(f"  {code:<4} {meaning}" in out for code, meaning in EXITS.items())
    assert max(map(len, out.splitlines())) <= 80


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """With a line about each."""
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(f"\n    {name} " in out for name in COMMANDS)


def test_a_command_loads_only_what_it_needs() -> None:
    """A client, its sockets and its signatures are for the commands that connect."""
    program = """
import contextlib, io, sys
from bybit_sync.cli import main
def load(*commands):
    for command in commands:
        with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
            main([command, "--help"])
    print(*sorted({"bybit_sync.client", "bybit_sync.network.dialing", "ssl", "websocket"} & set(sys.modules)))
load("--version", "replay", "stats", "consume", "simulate")
load("watch")
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=ENVIRONMENT, check=True)
    assert process.stdout == "\nbybit_sync.client bybit_sync.network.dialing ssl websocket\n"


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
        ["watch", "trades"],
        ["watch", "--plain", "--json"],
        ["watch", "--categories", "spread"],
        ["record"],
        ["record", "f", "--rotate", "0"],
        ["record", "f", "--rotate", "many"],
        ["replay", "f", "--speed", "0"],
        ["stats", "f", "--plot", "f.gif"],
    ],
)
def test_wrong_arguments_end_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """And with the usage."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: bybit-sync" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError(), 2),
        (TLSError(), 3),
        (ConnectTimeout(), 3),
        (ProtocolError(), 3),
        (AuthenticationError(), 4),
        (SubscriptionRejected(), 4),
        (RecordingError(), 5),
        (FileNotFoundError(), 5),
        (KeyError(), None),
    ],
)
def test_each_error_has_a_code(error: Exception, code: int | None) -> None:
    """A bug has none: it keeps its traceback."""
    assert code_of(error) == code
    assert code is None or code in EXITS


def test_a_timeout_for_a_refused_login_is_a_refusal() -> None:
    """What matters is why."""
    error = ConnectTimeout()
    error.__cause__ = AuthenticationError()
    assert code_of(error) == 4


@pytest.mark.parametrize(
    ("missing", "extra", "arguments"),
    [
        ("websockets", "simulator", ["demo", "--json"]),
        ("websockets", "simulator", ["watch", "--simulate", "--json"]),
        ("matplotlib", "plot", ["stats", "/dev/null", "--json", "--plot", "p.png"]),
    ],
)
def test_an_extra_that_is_missing_is_told_in_one_line(missing: str, extra: str, arguments: list[str]) -> None:
    """What to install, and nothing else."""
    program = (
        f"import sys; sys.modules[{missing!r}] = None; from bybit_sync.cli import main; raise SystemExit(main({arguments}))"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert process.returncode == 1
    remedy = f"pip install 'bybit-sync[{extra}]' (in a copy of the source: pip install {missing})"
    assert process.stderr == f"bybit-sync: {missing} is not installed: {remedy}\n"


def test_an_account_without_the_extra_rest_tells_it() -> None:
    """With 1, as for the other extras: it is no wrong argument."""
    program = "import sys; sys.modules['urllib3'] = None; from bybit_sync.cli import main; raise SystemExit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "account", "--simulate"]
    process = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert (process.returncode, "pip install 'bybit-sync[rest]'" in process.stderr) == (1, True)


def test_without_any_extra_there_is_text() -> None:
    """What people look at needs rich, a simulation websockets, a plot matplotlib; all else nothing."""
    code, err = run_without(["rich", "websockets", "matplotlib", "trustme"], ["stats", "/dev/null"])
    assert (code, err) == (0, "")
    code, err = run_without(["rich", "websockets", "matplotlib", "trustme"], ["watch", "--plain"])
    assert (code, "BYBIT_API_KEY is not set" in err) == (2, True)


def run_without(modules: list[str], arguments: list[str]) -> tuple[int, str]:
    """Run the command where *modules* cannot be imported, and return its exit code and errors."""
    lines = ["import sys", *(f"sys.modules[{name!r}] = None" for name in modules), "from bybit_sync.cli import main"]
    program = "\n".join([*lines, f"raise SystemExit(main({arguments}))"])
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=ENVIRONMENT, check=False)
    return process.returncode, process.stderr


def test_only_the_first_signal_interrupts() -> None:
    """Nothing disturbs what puts the terminal in order; afterwards signals do what they did before."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped) as caught, stoppable(for_good=False):
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.raise_signal(number)
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_module_is_the_command() -> None:
    """``python -m bybit_sync`` where the script is not on the path."""
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("bybit-sync ")


@pytest.mark.parametrize("module", ["bybit_sync.cli.entry", "bybit_sync.model.events", "bybit_sync.cli.simulate"])
def test_ctrl_c_while_the_command_is_loaded_shows_no_traceback(module: str) -> None:
    """In the first second, too: 130, and not a word."""
    program = f"""
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from bybit_sync.cli import main
raise SystemExit(main(["simulate"]))
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (130, "", "")
