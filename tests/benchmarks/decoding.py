"""What decoding costs: bytes to update, against `json.loads` on the same bytes.

    python -m tests.benchmarks.decoding

Every row differs from the one before it. One run interleaves all candidates over several rounds and shows their medians of CPU
time; the best of `json.loads` and of a candidate would come from different moments of a shared machine.
"""

# ruff: noqa: T201 - printing is its job
from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from bybit_sync import V5, PositionUpdate, Stream
from bybit_sync.decoding.fast_path import match_push_envelope, read_rows
from bybit_sync.decoding.parsing import PARSERS, RawFrame
from bybit_sync.session.dialects import DECODER, Channel
from tests.benchmarks.payloads import Market

ROWS = 4_000
ROUNDS = 15
BOUND = 2.5  # of the 33-key position row, on the default install

Frames = list[bytes]


def frames(row: Callable[[], dict[str, Any]]) -> Frames:
    """Return that many rows as JSON."""
    return [json.dumps(row(), separators=(",", ":")).encode() for _ in range(ROWS)]


def pushes(row: Callable[[], dict[str, Any]], topic: str) -> Frames:
    """Return that many whole pushes of one row."""
    return frames(lambda: {"topic": topic, "id": "1_2_3", "creationTime": 1_741_000_000_000, "data": [row()]})


def row_reader(parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Return bytes of one position row to update, and nothing else."""
    compiled = DECODER.reader(PositionUpdate).compiled

    def read_row(frame: bytes) -> Any:
        row = parse(frame)
        return compiled[tuple(row.keys())](row, row)

    return read_row


def push_reader(parse: Callable[[bytes], Any], channel: Channel) -> Callable[[bytes], Any]:
    """Return bytes of one push to what its channel makes of it."""
    return lambda frame: channel.decode(parse(frame)["data"])


def fast_reader(channel: Channel) -> Callable[[bytes], Any]:
    """Return the same by the fast path, which needs no parser."""

    def read_push(frame: bytes) -> Any:
        text = frame.decode()
        push = match_push_envelope(text)
        assert push
        return read_rows(channel, text, push[-1], RawFrame(frame))

    return read_push


def channel(stream: Stream) -> Channel:
    """Return V5's channel for *stream*."""
    return V5.channels(stream, ("linear",))[0]


def cost(work: Callable[[bytes], Any], what: Frames) -> float:
    """Return the CPU time of *work* for one of *what*, in microseconds."""
    started = time.process_time()
    for frame in what:
        work(frame)
    return (time.process_time() - started) / len(what) * 1e6


def measure() -> dict[str, dict[str, float]]:
    """Return the median cost of each candidate for each kind of input, and its ratio to `json.loads`."""
    market = Market()
    inputs: dict[str, tuple[Frames, dict[str, Callable[[bytes], Any]]]] = {
        "position row, 33 keys": (frames(market.position), {name: row_reader(parse) for name, parse in PARSERS.items()})
    }
    rows = {
        Stream.POSITIONS: market.position,
        Stream.ORDERS: market.order,
        Stream.USER_TRADES: market.trade,
        Stream.BALANCES: market.account,
    }
    for stream, row in rows.items():
        way = channel(stream)
        readers = {name: push_reader(parse, way) for name, parse in PARSERS.items()} | {"at a glance": fast_reader(way)}
        inputs[f"push of {stream}"] = (pushes(row, way.topic), readers)
    return {name: _medians({"json.loads": json.loads, **work}, what) for name, (what, work) in inputs.items()}


def _medians(work: dict[str, Callable[[bytes], Any]], what: Frames) -> dict[str, float]:
    for candidate in work.values():
        cost(candidate, what)
    rounds = [{name: cost(candidate, what) for name, candidate in work.items()} for _ in range(ROUNDS)]
    return {name: statistics.median(costs[name] for costs in rounds) for name in work}


def main() -> int:
    """Print the table; return 1 when the bound is not held."""
    print(f"CPython {platform.python_version()} on {platform.machine()}, {ROWS} different rows, median of {ROUNDS} rounds, CPU")
    results = measure()
    for name, costs in results.items():
        base = costs["json.loads"]
        shown = "   ".join(f"{candidate} {spent:6.2f} us ({spent / base:4.2f})" for candidate, spent in costs.items())
        print(f"{name:24s} {shown}")
    row = results["position row, 33 keys"]
    ratio = row["json"] / row["json.loads"]
    print(f"bytes to update of a position row: {ratio:.2f} times json.loads; the bound is {BOUND}")
    return int(ratio > BOUND)


if __name__ == "__main__":
    sys.exit(main())
