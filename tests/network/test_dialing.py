"""From an environment to a connected wire: names, addresses and one deadline."""

from __future__ import annotations

import resource
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from bybit_sync.errors import ConnectionFailed
from bybit_sync.network import dialing
from bybit_sync.network.wire import Deadline
from bybit_sync.threads.waker import Waker
from tests.peers import Abandoned, Line, Peer, black_hole, closed_port, dialled, in_namespace, opened

REAL_WAIT = Deadline.wait


def reset(server: socket.socket) -> None:
    """Accept a connection of *server* and reset it."""
    with server.accept()[0] as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_connects_by_address_and_by_name(waker: Waker, host: str) -> None:
    """A literal address is connected to, a name resolved first."""
    accepted = threading.Event()
    with Peer(lambda line: accepted.set()) as peer:
        dialled(f"ws://{host}:{peer.port}", waker).close()
        assert accepted.wait(5)


def test_ipv6_literal(waker: Waker) -> None:
    """An IPv6 literal works, and stands in brackets in the Host header (row 9)."""
    requests: list[str] = []
    with Peer(lambda line: requests.append(line.upgrade()), host="::1") as peer:
        opened(peer.url, waker=waker).close()
    assert f"Host: [::1]:{peer.port}" in requests[0].split("\r\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_refused_connection_names_host_port_and_reason(waker: Waker, host: str) -> None:
    """The error says where nobody listens, in the system's words (row 1)."""
    port = closed_port()
    with pytest.raises(ConnectionFailed, match=f"^{host}:{port}: Connection refused .ECONNREFUSED. .while connecting"):
        dialled(f"ws://{host}:{port}", waker)


def test_black_hole_is_given_up(waker: Waker, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that does not answer is given up after its own time, long before the deadline (row 4)."""
    monkeypatch.setattr(dialing, "_CONNECT_SECONDS", 0.3)
    before = time.monotonic()
    with black_hole() as port, pytest.raises(ConnectionFailed, match="no answer within 0.3 s .while connecting"):
        dialled(f"ws://127.0.0.1:{port}", waker)
    assert time.monotonic() - before < 5


def test_deadline_ends_a_connect(waker: Waker) -> None:
    """The deadline holds whatever the addresses are still allowed (row 4)."""
    before = time.monotonic()
    with black_hole() as port, pytest.raises(ConnectionFailed, match="timed out .while connecting"):
        dialled(f"ws://127.0.0.1:{port}", waker, within=0.3)
    assert time.monotonic() - before < 3


def test_addresses_alternate_between_families() -> None:
    """The resolver's favourite family begins, then they take turns, and none is tried twice (row 8)."""
    v6, v4 = socket.AF_INET6, socket.AF_INET
    found = [(v6, ("a",)), (v6, ("b",)), (v6, ("c",)), (v4, ("d",)), (v6, ("a",))]
    assert [address[0] for _, address in dialing._interleaved(found)] == ["a", "d", "b", "c"]


def test_waker_abandons_a_connect(waker: Waker) -> None:
    """A wake-up calls *on_wake* at once; what it raises comes out, and the waker is drained again (row 129)."""

    def abandon() -> None:
        raise Abandoned

    waker.wake()
    before = time.monotonic()
    with black_hole() as port, pytest.raises(Abandoned):
        dialled(f"ws://127.0.0.1:{port}", waker, on_wake=abandon)
    assert time.monotonic() - before < 4


def test_waker_that_abandons_nothing_is_only_drained(waker: Waker) -> None:
    """Each wake-up is answered with one call, and the dial goes on."""
    calls: list[bool] = []
    waker.wake()
    with black_hole() as port, pytest.raises(ConnectionFailed, match="timed out"):
        dialled(f"ws://127.0.0.1:{port}", waker, within=0.5, on_wake=lambda: calls.append(True))
    assert calls == [True]


def test_waker_that_is_woken_for_ever_does_not_hold_the_deadline(waker: Waker) -> None:
    """The deadline holds even when the waker is woken again in every call."""
    waker.wake()
    with black_hole() as port, pytest.raises(ConnectionFailed, match="timed out"):
        dialled(f"ws://127.0.0.1:{port}", waker, within=0.3, on_wake=waker.wake)


def test_no_descriptor_left_is_a_failed_attempt(waker: Waker) -> None:
    """Out of descriptors, the attempt fails and says so; when there are some again, the next one works (row 11)."""
    with Peer(Line.wait_for_end) as peer:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (waker.fileno() - 1, hard))
        try:
            with pytest.raises(ConnectionFailed, match="EMFILE"):
                dialled(peer.url, waker)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        dialled(peer.url, waker).close()


def test_failed_dials_leave_no_descriptor(waker: Waker, monkeypatch: pytest.MonkeyPatch) -> None:
    """However an attempt fails, it gives back what it opened."""
    monkeypatch.setattr(dialing, "_CONNECT_SECONDS", 0.05)
    with black_hole() as port:
        before = descriptors()
        for url in (f"ws://127.0.0.1:{port}", f"ws://127.0.0.1:{closed_port()}", f"ws://localhost:{closed_port()}"):
            with pytest.raises(ConnectionFailed):
                dialled(url, waker)
        assert descriptors() == before


def descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_thread_left_is_a_failed_attempt(waker: Waker, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system starts no thread for the resolver, the attempt fails, and the next one tries again (row 139)."""

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with Peer(Line.wait_for_end) as peer:
        with monkeypatch.context() as broken:
            broken.setattr(dialing._Lookup, "start", no_thread)
            with pytest.raises(ConnectionFailed, match="can't start new thread"):
                dialled(f"ws://localhost:{peer.port}", waker)
        dialled(f"ws://localhost:{peer.port}", waker).close()


def test_host_is_reached_once_and_whatever_follows(waker: Waker) -> None:
    """As soon as it took the connection, even if it then hangs up."""
    reached: list[bool] = []
    with Peer(lambda line: None) as peer, pytest.raises(ConnectionFailed, match="closed|reset"):
        dialled(peer.url.replace("ws:", "wss:"), waker, on_reached=lambda: reached.append(True))
    assert reached == [True]


def test_host_that_resets_what_it_took_was_reached(waker: Waker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when that is seen before the connection is: it counts against the exchange's limit."""
    reached: list[bool] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        # What `wait` looks at is reset already.
        monkeypatch.setattr(Deadline, "wait", lambda *given: (reset(server), REAL_WAIT(*given))[1])
        with pytest.raises(ConnectionFailed, match="reset"):
            dialled(f"ws://127.0.0.1:{server.getsockname()[1]}", waker, on_reached=lambda: reached.append(True))
    assert reached == [True]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_host_that_refuses_is_not_reached(waker: Waker, host: str) -> None:
    """Nor is one without a name, or of which nothing was heard."""
    with pytest.raises(ConnectionFailed):
        dialled(f"ws://{host}:{closed_port()}", waker, on_reached=lambda: pytest.fail("it was not"))


# -- names, with a resolver of our own

PREAMBLE = """
import os, sys, threading, time
from bybit_sync.network import dialing
from bybit_sync.threads.waker import Interrupt, Waker
from bybit_sync.errors import ConnectionFailed
from tests.peers import Abandoned, Line, NameServer, Peer, black_hole, dialled

def abandon():
    raise Abandoned

def failure(url, waker, **options):
    began = time.monotonic()
    try:
        dialled(url, waker, **options).close()
    except (ConnectionFailed, Abandoned) as error:
        return str(error), time.monotonic() - began
    raise AssertionError("it connected")

def resolvers():
    return [thread.name for thread in threading.enumerate() if "resolver" in thread.name]

waker = Waker()
"""


def test_silent_resolver_is_abandoned() -> None:
    """Resolving ends after its own time; a second attempt shares the helper that still waits (row 6)."""
    in_namespace(
        PREAMBLE
        + """
server = NameServer({}, silent=True)
dialing._RESOLVE_SECONDS = 0.5
for _ in range(3):
    text, took = failure("wss://exchange.test", waker)
    assert text.startswith("exchange.test:443: the resolver gave no answer within 0.5 s"), text
    assert 0.5 <= took < 2, took
    assert resolvers() == ["MainThread-resolver"], resolvers()
text, took = failure("wss://exchange.test", waker, within=0.2)
assert "timed out (while resolving exchange.test)" in text and took < 2, (text, took)
failure("wss://other.test", waker)
assert len(resolvers()) == 2
"""
    )


def test_waker_abandons_resolving() -> None:
    """A dead resolver does not hold a close: the wake-up is answered at once (rows 6, 129)."""
    in_namespace(
        PREAMBLE
        + """
server = NameServer({}, silent=True)
threading.Timer(0.2, waker.wake).start()
text, took = failure("wss://exchange.test", waker, on_wake=abandon)
assert took < 1, took
"""
    )


def test_forked_child_resolves_for_itself() -> None:
    """A child does not wait for a helper that stayed in its parent (row 138)."""
    in_namespace(
        PREAMBLE
        + """
server = NameServer({}, silent=True)
dialing._RESOLVE_SECONDS = 0.2
failure("wss://exchange.test", waker)
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
child = os.fork()
if child == 0:
    failure("wss://exchange.test", waker)
    os._exit(0 if len(resolvers()) == 1 else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    )


def test_name_that_does_not_exist_is_asked_for_again() -> None:
    """NXDOMAIN is a failed attempt with a hint, and is not remembered (row 5)."""
    in_namespace(
        PREAMBLE
        + """
server = NameServer({})
text, took = failure("wss://exchange.test", waker)
assert "'exchange.test' was not resolved" in text and "is the name right" in text and took < 2, (text, took)
server.names["exchange.test"] = ["127.0.0.1"]
text, took = failure("wss://exchange.test:9", waker)
assert text.startswith("exchange.test:9: Connection refused"), text
"""
    )


def test_name_is_resolved_anew_for_each_attempt() -> None:
    """When the exchange moves, the next attempt goes to the new address (row 7)."""
    in_namespace(
        PREAMBLE
        + """
with Peer(lambda line: None, host="127.0.0.2") as old, Peer(lambda line: None, host="127.0.0.3", port=old.port) as new:
    server = NameServer({"exchange.test": ["127.0.0.2"]})
    failure(f"wss://exchange.test:{old.port}", waker)
    assert (old.accepted, new.accepted) == (1, 0)
    server.names["exchange.test"] = ["127.0.0.3"]
    failure(f"wss://exchange.test:{old.port}", waker)
    assert (old.accepted, new.accepted) == (1, 1)
"""
    )


def test_next_address_does_not_wait_for_a_dead_one() -> None:
    """An IPv6 that leads nowhere costs a quarter of a second, not its whole time (row 8)."""
    in_namespace(
        PREAMBLE
        + """
server = NameServer({"exchange.test": ["::1", "127.0.0.1"]})
with Peer(lambda line: None) as peer, black_hole("::1", peer.port):
    text, took = failure(f"wss://exchange.test:{peer.port}", waker)
    assert "TLS" in text and peer.accepted == 1, text
    assert took < 3, took
"""
    )


def test_next_address_is_tried_as_soon_as_one_has_failed() -> None:
    """An address that refuses costs nothing: the next one does not wait for its turn (row 8)."""
    in_namespace(
        PREAMBLE
        + """
server = NameServer({"exchange.test": ["::1", "127.0.0.1"]})
dialing._STAGGER_SECONDS = 30
with Peer(lambda line: None) as peer:
    text, took = failure(f"wss://exchange.test:{peer.port}", waker)
    assert "TLS" in text and peer.accepted == 1, text
    assert took < 5, took
"""
    )


def test_every_address_that_fails_is_told() -> None:
    """When no address works the error says why, each reason once; it takes no longer than they need."""
    in_namespace(
        PREAMBLE
        + """
server = NameServer({"exchange.test": ["::1", "127.0.0.1", "192.0.2.1"]})
text, took = failure("wss://exchange.test:9", waker)
assert "Connection refused (ECONNREFUSED); Network is unreachable (ENETUNREACH)" in text, text
assert took < 0.5, took
"""
    )


def test_no_route_is_told_at_once() -> None:
    """Without a network the attempt fails at once with the system's word for it (row 10)."""
    in_namespace(
        PREAMBLE
        + """
text, took = failure("wss://192.0.2.1", waker)
assert text.startswith("192.0.2.1:443: Network is unreachable (ENETUNREACH)") and took < 0.5, (text, took)
"""
    )


def test_no_port_left_is_a_failed_attempt() -> None:
    """Out of local ports, the attempt fails and says so (row 12)."""
    in_namespace(
        PREAMBLE
        + """
import socket
with Peer(Line.wait_for_end) as peer:
    open("/proc/sys/net/ipv4/ip_local_port_range", "w").write("60000 60000")
    with socket.create_connection(("127.0.0.1", peer.port)):
        text, took = failure(peer.url, waker)
assert "EADDRNOTAVAIL" in text, text
"""
    )


def test_localhost_that_is_elsewhere_gets_nothing() -> None:
    """A hosts file that sends "localhost" to another machine does not get an unencrypted login."""
    in_namespace(
        PREAMBLE
        + """
text, took = failure("ws://localhost:9", waker)
assert "localhost is not this machine" in text, text
""",
        hosts="192.0.2.1 localhost\n",
    )


def test_strange_names_are_failed_attempts(waker: Waker) -> None:
    """A name that the resolver cannot even ask for fails like any other."""
    with pytest.raises(ConnectionFailed, match="was not resolved"):
        dialled("wss://" + ".".join(["a" * 63] * 3 + ["b" * 61]), waker, within=8)
