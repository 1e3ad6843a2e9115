"""The types, as a user's checker sees them: what is right passes mypy and pyright, and each mistake is found by both."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_docs import ROOT, blocks

USER = ROOT / "tests" / "typing_api.py"
BOT = ROOT / "examples" / "bot"

needs_pyright = pytest.mark.skipif(importlib.util.find_spec("pyright") is None, reason="needs pyright: pip install '.[test]'")


def check(checker: str, *arguments: str | Path) -> str:
    """Run *checker* in the repository, on the library as it stands there, and return what it prints."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return subprocess.run(
        [sys.executable, "-m", checker, *arguments],
        cwd=ROOT,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
        check=False,
    ).stdout


def wrong(output: str) -> set[str]:
    """Return the names of the files in which a checker found a mistake."""
    return set(re.findall(r"(\w+)\.py:\d+(?::| -|:\d+ -) error:", output))


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The README's program that takes what may be missing."""
    text = (ROOT / "README.md").read_text("utf-8")
    (part,) = re.findall(r"^## Types$.*?^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    path = tmp_path / "program.py"
    path.write_text(part)
    return path


@pytest.fixture
def careless(program: Path) -> Path:
    """The README's program without its look at what may be missing."""
    path = program.with_name("careless.py")
    path.write_text(re.sub(r"    if size is None:.*?\n.*?\n", "", program.read_text()))
    return path


@pytest.fixture
def service(tmp_path: Path) -> list[Path]:
    """The recipe of a Windows service, where the stubs of pywin32 are installed: it runs on Windows only."""
    if not any((Path(folder) / "win32-stubs").exists() for folder in sys.path):
        return []
    path = tmp_path / "service.py"
    path.write_text("# mypy: allow-untyped-defs\n" + dict(blocks())["recipes: A Windows service"])
    return [path]


def test_mypy_finds_what_is_wrong_in_a_user_s_code_and_nothing_else(program: Path, careless: Path, service: list[Path]) -> None:
    """In strict mode: the code that holds each promise, with a mark at each mistake, the example of a bot, and programs."""
    output = check("mypy", "--strict", USER, BOT, program, careless, *service)
    assert wrong(output) == {"careless"}, output


@needs_pyright
def test_pyright_finds_what_is_wrong_in_a_user_s_code_and_nothing_else(program: Path, careless: Path) -> None:
    """The same, also in strict mode."""
    output = check("pyright", "--pythonpath", sys.executable, str(USER), str(program), str(careless))
    assert wrong(output) == {"careless"}, output
