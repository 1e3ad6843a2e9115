"""What ends a test that hangs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

HANGS = """
import threading

def waits():
    threading.Event().wait(60)

def test_it():
    threading.Thread(target=waits, daemon=True).start()
    threading.Event().wait(60)
"""


def test_a_test_that_hangs_ends_with_the_stack_of_every_thread(tmp_path: Path) -> None:
    """And with its process, whatever it waits for; pytest keeps none of the text."""
    (tmp_path / "test_hangs.py").write_text(HANGS)
    plugins = ("-p", "pytest_timeout", "-p", "tests.hangs", "-p", "no:cacheprovider")
    path = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", *plugins, "-o", "timeout=1", "test_hangs.py"]
    done = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "in waits" in done.stderr
    assert "in test_it" in done.stderr
