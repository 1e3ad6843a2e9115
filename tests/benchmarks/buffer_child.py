"""A process whose callback holds up everything until it is let go: what waits meanwhile is weighed.

python -m tests.benchmarks.buffer_child STREAM URL
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from tests.benchmarks.contestants import KEY, SECRET, SPEED, WSACCEL, block, subscribers
from tests.benchmarks.memory import resident_bytes
from tests.benchmarks.processes import own_output, serve

SECONDS = 60.0


class Held:
    """One client with one subscription that does not move on."""

    def __init__(self, stream: str, url: str) -> None:
        import bybit_sync  # noqa: PLC0415 - after the extra has been blocked

        self._client = bybit_sync.Client(KEY, SECRET, environment=url)
        self._go, self._done = threading.Event(), threading.Event()
        self._expected = self._taken = 0
        subscribers(self._client)[stream](self._take)

    def pass_on(self, count: int) -> dict[str, Any]:
        """Hold nothing up for the next *count* events."""
        self._go.set()
        self._begin(count)
        return {}

    def passed(self) -> dict[str, Any]:
        """Wait until they have passed."""
        self._wait(self._done)
        return {}

    def hold(self, count: int) -> dict[str, Any]:
        """Hold up the next *count* events."""
        self._go.clear()
        self._begin(count)
        self._memory, self._cpu = resident_bytes(), time.process_time()
        return {}

    def held(self) -> dict[str, Any]:
        """Wait until all of them wait, and tell what they weigh and what it took."""
        deadline = time.monotonic() + SECONDS
        while self._client.health().subscriptions[0].queued < self._expected - 1:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._client.health()}")
            time.sleep(0.02)
        cpu = time.process_time() - self._cpu
        weight = resident_bytes() - self._memory
        return {"bytes": weight / self._expected, "cpu_us": cpu / self._expected * 1e6}

    def release(self) -> dict[str, Any]:
        """Let all go, and tell how long their delivery took."""
        began = time.monotonic()
        self._go.set()
        self._wait(self._done)
        return {"delivery_ms": (time.monotonic() - began) * 1e3}

    def _begin(self, count: int) -> None:
        self._done.clear()
        self._taken, self._expected = 0, count

    def _take(self, event: Any) -> None:
        self._go.wait()
        assert event.gap is None, event.gap
        self._taken += 1
        if self._taken == self._expected:
            self._done.set()

    def _wait(self, event: threading.Event) -> None:
        if not event.wait(SECONDS):
            raise TimeoutError(f"{self._taken} of {self._expected} events after {SECONDS:.0f} s")


def main(stream: str, url: str) -> None:
    """Be a client on a default install."""
    output = own_output()
    block((*SPEED, *WSACCEL))
    held = Held(stream, url)
    serve(output, {name: getattr(held, name) for name in ("pass_on", "passed", "hold", "held", "release")})


if __name__ == "__main__":
    main(*sys.argv[1:])
