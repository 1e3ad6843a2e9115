"""Through a proxy: who is asked, what is told, and what a proxy can do wrong."""

from __future__ import annotations

import base64
import builtins
import contextlib
import copy
import pickle
import socket
import ssl
import threading
import time
from typing import Any

import pytest
import trustme

from bybit_sync.config.environments import Environment
from bybit_sync.errors import ConfigurationError, ConnectionFailed, HandshakeRejected
from bybit_sync.network.dialing import dial
from bybit_sync.network.proxy import Proxy
from bybit_sync.threads.waker import Interrupt, Waker
from tests.faults.canaries import rendered
from tests.peers import Line, Peer, Script, black_hole, closed_port, frame, in_namespace, opened, plays, read_messages

PASSWORD = "pw-c4n4ry"

AUTHORITY = trustme.CA()


@pytest.fixture
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context for localhost, and a client's that trusts it."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY.issue_cert("localhost", "exchange.test").configure_cert(server)
    AUTHORITY.configure_trust(client)
    return server, client


def greets(line: Line) -> None:
    """Be an exchange that says hello."""
    line.upgrade(frame("hello"))
    line.wait_for_end()


def relay(line: Line, port: int) -> None:
    """Carry bytes both ways between *line* and the local *port*."""
    with socket.create_connection(("127.0.0.1", port)) as onward:

        def carry(source: socket.socket, sink: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    sink.sendall(data)
            with contextlib.suppress(OSError):  # a reset is passed on, too
                sink.shutdown(socket.SHUT_WR)

        back = threading.Thread(target=carry, args=(onward, line.sock))
        back.start()
        carry(line.sock, onward)
        back.join(10)


class HttpProxy:
    """A proxy that knows CONNECT; `heads` are the requests that it got."""

    def __init__(self) -> None:
        self.heads: list[str] = []

    def __call__(self, line: Line) -> None:
        """Serve one connection."""
        head = line.read_head()
        self.heads.append(head)
        line.send(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 us\r\n\r\n")
        relay(line, int(head.split()[1].rpartition(":")[2]))


class SocksProxy:
    """A proxy that knows SOCKS 4, 4a and 5; `targets` are the hosts that it was asked for, `users` who asked."""

    def __init__(self, *, wants_password: bool = False) -> None:
        self.targets: list[str] = []
        self.users: list[str] = []
        self._wants_password = wants_password

    def __call__(self, line: Line) -> None:
        """Serve one connection."""
        version = line.read(1)[0]
        host, port = self._socks4(line) if version == 4 else self._socks5(line)
        self.targets.append(host)
        line.send(b"\x00\x5a" + bytes(6) if version == 4 else b"\x05\x00\x00\x01" + bytes(6))
        relay(line, port)

    def _socks4(self, line: Line) -> tuple[str, int]:
        _, high, low, *address = line.read(7)
        self.users.append(self._to_zero(line))
        by_name = address[:3] == [0, 0, 0]
        return self._to_zero(line) if by_name else ".".join(map(str, address)), high << 8 | low

    @staticmethod
    def _to_zero(line: Line) -> str:
        text = b""
        while (byte := line.read(1)) != b"\0":
            text += byte
        return text.decode()

    def _socks5(self, line: Line) -> tuple[str, int]:
        offered = line.read(line.read(1)[0])
        method = 2 if self._wants_password else 0
        assert method in offered
        line.send(bytes([5, method]))
        if self._wants_password:
            assert line.read(1) == b"\x01"
            self.users.append(":".join(line.read(line.read(1)[0]).decode() for _ in range(2)))
            line.send(b"\x01\x00")
        assert line.read(3) == b"\x05\x01\x00"
        host = self._address(line)
        return host, int.from_bytes(line.read(2), "big")

    @staticmethod
    def _address(line: Line) -> str:
        kind = line.read(1)[0]
        if kind == 3:
            return line.read(line.read(1)[0]).decode()
        return socket.inet_ntop(socket.AF_INET, line.read(4)) if kind == 1 else socket.inet_ntop(socket.AF_INET6, line.read(16))


def proxy_at(peer: Peer, scheme: str = "http", user: str = "") -> Proxy | None:
    """Return the proxy that *peer* is."""
    return Proxy.parse(f"{scheme}://{user}127.0.0.1:{peer.port}")


def failure(url: str, waker: Waker, proxy: Proxy | None, *, within: float = 10.0) -> ConnectionFailed:
    """Return the error with which a dial of *url* through *proxy* ends."""
    with pytest.raises(ConnectionFailed) as caught:
        dial(Environment.find(url), deadline=time.monotonic() + within, interrupt=Interrupt(waker), proxy=proxy)
    return caught.value


# -- HTTP CONNECT


def test_conversation_through_an_http_proxy(waker: Waker, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """The proxy is asked for host and port by name, and TLS is spoken through it with the exchange."""
    proxy = HttpProxy()
    with Peer(greets, context=contexts[0]) as exchange, Peer(proxy) as server:
        url = f"wss://localhost:{exchange.port}"
        with contextlib.closing(opened(url, waker=waker, ssl_context=contexts[1], proxy=proxy_at(server))) as transport:
            assert read_messages(transport, 1) == [b"hello"]
    assert proxy.heads == [f"CONNECT localhost:{exchange.port} HTTP/1.1\r\nHost: localhost:{exchange.port}"]


def test_proxy_is_used_again_on_every_dial(waker: Waker) -> None:
    """Reconnecting goes the same way (row 153)."""
    proxy = HttpProxy()
    with Peer(greets) as exchange, Peer(proxy) as server:
        route = proxy_at(server)
        for _ in range(2):
            opened(exchange.url, waker=waker, proxy=route).close()
    assert len(proxy.heads) == 2


def test_ipv6_target_stands_in_brackets(waker: Waker) -> None:
    """The proxy can tell address from port."""
    heads: list[str] = []
    with Peer(lambda line: heads.append(line.read_head())) as server:
        failure("ws://[::1]:8080", waker, proxy_at(server))
    assert heads[0].startswith("CONNECT [::1]:8080 HTTP/1.1")


@pytest.mark.parametrize(
    ("user", "credentials"),
    [("me:secret@", "me:secret"), ("me:p%40ss%3A%2F@", "me:p@ss:/"), ("me@", "me:"), ("m%C3%BC:x@", "mü:x")],
)
def test_credentials_are_sent_to_an_http_proxy(waker: Waker, user: str, credentials: str) -> None:
    """User and password go to the proxy as it expects them, whatever characters they hold."""
    heads: list[str] = []
    with Peer(lambda line: heads.append(line.read_head())) as server:
        failure("ws://127.0.0.1:9", waker, proxy_at(server, user=user))
    token = base64.b64encode(credentials.encode()).decode()
    assert f"Proxy-Authorization: Basic {token}" in heads[0].split("\r\n")


@pytest.mark.parametrize("status", [301, 400, 403, 407, 502, 503, 504])
def test_refusal_of_an_http_proxy_carries_its_status(waker: Waker, status: int) -> None:
    """What the proxy says is a rejection like the exchange's own, and names the proxy (row 153)."""
    with Peer(answers(f"HTTP/1.1 {status} No\x1b[2J\r\nContent-Length: 99\r\n\r\n".encode())) as server:
        error = failure("wss://localhost:9", waker, proxy_at(server, user=f"me:{PASSWORD}@"))
    assert isinstance(error, HandshakeRejected)
    assert error.status == status
    assert f"localhost:9 through http://127.0.0.1:{server.port}: the proxy refused with {status} No" in str(error)
    assert str(error).isprintable()
    assert PASSWORD not in rendered(error)


def answers(data: bytes) -> Script:
    """Return a script that answers CONNECT with *data*, and waits."""
    return plays(Line.read_head, data, Line.wait_for_end)


WRONG: dict[str, Script] = {
    "junk": answers(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "no status": answers(b"HTTP/1.1 yes\r\n\r\n"),
    "100 MB of headers": answers(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1_000_000),
    "leaves": plays(Line.read_head),
    "leaves in the answer": plays(Line.read_head, b"HTTP/1.1 2"),
    "resets": plays(Line.read_head, Line.reset),
    "dies in the tunnel": plays(Line.read_head, b"HTTP/1.1 200 OK\r\n\r\n", 1),
}


@pytest.mark.parametrize("script", WRONG.values(), ids=WRONG)
def test_wrong_answer_of_a_proxy_is_a_failed_attempt(waker: Waker, script: Script) -> None:
    """Whatever a proxy does, it is a failed attempt that names the proxy and not the password (row 153)."""
    with Peer(script) as server:
        error = failure("wss://localhost:9", waker, proxy_at(server, user=f"me:{PASSWORD}@"))
    assert f"localhost:9 through http://127.0.0.1:{server.port}: " in str(error)
    assert PASSWORD not in rendered(error)


def test_proxy_that_talks_before_the_exchange_is_refused(waker: Waker) -> None:
    """Bytes behind the proxy's answer would be taken for the exchange's: there are none to come (row 153)."""
    with Peer(answers(b"HTTP/1.1 200 OK\r\n\r\n<html>")) as server:
        error = failure("wss://localhost:9", waker, proxy_at(server))
    assert "the proxy sent more than its answer: '<html>'" in str(error)


@pytest.mark.parametrize("extra", [b"X-Via: caf\xe9\r\n", b"X-Via: one,\r\n two\r\n", b"\r\nHTTP/1.1 200 OK\r\n"])
def test_answer_of_a_proxy_that_says_more_than_it_must_is_accepted(waker: Waker, extra: bytes) -> None:
    """Latin-1, folded headers and interim answers, as from the exchange itself (row 33)."""
    status = b"102 Processing" if b"200" in extra else b"200 OK"
    with Peer(plays(Line.read_head, b"HTTP/1.1 " + status + b"\r\n" + extra + b"\r\n", Line.wait_for_end)) as server:
        environment, deadline = Environment.find("ws://127.0.0.1:9"), time.monotonic() + 10
        dial(environment, deadline=deadline, interrupt=Interrupt(waker), proxy=proxy_at(server)).close()


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_silent_proxy_ends_at_the_deadline(waker: Waker, scheme: str) -> None:
    """A proxy that hangs is cut at the deadline (row 153)."""
    before = time.monotonic()
    with Peer(Line.wait_for_end) as server:
        error = failure("wss://localhost:9", waker, proxy_at(server, scheme), within=0.4)
    assert "timed out (while asking the proxy)" in str(error)
    assert time.monotonic() - before < 3


def test_proxy_that_nobody_runs_is_named(waker: Waker) -> None:
    """A refused connection is the proxy's, and the error says so (row 153)."""
    port = closed_port()
    error = failure("wss://localhost:9", waker, Proxy.parse(f"http://127.0.0.1:{port}"))
    assert f"localhost:9 through http://127.0.0.1:{port}: Connection refused" in str(error)


@pytest.mark.parametrize("status", [200, 502])
def test_host_behind_a_proxy_is_reached_when_the_proxy_says_so(waker: Waker, status: int) -> None:
    """A proxy that was reached and refuses is not the exchange."""
    reached: list[bool] = []
    with Peer(answers(f"HTTP/1.1 {status} So\r\n\r\n".encode())) as peer, contextlib.suppress(HandshakeRejected):
        environment, deadline = Environment.find("ws://127.0.0.1:9"), time.monotonic() + 10
        options: dict[str, Any] = {"proxy": proxy_at(peer), "on_reached": lambda: reached.append(True)}
        dial(environment, deadline=deadline, interrupt=Interrupt(waker), **options).close()
    assert reached == [True] * (status == 200)


class Abandoned(Exception):
    """What the caller raises to get out of a dial."""


@pytest.mark.parametrize("scheme", ["http", "socks5h", "socks4a"])
def test_waker_abandons_asking_a_proxy(waker: Waker, scheme: str) -> None:
    """What *on_wake* raises comes out as it is, through python-socks too, and carries no password (rows 129, 157)."""

    def abandon() -> None:
        raise Abandoned

    with Peer(Line.wait_for_end) as server:
        threading.Timer(0.1, waker.wake).start()
        with pytest.raises(Abandoned) as caught:
            dial(
                Environment.find("wss://localhost:9"),
                deadline=time.monotonic() + 9,
                interrupt=Interrupt(waker, abandon),
                proxy=proxy_at(server, scheme, f"me:{PASSWORD}@"),
            )
    assert PASSWORD not in rendered(caught.value)


# -- SOCKS


@pytest.mark.parametrize(
    ("scheme", "asked"),
    [("socks5h", "localhost"), ("socks5", "127.0.0.1"), ("socks4a", "localhost"), ("socks4", "127.0.0.1")],
)
def test_conversation_through_a_socks_proxy(
    waker: Waker, contexts: tuple[ssl.SSLContext, ssl.SSLContext], scheme: str, asked: str
) -> None:
    """Each kind works; the ``h`` and ``a`` leave resolving to the proxy, the others ask it for an address."""
    proxy = SocksProxy()
    with Peer(greets, context=contexts[0]) as exchange, Peer(proxy) as server:
        url = f"wss://localhost:{exchange.port}"
        with contextlib.closing(opened(url, waker=waker, ssl_context=contexts[1], proxy=proxy_at(server, scheme))) as transport:
            assert read_messages(transport, 1) == [b"hello"]
    assert proxy.targets == [asked]


def test_credentials_are_sent_to_a_socks_proxy(waker: Waker) -> None:
    """SOCKS 5 gets user and password, SOCKS 4 the user."""
    five, four = SocksProxy(wants_password=True), SocksProxy()
    with Peer(greets) as exchange, Peer(five) as server5, Peer(four) as server4:
        opened(exchange.url, waker=waker, proxy=proxy_at(server5, "socks5h", "me:secret@")).close()
        opened(exchange.url, waker=waker, proxy=proxy_at(server4, "socks4", "me@")).close()
    assert (five.users, four.users) == (["me:secret"], ["me"])


SOCKS_WRONG: dict[str, tuple[str, Script]] = {
    "no method": ("socks5h", plays(3, b"\x05\xff", Line.wait_for_end)),
    "method that was not offered": ("socks5h", plays(3, b"\x05\x01", Line.wait_for_end)),
    "password refused": ("socks5h", plays(4, b"\x05\x02", 5, b"\x01\x01", Line.wait_for_end)),
    "refused": ("socks5h", plays(4, b"\x05\x00", 4, b"\x05\x02\x00\x01")),
    "half an answer": ("socks5h", plays(4, b"\x05\x00", 4, b"\x05\x00\x00")),
    "HTTP": ("socks5h", plays(3, b"HTTP/1.1 400 Bad Request\r\n\r\n", Line.wait_for_end)),
    "leaves": ("socks5h", plays(1)),
    "resets": ("socks5h", plays(1, Line.reset)),
    "SOCKS 4 refused": ("socks4a", plays(8, b"\x00\x5b" + bytes(6), Line.wait_for_end)),
    "SOCKS 4 junk": ("socks4a", plays(8, b"\xff" * 8, Line.wait_for_end)),
}


@pytest.mark.parametrize(("scheme", "script"), SOCKS_WRONG.values(), ids=SOCKS_WRONG)
def test_wrong_answer_of_a_socks_proxy_is_a_failed_attempt(waker: Waker, scheme: str, script: Script) -> None:
    """Whatever a SOCKS proxy does, it is a failed attempt that names the proxy and not the password (row 153)."""
    with Peer(script) as server:
        error = failure("wss://localhost:9", waker, proxy_at(server, scheme, f"me:{PASSWORD}@"))
    assert f"localhost:9 through {scheme}://127.0.0.1:{server.port}: " in str(error)
    assert "while asking the proxy" in str(error)
    assert PASSWORD not in rendered(error)


def test_password_that_socks_cannot_carry_is_not_shown(waker: Waker) -> None:
    """A password that python-socks cannot encode is a failure that does not repeat it."""
    with Peer(SocksProxy(wants_password=True)) as server:
        error = failure("wss://localhost:9", waker, proxy_at(server, "socks5h", f"me:{PASSWORD}%C3%BC@"))
    assert PASSWORD not in rendered(error)


def test_socks_without_python_socks_tells_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that is missing is named when the proxy is given, not at the first connect."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'bybit-sync\[socks\]'"):
        Proxy.parse("socks5h://127.0.0.1:1080")


def test_http_proxy_needs_no_python_socks(waker: Waker, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP CONNECT works on the default install."""
    real = builtins.__import__

    def without_socks(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("python_socks"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_socks)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with Peer(greets) as exchange, Peer(HttpProxy()) as server:
        opened(exchange.url, waker=waker, proxy=proxy_at(server)).close()


# -- what may be given


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128"),
        ("http://proxy.example", "http://proxy.example:80"),
        ("http://proxy.example:3128/", "http://proxy.example:3128"),
        ("socks5h://me:pw@proxy.example", "socks5h://proxy.example:1080"),
        ("http://me:pw@[2001:db8::1]:8080", "http://[2001:db8::1]:8080"),
        ("HTTP://me:p@w:x@proxy.example:1", "http://proxy.example:1"),
        ("env", "as the environment variables say"),
    ],
)
def test_proxy_shows_everything_but_credentials(text: str, shown: str) -> None:
    """Its representation tells kind, host and port."""
    assert repr(Proxy.parse(text)) == f"<Proxy {shown}>"


def test_none_is_no_proxy() -> None:
    """None means: directly."""
    assert Proxy.parse(None) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ENV",
        "proxy.example:3128",
        f"https://me:{PASSWORD}@proxy.example:3128",
        f"ftp://me:{PASSWORD}@proxy.example",
        f"http://me:{PASSWORD}@",
        f"http://me:{PASSWORD}@proxy.example:port",
        f"http://me:{PASSWORD}@proxy.example:99999",
        f"http://me:{PASSWORD}@proxy.example/path",
        f"http://me:{PASSWORD}@proxy.example?query",
        f"http://me:{PASSWORD}@proxy.exa mple",
        f"http://me:{PASSWORD}@proxy.example\r\nX: y",
        f"http://me:{PASSWORD}@[::1",
        f"http://mü:{PASSWORD}@proxy.example",
        5,
        b"http://proxy.example",
    ],
)
def test_proxy_that_is_none_is_refused(text: Any) -> None:
    """What is no proxy's URL is refused with what would be one, and without showing a password."""
    with pytest.raises(ConfigurationError, match='^proxy .*"http://user:password@host:port"') as caught:
        Proxy.parse(text)
    assert PASSWORD not in str(caught.value)


def test_credentials_are_in_no_rendering_of_a_proxy() -> None:
    """Neither `repr`, `vars`, `asdict` nor a copy shows them, and pickling is refused (row 155)."""
    proxy = Proxy.parse(f"socks5h://me:{PASSWORD}@proxy.example")
    assert proxy is not None
    assert PASSWORD not in f"{proxy!r} {proxy} {vars(proxy)} {copy.deepcopy(proxy)!r}"
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        pickle.dumps(proxy)


def test_unencrypted_login_does_not_go_to_another_machines_proxy(waker: Waker) -> None:
    """``ws://`` stays on this machine: through a proxy elsewhere it is refused, not sent (row 158)."""
    with pytest.raises(ConfigurationError, match="proxy=http://proxy.example:80 is on another machine"):
        dial(
            Environment.find("ws://127.0.0.1:9"),
            deadline=time.monotonic() + 5,
            interrupt=Interrupt(waker),
            proxy=Proxy.parse(f"http://me:{PASSWORD}@proxy.example"),
        )


# -- the environment variables

WSS, WS = Environment.find("wss://stream.bybit.com"), Environment.find("ws://127.0.0.1:9")


def route(monkeypatch: pytest.MonkeyPatch, environment: Environment, **variables: str) -> str:
    """Return the route to *environment* that the *variables* describe."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    proxy = Proxy.parse("env")
    assert proxy is not None
    return str(proxy.route(environment))


@pytest.mark.parametrize(
    ("environment", "variables", "expected"),
    [
        (WSS, {}, "None"),
        (WSS, {"https_proxy": "http://a:1"}, "http://a:1"),
        (WSS, {"HTTPS_PROXY": "http://a:1"}, "http://a:1"),
        (WSS, {"https_proxy": "a:1"}, "http://a:1"),
        (WSS, {"http_proxy": "http://a:1"}, "None"),
        (WSS, {"all_proxy": "socks5h://a:1"}, "socks5h://a:1"),
        (WSS, {"all_proxy": "http://a:1", "https_proxy": "http://b:2"}, "http://b:2"),
        (WSS, {"https_proxy": "", "all_proxy": "http://a:1"}, "http://a:1"),
        (WS, {"http_proxy": "http://localhost:1"}, "http://localhost:1"),
        (WS, {"https_proxy": "http://localhost:1"}, "None"),
    ],
)
def test_env_reads_the_usual_variables(
    monkeypatch: pytest.MonkeyPatch, environment: Environment, variables: dict[str, str], expected: str
) -> None:
    """``proxy="env"`` reads the variable of the scheme, then all_proxy, in either case (row 152)."""
    assert route(monkeypatch, environment, **variables) == expected


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("*", True),
        ("stream.bybit.com", True),
        ("STREAM.BYBIT.COM", True),
        ("bybit.com", True),
        (".bybit.com", True),
        ("example.com, bybit.com", True),
        ("stream.bybit.com:443", False),
        ("ybit.com", False),
        ("bybit.co", False),
        ("stream", False),
        ("evil-bybit.com", False),
        ("", False),
    ],
)
def test_no_proxy_matches_at_dots(monkeypatch: pytest.MonkeyPatch, no_proxy: str, direct: bool) -> None:  # noqa: FBT001
    """no_proxy names hosts and the domains above them, never a part of a name (row 152)."""
    expected = "None" if direct else "http://a:1"
    assert route(monkeypatch, WSS, https_proxy="http://a:1", no_proxy=no_proxy) == expected


def test_variables_are_read_at_each_dial(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that changes counts from the next attempt on."""
    assert route(monkeypatch, WSS, https_proxy="http://a:1") == "http://a:1"
    assert route(monkeypatch, WSS, https_proxy="http://b:2") == "http://b:2"


def test_variable_that_cannot_be_read_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which variable is wrong, and shows no password."""
    monkeypatch.setenv("HTTPS_PROXY", f"quic://me:{PASSWORD}@a:1")
    with pytest.raises(ConfigurationError, match="^https_proxy in the environment") as caught:
        route(monkeypatch, WSS)
    assert PASSWORD not in rendered(caught.value)


def test_variables_are_ignored_unless_asked_for(waker: Waker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``proxy="env"`` the environment has no say where the login goes (row 152)."""
    with Peer(greets) as exchange, Peer(HttpProxy()) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.port}")
        opened(exchange.url, waker=waker).close()
        assert server.accepted == 0
        opened(exchange.url, waker=waker, proxy=Proxy.parse("env")).close()
        assert server.accepted == 1


def test_proxys_name_is_resolved_and_the_exchanges_is_not() -> None:
    """With CONNECT the exchange's name is never asked for here: the proxy resolves it."""
    in_namespace(
        """
import time
from bybit_sync.threads.waker import Interrupt, Waker
from bybit_sync.network.dialing import dial
from bybit_sync.config.environments import Environment
from bybit_sync.errors import ConnectionFailed
from bybit_sync.network.proxy import Proxy
from tests.peers import NameServer, Peer
server = NameServer({"proxy.test": ["127.0.0.1"]})
heads = []
with Peer(lambda line: heads.append(line.read_head())) as peer:
    try:
        dial(Environment.find("wss://exchange.test"), deadline=time.monotonic() + 5, interrupt=Interrupt(Waker()),
             proxy=Proxy.parse(f"http://proxy.test:{peer.port}"))
    except ConnectionFailed:
        pass
assert heads[0].startswith("CONNECT exchange.test:443 "), heads
assert set(server.asked) == {"proxy.test"}, server.asked
"""
    )


def test_black_holed_proxy_ends_at_the_deadline(waker: Waker) -> None:
    """A proxy that cannot be reached takes no longer than anything else."""
    with black_hole() as port:
        error = failure("wss://localhost:9", waker, Proxy.parse(f"http://127.0.0.1:{port}"), within=0.3)
    assert "timed out (while connecting)" in str(error)
