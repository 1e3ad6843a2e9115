"""Every example runs, as its reader would run it, against the simulated exchange."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# What the output of each has to hold.
EXAMPLES = {
    "print_positions": ["BTCUSDT Buy 0.5 64250", "BTCUSDT flat 0"],
    "follow_orders": ["BTCUSDT PartiallyFilled 0.2 of 0.5", "read them by REST", "Cancelled 0 of 1000"],
    "legacy_queue": [
        f"{account} {stream} [" for account in ("main", "hedge") for stream in ("orders", "user_trades", "balances")
    ],
    "v3": ["user.execution.contractAccount BTCUSDT Buy 0.2 at 64250 fee 2.57"],
}


def run(name: str, *arguments: str) -> subprocess.Popen[str]:
    """Start an example."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BYBIT_")}
    return subprocess.Popen(
        [sys.executable, "-W", "error", ROOT / "examples" / f"{name}.py", *arguments],
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All of them, at the same time."""
    processes = {name: run(name, "--simulate") for name in EXAMPLES}
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
    assert len((ROOT / "examples" / f"{name}.py").read_text().splitlines()) < 30


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_shows_what_it_promises_and_ends(name: str, running: dict[str, subprocess.Popen[str]]) -> None:
    """It runs to its end without an account, and prints what it is about."""
    out, err = running[name].communicate(timeout=30)
    assert running[name].returncode == 0, err
    assert "Traceback" not in err
    for text in EXAMPLES[name]:
        assert text in out


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_without_keys_says_which_are_missing(name: str) -> None:
    """Without --simulate it is the real thing."""
    process = run(name)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "BYBIT_API_KEY is not set" in err
