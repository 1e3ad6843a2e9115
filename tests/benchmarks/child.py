"""The process of one contestant: it connects, and measures itself each time it is told what will come.

python -m tests.benchmarks.child CONTESTANT URL costs|latencies
"""

from __future__ import annotations

import gc
import sys
import time
from typing import Any

from tests.benchmarks.contestants import CONTESTANTS, SPEED, WSACCEL, block, left_out, marks, reads
from tests.benchmarks.payloads import KINDS, STREAMS
from tests.benchmarks.processes import own_output, serve
from tests.benchmarks.tally import Stopwatch, Tally

SECONDS = 90.0


class Costs:
    """Measures what messages cost."""

    def __init__(self, name: str) -> None:
        self.sinks = {stream: Tally(mark, reads(name)) for stream, mark in marks(name).items()}
        self._began = 0
        self._awaited = ""

    def expect(self, kind: str, count: int) -> dict[str, Any]:
        """Start the clocks."""
        self._awaited = KINDS[kind].stream
        self.sinks[self._awaited].expect(count)
        gc.collect()
        self._began = time.process_time_ns()
        return {}

    def result(self) -> dict[str, Any]:
        """Wait for the last message, and tell what it took."""
        tally = self.sinks[self._awaited]
        cpu, ended = tally.wait(SECONDS)
        return {
            "cpu": cpu - self._began,
            "ended": ended,
            "messages": tally.messages,
            "rows": tally.rows,
            "turns": tally.turns,
            "mark": str(tally.last),
            "speed": any(map(sys.modules.get, SPEED)),
            "wsaccel": any(map(sys.modules.get, WSACCEL)),
        }


class Latencies:
    """Measures how long messages are under way."""

    def __init__(self, name: str) -> None:
        self.sinks = {stream: Stopwatch() for stream in STREAMS}
        self._awaited = self.sinks[KINDS["stamped"].stream]

    def expect(self, count: int) -> dict[str, Any]:
        """Begin again."""
        gc.collect()
        self._awaited.expect(count)
        return {}

    def result(self) -> dict[str, Any]:
        """Wait for the last message, and tell the latency of each."""
        return {"latencies": self._awaited.wait(SECONDS)}


def main(name: str, url: str, what: str) -> None:
    """Be contestant *name*, and measure ``costs`` or ``latencies``."""
    output = own_output()
    block(left_out(name))
    measure = Costs(name) if what == "costs" else Latencies(name)
    CONTESTANTS[name](url, measure.sinks)
    serve(output, {"ready": dict, "expect": measure.expect, "result": measure.result})


if __name__ == "__main__":
    main(*sys.argv[1:])
