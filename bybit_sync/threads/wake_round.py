"""The wake-ups of other threads in a round of work, made together at its end."""

from __future__ import annotations

from bybit_sync.threads.waiting import SignalSafeCondition

__all__ = ["WakeRound"]


class WakeRound:
    """Wakes the threads that wait for a condition: at once, or when the round ends.

    A thread that is woken while the waking one goes on finds the GIL taken, and sleeps
    a second time. So end the round immediately before a wait, which frees the GIL, and
    before everything else that may take long. Only one thread uses it.
    """

    def __init__(self) -> None:
        # The conditions to wake, each once; None between two rounds.
        self._gathered: dict[SignalSafeCondition, None] | None = None

    def wake(self, condition: SignalSafeCondition) -> None:
        """Wake the threads that wait for *condition*, in a round when it ends."""
        if self._gathered is None:
            condition.wake()
        else:
            self._gathered[condition] = None

    def begin(self) -> None:
        """Begin a round, unless one has begun."""
        if self._gathered is None:
            self._gathered = {}

    def end(self) -> None:
        """Wake the threads of the round, and from now on each at once."""
        gathered, self._gathered = self._gathered, None
        for condition in gathered or ():
            condition.wake()
