"""The types, as a user's checker sees them: a user's code is right for mypy and pyright, and every public name has a type."""

from __future__ import annotations

import importlib.util
import os
import re
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


@pytest.mark.parametrize("checker", [("mypy", "--strict"), pytest.param(("pyright",), marks=needs_pyright)], ids=lambda c: c[0])
def test_what_the_readme_says_of_types_is_right(checker: tuple[str, ...], tmp_path: Path) -> None:
    """Its program that takes what may be missing has no mistake; without that look it has one, for both checkers."""
    (part,) = re.findall(
        r"^## Types$.*?^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    config = tmp_path / "pyrightconfig.json"
    config.write_text('{"typeCheckingMode": "strict"}')
    for text, is_right in ((part, True), (re.sub(r"    if size is None:.*?\n.*?\n", "", part), False)):
        (tmp_path / "program.py").write_text(text)
        given = (
            ["--project", str(config), "--pythonpath", sys.executable]
            if checker[0] == "pyright"
            else [str(tmp_path / "program.py")]
        )
        done = check(*checker, *given)
        assert (done.returncode == 0) is is_right, done.stdout + done.stderr


def test_the_example_of_a_bot_has_no_mistake() -> None:
    """In strict mode, with its tests."""
    done = check("mypy", "--strict", "examples/bot")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_pyright
def test_every_public_name_has_a_type() -> None:
    """No checker has to guess one, which each would do its own way."""
    done = check("pyright", "--verifytypes", "bybit_sync", "--ignoreexternal")
    missing = [line for line in done.stdout.splitlines() if "error: " in line]
    assert missing == []
    assert "Type completeness score: 100%" in done.stdout, done.stdout + done.stderr
