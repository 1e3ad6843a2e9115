"""Writing down every frame of a client, on a thread of its own: the socket never waits for a disk."""

from __future__ import annotations

import builtins
import io
import json
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, Protocol, TextIO

from bybit_sync.clock import Moment
from bybit_sync.config.arguments import refuse, whole
from bybit_sync.errors import ConfigurationError, RecordingError, describe
from bybit_sync.recorded import BEGINNING, Direction, Line, next_part, print_line
from bybit_sync.scrubbing import Scrubber
from bybit_sync.session.config import Terms
from bybit_sync.session.messages import Request, write
from bybit_sync.threads.waiting import join

__all__ = ["Recorder"]

# A kill loses what came within this; a frame that comes alone is not written alone.
GATHER: Final = 0.25
# What may wait for a disk that does not keep up, in characters of frames.
BACKLOG: Final = 64 * 2**20
_LINES_AT_ONCE: Final = 1000
# How long connecting waits to see whether the file can be opened: a wrong path is told to the caller.
_OPENING: Final = 1.0
# How soon it sees meanwhile that the client is closed.
_OPENING_SLICE: Final = 0.05
_BLOCK: Final = 65_536
# What others than its owner may do with a file.
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

# The files that this process records to, by device and number: two clients in one file could not be told apart.
_taken: Final[set[tuple[int, int]]] = set()


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
        self._pen = _Pen(_sheet(target, rotate_bytes))
        self._terms: Terms | None = None
        self._stand_in: _StandIn | None = None
        self._shift: _Shift | None = None
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
        shift = self._shift = _Shift(self._pen, f"{self._terms.client}-recorder", self._shift, self._give_up)
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

    def _wait_opened(self, shift: _Shift, check: Callable[[], None]) -> None:
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


class _Pen:
    """Writes lines on a sheet, scrubbed. Only one shift's thread at a time; others may look at the counts."""

    def __init__(self, sheet: _Sheet) -> None:
        self.sheet = sheet
        self.lines: int = 0
        self.bytes: int = 0
        self._scrubber = Scrubber(os.urandom(16))

    def write(self, lines: Sequence[Line]) -> None:
        """Write *lines*."""
        texts = [print_line(self._scrubbed(line)) for line in lines]
        self.sheet.write(texts)
        self.lines += len(texts)
        self.bytes += sum(map(len, texts))

    def _scrubbed(self, line: Line) -> Line:
        scrub = self._scrubber.scrub_words if line.direction is Direction.LOST else self._scrubber.scrub
        return line._replace(frame=scrub(line.frame))


class _Shift:
    """The thread that writes from one opening of the file to its closing, and what waits for it."""

    def __init__(self, pen: _Pen, name: str, before: _Shift | None, failed: Callable[[BaseException], None]) -> None:
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.opened = threading.Event()
        """Set when it is known whether the file can be opened."""
        self.refused: BaseException | None = None
        """Why it cannot."""
        self.is_late: bool = False
        """Whether nobody waits any more to be told so."""
        self._pen = pen
        self._before = before
        self._failed = failed
        self._lines: deque[Line] = deque()
        # Each is changed by one thread only, and only grows.
        self._put = self._taken = 0
        self._rung = threading.Event()
        self._ending = threading.Event()
        self._discards = False

    @property
    def is_over(self) -> bool:
        """Say whether it takes nothing more."""
        return self._ending.is_set() or self.refused is not None

    def put(self, line: Line) -> int:
        """Take *line*, and return how many characters wait to be written."""
        self._put += len(line.frame)
        self._lines.append(line)
        # After the line: the thread forgets the ring before it looks.
        if not self._rung.is_set():
            self._rung.set()
        return self._put - self._taken

    def end(self, *, discard: bool = False) -> None:
        """Take nothing more and end, when what waits is written or, with *discard*, at once."""
        self._discards = self._discards or discard
        self._ending.set()
        self._rung.set()

    def _run(self) -> None:
        try:
            if self._before is not None:
                self._before.thread.join()
                self._before = None
            self._pen.sheet.open()
        except BaseException as error:  # noqa: BLE001 - told by `begin`
            self.refused = error
            if self.is_late:
                self._failed(error)
            return
        finally:
            self.opened.set()
        try:
            self._write_all()
        except BaseException as error:  # noqa: BLE001 - never a silently dead thread
            self._failed(error)
        finally:
            self._lines.clear()
            self._pen.sheet.close()

    def _write_all(self) -> None:
        over = False
        while not over:
            self._rung.wait()
            self._ending.wait(GATHER)
            over = self._ending.is_set()
            self._rung.clear()
            while self._lines and not self._discards:
                self._write_some()

    def _write_some(self) -> None:
        lines = [self._lines.popleft() for _ in range(min(len(self._lines), _LINES_AT_ONCE))]
        self._pen.write(lines)
        self._taken += sum(len(line.frame) for line in lines)


# --- where it is written ---


class _Sheet(Protocol):
    """Something to write lines on."""

    name: str
    warning: str
    """What its owner should know since it was opened last; "" for nothing."""

    def open(self) -> None: ...
    def write(self, lines: Sequence[str]) -> None: ...
    def close(self) -> None: ...


def _sheet(target: Any, rotate_bytes: int | None) -> _Sheet:
    if rotate_bytes is not None:
        whole(None, "rotate_bytes", rotate_bytes)
    if isinstance(target, (str, os.PathLike)):
        return _File(_path(target), rotate_bytes)
    if rotate_bytes is not None:
        raise refuse("rotate_bytes", rotate_bytes, "a file that is open cannot be renamed; give its path")
    return _Handle(_text_file(target))


def _path(target: str | os.PathLike[str]) -> Path:
    text = os.fspath(target)
    if not isinstance(text, str) or not text or "\0" in text or text.endswith(os.sep):
        raise refuse("record", target, "give the path of a file, as text")
    # What the process does with its working directory later is its own affair.
    return Path(os.path.abspath(text))  # noqa: PTH100 - Path.absolute would keep the dots


def _text_file(target: Any) -> TextIO:
    if not callable(getattr(target, "write", None)):
        raise refuse("record", target, "give a path, a text file that is open, or a Recorder")
    if isinstance(target, (io.RawIOBase, io.BufferedIOBase)):
        raise refuse("record", target, "it takes bytes; open it as text, or give its path")
    if getattr(target, "closed", False) or not getattr(target, "writable", lambda: True)():
        raise refuse("record", target, "nothing can be written to it; open it for writing, or give its path")
    return target  # type: ignore[no-any-return]


class _Handle:
    """A text file of the user's."""

    def __init__(self, file: TextIO) -> None:
        self.name = str(getattr(file, "name", "a text file"))
        self.warning = ""
        self._file = file

    def open(self) -> None:
        """Leave it as it is."""

    def write(self, lines: Sequence[str]) -> None:
        """Write *lines* and flush."""
        self._file.write("".join(lines))
        flush = getattr(self._file, "flush", None)
        if flush is not None:
            flush()

    def close(self) -> None:
        """Leave it open."""


class _File:
    """A file of ours, unbuffered, so that neither a kill nor a fork finds lines in this process."""

    def __init__(self, path: Path, rotate_bytes: int | None) -> None:
        self.name = str(path)
        self.warning = ""
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._file: IO[bytes] | None = None
        self._place: tuple[int, int] | None = None
        self._is_regular = False
        self._size = 0

    def open(self) -> None:
        """Open it to append to it. Raises what the system says, and `RecordingError` when it holds something else."""
        self._file = open(self._path, "a+b", buffering=0, opener=_for_its_owner)  # noqa: SIM115 - Path has no opener
        try:
            self._take(os.fstat(self._file.fileno()))
            if self._is_regular:
                self._size = self._mended(self._file)
                self._close_to_others(self._file)
        except BaseException:
            self.close()
            raise

    def _close_to_others(self, file: IO[bytes]) -> None:
        """Leave an older file to its owner alone. Raises what the system says when it is not ours."""
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        self.warning = ""
        # Elsewhere the mode says nothing of who may read it.
        if os.name == "posix" and mode & _OTHERS:
            os.fchmod(file.fileno(), mode & ~_OTHERS)
            self.warning = f"could be read by others (mode {mode:04o}): now by its owner only"

    def _take(self, status: os.stat_result) -> None:
        self._is_regular = stat.S_ISREG(status.st_mode)
        place = (status.st_dev, status.st_ino)
        if self._is_regular:
            if place in _taken:
                raise RecordingError("another client of this process records there", path=self.name)
            _taken.add(place)
            self._place = place

    def _mended(self, file: IO[bytes]) -> int:
        """Cut off what a kill left of a line, and return the size; never touch what is no recording."""
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        beginning = file.read(len(BEGINNING))
        if not BEGINNING.startswith(beginning[: len(BEGINNING)]):
            raise RecordingError("it holds something else than a recording", path=self.name)
        whole_lines = _end_of_last_line(file, size)
        if whole_lines < size:
            file.truncate(whole_lines)
        return whole_lines

    def write(self, lines: Sequence[str]) -> None:
        """Write *lines*; begin a new file wherever this one would grow too large."""
        batch: list[str] = []
        size = self._size
        for line in lines:
            if self._rotate_bytes is not None and self._is_regular and size and size + len(line) > self._rotate_bytes:
                self._append(batch)
                self._rotate()
                batch, size = [], 0
            batch.append(line)
            size += len(line)
        self._append(batch)

    def _append(self, lines: Sequence[str]) -> None:
        assert self._file is not None
        data = memoryview("".join(lines).encode("ascii"))
        written = 0
        try:
            while written < len(data):
                written += self._file.write(data[written:]) or 0
        except OSError:
            self._cut(bytes(data[:written]).rfind(b"\n") + 1)
            raise
        self._size += written

    def _cut(self, whole_lines: int) -> None:
        """Leave no half a line at the end: the disk is full."""
        if self._is_regular and self._file is not None:
            self._file.truncate(self._size + whole_lines)

    def _rotate(self) -> None:
        self.close()
        self._path.rename(next_part(self._path))
        self.open()

    def close(self) -> None:
        """Close it."""
        file, self._file = self._file, None
        place, self._place = self._place, None
        if place is not None:
            _taken.discard(place)
        if file is not None:  # pragma: no branch - it is closed twice when it cannot be opened after a rotation
            file.close()


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _end_of_last_line(file: IO[bytes], size: int) -> int:
    """Return the size of *file* without what follows its last line."""
    end = size
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
