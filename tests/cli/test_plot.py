"""The picture of a recording: what its colours mean, what it says of the time, and what of latencies below 0."""

from __future__ import annotations

import colorsys
import importlib
from array import array
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType

import pytest

from bybit_sync import DIALECTS, Gap, GapReason, Stream
from bybit_sync.cli.statistics import Statistics, Topic, negative_text

NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
CATEGORIES = ("linear", "inverse", "option", "spot")
TOPICS = {
    channel.topic
    for stream in Stream
    for fast in (False, True)
    for channel in DIALECTS["v5"].channels(stream, CATEGORIES, fast=fast)
}


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    """The module that draws; matplotlib is imported by the worker that needs it, not by each that collects."""
    pytest.importorskip("matplotlib")
    return importlib.import_module("bybit_sync.cli.plot")


@pytest.fixture
def texts(drawing: ModuleType, tmp_path: Path) -> Callable[[Statistics], str]:
    """Return the texts in the picture of a recording."""

    def drawn(told: Statistics) -> str:
        drawing.plot(told, str(tmp_path / "p.svg"))
        return (tmp_path / "p.svg").read_text()

    return drawn


def hue(colour: str) -> float:
    """Return the hue of *colour* in degrees."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return colorsys.rgb_to_hsv(red, green, blue)[0] * 360


def at(seconds: float) -> datetime:
    """Return the time *seconds* after noon."""
    return NOON + timedelta(seconds=seconds)


def statistics(*latencies: float, seconds: float = 3.0, **values: object) -> Statistics:
    """Return what a recording of one topic has."""
    topic = Topic("order.linear", at=array("d", range(len(latencies))), latency=array("d", latencies))
    return Statistics("r.jsonl", first=NOON, last=at(seconds), topics={topic.name: topic}, **values)  # type: ignore[arg-type]


def gap(since: float, until: float) -> tuple[Stream, Gap]:
    """Return a gap of orders."""
    return Stream.ORDERS, Gap(reason=GapReason.DISCONNECTED, since=at(since), until=at(until))


def test_each_topic_has_a_colour_of_its_own(drawing: ModuleType) -> None:
    """In every picture the same, whatever else is in it; that of a stream without categories is one of its own shades."""
    colours = {topic: drawing.colour_of(topic) for topic in TOPICS}
    assert len(set(colours.values())) == len(TOPICS) == 16
    assert drawing.colour_of("order") == drawing.colour_of("user.order.contractAccount") == colours["order.linear"]
    assert drawing.colour_of("something.else") not in colours.values()


def test_no_topic_has_the_colour_of_gaps(drawing: ModuleType) -> None:
    """Nor one that is near to it."""
    apart = {topic: abs(hue(drawing.colour_of(topic)) - hue(drawing.GAP)) for topic in TOPICS}
    assert [topic for topic, degrees in apart.items() if min(degrees, 360 - degrees) < 25] == []


def test_gaps_of_several_streams_are_one_span(drawing: ModuleType) -> None:
    """Where they overlap; the shade means the same wherever it is."""
    told = statistics(0.1, gaps=[gap(1, 3), gap(2, 4), gap(1.5, 2), gap(5, 6)])
    assert drawing.spans(told) == [(at(1), at(4)), (at(5), at(6))]


SPANS = [(3.0, "12:00:01.0"), (60.0, "12:00:10"), (7200.0, "12:30"), (400_000.0, "02-02 00:00")]


@pytest.mark.parametrize(("seconds", "text"), SPANS)
def test_the_axis_has_the_time_of_day(seconds: float, text: str, texts: Callable[[Statistics], str]) -> None:
    """However long the recording is; the date stands below it."""
    shown = texts(statistics(0.1, 0.2, seconds=seconds))
    assert f"<!-- {text} -->" in shown
    assert "<!-- 2026-01-31" in shown


def test_the_legend_tells_topics_and_gaps(texts: Callable[[Statistics], str]) -> None:
    """Beside the points."""
    shown = texts(statistics(0.1, gaps=[gap(1, 2)]))
    assert "<!-- order.linear -->" in shown
    assert "<!-- updates may be missing -->" in shown
    assert "updates may be missing" not in texts(statistics(0.1))


def test_latencies_below_0_are_explained() -> None:
    """By the largest error of the clock's measurement, or by the clock that nothing told."""
    assert negative_text(statistics(0.1, 0.2)) == ""
    told = statistics(-0.001, 0.2, clock_offset=0.0, round_trips=array("d", [0.01, 0.002, 0.001]))
    assert negative_text(told) == "1 below 0: the exchange's clock is known to half a round trip, up to ± 5 ms"
    assert "no pong tells the exchange's" in negative_text(statistics(-0.001, 0.2))
