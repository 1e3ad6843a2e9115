"""The simulated exchange, spoken to by a client that is not ours."""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import Server

from bybit_sync.simulator import Account, Exchange
from bybit_sync.simulator.server import listener
from bybit_sync.simulator.server.connection import Wire
from bybit_sync.simulator.server.conversation import sign
from tests.conftest import KEY, SECRET
from tests.simulator.peers import PATHS, Peer


@pytest.fixture
def peer(exchange: Exchange, account: Account) -> Iterator[Peer]:
    """A peer on the V5 path."""
    with Peer(exchange) as peer:
        yield peer


@pytest.fixture(params=sorted(PATHS))
def either(request: pytest.FixtureRequest, exchange: Exchange, account: Account) -> Iterator[Peer]:
    """A peer of each dialect in turn."""
    with Peer(exchange, PATHS[request.param]) as peer:
        yield peer


# --- talking ---


def test_a_login_with_key_and_signature_is_accepted_in_the_private_shape(either: Peer) -> None:
    """The answer has the keys of the private socket, in its order, and no req_id that was not sent."""
    answer = either.log_in()
    assert list(answer) == ["success", "ret_msg", "op", "conn_id"]
    assert (answer["success"], answer["ret_msg"], answer["op"]) == (True, "", "auth")


def test_a_request_with_an_id_is_answered_with_it_first(either: Peer) -> None:
    """req_id is echoed as the first key, whatever the operation."""
    assert next(iter(either.ask(op="ping", req_id="7").items())) == ("req_id", "7")
    assert next(iter(either.ask(op="subscribe", req_id="8", args=["order"]).items())) == ("req_id", "8")


def test_the_expiry_may_be_text(peer: Peer, exchange: Exchange) -> None:
    """Clients send the moment as a number and as a text; both log in."""
    expires = str(exchange.now() + 5000)
    assert peer.ask(op="auth", args=[KEY, expires, sign(SECRET, expires)])["success"] is True


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("STRANGER", SECRET), "API key is invalid. Check whether the key and domain are matched."),
        ((KEY, "WRONG"), "Error sign, please check your signature generation algorithm."),
    ],
)
def test_a_wrong_key_or_secret_is_refused_plainly(either: Peer, args: tuple[str, str], text: str) -> None:
    """The refusal says which it was, and the socket stays open."""
    answer = either.log_in(*args)
    assert (answer["success"], answer["ret_msg"]) == (False, text)
    assert either.hears_nothing()


@pytest.mark.parametrize("args", [[], [KEY], [KEY, "soon", "x"], [KEY, 9**30, "x"], "no list", [KEY, None, "x"]])
def test_a_login_that_is_not_well_formed_is_a_params_error(peer: Peer, args: object) -> None:
    """Whatever is wrong with the arguments is told with one text."""
    assert peer.ask(op="auth", args=args)["ret_msg"] == "Params Error"


def test_an_expired_login_is_a_params_error(either: Peer) -> None:
    """The moment has to lie ahead of the exchange's clock."""
    assert either.log_in(ahead=0)["ret_msg"] == "Params Error"
    assert either.log_in(ahead=1000)["success"] is True


def test_the_expiry_is_judged_by_the_exchange_s_clock(peer: Peer, exchange: Exchange) -> None:
    """A clock that runs ahead refuses what this machine's would accept, and the pong tells its time."""
    exchange.clock_offset = 3600.0
    assert peer.log_in(ahead=-3_590_000)["ret_msg"] == "Params Error"
    assert abs(int(peer.ask(op="ping")["args"][0]) - (time.time() + 3600) * 1000) < 60_000


def test_nothing_is_subscribed_before_the_login(either: Peer, exchange: Exchange) -> None:
    """A subscribe that overtakes the login is refused, and nothing of it stays."""
    assert either.subscribe("order")["ret_msg"] == "Request not authorized"
    assert exchange.connections[0].topics == ()


def test_a_second_login_on_one_connection_is_refused(peer: Peer) -> None:
    """The first login stands."""
    peer.log_in()
    assert peer.log_in()["success"] is False
    assert peer.subscribe("order")["success"] is True


def test_a_batch_with_an_unknown_topic_is_refused_whole(peer: Peer, exchange: Exchange) -> None:
    """One topic that nobody handles keeps the others of its request out."""
    peer.log_in()
    assert peer.subscribe("order", "orders")["ret_msg"] == "error:handler not found,topic:orders"
    assert exchange.connections[0].topics == ()


def test_a_batch_with_a_subscribed_topic_is_refused_whole(either: Peer, exchange: Exchange) -> None:
    """A duplicate keeps the new topics of its request out, and what is subscribed goes on."""
    either.log_in()
    order, wallet = either_topics(either, "order", "wallet")
    either.subscribe(order)
    assert either.subscribe(wallet, order)["ret_msg"] == f"error:already subscribed,topic:{order}"
    assert exchange.connections[0].topics == (order,)


def test_topics_of_the_other_dialect_are_unknown(exchange: Exchange, account: Account) -> None:
    """Each path knows its own names only."""
    for path, foreign in ((PATHS["v5"], "user.order.contractAccount"), (PATHS["v3"], "order")):
        with Peer(exchange, path) as peer:
            peer.log_in()
            assert peer.subscribe(foreign)["ret_msg"] == f"error:handler not found,topic:{foreign}"


@pytest.mark.parametrize(
    "requests", [[["order", "position.linear"]], [["order"], ["order.linear"]], [["order.linear"], ["order"]]]
)
def test_all_in_one_and_categorised_topics_do_not_mix(peer: Peer, requests: list[list[str]]) -> None:
    """Not in one request, and not for one stream of one connection."""
    peer.log_in()
    *before, last = [peer.subscribe(*topics) for topics in requests]
    assert all(answer["success"] for answer in before)
    assert last["success"] is False
    assert "cannot be mixed" in last["ret_msg"]


def test_the_wallet_mixes_with_either(peer: Peer) -> None:
    """A topic without categories stands beside categorised ones."""
    peer.log_in()
    assert peer.subscribe("wallet", "position.linear", "position.inverse")["success"] is True


def test_a_topic_is_unsubscribed(peer: Peer, account: Account, exchange: Exchange) -> None:
    """After the answer nothing of the topic arrives, and it may be subscribed again."""
    peer.log_in()
    peer.subscribe("order", "position")
    answer = peer.ask(op="unsubscribe", args=["order"], req_id="3")
    assert (answer["success"], answer["op"], answer["req_id"]) == (True, "unsubscribe", "3")
    account.push("orders", [{}])
    assert peer.hears_nothing()
    assert exchange.connections[0].topics == ("position",)
    assert peer.subscribe("order")["success"] is True


def test_a_ping_is_answered_with_the_time_and_without_success(either: Peer, exchange: Exchange) -> None:
    """The private pong has the exchange's clock as text, and no verdict."""
    pong = either.ask(op="ping")
    assert list(pong) == ["op", "args", "conn_id"]
    assert abs(int(pong["args"][0]) - exchange.now()) < 60_000


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ('{"op":"hello"}', "error:invalid op"),
        ("ping", "Failed to decode incoming data:ping"),
        ("[1]", "Failed to decode incoming data:[1]"),
    ],
)
def test_nonsense_is_answered_and_the_socket_stays_open(either: Peer, frame: str, text: str) -> None:
    """An unknown operation and a text that is no request are told so."""
    either.socket.send(frame)
    assert either.hear()["ret_msg"] == text
    assert either.hears_nothing()


def test_another_path_is_not_found(exchange: Exchange) -> None:
    """The upgrade of any other path is refused with 404."""
    with pytest.raises(InvalidStatus) as caught:
        connect(exchange.url + "/v5/public/linear")
    assert caught.value.response.status_code == 404


# --- pushing ---


def test_rows_reach_the_topics_of_their_category(exchange: Exchange, account: Account) -> None:
    """All-in-one brings every category, a categorised topic its own, each under the name that was subscribed."""
    with Peer(exchange) as one, Peer(exchange) as two:
        for peer, topics in ((one, ["position"]), (two, ["position.linear", "position.inverse"])):
            peer.log_in()
            peer.subscribe(*topics)
        account.push("positions", [{"symbol": "BTCUSDT"}, {"symbol": "BTCUSD", "category": "inverse"}])
        assert symbols(one.hear()) == ("position", ["BTCUSDT", "BTCUSD"])
        assert symbols(two.hear()) == ("position.linear", ["BTCUSDT"])
        assert symbols(two.hear()) == ("position.inverse", ["BTCUSD"])


def test_a_stream_is_printed_in_the_dialect_of_each_connection(either: Peer, account: Account) -> None:
    """The same fact is an unknown key's text in one dialect and its own spelling in the other."""
    either.log_in()
    (topic,) = either_topics(either, "order")
    either.subscribe(topic)
    account.push("orders", [{"timeInForce": "IOC", "brandNew": 1}], id="x", created_at=5)
    push = either.hear()
    if topic == "order":
        assert {**push, "data": None} == {"topic": "order", "id": "x", "creationTime": 5, "data": None}
        assert push["data"][0]["timeInForce"] == "IOC"
    else:
        assert list(push) == ["topic", "data"]
        assert push["data"][0]["timeInForce"] == "ImmediateOrCancel"
    assert push["data"][0]["brandNew"] == 1


def test_rows_for_one_topic_are_sent_as_they_are(peer: Peer, account: Account) -> None:
    """A topic by name gets exactly the rows that were given."""
    peer.log_in()
    peer.subscribe("position.linear", "position.inverse")
    account.push("position.linear", [{"size": None}])
    assert peer.hear()["data"] == [{"size": None}]
    assert peer.hears_nothing()


def test_accounts_see_only_their_own(exchange: Exchange, account: Account) -> None:
    """A push of one account does not reach the connections of another."""
    other = exchange.account("OTHER", "SECRET2", kind="CONTRACT")
    with Peer(exchange) as mine, Peer(exchange) as theirs:
        mine.log_in()
        theirs.log_in("OTHER", "SECRET2")
        for peer in (mine, theirs):
            peer.subscribe("wallet")
        other.push("balances", [{}])
        assert theirs.hear()["data"][0]["accountType"] == "CONTRACT"
        assert mine.hears_nothing()
    assert account.uid != other.uid


def test_a_raw_message_is_sent_as_it_is(peer: Peer, exchange: Exchange) -> None:
    """Texts go out as text, bytes as binary, and loose bytes without any framing."""
    peer.log_in()
    connection = exchange.connections[0]
    connection.send_raw("{")
    assert peer.socket.recv(5) == "{"
    connection.send_raw(b"\x00")
    assert peer.socket.recv(5) == b"\x00"
    connection.send_bytes(b"\x81\x02hi")
    assert peer.socket.recv(5) == "hi"


# --- what a test sees ---


def test_a_connection_shows_what_it_was_asked(peer: Peer, account: Account, exchange: Exchange) -> None:
    """Requests, topics, the account and the number of the login can be looked at."""
    peer.log_in()
    peer.subscribe("order")
    (connection,) = exchange.wait_for(lambda: exchange.connections)
    assert [request["op"] for request in connection.received] == ["auth", "subscribe"]
    assert (connection.topics, connection.account, connection.epoch) == (("order",), account, 1)
    assert account.connections == (connection,)
    assert KEY not in repr(connection) + repr(account) + repr(exchange)


def test_each_login_has_the_next_epoch(exchange: Exchange, account: Account) -> None:
    """Epochs count the logins of an account, not its connections."""
    for epoch in (1, 2):
        with Peer(exchange) as peer:
            peer.log_in("STRANGER")
            peer.log_in()
            assert [connection.epoch for connection in account.connections] == [epoch]


def test_waiting_ends_with_the_event_or_names_what_there_is(peer: Peer, exchange: Exchange) -> None:
    """A wait returns what was waited for, and after its time raises."""
    threading.Timer(0.05, peer.log_in).start()
    assert exchange.wait_for(lambda: [c for c in exchange.connections if c.epoch])[0].epoch == 1
    with pytest.raises(TimeoutError, match="v5, open"):
        exchange.wait_for(lambda: None, timeout=0.01)


def test_topics_are_waited_for(peer: Peer, exchange: Exchange) -> None:
    """All that are named, of one connection; a categorised one is what it carries; without a name any will do."""
    peer.log_in()
    with pytest.raises(TimeoutError):
        exchange.wait_for_topics(timeout=0.01)
    peer.subscribe("order.linear")
    exchange.wait_for_topics()
    exchange.wait_for_topics(["order"])
    for missing in (["order", "wallet"], ["order.inverse"]):
        with pytest.raises(TimeoutError):
            exchange.wait_for_topics(missing, timeout=0.01)


def test_a_client_that_leaves_is_gone(peer: Peer, exchange: Exchange) -> None:
    """Live connections are those that neither side has ended."""
    peer.log_in()
    peer.socket.close()
    exchange.wait_for(lambda: not exchange.connections)


def test_an_account_is_opened_once_and_of_a_known_kind(exchange: Exchange, account: Account) -> None:
    """A mistake in a test is told where it is made."""
    with pytest.raises(ValueError, match="there is an account with it already"):
        exchange.account(KEY, "x")
    with pytest.raises(ValueError, match="none of UNIFIED, CONTRACT"):
        exchange.account("NEW", "x", kind="SPOT")


def test_no_login_is_logged(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever logs everything finds neither a key nor a signature."""
    with caplog.at_level(logging.DEBUG):
        peer.log_in()
        peer.subscribe("order")
        assert peer.hears_nothing()
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("websockets.client")]
    assert KEY not in "".join(ours)


# --- going wrong ---


@pytest.mark.parametrize(
    ("options", "code"), [({}, None), ({"reset": True}, None), ({"code": 1012, "reason": "restart"}, 1012)]
)
def test_every_connection_is_dropped(peer: Peer, exchange: Exchange, options: dict[str, Any], code: int | None) -> None:
    """TCP ends, breaks, or a close frame says goodbye; the exchange listens on."""
    peer.log_in()
    threading.Thread(target=exchange.drop, kwargs=options, daemon=True).start()
    with pytest.raises(ConnectionClosed) as caught:
        peer.socket.recv(5)
    assert (caught.value.rcvd.code if caught.value.rcvd else None) == code
    exchange.wait_for(lambda: not exchange.connections)
    with connect(exchange.url + "/v5/private"):
        pass


def test_a_reset_is_one(exchange: Exchange) -> None:
    """With *reset* the client's kernel is told that the connection broke, not that it ended."""
    with raw_upgrade(exchange) as sock:
        exchange.drop(reset=True)
        with pytest.raises(ConnectionResetError):
            sock.recv(100)


def test_while_nobody_listens_connections_are_refused(peer: Peer, exchange: Exchange) -> None:
    """Who is there is cut off, who comes is refused, and afterwards the same address answers."""
    url = exchange.url
    exchange.stop_listening()
    with pytest.raises(ConnectionClosed):
        peer.socket.recv(5)
    with pytest.raises(ConnectionRefusedError):
        connect(url + "/v5/private")
    exchange.listen()
    assert exchange.url == url
    with connect(url + "/v5/private"):
        pass


def test_an_outage_ends_by_itself(exchange: Exchange) -> None:
    """Clients are refused for a while and let in again, without a word from the test."""
    exchange.outage(0.2)
    refused = 0
    while refused < 10_000:
        try:
            with connect(exchange.url + "/v5/private"):
                break
        except ConnectionRefusedError:
            refused += 1
    assert refused > 0


def test_an_outage_that_was_called_off_does_not_heal(exchange: Exchange) -> None:
    """Who stops the exchange during an outage has stopped it for good."""
    exchange.outage(0.05)
    exchange.stop_listening()
    healed = threading.Event()
    threading.Timer(0.2, healed.set).start()
    assert healed.wait(5)
    # Nor when the timer was already on its way.
    exchange._heal()
    with pytest.raises(ConnectionRefusedError):
        connect(exchange.url + "/v5/private")


def test_an_upgrade_is_refused_with_a_status(exchange: Exchange) -> None:
    """HTTP says no, with its headers, as often as it was told to."""
    exchange.refuse_upgrade(429, headers={"Retry-After": "7"}, times=1)
    with pytest.raises(InvalidStatus) as caught:
        connect(exchange.url + "/v5/private")
    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "7"
    with connect(exchange.url + "/v5/private"):
        pass


def test_a_login_is_refused_on_command(peer: Peer, exchange: Exchange) -> None:
    """The given text answers as many logins as it was given for."""
    exchange.refuse_login("Too many visits", times=2)
    texts = [peer.log_in()["ret_msg"] for _ in range(3)]
    assert texts == ["Too many visits", "Too many visits", ""]


def test_a_topic_is_refused_on_command(peer: Peer, exchange: Exchange) -> None:
    """That topic alone is refused, until everything is accepted again."""
    exchange.refuse_topic("order", "error:busy,topic:{topic}")
    peer.log_in()
    assert peer.subscribe("order")["ret_msg"] == "error:busy,topic:order"
    assert peer.subscribe("position")["success"] is True
    exchange.accept_all()
    assert peer.subscribe("order")["success"] is True


def test_what_was_asked_takes_effect_while_its_answer_is_held(peer: Peer, account: Account, exchange: Exchange) -> None:
    """A push comes before the answer that confirms its topic, when the answer is held."""
    peer.log_in()
    exchange.hold_acks()
    peer.say(op="subscribe", args=["order"])
    exchange.wait_for(lambda: exchange.connections[0].topics == ("order",))
    account.push("orders", [{}])
    assert peer.hear()["topic"] == "order"
    exchange.release_acks()
    assert peer.hear()["op"] == "subscribe"


def test_an_answer_that_was_held_can_get_lost(peer: Peer, exchange: Exchange) -> None:
    """Pongs are held only when asked for, and what is discarded never comes."""
    exchange.hold_acks("ping")
    peer.say(op="ping", req_id="lost")
    exchange.wait_for(lambda: exchange.connections[0].received)
    exchange.release_acks(discard=True)
    assert peer.ask(op="ping", req_id="next")["req_id"] == "next"


def test_an_answer_is_late_on_command(peer: Peer, exchange: Exchange) -> None:
    """The request waits before it is dealt with; a drop does not wait for it."""
    exchange.delay_answers(0.1, "auth")
    before = time.monotonic()
    assert peer.log_in()["success"] is True
    assert time.monotonic() - before >= 0.1
    exchange.delay_answers(60.0, "ping")
    peer.say(op="ping")
    with pytest.raises(TimeoutError):
        peer.hear(0.05)
    exchange.close()
    assert time.monotonic() - before < 30


def test_a_frozen_connection_is_silent_and_loses_nothing(peer: Peer, account: Account, exchange: Exchange) -> None:
    """Everything that was pushed meanwhile arrives in order once it thaws."""
    peer.log_in()
    peer.subscribe("order")
    (connection,) = exchange.connections
    connection.freeze()
    for number in ("1", "2"):
        account.push("orders", [{"orderId": number}])
    with pytest.raises(TimeoutError):
        peer.hear(0.05)
    connection.thaw()
    assert [peer.hear()["data"][0]["orderId"] for _ in range(2)] == ["1", "2"]


def test_an_idle_connection_is_cut() -> None:
    """Without a ping or a push a connection ends after its limit."""
    with (
        Exchange(idle_limit=0.1) as exchange,
        connect(exchange.url + "/v5/private") as client,
        pytest.raises(ConnectionClosed),
    ):
        client.recv(5)


def test_the_client_may_choose_its_idle_limit() -> None:
    """``max_active_time`` overrules the exchange's own."""
    with (
        Exchange(idle_limit=0.1) as exchange,
        connect(exchange.url + "/v5/private?max_active_time=1m") as client,
        pytest.raises(TimeoutError),
    ):
        client.recv(0.3)


# --- ending ---


def test_nothing_is_left_after_the_end() -> None:
    """No thread and no socket survives, whatever clients were doing; the port is free."""
    before = set(threading.enumerate())
    exchange = Exchange().start()
    exchange.account(KEY, SECRET)
    address = ("127.0.0.1", urlsplit(exchange.url).port or 0)
    with Peer(exchange) as peer, socket.create_connection(address) as half:
        half.sendall(b"GET / HT")
        peer.log_in()
        exchange.wait_for(lambda: exchange.accepted == 2)
        # The exchange of an earlier test may still be ending: only new threads are this one's.
        ours = [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("exchange")]
        assert len(ours) == 2
        assert all(thread.daemon for thread in ours)
        exchange.outage(60.0)
        exchange.close()
    for thread in set(threading.enumerate()) - before:
        # One that has just ended may still be in the list for a moment.
        thread.join(5)
        assert not thread.is_alive()
    with socket.create_server(address):
        pass


def test_a_connection_accepted_while_the_exchange_ends_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that reads it ends, although the connection was known to nobody yet."""
    made: queue.SimpleQueue[Wire] = queue.SimpleQueue()
    silent = threading.Event()

    class Slow(Wire):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.put(self)
            assert silent.wait(10)

    def shut_down(server: Server) -> None:
        silent.set()
        server_shutdown(server)

    server_shutdown = Server.shutdown
    monkeypatch.setattr(Server, "shutdown", shut_down)
    monkeypatch.setattr(listener, "Wire", Slow)
    exchange = Exchange().start()
    with socket.create_connection(("127.0.0.1", urlsplit(exchange.url).port or 0)):
        wire = made.get(timeout=10)
        exchange.close()
    wire.recv_events_thread.join(5)
    assert not wire.recv_events_thread.is_alive()


def test_a_client_that_reads_nothing_does_not_hold_up_the_end(peer: Peer, account: Account, exchange: Exchange) -> None:
    """A push that waits for room in its socket is woken."""
    peer.log_in()
    peer.subscribe("order")
    row = {"filler": "x" * 1_000_000}
    pusher = threading.Thread(target=lambda: [account.push("orders", [row]) for _ in range(50)], daemon=True)
    pusher.start()
    pusher.join(0.3)
    assert pusher.is_alive()
    before = time.monotonic()
    exchange.close()
    pusher.join(5)
    assert not pusher.is_alive()
    assert time.monotonic() - before < 5


def test_an_exchange_that_is_not_running_says_so() -> None:
    """Its address is known only while it lives."""
    with pytest.raises(RuntimeError, match="use it in a with statement"):
        _ = Exchange().url


def symbols(push: Any) -> tuple[str, list[str]]:
    """Return the topic of *push*, and the symbols of its rows."""
    return push["topic"], [row["symbol"] for row in push["data"]]


def either_topics(peer: Peer, *streams: str) -> list[str]:
    """Return what the dialect of *peer* calls *streams*."""
    is_v3 = peer.exchange.connections[-1].gateway.name == "v3"
    return [f"user.{stream}.contractAccount" if is_v3 else stream for stream in streams]


def raw_upgrade(exchange: Exchange) -> socket.socket:
    """Return a plain socket that has been upgraded."""
    sock = socket.create_connection(("127.0.0.1", urlsplit(exchange.url).port or 0))
    sock.sendall(
        b"GET /v5/private HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += sock.recv(1)
    exchange.wait_for(lambda: exchange.connections)
    return sock
