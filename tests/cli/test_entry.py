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
from bybit_sync.extras import EXTRAS
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


def missing(package: str, extra: str, reason: str = "{} is not installed") -> tuple[int, str]:
    """Return the exit code for want of *package*, and the one line about it."""
    remedy = f"pip install 'bybit-sync[{extra}]' (in a copy of the source: pip install {package})"
    return 1, f"bybit-sync: {reason.format(package)}: {remedy}\n"


# Where nothing is installed that comes with an extra.
BARE = {
    "stats /dev/null": (0, ""),
    "watch --plain --key-file /no": (2, "bybit-sync: --key-file: /no cannot be read: No such file or directory\n"),
    "demo --json": missing("websockets", "simulator"),
    "watch --simulate --json": missing("websockets", "simulator"),
    "stats /dev/null --json --plot p.png": missing("matplotlib", "plot"),
    "account --rest-url https://127.0.0.1": missing("urllib3", "rest", "recover needs the package {}"),
}


def test_what_needs_an_extra_says_so_in_one_line_and_all_else_works() -> None:
    """What people look at needs rich, a simulation websockets, a plot matplotlib, an account urllib3."""
    program = f"""
import contextlib, io, sys
sys.modules.update(dict.fromkeys({[name.replace("-", "_") for name in EXTRAS]}))
from bybit_sync.cli import main
for command in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
        code = main(command.split())
    print((code, errors.getvalue()))
"""
    env = {**ENVIRONMENT, "BYBIT_API_KEY": "k", "BYBIT_API_SECRET": "s"}
    process = subprocess.run([sys.executable, "-c", program, *BARE], stdout=subprocess.PIPE, text=True, env=env, check=True)
    assert [eval(line) for line in process.stdout.splitlines()] == list(BARE.values())


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
