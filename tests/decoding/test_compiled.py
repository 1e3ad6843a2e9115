"""What reads rows fast: a function for each shape of row, written when it first comes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bybit_sync import PositionUpdate
from bybit_sync.decoding.compiled import Shapes
from bybit_sync.decoding.reader import Decoder
from bybit_sync.decoding.values import Misfit
from bybit_sync.session.dialects import DECODER, RENAMES, WORDS

ROW = {"symbol": "BTCUSDT", "positionIdx": 0, "size": "1.50"}


@pytest.fixture
def shapes() -> Shapes:
    """Return what reads positions, and has seen none."""
    return Decoder(RENAMES, WORDS).reader(PositionUpdate).shapes


def read(shapes: Shapes, row: dict[str, Any]) -> Any:
    """Read *row* as the decoder does."""
    return shapes[tuple(row.keys())](row, row)


def test_a_shape_is_written_for_once(shapes: Shapes) -> None:
    """Rows of the same keys in the same order share one function."""
    assert [read(shapes, {**ROW, "size": f"{size}.0"}).size for size in range(3)] == [Decimal(f"{size}.0") for size in range(3)]
    assert len(shapes) == 1


def test_keys_in_another_order_are_another_shape(shapes: Shapes) -> None:
    """No value is taken for another's."""
    assert read(shapes, ROW) == read(shapes, dict(reversed(ROW.items())))
    assert len(shapes) == 2


def test_no_more_than_so_many_shapes_are_remembered(shapes: Shapes) -> None:
    """Rows of all further ones are read, too."""
    for number in range(1_000):
        assert read(shapes, {**ROW, f"new {number}": number}).extra == {f"new {number}": number}
    assert len(shapes) == 64


def test_an_endless_row_is_no_shape(shapes: Shapes) -> None:
    """Its function would be as long."""
    strange = {f"new {number}": number for number in range(1_000)}
    assert read(shapes, {**ROW, **strange}).extra == strange
    assert len(shapes) == 0


def test_a_row_of_endless_keys_is_no_shape(shapes: Shapes) -> None:
    """What is remembered is bounded in characters, too."""
    strange = {f"{number}" + "k" * 2**20: number for number in range(4)}
    assert read(shapes, {**ROW, **strange}).extra == strange
    assert len(shapes) == 0


def test_a_peer_that_invents_shapes_does_not_slow_the_others_for_good(shapes: Shapes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions are written ever more seldom, but what comes again and again gets one."""
    made, written = [], shapes.written
    monkeypatch.setattr(shapes, "written", lambda shape, taking: made.append(shape) or written(shape, taking))
    for number in range(1_000):
        read(shapes, {**ROW, f"new {number}": number})
    assert len(made) < 64 + 16
    for _ in range(2_000):
        read(shapes, ROW)
    assert tuple(ROW) in shapes
    assert len(shapes) == 64


def test_a_row_without_what_it_cannot_do_without_is_refused_again(shapes: Shapes) -> None:
    """And costs no more the second time."""
    for _ in range(2):
        with pytest.raises(Misfit, match="the row cannot do without"):
            read(shapes, {"symbol": "BTCUSDT"})
    assert len(shapes) == 1


def test_what_stands_in_a_key_is_never_executed(shapes: Shapes) -> None:
    """The exchange's texts are no part of a function's source."""
    bad = "x'\n    raise SystemExit\n#"
    assert read(shapes, {**ROW, bad: 1}).extra == {bad: 1}


@pytest.mark.parametrize(
    "row",
    [
        ROW,
        {**ROW, "size": "1.5e3"},
        {**ROW, "updatedTime": "00"},
        {**ROW, "updatedTime": "007"},
        {**ROW, "tpSlMode": "Full", "tpslMode": "Partial"},
        {**ROW, "new": []},
    ],
)
def test_a_row_says_the_same_to_all_who_read_it(shapes: Shapes, row: dict[str, Any]) -> None:
    """Fast, value by value, and thoroughly."""
    fast, slow, thorough = read(shapes, row), shapes.read_any(row, row), DECODER.reader(PositionUpdate).explained(row)
    assert (fast, fast.extra, fast.wire) == (slow, slow.extra, slow.wire) == (thorough, thorough.extra, thorough.wire)
