"""The ways of the simulated exchange to go wrong, seen by a client that is not ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from bybit_sync.simulator import Account, Exchange
from bybit_sync.simulator.malformed_frames import MALFORMED_FRAMES
from tests.conftest import KEY, SECRET
from tests.simulator.peers import Listener, Peer
from tests.simulator.test_streams import raw_upgrade


@pytest.fixture
def peer(exchange: Exchange, account: Account) -> Iterator[Peer]:
    """A peer that is subscribed to orders."""
    with Peer(exchange) as peer:
        Listener(peer, KEY, SECRET, "order")
        yield peer


def push(account: Account, *numbers: str) -> None:
    """Push an order for each number."""
    for number in numbers:
        account.push("orders", [{"orderId": number}])


def hear(peer: Peer, count: int) -> list[str]:
    """Return the numbers of the next orders."""
    return [peer.hear()["data"][0]["orderId"] for _ in range(count)]


# --- connections ---


def test_a_frozen_exchange_answers_not_even_a_protocol_ping(peer: Peer, exchange: Exchange, account: Account) -> None:
    """Everything waits, pongs of both kinds too, and comes in order after the thaw."""
    exchange.freeze()
    pong = peer.socket.ping()
    push(account, "1", "2")
    assert not pong.wait(0.1)
    exchange.thaw()
    assert pong.wait(5)
    assert hear(peer, 2) == ["1", "2"]


def test_a_connection_freezes_in_mid_frame(exchange: Exchange, account: Account) -> None:
    """Half of a message goes out; the other half follows after the thaw, and fits."""
    with raw_upgrade(exchange) as sock:
        exchange.freeze(mid_frame=True)
        exchange.connections[0].send_raw("0123456789")
        sock.settimeout(5)
        head = sock.recv(100)
        exchange.thaw()
        tail = sock.recv(100)
    assert 0 < len(head) < 12
    assert head + tail == b"\x81\x0a0123456789"


def test_a_frozen_connection_can_still_be_dropped(peer: Peer, exchange: Exchange, account: Account) -> None:
    """What was frozen is lost with it."""
    exchange.freeze()
    push(account, "1")
    exchange.drop()
    with pytest.raises(ConnectionClosed):
        peer.hear()


def test_a_half_open_connection_is_gone_without_a_word(peer: Peer, exchange: Exchange, account: Account) -> None:
    """Nothing is answered, pushed or closed, TCP takes what is written, and a thaw brings nothing back."""
    exchange.half_open()
    pong = peer.socket.ping()
    peer.say(op="ping")
    push(account, "1")
    exchange.heal()
    with pytest.raises(TimeoutError):
        peer.hear(0.1)
    assert not pong.is_set()
    assert [request["op"] for request in exchange.connections[0].received] == ["auth", "subscribe"]


def test_after_a_half_open_connection_the_next_one_works(peer: Peer, exchange: Exchange, account: Account) -> None:
    """Only those that were there are lost."""
    exchange.half_open()
    with Peer(exchange) as other:
        Listener(other, KEY, SECRET, "order")
        push(account, "1")
        assert hear(other, 1) == ["1"]


@pytest.mark.parametrize(("status", "headers"), [(403, {}), (429, {"Retry-After": "3"}), (503, {})])
def test_an_upgrade_is_refused_with_each_status(exchange: Exchange, status: int, headers: dict[str, str]) -> None:
    """As often as it was told to, headers and all."""
    exchange.refuse_upgrade(status, headers=headers, times=1)
    with pytest.raises(InvalidStatus) as caught:
        connect(exchange.url + "/v5/private")
    assert caught.value.response.status_code == status
    assert headers.items() <= dict(caught.value.response.headers.raw_items()).items()
    with connect(exchange.url + "/v5/private"):
        pass


def test_a_connection_without_a_login_is_cut_in_time() -> None:
    """Pings do not help; a login does."""
    with Exchange(login_limit=1.0) as exchange:
        exchange.account(KEY, SECRET)
        with Peer(exchange) as logged_in, Peer(exchange) as stranger:
            logged_in.log_in()
            with pytest.raises(ConnectionClosed):
                while stranger.hears_nothing():
                    threading.Event().wait(0.02)
            assert logged_in.hears_nothing()


# --- answers ---


def test_an_answer_is_lost_on_command(peer: Peer, exchange: Exchange) -> None:
    """As often as it was told to; what was asked for takes effect."""
    exchange.lose_answers("subscribe", times=1)
    peer.say(op="subscribe", args=["wallet"])
    assert peer.subscribe("position")["op"] == "subscribe"
    assert exchange.connections[0].topics == ("order", "wallet", "position")


def test_the_clock_is_set(peer: Peer, exchange: Exchange) -> None:
    """A pong tells it."""
    exchange.set_clock(-3600)
    assert int(peer.ask(op="ping")["args"][0]) < (time.time() - 3500) * 1000


# --- pushes ---


def test_pushes_come_twice(peer: Peer, exchange: Exchange, account: Account) -> None:
    """As many as were ordered, one right after the other."""
    exchange.duplicate_pushes(times=2)
    push(account, "1", "2", "3")
    assert hear(peer, 5) == ["1", "1", "2", "2", "3"]


def test_pushes_get_lost(peer: Peer, exchange: Exchange, account: Account) -> None:
    """Nobody is told."""
    exchange.lose_pushes(times=2)
    push(account, "1", "2", "3")
    assert hear(peer, 1) == ["3"]


def test_pushes_come_out_of_order(peer: Peer, exchange: Exchange, account: Account) -> None:
    """Each pair is swapped, and the last one comes when order is restored."""
    exchange.reorder_pushes()
    push(account, "1", "2", "3", "4", "5")
    assert hear(peer, 4) == ["2", "1", "4", "3"]
    exchange.leave_pushes_alone()
    push(account, "6", "7")
    assert hear(peer, 3) == ["5", "6", "7"]


def test_one_push_is_late(peer: Peer, exchange: Exchange, account: Account) -> None:
    """Once, when it was told once."""
    exchange.reorder_pushes(times=1)
    push(account, "1", "2", "3", "4")
    assert hear(peer, 4) == ["2", "1", "3", "4"]


def test_rows_speak_of_tomorrow(peer: Peer, exchange: Exchange, account: Account) -> None:
    """Unknown values, new keys and missing keys, whatever an action tells, and in that stream only."""
    peer.subscribe("position")
    exchange.rewrite("orders", {"orderStatus": "Melted", "brandNew": [1]}, without=["cumFeeDetail"])
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    row, position = peer.hear()["data"][0], peer.hear()["data"][0]
    assert (row["orderStatus"], row["brandNew"], "cumFeeDetail" in row) == ("Melted", [1], False)
    assert "brandNew" not in position
    exchange.leave_pushes_alone()
    push(account, "1")
    assert peer.hear()["data"][0]["orderStatus"] == "New"


def test_a_flood_arrives_whole(peer: Peer, account: Account) -> None:
    """Every message, in order."""
    account.flood(500)
    assert hear(peer, 500) == [f"flood-{number}" for number in range(1, 501)]


@pytest.mark.parametrize("name", MALFORMED_FRAMES)
def test_garbage_is_what_its_name_says(exchange: Exchange, account: Account, name: str) -> None:
    """Some arrives as a message; what no frame can be ends the connection of a client that checks."""
    with Peer(exchange) as peer:
        peer.log_in()
        threading.Thread(target=exchange.send_garbage, args=(name,), daemon=True).start()
        if name in ("no utf-8", "reserved bits", "unknown opcode", "masked", "endless", "no frames"):
            with pytest.raises(ConnectionClosed):
                peer.socket.recv(5)
        else:
            assert peer.socket.recv(5) == MALFORMED_FRAMES[name].message
            assert peer.hears_nothing()


@pytest.mark.parametrize(
    ("mistake", "text"),
    [(lambda e: e.send_garbage("tea"), "none of empty, no json"), (lambda e: e.rewrite("order"), "none of balances")],
)
def test_a_fault_that_does_not_exist_says_which_do(exchange: Exchange, mistake: Any, text: str) -> None:
    """A mistake in a test is told where it is made."""
    with pytest.raises(ValueError, match=text):
        mistake(exchange)


def test_healing_ends_every_fault(peer: Peer, exchange: Exchange, account: Account) -> None:
    """Whatever was ordered: afterwards all is as it was at the start."""
    exchange.refuse_login("no")
    exchange.refuse_upgrade(503)
    exchange.lose_answers("ping")
    exchange.delay_answers(60.0, "auth")
    exchange.duplicate_pushes()
    exchange.rewrite("orders", {"orderStatus": "Melted"})
    exchange.set_clock(3600)
    exchange.freeze()
    exchange.heal()
    push(account, "1", "2")
    assert hear(peer, 2) == ["1", "2"]
    with Peer(exchange) as other:
        assert other.log_in()["success"] is True
        assert abs(int(other.ask(op="ping")["args"][0]) - time.time() * 1000) < 60_000


def test_healing_lets_clients_in_again(exchange: Exchange) -> None:
    """An outage is a fault like any other."""
    exchange.outage(600)
    exchange.heal()
    with connect(exchange.url + "/v5/private"):
        pass


def test_nothing_is_left_of_a_frozen_or_lost_connection(account: Account) -> None:
    """Closing the exchange ends it as any other."""
    before = set(threading.enumerate())  # the exchange of an earlier test may still be ending
    exchange = Exchange().start()
    with raw_upgrade(exchange) as one, raw_upgrade(exchange):
        first, second = exchange.wait_for(lambda: exchange.connections if len(exchange.connections) > 1 else None)
        first.freeze()
        second.half_open()
        exchange.close()
        assert one.recv(100) == b""
    for thread in set(threading.enumerate()) - before:
        # One that has just ended may still be in the list for a moment.
        thread.join(5)
        assert not thread.is_alive(), thread.name


@pytest.mark.parametrize(("as_text", "sent"), [([], 0), (["smpGroup"], "0")])
def test_a_whole_number_in_both_spellings(peer: Peer, exchange: Exchange, account: Account, as_text: Any, sent: Any) -> None:
    """Bare as it is documented, or as the text that the exchange sends; what is no whole number stays as it is."""
    exchange.rewrite("orders", as_text=[*as_text, "reduceOnly"])
    push(account, "1")
    (row,) = peer.hear()["data"]
    assert (row["smpGroup"], row["reduceOnly"]) == (sent, False)
