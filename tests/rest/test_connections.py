"""GETs over real sockets, to peers that do what no HTTP server should."""

from __future__ import annotations

import gc
import select
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme

from bybit_sync.config.environments import Environment
from bybit_sync.errors import (
    BybitSyncError,
    ClientClosed,
    RestError,
    RestProtocolError,
    RestRefused,
    RestTLSError,
    RestUnavailable,
)
from bybit_sync.network.proxy import Proxy
from bybit_sync.rest.answers import Response
from bybit_sync.rest.connections import MOST_BYTES, ConnectionPool, _AnswerFile, _WireFile
from bybit_sync.rest.endpoints import OPEN_ORDERS
from tests.conftest import open_descriptors
from tests.faults.rows import row
from tests.network.test_proxy import HttpProxy, SocksProxy
from tests.peers import Line, Peer, closed_port, plays

AUTHORITY = trustme.CA()
HEADERS = {"X-BAPI-SIGN": "s1gn4ture"}


def http(body: bytes = b"{}", *headers: str, status: str = "200 OK", size: int | None = None) -> bytes:
    """Return an HTTP answer."""
    length = len(body) if size is None else size
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {length}", *headers, "", ""]).encode() + body


def answers(*replies: bytes) -> Callable[[Line], None]:
    """Return a script that answers each request with one of *replies*, and waits for the end."""

    def script(line: Line) -> None:
        for reply in replies:
            line.heads.append(line.read_head())  # type: ignore[attr-defined]
            line.send(reply)
        line.wait_for_end()

    return script


@pytest.fixture(autouse=True)
def heads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The heads of all requests that peers were sent."""
    found: list[str] = []
    monkeypatch.setattr(Line, "heads", found, raising=False)
    return found


@pytest.fixture
def make_pool() -> Iterator[Callable[..., ConnectionPool]]:
    """Make pools of connections to a peer, that are closed at the end."""
    made: list[ConnectionPool] = []

    def make(peer: Peer | str, **options: Any) -> ConnectionPool:
        made.append(ConnectionPool(Environment.find(peer if isinstance(peer, str) else peer.url), **options))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


def get(pool: ConnectionPool, query: str = "a=1", *, seconds: float = 10.0) -> Response | BybitSyncError:
    """Ask for the open orders."""
    return pool.get(OPEN_ORDERS, query, lambda: HEADERS, deadline=time.monotonic() + seconds)


def got(pool: ConnectionPool, query: str = "a=1") -> Response:
    """Return the response; what went wrong is raised."""
    outcome = get(pool, query)
    if isinstance(outcome, BybitSyncError):
        raise outcome
    return outcome


def failed(pool: ConnectionPool, *, seconds: float = 10.0) -> RestError:
    """Return what went wrong; it has no frames and no cause, which would hold the headers."""
    outcome = get(pool, seconds=seconds)
    assert isinstance(outcome, RestError)
    assert (outcome.__traceback__, outcome.__context__, outcome.__cause__) == (None, None, None)
    assert outcome.endpoint == "order/realtime"
    return outcome


# --- one request ---


def test_a_request_is_sent_as_it_was_signed(make_pool: Any, heads: list[str]) -> None:
    """Not one character of the query is quoted anew."""
    with Peer(answers(http(b"{}", "X-Bapi-Limit: 50"))) as peer:
        response = got(make_pool(peer), "cursor=a%2Cb%253A&coin=BTC,USDT")
    assert (response.status, response.body, response.headers["x-bapi-limit"]) == (200, b"{}", "50")
    first, *fields = heads[0].split("\r\n")
    assert first == "GET /v5/order/realtime?cursor=a%2Cb%253A&coin=BTC,USDT HTTP/1.1"
    assert f"Host: 127.0.0.1:{peer.port}" in fields
    assert "X-BAPI-SIGN: s1gn4ture" in fields
    assert "Accept-Encoding: identity" in fields
    assert not [field for field in fields if field.lower().startswith(("content-", "transfer-", "cookie"))]


def test_without_a_query_there_is_no_question_mark(make_pool: Any, heads: list[str]) -> None:
    """It is signed as an empty text."""
    with Peer(answers(http())) as peer:
        got(make_pool(peer), "")
    assert heads[0].startswith("GET /v5/order/realtime HTTP/1.1\r\n")


def test_any_status_is_a_response(make_pool: Any) -> None:
    """What it means is decided elsewhere. A redirect is not followed: nobody is asked a second time."""
    elsewhere = Peer(answers(http(b"stolen")))
    with elsewhere, Peer(answers(http(b"gone", f"Location: http://127.0.0.1:{elsewhere.port}/", status="302 Found"))) as peer:
        response = got(make_pool(peer))
    assert (response.status, response.body, elsewhere.accepted) == (302, b"gone", 0)


def test_an_answer_may_come_in_chunks_and_in_drops(make_pool: Any) -> None:
    """However the peer cuts it."""
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    drops = [body[at : at + 1] for at in range(len(body))]
    with Peer(plays(Line.read_head, *drops, Line.wait_for_end)) as peer:
        assert got(make_pool(peer)).body == b"abcde"


def test_an_answer_may_end_with_the_connection(make_pool: Any) -> None:
    """As HTTP/1.0 does it."""
    with Peer(plays(Line.read_head, b"HTTP/1.0 200 OK\r\n\r\nabc")) as peer:
        assert got(make_pool(peer)).body == b"abc"


# --- kept connections ---


def test_a_connection_is_kept_for_the_next_request(make_pool: Any) -> None:
    """One handshake for a whole recovery."""
    with Peer(answers(http(b"1"), http(b"2"), http(b"3"))) as peer:
        pool = make_pool(peer)
        assert [got(pool).body for _ in range(3)] == [b"1", b"2", b"3"]
        assert peer.accepted == 1


def test_a_connection_that_ended_meanwhile_is_replaced(make_pool: Any) -> None:
    """Before or while the next request is sent: it is sent again, signed anew."""
    with Peer(plays(Line.read_head, http(b"1")), answers(http(b"2"))) as peer:
        pool = make_pool(peer)
        assert (got(pool).body, got(pool).body, peer.accepted) == (b"1", b"2", 2)


def test_a_kept_connection_that_ends_upon_a_request_is_replaced_once(make_pool: Any) -> None:
    """It had ended before the request reached it. A new one that does the same is an error."""
    signed: list[int] = []

    def headers() -> dict[str, str]:
        signed.append(1)
        return HEADERS

    hangs_up = plays(Line.read_head, http(b"1"), Line.read_head)
    with Peer(hangs_up, plays(Line.read_head)) as peer:
        pool = make_pool(peer)
        got(pool)
        outcome = pool.get(OPEN_ORDERS, "", headers, deadline=time.monotonic() + 10)
        assert isinstance(outcome, RestUnavailable)
        assert (peer.accepted, len(signed)) == (2, 2)


def test_what_nobody_asked_for_ends_a_kept_connection(make_pool: Any) -> None:
    """It could be taken for the next answer."""
    go, told = threading.Event(), threading.Event()

    def talkative(line: Line) -> None:
        line.read_head()
        line.send(http(b"1"))
        assert go.wait(10)
        line.send(http(b"poison"))
        told.set()
        line.wait_for_end()

    with Peer(talkative, answers(http(b"2"))) as peer:
        pool = make_pool(peer)
        got(pool)
        go.set()
        assert told.wait(10)
        assert got(pool).body == b"2"


def test_what_came_together_with_an_answer_ends_a_kept_connection(make_pool: Any) -> None:
    """Although it was read with it."""
    with Peer(plays(Line.read_head, http(b"1") + http(b"poison"), Line.wait_for_end), answers(http(b"2"))) as peer:
        pool = make_pool(peer)
        assert (got(pool).body, got(pool).body) == (b"1", b"2")


def test_a_connection_that_the_peer_will_close_is_not_kept(make_pool: Any) -> None:
    """It said so."""
    with Peer(answers(http(b"1", "Connection: close")), answers(http(b"2"))) as peer:
        pool = make_pool(peer)
        assert (got(pool).body, got(pool).body, peer.accepted) == (b"1", b"2", 2)


@pytest.mark.parametrize(("threads", "kept"), [(2, 2), (6, 4)])
def test_threads_have_connections_of_their_own_of_which_a_few_are_kept(make_pool: Any, threads: int, kept: int) -> None:
    """One waits for nobody; what is more than a few is closed once idle."""
    met = threading.Barrier(threads, timeout=10)
    with Peer(plays(Line.read_head, lambda _: met.wait(), http(b"x"), Line.wait_for_end)) as peer:
        pool = make_pool(peer)
        running = [threading.Thread(target=got, args=(pool,)) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join(10)
        assert (peer.accepted, len(pool._idle)) == (threads, kept)


def test_a_kept_connection_that_was_reset_is_replaced(make_pool: Any) -> None:
    """As one that was closed."""
    go = threading.Event()
    with Peer(plays(Line.read_head, http(b"1"), lambda _: go.wait(10), Line.reset), answers(http(b"2"))) as peer:
        pool = make_pool(peer)
        got(pool)
        go.set()
        select.select([pool._idle[0]._wire._wire._sock], [], [], 10)
        assert (got(pool).body, peer.accepted) == (b"2", 2)


# --- what goes wrong ---


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        http(b"half", size=100),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"SSH-2.0-no\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["nothing", "half a body", "half a chunk", "no http", "many headers", "long header", "no size"],
)
def test_an_answer_that_is_cut_or_broken_is_worth_another_try(make_pool: Any, reply: bytes) -> None:
    """And is never half an answer."""
    with Peer(plays(Line.read_head, reply)) as peer:
        assert type(failed(make_pool(peer))) is RestUnavailable


@row(184, kills="an answer is read whatever its length")
@pytest.mark.parametrize("is_told", [True, False], ids=["told", "untold"])
def test_an_answer_of_a_hundred_megabytes_is_left_at_four(make_pool: Any, is_told: bool) -> None:  # noqa: FBT001 - both
    """Memory is bounded, whatever the peer says of its length."""
    sent = []

    def floods(line: Line) -> None:
        line.read_head()
        line.send(b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 104857600\r\n" if is_told else b"") + b"\r\n")
        for _ in range(100):
            line.send(b"x" * 1024 * 1024)
            sent.append(1)

    with Peer(floods) as peer:
        error = failed(make_pool(peer))
    assert isinstance(error, RestProtocolError)
    assert "longer than 4 MiB" in str(error)
    assert len(sent) < 50


def test_an_answer_of_four_megabytes_is_read(make_pool: Any) -> None:
    """Not one byte more."""
    with Peer(answers(http(b"x" * MOST_BYTES)), answers(http(b"x" * (MOST_BYTES + 1)))) as peer:
        pool = make_pool(peer)
        assert len(got(pool).body) == MOST_BYTES
    with Peer(answers(http(b"x" * (MOST_BYTES + 1)))) as peer:
        assert isinstance(failed(make_pool(peer)), RestProtocolError)


def test_a_host_that_refuses_or_is_unknown_is_worth_another_try(make_pool: Any) -> None:
    """With the words of the websocket."""
    error = failed(make_pool(f"ws://127.0.0.1:{closed_port()}"))
    assert type(error) is RestUnavailable
    assert "Connection refused (ECONNREFUSED)" in str(error)


@pytest.mark.parametrize("reply", [b"", http(b"half", size=100)], ids=["nothing", "half a body"])
def test_an_answer_that_does_not_come_ends_with_the_deadline(make_pool: Any, reply: bytes) -> None:
    """One deadline for all of it, also for a peer that drips."""
    with Peer(plays(Line.read_head, reply, Line.wait_for_end)) as peer:
        error = failed(make_pool(peer), seconds=1.0)
    assert type(error) is RestUnavailable
    assert "timed out (while waiting for an answer)" in str(error)


def test_a_request_that_nobody_reads_ends_with_the_deadline(make_pool: Any) -> None:
    """Although it could not be sent."""
    with Peer(lambda line: line.over.wait(10)) as peer:
        outcome = get(make_pool(peer), "a=" + "x" * 20_000_000, seconds=1.0)
    assert "timed out (while sending a request)" in str(outcome)


def test_an_interrupt_leaves_no_connection_behind(make_pool: Any) -> None:
    """Ctrl-C goes through, and what it interrupted is closed."""

    def interrupted() -> dict[str, str]:
        raise KeyboardInterrupt

    with Peer(answers(http(b"1"))) as peer:
        pool = make_pool(peer)
        with pytest.raises(KeyboardInterrupt):
            pool.get(OPEN_ORDERS, "", interrupted, deadline=time.monotonic() + 10)
        assert (pool._busy, pool._idle) == (set(), [])


def test_the_file_of_an_answer_may_be_closed_twice() -> None:
    """Whatever http.client does."""
    closed: list[bytes] = []
    file = _AnswerFile(_WireFile(lambda: b"abc"), closed.append)
    assert file.read(1) == b"a"
    file.close()
    file.close()
    assert closed == [b"bc"]


def test_a_kept_connection_that_says_nothing_is_not_tried_twice(make_pool: Any) -> None:
    """The deadline has passed, and says so."""
    with Peer(plays(Line.read_head, http(b"1"), Line.wait_for_end)) as peer:
        pool = make_pool(peer)
        got(pool)
        assert "timed out (while waiting for an answer)" in str(failed(pool, seconds=1.0))
        assert peer.accepted == 1


def test_a_request_ends_at_once_when_the_door_is_closed(make_pool: Any) -> None:
    """However long its deadline is; and nothing is asked any more."""
    arrived = threading.Event()
    outcomes: list[Any] = []
    with Peer(plays(Line.read_head, lambda _: arrived.set(), Line.wait_for_end)) as peer:
        pool = make_pool(peer)
        thread = threading.Thread(target=lambda: outcomes.append(get(pool, seconds=3600.0)))
        thread.start()
        assert arrived.wait(10)
        pool.close()
        thread.join(10)
        assert not thread.is_alive()
        assert [type(outcome) for outcome in (*outcomes, get(pool))] == [ClientClosed] * 2
        assert peer.accepted == 1


def test_a_closed_pool_leaves_no_descriptor() -> None:
    """Neither idle connections nor their wakers."""
    with Peer(answers(http(b"1"), http(b"2"))) as peer:
        gc.collect()
        before = open_descriptors()
        pool = ConnectionPool(Environment.find(peer.url))
        got(pool)
        pool.close()
        pool.close()
        # The peer's end goes when its script sees ours go.
        deadline = time.monotonic() + 10
        while open_descriptors() > before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert open_descriptors() <= before


# --- TLS and proxies ---


@pytest.fixture
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context for localhost, and a client's that trusts it."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY.issue_cert("localhost").configure_cert(server)
    AUTHORITY.configure_trust(client)
    return server, client


@row(185, kills="the host's name is not compared with the certificate")
def test_tls_is_verified_and_nothing_sent_before(make_pool: Any, heads: list[str], contexts: Any) -> None:
    """By the client's context, with the websocket's words."""
    server, client = contexts
    with Peer(answers(http(b"1")), context=server) as peer:
        wrong_name = failed(make_pool(peer, ssl_context=client))
        unknown = failed(make_pool(f"wss://localhost:{peer.port}"))
        assert got(make_pool(f"wss://localhost:{peer.port}", ssl_context=client)).body == b"1"
    assert type(wrong_name) is type(unknown) is RestTLSError
    assert "the certificate is for" in str(wrong_name)
    assert (unknown.retry_after, len(heads)) == (30.0, 1)


@row(185, kills="the request goes to the proxy itself")
def test_a_proxy_is_asked_for_a_tunnel(make_pool: Any, heads: list[str], contexts: Any) -> None:
    """And sees neither key nor signature."""
    server, client = contexts
    proxy = HttpProxy()
    with Peer(answers(http(b"1")), context=server) as peer, Peer(proxy) as way:
        through = Proxy.parse(f"http://u:pw@127.0.0.1:{way.port}")
        assert got(make_pool(f"wss://localhost:{peer.port}", proxy=through, ssl_context=client)).body == b"1"
    assert proxy.heads[0].startswith(f"CONNECT localhost:{peer.port} HTTP/1.1\r\n")
    assert "s1gn4ture" not in proxy.heads[0]
    assert "s1gn4ture" in heads[0]


@row(185, kills="a SOCKS proxy is passed by")
def test_a_socks_proxy_serves_too(make_pool: Any, contexts: Any) -> None:
    """With the same package as the websocket."""
    pytest.importorskip("python_socks")
    server, client = contexts
    proxy = SocksProxy()
    with Peer(answers(http(b"1")), context=server) as peer, Peer(proxy) as way:
        through = Proxy.parse(f"socks5h://127.0.0.1:{way.port}")
        assert got(make_pool(f"wss://localhost:{peer.port}", proxy=through, ssl_context=client)).body == b"1"
    assert proxy.targets == ["localhost"]


def test_a_proxy_that_cannot_serve_is_named(make_pool: Any) -> None:
    """An unencrypted request would be read by it."""
    error = failed(make_pool("ws://127.0.0.1:1", proxy=Proxy.parse("http://proxy.example.com")))
    assert type(error) is RestRefused
    assert "proxy=http://proxy.example.com:80 is on another machine" in str(error)


def test_a_proxy_that_refuses_is_worth_another_try(make_pool: Any) -> None:
    """It is said that it was the proxy."""
    with Peer(plays(Line.read_head, b"HTTP/1.1 407 No\r\n\r\n", Line.wait_for_end)) as way:
        error = failed(make_pool("wss://localhost:1", proxy=Proxy.parse(f"http://127.0.0.1:{way.port}")))
    assert type(error) is RestUnavailable
    assert "the proxy refused with 407" in str(error)
