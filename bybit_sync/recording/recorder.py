"""The recorder of a client's frames.

It writes on a thread of its own, so that reading the socket never waits for a disk.
"""

from __future__ import annotations

import builtins
import json
import os
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple, TextIO

from bybit_sync.clock import Moment
from bybit_sync.errors import ConfigurationError, describe
from bybit_sync.recording.files import output_of
from bybit_sync.recording.format import Direction, Line
from bybit_sync.recording.writer import LineWriter, WriterThread
from bybit_sync.session.config import SessionConfig
from bybit_sync.session.messages import Request, write
from bybit_sync.threads.waiting import join

__all__ = ["Recorder"]

# The most characters of frames that may be buffered when the disk is too slow.
BACKLOG: Final = 64 * 2**20
# The seconds that connecting waits until the file is open, so that the caller gets the
# error for a wrong path.
_OPENING: Final = 1.0
# The interval in seconds at which that wait checks whether the client is closed.
_OPENING_SLICE: Final = 0.05


class Recorder:
    """A recording of one client: every frame of its connections, as JSON Lines.

    Given as ``Client(record=Recorder(path))``; ``Client(record=path)`` is the same
    without options. `bybit_sync.replay` reads it again.

    A line is ``{"recv_ns": ..., "recv_utc": ..., "direction": "in" | "out" | "lost",
    "frame": ...}``: the moment on the monotonic clock (ns) and in UTC, whether the
    exchange or the client sent it, and its text; "lost" gives the reason why a
    connection ended. No key, secret or signature is in it: the line of a login has the
    client's name and environment instead. Account numbers and the ids of pushes are
    replaced by others, the same everywhere in one recording; the rest of a frame stays
    unchanged.

    The file is opened when the client first connects. A new one is readable for its
    owner only (mode 0600); an existing one is appended to, after an incomplete last
    line, which a kill may leave, is cut off. A line is written within a second. A disk
    that is full or too slow ends the recording with one ERROR in the log and sets
    `error`; the streams go on.

    Args:
        target: The path of a file, or an open text file, which is flushed and never
            closed.
        rotate_bytes: A file that would become larger is renamed: first to ``path.1``,
            then to ``path.2`` and so on, so that the highest number is the newest;
            nothing is deleted. gzip may pack them (``path.1.gz``). None (the default)
            for one file.
        keep_files: The number of files that are kept at a rotation, the newest ones;
            older ones are deleted. None (the default) for all.

    Raises:
        ConfigurationError: an argument cannot work. The disk is not touched yet.

    Example:
        >>> import io, json
        >>> file = io.StringIO()  # or a path
        >>> recorder = Recorder(file)
        >>> with Client("KEY", "SECRET", environment=exchange.url, record=recorder) as client:
        ...     balances = client.subscribe_balances()
        >>> first = json.loads(file.getvalue().splitlines()[0])
        >>> first["direction"], json.loads(first["frame"])["op"], "SECRET" in file.getvalue()
        ('out', 'auth', False)
        >>> recorder.frames == len(file.getvalue().splitlines()), recorder.error
        (True, None)

    """

    def __init__(
        self, target: str | os.PathLike[str] | TextIO, *, rotate_bytes: int | None = None, keep_files: int | None = None
    ) -> None:
        self.error: BaseException | None = None
        """The error that ended the recording; None while it goes on."""
        self._writer = LineWriter(output_of(target, rotate_bytes, keep_files))
        self._config: SessionConfig | None = None
        self._placeholder: _LoginPlaceholder | None = None
        self._worker: WriterThread | None = None
        self._is_connected = False
        self._end_lock = threading.Lock()

    def __repr__(self) -> str:
        """Return the name of the file and the number of frames written."""
        return f"<Recorder {self._writer.output.name}: {self.frames} frames{', ended' if self.error is not None else ''}>"

    @property
    def frames(self) -> int:
        """The number of lines that were written."""
        return self._writer.lines

    @property
    def bytes(self) -> int:
        """The number of bytes that were written, over all files."""
        return self._writer.bytes

    def check(self) -> None:
        """Open the file and close it again: a recording can go there.

        Raises `OSError` from the system, and `RecordingError` when the file holds
        something else.
        """
        try:
            self._writer.output.open()
        finally:
            self._writer.output.close()

    # --- the client ---

    @classmethod
    def find(cls, value: Recorder | str | os.PathLike[str] | TextIO | None) -> Recorder | None:
        """Return *value* if it is a recorder or None, else a new recorder for it."""
        return value if value is None or isinstance(value, Recorder) else cls(value)

    def attach(self, config: SessionConfig) -> None:
        """Record the client with *config* from now on.

        Raises `ConfigurationError` when the recorder already has a client.
        """
        if self._config is not None:
            raise ConfigurationError(f"record: this Recorder belongs to {self._config.client}; make one for each client")
        self._config = config
        # The line of a login has the client's name in place of the key, and its
        # environment in place of the signature.
        self._placeholder = _LoginPlaceholder(config.client, config.environment)

    # --- only the connection thread ---

    def begin(self, check: Callable[[], None]) -> None:
        """Open the file, unless it is open.

        Raises `ConfigurationError` when that fails, and the errors of *check*.
        """
        if self.error is not None or (self._worker is not None and not self._worker.is_over):
            return
        assert self._config is not None
        worker = self._worker = WriterThread(self._writer, f"{self._config.client}-recorder", self._worker, self._end)
        try:
            worker.thread.start()
        except RuntimeError as error:  # the system cannot start a thread now
            self._worker = None
            self._end(error)
            return
        self._wait_opened(worker, check)
        if worker.refused is not None:
            raise ConfigurationError(
                f"record: {self._writer.output.name} cannot be opened: {describe(worker.refused)}. Give another path"
            )

    def _wait_opened(self, worker: WriterThread, check: Callable[[], None]) -> None:
        # A slow disk must not delay the login for long: frames that arrive before the
        # file is open are buffered.
        until = time.monotonic() + _OPENING
        while not worker.opened.wait(_OPENING_SLICE) and not worker.is_late:
            check()
            worker.is_late = time.monotonic() >= until
        if self._writer.output.warning:
            assert self._config is not None
            self._config.log.warning("the recording %s %s", self._writer.output.name, self._writer.output.warning)

    def received(self, frame: builtins.bytes, now: Moment) -> None:
        """Record *frame*, which the exchange sent and which was read at *now*."""
        assert self._config is not None
        # Redact now: the frame may repeat a login, and the next login replaces the
        # signature that is redacted.
        self._put(Direction.IN, self._config.redact(frame.decode(errors="surrogateescape")), now)

    def sent(self, request: Request, now: Moment) -> None:
        """Record *request*, which the client sent at *now*."""
        assert self._placeholder is not None
        self._put(Direction.OUT, write(request, self._placeholder), now)

    def lost(self, reason: str) -> None:
        """Record that the connection ended, and the *reason*."""
        self._put(Direction.LOST, reason, Moment.now())
        self._is_connected = False

    def closed_by_client(self) -> None:
        """Record that the client closed the connection, unless it was lost before."""
        if self._is_connected:
            self.lost("the client closed the connection")

    def finish(self) -> None:
        """Have the thread write the buffered lines and close the file.

        Does not wait; `begin` opens the file again.
        """
        if self._worker is not None:
            self._worker.end()

    def _put(self, direction: Direction, text: str, now: Moment) -> None:
        worker = self._worker
        if worker is None or self.error is not None:
            return
        self._is_connected = True
        if worker.put(Line(now, direction, text)) > BACKLOG:
            self._end(TimeoutError(f"the disk does not keep up: {BACKLOG >> 20} MiB wait for it"))
            worker.end(discard=True)

    # --- any thread ---

    def wait_written(self, deadline: float) -> bool:
        """Wait until every line is written, after `finish`.

        Returns False when *deadline*, on the monotonic clock, passes first.
        """
        worker = self._worker
        if worker is not None:
            join(worker.thread, deadline)
        return worker is None or not worker.thread.is_alive()

    def _end(self, error: BaseException) -> None:
        """End the recording with *error*, and log that once."""
        with self._end_lock:
            if self.error is not None:
                return
            # Without its traceback: the locals of its frames hold the lines to be
            # written.
            self.error = error.with_traceback(None)
        assert self._config is not None
        remedy = "the streams go on. Make room or give another path, then a new client records again"
        self._config.log.error("the recording to %s has ended: %s; %s", self._writer.output.name, error, remedy)


class _LoginPlaceholder(NamedTuple):
    """A signer that writes the client's name and environment into a login.

    They stand in place of key and signature.
    """

    client: str
    environment: str

    def login(self, message: dict[str, object], expires: object) -> str:
        """Return *message* as JSON with the arguments of a recorded login."""
        return json.dumps({**message, "args": [self.client, expires, self.environment]})
