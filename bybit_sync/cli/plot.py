"""Latency and rate over time as a picture; the only file that knows matplotlib."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from bybit_sync.cli.statistics import Statistics, Topic, negative_text

__all__ = ["GAP", "colour_of", "plot", "spans"]

# The most bars that can be distinguished; a bar is at least a second wide.
_BARS: Final = 240

GAP: Final = "#d62728"
"""The colour of gaps, red; no topic has one like it."""
# A hue for each stream, and in it a shade for each category. The first is that of the
# topics without a category.
_HUES: Final[Mapping[str, Mapping[str, str]]] = {
    "order": {"linear": "#1f77b4", "inverse": "#86c0ea", "option": "#0b3c66", "spot": "#4f9bd0"},
    "position": {"linear": "#2ca02c", "inverse": "#98df8a", "option": "#0f5a1e", "spot": "#62bd5a"},
    "execution": {"linear": "#7b4fb5", "inverse": "#c5a9e8", "option": "#40206e", "spot": "#a07cd0"},
    "execution.fast": {"linear": "#7a5c3e", "inverse": "#c9a983", "option": "#47341f", "spot": "#a08059"},
    "wallet": {"linear": "#e0a500"},
}
_UNKNOWN: Final = "#7f7f7f"
_SHADE: Final[Mapping[str, Any]] = {"facecolor": (GAP, 0.2), "edgecolor": (GAP, 0.5), "linewidth": 0.8}
# The text of a time on the axis, for recordings of up to so many seconds; of a
# microsecond only the first digit is shown.
_TIMES: Final = ((5.0, "%H:%M:%S.%f"), (900.0, "%H:%M:%S"), (172_800.0, "%H:%M"), (math.inf, "%m-%d %H:%M"))


def colour_of(topic: str) -> str:
    """Return the colour of *topic*: the same in every picture."""
    name = topic.removeprefix("user.").removesuffix(".contractAccount")
    stream, _, category = name.rpartition(".")
    shades = _HUES.get(name) or _HUES.get(stream, {})
    return shades.get(category) or next(iter(shades.values()), _UNKNOWN)


def plot(statistics: Statistics, file: str) -> None:
    """Draw *statistics* into *file*, a .png or .svg. Raises `OSError`."""
    picture = Figure(figsize=(12, 6.5), layout="constrained")
    upper, lower = picture.subplots(2, 1, sharex=True)
    topics = sorted(statistics.topics.values(), key=lambda topic: topic.name)
    _draw_latency(upper, statistics, topics)
    _draw_rate(lower, statistics, topics)
    for axes in (upper, lower):
        _mark_gaps(axes, statistics)
    _draw_times(lower, statistics)
    picture.suptitle(statistics.file)
    keys = [Patch(color=colour_of(topic.name), label=topic.name) for topic in topics]
    gap = [Patch(**_SHADE, label="updates may be missing")] if statistics.gaps else []
    if keys or gap:
        picture.legend(handles=[*keys, *gap], loc="outside right upper", fontsize="small")
    picture.savefig(file, dpi=110)


def _draw_latency(axes: Axes, statistics: Statistics, topics: Sequence[Topic]) -> None:
    for topic in topics:
        known = [(at, value) for at, value in zip(topic.at, topic.latency, strict=True) if not math.isnan(value)]
        if known:
            moments, values = zip(*known, strict=True)
            points = [value * 1e3 for value in values]
            axes.plot(_dates(statistics, moments), points, ".", markersize=4, color=colour_of(topic.name))
    axes.set_ylabel("latency (ms)")
    if not axes.has_data():
        axes.text(0.5, 0.5, "no push tells when it was made", ha="center", transform=axes.transAxes)
        return
    axes.set_ylim(min(0.0, axes.get_ylim()[0]))
    axes.axhline(0.0, color="black", linewidth=0.6)
    axes.set_title(negative_text(statistics), loc="left", fontsize="small")


def _draw_rate(axes: Axes, statistics: Statistics, topics: Sequence[Topic]) -> None:
    width = max(1.0, math.ceil(statistics.seconds / _BARS))
    bottom: Counter[int] = Counter()
    for topic in topics:
        bars = Counter(int(at // width) for at in topic.at)
        places = sorted(bars)
        rates = [bars[place] / width for place in places]
        moments = _dates(statistics, [(place + 0.5) * width for place in places])
        below = [bottom[place] / width for place in places]
        axes.bar(moments, rates, width / 86_400, bottom=below, color=colour_of(topic.name))
        bottom.update(bars)
    axes.set_ylabel("pushes per second")


def _draw_times(axes: Axes, statistics: Statistics) -> None:
    """Write the time of day on the axis, and the date below it."""
    shape = next(shape for seconds, shape in _TIMES if statistics.seconds <= seconds)
    axes.xaxis.set_major_locator(AutoDateLocator())  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: _clock(at, shape)))
    if statistics.first is None or statistics.last is None:
        return
    if statistics.seconds > 0:
        # All of the recording, also where nothing was pushed.
        axes.set_xlim(_days(statistics.first), _days(statistics.last))
    days = dict.fromkeys(f"{day:%Y-%m-%d}" for day in (statistics.first, statistics.last))
    axes.set_xlabel(f"{' to '.join(days)} UTC")


def _mark_gaps(axes: Axes, statistics: Statistics) -> None:
    for since, until in spans(statistics):
        # The edge shows a gap that is narrower than a pixel.
        axes.axvspan(_days(since), _days(until), **_SHADE, zorder=0)


def spans(statistics: Statistics) -> list[tuple[datetime, datetime]]:
    """Return when updates of any stream may be missing, without overlaps."""
    found: list[tuple[datetime, datetime]] = []
    for since, until in sorted((gap.since, gap.until) for _, gap in statistics.gaps):
        if found and since <= found[-1][1]:
            since, until = found[-1][0], max(until, found.pop()[1])  # noqa: PLW2901 - the wider span
        found.append((since, until))
    return found


def _clock(days: float, shape: str) -> str:
    text = f"{datetime.fromtimestamp(days * 86_400, timezone.utc):{shape}}"
    return text[:-5] if shape.endswith("%f") else text


def _dates(statistics: Statistics, seconds: Iterable[float]) -> list[float]:
    assert statistics.first is not None
    return [_days(statistics.first + timedelta(seconds=at)) for at in seconds]


def _days(moment: datetime) -> float:
    """Return *moment* as matplotlib counts: in days since 1970."""
    return moment.timestamp() / 86_400
