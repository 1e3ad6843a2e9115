"""A read is run page by page: limits are waited for in place, odd pages are read to their end, all else is an error."""

from __future__ import annotations

from datetime import datetime

import pytest

from bybit_sync.errors import RestBlocked, RestClockRefused, RestLimited, RestProtocolError, RestRefused, RestUnavailable
from bybit_sync.model.events import Stream
from bybit_sync.simulator import Account, Exchange
from tests.faults.rows import row
from tests.recovery.asking.conftest import Asker

TRADES = Stream.USER_TRADES


def trade(account: Account, times: int) -> None:
    """Trade so many times."""
    for _ in range(times):
        account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))


def since(asker: Asker) -> datetime:
    """Return a minute ago."""
    return asker.ago(seconds=60)


@row(175, kills="an exceeded limit ends the read")
@pytest.mark.parametrize("headers", [True, False])
def test_an_exceeded_limit_is_waited_for_in_place(
    asker: Asker,
    exchange: Exchange,
    account: Account,
    headers: bool,  # noqa: FBT001 - a table
) -> None:
    """The page is asked for again, and none before it; with a random part on top."""
    trade(account, 150)
    exchange.rest.exhaust("execution/list", headers=headers, times=1)
    assert len(asker.ask(TRADES, since=since(asker), categories=("linear",)).rows) == 150
    # The page that was refused, two pages, and an empty one behind the last cursor.
    assert asker.asked().count("execution/list") == 4
    assert 0 <= asker.pauses[0] <= 0.5


def test_an_account_of_few_requests_is_read_to_its_end(asker: Asker, exchange: Exchange, account: Account) -> None:
    """The limit is exceeded again and again, and each time there is progress."""
    trade(account, 350)
    exchange.rest.limit(2, "execution/list")
    assert len(asker.ask(TRADES, since=since(asker), categories=("linear",)).rows) == 350


def test_a_limit_that_does_not_end_is_an_error(asker: Asker, exchange: Exchange) -> None:
    """After five tries."""
    exchange.rest.respond(429, "", "account/wallet-balance", headers={"Retry-After": "0"}, times=8)
    with pytest.raises(RestLimited):
        asker.ask(Stream.BALANCES)
    assert len(asker.asked()) == 5


@row(177, kills="an empty page or a repeated cursor ends a listing too early, or never")
@pytest.mark.parametrize("kind", ["kept", "ends", "self", "cycle", "empty page", "repeat"])
def test_odd_cursors_hide_nothing(asker: Asker, exchange: Exchange, account: Account, kind: str) -> None:
    """Each execution comes once."""
    trade(account, 130)
    exchange.rest.cursors(kind, "execution/list")
    rows = asker.ask(TRADES, since=since(asker)).rows
    assert sorted(row.exec_id for row in rows) == sorted(execution.exec_id for execution in account.executions())


@pytest.mark.parametrize("way", ["documented", "whole times", "fees as text", "null"])
def test_every_spelling_is_read(asker: Asker, exchange: Exchange, account: Account, way: str) -> None:
    """Nothing is unreadable."""
    trade(account, 1)
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000", order_link_id="mine")
    exchange.rest.spell(way)
    for stream in Stream:
        answer = asker.ask(stream, since=since(asker))
        assert answer.rows
        assert answer.unreadable == ()


@pytest.mark.parametrize(
    ("code", "error"),
    [(10016, RestUnavailable), (10000, RestUnavailable), (10002, RestClockRefused), (10004, RestRefused), (33004, RestRefused)],
)
def test_what_concerns_every_endpoint_ends_the_read(
    asker: Asker, exchange: Exchange, code: int, error: type[Exception]
) -> None:
    """It is neither tried again nor taken for an empty list."""
    exchange.rest.refuse(code, "order/realtime")
    with pytest.raises(error):
        asker.ask(Stream.ORDERS)
    assert asker.pauses == []


def test_a_banned_address_ends_the_read(asker: Asker, exchange: Exchange) -> None:
    """With the time after which to ask again."""
    exchange.rest.ban(times=1)
    with pytest.raises(RestBlocked) as blocked:
        asker.ask(Stream.BALANCES)
    assert blocked.value.retry_after == 600.0


@row(184, kills="an answer that is no listing is taken for an empty one")
@pytest.mark.parametrize("body", ["<html>", "[]", "[" * 100_000, '{"retCode": 0, "result": {}}', '{"retCode": "zero"}'])
def test_an_answer_that_makes_no_sense_ends_the_read(asker: Asker, exchange: Exchange, body: str) -> None:
    """It may make sense the next time."""
    exchange.rest.respond(200, body, "position/list")
    with pytest.raises(RestProtocolError, match="position/list"):
        asker.ask(Stream.POSITIONS)


def test_a_host_that_is_cut_off_in_an_answer_ends_the_read(asker: Asker, exchange: Exchange) -> None:
    """Half an answer is none."""
    exchange.rest.cut("account/wallet-balance", after=10)
    with pytest.raises(RestUnavailable):
        asker.ask(Stream.BALANCES)


@row(174, kills="the clock is measured for each request, or never")
def test_a_clock_that_is_off_is_measured(asker: Asker, exchange: Exchange, account: Account) -> None:
    """Once for all requests of a read."""
    trade(account, 1)
    exchange.set_clock(30.0)
    assert len(asker.ask(TRADES, since=asker.ago(seconds=90)).rows) == 1
    assert asker.asked().count("market/time") == 1
