"""The thread that scrubs and writes the lines of a recording.

Reading the socket never waits for the disk.
"""

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


# The seconds for which lines are gathered before they are written; a killed process
# loses at most these lines.
GATHER: Final = 0.25
# The most lines of one write.
_LINES_AT_ONCE: Final = 1000


class LineWriter:
    """A writer of scrubbed lines.

    Only one `WriterThread` writes at a time; any thread may read the counts.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self.lines: int = 0
        self.bytes: int = 0
        self._scrubber = Scrubber(os.urandom(16))

    def write(self, lines: Sequence[Line]) -> None:
        """Scrub and write *lines*."""
        texts = [print_line(self._scrubbed(line)) for line in lines]
        self.output.write(texts)
        self.lines += len(texts)
        self.bytes += sum(map(len, texts))

    def _scrubbed(self, line: Line) -> Line:
        scrub = self._scrubber.scrub_words if line.direction is Direction.LOST else self._scrubber.scrub
        return line._replace(frame=scrub(line.frame))


class WriterThread:
    """A thread that opens the file, writes lines and closes the file.

    It also holds the buffer of the lines to be written.
    """

    def __init__(
        self, writer: LineWriter, name: str, predecessor: WriterThread | None, failed: Callable[[BaseException], None]
    ) -> None:
        self.thread: threading.Thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.opened: threading.Event = threading.Event()
        """Set once the file is open or `refused` is set."""
        self.refused: BaseException | None = None
        """The error that opening the file raised; None if there was none."""
        self.is_late: bool = False
        """True when the connection thread no longer waits for `opened`: the error is
        then passed to *failed*.
        """
        self._writer = writer
        self._predecessor = predecessor
        self._failed = failed
        self._lines: deque[Line] = deque()
        # Each counter has one writing thread and only grows, so the difference needs no
        # lock.
        self._put = self._taken = 0
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._discards = False

    @property
    def is_over(self) -> bool:
        """True when no more lines are accepted."""
        return self._ending.is_set() or self.refused is not None

    def put(self, line: Line) -> int:
        """Buffer *line*, and return the number of buffered characters."""
        self._put += len(line.frame)
        self._lines.append(line)
        # Set it after the append: the thread clears the event before it looks for
        # lines, so no line is missed.
        if not self._wake.is_set():
            self._wake.set()
        return self._put - self._taken

    def end(self, *, discard: bool = False) -> None:
        """End the thread once the buffer is written.

        With *discard*, drop the buffer and end at once.
        """
        self._discards = self._discards or discard
        self._ending.set()
        self._wake.set()

    def _run(self) -> None:
        try:
            if self._predecessor is not None:
                self._predecessor.thread.join()
                self._predecessor = None
            self._writer.output.open()
        except BaseException as error:  # noqa: BLE001 - `begin` raises it
            self.refused = error
            if self.is_late:
                self._failed(error)
            return
        finally:
            self.opened.set()
        try:
            self._write_all()
        except BaseException as error:  # noqa: BLE001 - the thread must not end without a report
            self._failed(error)
        finally:
            self._lines.clear()
            self._writer.output.close()

    def _write_all(self) -> None:
        over = False
        while not over:
            self._wake.wait()
            self._ending.wait(GATHER)
            over = self._ending.is_set()
            self._wake.clear()
            while self._lines and not self._discards:
                self._write_some()

    def _write_some(self) -> None:
        lines = [self._lines.popleft() for _ in range(min(len(self._lines), _LINES_AT_ONCE))]
        self._writer.write(lines)
        self._taken += sum(len(line.frame) for line in lines)
