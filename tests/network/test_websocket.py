"""The websocket, spoken to by peers of raw sockets that say what no proper server would."""

from __future__ import annotations

import random
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
import websocket
from websocket import _handshake

from bybit_sync.errors import ConnectionFailed, ConnectionLost, HandshakeRejected, ProtocolError
from bybit_sync.network.websocket import Transport
from bybit_sync.threads.waker import Waker
from tests.faults.canaries import rendered
from tests.peers import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Line,
    Peer,
    Script,
    frame,
    line,
    opened,
    plays,
    read_messages,
    read_to_the_end,
    switching,
)

AUTHORITY = trustme.CA()


class Net:
    """What a test talks through: plain sockets or TLS."""

    def __init__(self, waker: Waker, *, tls: bool) -> None:
        self.waker = waker
        self.server: ssl.SSLContext | None = None
        self.client: ssl.SSLContext | None = None
        self._transports: list[Transport] = []
        if tls:
            self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            AUTHORITY.issue_cert("127.0.0.1").configure_cert(self.server)
            self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            AUTHORITY.configure_trust(self.client)

    def peer(self, *scripts: Script) -> Peer:
        """Return a peer that plays *scripts*."""
        return Peer(*scripts, context=self.server)

    def open(self, peer: Peer, **options: Any) -> Transport:
        """Return a transport to *peer* that is closed when the test ends."""
        transport = opened(peer.url, **{"waker": self.waker, "ssl_context": self.client, **options})
        self._transports.append(transport)
        return transport

    def close(self) -> None:
        """Close what was opened."""
        for transport in self._transports:
            transport.close()


@pytest.fixture
def plain(waker: Waker) -> Iterator[Net]:
    """Plain sockets, for what TLS cannot change."""
    net = Net(waker, tls=False)
    yield net
    net.close()


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def net(request: pytest.FixtureRequest, waker: Waker) -> Iterator[Net]:
    """Plain sockets and TLS."""
    net = Net(waker, tls=request.param)
    yield net
    net.close()


def says(*frames: bytes) -> Script:
    """Return a script that accepts, sends *frames* in one piece and waits."""
    return plays(Line.upgrade, b"".join(frames), Line.wait_for_end)


def says_unread(*frames: bytes) -> Script:
    """Return a script that accepts, sends *frames*, and reads nothing of what is sent to it."""
    return plays(Line.upgrade, b"".join(frames), Line.wait_unread)


def answers(head: str | bytes) -> Script:
    """Return a script that answers the request to upgrade with *head*, and waits."""
    return plays(Line.read_head, head.encode() if isinstance(head, str) else head, Line.wait_for_end)


# -- messages


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_message_of_every_size_arrives(net: Net, size: int, opcode: int) -> None:
    """Text and binary messages arrive as bytes, whatever way their length is written (rows 92, 98)."""
    message = (b"0123456789" * (size // 10 + 1))[:size]
    with net.peer(says(frame(message, opcode))) as peer:
        assert read_messages(net.open(peer), 1) == [message]


def test_frames_that_came_with_the_upgrade_are_not_lost(net: Net) -> None:
    """Frames in the same segment as the 101 are the first messages (row 36)."""

    def script(line: Line) -> None:
        line.upgrade(frame("one") + frame("two") + frame("three")[:3])
        line.send(frame("three")[3:])
        line.wait_for_end()

    with net.peer(script) as peer:
        assert read_messages(net.open(peer), 3) == [b"one", b"two", b"three"]


def test_frames_cut_at_every_byte_arrive_the_same(net: Net) -> None:
    """It makes no difference where the network cuts (row 99)."""
    sent = [b"a", b"b" * 126, b"", "ü€😀".encode(), b"c" * 300]
    stream = b"".join(frame(message) for message in sent) + frame("x", PING) + frame("d", fin=False) + frame("e", CONT)

    def script(line: Line) -> None:
        line.upgrade()
        for byte in stream:
            line.send(bytes([byte]))
        line.wait_for_end()

    with net.peer(script) as peer:
        assert read_messages(net.open(peer), 6) == [*sent, b"de"]


def test_fragments_are_joined(net: Net) -> None:
    """Fragments, empty ones too, are one message, and a ping between them is answered (row 96)."""

    def script(line: Line) -> None:
        line.upgrade(frame("", fin=False) + frame("he", CONT, fin=False) + frame("you?", PING))
        assert line.read_frame() == (PONG, b"you?")
        line.send(frame("", CONT, fin=False) + frame("llo", CONT) + frame("bye"))
        line.wait_for_end()

    with net.peer(script) as peer:
        assert read_messages(net.open(peer), 2) == [b"hello", b"bye"]


def test_data_before_a_close_frame_is_delivered_first(net: Net) -> None:
    """Messages in the same segment as the close frame are delivered, then it is over (row 44)."""
    with net.peer(says(frame("one"), frame("two"), frame(b"\x03\xe8", CLOSE), frame("never"))) as peer:
        messages, error = read_to_the_end(net.open(peer))
    assert messages == [b"one", b"two"]
    assert isinstance(error, ConnectionLost)


def test_burst_of_records_is_read_without_waiting(net: Net) -> None:
    """What lies ready, inside OpenSSL too, is read before anything is waited for (row 24)."""
    with net.peer(says(*[frame(b"%06d" % number + b"x" * 10_000) for number in range(300)])) as peer:
        assert [int(message[:6]) for message in read_messages(net.open(peer), 300)] == list(range(300))


def test_reader_that_stops_halfway_loses_nothing(plain: Net) -> None:
    """A caller that leaves the iteration gets the rest with the next one."""
    with plain.peer(says(frame("one"), frame("two"), frame("three")[:2])) as peer:
        transport = plain.open(peer)
        transport.wait(5)
        for message in transport.receive():
            assert message == b"one"
            break
        assert read_messages(transport, 1) == [b"two"]


def test_nothing_ready_yields_nothing(net: Net) -> None:
    """`receive` never waits."""
    with net.peer(says()) as peer:
        assert list(net.open(peer).receive()) == []


# -- what a frame must not be


def close_of(line: Line) -> int:
    """Return the code of the close frame that comes next."""
    opcode, payload = line.read_frame()
    assert opcode == CLOSE
    return int.from_bytes(payload[:2], "big")


FORBIDDEN: dict[str, tuple[int, bytes]] = {
    "continuation of nothing": (1002, frame("x", CONT)),
    "text inside fragments": (1002, frame("x", fin=False) + frame("y")),
    "binary inside fragments": (1002, frame("x", fin=False) + frame("y", BINARY)),
    "rsv1": (1002, frame("x", rsv=4)),
    "rsv2": (1002, frame("x", rsv=2)),
    "rsv3": (1002, frame("x", rsv=1)),
    "reserved data opcode": (1002, frame("x", 0x3)),
    "reserved control opcode": (1002, frame("x", 0xB)),
    "masked text": (1002, frame("x", mask=b"abcd")),
    "masked ping": (1002, frame("x", PING, mask=b"abcd")),
    "masked long text": (1002, frame("x" * 200, mask=b"abcd")),
    "long ping": (1002, frame("x" * 126, PING)),
    "long pong": (1002, frame("x" * 126, PONG)),
    "fragmented ping": (1002, frame("x", PING, fin=False)),
    "fragmented close": (1002, frame(b"\x03\xe8", CLOSE, fin=False)),
    "close of one byte": (1002, frame(b"\x03", CLOSE)),
    "close 1005": (1002, frame(b"\x03\xed", CLOSE)),
    "close 1006": (1002, frame(b"\x03\xee", CLOSE)),
    "close 999": (1002, frame(b"\x03\xe7", CLOSE)),
    "close with a reason that is not UTF-8": (1007, frame(b"\x03\xe8\xff", CLOSE)),
    "text that is not UTF-8": (1007, frame(b'{"a":"\xff"}')),
    "text that ends inside a character": (1007, frame(b"\xe2\x82")),
    "text with a surrogate": (1007, frame(b"\xed\xa0\x80")),
    "fragments that are not UTF-8": (1007, frame(b"\xe2", fin=False) + frame(b"\x28", CONT)),
    "100 MB": (1009, frame(size=100_000_000)),
    "2^62": (1009, frame(size=2**62)),
    "2^64 - 1": (1009, frame(size=2**64 - 1)),
    "binary of 2^62": (1009, frame(opcode=BINARY, size=2**62)),
    "ping of 2^62": (1009, frame(opcode=PING, size=2**62)),
}


@pytest.mark.parametrize(("code", "frames"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_forbidden_frame_ends_the_connection(net: Net, code: int, frames: bytes) -> None:
    """What came before is delivered, the server is told why, and the error says so (rows 40, 91, 94, 97)."""
    told: list[int] = []

    def script(line: Line) -> None:
        line.upgrade()
        line.send(frame("before") + frames)
        told.append(close_of(line))

    with net.peer(script) as peer:
        messages, error = read_to_the_end(net.open(peer))
    assert isinstance(error, ProtocolError)
    assert (messages, told) == ([b"before"], [code])


def test_error_stays_the_last_word(plain: Net) -> None:
    """After the end nothing is read any more, and asking again gives the same answer."""
    with plain.peer(says(frame("x", rsv=4), frame("after"))) as peer:
        transport = plain.open(peer)
        _, error = read_to_the_end(transport)
        assert read_to_the_end(transport) == ([], error)


def test_over_long_message_is_refused_from_its_header(plain: Net) -> None:
    """One byte over the limit is refused before any of it is read; the limit itself is not (row 94)."""
    with plain.peer(says(frame("x" * 1000), frame(size=1001))) as peer:
        messages, error = read_to_the_end(plain.open(peer, max_message_bytes=1000))
    assert messages == [b"x" * 1000]
    assert "1001 bytes" in str(error)


def test_fragments_are_limited_in_sum(plain: Net) -> None:
    """The limit on a message holds for its fragments together, again from the header (rows 94, 95)."""
    fragments = [frame("x" * 400, fin=False), frame("x" * 400, CONT, fin=False), frame("", CONT, fin=False, size=201)]
    with plain.peer(says(*fragments)) as peer:
        _, error = read_to_the_end(plain.open(peer, max_message_bytes=1000))
    assert "1001 bytes" in str(error)


def test_large_message_in_small_fragments_is_joined_once(plain: Net) -> None:
    """4 MB in fragments of 1,000 bytes cost a moment, not a minute."""
    flood = frame("x" * 1000, fin=False) + frame("x" * 1000, CONT, fin=False) * 3998 + frame("x" * 1000, CONT)
    with plain.peer(says(flood)) as peer:
        transport = plain.open(peer)
        before = time.thread_time()
        assert len(read_messages(transport, 1)[0]) == 4_000_000
        assert time.thread_time() - before < 3


@pytest.mark.parametrize("seed", range(100))
def test_random_bytes_end_in_a_documented_error(plain: Net, seed: int) -> None:
    """Whatever bytes come, it ends with one of the two errors, and without a hang (row 100)."""
    junk = random.Random(seed).randbytes(2000)
    with plain.peer(plays(Line.upgrade, frame("before") + junk)) as peer:
        messages, error = read_to_the_end(plain.open(peer))
    assert messages[0] == b"before"
    assert isinstance(error, (ConnectionLost, ProtocolError))


# -- the end of a connection


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 3000, 4001])
def test_close_frame_tells_code_and_reason(net: Net, code: int) -> None:
    """The error carries code and reason; the frame is answered with the same code (row 39)."""
    told: list[int] = []

    def script(line: Line) -> None:
        line.upgrade()
        line.send(frame(code.to_bytes(2, "big") + b"go away", CLOSE))
        told.append(close_of(line))

    with net.peer(script) as peer:
        _, error = read_to_the_end(net.open(peer))
    assert isinstance(error, ConnectionLost)
    assert (error.code, error.reason, told) == (code, "go away", [code])


def test_close_frame_without_code(plain: Net) -> None:
    """An empty close frame is a loss without code (row 39)."""
    with plain.peer(says(frame(b"", CLOSE))) as peer:
        _, error = read_to_the_end(plain.open(peer))
    assert isinstance(error, ConnectionLost)
    assert (error.code, error.reason) == (None, "")


def test_reason_of_a_close_frame_is_escaped(plain: Net) -> None:
    """Nothing that a terminal obeys gets from a server into a text (row 39)."""
    with plain.peer(says(frame(b"\x03\xe8" + "a\x1b[2J\r\nb\u202e".encode(), CLOSE))) as peer:
        _, error = read_to_the_end(plain.open(peer))
    assert isinstance(error, ConnectionLost)
    assert error.reason == r"a\x1b[2J\r\nb\u202e"
    assert str(error).isprintable()


ENDINGS: dict[str, Script] = {"FIN": lambda line: line.sock.close(), "RST": Line.reset}


@pytest.mark.parametrize("leave", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("rest", [b"", frame("x" * 500)[:1], frame("x" * 500)[:3], frame("x" * 500)[:200]])
def test_connection_that_just_ends_is_lost(net: Net, leave: Script, rest: bytes) -> None:
    """Without a close frame, between frames or inside one: what was whole is delivered, no part is (rows 21, 41, 42, 43)."""
    ready = threading.Event()

    def script(line: Line) -> None:
        line.upgrade(frame("whole") + rest)
        assert ready.wait(5)
        leave(line)

    with net.peer(script) as peer:
        transport = net.open(peer)
        messages = read_messages(transport, 1)
        ready.set()
        more, error = read_to_the_end(transport)
    assert messages + more == [b"whole"]
    assert isinstance(error, ConnectionLost)
    assert error.code is None


# -- the signs of life


def test_data_is_a_sign_of_life(net: Net) -> None:
    """`last_data_ns` is the moment at which the last byte of a data frame was read."""
    with net.peer(says(frame("one"))) as peer:
        transport = net.open(peer)
        opened_at = transport.last_data_ns
        read_messages(transport, 1)
        assert opened_at < transport.last_data_ns <= time.monotonic_ns()


@pytest.mark.parametrize("begin", [frame("x" * 500)[:1], frame("x" * 500)[:300], frame("x", fin=False)])
def test_part_of_a_message_is_a_sign_of_life_and_timed(net: Net, begin: bytes) -> None:
    """The bytes of a message on its way count, and `frame_since` says how long it has been on its way (rows 58, 59)."""
    with net.peer(says(begin)) as peer:
        transport = net.open(peer)
        opened_at = transport.last_data_ns
        assert transport.frame_since is None
        wait_for(transport, lambda: transport.frame_since is not None)
        assert transport.last_data_ns > opened_at


def wait_for(transport: Transport, condition: Callable[[], bool]) -> None:
    """Turn *transport* until *condition* holds."""
    until = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < until
        transport.wait(0.1)
        assert list(transport.receive()) == []


def test_trickle_keeps_the_moment_at_which_it_began(plain: Net) -> None:
    """More bytes of the same message do not move `frame_since`; its end does (row 59)."""
    more = threading.Event()

    def script(line: Line) -> None:
        line.upgrade(frame("x" * 500)[:100])
        assert more.wait(5)
        line.send(frame("x" * 500)[100:200])
        line.send(frame("x" * 500)[200:])
        line.wait_for_end()

    with plain.peer(script) as peer:
        transport = plain.open(peer)
        wait_for(transport, lambda: transport.frame_since is not None)
        began, heard = transport.frame_since, transport.last_data_ns
        more.set()
        transport.wait(5)
        assert list(transport.receive()) in ([], [b"x" * 500])
        assert transport.last_data_ns > heard
        assert transport.frame_since in (began, None)
        wait_for_message = [] if transport.frame_since is None else read_messages(transport, 1)
        assert transport.frame_since is None
        assert wait_for_message in ([], [b"x" * 500])


def test_next_partial_message_has_a_moment_of_its_own(plain: Net) -> None:
    """When one message ends and another begins in the same read, `frame_since` is about the other."""
    more = threading.Event()

    def script(line: Line) -> None:
        line.upgrade(frame("one")[:2])
        assert more.wait(5)
        line.send(frame("one")[2:] + frame("two")[:2])
        line.wait_for_end()

    with plain.peer(script) as peer:
        transport = plain.open(peer)
        wait_for(transport, lambda: transport.frame_since is not None)
        began = transport.frame_since
        more.set()
        assert read_messages(transport, 1) == [b"one"]
        assert transport.frame_since is not None
        assert began is not None
        assert transport.frame_since > began


@pytest.mark.parametrize("sent", [frame("x", PING), frame("x", PONG), frame("x" * 100, PING)[:50]])
def test_control_frames_are_no_sign_of_life(net: Net, sent: bytes) -> None:
    """Pings, pongs and parts of them leave `last_data_ns` and `frame_since` alone (row 54)."""
    with net.peer(says(sent)) as peer:
        transport = net.open(peer)
        opened_at = transport.last_data_ns
        transport.wait(5)
        assert list(transport.receive()) == []
        assert (transport.last_data_ns, transport.frame_since) == (opened_at, None)


def test_flood_of_pings_leaves_the_caller_its_turn(plain: Net) -> None:
    """One `receive` handles a bounded number of them, and `wait` does not wait for what is left over (row 54)."""
    count = 20_000

    def script(line: Line) -> None:
        line.upgrade()
        threading.Thread(target=line.send, args=(frame("", PING) * count + frame("end"),), daemon=True).start()
        pongs = line.read(6 * count)  # of two bytes, and four to mask nothing with
        assert (pongs[::6], pongs[1::6]) == (bytes([0x80 | PONG]) * count, b"\x80" * count)
        line.wait_for_end()

    with plain.peer(script) as peer:
        transport, turns = plain.open(peer), 0
        messages: list[bytes] = []
        while not messages:
            transport.wait(5)
            messages = list(transport.receive())
            turns += 1
    assert messages == [b"end"]
    assert turns >= count // 4000


# -- sending


def test_sent_text_arrives(net: Net) -> None:
    """A text of any size arrives as one masked text frame."""
    got: list[tuple[int, bytes]] = []
    texts = ["", '{"op":"ping"}', "ü" * 5000, "x" * 300_000]

    def script(line: Line) -> None:
        line.upgrade()
        got.extend(line.read_frame() for _ in texts)

    with net.peer(script) as peer:
        transport = net.open(peer)
        for text in texts:
            transport.send(text)
        read_to_the_end(transport)
    assert got == [(TEXT, text.encode()) for text in texts]


def test_ping_is_answered_with_its_payload(net: Net) -> None:
    """Each protocol ping gets the pong that it asks for."""
    got: list[tuple[int, bytes]] = []

    def script(line: Line) -> None:
        line.upgrade(frame("", PING) + frame("x" * 125, PING))
        got.extend(line.read_frame() for _ in range(2))

    with net.peer(script) as peer:
        read_to_the_end(net.open(peer))
    assert got == [(PONG, b""), (PONG, b"x" * 125)]


def until_stuck(transport: Transport) -> ConnectionLost:
    """Send until it fails."""
    for _ in range(1000):
        try:
            transport.send("x" * 100_000)
        except ConnectionLost as error:
            return error
    raise AssertionError("everything was taken")


def test_peer_that_does_not_read_is_given_up(net: Net) -> None:
    """A write that is not taken in time ends the connection for good, as half a frame may be out (row 57)."""
    with net.peer(says_unread()) as peer:
        transport = net.open(peer, write_seconds=0.2)
        error = until_stuck(transport)
        assert "sending" in str(error)
        with pytest.raises(ConnectionLost):
            transport.send("x")
        assert read_to_the_end(transport)[1] is error


def test_what_was_sent_before_a_broken_write_is_still_read(net: Net) -> None:
    """Pongs that cannot be sent any more do not swallow what came behind the pings."""
    with net.peer(says_unread(frame("one"), frame("", PING) * 1500, frame("two"))) as peer:
        transport = net.open(peer, write_seconds=0.2)
        until_stuck(transport)
        messages, error = read_to_the_end(transport)
    assert messages == [b"one", b"two"]
    assert isinstance(error, ConnectionLost)


class Abandoned(Exception):
    """What the caller raises to get out of a wait."""


def test_waker_gets_a_caller_out_of_a_write(net: Net) -> None:
    """While a write waits, a wake-up calls *on_wake*, which may raise to give the connection up."""

    def abandon() -> None:
        raise Abandoned

    with net.peer(says_unread()) as peer:
        transport = net.open(peer, on_wake=abandon)
        threading.Timer(0.2, net.waker.wake).start()
        with pytest.raises(Abandoned):
            for _ in range(1000):
                transport.send("x" * 100_000)


def test_ring_during_a_write_is_not_lost(net: Net) -> None:
    """When *on_wake* lets the write go on, the waker is woken again afterwards for the wait that it was meant for."""
    rung = threading.Event()

    def script(line: Line) -> None:
        line.upgrade()
        assert rung.wait(60)
        assert line.read_frame() == (TEXT, b"x" * 12_000_000)
        line.wait_for_end()

    with net.peer(script) as peer:
        transport = net.open(peer, on_wake=rung.set, write_seconds=60.0)
        threading.Timer(0.1, net.waker.wake).start()
        transport.send("x" * 12_000_000)
        assert rung.is_set()
        assert select.select([net.waker], [], [], 0)[0] == [net.waker]


def test_waker_ends_a_wait(net: Net) -> None:
    """A wake-up from another thread ends the wait for bytes."""
    with net.peer(says()) as peer:
        transport = net.open(peer)
        threading.Timer(0.1, net.waker.wake).start()
        before = time.monotonic()
        transport.wait(None)
        assert time.monotonic() - before < 5
        assert list(transport.receive()) == []


def test_wait_ends_at_its_timeout(net: Net) -> None:
    """Nothing comes, nobody wakes it: it returns; a time that is past already is none."""
    with net.peer(says()) as peer:
        transport = net.open(peer)
        transport.wait(0.01)
        transport.wait(-1)


# -- secrets


SECRET = "s3cr3t-s1gn4tur3"


def test_sent_text_is_in_no_frame_of_the_error(net: Net) -> None:
    """An error in sending a login does not carry it, not even in the locals of its frames (row 157)."""
    with net.peer(says_unread()) as peer:
        transport = net.open(peer, write_seconds=0.2)
        until_stuck(transport)
        with pytest.raises(ConnectionLost) as caught:
            transport.send(SECRET)
    assert SECRET not in rendered(caught.value).replace("transport.send(SECRET)", "")


def test_failing_write_does_not_carry_its_text(net: Net) -> None:
    """Nor does the error of the very write that fails, or the exception by which *on_wake* abandons it (row 157)."""

    def abandon() -> None:
        raise Abandoned

    with net.peer(says_unread()) as peer:
        transport = net.open(peer, on_wake=abandon)
        threading.Timer(0.2, net.waker.wake).start()
        with pytest.raises(Abandoned) as caught:
            send_for_ever(transport)
    assert SECRET not in rendered(caught.value)


def send_for_ever(transport: Transport) -> None:
    """Send a secret until it fails, without having it in a local."""
    while True:
        transport.send(SECRET * 10_000)


def test_trace_of_websocket_client_shows_no_message(net: Net, capfd: pytest.CaptureFixture[str]) -> None:
    """With `websocket.enableTrace(True)` neither what is sent nor what is received is printed (row 156)."""
    websocket.enableTrace(True)
    try:
        with net.peer(says(frame(SECRET[:4], fin=False), frame(SECRET[4:], CONT), frame(SECRET, BINARY))) as peer:
            transport = net.open(peer)
            transport.send(SECRET)
            assert read_messages(transport, 2) == [SECRET.encode()] * 2
    finally:
        websocket.enableTrace(False)
    assert SECRET not in "".join(capfd.readouterr())


# -- closing


def test_close_says_goodbye(net: Net) -> None:
    """The server gets a close frame with the code; closing again is nothing new."""
    got: list[tuple[int, bytes]] = []

    def script(line: Line) -> None:
        line.upgrade()
        got.append(line.read_frame())
        with pytest.raises(EOFError):
            line.read(1)

    with net.peer(script) as peer:
        transport = net.open(peer)
        transport.close(1001)
        transport.close()
    assert got == [(CLOSE, b"\x03\xe9")]


def test_close_does_not_wait_for_a_peer_that_does_not_read(net: Net) -> None:
    """However full the line is, closing takes a moment (row 132)."""
    with net.peer(says_unread()) as peer:
        transport = net.open(peer, write_seconds=0.2)
        until_stuck(transport)
        before = time.monotonic()
        transport.close()
        assert time.monotonic() - before < 5


def test_release_says_nothing(net: Net) -> None:
    """The descriptor is given back without a byte to the server: in a forked child it is the parent's connection (row 138)."""
    got: list[bytes] = []

    def script(line: Line) -> None:
        line.upgrade()
        try:
            got.append(line.sock.recv(100))
        except ConnectionResetError:  # a server's session tickets had arrived, and nobody read them
            got.append(b"")

    with net.peer(script) as peer:
        transport = net.open(peer)
        transport.release()
    assert got == [b""]


def test_transport_shows_its_peer_and_its_end(plain: Net) -> None:
    """Its representation tells whom it talks to, and whether that is over."""
    with plain.peer(says()) as peer:
        transport = plain.open(peer)
        assert repr(transport) == f"<Transport 127.0.0.1:{peer.port}>"
        transport.close()
        assert repr(transport) == f"<Transport 127.0.0.1:{peer.port} over>"


# -- the upgrade


def test_request_is_the_least_there_can_be(net: Net) -> None:
    """Host with its port, no Origin, no cookie, nothing about compression or subprotocols."""
    requests: list[str] = []

    def script(line: Line) -> None:
        requests.append(line.upgrade())

    with net.peer(script) as peer:
        net.open(peer)
    lines = requests[0].split("\r\n")
    assert lines[0] == "GET /v5/private HTTP/1.1"
    assert f"Host: 127.0.0.1:{peer.port}" in lines
    assert sorted(line.partition(":")[0] for line in lines[1:]) == [
        "Connection",
        "Host",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Upgrade",
    ]


def rejection(net: Net, script: Script) -> HandshakeRejected:
    """Return the error with which a dial of a peer that plays *script* ends."""
    with net.peer(script) as peer, pytest.raises(HandshakeRejected) as caught:
        net.open(peer)
    return caught.value


STATUSES = [200, 204, 301, 302, 303, 307, 308, 400, 401, 403, 404, 407, 429, 451, 500, 502, 503, 504, 599]


@pytest.mark.parametrize("status", STATUSES)
def test_status_other_than_101_rejects(net: Net, status: int) -> None:
    """A final answer other than 101 is a rejection with its status; no redirect is followed (rows 27, 28, 30, 31, 32)."""
    head = f"HTTP/1.1 {status} Because\r\nLocation: ws://127.0.0.1:9/elsewhere\r\nContent-Length: 999999\r\n\r\nsorry\x1b"
    error = rejection(net, answers(head))
    assert error.status == status
    assert f"{status} Because" in str(error)
    assert r"sorry\x1b" in str(error)


def test_redirect_is_not_followed(plain: Net) -> None:
    """The place that a redirect names never hears from us (rows 31, 158)."""
    with plain.peer(says()) as other:
        head = f"HTTP/1.1 302 Found\r\nLocation: {other.url}/v5/private\r\n\r\n"
        assert rejection(plain, answers(head)).status == 302
        assert other.accepted == 0


def test_body_of_a_rejection_is_cut(plain: Net) -> None:
    """At most 200 bytes of the body are shown (row 27)."""
    error = rejection(plain, answers("HTTP/1.1 404 Not Found\r\n\r\n" + "y" * 5000))
    assert str(error).count("y" * 200) == 1
    assert "y" * 201 not in str(error)


def test_body_is_not_waited_for(plain: Net) -> None:
    """A rejection whose body never comes is told at once (row 30)."""
    before = time.monotonic()
    error = rejection(plain, answers("HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\nContent-Length: 100\r\n\r\n"))
    assert error.status == 503
    assert time.monotonic() - before < 5


@pytest.mark.parametrize(("text", "seconds"), [("7", 7.0), ("0", 0.0), ("1000000000", 1e9)])
def test_retry_after_in_seconds(plain: Net, text: str, seconds: float) -> None:
    """The seconds that the server asks for are handed on as they are (row 29)."""
    assert rejection(plain, answers(f"HTTP/1.1 429 Slow\r\nRetry-After: {text}\r\n\r\n")).retry_after == seconds


def test_retry_after_as_a_date(plain: Net) -> None:
    """An HTTP date becomes the seconds until then, a past one 0 (row 29)."""
    late = rejection(plain, answers("HTTP/1.1 429 Slow\r\nRetry-After: Fri, 31 Dec 2100 23:59:59 GMT\r\n\r\n"))
    past = rejection(plain, answers("HTTP/1.1 429 Slow\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"))
    assert late.retry_after is not None
    assert late.retry_after > 1e8
    assert past.retry_after == 0.0


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5", "7 s", "Fri, 99 Dec 2100", "Fri, 31 Dec 999999 23:59:59 GMT"])
def test_retry_after_that_cannot_be_read(plain: Net, text: str) -> None:
    """Garbage is as good as nothing (row 29)."""
    assert rejection(plain, answers(f"HTTP/1.1 429 Slow\r\nRetry-After: {text}\r\n\r\n")).retry_after is None


JUNK: dict[str, bytes] = {
    "empty line": b"\r\n\r\n",
    "garbage": b"GARBAGE\r\n\r\n",
    "no status": b"HTTP/1.1 abc\r\n\r\n",
    "status of four digits": b"HTTP/1.1 1011 Yes\r\n\r\n",
    "HTTP/2": b"HTTP/2 101\r\n\r\n",
    "header without colon": b"HTTP/1.1 101 Yes\r\nUpgrade\r\n\r\n",
    "header that is not UTF-8": b"HTTP/1.1 101 Yes\r\nUpgrade: \xff\r\n\r\n",
    "no headers": b"HTTP/1.1 101 Yes\r\n\r\n",
    "endless line": b"HTTP/1.1 101 " + b"x" * 200_000,
    "6 MB of headers": b"HTTP/1.1 101 Yes\r\n" + b"A: b\r\n" * 1_000_000,
    "a websocket frame": frame("hello"),
    "nothing but zeros": bytes(1000),
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_junk_is_a_failed_attempt(net: Net, junk: bytes) -> None:
    """Whatever answers the request, the attempt fails with our error, at once, and without reading for ever (row 33)."""
    before = time.monotonic()
    with net.peer(answers(junk)) as peer, pytest.raises(ConnectionFailed, match=f"127.0.0.1:{peer.port}: ") as caught:
        net.open(peer)
    assert str(caught.value).isprintable()
    assert time.monotonic() - before < 5


def rewritten(old: bytes, new: bytes) -> Script:
    """Return a script that accepts the upgrade with *old* replaced by *new* in its answer."""

    def script(line: Line) -> None:
        line.send(re.sub(old, new, switching(line.read_head())))
        line.wait_for_end()

    return script


WRONG: dict[str, Script] = {
    "wrong accept": rewritten(b"Accept: [^\r]*", b"Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    "no accept": rewritten(b"Sec-WebSocket-Accept: .*\r\n", b""),
    "two accepts": rewritten(b"(Sec-WebSocket-Accept: .*\r\n)", rb"\1\1"),
    "no upgrade": rewritten(b"Upgrade: websocket\r\n", b""),
    "another upgrade": rewritten(b"Upgrade: websocket", b"Upgrade: h2c"),
    "no connection": rewritten(b"Connection: Upgrade\r\n", b""),
    "compression": rewritten(b"Connection", b"Sec-WebSocket-Extensions: permessage-deflate\r\nConnection"),
    "subprotocol": rewritten(b"Connection", b"Sec-WebSocket-Protocol: chat\r\nConnection"),
}


@pytest.mark.parametrize("script", WRONG.values(), ids=WRONG)
def test_wrong_upgrade_is_a_failed_attempt(net: Net, script: Script) -> None:
    """A 101 that does not prove itself, or that chooses what was not offered, opens nothing (rows 32, 37)."""
    with net.peer(script) as peer, pytest.raises(ConnectionFailed, match="upgrading"):
        net.open(peer)


def test_odd_but_right_upgrade_is_accepted(plain: Net) -> None:
    """Case, order, extra headers and a list in Connection make no difference."""

    def script(line: Line) -> None:
        head = switching(line.read_head(), "X-Trace: ü".encode().decode("latin-1").encode("ascii", "ignore").decode())
        line.send(head.replace(b"Connection: Upgrade", b"CONNECTION:keep-alive, UPGRADE").replace(b"websocket", b"WebSocket"))
        line.send(frame("in"))
        line.wait_for_end()

    with plain.peer(script) as peer:
        assert read_messages(plain.open(peer), 1) == [b"in"]


HARMLESS: dict[str, Script] = {
    "Latin-1": rewritten(b"Connection", b"X-Served-By: caf\xe9\r\nConnection"),
    "UTF-8": rewritten(b"Connection", "X-Region: Z\u00fcrich\r\nConnection".encode()),
    "every byte": rewritten(b"Connection", b"X-Junk: " + bytes(set(range(256)) - set(b"\r\n\\")) + b"\r\nConnection"),
    "folded": rewritten(b"Connection", b"X-Long: one,\r\n two,\r\n\tthree\r\nConnection"),
    "folded where it counts": rewritten(b"Upgrade: websocket", b"Upgrade:\r\n websocket"),
    "interim": rewritten(b"^", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n"),
    "interim without headers": rewritten(b"^", b"HTTP/1.1 102\r\n\r\n" * 100),
}


@pytest.mark.parametrize("script", HARMLESS.values(), ids=HARMLESS)
def test_upgrade_that_a_browser_would_not_mind_is_accepted(net: Net, script: Script) -> None:
    """What a server says besides is not looked at, and an answer may be announced before it comes (row 33)."""
    with net.peer(script) as peer:
        net.open(peer)


ODD: dict[str, Script] = {
    "a fold of nothing": rewritten(b"(101[^\r]*)", rb"\1\r\n folded"),
    "a name that is not ASCII": rewritten(b"Connection", b"X-Stra\xdfe: 1\r\nConnection"),
    "junk after an interim answer": rewritten(b"^", b"HTTP/1.1 100 Continue\r\n\r\nGARBAGE\r\n\r\n"),
    "the end after an interim answer": rewritten(b"^.*", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("script", ODD.values(), ids=ODD)
def test_answer_that_is_only_nearly_harmless_is_a_failed_attempt(net: Net, script: Script) -> None:
    """Leniency ends where it could be taken for something else (row 33)."""
    with net.peer(script) as peer, pytest.raises(ConnectionFailed, match="upgrading"):
        net.open(peer, deadline=time.monotonic() + 1)


@pytest.mark.parametrize("head", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nA: " + b"b" * 60_000 + b"\r\n\r\n"])
def test_interim_answers_without_end_are_cut(net: Net, head: bytes) -> None:
    """64 KiB are all that the heads of one answer get, however many they are (row 33)."""
    endless = answers(head * (1_000_000 // len(head)))
    with net.peer(endless) as peer, pytest.raises(ConnectionFailed, match="longer than 65536 bytes"):
        net.open(peer)


def test_head_that_is_too_long_is_cut_wherever_it_ends(plain: Net) -> None:
    """Also when it is whole by the time that it is looked at."""
    with line() as (wire, theirs):
        theirs.sendall(b"HTTP/1.1 101 Yes\r\nA: " + b"b" * 65_530 + b"\r\n\r\n")
        with pytest.raises(ConnectionFailed, match="longer than 65536 bytes"):
            wire.read_head()


def drips(line: Line) -> None:
    """Answer with one byte of a header now and then, for ever."""
    line.read_head()
    line.send(b"HTTP/1.1 101 Yes\r\nX: ")
    while not line.over.wait(0.05):
        line.send(b"x")


@pytest.mark.parametrize("script", [answers(b""), answers(b"HTTP/1.1 101 Yes\r\n"), drips], ids=["silence", "stall", "drip"])
def test_upgrade_ends_at_the_deadline(net: Net, script: Script) -> None:
    """An answer that does not come, or comes byte by byte, is cut at the deadline (rows 34, 35)."""
    before = time.monotonic()
    with net.peer(script) as peer, pytest.raises(ConnectionFailed, match="timed out .while upgrading"):
        net.open(peer, deadline=time.monotonic() + 0.3)
    assert 0.3 <= time.monotonic() - before < 3


@pytest.mark.parametrize("leave", ENDINGS.values(), ids=ENDINGS)
def test_connection_that_ends_in_the_upgrade_is_a_failed_attempt(net: Net, leave: Script) -> None:
    """A server that leaves before it has answered is a failed attempt (row 20)."""
    with (
        net.peer(plays(Line.read_head, b"HTTP/1.1 101", leave)) as peer,
        pytest.raises(ConnectionFailed, match="while upgrading"),
    ):
        net.open(peer)


def test_waker_abandons_the_upgrade(net: Net) -> None:
    """What *on_wake* raises comes out as it is, whatever library it was raised through."""

    def abandon() -> None:
        raise Abandoned

    with net.peer(answers(b"HTTP/1.1 101 Yes\r\n")) as peer:
        threading.Timer(0.1, net.waker.wake).start()
        with pytest.raises(Abandoned):
            net.open(peer, on_wake=abandon)


def test_cookie_of_one_connection_is_not_sent_by_another(net: Net) -> None:
    """websocket-client's jar, which the whole process shares, is neither filled nor read (row 38)."""
    requests: list[str] = []

    def script(line: Line) -> None:
        requests.append(line.upgrade(b"", "Set-Cookie: account=1; Domain=127.0.0.1", "Set-Cookie: a=b; Domain=.invalid"))

    with net.peer(script) as peer:
        net.open(peer)
        net.open(peer)
    assert not any("cookie" in request.lower() for request in requests)


def test_cookie_of_other_users_of_websocket_client_is_not_sent(plain: Net) -> None:
    """What other code in this process put into that jar for the same host stays there (row 38)."""
    requests: list[str] = []
    jar = _handshake.CookieJar
    jar.add("session=theirs; Domain=127.0.0.1")
    try:
        with plain.peer(lambda line: requests.append(line.upgrade())) as peer:
            plain.open(peer)
    finally:
        jar.jar.clear()
    assert "theirs" not in requests[0]


@pytest.mark.parametrize("script", [answers("HTTP/1.1 404 No\r\n\r\n"), answers(b"junk"), WRONG["no accept"]])
def test_failed_upgrade_closes_its_socket(net: Net, script: Script) -> None:
    """After a failure nothing stays open: the server sees the end of the connection."""
    ended = threading.Event()

    def watched(line: Line) -> None:
        script(line)
        ended.set()

    with net.peer(watched) as peer:
        with pytest.raises(ConnectionFailed):
            net.open(peer)
        assert ended.wait(5)


def test_nagle_is_off(plain: Net) -> None:
    """Small frames are sent without waiting for an acknowledgement of the last."""
    with plain.peer(says()) as peer:
        sock = plain.open(peer)._wire._sock
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
