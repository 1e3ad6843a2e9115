"""A reader reads the simulated exchange: in turn, signed, by a deadline, to the end of each listing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bybit_sync.errors import (
    ClientClosed,
    RestBlocked,
    RestClockRefused,
    RestError,
    RestLimited,
    RestProtocolError,
    RestRefused,
    RestUnavailable,
)
from bybit_sync.rest.endpoints import (
    ACCOUNT_INFO,
    EXECUTIONS,
    KEY_INFO,
    OPEN_ORDERS,
    ORDER_HISTORY,
    POSITIONS,
    SERVER_TIME,
    WALLET,
    Endpoint,
)
from bybit_sync.rest.limits import HostLimits
from bybit_sync.rest.reader import RestReader
from bybit_sync.rest.spellings import decode_rows
from bybit_sync.rest.walks import Walk
from bybit_sync.rest.windows import Window, chunks
from bybit_sync.simulator import Account, Exchange
from tests.conftest import KEY

LINEAR = {"category": "linear"}
USDT = {**LINEAR, "settleCoin": "USDT"}
MakeReader = Callable[..., RestReader]


def place(account: Account, **more: Any) -> Any:
    """Place an order."""
    return account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000", **more)


def read(reader: RestReader, endpoint: Endpoint, parameters: dict[str, Any]) -> tuple[list[Any], Walk]:
    """Return the updates of a whole listing, and its walk."""
    walk, updates = Walk(endpoint, parameters), []
    for answer, rows in reader.pages(walk):
        found, faults = decode_rows(endpoint, rows, answer.category)
        assert faults == ()
        updates += found
    return updates, walk


# --- reading ---


def test_every_endpoint_is_read(reader: RestReader, account: Account) -> None:
    """What it says is what the books hold."""
    order = account.fill(place(account), qty="0.2")
    account.cancel(place(account))
    (position,), _ = read(reader, POSITIONS, USDT)
    (open_order,), _ = read(reader, OPEN_ORDERS, USDT)
    (ended,), _ = read(reader, ORDER_HISTORY, LINEAR)
    (trade,), _ = read(reader, EXECUTIONS, LINEAR)
    (wallet,), _ = read(reader, WALLET, {"accountType": "UNIFIED"})
    assert (position.size, position.entry_price, position.seq) == (order.cum_qty, order.price, account.position("BTCUSDT").seq)
    assert (open_order.order_id, open_order.cum_exec_qty) == (order.order_id, order.cum_qty)
    assert (ended.order_status, trade.exec_id) == ("Cancelled", account.executions()[0].exec_id)
    assert {coin.coin: coin.wallet_balance for coin in wallet.coins}["USDT"] == account.balance("USDT").wallet
    assert reader.ask(ACCOUNT_INFO).result["unifiedMarginStatus"] == 6
    assert reader.ask(KEY_INFO).result["readOnly"] == 0


@pytest.mark.parametrize("kind", ["kept", "ends", "self", "cycle", "empty page", "repeat"])
def test_a_listing_is_complete_whatever_its_cursors_do(
    exchange: Exchange, reader: RestReader, account: Account, kind: str
) -> None:
    """Each row once, and it ends."""
    placed = {place(account).order_id for _ in range(120)}
    exchange.rest.cursors(kind, "order/realtime")
    orders, _ = read(reader, OPEN_ORDERS, USDT)
    assert len(orders) == 120
    assert {order.order_id for order in orders} == placed


@pytest.mark.parametrize("kind", ["kept", "ends", "self", "empty page", "repeat"])
def test_a_listing_knows_that_it_is_complete(exchange: Exchange, reader: RestReader, account: Account, kind: str) -> None:
    """Unless its cursors lead in a circle."""
    for _ in range(60):
        place(account)
    exchange.rest.cursors(kind, "order/realtime")
    assert read(reader, OPEN_ORDERS, USDT)[1].is_complete


def test_weeks_are_read_in_windows(exchange: Exchange, reader: RestReader, account: Account) -> None:
    """Empty ones in the middle end nothing."""
    for days in (30, 29, 8, 1):
        exchange.set_clock(-days * 86_400.0)
        account.fill(place(account, order_link_id=f"{days} days ago"))
    exchange.set_clock(0.0)
    now = exchange.now()
    windows = chunks(Window(now - 31 * 86_400_000, now))
    trades = [t for w in windows for t in read(reader, EXECUTIONS, {**LINEAR, **w.parameters})[0]]
    assert [trade.order_link_id for trade in sorted(trades, key=lambda trade: trade.exec_time)] == [
        f"{days} days ago" for days in (30, 29, 8, 1)
    ]


@pytest.mark.parametrize("way", ["documented", "whole times", "fees as text", "null", None])
def test_rows_are_read_in_every_spelling(exchange: Exchange, reader: RestReader, account: Account, way: str | None) -> None:
    """To the same updates."""
    account.fill(place(account, order_link_id="mine", take_profit="30000"), qty="0.2")
    usual = [read(reader, *asked)[0][0] for asked in ((POSITIONS, USDT), (OPEN_ORDERS, USDT), (EXECUTIONS, LINEAR))]
    exchange.rest.spell(way)
    again = [read(reader, *asked)[0][0] for asked in ((POSITIONS, USDT), (OPEN_ORDERS, USDT), (EXECUTIONS, LINEAR))]
    for ours, theirs in zip(again, usual, strict=True):
        names = ours.__attrs_attrs__
        differ = {a.name for a in names if a.name != "wire" and getattr(ours, a.name) != getattr(theirs, a.name)}
        # "0.00" is a price of none as well as no price: both mean not set.
        assert {name for name in differ if getattr(ours, name) or getattr(theirs, name)} == set()


def test_a_page_that_failed_is_asked_for_again(exchange: Exchange, reader: RestReader, account: Account) -> None:
    """A walk goes on where it stopped, and nothing is read twice."""
    for _ in range(60):
        place(account)
    walk, found = Walk(OPEN_ORDERS, USDT), []
    pages = reader.pages(walk)
    found += next(pages)[1]
    exchange.rest.refuse(10016, times=1)
    with pytest.raises(RestUnavailable):
        next(pages)
    found += [row for _, rows in reader.pages(walk) for row in rows]
    assert len({row["orderId"] for row in found}) == len(found) == 60


# --- the clock ---


def test_a_request_that_was_signed_for_another_time_is_signed_once_more(exchange: Exchange, reader: RestReader) -> None:
    """After the exchange's clock was measured; the next one needs no measurement."""
    exchange.set_clock(30.0)
    assert reader.ask(ACCOUNT_INFO).result
    assert reader.ask(ACCOUNT_INFO).result
    assert [call.name for call in exchange.rest.calls] == ["account/info", "market/time", "account/info", "account/info"]


def test_a_clock_that_is_refused_after_a_measurement_is_an_error(exchange: Exchange, reader: RestReader) -> None:
    """One try more, not more."""
    exchange.rest.refuse(10002, "account/info")
    with pytest.raises(RestClockRefused, match="clock"):
        reader.ask(ACCOUNT_INFO)
    assert len(exchange.rest.calls) == 3


def test_the_clock_is_measured_by_half_of_the_way(exchange: Exchange, reader: RestReader) -> None:
    """Within the time that the request took."""
    reader.ask(SERVER_TIME)
    exchange.set_clock(-45.0)
    exchange.rest.slow(0.1)
    began = time.monotonic()
    offset = reader.measure_clock()
    assert abs(offset + 45.0) <= time.monotonic() - began + 0.01


@pytest.mark.parametrize(("told", "is_read"), [({}, True), ({"timeNano": "x"}, True), ({"timeNano": 7}, True)])
def test_the_time_of_the_envelope_will_do(exchange: Exchange, reader: RestReader, told: dict[str, Any], is_read: bool) -> None:  # noqa: FBT001 - a table
    """Where the result tells none."""
    body = {"retCode": 0, "result": told, "time": int(time.time() * 1000) + 90_000}
    exchange.rest.respond(200, json.dumps(body), "market/time")
    assert 80 < reader.measure_clock() < 100


def test_an_answer_without_any_time_is_an_error(exchange: Exchange, reader: RestReader) -> None:
    """There is nothing to sign by."""
    exchange.rest.respond(200, '{"retCode": 0, "result": {}}', "market/time")
    with pytest.raises(RestProtocolError, match="has no time"):
        reader.measure_clock()


# --- limits ---


def test_a_used_up_limit_is_waited_for(exchange: Exchange, account: Account, make_reader: MakeReader) -> None:
    """The next request goes out when the exchange said so; after a time of its own when it said nothing."""
    reader = make_reader(exchange.rest_url, limited=0.2)
    for headers, least in ((True, 0.8), (False, 0.15)):
        exchange.rest.exhaust("account/info", headers=headers, times=1)
        with pytest.raises(RestLimited) as limited:
            reader.ask(ACCOUNT_INFO)
        assert (limited.value.retry_after is not None) is headers
        began = time.monotonic()
        assert reader.ask(ACCOUNT_INFO).result
        assert time.monotonic() - began > least


def test_a_limit_that_takes_longer_than_a_request_may_is_an_error(
    exchange: Exchange, account: Account, make_reader: MakeReader
) -> None:
    """Rather than a wait that nobody asked for; nothing is sent."""
    reader = make_reader(exchange.rest_url, rate=0.01, timeout=2.0)
    reader.ask(ACCOUNT_INFO)
    with pytest.raises(RestLimited, match="not asked, the limit of requests is used up") as limited:
        reader.ask(ACCOUNT_INFO)
    assert limited.value.retry_after == pytest.approx(100.0, abs=60.0)
    assert len(exchange.rest.calls) == 1


def test_the_rate_is_kept(exchange: Exchange, account: Account, make_reader: MakeReader) -> None:
    """As the exchange counts it."""
    # Those of two seconds may arrive within one, when the first are under way for long.
    exchange.rest.limit(7, "account/info")
    reader = make_reader(exchange.rest_url, rate=3.0)
    for _ in range(8):
        reader.ask(ACCOUNT_INFO)
    assert [call.code for call in exchange.rest.calls] == [0] * 8


def test_an_answer_that_was_the_last_allowed_is_minded(exchange: Exchange, reader: RestReader) -> None:
    """The next one waits for the reset."""
    headers = {
        "X-Bapi-Limit-Status": "0",
        "X-Bapi-Limit-Reset-Timestamp": str(exchange.now() + 1_000),
        "Timenow": str(exchange.now()),
    }
    exchange.rest.respond(200, '{"retCode": 0, "result": {"a": 1}}', "account/info", headers=headers, times=1)
    reader.ask(ACCOUNT_INFO)
    began = time.monotonic()
    reader.ask(ACCOUNT_INFO)
    assert time.monotonic() - began > 0.8


def test_a_ban_stops_every_request_of_the_process_to_the_host(
    exchange: Exchange, account: Account, make_reader: MakeReader
) -> None:
    """Of all readers, at all endpoints, without another request."""
    limits = HostLimits()
    first, second = (make_reader(exchange.rest_url, limits=limits) for _ in range(2))
    exchange.rest.ban(times=1)
    with pytest.raises(RestBlocked, match="HTTP 403"):
        first.ask(ACCOUNT_INFO)
    for reader in (first, second):
        with pytest.raises(RestBlocked, match="not asked, this address was refused") as blocked:
            reader.ask(KEY_INFO)
        assert blocked.value.retry_after == pytest.approx(600.0, abs=30.0)
    assert len(exchange.rest.calls) == 1
    exchange.rest.heal()
    limits._host.closed_until = 0.0
    assert second.ask(KEY_INFO).result


# --- refusals ---


@pytest.mark.parametrize("code", [10003, 10004, 10010, 33004])
def test_a_key_that_is_refused_is_refused_in_general(exchange: Exchange, reader: RestReader, code: int) -> None:
    """With the exchange's text and the remedy."""
    exchange.rest.refuse(code)
    with pytest.raises(RestRefused) as refused:
        reader.ask(ACCOUNT_INFO)
    assert (refused.value.code, refused.value.is_general, refused.value.endpoint) == (code, True, "account/info")


def test_a_permission_is_one_endpoint_s(exchange: Exchange, reader: RestReader) -> None:
    """The others are read."""
    exchange.rest.refuse(10005, "execution/list")
    with pytest.raises(RestRefused, match="permission") as refused:
        reader.ask(EXECUTIONS, LINEAR)
    assert not refused.value.is_general
    assert reader.ask(POSITIONS, USDT).rows == []


def test_the_wrong_secret_is_told_without_the_key(exchange: Exchange, account: Account, make_reader: MakeReader) -> None:
    """Although the exchange echoes it."""
    with pytest.raises(RestRefused, match="secret") as refused:
        make_reader(exchange.rest_url, secret="wrong").ask(ACCOUNT_INFO)
    assert KEY not in str(refused.value)
    assert "***" in refused.value.text


def test_a_host_that_is_away_is_worth_another_try(exchange: Exchange, reader: RestReader) -> None:
    """And back is back."""
    exchange.rest.stop_listening()
    with pytest.raises(RestUnavailable, match="Connection refused"):
        reader.ask(ACCOUNT_INFO)
    exchange.rest.listen()
    assert reader.ask(ACCOUNT_INFO).result


# --- signers ---


def test_a_signer_that_fails_is_asked_once_and_named(exchange: Exchange, account: Account, make_reader: MakeReader) -> None:
    """Also on a connection that was kept."""
    calls: list[str] = []

    def sign(text: str) -> str:
        calls.append(text)
        raise OSError("the key store is away")

    reader = make_reader(exchange.rest_url, sign=sign)
    reader.ask(SERVER_TIME)
    with pytest.raises(RestUnavailable, match="could not be signed: OSError: the key store is away. Look into signer="):
        reader.ask(ACCOUNT_INFO)
    assert len(calls) == 1


# --- the end ---


def test_close_ends_a_request_that_hangs(exchange: Exchange, reader: RestReader) -> None:
    """At once, with the error of a closed client."""
    exchange.rest.slow(3600.0)
    errors: list[BaseException] = []

    def ask() -> None:
        with pytest.raises(ClientClosed) as closed:
            reader.ask(ACCOUNT_INFO)
        errors.append(closed.value)

    thread = threading.Thread(target=ask)
    thread.start()
    exchange.wait_for(lambda: exchange.rest.calls)
    reader.close()
    thread.join(10)
    assert len(errors) == 1


def test_close_ends_a_wait_for_a_turn(exchange: Exchange, account: Account, make_reader: MakeReader) -> None:
    """At once, too; afterwards nothing is asked."""
    reader = make_reader(exchange.rest_url, rate=0.01, timeout=3600.0)
    reader.ask(ACCOUNT_INFO)
    timer = threading.Timer(0.1, reader.close)
    timer.start()
    with pytest.raises(ClientClosed):
        reader.ask(ACCOUNT_INFO)
    timer.join()
    with pytest.raises(ClientClosed):
        reader.ask(KEY_INFO)
    assert len(exchange.rest.calls) == 1


def test_a_reader_tells_what_it_is(reader: RestReader, exchange: Exchange) -> None:
    """And no key."""
    reader.ask(SERVER_TIME)
    assert repr(reader) == f"<RestReader of {exchange.rest_url}, 1 requests>"


def test_answers_tell_the_exchange_s_time(exchange: Exchange, reader: RestReader) -> None:
    """That is what balances are ordered by."""
    answer = reader.ask(WALLET, {"accountType": "UNIFIED"})
    assert answer.at is not None
    assert timedelta(0) <= timedelta(milliseconds=exchange.now() - answer.at.timestamp() * 1000) < timedelta(seconds=10)


def test_every_error_is_of_one_family() -> None:
    """Whoever catches `RestError` catches all of them, and the websocket's words mean the same here."""
    for kind in (RestUnavailable, RestLimited, RestBlocked, RestRefused, RestClockRefused, RestProtocolError):
        assert issubclass(kind, RestError)
    assert issubclass(RestUnavailable, ConnectionError)
