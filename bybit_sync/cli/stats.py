"""``bybit-sync stats``: count the frames and events of a recording."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from bybit_sync.cli import options
from bybit_sync.cli.exits import DONE
from bybit_sync.cli.statistics import PERCENTILES, Statistics, Topic, negative_text, percentile, read_statistics
from bybit_sync.cli.status_line import counted, gap_text, seconds_text, size_text
from bybit_sync.cli.views import note
from bybit_sync.text import printable

__all__ = ["add"]

_DESCRIPTION: Final = """\
Count what is in a recording: pushes and rows of each topic, rates, latencies, gaps. Latency is from when the exchange made a
push to when it was read, by the exchange's clock as far as the pongs in the recording tell it."""

_EXAMPLES: Final = """\
  bybit-sync stats today.jsonl
  bybit-sync stats today.jsonl --json | jq .topics
  bybit-sync stats today.jsonl --plot today.png    latency and rate over time"""

_PLOTS: Final = (".png", ".svg")
_GAPS_SHOWN: Final = 20


def add(command: argparse.ArgumentParser) -> None:
    """Add help and arguments to *command*."""
    options.describe(command, _DESCRIPTION, _EXAMPLES)
    command.add_argument(
        "file",
        metavar="FILE",
        help=options.RECORDING,
    )
    command.add_argument("--json", action="store_true", help="one JSON object; times in seconds")
    command.add_argument("--plot", type=_plot, metavar="FILE", help="draw latency and rate over time: a .png or .svg")
    command.set_defaults(run=_run)


def _plot(text: str) -> str:
    if Path(text).suffix.lower() not in _PLOTS:
        raise argparse.ArgumentTypeError(f"{text!r} ends with none of {', '.join(_PLOTS)}")
    return text


@contextlib.contextmanager
def _file(file: str) -> Iterator[str]:
    """Yield the name of *file*; of a copy of the standard input for "-".

    A recording is read twice.
    """
    if file != "-":
        yield file
        return
    with tempfile.NamedTemporaryFile(prefix="bybit-sync-") as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield copy.name


def _run(arguments: argparse.Namespace) -> int:
    """Count, print and draw; raise damage last, after the statistics of the rest."""
    with _file(arguments.file) as file:
        statistics = attrs.evolve(read_statistics(file), file=arguments.file)
    if statistics.damage is not None and statistics.first is None:
        raise statistics.damage
    print(json.dumps(_told(statistics)) if arguments.json else "\n".join(_lines(statistics)), flush=True)
    if arguments.plot:
        from bybit_sync.cli.plot import plot  # noqa: PLC0415 - comes with an extra

        plot(statistics, arguments.plot)
        note(f"{arguments.plot}: written")
    if statistics.damage is not None:
        raise statistics.damage
    return DONE


# --- as text ---


def _lines(statistics: Statistics) -> Iterator[str]:
    span = f"{statistics.first:%Y-%m-%d %H:%M:%S} to {statistics.last:%Y-%m-%d %H:%M:%S} UTC" if statistics.first else "empty"
    files = counted(statistics.parts, "file")
    yield f"{statistics.file}: {span}, {seconds_text(statistics.seconds)}, {files}, {size_text(statistics.bytes)}"
    frames = statistics.frames
    yield f"frames       {frames['in']:,} in, {frames['out']:,} out; {counted(frames['lost'], 'connection')} ended"
    yield f"its clock    {_clock(statistics)}"
    yield ""
    yield f"{'topic':<18} {'pushes':>8} {'rows':>8} {'mean/s':>7} {'peak/s':>6} {'p50':>6} {'p90':>6} {'p99':>6} {'max':>6}"
    yield from (_line(statistics, topic) for topic in _sorted(statistics))
    yield from filter(None, [negative_text(statistics)])
    yield ""
    yield f"{counted(len(statistics.gaps), 'gap')}"
    yield from (f"  {gap_text(gap, stream, why=False)}" for stream, gap in statistics.gaps[:_GAPS_SHOWN])
    if len(statistics.gaps) > _GAPS_SHOWN:
        yield f"  ... and {len(statistics.gaps) - _GAPS_SHOWN} more"


def _clock(statistics: Statistics) -> str:
    if statistics.clock_offset is None:
        return "told by no pong: latencies are by ours"
    trips = sorted(statistics.round_trips)
    trip = seconds_text(percentile(trips, 50))
    return f"{statistics.clock_offset + 0.0:+.3f} s ahead of ours; {counted(len(trips), 'pong')}, median round trip {trip}"


def _line(statistics: Statistics, topic: Topic) -> str:
    latencies = " ".join(f"{seconds_text(value):>6}" for value in _percentiles(topic.latencies()))
    name = printable(topic.name, 60)
    return (
        f"{name:<18} {topic.pushes:>8,} {topic.rows:>8,} {statistics.rate(topic.pushes):>7.2f} {topic.peak():>6,} {latencies}"
    )


def _sorted(statistics: Statistics) -> Sequence[Topic]:
    """Return the topics by name, and all of them as one when there are several."""
    topics = sorted(statistics.topics.values(), key=lambda topic: topic.name)
    return [*topics, _whole(topics)] if len(topics) > 1 else topics


def _whole(topics: Sequence[Topic]) -> Topic:
    whole = Topic("all", rows=sum(topic.rows for topic in topics))
    for topic in topics:
        whole.at.extend(topic.at)
        whole.latency.extend(topic.latency)
    return whole


def _percentiles(latencies: Sequence[float]) -> Sequence[float | None]:
    return [percentile(latencies, percent) for percent in PERCENTILES]


# --- as JSON ---


def _told(statistics: Statistics) -> dict[str, Any]:
    return {
        "file": statistics.file,
        "files": statistics.parts,
        "bytes": statistics.bytes,
        "first": statistics.first and statistics.first.isoformat(),
        "last": statistics.last and statistics.last.isoformat(),
        "seconds": statistics.seconds,
        "frames": {way: statistics.frames[way] for way in ("in", "out")},
        "connections_ended": statistics.frames["lost"],
        "clock_offset": statistics.clock_offset,
        "round_trip": dict(zip(_NAMES, _percentiles(sorted(statistics.round_trips)), strict=True)),
        "topics": {topic.name: _topic(statistics, topic) for topic in _sorted(statistics)},
        "gaps": [_gap(stream.value, gap) for stream, gap in statistics.gaps],
        "damage": str(statistics.damage) if statistics.damage else None,
    }


_NAMES: Final = ("p50", "p90", "p99", "max")


def _topic(statistics: Statistics, topic: Topic) -> dict[str, Any]:
    return {
        "pushes": topic.pushes,
        "rows": topic.rows,
        "mean_per_second": statistics.rate(topic.pushes),
        "peak_per_second": topic.peak(),
        "latency": dict(zip(_NAMES, _percentiles(topic.latencies()), strict=True)),
    }


def _gap(stream: str, gap: Any) -> dict[str, Any]:
    return {
        "stream": stream,
        "reason": gap.reason.value,
        "since": gap.since.isoformat(),
        "until": gap.until.isoformat(),
        "missed": gap.missed,
    }
