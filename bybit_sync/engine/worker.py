"""The thread of a client: it starts when there is work, runs commands and then ends."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from bybit_sync.engine import processes
from bybit_sync.errors import ConnectionFailed
from bybit_sync.logs import ClientLog
from bybit_sync.network.wire import reason_of
from bybit_sync.threads.waiting import SignalSafeEvent, join, start_thread, wait_for
from bybit_sync.threads.waker import Waker

__all__ = ["Commands", "Job", "Worker"]

Command = Callable[[], None]


class Commands:
    """The calls that other threads leave for the connection thread.

    It needs no lock, because the operations of a deque are atomic.
    """

    def __init__(self) -> None:
        self._waiting: deque[Command] = deque()
        self.is_closing: bool = False
        """True when the thread must end soon, even with work left."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, command: Command) -> None:
        """Add *command*. Any thread."""
        self._waiting.append(command)

    def run(self) -> None:
        """Run every command so far; raise the error of a command.

        Only the connection thread.
        """
        while self._waiting:
            self._waiting.popleft()()

    def run_guarded(self, log: ClientLog) -> None:
        """Run every command so far, and log the errors."""
        while self._waiting:
            try:
                self.run()
            except BaseException as bug:  # pragma: no cover - no command raises today, but a new one may
                log.critical("a command failed", exc_info=bug)


class Job(Protocol):
    """The work of a worker's thread. Every method is called on that thread."""

    def begin(self, waker: Waker) -> None:
        """Prepare to wait with *waker*, which other threads use."""

    def serve(self) -> None:
        """Work until nothing is left to do."""

    def fail(self, error: BaseException) -> None:
        """Report *error*, a bug, everywhere, and end the job."""

    def flush_queues(self) -> None:
        """Wait until no gap is pending any more, unless there are commands."""

    def finish(self) -> None:
        """Report the end of the work: closed, or nothing left to do."""

    def release(self) -> None:
        """Undo `begin`; runs on the starting thread when the start failed."""

    def ended(self) -> None:
        """Note that the thread counts as ended."""


class Worker:
    """Starts, wakes and ends the thread of a job, as often as there is work."""

    def __init__(self, name: str, job: Job, commands: Commands, member: processes.Member) -> None:
        self._name = name
        self._job = job
        self._commands = commands
        # Listed as running while there is a thread.
        self._member = member
        # Held to start the thread, and by the thread to end: no command is left to a
        # thread that is ending. Reentrant, so that a signal handler may subscribe
        # during an interrupted subscribe.
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        # Kept after the thread has ended.
        self._last_thread: threading.Thread | None = None
        self._ended = SignalSafeEvent()
        self._ended.set()
        self._waker: Waker | None = None

    # --- any thread ---

    @property
    def has_thread(self) -> bool:
        """Return whether the thread runs."""
        return self._thread is not None

    def is_own_thread(self) -> bool:
        """Return whether the calling thread is the worker's."""
        return threading.current_thread() is self._thread

    def execute(self, command: Command, *, check: Command, accepted: Command) -> None:
        """Add *command*, and start the thread when there is none.

        *check*, which may raise, is called first; *accepted* is called before the
        thread can see the command. Raises `ConnectionFailed` when there is no
        descriptor for the waker, and the error of a thread that cannot start.
        """
        with self._lock:
            check()
            if self._thread is None:
                self._start()
            accepted()
            self._commands.add(command)
        self.wake()

    def leave(self, command: Command) -> bool:
        """Add *command* if there is a thread, and return whether there is one.

        Takes no lock.
        """
        # Without a thread the command would wait until the next thread starts.
        if self._thread is None:
            return False
        self._commands.add(command)
        self.wake()
        return True

    def leave_safely(self, command: Command) -> bool:
        """Add *command* as `leave` does, under the lock.

        When it returns True the command will run, even if the thread is ending.
        """
        with self._lock:
            return self.leave(command)

    def wake(self) -> None:
        """Wake the thread. Takes no lock; safe in a signal handler."""
        waker = self._waker
        if waker is not None:
            waker.wake()

    def close(self) -> None:
        """Have the thread end soon. Takes no lock; safe in a signal handler."""
        self._commands.is_closing = True
        self.wake()

    def wait_ended(self, deadline: float) -> bool:
        """Wait until the thread has ended.

        Returns False when *deadline* passes first.
        """
        thread, ended = self._last_thread, wait_for(self._ended, deadline)
        if ended:
            join(thread, deadline)
        return ended

    def abandon(self) -> None:
        """Close the waker in a forked child: the thread is the parent's."""
        waker = self._waker
        if waker is not None:  # pragma: no branch - a fork in the middle of _cleanup
            waker.close()

    def _start(self) -> None:
        # Called under the lock. Set the waker first: other threads need it before the
        # thread looks for commands.
        try:
            waker = Waker()
        except OSError as error:
            raise ConnectionFailed(f"no connection can be started: {reason_of(error)}") from error
        try:
            self._waker = waker
            processes.add(self._member)
            self._ended.clear()
            self._thread = threading.Thread(target=self._run, args=(waker,), name=f"{self._name}-connection", daemon=True)
            self._last_thread = self._thread
            start_thread(self._thread)
        except BaseException:
            self._cleanup(waker)
            raise

    # --- the thread ---

    def _run(self, waker: Waker) -> None:
        # Ctrl-C came during the start: the starting thread has cleaned up and closed
        # the waker.
        with self._lock:
            if self._waker is not waker:
                return
        # Report every error: the thread must not end without a report.
        try:
            self._work(waker)
        except BaseException as bug:  # noqa: BLE001 - see above
            self._job.fail(bug)
        finally:
            if self._waker is waker:
                self._cleanup(waker)

    def _work(self, waker: Waker) -> None:
        self._job.begin(waker)
        while True:
            try:
                self._job.serve()
            except BaseException as bug:  # noqa: BLE001 - a bug ends the client, but the thread reports it
                self._job.fail(bug)
            self._job.flush_queues()
            # Under the lock: a command added between this check and the end would never
            # run.
            with self._lock:
                if self._commands and not self._commands.is_closing:
                    continue
                self._job.finish()
                self._cleanup(waker)
                return

    def _cleanup(self, waker: Waker) -> None:
        self._job.release()
        self._thread = self._waker = None
        processes.discard(self._member)
        waker.close()
        # After `_thread` is None: `close` sets its flag before it checks `_thread`, so
        # at least one side reports CLOSED.
        self._job.ended()
        self._ended.set()
