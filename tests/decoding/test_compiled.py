"""Rows are read by functions, one compiled for each layout of a row when it first arrives."""

from __future__ import annotations

import gc
import inspect
import linecache
import traceback
from decimal import Decimal
from typing import Any

import attrs
import pytest

from bybit_sync import BalanceUpdate, PositionUpdate
from bybit_sync.decoding.compiled import CompiledReaders
from bybit_sync.decoding.reader import Decoder
from bybit_sync.decoding.values import InvalidValue
from bybit_sync.model import record
from bybit_sync.session.dialects import DECODER, RENAMES, WORDS

ROW = {"symbol": "BTCUSDT", "positionIdx": 0, "size": "1.50"}


@pytest.fixture
def compiled() -> CompiledReaders:
    """Return what reads positions, and has seen none."""
    return Decoder(RENAMES, WORDS).reader(PositionUpdate).compiled


def read(compiled: CompiledReaders, row: dict[str, Any]) -> Any:
    """Read *row* as the decoder does."""
    return compiled[tuple(row.keys())](row, row)


def test_a_layout_is_compiled_once(compiled: CompiledReaders) -> None:
    """Rows of the same keys in the same order share one function."""
    assert [read(compiled, {**ROW, "size": f"{size}.0"}).size for size in range(3)] == [
        Decimal(f"{size}.0") for size in range(3)
    ]
    assert len(compiled) == 1


def test_without_the_gil_no_object_changes_its_class(compiled: CompiledReaders, monkeypatch: pytest.MonkeyPatch) -> None:
    """That would stop every thread of the process for each row; the update is equal, and frozen, all the same."""
    swapped = read(compiled, ROW)
    monkeypatch.setattr(record, "SWAPS", False)
    draft, finish = (twin := record.mutable_twin(PositionUpdate))(), record.finisher(PositionUpdate, twin)
    for field in attrs.fields(PositionUpdate):
        setattr(draft, field.name, getattr(swapped, field.name))
    update = finish(draft)
    assert (type(draft), type(update), update) == (twin, PositionUpdate, swapped)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        update.size = Decimal(1)


def test_keys_in_another_order_are_another_layout(compiled: CompiledReaders) -> None:
    """No value is taken for another's."""
    assert read(compiled, ROW) == read(compiled, dict(reversed(ROW.items())))
    assert len(compiled) == 2


def test_no_more_than_so_many_layouts_are_remembered(compiled: CompiledReaders) -> None:
    """Rows of all further ones are read, too."""
    for number in range(1_000):
        assert read(compiled, {**ROW, f"new {number}": number}).extra == {f"new {number}": number}
    assert len(compiled) == 64


def test_an_endless_row_is_no_layout(compiled: CompiledReaders) -> None:
    """Its function would be as long."""
    unknown = {f"new {number}": number for number in range(1_000)}
    assert read(compiled, {**ROW, **unknown}).extra == unknown
    assert len(compiled) == 0


def test_a_row_of_endless_keys_is_no_layout(compiled: CompiledReaders) -> None:
    """What is remembered is bounded in characters, too."""
    unknown = {f"{number}" + "k" * 2**20: number for number in range(4)}
    assert read(compiled, {**ROW, **unknown}).extra == unknown
    assert len(compiled) == 0


def test_a_peer_that_invents_layouts_slows_no_others(compiled: CompiledReaders, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions are written ever more seldom, but what comes again and again gets one."""
    made, written = [], compiled.compile_reader
    monkeypatch.setattr(compiled, "compile_reader", lambda layout, taking: made.append(layout) or written(layout, taking))
    for number in range(1_000):
        read(compiled, {**ROW, f"new {number}": number})
    assert len(made) < 64 + 16
    for _ in range(2_000):
        read(compiled, ROW)
    assert tuple(ROW) in compiled
    assert len(compiled) == 64


def test_a_row_without_what_it_cannot_do_without_is_refused_again(compiled: CompiledReaders) -> None:
    """And costs no more the second time."""
    for _ in range(2):
        with pytest.raises(InvalidValue, match="the row cannot do without"):
            read(compiled, {"symbol": "BTCUSDT"})
    assert len(compiled) == 1


def test_a_function_shows_its_source(compiled: CompiledReaders) -> None:
    """`inspect.getsource` finds the lines that were compiled."""
    read(compiled, ROW)
    assert "update.size = ZERO if size" in inspect.getsource(compiled[tuple(ROW)])


def test_a_traceback_shows_the_line_of_a_function_that_failed(compiled: CompiledReaders) -> None:
    """As for code that lies in a file, also after `linecache` looked for changed files."""
    read(compiled, ROW)
    linecache.checkcache()
    with pytest.raises(InvalidValue) as caught:
        read(compiled, {**ROW, "symbol": 5})
    assert "read_symbol(symbol)" in "".join(traceback.format_exception(caught.value))


def test_the_source_of_a_function_is_dropped_with_it() -> None:
    """A peer that invents layouts cannot fill `linecache`."""
    reader, before = Decoder(RENAMES, WORDS).reader(BalanceUpdate), sources()
    for number in range(200):
        reader.structure({"accountType": "UNIFIED", f"new {number}": number})
    gc.collect()
    assert sources() <= before + 64


def sources() -> int:
    """Return how many functions that read balances have their source in `linecache`."""
    return sum(name.endswith(" of BalanceUpdate>") for name in linecache.cache)


def test_what_stands_in_a_key_is_never_executed(compiled: CompiledReaders) -> None:
    """The exchange's texts are no part of a function's source."""
    bad = "x'\n    raise SystemExit\n#"
    assert read(compiled, {**ROW, bad: 1}).extra == {bad: 1}


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
def test_a_row_says_the_same_to_all_who_read_it(compiled: CompiledReaders, row: dict[str, Any]) -> None:
    """Fast, value by value, and thoroughly."""
    fast, slow, thorough = read(compiled, row), compiled.read_slowly(row, row), DECODER.reader(PositionUpdate).explained(row)
    assert (fast, fast.extra, fast.wire) == (slow, slow.extra, slow.wire) == (thorough, thorough.extra, thorough.wire)
