"""The thread that writes a recording's lines, scrubbed, so that the socket never waits for a disk."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from bybit_sync.recording.files import Output
from bybit_sync.recording.format import Direction, Line, print_line
from bybit_sync.recording.scrubbing import Scrubber

__all__ = ["LineWriter", "WriterThread"]


# A kill loses what came within this; a frame that comes alone is not written alone.
GATHER: Final = 0.25
_LINES_AT_ONCE: Final = 1000


class LineWriter:
    """Writes lines on a sheet, scrubbed. Only one shift's thread at a time; others may look at the counts."""

    def __init__(self, sheet: Output) -> None:
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


class WriterThread:
    """The thread that writes from one opening of the file to its closing, and what waits for it."""

    def __init__(
        self, pen: LineWriter, name: str, before: WriterThread | None, failed: Callable[[BaseException], None]
    ) -> None:
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
