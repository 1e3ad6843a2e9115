"""A machine that is suspended, as its clocks show it."""

from __future__ import annotations

import pytest

from bybit_sync import clock

__all__ = ["Sleep"]


class Sleep:
    """Puts the machine to sleep for *seconds* in all: the clock that goes on meanwhile is so much ahead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        awake = clock._sleepless_ns
        monkeypatch.setattr(clock, "_sleepless_ns", lambda: awake() + round(self.seconds * 1e9))
