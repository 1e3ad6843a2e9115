"""The libraries that we stand on, when something else has their name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = {
    "a script": "print('mine')",
    "a script that uses us": "import bybit_sync; bybit_sync.Client",
    "one that fails": "raise ValueError('no')",
}


def imported(folder: Path, script: str = "from bybit_sync import Client") -> str:
    """Return the last line of how *script* ends in *folder*."""
    (folder / "go.py").write_text(script)
    # What stands here, not what is installed.
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "go.py"], cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_a_file_of_the_users_that_is_called_websocket_is_named(tmp_path: Path, text: str) -> None:
    """With what to do about it: it stands before every package."""
    (tmp_path / "websocket.py").write_text(text)
    told = imported(tmp_path)
    assert told.startswith("ImportError: bybit_sync needs the package websocket-client")
    assert f"{tmp_path / 'websocket.py'} is imported instead: rename that file" in told
    assert "pip install --force-reinstall websocket-client" in told


def test_the_other_package_is_named(tmp_path: Path) -> None:
    """The one that is called websocket, without a client."""
    (tmp_path / "websocket").mkdir()
    (tmp_path / "websocket" / "__init__.py").write_text("class WebSocket: pass")
    assert f"{tmp_path / 'websocket' / '__init__.py'} is imported instead" in imported(tmp_path)


def test_a_package_that_is_missing_is_told_as_that(tmp_path: Path) -> None:
    """Nothing is imported instead."""
    (tmp_path / "without.py").write_text(
        "import sys, importlib.abc\n"
        "class Without(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'websocket': sys.path = [p for p in sys.path if 'site-packages' not in p]\n"
        "sys.meta_path.insert(0, Without())\n"
    )
    assert "websocket-client, and it is not installed" in imported(tmp_path, "import without; from bybit_sync import Client")
