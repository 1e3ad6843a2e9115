"""The live screen in a real terminal: what it shows, how it resizes, and that it gives the terminal back however it ends."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bybit_sync.simulator import Account, Exchange
from tests.commands import ALTERNATE_OFF, ALTERNATE_ON, ENVIRONMENT, HOME, Terminal, call_until, has_order
from tests.conftest import KEY, SECRET

NAMES = ["positions", "orders", "user trades", "balances"]
WITH_KEY = {**ENVIRONMENT, "BYBIT_API_KEY": KEY, "BYBIT_API_SECRET": SECRET}
SLOWLY = "--speed", "0.001"
End = Callable[[Terminal], None]
ENDS: dict[str, tuple[str, End, int]] = {
    "Ctrl-C": ("watch", lambda terminal: terminal.type("\x03"), 130),
    "q": ("watch", lambda terminal: terminal.type("q"), 0),
    "SIGTERM": ("replay", lambda terminal: terminal.process.send_signal(signal.SIGTERM), 143),
    "SIGHUP": ("replay", lambda terminal: terminal.process.send_signal(signal.SIGHUP), 129),
}


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A recording of an order, for what is shown whatever it is."""
    path = str(tmp_path_factory.mktemp("recordings") / "r.jsonl")
    assert call_until(has_order("New"), "record", path, "orders", "--simulate")[0] == 0
    return path


def test_there_are_four_tables_and_a_status_line() -> None:
    """On 80 by 24, each line fitting; a stream without rows says when they come."""
    with Terminal("watch", "--simulate") as terminal:
        first = terminal.picture("none known: the exchange sends no snapshot")
        assert first[0].startswith("bybit-sync watch  ws://127.0.0.1:")
        assert first[1].startswith("LIVE  ping ")
        whole = terminal.picture("PartiallyFilled")
        assert [line[:11].rstrip() for line in whole if line.startswith(tuple(NAMES))] == NAMES
        assert len(whole) == 24
        assert max(map(len, whole)) <= 80


@pytest.mark.parametrize("how", ENDS)
def test_the_terminal_is_given_back(how: str, recording: str) -> None:
    """Picture gone, cursor there, keyboard as before; and not a word after it, or after the last picture of a replay."""
    command, end, code = ENDS[how]
    with Terminal(command, *([recording, *SLOWLY] if command == "replay" else ["--simulate"])) as terminal:
        terminal.picture("positions")
        end(terminal)
        assert terminal.end() == code
        assert terminal.is_restored
        after = terminal.shown[terminal.shown.rindex(ALTERNATE_OFF) :]
        assert after == ALTERNATE_OFF if command == "watch" else "bybit-sync:" not in after


def test_an_error_gives_the_terminal_back_too(tmp_path: Path) -> None:
    """The sentence about it stands below, where it can be read."""
    damaged = tmp_path / "r.jsonl"
    damaged.write_text('{"recv_ns": 1, "recv_utc"')
    with Terminal("replay", str(damaged)) as terminal:
        assert terminal.end() == 5
        assert ALTERNATE_ON in terminal.shown
        assert terminal.is_restored
        assert "bybit-sync: line 1 of " in terminal.shown[terminal.shown.rindex(ALTERNATE_OFF) :]


def test_a_terminal_that_is_closed_ends_it() -> None:
    """As when the connection over which somebody works breaks."""
    with Terminal("watch", "--simulate") as terminal:
        terminal.picture("positions")
        terminal.hang_up()
        assert terminal.process.wait(60) == 129


def test_it_follows_the_terminals_size(exchange: Exchange, account: Account) -> None:
    """More columns and rows when there is room, fewer when there is not; every table stays in sight."""
    with Terminal("watch", "--environment", exchange.url, env=WITH_KEY) as terminal:
        terminal.picture("none known")
        for number in range(60):
            account.place_order("BTCUSDT", "Buy", qty="0.5", price=20000 + number)
        assert names(terminal.picture("... 60 in all")) == NAMES
        terminal.resize(140, 40)
        wide = picture_of(terminal, 40)
        assert "liquidation" in wide[3]
        terminal.resize(40, 10)
        small = picture_of(terminal, 10)
        assert (names(small), max(map(len, small)) <= 40) == (NAMES, True)
        for size in ((1, 1), (20, 3), (500, 200), (80, 24)):
            terminal.resize(*size)
        assert max(map(len, picture_of(terminal, 24))) <= 80


def picture_of(terminal: Terminal, lines: int) -> list[str]:
    """Return the next picture of so many *lines*."""
    while len(picture := terminal.picture("LIVE")) != lines:
        terminal.wait_for(HOME, len(terminal.shown))
    return picture


def names(picture: list[str]) -> list[str]:
    """Return the names of the tables in *picture*, from above."""
    return [line[:11].rstrip() for line in picture if line.startswith(tuple(NAMES))]


def test_what_is_typed_does_not_spoil_the_picture(recording: str) -> None:
    """Nothing is echoed; Ctrl-Z stops nothing where no shell could let it go on."""
    with Terminal("replay", recording, *SLOWLY) as terminal:
        terminal.picture("positions")
        # One after the other: the kernel discards with Ctrl-Z what it has not shown yet.
        for keys, shown in (("hello\r\n\x1b[A", HOME), ("\x1a", ALTERNATE_ON)):
            terminal.type(keys)
            terminal.wait_for(shown, len(terminal.shown))
        assert "hello" not in terminal.shown


def test_ctrl_z_gives_the_terminal_back_until_the_process_goes_on(recording: str) -> None:
    """As often as it is typed; the picture and the silent keyboard come back with ``fg``, and q ends it as before."""
    with Terminal("replay", recording, *SLOWLY, shell=True) as terminal:
        for _ in range(2):
            terminal.picture("positions")
            since = len(terminal.shown)
            terminal.type("\x1a")
            terminal.wait_for("stopped", since)
            assert terminal.is_restored
            terminal.type("\n")
            terminal.wait_for(ALTERNATE_ON, len(terminal.shown))
            terminal.picture("REPLAY")
            assert not terminal.is_restored
        terminal.type("q")
        assert terminal.end() == 0
        assert terminal.is_restored


def test_after_an_outage_rows_are_marked_as_stale(exchange: Exchange, account: Account) -> None:
    """Until their next update; the last line says why, and the status line how often."""
    with Terminal("watch", "--environment", exchange.url, env=WITH_KEY) as terminal:
        terminal.picture("none known")
        order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
        terminal.picture("20000")
        exchange.drop()
        stale = terminal.picture("~ stale until its next update")
        assert any(line.startswith("~BTCUSDT") for line in stale)
        assert "  1 reconnect  " in stale[1]
        assert "updates may be missing (DISCONN" in stale[-1]
        account.amend(order, price=20001)
        fresh = terminal.picture(" 20001 ")
        assert any(line.startswith("BTCUSDT ") and " 20001 " in line for line in fresh)


@pytest.mark.parametrize("lacking", [{"TERM": "dumb"}, {"PYTHONIOENCODING": "latin-1"}])
def test_a_terminal_that_cannot_be_drawn_upon_gets_lines(lacking: dict[str, str], recording: str) -> None:
    """It cannot move its cursor, or has no sign for what was cut."""
    with Terminal("replay", recording, env={**ENVIRONMENT, **lacking}) as terminal:
        assert terminal.end() == 0
        assert "\x1b" not in terminal.shown
        assert "status=New" in terminal.shown


def test_a_screen_needs_rich(tmp_path: Path, recording: str) -> None:
    """What to install is told in one line, on the terminal as it was."""
    (tmp_path / "rich.py").write_text("raise ModuleNotFoundError('gone', name='rich')")
    env = {**ENVIRONMENT, "PYTHONPATH": f"{tmp_path}:{ENVIRONMENT['PYTHONPATH']}"}
    with Terminal("replay", recording, env=env) as terminal:
        assert terminal.end() == 1
        remedy = "pip install 'bybit-sync[cli]' (in a copy of the source: pip install rich)"
        assert terminal.shown == f"bybit-sync: rich is not installed: {remedy}\r\n"
