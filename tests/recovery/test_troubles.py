"""REST that is slow, down, refused, late or odd; consumers that are slow; ends in the middle."""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from bybit_sync import Client, Event, GapReason, Source, SubscriptionClosed
from bybit_sync.errors import QueueOverflow
from bybit_sync.simulator import Account, Exchange
from tests.conftest import threads_of
from tests.faults.rows import row
from tests.recovery.conftest import Recovering
from tests.recovery.reading import Reader, booked, buy, fills, held_positions, indices, recovered, rest, snapshot, told

FILLS = "execution/list"
HANGS = {"connect_timeout": 600.0, "request_timeout": 600.0}


def miss(exchange: Exchange, account: Account, count: int = 1) -> None:
    """Fill *count* orders in an outage, which ends."""
    exchange.stop_listening()
    for _ in range(count):
        buy(account)
    exchange.listen()


@contextmanager
def hanging(exchange: Exchange) -> Iterator[None]:
    """End every connection, and let the port take new ones and never answer."""
    exchange.stop_listening()
    address = urlsplit(exchange.url)
    with socket.create_server((str(address.hostname), int(str(address.port)))):
        yield


# --- REST is slow or down ---


@row(167, kills="pushes wait until REST has answered, however long")
def test_an_outage_that_is_not_mended_in_time_is_told(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """Pushes flow then, and the missed fills follow, once."""
    reader = Reader(recovering(hold=0.2).subscribe_user_trades())
    exchange.rest.slow(600.0, FILLS)
    miss(exchange, account)
    (gap,) = reader.until(told)
    assert gap.gap is not None
    assert (gap.gap.reason, gap.gap.recovering) == (GapReason.DISCONNECTED, True)
    buy(account)
    reader.until(lambda event: event.data)
    exchange.rest.heal()
    reader.until(recovered)
    assert sorted(fills(reader.events)) == sorted(booked(account))
    assert indices(reader.events)


@row(167, kills="pushes are held for as long as a dial hangs")
def test_pushes_are_held_no_longer_while_a_dial_hangs(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """The gap is told while the client waits for the answer to its upgrade."""
    reader = Reader(recovering(hold=1.0, client=HANGS).subscribe_user_trades())
    exchange.rest.slow(600.0, FILLS)
    miss(exchange, account)
    exchange.wait_for(lambda: exchange.rest.calls)
    with hanging(exchange):
        reader.until(told)


@row(168, kills="a read that failed is not tried again")
def test_rest_that_is_down_is_asked_again_until_it_is_back(
    recovering: Recovering, exchange: Exchange, account: Account
) -> None:
    """Pushes flow meanwhile."""
    reader = Reader(recovering(hold=0.2).subscribe_user_trades())
    exchange.rest.stop_listening()
    miss(exchange, account)
    reader.until(told)
    buy(account)
    reader.until(lambda event: event.data)
    exchange.rest.listen()
    reader.until(recovered)
    assert sorted(fills(reader.events)) == sorted(booked(account))


@row(168, kills="an answer that fails is taken for an empty one")
@pytest.mark.parametrize("trouble", ["5xx", "busy", "cut", "no JSON"])
def test_an_answer_that_fails_is_asked_for_again(
    recovering: Recovering, exchange: Exchange, account: Account, trouble: str
) -> None:
    """It may be whole the next time."""
    reader = Reader(recovering(hold=60.0).subscribe_user_trades())
    {
        "5xx": lambda: exchange.rest.respond(502, "Bad Gateway", FILLS, times=1),
        "busy": lambda: exchange.rest.refuse(10016, FILLS, times=1),
        "cut": lambda: exchange.rest.cut(FILLS, after=10, times=1),
        "no JSON": lambda: exchange.rest.respond(200, "{]", FILLS, times=1),
    }[trouble]()
    miss(exchange, account)
    (event,) = reader.until(recovered)
    assert fills([event]) == booked(account)


@row(169, kills="there is no confirming read")
def test_rest_that_lags_is_read_again(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """What the first read lacks comes with the next, and with the same gap."""
    reader = Reader(recovering(hold=0.5, confirm_after=(0.2, 0.5, 1.0, 2.0, 5.0)).subscribe_user_trades())
    exchange.rest.lag(3_600.0, FILLS)
    miss(exchange, account)
    first = reader.until(recovered)
    exchange.rest.heal()
    late = reader.until(lambda event: event.data)
    assert (first[-1].data, fills(late)) == ((), booked(account))
    assert late[-1].recovered == first[-1].recovered


def test_a_state_is_confirmed_in_silence(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """A further read that finds nothing new delivers nothing."""
    buy(account)
    reader = Reader(recovering(confirm_after=(0.1,)).subscribe_positions())
    reader.until(snapshot)
    before = len(exchange.rest.calls)
    exchange.wait_for(lambda: len(exchange.rest.calls) > before + 2)
    account.mark("BTCUSDT", "21000")
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    assert [event.source for event in reader.until(lambda event: event.source == Source.STREAM)] == [Source.STREAM]


# --- REST refuses ---


@row(173, kills="one refusal ends the recovery of every stream")
def test_a_refusal_of_one_endpoint_concerns_its_stream(
    recovering: Recovering, exchange: Exchange, account: Account, log: pytest.LogCaptureFixture
) -> None:
    """The others are mended; one WARNING says what to do."""
    client = recovering()
    trades, positions = Reader(client.subscribe_user_trades()), Reader(client.subscribe_positions())
    exchange.rest.refuse(10005, FILLS)
    miss(exchange, account)
    (gap,) = trades.until(told)
    assert gap.gap is not None
    assert not gap.gap.recovering
    assert FILLS in gap.gap.detail
    assert "permission" in gap.gap.detail
    assert held_positions(positions.until(recovered)) == {("BTCUSDT", 0): account.position("BTCUSDT").size}
    warnings = [r for r in log.records if r.levelno == logging.WARNING and FILLS in r.getMessage()]
    assert len(warnings) == 1


@row(173, kills="what was refused is not in the next window")
def test_what_was_refused_comes_with_the_next_outage(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """From the first gap on."""
    reader = Reader(recovering(overlap=0.0).subscribe_user_trades())
    exchange.rest.refuse(10005, FILLS)
    miss(exchange, account)
    reader.until(told)
    buy(account)
    reader.until(lambda event: event.data)
    exchange.rest.heal()
    miss(exchange, account)
    reader.until(recovered)
    assert sorted(fills(reader.events)) == sorted(booked(account))


# --- what cannot be decoded ---


@row(186, kills="an UNDECODABLE gap is not recovered")
def test_what_cannot_be_decoded_is_read(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """Told at once, and mended."""
    reader = Reader(recovering().subscribe_user_trades())
    exchange.rewrite("user_trades", {"execQty": "1_000"})
    buy(account)
    exchange.leave_pushes_alone()
    reader.until(recovered)
    first = reader.events[0]
    assert first.gap is not None
    assert (first.gap.reason, first.gap.recovering, first.raw != b"") == (GapReason.UNDECODABLE, True, True)
    assert fills(reader.events) == booked(account)


@row(184, kills="a row of REST that cannot be read is skipped without a word")
def test_a_row_of_rest_that_cannot_be_read_is_told(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """With its path, behind the event that has the others."""
    reader = Reader(recovering().subscribe_user_trades())
    exchange.rest.rewrite({"execQty": "1_000"}, FILLS)
    miss(exchange, account)
    reader.until(recovered)
    (gap,) = reader.until(told)
    assert gap.gap is not None
    assert (gap.gap.reason, gap.gap.recovering, gap.gap.missed) == (GapReason.UNDECODABLE, False, 1)
    assert FILLS in gap.gap.detail


# --- slow consumers ---


@row(190, kills="what was dropped counts as delivered")
def test_an_overflow_is_mended_by_a_refresh(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """What was dropped comes, once; it is not mended by itself."""
    trades = recovering().subscribe_user_trades(maxsize=2)
    for _ in range(5):
        buy(account)
    exchange.wait_for(lambda: trades.dropped == 3)
    reader = Reader(trades)
    trades.refresh()
    events = reader.until(recovered)
    assert [event.gap.reason for event in events if event.gap] == [GapReason.OVERFLOW]
    assert sorted(fills(events)) == sorted(booked(account))


def test_a_refresh_of_a_state_is_a_snapshot(recovering: Recovering, account: Account) -> None:
    """Also when nothing changed."""
    buy(account)
    reader = Reader(recovering().subscribe_positions())
    reader.until(snapshot)
    reader.subscription.refresh()
    (event,) = reader.until(snapshot)
    assert held_positions([event]) == {("BTCUSDT", 0): account.position("BTCUSDT").size}


def test_a_refresh_of_what_was_closed_does_nothing(recovering: Recovering) -> None:
    """It has nobody to deliver to; the others go on."""
    client = recovering()
    closed = client.subscribe_positions()
    closed.close()
    closed.refresh()
    reader = Reader(client.subscribe_orders())
    reader.until(snapshot)
    assert [event.snapshot for event in closed] in ([], [True], [False])


def test_a_refresh_needs_recovery(client: Client) -> None:
    """It says so."""
    with pytest.raises(ValueError, match="recover=True"):
        client.subscribe_orders().refresh()


@row(190, kills="a sink that raises ends the recovery of the others")
def test_a_queue_that_fails_ends_its_subscription_only(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """What is held finds no room: ENDED, with the reason; the other one is mended."""
    client, inbox = recovering(), queue.Queue[Event[Any]](maxsize=1)
    failing = client.subscribe_user_trades(inbox, overflow="fail")
    reader = Reader(client.subscribe_user_trades())
    exchange.rest.slow(600.0, FILLS)
    miss(exchange, account)
    exchange.wait_for_topics(["execution"])
    buy(account)
    exchange.wait_for(lambda: reader.subscription.queued)
    exchange.rest.heal()
    reader.until(recovered)
    exchange.wait_for(lambda: failing.error)
    assert isinstance(failing.error, QueueOverflow)
    assert sorted(reader.until_fills(2)) == sorted(booked(account))
    assert inbox.get(timeout=10).recovered
    assert inbox.get(timeout=10).gap.reason == GapReason.ENDED  # type: ignore[union-attr]


class Refusing(queue.Queue[Event[Any]]):
    """A queue that takes no gap."""

    def put_nowait(self, item: Event[Any]) -> None:
        """Raise for a gap."""
        if item.gap is not None:
            raise OSError("the disk is gone")
        super().put_nowait(item)


def test_a_queue_that_refuses_the_gap_of_the_start_ends_its_subscription(recovering: Recovering, exchange: Exchange) -> None:
    """The other subscription of the stream goes on."""
    client = recovering(hold=0.0)
    goes_on = client.subscribe_positions()
    exchange.rest.slow(600.0)
    failing = client.subscribe_positions(Refusing(), wait=False)
    exchange.wait_for(lambda: failing.error)
    assert (repr(failing.error), goes_on.error) == ("OSError('the disk is gone')", None)


def test_a_queue_that_refuses_a_gap_while_a_dial_hangs_ends_its_subscription(
    recovering: Recovering, exchange: Exchange, account: Account
) -> None:
    """Though there is no session to unsubscribe from."""
    failing = recovering(hold=1.0, client=HANGS).subscribe_user_trades(Refusing())
    exchange.rest.slow(600.0, FILLS)
    miss(exchange, account)
    exchange.wait_for(lambda: exchange.rest.calls)
    with hanging(exchange):
        exchange.wait_for(lambda: failing.error)
    assert repr(failing.error) == "OSError('the disk is gone')"


# --- ends ---


@row(172, kills="close discards what is held")
def test_closing_while_rest_hangs_tells_the_gap_and_what_was_held(
    recovering: Recovering, exchange: Exchange, account: Account
) -> None:
    """No row of REST follows; the thread ends."""
    client = recovering(hold=60.0)
    seen: list[Event[Any]] = []
    client.subscribe_user_trades(seen.append)
    exchange.rest.slow(30.0)
    miss(exchange, account)
    exchange.wait_for_topics(["execution"])
    exchange.wait_for(lambda: client.health().recovery.requests)  # type: ignore[union-attr]
    buy(account)
    exchange.wait_for(lambda: client.health().subscriptions[0].queued)
    assert client.close()
    assert not threads_of(client)
    gap, push = seen
    assert gap.gap is not None
    assert (gap.gap.recovering, fills([push]), push.source) == (False, booked(account)[1:], Source.STREAM)


@row(172, kills="a closed subscription forgets what it holds")
def test_closing_one_subscription_while_it_holds(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """Its gap and what was held can still be taken; the other one is mended."""
    client = recovering(hold=60.0)
    closed, kept = client.subscribe_user_trades(), Reader(client.subscribe_user_trades())
    exchange.rest.slow(600.0)
    miss(exchange, account)
    exchange.wait_for(lambda: client.health().recovery.requests)  # type: ignore[union-attr]
    buy(account)
    exchange.wait_for(lambda: closed.queued == 1)
    assert closed.close()
    gap, push = closed
    assert gap.gap is not None
    assert (gap.gap.recovering, len(push.data)) == (False, 1)
    with pytest.raises(SubscriptionClosed):
        closed.get(timeout=0)
    exchange.rest.heal()
    kept.until(recovered)
    assert rest(kept.events)


@row(172, kills="the end of a stream discards what is held")
def test_an_end_tells_the_gap_what_was_held_and_the_reason(
    recovering: Recovering, exchange: Exchange, account: Account
) -> None:
    """The exchange refuses the topic on the next return."""
    client = recovering(hold=60.0)
    reader = Reader(client.subscribe_user_trades())
    exchange.rest.slow(30.0)
    miss(exchange, account)
    exchange.wait_for(lambda: client.health().recovery.requests)  # type: ignore[union-attr]
    buy(account)
    exchange.wait_for(lambda: reader.subscription.queued == 1)
    exchange.refuse_topic("execution.linear")
    exchange.drop()
    events = reader.until(lambda event: event.gap and event.gap.reason == GapReason.ENDED)
    assert [event.gap.reason if event.gap else "push" for event in events] == [
        GapReason.DISCONNECTED,
        "push",
        GapReason.ENDED,
    ]
    assert events[0].gap is not None
    assert not events[0].gap.recovering


@row(172, kills="close waits for the answer of REST")
def test_a_close_is_quick_in_every_phase(recovering: Recovering, exchange: Exchange, account: Account) -> None:
    """Also while REST hangs and the connection is down."""
    client = recovering(hold=60.0)
    client.subscribe_user_trades(lambda _event: None)
    client.subscribe_orders(lambda _event: None)
    exchange.rest.slow(30.0)
    miss(exchange, account)
    exchange.wait_for(lambda: client.health().recovery.requests)  # type: ignore[union-attr]
    exchange.stop_listening()
    closing = threading.Thread(target=client.close)
    began = time.monotonic()
    closing.start()
    closing.join(10)
    assert not closing.is_alive()
    assert time.monotonic() - began < 5
    assert not threads_of(client)
