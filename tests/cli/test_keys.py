"""Where the command line takes the key from: the environment, a file that nobody else reads, a prompt; never an argument."""

from __future__ import annotations

from pathlib import Path

import pytest

from bybit_sync import ConfigurationError
from bybit_sync.cli import main
from bybit_sync.cli.keys import find_key, read_key_file
from tests.commands import ENVIRONMENT, Terminal

LINES = 'BYBIT_API_KEY=file-key\n# a remark\n\nexport BYBIT_API_SECRET="file-secret"\n'


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without a key."""
    for name in ("BYBIT_API_KEY", "BYBIT_API_SECRET", "BYBIT_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)


def key_file(folder: Path, text: str = LINES, mode: int = 0o600) -> str:
    """Write a key file and return its name."""
    path = folder / "key"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_the_environment_has_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for `Client.from_env`."""
    monkeypatch.setenv("BYBIT_API_KEY", "k")
    monkeypatch.setenv("BYBIT_API_SECRET", "s")
    assert find_key(None) == ("k", "s")


def test_a_file_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It was asked for."""
    monkeypatch.setenv("BYBIT_API_KEY", "k")
    monkeypatch.setenv("BYBIT_API_SECRET", "s")
    assert find_key(key_file(tmp_path)) == ("file-key", "file-secret")


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o644, 0o666])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """With the command that mends it; the key is not used even once."""
    name = key_file(tmp_path, mode=mode)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {name}"):
        read_key_file(name)


@pytest.mark.parametrize(("text", "said"), [("BYBIT_API_KEY=k\n", "BYBIT_API_SECRET is not set in"), ("hush-hush", "line 1")])
def test_a_file_without_a_key_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Without a word of what is in it."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        find_key(key_file(tmp_path, text))
    assert "hush" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """In the system's words."""
    with pytest.raises(ConfigurationError, match="No such file"):
        find_key(str(tmp_path / "none"))


def test_no_key_ends_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    """And with the three ways to give one."""
    assert main(["watch", "--plain"]) == 2
    assert capsys.readouterr().err == (
        "bybit-sync: BYBIT_API_KEY is not set: export BYBIT_API_KEY and BYBIT_API_SECRET, "
        "give --key-file FILE, or answer the prompt on a terminal\n"
    )


@pytest.mark.parametrize("option", ["--environment", "--proxy"])
def test_a_wrong_place_is_told_before_anybody_is_asked_for_a_key(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody types a secret for nothing."""
    assert main(["watch", option, "mars"]) == 2
    assert option.removeprefix("--") in capsys.readouterr().err


def test_on_a_terminal_the_key_is_asked_for_and_not_shown() -> None:
    """Neither the key nor its secret."""
    env = {**ENVIRONMENT, "BYBIT_ENVIRONMENT": "ws://127.0.0.1:1"}
    with Terminal("check", env=env) as terminal:
        terminal.wait_for("BYBIT_API_KEY (not shown): ")
        terminal.type("c4n4ry-key\n")
        terminal.wait_for("BYBIT_API_SECRET (not shown): ")
        terminal.type("c4n4ry-secret\n")
        terminal.wait_for("FAILED  tcp")
        assert terminal.end() == 3
        assert "c4n4ry" not in terminal.shown


@pytest.mark.parametrize("option", ["--key", "--secret", "--api-key", "--api-secret"])
def test_there_is_no_argument_for_a_key(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every user of the machine could read it."""
    with pytest.raises(SystemExit) as caught:
        main(["watch", option, "c4n4ry"])
    assert caught.value.code == 2
    capsys.readouterr()


def test_a_proxy_with_a_password_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """For the same reason, and without a word of it."""
    with pytest.raises(SystemExit):
        main(["watch", "--proxy", "http://me:c4n4ry@proxy:3128"])
    err = capsys.readouterr().err
    assert "HTTPS_PROXY" in err
    assert "c4n4ry" not in err
