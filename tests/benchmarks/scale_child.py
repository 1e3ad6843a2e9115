"""A process with many clients, each subscribed to all four streams.

python -m tests.benchmarks.scale_child CLIENTS URL
"""

from __future__ import annotations

import gc
import itertools
import logging
import resource
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

from tests.benchmarks.contestants import KEY, SECRET, SPEED, WSACCEL, block, subscribers
from tests.benchmarks.memory import resident_bytes
from tests.benchmarks.payloads import STREAMS
from tests.benchmarks.processes import own_output, serve
from tests.benchmarks.scheduling import Scheduled, scheduled

SECONDS = 90.0


class Countdown:
    """Counts down on many threads, and stops the clocks at zero; without a lock, for which they would queue."""

    def __init__(self) -> None:
        self._steps: Iterator[int] = itertools.count()
        self._last = -1
        self._zero = threading.Event()
        self._ended = (0, 0)

    def begin(self, count: int) -> None:
        """Count down from *count*."""
        self._zero.clear()
        self._steps, self._last = itertools.count(1), count

    def step(self) -> None:
        """Count one down."""
        if next(self._steps) == self._last:
            self._ended = time.process_time_ns(), time.monotonic_ns()
            self._zero.set()

    def wait(self) -> tuple[int, int]:
        """Return the CPU time of this process and the time of the clock, both in ns, at zero."""
        if not self._zero.wait(SECONDS):
            raise TimeoutError(f"at {next(self._steps) - 1} of {self._last} after {SECONDS:.0f} s")
        return self._ended


class Crowd:
    """The clients, and what is measured of them."""

    def __init__(self, count: int, url: str) -> None:
        import bybit_sync  # noqa: PLC0415 - what it needs is not a client's

        self._gaps, self._events = Countdown(), Countdown()
        self._count = count
        self._began = 0
        self._before = Scheduled()
        self._reads = 0
        self._count_reads()
        before, threads = resident_bytes(), threading.active_count()
        started = time.monotonic()
        self._clients = [bybit_sync.Client(KEY, SECRET, environment=url) for _ in range(count)]
        for client in self._clients:
            for subscribe in subscribers(client).values():
                subscribe(self._take, wait=False)
        for client in self._clients:
            client.wait_live(SECONDS)
        self._first = {
            "live_s": time.monotonic() - started,
            "threads": threading.active_count() - threads,
            "kib_per_client": (resident_bytes() - before) / 1024 / count,
        }

    def first(self) -> dict[str, Any]:
        """Tell what it took until all were live."""
        return self._first

    def idle(self, seconds: float) -> dict[str, Any]:
        """Tell how much of a core is used while nothing comes but pongs, in percent."""
        began, at = time.process_time(), time.monotonic()
        time.sleep(seconds)
        return {"percent": (time.process_time() - began) / (time.monotonic() - at) * 100}

    def expect_gaps(self) -> dict[str, Any]:
        """Count down from the one gap that every stream of every client has to tell."""
        self._gaps.begin(self._count * len(STREAMS))
        return {}

    def back(self) -> dict[str, Any]:
        """Tell when the last stream told its gap: then it is confirmed again."""
        return {"at": self._gaps.wait()[1]}

    def expect(self, events: int) -> dict[str, Any]:
        """Count down from *events*."""
        self._events.begin(events)
        gc.collect()
        self._before, self._reads = scheduled(), 0
        self._began = time.process_time_ns()
        return {}

    def result(self) -> dict[str, Any]:
        """Tell the CPU time until the last event, and how often its threads read something and were given a core."""
        cpu = self._events.wait()[0] - self._began
        return {"cpu": cpu, "reads": self._reads, "slices": scheduled().since(self._before).slices}

    def patience(self, seconds: float) -> dict[str, Any]:
        """Let a thread ask for the GIL only after *seconds* without it."""
        sys.setswitchinterval(seconds)
        return {}

    def _count_reads(self) -> None:
        from bybit_sync.network.wire import Wire  # noqa: PLC0415 - after the extra has been blocked

        read, reading = Wire.read, cast("Any", Wire)

        def counted(wire: Wire) -> bytes | None:
            data = read(wire)
            self._reads += data is not None  # hardly ever two at a time: one connection of a process reads
            return data

        reading.read = counted

    def _take(self, event: Any) -> None:
        (self._gaps if event.gap else self._events).step()


def main(count: str, url: str) -> None:
    """Be that many clients on a default install."""
    output = own_output()
    # A client has four descriptors, and the usual limit is 1,024.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    block((*SPEED, *WSACCEL))
    logging.disable(logging.WARNING)  # every client says that the exchange has gone
    crowd = Crowd(int(count), url)
    names = ("first", "idle", "expect_gaps", "back", "expect", "result", "patience")
    serve(output, {name: getattr(crowd, name) for name in names})


if __name__ == "__main__":
    main(*sys.argv[1:])
