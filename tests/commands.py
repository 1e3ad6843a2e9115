"""The command line: called here, as processes of their own with pipes, and in a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from bybit_sync.cli import main
from bybit_sync.cli.views import View, follow
from bybit_sync.model.events import AnyEvent

ROOT = Path(__file__).parent.parent
# Nothing of whoever runs the tests: neither a key nor the size of a terminal.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("BYBIT_") and name not in ("COLUMNS", "LINES")},
    "PYTHONPATH": str(ROOT),
    "TERM": "xterm",
    # As in a usual terminal, whatever the one of the tests is.
    "PYTHONIOENCODING": "utf-8",
}
PATIENCE = 60.0
HOME, ALTERNATE_ON, ALTERNATE_OFF = "\x1b[H", "\x1b[?1049h", "\x1b[?1049l"
CURSOR_OFF, CURSOR_ON = "\x1b[?25l", "\x1b[?25h"
_STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# The terminal becomes the process's own, as a shell makes it.
_IN_TERMINAL = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
# As a shell runs a job: its own group in the foreground; when it is stopped, the shell says so and waits for a line.
_SHELL = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if not job:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    status = os.waitpid(job, os.WUNTRACED)[1]
    os.tcsetpgrp(0, os.getpgrp())
    if not os.WIFSTOPPED(status):
        sys.exit(os.waitstatus_to_exitcode(status))
    print("stopped", flush=True)
    input()
    os.tcsetpgrp(0, job)
    os.killpg(job, signal.SIGCONT)
"""


def command(*arguments: str) -> list[str]:
    """Return the command line of ``bybit-sync``."""
    return [sys.executable, "-W", "error", "-m", "bybit_sync", *arguments]


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start the command, with pipes unless *options* say otherwise."""
    piped: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "env": ENVIRONMENT,
    }
    return subprocess.Popen(command(*arguments), **{**piped, **options})


def run(*arguments: str, **options: Any) -> tuple[int, str, str]:
    """Run the command to its end: exit code, output, errors."""
    process = start(*arguments, **options)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def call(*arguments: str, env: Mapping[str, str] = ENVIRONMENT, stdin: str = os.devnull) -> tuple[int, str, str]:
    """Run the command in this process, *stdin* being a file: exit code, output, errors.

    A process of its own costs a third of a second, and shows more only of signals, pipes and imports.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    with (
        mock.patch.dict(os.environ, env, clear=True),
        Path(stdin).open(encoding="utf-8") as given,
        mock.patch.object(sys, "stdin", given),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = main(arguments)
        except SystemExit as exited:
            code = int(exited.code or 0)
    return code, *(_written(stream) for stream in (out, err))


def call_until(seen: Callable[[AnyEvent], bool], command: str, *arguments: str) -> tuple[int, str, str]:
    """Run *command* on a simulated account until it has shown an event that *seen* is true of, and the last pushes."""

    def follow_until(inbox: Any, view: View, enough: Any, *, deadline: float | None = None, **options: Any) -> None:
        shown = _Shown(view, seen)
        follow(inbox, shown, lambda: shown.enough if deadline is None else enough(), deadline=deadline, **options)

    module = f"bybit_sync.cli.{'watch' if command == 'demo' else command}"
    with mock.patch(f"{module}.follow", follow_until), mock.patch("bybit_sync.cli.watch._AFTERGLOW", 1.0):
        return call(command, *arguments)


class _Shown:
    """A view that notices one of the events."""

    def __init__(self, view: View, seen: Callable[[AnyEvent], bool]) -> None:
        self._view, self._seen = view, seen
        self.enough = False
        self.tick = view.tick

    def show(self, event: AnyEvent) -> None:
        self._view.show(event)
        self.enough = self.enough or self._seen(event)


def has_order(status: str) -> Callable[[AnyEvent], bool]:
    """Return a function that is true of events with an order of this *status*."""
    return lambda event: any(getattr(row, "order_status", None) == status for row in event.data)


def _written(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


class Terminal:
    """The command in a terminal of its own, of 80 columns by 24 lines at first."""

    def __init__(self, *arguments: str, env: dict[str, str] = ENVIRONMENT, shell: bool = False) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(80, 24)
        self.before = termios.tcgetattr(self._ours)
        shelled = [sys.executable, "-I", "-S", "-c", _SHELL] if shell else []
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _IN_TERMINAL, *shelled, *command(*arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=env,
        )
        # Kept open: the modes of a terminal can be asked for as long as it is one.
        self._theirs = theirs
        self.shown = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self.hang_up()

    def resize(self, columns: int, lines: int) -> None:
        """Become *columns* by *lines*; the kernel sends SIGWINCH."""
        self.columns, self.lines = columns, lines
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: str) -> None:
        """Press *keys*."""
        os.write(self._ours, keys.encode())

    def wait_for(self, text: str, since: int = 0) -> None:
        """Wait until *text* was shown behind the first *since* characters, and something at all."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown[since:] or len(self.shown) <= since:
            assert time.monotonic() < deadline, f"{text!r} is not in {self.shown[since:]!r}"
            assert self._read(0.1) or self.process.poll() is None, self.shown

    def picture(self, text: str) -> list[str]:
        """Wait for a whole picture with *text* in it, be it the present one, and return its lines."""
        since = max(0, self.shown.rfind(HOME))
        self.wait_for(text, since)
        while (lines := self._whole(text, since)) is None:
            # Its last line, or the beginning of the next one, is still to come.
            self.wait_for("", len(self.shown))
        return lines

    def _whole(self, text: str, since: int) -> list[str] | None:
        *earlier, last = self.shown[since:].split(HOME)
        found = [_lines(picture) for picture in earlier if text in picture]
        present = _lines(last)
        is_whole = text in last and len(present) == self.lines and len(present[-1]) == self.columns
        return found[-1] if found and not is_whole else present if is_whole else None

    def end(self) -> int:
        """Wait for the end of the process, and return its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.shown
            self._read(0.1)
        while self._read(0.0):
            pass
        return self.process.returncode

    @property
    def is_restored(self) -> bool:
        """Whether it is as it was: the picture gone, the cursor there, the keyboard as before."""
        pairs = ((ALTERNATE_ON, ALTERNATE_OFF), (CURSOR_OFF, CURSOR_ON))
        visible = all(self.shown.rfind(off) <= self.shown.rfind(on) for off, on in pairs)
        return visible and termios.tcgetattr(self._theirs) == self.before

    def hang_up(self) -> None:
        """Close the terminal, as when a connection is lost."""
        for end in (self._ours, self._theirs):
            with contextlib.suppress(OSError):
                os.close(end)
        self._ours = self._theirs = -1

    def _read(self, patience: float) -> bool:
        if not select.select([self._ours], [], [], patience)[0]:
            return False
        try:
            self.shown += os.read(self._ours, 65536).decode(errors="replace")
        except OSError:
            return False
        return True


def _lines(picture: str) -> list[str]:
    """Return what a person sees of *picture*."""
    return [_STYLES.sub("", line).rstrip("\r") for line in picture.split("\n")]


def interrupt(process: subprocess.Popen[str], signum: int = signal.SIGINT) -> tuple[int, str, str]:
    """Send *signum* and return how it ended."""
    process.send_signal(signum)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def leave(process: subprocess.Popen[str]) -> None:
    """Read one line of *process* and go, as ``head -n 1`` does: it ends well, and complains of nothing."""
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(PATIENCE) == 0
