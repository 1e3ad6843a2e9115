"""A process that is asked questions, one JSON text a line each way."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 120.0
"""How many seconds an answer may take before the process is called hung."""


class Process:
    """A module of this package that runs by itself and answers."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._name = " ".join((module, *arguments))
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        self._ahead = b""

    def __enter__(self) -> Process:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def tell(self, **command: Any) -> None:
        """Send *command*."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Return the next answer; raises RuntimeError when there is none, or when it says what went wrong."""
        answer: dict[str, Any] = json.loads(self._line())
        if "error" in answer:
            raise RuntimeError(f"{self._name}: {answer['error']}")
        return answer

    def ask(self, **command: Any) -> dict[str, Any]:
        """Return the answer to *command*."""
        self.tell(**command)
        return self.hear()

    def _line(self) -> bytes:
        assert self._process.stdout
        deadline = time.monotonic() + PATIENCE
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._ahead:
                if not selector.select(deadline - time.monotonic()):
                    raise RuntimeError(f"{self._name}: no answer within {PATIENCE:.0f} s")
                data = os.read(self._process.stdout.fileno(), 65536)
                if not data:
                    raise RuntimeError(f"{self._name}: it ended with {self._process.wait()}")
                self._ahead += data
        line, _, self._ahead = self._ahead.partition(b"\n")
        return line


def own_output() -> TextIO:
    """Return standard output for answers alone: what anybody prints goes to standard error from now on."""
    mine = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return mine


def serve(output: TextIO, commands: dict[str, Callable[..., dict[str, Any] | None]]) -> None:
    """Carry out commands from standard input until it ends, and answer each on *output* with what it returns."""
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = commands[asked.pop("do")](**asked)
        except Exception as error:  # noqa: BLE001 - whoever asked is to be told
            answer = {"error": f"{type(error).__name__}: {error}"}
        output.write(json.dumps(answer or {}) + "\n")
