"""The simulated exchange over TLS, with a throw-away authority."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from bybit_sync import Client, Recovery, TLSError
from bybit_sync.simulator import Exchange
from tests.conftest import KEY, SECRET

pytest.importorskip("trustme")


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """An exchange that speaks TLS."""
    with Exchange(tls=True) as exchange:
        yield exchange


def test_a_client_that_trusts_the_authority_is_served(make_client: Callable[..., Client], exchange: Exchange) -> None:
    """Over TLS all is as without: order, fill, drop, and back."""
    account = exchange.account(KEY, SECRET)
    assert exchange.url.startswith("wss://127.0.0.1:")
    client = make_client(ssl_context=exchange.ssl_context)
    orders = client.subscribe_orders()
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    assert [next(iter(orders.get(timeout=5))).order_status for _ in range(2)] == ["New", "Filled"]
    exchange.drop(reset=True)
    assert orders.get(timeout=5).gap
    account.flood(2000)
    assert [next(iter(orders.get(timeout=10))).order_id for _ in range(2000)][-1] == "flood-2000"


def test_a_client_that_does_not_trust_it_is_not(make_client: Callable[..., Client], exchange: Exchange) -> None:
    """The certificate is good for who was told so only."""
    exchange.account(KEY, SECRET)
    with pytest.raises(TLSError):
        make_client().subscribe_orders()


def test_a_large_message_crosses_in_one_piece(make_client: Callable[..., Client], exchange: Exchange) -> None:
    """Many records each way, while the other side writes too."""
    account = exchange.account(KEY, SECRET)
    client = make_client(ssl_context=exchange.ssl_context)
    orders = client.subscribe_orders()
    account.push("orders", [{"orderId": "1", "filler": "x" * 1_000_000}])
    assert len(next(iter(orders.get(timeout=10))).extra["filler"]) == 1_000_000


def test_an_authority_is_for_one_exchange(exchange: Exchange) -> None:
    """Its certificate can be handed to any client; another exchange has another."""
    with Exchange(tls=True) as other:
        assert exchange.authority_pem != other.authority_pem
        assert exchange.authority_pem is not None
        assert exchange.authority_pem.startswith(b"-----BEGIN CERTIFICATE-----")


def test_without_tls_there_is_nothing_to_trust() -> None:
    """The same code works for both: None is a client's default."""
    with Exchange() as plain:
        assert (plain.ssl_context, plain.authority_pem) == (None, None)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01"])
def test_who_speaks_no_tls_does_not_hold_up_the_end(sent: bytes) -> None:
    """Neither a plain client, nor one that stops in the middle of the handshake, nor one that says nothing."""
    others = set(threading.enumerate())  # the exchange of an earlier test may still be ending
    exchange = Exchange(tls=True).start()
    with socket.create_connection(("127.0.0.1", urlsplit(exchange.url).port or 0)) as sock:
        sock.sendall(sent)
        exchange.wait_for(lambda: exchange.accepted)
        before = time.monotonic()
        exchange.close()
        assert time.monotonic() - before < 5
    for thread in set(threading.enumerate()) - others:
        thread.join(5)
        assert not thread.is_alive(), thread.name


def test_openssl_s_own_socket_understands_it(exchange: Exchange) -> None:
    """The handshake is plain TLS, the request may share its last flight, and the end is a polite one."""
    context = exchange.ssl_context
    assert context is not None
    with (
        socket.create_connection(("127.0.0.1", urlsplit(exchange.url).port or 0), timeout=5) as raw,
        context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False) as sock,
    ):
        sock.sendall(b"GET /nowhere HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        sock.sendall(b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        answer = b""
        while part := sock.recv(1000):
            answer += part
    assert answer.startswith(b"HTTP/1.1 404")


def test_another_name_is_in_the_url_and_in_the_certificate(make_client: Callable[..., Client]) -> None:
    """A client that calls it by that name, and resolves it to this machine, is served; REST as well."""
    name = socket.gethostname() if resolves(socket.gethostname()) else "localhost"
    with Exchange(host="0.0.0.0", tls=True, names=[name, "10.1.2.3"]) as exchange:
        exchange.account(KEY, SECRET)
        assert exchange.url.startswith(f"wss://{name}:")
        recover = Recovery(base_url=exchange.rest_url)
        client = make_client(environment=exchange.url, ssl_context=exchange.ssl_context, recover=recover)
        assert client.subscribe_orders().get(timeout=10).snapshot


def resolves(name: str) -> bool:
    """Return whether *name* has an address on this machine."""
    try:
        return bool(socket.getaddrinfo(name, None))
    except OSError:
        return False


@pytest.mark.parametrize(("host", "is_named"), [("exchange.example", True), ("127.0.0.1", True), ("other.example", False)])
def test_the_certificate_is_for_the_names_that_were_given(host: str, is_named: bool) -> None:  # noqa: FBT001 - a row
    """And for this machine; no other host of the same address is trusted."""
    with Exchange(tls=True, names=["exchange.example"]) as exchange, contextlib.ExitStack() as stack:
        context = exchange.ssl_context
        assert context is not None
        raw = stack.enter_context(socket.create_connection(("127.0.0.1", int(exchange.url.rpartition(":")[2])), timeout=5))
        if not is_named:
            stack.enter_context(pytest.raises(ssl.SSLCertVerificationError, match=host))
        context.wrap_socket(raw, server_hostname=host).close()


@pytest.mark.parametrize("names", ["exchange", [""], [7]])
def test_names_that_are_none_are_refused(names: Any) -> None:
    """A single text would be a name for each of its letters."""
    with pytest.raises(ValueError, match="names: .* is no list of host names"):
        Exchange(names=names)


def test_an_exchange_on_every_address_has_a_url_for_this_machine(make_client: Callable[..., Client]) -> None:
    """0.0.0.0 is no address to connect to."""
    with Exchange(host="0.0.0.0") as exchange:
        exchange.account(KEY, SECRET)
        assert exchange.url.startswith("ws://127.0.0.1:")
        assert exchange.rest_url.startswith("http://127.0.0.1:")
        assert make_client(environment=exchange.url).subscribe_orders().state == "LIVE"


def test_trustme_is_named_when_it_is_missing() -> None:
    """And needed by nothing else."""
    program = (
        "import sys, json; sys.modules['trustme'] = None\n"
        "from bybit_sync.simulator import Exchange\n"
        "Exchange().start().close()\n"
        "try: Exchange(tls=True)\n"
        "except ModuleNotFoundError as error: print(json.dumps([error.name, str(error)]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    remedy = "pip install 'bybit-sync[tls]' (in a copy of the source: pip install trustme)"
    assert json.loads(done.stdout) == ["trustme", f"tls: trustme is not installed: {remedy}"]
