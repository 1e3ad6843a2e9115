"""The query of a request is written once."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from bybit_sync.rest.queries import query_string


def test_parameters_stand_in_their_order_and_are_quoted() -> None:
    """Commas stay: lists of coins are written with them."""
    assert query_string({"category": "linear", "coin": "BTC,USDT", "orderLinkId": "a&b=c d"}) == (
        "category=linear&coin=BTC,USDT&orderLinkId=a%26b%3Dc%20d"
    )
    assert query_string({}) == ""


@pytest.mark.parametrize("cursor", ["XRPUSDT%2C1731%2C0", "0a1b%3A17%2C0a1b%3A17", "page_args%3D1%26", "plain-1,2=~"])
def test_a_cursor_goes_back_as_it_came(cursor: str) -> None:
    """Percent signs are not escaped once more."""
    assert query_string({"limit": 50}, cursor) == f"limit=50&cursor={cursor}"


@pytest.mark.parametrize("cursor", ["a&symbol=X", "a b", "50%", "%zz", "a#b", "ä", "a\r\nX: y"])
def test_a_cursor_cannot_end_its_parameter(cursor: str) -> None:
    """Whatever a hostile answer says, the request asks for what was meant."""
    query = query_string({"limit": 50}, cursor)
    assert parse_qsl(query) == [("limit", "50"), ("cursor", cursor)]
    assert query.isascii()
    assert query.isprintable()
