"""Latency and rate over time as a picture; the only file that knows matplotlib."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from bybit_sync.cli.statistics import Statistics

__all__ = ["plot"]

# The most bars that can be distinguished; a bar is at least a second wide.
_BARS: Final = 240


def plot(statistics: Statistics, file: str) -> None:
    """Draw *statistics* into *file*, a .png or .svg. Raises `OSError`."""
    picture = Figure(figsize=(11, 6.5), layout="constrained")
    upper, lower = picture.subplots(2, 1, sharex=True)
    _draw_latency(upper, statistics)
    _draw_rate(lower, statistics)
    _mark_gaps(upper, statistics)
    _mark_gaps(lower, statistics)
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    lower.xaxis.set_major_locator(locator)
    lower.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    lower.set_xlabel("UTC; red: updates may be missing")
    picture.suptitle(statistics.file)
    picture.savefig(file, dpi=110)


def _draw_latency(axes: Axes, statistics: Statistics) -> None:
    for topic in sorted(statistics.topics.values(), key=lambda topic: topic.name):
        known = [(at, value) for at, value in zip(topic.at, topic.latency, strict=True) if not math.isnan(value)]
        if known:
            moments, values = zip(*known, strict=True)
            axes.plot(_dates(statistics, moments), [value * 1e3 for value in values], ".", markersize=3, label=topic.name)
    axes.set_ylabel("latency (ms)")
    if axes.has_data():
        axes.set_ylim(min(0.0, axes.get_ylim()[0]))
        axes.legend(loc="upper left", fontsize="small")
    else:
        axes.text(0.5, 0.5, "no push tells when it was made", ha="center", transform=axes.transAxes)


def _draw_rate(axes: Axes, statistics: Statistics) -> None:
    width = max(1.0, math.ceil(statistics.seconds / _BARS))
    bottom: Counter[int] = Counter()
    for topic in sorted(statistics.topics.values(), key=lambda topic: topic.name):
        bars = Counter(int(at // width) for at in topic.at)
        places = sorted(bars)
        rates = [bars[place] / width for place in places]
        moments = _dates(statistics, [(place + 0.5) * width for place in places])
        axes.bar(moments, rates, width / 86_400, bottom=[bottom[place] / width for place in places], label=topic.name)
        bottom.update(bars)
    axes.set_ylabel("pushes per second")


def _mark_gaps(axes: Axes, statistics: Statistics) -> None:
    for _, gap in statistics.gaps:
        axes.axvspan(_days(gap.since), _days(gap.until), color="red", alpha=0.15)


def _dates(statistics: Statistics, seconds: Iterable[float]) -> list[float]:
    assert statistics.first is not None
    return [_days(statistics.first + timedelta(seconds=at)) for at in seconds]


def _days(moment: datetime) -> float:
    """Return *moment* as matplotlib counts: in days since 1970."""
    return moment.timestamp() / 86_400
