"""The types, as a user's checker sees them: a user's code is right for mypy and pyright, and every public name has a type."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
USER = "tests/typing_api.py"

needs_pyright = pytest.mark.skipif(importlib.util.find_spec("pyright") is None, reason="needs pyright: pip install '.[test]'")


def check(checker: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run *checker* in the repository, on the library as it stands there and what is installed beside this Python."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return subprocess.run(
        [sys.executable, "-m", checker, *arguments],
        cwd=ROOT,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_mypy_finds_what_is_wrong_in_a_user_s_code_and_nothing_else() -> None:
    """In strict mode: each promise holds, and each marked mistake is one."""
    done = check("mypy", "--strict", USER)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_pyright
def test_pyright_finds_what_is_wrong_in_a_user_s_code_and_nothing_else() -> None:
    """The same, also in strict mode."""
    done = check("pyright", "--pythonpath", sys.executable)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 errors" in done.stdout


@needs_pyright
def test_every_public_name_has_a_type() -> None:
    """No checker has to guess one, which each would do its own way."""
    done = check("pyright", "--verifytypes", "bybit_sync", "--ignoreexternal")
    missing = [line for line in done.stdout.splitlines() if "error: " in line]
    assert missing == []
    assert "Type completeness score: 100%" in done.stdout, done.stdout + done.stderr
