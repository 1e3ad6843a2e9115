"""A listing is read to its end, whatever its cursors do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

import pytest

from bybit_sync.rest.answers import Answer
from bybit_sync.rest.endpoints import EXECUTIONS, POSITIONS, WALLET, Endpoint
from bybit_sync.rest.queries import LONGEST_CURSOR
from bybit_sync.rest.walks import MOST_IDLE_PAGES, Walk

SMALL = Endpoint("small", "", object, 2, EXECUTIONS.key)


def answer(names: Sequence[Any], cursor: Any = "") -> Answer:
    """Return a page with executions of these *names*."""
    return Answer({"list": [{"execId": name} for name in names], "nextPageCursor": cursor})


def walked(pages: dict[str, tuple[Sequence[Any], Any]], most: int = 20) -> tuple[list[list[Any]], Walk]:
    """Return what a walk over *pages*, by their cursors, brings page by page, and the walk."""
    walk, found = Walk(SMALL, {}), []
    while walk.query is not None:
        cursor = parse_qs(walk.query).get("cursor", [""])[0]
        found.append([row["execId"] for row in walk.take(answer(*pages[cursor]))])
        assert len(found) <= most, "it does not end"
    return found, walk


def test_the_largest_page_is_asked_for() -> None:
    """Where there are pages."""
    assert Walk(POSITIONS, {"category": "inverse"}).query == "category=inverse&limit=200"
    assert Walk(WALLET, {"accountType": "UNIFIED"}).query == "accountType=UNIFIED"


def test_a_walk_ends_with_an_empty_cursor() -> None:
    """And asks for each page with the same parameters."""
    found, walk = walked({"": ("ab", "1"), "1": ("c", "")})
    assert (found, walk.is_complete, walk.pages) == ([["a", "b"], ["c"]], True, 2)


def test_a_cursor_on_the_last_page_leads_to_an_empty_one() -> None:
    """As the exchange does it."""
    found, walk = walked({"": ("a", "1"), "1": ("", "")})
    assert (found, walk.is_complete) == ([["a"], []], True)


def test_an_empty_page_in_the_middle_ends_nothing() -> None:
    """As long as its cursor is new."""
    found, walk = walked({"": ("ab", "1"), "1": ("", "2"), "2": ("c", "")})
    assert (found, walk.is_complete) == ([["a", "b"], [], ["c"]], True)


def test_a_row_on_two_pages_comes_once() -> None:
    """The next page may begin with it."""
    found, _ = walked({"": ("ab", "1"), "1": ("bc", "2"), "2": ("cd", "")})
    assert found == [["a", "b"], ["c"], ["d"]]


def test_a_cursor_that_addresses_its_own_page_ends_a_walk() -> None:
    """It is complete if that page was not full: else nobody can tell."""
    found, walk = walked({"": ("ab", "1"), "1": ("c", "1")})
    assert (found, walk.is_complete) == ([["a", "b"], ["c"], []][: len(found)], True)
    _, walk = walked({"": ("ab", "1"), "1": ("cd", "1")})
    assert not walk.is_complete


def test_a_circle_of_cursors_ends() -> None:
    """Each is followed once."""
    found, _ = walked({"": ("ab", "1"), "1": ("cd", "2"), "2": ("ab", "1")})
    assert sum(map(len, found)) == 4


def test_cursors_without_end_and_without_rows_are_given_up() -> None:
    """After a few pages that bring nothing new; not complete if they are full."""
    pages = {"": ("ab", "1"), **{str(n): ("ab", str(n + 1)) for n in range(1, 99)}}
    found, walk = walked(pages)
    assert (len(found), walk.is_complete) == (1 + MOST_IDLE_PAGES, False)


@pytest.mark.parametrize("cursor", ["x" * (LONGEST_CURSOR + 1), 7, ["x"]])
def test_a_cursor_that_cannot_be_sent_back_ends_a_walk(cursor: Any) -> None:
    """Which is not complete when the page is full."""
    assert not walked({"": ("ab", cursor)})[1].is_complete
    assert walked({"": ("a", cursor)})[1].is_complete
    assert walked({"": ("ab", None)})[1].is_complete


def test_a_row_that_is_none_is_left_to_its_reader() -> None:
    """A walk does not judge rows: none is lost for having no key."""
    walk = Walk(SMALL, {})
    rows = [7, {}, {}, {"execId": ["x"]}, {"execId": ["x"]}, None]
    assert walk.take(Answer({"list": rows})) == rows


def test_hedge_legs_and_symbols_are_told_apart() -> None:
    """By both."""
    walk = Walk(POSITIONS, {"category": "linear"})
    legs = [{"symbol": s, "positionIdx": i} for s in ("BTCUSDT", "ETHUSDT") for i in (1, 2)]
    assert walk.take(Answer({"list": legs + legs})) == legs
