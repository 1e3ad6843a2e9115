"""The running clients of a process: abandoned in a forked child, closed at exit."""

from __future__ import annotations

import atexit
import time
from typing import Final, Protocol

from bybit_sync.threads.forks import in_child

__all__ = ["Member", "add", "discard"]

# The time that the exit of a process waits for clients that were not closed.
_GOODBYE: Final = 1.0


class Member(Protocol):
    """A client that has a thread."""

    @property
    def is_open(self) -> bool:
        """Return whether a thread runs and `close` was not called."""

    def close(self) -> None:
        """Have the thread end soon, without waiting for it."""

    def wait_ended(self, deadline: float) -> bool:
        """Wait until the thread has ended.

        Returns False when *deadline* passes first.
        """

    def wait_told(self, deadline: float) -> bool:
        """Wait until `on_status` was called with every change.

        Returns False when *deadline* passes first.
        """

    def abandon(self) -> None:
        """Close in a forked child the descriptors that only the parent can use."""


# The clients that have a thread. Connection threads change it at any time: to be copied
# in one step, as only `copy` is atomic.
_running: Final[set[Member]] = set()


def add(member: Member) -> None:
    """Add *member* to the running clients. Any thread."""
    _running.add(member)


def discard(member: Member) -> None:
    """Remove *member* from the running clients. Any thread."""
    _running.discard(member)


def _close_all() -> None:
    deadline = time.monotonic() + _GOODBYE
    members = [member for member in _running.copy() if member.is_open]
    for member in members:
        member.close()
    for member in members:
        member.wait_ended(deadline)
        member.wait_told(deadline)


@in_child
def _leave_to_the_parent() -> None:
    for member in _running.copy():
        member.abandon()
    _running.clear()


atexit.register(_close_all)
