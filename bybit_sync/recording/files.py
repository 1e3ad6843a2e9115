"""The outputs of a recording: a file by its path, or an open text file of the user."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final, Protocol, TextIO

from bybit_sync.config.arguments import refuse, whole
from bybit_sync.errors import RecordingError
from bybit_sync.recording.format import BEGINNING, next_part, rotated_parts

__all__ = ["Output", "output_of"]

_BLOCK: Final = 65_536
# The permission bits of group and others.
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

# The open files of this process, by device and inode, and who writes there: two clients
# must not write to one file.
_taken: Final[dict[tuple[int, int], Output]] = {}


class Output(Protocol):
    """An output that lines are written to."""

    name: str
    warning: str
    """A warning from the last `open` for the user; "" for none."""

    def open(self) -> None:
        """Prepare for writing. Raises `OSError` from the system."""

    def write(self, lines: Sequence[str]) -> None:
        """Write *lines*."""

    def close(self) -> None:
        """Close the output, if `open` has opened it."""


def output_of(target: Any, rotate_bytes: int | None, keep_files: int | None = None) -> Output:
    """Return the output for *target*.

    Raises `ConfigurationError` when it cannot be written to.
    """
    if rotate_bytes is not None:
        whole(None, "rotate_bytes", rotate_bytes)
    if keep_files is not None:
        whole(None, "keep_files", keep_files)
        if rotate_bytes is None:
            raise refuse("keep_files", keep_files, "without rotate_bytes there is only one file")
    if isinstance(target, (str, os.PathLike)):
        return _File(_path(target), rotate_bytes, keep_files)
    if rotate_bytes is not None:
        raise refuse("rotate_bytes", rotate_bytes, "a file that is open cannot be renamed; give its path")
    return _Handle(_text_file(target))


def _path(target: str | os.PathLike[str]) -> Path:
    text = os.fspath(target)
    if not isinstance(text, str) or not text or "\0" in text or text.endswith(os.sep):
        raise refuse("record", target, "give the path of a file, as text")
    # Absolute now, because the process may change its working directory later.
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
    """An output to an open text file of the user."""

    def __init__(self, file: TextIO) -> None:
        self.name = str(getattr(file, "name", "a text file"))
        self.warning = ""
        self._file = file

    def open(self) -> None:
        """Do nothing: the file is open."""

    def write(self, lines: Sequence[str]) -> None:
        """Write *lines* and flush."""
        self._file.write("".join(lines))
        flush = getattr(self._file, "flush", None)
        if flush is not None:
            flush()

    def close(self) -> None:
        """Do nothing: the user closes the file."""


class _File:
    """An output to a file by its path.

    It is unbuffered, so that a killed or forked process holds no lines.
    """

    def __init__(self, path: Path, rotate_bytes: int | None, keep_files: int | None) -> None:
        self.name = str(path)
        self.warning = ""
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._keep_files = keep_files
        self._file: IO[bytes] | None = None
        self._place: tuple[int, int] | None = None
        self._is_regular = False
        self._size = 0

    def open(self) -> None:
        """Open the file for appending.

        Raises `OSError`, and `RecordingError` when it holds anything but a recording.
        """
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
        """Restrict an existing file to its owner.

        Raises `OSError` when this user is not the owner.
        """
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        self.warning = ""
        # On other systems the mode does not control access.
        if sys.platform != "win32" and mode & _OTHERS:
            os.fchmod(file.fileno(), mode & ~_OTHERS)
            self.warning = f"could be read by others (mode {mode:04o}): now by its owner only"

    def _take(self, status: os.stat_result) -> None:
        self._is_regular = stat.S_ISREG(status.st_mode)
        place = (status.st_dev, status.st_ino)
        if self._is_regular:
            # Atomic: of two threads that open the same file one gets it.
            if _taken.setdefault(place, self) is not self:
                raise RecordingError("another client of this process records there", path=self.name)
            self._place = place

    def _mended(self, file: IO[bytes]) -> int:
        """Cut off an incomplete last line, and return the size.

        Raises `RecordingError` for another kind of file, untouched.
        """
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
        """Write *lines*; rotate before a line that would make the file too large."""
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
        """Cut off an incomplete line after a failed write."""
        if self._is_regular and self._file is not None:
            self._file.truncate(self._size + whole_lines)

    def _rotate(self) -> None:
        self.close()
        self._path.rename(next_part(self._path))
        if self._keep_files is not None:
            # The file that is opened next counts, too.
            for old in rotated_parts(self._path)[: 1 - self._keep_files or None]:
                old.unlink()
        self.open()

    def close(self) -> None:
        """Close the file. Idempotent."""
        file, self._file = self._file, None
        place, self._place = self._place, None
        if place is not None:
            _taken.pop(place, None)
        if file is not None:  # pragma: no branch - it is closed twice when it cannot be opened after a rotation
            file.close()


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _end_of_last_line(file: IO[bytes], size: int) -> int:
    """Return the size of *file* up to the end of its last complete line."""
    end = size
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
