"""Section B: TLS."""

from __future__ import annotations

import errno
import socket
import ssl
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import trustme

from bybit_sync import ConnectionFailed, State, TLSError
from bybit_sync.config.timings import Timings
from bybit_sync.network import dialing
from tests.faults.conftest import Play
from tests.faults.exchange import Talk, every, hang_up, order, push_next, push_order, say
from tests.faults.pace import seconds, short, within
from tests.faults.rows import row
from tests.faults.scene import Net, Scene
from tests.network.test_tls import old_tls
from tests.peers import Line, Script, plays

OVER_TLS = pytest.mark.parametrize("net", ["tls"], indirect=True)
NOW = datetime.now(timezone.utc)

AUTHORITY = trustme.CA()
STRANGER = trustme.CA()


@pytest.fixture(scope="session")
def tls() -> Net:
    """TLS as for all faults, with an authority that these tests know."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY.configure_trust(client)
    return Net(server(AUTHORITY, "127.0.0.1"), client)


def server(authority: trustme.CA, *names: str, **options: datetime) -> ssl.SSLContext:
    """Return a server's context with a certificate of *authority* for *names*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **options).configure_cert(context)
    return context


def expired() -> ssl.SSLContext:
    """Return a context with a certificate of last year."""
    past = {"not_before": NOW - timedelta(days=400), "not_after": NOW - timedelta(days=30)}
    return server(AUTHORITY, "127.0.0.1", **past)


# --- who cannot prove who it is ---


def is_refused_at_first(scene: Scene, impostor: ssl.SSLContext, *why: str) -> None:
    """Check what the catalogue calls FAIL at a first start that meets an *impostor*: raised at once, and nothing was sent."""
    heard: list[str] = []
    with scene.instead(lambda line: heard.append(line.read_head()), context=impostor) as other:
        began = time.monotonic()
        with pytest.raises(TLSError) as raised:
            scene.subscribe()
        assert time.monotonic() - began <= within(1)
        assert (other.accepted, heard) == (1, [])
    assert all(part in str(raised.value) for part in why), raised.value
    assert scene.client.state is State.IDLE
    scene.logged([])
    scene.histories.clear()
    scene.subscribe()
    scene.goes_on()


def is_refused_later(scene: Scene, impostor: ssl.SSLContext) -> None:
    """Check what it calls "later every 30 s, ERROR once": an *impostor* gets nothing, and the true exchange a new try."""
    relay, heard = scene.relay, list[str]()
    scene.subscribe()
    with scene.instead(lambda line: heard.append(line.read_head()), context=impostor) as other:
        scene.mark()
        relay.reset()
        scene.is_found(within=0.1)
        assert isinstance(scene.fails(), TLSError)
        began = time.monotonic()
        assert isinstance(scene.fails(), TLSError)
        assert time.monotonic() - began >= 0.9 * scene.client._config.timings.distrust
        assert (other.accepted, heard) == (2, [])
    scene._found_at = time.monotonic()
    scene.recovers("reset", levels=["WARNING", "ERROR", "INFO"])


SOON = {"distrust": seconds(4)}


@row(14, kills="an expired certificate is worth another try")
@OVER_TLS
def test_an_expired_certificate_is_raised_at_once(play: Play) -> None:
    """The first start ends with a `TLSError` that says what is wrong, and whom to ask; the login was not sent."""
    is_refused_at_first(play(), expired(), "certificate has expired", "Check this machine's clock", "Nothing was sent")


@row(14, kills="a certificate that cannot be trusted is tried again with the usual backoff")
@OVER_TLS
def test_a_certificate_that_expires_is_tried_every_thirty_seconds(play: Play) -> None:
    """A client that was LIVE tells one ERROR and tries on, without ever lowering its guard."""
    scene = play(timings=SOON)
    assert Timings().distrust == 30
    is_refused_later(scene, expired())


@row(15, kills="names are not checked")
@OVER_TLS
def test_a_certificate_for_another_name_is_raised_at_once(play: Play) -> None:
    """The error names both: who was meant, and who answered."""
    is_refused_at_first(play(), server(AUTHORITY, "impostor.example"), "is for impostor.example, not for 127.0.0.1")


@row(15, kills="names are not checked on return")
@OVER_TLS
def test_a_certificate_for_another_name_is_no_return(play: Play) -> None:
    """Whoever answers in the meantime does not get the login."""
    is_refused_later(play(timings=SOON), server(AUTHORITY, "impostor.example"))


@row(16, kills="certificates are not verified")
@OVER_TLS
def test_an_unknown_authority_is_raised_at_once(play: Play) -> None:
    """The error tells what to do where the authority is one's own."""
    is_refused_at_first(play(), server(STRANGER, "127.0.0.1"), "cannot be trusted", "ssl_context")


@row(16, kills="certificates are not verified on return")
@OVER_TLS
def test_an_unknown_authority_is_no_return(play: Play) -> None:
    """Whoever answers in the meantime does not get the login."""
    is_refused_later(play(timings=SOON), server(STRANGER, "127.0.0.1"))


@row(17, kills="a context that verifies nothing is used without a word")
@OVER_TLS
def test_verification_that_was_switched_off_is_warned_about_at_each_connect(play: Play) -> None:
    """It has to be spelled out in code, works then, and is told at every connect."""
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    scene = play(ssl_context=careless)
    scene.subscribe()
    assert "does not verify the server" in scene.logged(["WARNING"])
    scene.cause(hang_up)
    scene.recovers("without a close frame", levels=["WARNING", "WARNING", "INFO"])


@row(22, kills="a server with old TLS only is worth another try")
@OVER_TLS
def test_a_server_with_old_tls_only_is_raised_at_once(play: Play) -> None:
    """Nothing below TLS 1.2 gets the login."""
    is_refused_at_first(play(), old_tls(server(AUTHORITY, "127.0.0.1")), "TLS 1.2 is the least")


@row(22, kills="TLS is lowered on return")
@OVER_TLS
def test_old_tls_is_no_return(play: Play) -> None:
    """Nor does it after an outage."""
    is_refused_later(play(timings=SOON), old_tls(server(AUTHORITY, "127.0.0.1")))


# --- handshakes that lead nowhere, and are worth another try ---


def is_tried_again(scene: Scene, script: Script, why: str, *, plain: bool = True, took: float = 1) -> None:
    """Check that an attempt that meets *script* fails with *why* in *took* seconds of the catalogue, and a good one works."""
    relay = scene.relay
    scene.subscribe()
    with scene.instead(script, plain=plain):
        scene.mark()
        relay.reset()
        scene.is_found(within=0.1)
        began = scene.status.wait_for(State.CONNECTING)
        error = scene.fails()
        assert time.monotonic() - began <= within(took)
        assert isinstance(error, ConnectionFailed)
        assert not isinstance(error, TLSError)
        assert why in str(error)
    scene._found_at = time.monotonic()
    scene.recovers("reset")


@row(18, kills="an answer that is no TLS is waited out")
@OVER_TLS
def test_a_server_without_tls_is_told_as_such(play: Play) -> None:
    """Plain HTTP on the port is an attempt that fails at once, for a reason that helps."""
    http = plays(3, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", Line.wait_for_end)
    is_tried_again(play(), http, "not TLS")


@row(19, kills="the handshake has no deadline")
@OVER_TLS
def test_a_handshake_that_stalls_is_cut_at_ten_seconds(play: Play) -> None:
    """A server that takes our hello and says nothing costs one attempt's time."""
    scene = play(connect_timeout=short())
    is_tried_again(scene, plays(100, Line.wait_for_end), "timed out (while shaking hands for TLS)", took=10)


@row(20, kills="an end inside the handshake is a matter of trust")
@OVER_TLS
@pytest.mark.parametrize("leave", [lambda line: line.sock.close(), Line.reset], ids=["FIN", "RST"])
def test_an_end_inside_the_handshake_is_tried_again(play: Play, leave: Script) -> None:
    """It happens where load balancers are restarted."""
    is_tried_again(play(), plays(100, leave), "(while shaking hands for TLS)")


@row(20, kills="an end behind the handshake is a matter of trust")
@OVER_TLS
def test_an_end_right_after_the_handshake_is_tried_again(play: Play) -> None:
    """The same one step later."""
    is_tried_again(play(), lambda line: None, "(while upgrading to a WebSocket)", plain=False)


# --- the stream ---


@row(21, kills="the end of TCP without the end of TLS raises what ssl raises")
@OVER_TLS
def test_a_stream_cut_short_is_a_loss_behind_what_was_whole(play: Play) -> None:
    """FIN without close_notify, right behind an update: the update, then the gap."""
    scene = play()
    orders = scene.subscribe()

    def say_and_leave(line: Talk) -> None:
        say(line, order(line, "whole"), order(line, "cut")[:50])
        hang_up(line)

    scene.cause(say_and_leave)
    orders.update("whole")
    scene.is_found(within=0.1)
    scene.recovers("without a close frame")


def in_one_segment(line: Talk, *names: str) -> None:
    """Push updates of the orders *names*, each in a TLS record of its own, in one segment."""
    line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    for name in names:
        push_order(line, name)
    line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)


@row(24, kills="one record is read each time that the socket is ready")
@OVER_TLS
def test_what_lies_in_tls_is_not_waited_for(play: Play) -> None:
    """Many records in one segment are as many updates at once, not one with each further segment."""
    scene = play(ping_interval=60, pong_timeout=60)
    orders = scene.subscribe()
    names = [f"order-{n}" for n in range(20)]
    scene.exchange.do(in_one_segment, *names)
    events = [orders.update(name) for name in names]
    assert events[-1].received_ns - events[0].received_ns < 50_000_000
    scene.goes_on()


def push_some(line: Talk) -> None:
    """Push twenty updates, one by one."""
    for _ in range(20):
        push_next(line)


@row(25, kills="pings are sent by a thread of their own")
@OVER_TLS
def test_reading_and_writing_at_the_same_time_breaks_nothing(play: Play) -> None:
    """A hundred pings and two thousand updates a second over one connection: every one arrives, in order, and none is a gap."""
    scene = play(ping_interval=0.01, pong_timeout=10)
    orders = scene.subscribe()
    scene.status.wait_for(State.LIVE)
    scene.exchange.do(every, 0.01, push_some)
    scene.status.stays(lasts := max(1.5, seconds(30)))
    scene.exchange.do(stop)
    sent = list(scene.exchange.sent)
    for name in sent:
        orders.update(name)
    pings = [request["op"] for request in scene.exchange.talks[0].requests].count("ping")
    assert min(pings / 100, len(sent) / 2000) >= 0.2 * lasts
    assert scene.client.health().epoch == 1
    scene.logged([])


def stop(line: Talk) -> None:
    """Do nothing regularly any more."""
    line._regular.clear()
    line._due.clear()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Have the default context made anew, from a system store with our authority; return where there is place for files."""
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "authorities.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authorities.pem"))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    monkeypatch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", str(tmp_path / "authorities.pem"))
    monkeypatch.setattr(dialing, "_contexts", {})
    return tmp_path


@row(26, kills="the default context is ssl.create_default_context()")
@OVER_TLS
def test_no_session_key_is_written_for_a_variable(play: Play, store: Path) -> None:
    """SSLKEYLOGFILE would let whoever set it read the login."""
    scene = play(ssl_context=None)
    scene.subscribe()
    scene.cause(hang_up)
    scene.recovers("without a close frame")
    assert not (store / "keys").exists()


@row(208, kills="a store that could not be opened is kept as one that trusts nobody")
@OVER_TLS
def test_a_descriptor_limit_at_the_first_tls_connection_is_an_outage(
    play: Play, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attempts fail for that reason while the certificates cannot be read; then the exchange is trusted as ever."""
    load, refused = dialing._load, []

    # Not the limit itself: the exchange in this process would meet it, too. See tests/network/test_tls.py.
    def limited(paths: ssl.DefaultVerifyPaths) -> ssl.SSLContext:
        if len(refused) < 3:
            refused.append(OSError(errno.EMFILE, "Too many open files"))
            raise refused[-1]
        return load(paths)

    monkeypatch.setattr(dialing, "_load", limited)
    scene = play(ssl_context=None)
    scene.subscribe()
    assert "certificates could not be read: Too many open files (EMFILE)" in scene.logged(["WARNING", "INFO"])
    assert len(refused) == 3
    scene.goes_on()


@row(26, kills="websocket-client makes the context")
@OVER_TLS
def test_no_variable_adds_trust(play: Play, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """websocket-client's own variable has no say in whom we believe."""
    monkeypatch.setenv("SSL_CERT_FILE", str(store / "nothing"))
    scene = play(ssl_context=None)
    with pytest.raises(TLSError, match="cannot be trusted"):
        scene.subscribe()
