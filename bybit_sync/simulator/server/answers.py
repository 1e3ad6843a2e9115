"""When the exchange answers: at once, late, when it is told to, or never."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bybit_sync.simulator.refusals import Refusals

__all__ = ["Answers"]


class Answers:
    """Answers that can be held back or slowed down, each kind (``auth``, ``subscribe``, …) by itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held_kinds: frozenset[str] = frozenset()
        self._held: list[Callable[[], None]] = []
        self._delays: dict[str, float] = {}
        self._lost: Refusals[bool] = Refusals()

    def hold(self, *kinds: str) -> None:
        """Keep answers of *kinds* until they are released."""
        with self._lock:
            self._held_kinds |= frozenset(kinds)

    def release(self, *, discard: bool = False) -> None:
        """Send what was held, in order, or lose it; hold nothing any more."""
        with self._lock:
            held, self._held, self._held_kinds = self._held, [], frozenset()
        for send in held:
            if not discard:
                send()

    def lose(self, times: int | None, *kinds: str) -> None:
        """Lose answers of *kinds*, the next *times* of each or for good."""
        for kind in kinds:
            self._lost.order(kind, True, times)

    def forget(self) -> None:
        """Delay and lose nothing any more."""
        self._lost.lift()
        with self._lock:
            self._delays.clear()

    def delay(self, seconds: float, *kinds: str) -> None:
        """Answer *kinds* after *seconds*."""
        with self._lock:
            self._delays.update(dict.fromkeys(kinds, seconds))

    def delay_of(self, kind: str) -> float:
        """Return how long an answer of *kind* takes."""
        with self._lock:
            return self._delays.get(kind, 0.0)

    def keep(self, kind: str, send: Callable[[], None]) -> bool:
        """Keep *send* for the release, or lose it, and return True; return False when *kind* is to be answered now."""
        if self._lost.take(kind):
            return True
        with self._lock:
            is_held = kind in self._held_kinds
            if is_held:
                self._held.append(send)
            return is_held
