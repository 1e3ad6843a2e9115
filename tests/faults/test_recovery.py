"""Section N: recovery over REST; the rows that have no test in the folder of what they test."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from bybit_sync import Event
from bybit_sync.simulator import Account, Exchange
from tests.conftest import FAST, KEY, FastClient, evolved
from tests.faults.canaries import canaries_in
from tests.faults.rows import row
from tests.recovery.conftest import Recovering
from tests.recovery.reading import Reader, booked, buy, coins, fills, held_positions, indices, recovered, snapshot, told
from tests.recovery.test_outages import PATIENT, held_positions_of
from tests.recovery.test_troubles import FILLS, miss


@row(168, kills="a read that failed is tried again without a pause")
@pytest.mark.soak
def test_a_host_that_is_down_for_a_minute_is_asked_seldom(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """And is mended afterwards."""
    reader = Reader(recovering(hold=0.2).subscribe_user_trades())
    exchange.rest.refuse(10016)
    miss(exchange, account)
    threading.Event().wait(60.0)
    assert len(exchange.rest.calls) <= 30
    exchange.rest.heal()
    reader.until(recovered)
    assert fills(reader.events) == booked(account)


@row(170, kills="fills that REST has brought are not known when they are pushed")
def test_fills_that_are_pushed_after_rest_has_brought_them_come_once(
    recovering: Recovering, exchange: Exchange, account: Account
) -> None:
    """In their order."""
    reader = Reader(recovering(hold=60.0, client=PATIENT).subscribe_user_trades())
    exchange.rest.refuse(10016, FILLS)
    exchange.drop()
    exchange.wait_for(lambda: exchange.rest.calls and exchange.rest.calls[-1].code == 10016)
    exchange.freeze()
    buy(account)
    buy(account)
    exchange.rest.heal()
    reader.until(recovered)
    exchange.thaw()
    buy(account)
    assert reader.until_fills(3) == booked(account)
    assert indices(reader.events)


REMEDIES: Final = {10003: "Check the key", 10004: "secret", 10010: "public address", 33004: "make a new one"}


@row(173, kills="a refused key is taken for what may pass")
@pytest.mark.parametrize("code", REMEDIES)
def test_a_refused_key_is_told_to_every_stream(recovering: Recovering, exchange: Exchange, account: Account, code: int) -> None:
    """With endpoint and remedy, and not as something that is being mended."""
    client = recovering()
    readers = {FILLS: Reader(client.subscribe_user_trades()), "position/list": Reader(client.subscribe_positions())}
    readers["position/list"].until(snapshot)
    exchange.rest.refuse(code)
    miss(exchange, account)
    for endpoint, reader in readers.items():
        gap = reader.until(told)[-1].gap
        assert gap is not None
        assert not gap.recovering
        assert endpoint in gap.detail
        assert REMEDIES[code] in gap.detail


@row(174, kills="a request that was refused for its time is not signed anew")
def test_a_clock_that_jumped_is_measured_and_the_request_repeated(
    recovering: Recovering, exchange: Exchange, account: Account
) -> None:
    """By 30 s, and no push or pong has told of it yet."""
    reader = Reader(recovering(client=PATIENT).subscribe_positions())
    reader.until(snapshot)
    buy(account)
    reader.until(lambda event: event.data)
    exchange.set_clock(30.0)
    exchange.rest.forget_calls()
    reader.subscription.refresh()
    event = reader.until(snapshot)[-1]
    assert held_positions([event]) == held_positions_of(account)
    assert [call.code for call in exchange.rest.calls].count(10002) == 1
    assert [call.name for call in exchange.rest.calls].count("market/time") == 1


LIMITS: Final[Mapping[str, Callable[[Exchange], object]]] = {
    "10006 with headers": lambda exchange: exchange.rest.exhaust(FILLS, times=1),
    "10006 without": lambda exchange: exchange.rest.exhaust(FILLS, headers=False, times=1),
    "429": lambda exchange: exchange.rest.respond(429, "", FILLS, times=1),
}


@row(175, kills="after 10006 or 429 the endpoint is asked again at once")
@pytest.mark.parametrize("limit", LIMITS)
def test_an_exceeded_limit_delays_what_was_missed(
    recovering: Recovering, exchange: Exchange, account: Account, limit: str
) -> None:
    """By a time of its own where the exchange does not say for how long."""
    reader = Reader(recovering(hold=60.0).subscribe_user_trades())
    LIMITS[limit](exchange)
    miss(exchange, account)
    (event,) = reader.until(recovered)
    assert fills([event]) == booked(account)
    refused, again, *_ = (call for call in exchange.rest.calls if call.name == FILLS)
    assert again.at - refused.at >= FAST.rest_limited or limit == "10006 with headers"


@row(176, kills="HTTP 403 holds for one client, or until the next pause")
def test_an_address_that_was_refused_asks_nothing_for_a_time(
    recovering: Recovering,
    exchange: Exchange,
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
    log: pytest.LogCaptureFixture,
) -> None:
    """Not for another client, either; then all is mended. One WARNING tells it."""
    monkeypatch.setattr(FastClient, "_timings", evolved(FAST, rest_blocked=1.0))
    reader = Reader(recovering(hold=0.1).subscribe_user_trades())
    exchange.rest.ban()
    miss(exchange, account)
    (gap,) = reader.until(told)
    exchange.wait_for(lambda: exchange.rest.calls)
    exchange.rest.heal()
    assert gap.gap is not None
    assert gap.gap.recovering
    other = Reader(recovering(client={"name": "other"}).subscribe_positions())
    for mended in (reader, other):
        mended.until(lambda event: event.recovered or event.snapshot)
    banned, *later = exchange.rest.calls
    assert (banned.status, min(call.at for call in later) - banned.at >= 1.0) == (403, True)
    assert (fills(reader.events), held_positions(other.events)) == (booked(account), held_positions_of(account))
    warned = [r.getMessage() for r in log.records if r.levelno == logging.WARNING and "HTTP 403" in r.getMessage()]
    assert len([text for text in warned if "other" not in text]) == 1


@row(181, kills="only executions of the type Trade are delivered")
@pytest.mark.parametrize("kind", ["AdlTrade", "Settle", "Delivery"])
def test_executions_that_the_exchange_makes_are_recovered(
    recovering: Recovering, exchange: Exchange, account: Account, kind: str
) -> None:
    """With their own kinds."""
    buy(account)
    reader = Reader(recovering().subscribe_user_trades())
    exchange.stop_listening()
    account.fill(account.place_order("BTCUSDT", "Sell", qty="0.1", price="20000"), exec_type=kind)
    exchange.listen()
    (event,) = reader.until(recovered)
    assert [(row.exec_id, str(row.exec_type)) for row in event.data] == [(booked(account)[-1], kind)]


@row(182, kills="balances are not read again, or told only after a push")
def test_a_wallet_that_moves_without_a_push_is_told_by_a_further_read(
    recovering: Recovering, exchange: Exchange, account: Account
) -> None:
    """Interest, for example."""
    reader = Reader(recovering(confirm_after=(0.2, 1.0, 4.0, 10.0)).subscribe_balances())
    reader.until(snapshot)
    exchange.lose_pushes()
    account.transfer("USDT", "-3.5")
    expected = {name: account.balance(name).wallet for name in ("BTC", "ETH", "USDT")}
    (event,) = reader.until(snapshot)
    assert coins([event]) == expected


ANSWERS: Final = {
    "not an object": "[]",
    "text for a code": '{"retCode": "zero", "result": {}}',
    "deep nesting": "[" * 100_000,
    "too long": b'{"retCode": 0, "result": {"list": ["' + b"x" * 5_000_000 + b'"]}}',
    "no list": '{"retCode": 0, "result": {}}',
    "not UTF-8": b'{"retCode": 0, "retMsg": "\xff\xfe"}',
}


@row(184, kills="an answer that is none counts as a refusal")
@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_that_cannot_be_read_is_asked_for_again(
    recovering: Recovering, exchange: Exchange, account: Account, kind: str
) -> None:
    """Nothing is missing then."""
    reader = Reader(recovering(hold=60.0).subscribe_user_trades())
    exchange.rest.respond(200, ANSWERS[kind], FILLS, times=1)
    miss(exchange, account)
    (event,) = reader.until(recovered)
    assert fills([event]) == booked(account)


@row(189, kills="each client counts its own requests only")
def test_twenty_clients_that_recover_at_once_keep_the_limits_together(
    recovering: Recovering, exchange: Exchange, account: Account
) -> None:
    """Each has what it missed within 30 s."""
    rate = 40.0
    # Those of two seconds may arrive within one, when the first are under way for long.
    exchange.rest.limit(2 * int(rate))
    clients = [recovering(rate=rate, hold=60.0, client={"name": f"c{number}"}) for number in range(20)]
    trades = [Reader(client.subscribe_user_trades()) for client in clients]
    positions = [Reader(client.subscribe_positions()) for client in clients]
    for reader in positions:
        reader.until(snapshot, timeout=30.0)
    exchange.rest.forget_calls()
    miss(exchange, account)
    assert all(fills(reader.until(recovered, timeout=30.0)) == booked(account) for reader in trades)
    assert all(held_positions(reader.until(recovered, timeout=30.0)) == held_positions_of(account) for reader in positions)
    asked = [call for call in exchange.rest.calls if call.name == "position/list"]
    assert {call.code for call in exchange.rest.calls} == {0}
    # The first may arrive late: a second is allowed for that, and one for the last.
    assert asked[-1].at - asked[0].at >= len(asked) / rate - 2.0 > 1.0


@row(190, kills="what a callback raises ends its subscription")
def test_a_consumer_that_raises_gets_every_event_all_the_same(
    recovering: Recovering, exchange: Exchange, account: Account
) -> None:
    """And is told of each error."""
    seen, errors = list[Event[Any]](), list[BaseException]()

    def take(event: Event[Any]) -> None:
        seen.append(event)
        raise ValueError(event.index)

    client = recovering(client={"on_error": lambda error, _event, _subscription: errors.append(error)})
    client.subscribe_user_trades(take)
    miss(exchange, account, 3)
    exchange.wait_for(lambda: fills(seen) == booked(account))
    buy(account)
    exchange.wait_for(lambda: len(errors) == 2)
    assert (fills(seen), [error.args for error in errors]) == (booked(account), [(1,), (2,)])


@row(190, kills="fills that found no room count as delivered")
def test_what_finds_no_room_in_an_outage_is_told_and_can_be_asked_for(
    recovering: Recovering, exchange: Exchange, account: Account
) -> None:
    """What it had comes when it is asked for."""
    client = recovering()
    subscription = client.subscribe_user_trades(maxsize=1)
    buy(account)
    exchange.wait_for(lambda: subscription.queued == 1)
    exchange.rest.forget_calls()
    miss(exchange, account, 3)
    exchange.wait_for(lambda: len(exchange.rest.calls) >= 2 and not client.health().recovery.pending)  # type: ignore[union-attr]
    reader = Reader(subscription)
    gap = reader.until(told)[-1].gap
    assert gap is not None
    assert not gap.recovering
    subscription.refresh()
    assert sorted(reader.until_fills(4)) == sorted(booked(account))
    assert len(fills(reader.events)) == 4


REPEATING: Final[Mapping[str, Callable[[Exchange], object]]] = {
    "signature": lambda exchange: exchange.rest.refuse(10004, text=f"error sign! origin_string[1{KEY}5000]"),
    "page": lambda exchange: exchange.rest.respond(502, f"<html>{KEY}</html>"),
    "no JSON": lambda exchange: exchange.rest.respond(200, f"{{{KEY}"),
    "redirect": lambda exchange: exchange.rest.respond(302, headers={"Location": f"http://127.0.0.1:9/{KEY}"}),
    "cut": lambda exchange: exchange.rest.cut(after=10),
    "away": lambda exchange: exchange.rest.stop_listening(),
}


@row(191, kills="what the host repeats of the key is passed on")
@pytest.mark.parametrize("fault", REPEATING)
def test_nothing_of_a_failed_recovery_tells_a_secret(
    recovering: Recovering,
    exchange: Exchange,
    account: Account,
    tmp_path: Path,
    fault: str,
    log: pytest.LogCaptureFixture,
) -> None:
    """Neither gap, health and log nor the recording; the host repeats the key."""
    client = recovering(hold=0.2, client={"record": tmp_path / "session.jsonl"})
    reader = Reader(client.subscribe_user_trades())
    REPEATING[fault](exchange)
    miss(exchange, account)
    (event,) = reader.until(told)
    exchange.wait_for(lambda: client.health().recovery.last_error)  # type: ignore[union-attr]
    told_of = [repr(event), repr(client.health()), repr(client), log.text]
    assert client.close()
    told_of.append((tmp_path / "session.jsonl").read_text(encoding="utf-8"))
    assert all(told_of)
    assert [found for text in told_of for found in canaries_in(text)] == []
