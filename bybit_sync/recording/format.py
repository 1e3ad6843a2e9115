"""The format of a recording: JSON Lines, one frame per line. No other file knows it.

A line is ``{"recv_ns", "recv_utc", "direction", "frame"}``: the moment on the monotonic
clock and on the wall clock, the direction of the frame, and its text.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from enum import Enum
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, NamedTuple

from bybit_sync.clock import Moment
from bybit_sync.errors import RecordingError

__all__ = [
    "BEGINNING",
    "Direction",
    "Line",
    "Source",
    "next_part",
    "parts",
    "print_line",
    "read_recording",
    "rotated_parts",
    "unpacked",
]

Source = str | os.PathLike[str] | Iterable[str]
"""A recording: the path of its file, or its lines, such as an open file."""

BEGINNING: Final = b'{"recv_ns": '
"""The first bytes of every line."""

# The ends of the names of files that are packed, and not read.
_OTHER_PACKERS: Final = r"\.bz2|\.xz|\.zst|\.lz4"


class Direction(Enum):
    """The direction of a frame."""

    IN = "in"
    """The exchange sent it."""
    OUT = "out"
    """The client sent it."""
    LOST = "lost"
    """No frame: the connection ended, and the text is the reason."""


class Line(NamedTuple):
    """A line of a recording.

    Bytes of the frame that are not UTF-8 become lone surrogates (``surrogateescape``).
    """

    moment: Moment
    direction: Direction
    frame: str


# --- one line ---


def print_line(line: Line) -> str:
    """Return *line* as text of the file, in ASCII, with its line break."""
    moment, direction, frame = line
    ns, when = moment.ns, moment.utc.replace(tzinfo=None).isoformat(timespec="microseconds")
    way, text = direction.value, json.dumps(frame)
    return f'{{"recv_ns": {ns}, "recv_utc": "{when}Z", "direction": "{way}", "frame": {text}}}\n'


def _read_line(text: str | bytes) -> Line:
    """Parse *text*.

    Raises `ValueError` with the reason, which quotes no part of the text.
    """
    try:
        says = json.loads(text)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: wrong at character {error.pos}") from None
    except (ValueError, RecursionError):
        raise ValueError("not JSON that can be read") from None
    if not isinstance(says, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - the line is wrong, not our caller's type
    return Line(Moment(_ns(says), _utc(says)), _direction(says), _frame(says))


def _ns(says: dict[str, Any]) -> int:
    ns = says.get("recv_ns")
    # The range of the system's clock.
    if type(ns) is not int or not 0 <= ns < 2**63:
        raise ValueError("recv_ns has to be a whole number of nanoseconds, from 0 up")
    return ns


def _utc(says: dict[str, Any]) -> datetime:
    utc = says.get("recv_utc")
    try:
        if isinstance(utc, str) and utc.endswith("Z"):
            return datetime.fromisoformat(utc[:-1]).replace(tzinfo=timezone.utc)
    except ValueError:
        pass
    raise ValueError("recv_utc has to be a time such as 2026-01-31T12:00:00.000000Z")


def _direction(says: dict[str, Any]) -> Direction:
    try:
        return Direction(says.get("direction"))
    except ValueError:
        raise ValueError(f"direction has to be one of {', '.join(way.value for way in Direction)}") from None


def _frame(says: dict[str, Any]) -> str:
    frame = says.get("frame")
    try:
        if isinstance(frame, str):
            frame.encode(errors="surrogateescape")
            return frame
    except UnicodeEncodeError:
        pass
    raise ValueError("frame has to be a text")


# --- all lines ---


def read_recording(source: Source) -> Iterator[Line]:
    """Yield the lines of *source*.

    A path also stands for its rotated files, the oldest first. Raises `RecordingError`
    at the first damaged line and at a file of another packer than gzip, after yielding
    all lines before it; and `OSError` from opening a file.
    """
    if not isinstance(source, (str, os.PathLike)):
        yield from _lines(source, "")
        return
    for path in parts(Path(source)):
        if re.fullmatch(_OTHER_PACKERS, path.suffix):
            raise RecordingError(
                f"{path} is not packed by gzip: unpack it. All that stands before it was given", path=str(path)
            )
        with path.open("rb") as file:
            yield from _lines(unpacked(file), str(path))


def unpacked(file: BufferedReader) -> Iterable[bytes]:
    """Return the lines of *file*, unpacked if it is gzip's."""
    return gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == b"\x1f\x8b" else file


def _lines(source: Iterable[str | bytes], path: str) -> Iterator[Line]:
    number, text = 1, None
    lines = iter(source)
    while True:
        try:
            text = next(lines, None)
            line = _read_line(text) if text is not None else None
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise _damaged(path, number, f"gzip: {error}", breaks_off=isinstance(error, EOFError)) from None
        except ValueError as error:
            why = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
            if path and number == 1 and not _is_ours(text, lines):
                raise RecordingError(f"{path} is not a recording: line 1 of it is none ({why})", path=path, line=1) from None
            raise _damaged(path, number, why, breaks_off=isinstance(text, bytes) and not text.endswith(b"\n")) from None
        if line is None:
            return
        yield line
        number += 1


def _is_ours(first: str | bytes | None, rest: Iterator[str | bytes]) -> bool:
    """Return whether *first* or the line after it begins as a line of a recording."""
    with contextlib.suppress(ValueError, OSError, EOFError, zlib.error):
        return any(_begins_as_ours(line) for line in (first or b"", next(rest, b"")))
    return False


def _begins_as_ours(line: str | bytes) -> bool:
    beginning = (line.encode(errors="replace") if isinstance(line, str) else line)[: len(BEGINNING)]
    # A file may break off within its first bytes.
    return bool(beginning) and BEGINNING.startswith(beginning)


def _damaged(path: str, number: int, why: str, *, breaks_off: bool) -> RecordingError:
    where = f"line {number} of {path}" if path else f"line {number} of the recording"
    what = "breaks off: the recorder was killed there, or the disk was full" if breaks_off else f"is damaged ({why})"
    text = f"{where} {what}. All that stands before it is whole and was given; to read on behind it, take the line out"
    return RecordingError(text, path=path, line=number)


# --- rotated files ---


def parts(path: Path) -> list[Path]:
    """Return the files of the recording *path*, the oldest first.

    They are ``path.1``, ``path.2``, …, *path*, each packed (``path.1.gz``) or not.
    """
    newest = [file for file in (path, _packed(path)) if file.exists()][:1]
    return [*rotated_parts(_recorded_as(path)), *newest] or [path]


def rotated_parts(path: Path) -> list[Path]:
    """Return the files that *path* was rotated to, the oldest first."""
    return [file for _, file in sorted(_rotated(path).items())]


def next_part(path: Path) -> Path:
    """Return the name that *path* gets at the next rotation."""
    return _part(path, max(_rotated(path), default=0) + 1)


def _part(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _packed(path: Path) -> Path:
    return path.with_name(f"{path.name}.gz")


def _recorded_as(path: Path) -> Path:
    """Return the name of the recording *path* before it was packed."""
    plain = path.with_suffix("")
    return path if path.suffix != ".gz" or plain.exists() else plain


def _rotated(path: Path) -> dict[int, Path]:
    """Return the files that *path* was rotated to, by their numbers.

    Of a file and its packed copy it is the file: gzip may still write the copy.
    """
    pattern = re.compile(rf"{re.escape(path.name)}\.([1-9][0-9]{{0,8}})(?:\.gz|{_OTHER_PACKERS})?", re.ASCII)
    try:
        files = sorted(path.parent.iterdir(), reverse=True)
    except OSError:
        return {}
    return {int(found[1]): file for file in files if (found := pattern.fullmatch(file.name))}
