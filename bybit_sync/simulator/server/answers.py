"""The timing of answers: at once, late, when released, or never."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bybit_sync.simulator.refusals import Refusals

__all__ = ["Answers"]


class Answers:
    """Answers that can be held, delayed or lost, by kind (``auth``, …)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held_kinds: frozenset[str] = frozenset()
        self._held: list[Callable[[], None]] = []
        self._delays: dict[str, float] = {}
        self._lost: Refusals[bool] = Refusals()

    def hold(self, *kinds: str) -> None:
        """Hold answers of *kinds* until `release`."""
        with self._lock:
            self._held_kinds |= frozenset(kinds)

    def release(self, *, discard: bool = False) -> None:
        """Send the held answers in order, or *discard* them; hold no more."""
        with self._lock:
            held, self._held, self._held_kinds = self._held, [], frozenset()
        for send in held:
            if not discard:
                send()

    def lose(self, times: int | None, *kinds: str) -> None:
        """Lose answers of *kinds*, the next *times* of each or until `forget`."""
        for kind in kinds:
            self._lost.order(kind, True, times)

    def forget(self) -> None:
        """End every delay and every loss."""
        self._lost.lift()
        with self._lock:
            self._delays.clear()

    def delay(self, seconds: float, *kinds: str) -> None:
        """Answer *kinds* after *seconds*."""
        with self._lock:
            self._delays.update(dict.fromkeys(kinds, seconds))

    def delay_of(self, kind: str) -> float:
        """Return the delay of an answer of *kind*, in seconds."""
        with self._lock:
            return self._delays.get(kind, 0.0)

    def keep(self, kind: str, send: Callable[[], None]) -> bool:
        """Hold or lose *send* and return True; return False to answer now."""
        if self._lost.take(kind):
            return True
        with self._lock:
            is_held = kind in self._held_kinds
            if is_held:
                self._held.append(send)
            return is_held
