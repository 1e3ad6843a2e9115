"""The refusals that were ordered, each without limit or for a number of times."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Refusals"]

T = TypeVar("T")


class Refusals(Generic[T]):
    """Orders to refuse something, each without limit or a number of *times*."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: dict[Hashable, tuple[T, int | None]] = {}

    def order(self, what: Hashable, answer: T, times: int | None = None) -> None:
        """Answer *what* with *answer*, the next *times* or until `lift`."""
        with self._lock:
            self._orders[what] = answer, times

    def take(self, what: Hashable) -> T | None:
        """Return the answer ordered for *what* and count it; None for no refusal."""
        with self._lock:
            answer, times = self._orders.pop(what, (None, 0))
            if answer is not None and times != 0:
                left = None if times is None else times - 1
                self._orders.update({what: (answer, left)} if left != 0 else {})
            return answer

    def lift(self) -> None:
        """Refuse nothing any more."""
        with self._lock:
            self._orders.clear()
