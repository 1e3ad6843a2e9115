"""`from_dict`: what `to_dict` wrote becomes the same again, through JSON and back."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from bybit_sync import ConfigurationError, ConnectionLost, Event, OrderStatus, Source, from_dict, to_dict
from tests.model.test_updates import BALANCE, GAP, ORDER, POSITION, TRADE, event


def again(record: Any) -> Any:
    """Return *record* after it was written as JSON and read."""
    return from_dict(json.loads(json.dumps(to_dict(record))))


@pytest.mark.parametrize("record", [POSITION, ORDER, TRADE, BALANCE, GAP, event()], ids=lambda record: type(record).__name__)
def test_what_was_written_is_read_again(record: Any) -> None:
    """Every class comes back as itself, digit for digit, and says where it came from."""
    twin = again(record)
    assert to_dict(twin) == to_dict(record)
    assert to_dict(record)["type"] == type(twin).__name__ == type(record).__name__


@pytest.mark.parametrize("update", [POSITION, ORDER, TRADE, BALANCE], ids=lambda record: type(record).__name__)
def test_an_update_that_is_read_again_is_equal(update: Any) -> None:
    """And hashes alike; the row as the exchange wrote it is not kept."""
    assert (again(update), hash(again(update))) == (update, hash(update))
    assert dict(again(update).wire) == {}


def test_an_event_that_is_read_again_lacks_its_frame() -> None:
    """All else is as it was, also what it mends."""
    mended = event(source=Source.REST, snapshot=True, recovered=attrs.evolve(GAP, error=None), unresolved=("o-1",))
    assert again(mended) == attrs.evolve(mended, raw=b"")


def test_a_word_that_is_read_again_is_of_its_vocabulary() -> None:
    """Also an unknown one; numbers by name are numbers."""
    twin = again(ORDER)
    assert twin.order_status is OrderStatus("Parked")
    assert twin.cum_fee_detail == ORDER.cum_fee_detail


@pytest.mark.parametrize(("error", "kept"), [(ConnectionLost("it: went"), ConnectionLost), (OSError("it: went"), Exception)])
def test_the_error_of_a_gap_keeps_its_text(error: Exception, kept: type[Exception]) -> None:
    """And its class, if that is of this library: nothing else is made by a name in a text."""
    twin = again(attrs.evolve(GAP, error=error))
    assert (type(twin.error), str(twin.error)) == (kept, "it: went")


def test_what_another_version_wrote_is_read() -> None:
    """A key that it did not know has its default; one that is unknown here is left out."""
    plain = to_dict(event())
    del plain["source"]
    assert from_dict({**plain, "newer": 1}) == Event(**{**attrs.asdict(event(), recurse=False), "raw": b""})


@pytest.mark.parametrize("data", [None, [], {}, {"type": "Health"}, {"type": ["Gap"]}, "Gap"])
def test_what_to_dict_never_gives_is_refused(data: Any) -> None:
    """With the classes that can be read."""
    with pytest.raises(ConfigurationError, match="is nothing that to_dict gives: its type is none of .*'Gap'"):
        from_dict(data)


@pytest.mark.parametrize("change", [{"size": "much"}, {"updated_time": 5}, {"extra": []}, {"symbol": None}])
def test_a_value_that_cannot_be_read_is_refused(change: dict[str, Any]) -> None:
    """The error names the class."""
    with pytest.raises(ConfigurationError, match="data cannot be read as PositionUpdate"):
        from_dict({**to_dict(POSITION), **change})
