"""Events of recovery as lines: what an outage hid, and what is all there is."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from bybit_sync import Event, Source, Stream
from bybit_sync.cli.lines import Json, Lines
from tests.cli.test_board import gap, order, push

MENDED: Event[Any] = attrs.evolve(
    push(order("o1")), source=Source.REST, snapshot=True, recovered=gap(Stream.ORDERS).gap, unresolved=("o1",)
)


def test_a_line_says_what_was_recovered_before_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """With the window of the outage."""
    Lines().show(MENDED)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "12:00:00.000 orders      recovered: 12:00:00 to 12:00:02"
    assert second.startswith("12:00:00.000 orders      BTCUSDT")


def test_an_object_of_rest_says_that_it_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """What it mends, whether it is all there is, and which orders are nowhere; a push has none of these keys."""
    Json().show(MENDED)
    Json().show(push(order("o2")))
    rest, plain = map(json.loads, capsys.readouterr().out.splitlines())
    assert (rest["snapshot"], rest["recovered"]["reason"], rest["unresolved"]) == (True, "DISCONNECTED", ["o1"])
    assert plain.keys() == rest.keys() - {"snapshot", "recovered", "unresolved"}
