"""The REST host goes wrong on command, and right again."""

from __future__ import annotations

import gc
import http.client
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from bybit_sync.simulator import Account, Exchange
from bybit_sync.simulator.rest.limits import AddressLimit, KeyLimits, Standing
from bybit_sync.simulator.rest.requests import Reply, RestRequest
from bybit_sync.simulator.rest.server import RestServer
from tests.conftest import open_descriptors
from tests.simulator.rest.asker import Answered, Asker

LINEAR = {"category": "linear", "settleCoin": "USDT"}


def place(account: Account) -> Any:
    """Place an order."""
    return account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")


def until(asked: Callable[[], Answered], wanted: Callable[[Answered], Any]) -> Answered:
    """Ask until the answer is as *wanted*."""
    deadline = time.monotonic() + 10
    while not wanted(answer := asked()):
        assert time.monotonic() < deadline, answer
        time.sleep(0.02)
    return answer


def test_an_endpoint_lags_behind_the_books(exchange: Exchange, account: Account, asker: Asker) -> None:
    """An order that has ended is for a while in neither list, and then in history."""
    order = place(account)
    lagging = ("order/history", "execution/list", "position/list", "account/wallet-balance")
    exchange.rest.lag(30.0, *lagging)
    account.fill(order)
    assert asker.get("order/realtime", **LINEAR).rows == []
    assert asker.get("order/history", category="linear").rows == []
    assert asker.get("execution/list", category="linear").rows == []
    assert asker.get("position/list", **LINEAR).rows == []
    assert asker.get("account/wallet-balance", accountType="UNIFIED").rows[0]["coin"][0]["walletBalance"] == "10000"
    exchange.rest.lag(0.1, *lagging)
    assert until(lambda: asker.get("order/history", category="linear"), lambda answer: answer.rows)
    assert asker.get("execution/list", category="linear").rows[0]["orderId"] == order.order_id


def asked_in_background(exchange: Exchange, asker: Asker) -> tuple[threading.Thread, list[Answered]]:
    """Ask for the open orders on a thread; return when the exchange has the request."""
    answers: list[Answered] = []
    asking = threading.Thread(target=lambda: answers.append(asker.get("order/realtime", **LINEAR)))
    asking.start()
    exchange.wait_for(lambda: exchange.rest.calls)
    return asking, answers


def test_a_slow_answer_is_of_the_moment_of_its_request(exchange: Exchange, account: Account, asker: Asker) -> None:
    """What happens while it is under way is not in it."""
    exchange.rest.slow(0.5, "order/realtime")
    asking, answers = asked_in_background(exchange, asker)
    place(account)
    asking.join()
    assert time.monotonic() - exchange.rest.calls[0].at >= 0.5
    assert answers[0].rows == []


def test_a_slow_answer_is_made_before_it_waits(exchange: Exchange) -> None:
    """However long it is under way."""
    exchange.rest.slow(3600.0)
    reply = exchange._rest_host.answer(RestRequest(method="GET", path="/v5/market/time"))
    assert (reply.status, reply.delay()) == (200, 3600.0)


def test_a_slow_answer_is_sent_when_the_delay_ends(exchange: Exchange, account: Account, asker: Asker) -> None:
    """Though it is under way already."""
    exchange.rest.slow(3600.0, "order/realtime")
    asking, answers = asked_in_background(exchange, asker)
    assert answers == []
    exchange.rest.heal()
    asking.join(30)
    assert [answer.code for answer in answers] == [0]


def test_a_refusal_can_be_ordered_for_one_endpoint_and_some_times(exchange: Exchange, asker: Asker) -> None:
    """The others are not touched."""
    exchange.rest.refuse(10005, "execution/list", times=1)
    assert asker.get("order/realtime", **LINEAR).code == 0
    refused, served = (asker.get("execution/list", category="linear") for _ in range(2))
    assert (refused.code, refused.envelope["retMsg"], served.code) == (
        10005,
        "Permission denied, please check your API key permissions.",
        0,
    )


def test_too_many_requests_in_a_second_are_refused(exchange: Exchange, asker: Asker) -> None:
    """10006 with HTTP 200, and the header says when to ask again."""
    exchange.rest.limit(1, "account/info")
    refused = until(lambda: asker.get("account/info"), lambda answer: answer.code == 10006)
    assert (refused.status, refused.headers["x-bapi-limit-status"]) == (200, "0")
    assert int(refused.headers["x-bapi-limit-reset-timestamp"]) - refused.envelope["time"] <= 1000
    assert until(lambda: asker.get("account/info"), lambda answer: answer.code == 0)


def test_a_key_s_limit_is_a_rolling_second() -> None:
    """Each endpoint by itself; what is refused does not count."""
    limits = KeyLimits()
    assert [limits.take("k", "a", 2, now).is_over for now in (0.0, 0.5, 0.9, 1.0, 1.4)] == [False, False, True, False, True]
    assert limits.take("k", "b", 2, 0.9) == Standing(2, 1, 0.0, is_over=False)
    assert limits.take("k", "a", 2, 1.4).wait == pytest.approx(0.1)


def test_the_headers_of_a_limit_may_be_missing(exchange: Exchange, asker: Asker) -> None:
    """As was seen."""
    exchange.rest.exhaust("account/info", headers=False, times=1)
    answer = asker.get("account/info")
    assert answer.code == 10006
    assert not [name for name in answer.headers if name.startswith("x-bapi")]
    assert "x-bapi-limit" in asker.get("account/info").headers


def test_an_address_is_banned_with_a_page_of_html(exchange: Exchange, asker: Asker) -> None:
    """On command."""
    exchange.rest.ban(times=1)
    banned = asker.get("account/info")
    assert (banned.status, banned.headers["content-type"]) == (403, "text/html")
    assert banned.body.startswith(b"<html>")
    assert asker.get("account/info").code == 0


def test_more_than_six_hundred_requests_in_five_seconds_are_a_ban() -> None:
    """For ten minutes, or until it is lifted."""
    limit = AddressLimit()
    assert not any(limit.is_banned(1.0) for _ in range(600))
    assert limit.is_banned(2.0)
    assert limit.is_banned(601.0)
    limit.lift()
    assert not limit.is_banned(601.0)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (429, "", {}),
        (503, "upstream", {}),
        (302, "", {"Location": "http://127.0.0.1:9/"}),
        (200, "not json", {}),
        (200, b"\xff" * 1_000_000, {}),
    ],
)
def test_any_answer_can_be_ordered(
    exchange: Exchange, asker: Asker, status: int, body: str | bytes, headers: dict[str, str]
) -> None:
    """And is counted."""
    exchange.rest.respond(status, body, "account/info", headers=headers, times=1)
    answer = asker.get("account/info")
    assert (answer.status, answer.body) == (status, body.encode() if isinstance(body, str) else body)
    assert {name: answer.headers[name.lower()] for name in headers} == headers
    assert [(call.status, call.code) for call in exchange.rest.calls] == [(status, None)]


@pytest.mark.parametrize("after", [0, 20])
def test_the_connection_is_cut_in_the_middle_of_an_answer(exchange: Exchange, asker: Asker, after: int) -> None:
    """The client notices that something is missing."""
    exchange.rest.cut("account/info", after=after, times=1)
    with pytest.raises(http.client.IncompleteRead) as cut:
        asker.get("account/info")
    assert len(cut.value.partial) == after
    assert asker.get("account/info").code == 0


def test_the_port_refuses_while_it_does_not_listen(exchange: Exchange, account: Account, asker: Asker) -> None:
    """The streams go on; the URL stays the same."""
    url = exchange.rest_url
    exchange.rest.stop_listening()
    with pytest.raises(ConnectionRefusedError):
        asker.get("account/info")
    exchange.rest.listen()
    assert asker.get("account/info").code == 0
    assert exchange.rest_url == url


@pytest.mark.parametrize(
    ("way", "key", "value"),
    [("documented", "stopOrderType", "UNKNOWN"), ("documented", "triggerPrice", "0.00"), ("null", "takeProfit", None)],
)
def test_rows_may_be_spelled_otherwise(
    exchange: Exchange, account: Account, asker: Asker, way: str, key: str, value: Any
) -> None:
    """As was seen in documentation and captures."""
    place(account)
    exchange.rest.spell(way)
    assert asker.get("order/realtime", **LINEAR).rows[0][key] == value


def test_times_may_be_whole_numbers_and_fees_a_text(exchange: Exchange, account: Account, asker: Asker) -> None:
    """As some gateways write them."""
    account.fill(place(account))
    exchange.rest.spell("whole times", "position/list")
    exchange.rest.spell("fees as text", "execution/list")
    assert isinstance(asker.get("position/list", **LINEAR).rows[0]["updatedTime"], int)
    assert asker.get("execution/list", category="linear").rows[0]["extraFees"] == "[]"


def test_rows_can_be_rewritten(exchange: Exchange, account: Account, asker: Asker) -> None:
    """Tomorrow's exchange has other keys."""
    place(account)
    exchange.rest.rewrite({"mood": "good"}, "order/realtime", without=["side"])
    (row,) = asker.get("order/realtime", **LINEAR).rows
    assert row["mood"] == "good"
    assert "side" not in row


def test_every_fault_ends_with_heal(exchange: Exchange, account: Account, asker: Asker) -> None:
    """All at once."""
    faults = exchange.rest
    place(account)
    usual = asker.get("order/realtime", **LINEAR).rows
    faults.lag(60.0)
    faults.slow(60.0)
    faults.refuse(10016)
    faults.limit(1)
    faults.exhaust()
    faults.cursors("self")
    faults.rewrite({"symbol": "X"})
    faults.respond(500)
    faults.cut()
    faults.hide_conditional_orders()
    faults.stop_listening()
    exchange.heal()
    assert asker.get("order/realtime", **LINEAR).rows == usual


def test_what_cannot_be_ordered_is_refused_at_once() -> None:
    """Rather than never happening."""
    with Exchange() as exchange:
        for wrong in (
            lambda: exchange.rest.lag(1.0, "order/nowhere"),
            lambda: exchange.rest.cursors("odd"),
            lambda: exchange.rest.spell("odd"),
        ):
            with pytest.raises(ValueError, match="is none of"):
                wrong()


def test_a_script_orders_faults_too(exchange: Exchange, asker: Asker) -> None:
    """Behind ``rest.``."""
    exchange.play([{"do": "rest.refuse", "code": 10016, "endpoints": ["account/info"], "times": 1}])
    assert asker.get("account/info").code == 10016


# --- what it costs ---


def test_an_exchange_that_nobody_asks_over_rest_has_no_thread_for_it() -> None:
    """Its port is taken with the first look at rest_url."""
    before = set(threading.enumerate())  # the exchange of a demo ends after its client
    with Exchange() as exchange:
        names = [[], ["exchange-rest"]]
        for expected in names:
            new = set(threading.enumerate()) - before
            assert [thread.name for thread in new if thread.name.startswith("exchange-rest")] == expected
            assert exchange.rest_url


def test_close_leaves_no_thread_and_no_socket() -> None:
    """Also when a client keeps its connection, and while an answer is under way."""
    gc.collect()
    before, threads = open_descriptors(), threading.active_count()
    asked = threading.Event()

    def answer(request: RestRequest) -> Reply:
        asked.set()
        return Reply(delay=lambda: 60.0 * len(request.query))

    server = RestServer("127.0.0.1", tls=None, answer=answer)
    server.listen()
    kept = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=10) for _ in range(2)]
    kept[0].request("GET", "/")
    kept[0].getresponse().read()
    asked.clear()
    kept[1].request("GET", "/?slow")
    assert asked.wait(10)
    server.close()
    for connection in kept:
        connection.close()
    assert (open_descriptors(), threading.active_count()) == (before, threads)


def test_rest_url_needs_an_exchange_that_runs() -> None:
    """As url does."""
    with pytest.raises(RuntimeError, match="not running"):
        assert Exchange().rest_url


def test_no_key_and_no_signature_is_in_what_was_asked(exchange: Exchange, asker: Asker) -> None:
    """`RestCall` is made to be shown."""
    asker.get("order/realtime", **LINEAR)
    (call,) = exchange.rest.calls
    assert (call.name, dict(call.parameters), call.status, call.code) == ("order/realtime", LINEAR, 200, 0)
    exchange.rest.forget_calls()
    assert exchange.rest.calls == ()
