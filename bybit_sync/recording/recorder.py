"""Writing down every frame of a client, on a thread of its own: the socket never waits for a disk."""

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
from bybit_sync.session.config import Terms
from bybit_sync.session.messages import Request, write
from bybit_sync.threads.waiting import join

__all__ = ["Recorder"]

# What may wait for a disk that does not keep up, in characters of frames.
BACKLOG: Final = 64 * 2**20
# How long connecting waits to see whether the file can be opened: a wrong path is told to the caller.
_OPENING: Final = 1.0
# How soon it sees meanwhile that the client is closed.
_OPENING_SLICE: Final = 0.05


class Recorder:
    """A recording of one client: every frame that crosses its wire, as JSON Lines.

    Given as ``Client(record=Recorder(path))``; ``Client(record=path)`` is the same without options. `bybit_sync.replay` reads
    it again.

    A line is ``{"recv_ns": ..., "recv_utc": ..., "direction": "in" | "out" | "lost", "frame": ...}``: the moment on the
    monotonic clock (ns) and in UTC, whether the exchange or we sent it, and its text; "lost" tells why a connection ended.
    No key, secret or signature is in it: a login's line has the client's name and environment instead. Account numbers and the
    ids of pushes become others, the same everywhere in one recording; nothing else of a frame is touched.

    The file is opened when the client first connects: made for its owner only (mode 0600), appended to when there is one. A
    line that a kill left incomplete is cut off then. What is written is on its way to the disk within a second. A disk that is
    full or does not keep up ends the recording with one ERROR in the log, and `error`; the streams go on.

    Args:
        target: The path of a file, or a text file that is open; that one is flushed and never closed.
        rotate_bytes: When the file would become larger than this, it is renamed: first to ``path.1``, then to ``path.2`` and
            so on, the highest number being the newest; nothing is ever deleted. None (the default) for one file.

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

    def __init__(self, target: str | os.PathLike[str] | TextIO, *, rotate_bytes: int | None = None) -> None:
        self.error: BaseException | None = None
        """Why it has ended; None while it has not."""
        self._pen = LineWriter(output_of(target, rotate_bytes))
        self._terms: Terms | None = None
        self._stand_in: _StandIn | None = None
        self._shift: WriterThread | None = None
        self._is_connected = False
        self._ending = threading.Lock()

    def __repr__(self) -> str:
        """Return where it writes and how much it did."""
        return f"<Recorder {self._pen.sheet.name}: {self.frames} frames{', ended' if self.error is not None else ''}>"

    @property
    def frames(self) -> int:
        """How many lines were written."""
        return self._pen.lines

    @property
    def bytes(self) -> int:
        """How many bytes those have, in all files."""
        return self._pen.bytes

    # --- the client ---

    @classmethod
    def find(cls, value: Recorder | str | os.PathLike[str] | TextIO | None) -> Recorder | None:
        """Return the recorder that *value* is, or one that writes there."""
        return value if value is None or isinstance(value, Recorder) else cls(value)

    def serve(self, terms: Terms) -> None:
        """Belong to the client with *terms* from now on. Raises `ConfigurationError` when it belongs to another one."""
        if self._terms is not None:
            raise ConfigurationError(f"record: this Recorder belongs to {self._terms.client}; make one for each client")
        self._terms = terms
        # Whose login it was stands where the key did, and where it was tried where the signature did.
        self._stand_in = _StandIn(terms.client, terms.environment)

    # --- only the connection thread ---

    def begin(self, check: Callable[[], None]) -> None:
        """Open the file, unless it is. Raises `ConfigurationError` when it cannot be, and what *check* raises."""
        if self.error is not None or (self._shift is not None and not self._shift.is_over):
            return
        assert self._terms is not None
        shift = self._shift = WriterThread(self._pen, f"{self._terms.client}-recorder", self._shift, self._give_up)
        try:
            shift.thread.start()
        except RuntimeError as error:  # no thread is to be had
            self._shift = None
            self._give_up(error)
            return
        self._wait_opened(shift, check)
        if shift.refused is not None:
            raise ConfigurationError(
                f"record: {self._pen.sheet.name} cannot be opened: {describe(shift.refused)}. Give another path"
            )

    def _wait_opened(self, shift: WriterThread, check: Callable[[], None]) -> None:
        # A disk that takes longer is not waited for: what comes meanwhile waits for it.
        until = time.monotonic() + _OPENING
        while not shift.opened.wait(_OPENING_SLICE) and not shift.is_late:
            check()
            shift.is_late = time.monotonic() >= until
        if self._pen.sheet.warning:
            assert self._terms is not None
            self._terms.log.warning("the recording %s %s", self._pen.sheet.name, self._pen.sheet.warning)

    def received(self, frame: builtins.bytes, now: Moment) -> None:
        """Write down what the exchange sent."""
        assert self._terms is not None
        # At once: it may echo a login, and the next login has another signature.
        self._put(Direction.IN, self._terms.redact(frame.decode(errors="surrogateescape")), now)

    def sent(self, request: Request, now: Moment) -> None:
        """Write down what we sent."""
        assert self._stand_in is not None
        self._put(Direction.OUT, write(request, self._stand_in), now)

    def lost(self, reason: str) -> None:
        """Write down why the connection ended."""
        self._put(Direction.LOST, reason, Moment.now())
        self._is_connected = False

    def left(self) -> None:
        """Write down that the client ended the connection, unless it was lost."""
        if self._is_connected:
            self.lost("the client closed the connection")

    def finish(self) -> None:
        """Have the rest written and the file closed. Waits for nothing; `begin` goes on with it."""
        if self._shift is not None:
            self._shift.end()

    def _put(self, direction: Direction, text: str, now: Moment) -> None:
        shift = self._shift
        if shift is None or self.error is not None:
            return
        self._is_connected = True
        if shift.put(Line(now, direction, text)) > BACKLOG:
            self._give_up(TimeoutError(f"the disk does not keep up: {BACKLOG >> 20} MiB wait for it"))
            shift.end(discard=True)

    # --- any thread ---

    def wait_written(self, deadline: float) -> bool:
        """Wait until all is written after `finish`; False when *deadline* passes first."""
        shift = self._shift
        if shift is not None:
            join(shift.thread, deadline)
        return shift is None or not shift.thread.is_alive()

    def _give_up(self, error: BaseException) -> None:
        """End the recording because of *error*, and say so once."""
        with self._ending:
            if self.error is not None:
                return
            # Without its frames, which hold what was to be written.
            self.error = error.with_traceback(None)
        assert self._terms is not None
        remedy = "the streams go on. Make room or give another path, then a new client records again"
        self._terms.log.error("the recording to %s has ended: %s; %s", self._pen.sheet.name, error, remedy)


class _StandIn(NamedTuple):
    """Writes logins without credentials."""

    client: str
    environment: str

    def login(self, message: dict[str, object], expires: object) -> str:
        """Return *message* completed to a login as it is recorded."""
        return json.dumps({**message, "args": [self.client, expires, self.environment]})
