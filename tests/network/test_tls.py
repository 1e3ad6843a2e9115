"""TLS: who may answer, what is told about whom may not, and where the handshake ends."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import resource
import shutil
import socket
import ssl
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bybit_sync.config.environments import Environment
from bybit_sync.errors import ConnectionFailed, ConnectionLost, TLSError
from bybit_sync.network import dialing
from bybit_sync.network.dialing import dial
from bybit_sync.network.wire import Wire
from bybit_sync.threads.waker import Interrupt, Waker
from tests.faults.pace import until
from tests.peers import Line, Peer, Script, closed_port, frame, line, opened, plays, read_messages, read_to_the_end, switching

AUTHORITY = trustme.CA()
NOW = datetime.now(timezone.utc)
HOUR = timedelta(hours=1)


def server_context(*names: str, **options: Any) -> ssl.SSLContext:
    """Return a server's context with a certificate for *names*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(*names, **options).configure_cert(context)
    return context


@pytest.fixture
def trusting() -> ssl.SSLContext:
    """A client's context that trusts the authority of these tests."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    AUTHORITY.configure_trust(context)
    return context


def failure(url: str, waker: Waker, *, within: float = 10.0, **options: Any) -> ConnectionFailed:
    """Return the error with which a dial of *url* ends."""
    interrupt = Interrupt(waker, options.pop("on_wake", lambda: None))
    with pytest.raises(ConnectionFailed) as caught:
        dial(Environment.find(url), deadline=time.monotonic() + within, interrupt=interrupt, **options)
    return caught.value


@pytest.mark.parametrize(("begins", "ends", "why"), [(-9, -1, "expired"), (1, 9, "not yet valid")])
def test_certificate_out_of_its_dates(waker: Waker, trusting: ssl.SSLContext, begins: int, ends: int, why: str) -> None:
    """A certificate of yesterday or of tomorrow is no trust; the error says so, and that a clock may be wrong (row 14)."""
    context = server_context("127.0.0.1", not_before=NOW + timedelta(days=begins), not_after=NOW + timedelta(days=ends))
    with Peer(Line.wait_for_end, context=context) as peer:
        error = failure(peer.url, waker, ssl_context=trusting)
    assert isinstance(error, TLSError)
    assert why in str(error)
    assert "clock" in str(error)


def test_certificate_for_another_name_is_told_with_both(waker: Waker, trusting: ssl.SSLContext) -> None:
    """A certificate for other names is no trust; the error tells them and the one that was dialled (row 15)."""
    with Peer(Line.wait_for_end, context=server_context("impostor.example", "192.0.2.7")) as peer:
        error = failure(f"wss://localhost:{peer.port}", waker, ssl_context=trusting)
    assert isinstance(error, TLSError)
    assert "is for impostor.example, 192.0.2.7, not for localhost" in str(error)


def test_certificate_that_names_nobody_is_told_as_such(waker: Waker, trusting: ssl.SSLContext, tmp_path: Path) -> None:
    """One from before certificates listed names has none to tell (row 15)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "impostor.example")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), NOW - HOUR, NOW + HOUR)
    old = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "old.pem").write_bytes(plain + old.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "old.pem")
    trusting.load_verify_locations(cadata=old.public_bytes(Encoding.PEM).decode())
    with Peer(Line.wait_for_end, context=context) as peer:
        error = failure(f"wss://localhost:{peer.port}", waker, ssl_context=trusting)
    assert isinstance(error, TLSError)
    assert "is for other names, not for localhost" in str(error)


def test_certificate_for_another_address_is_told_with_both(waker: Waker, trusting: ssl.SSLContext) -> None:
    """The same for an address as for a name (row 15)."""
    with Peer(Line.wait_for_end, context=server_context("impostor.example")) as peer:
        error = failure(peer.url, waker, ssl_context=trusting)
    assert isinstance(error, TLSError)
    assert "is for impostor.example, not for 127.0.0.1" in str(error)


def test_unknown_authority_is_told_with_the_remedy(waker: Waker) -> None:
    """A certificate of an authority that nobody knows is no trust; the error names ssl_context (row 16)."""
    with Peer(Line.wait_for_end, context=server_context("127.0.0.1")) as peer:
        error = failure(peer.url, waker)
    assert isinstance(error, TLSError)
    assert "self-signed" in str(error).replace("self signed", "self-signed") or "issuer" in str(error)
    assert "ssl_context" in str(error)


def test_server_that_is_refused_is_told_why(waker: Waker) -> None:
    """The server gets the alert, so that its log says what is wrong, and nothing else (rows 14 to 16, 158)."""
    told: list[str] = []

    def script(line: Line) -> None:
        server = server_context("127.0.0.1")
        try:
            server.wrap_socket(line.sock, server_side=True)
        except ssl.SSLError as error:
            told.append(error.reason)

    with Peer(script) as peer:
        failure(peer.url.replace("ws:", "wss:"), waker)
    assert told == ["TLSV1_ALERT_UNKNOWN_CA"]


def test_name_is_sent_to_the_server_and_an_address_is_not(waker: Waker, trusting: ssl.SSLContext) -> None:
    """SNI carries the host's name; for a literal address it is left out (row 9)."""
    names: list[str | None] = []
    context = server_context("127.0.0.1", "localhost")
    context.sni_callback = lambda _, name, __: names.append(name)
    with Peer(Line.wait_for_end, context=context) as peer:
        for url in (f"wss://localhost:{peer.port}", peer.url):
            wire = dial(
                Environment.find(url),
                deadline=time.monotonic() + 5,
                interrupt=Interrupt(waker),
                ssl_context=trusting,
            )
            wire.close()
    assert names == ["localhost", None]


@pytest.mark.parametrize("how", ["no verification", "no names"])
def test_context_that_does_not_verify_is_warned_about_each_time(
    waker: Waker, caplog: pytest.LogCaptureFixture, trusting: ssl.SSLContext, how: str
) -> None:
    """Who switches verification off gets what he asked for, and a WARNING at every connect (row 17)."""
    trusting.check_hostname = False
    if how == "no verification":
        trusting.verify_mode = ssl.CERT_NONE
    with Peer(Line.wait_for_end, context=server_context("impostor.example")) as peer:
        for count in (1, 2):
            dial(
                Environment.find(peer.url),
                deadline=time.monotonic() + 5,
                interrupt=Interrupt(waker),
                ssl_context=trusting,
                log=logging.getLogger("bybit_sync.mine"),
            ).close()
            assert [(r.name, r.levelname) for r in caplog.records] == [("bybit_sync.mine", "WARNING")] * count


def test_verifying_context_is_not_warned_about(
    waker: Waker, caplog: pytest.LogCaptureFixture, trusting: ssl.SSLContext
) -> None:
    """A proper context is used without a word."""
    with Peer(Line.wait_for_end, context=server_context("127.0.0.1")) as peer:
        dial(
            Environment.find(peer.url), deadline=time.monotonic() + 5, interrupt=Interrupt(waker), ssl_context=trusting
        ).close()
    assert not caplog.records


def test_server_without_tls_is_told_as_such(waker: Waker) -> None:
    """Plain HTTP on the port is "not TLS", at once, and worth another try (row 18)."""
    before = time.monotonic()
    with Peer(plays(3, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", Line.wait_for_end)) as peer:
        error = failure(peer.url.replace("ws:", "wss:"), waker)
    assert not isinstance(error, TLSError)
    assert "not TLS" in str(error)
    assert time.monotonic() - before < 5


def test_a_server_without_a_cipher_in_common_is_told_as_such(waker: Waker, trusting: ssl.SSLContext) -> None:
    """It ends the handshake with an alert: no question of trust, and perhaps mended when we come again."""
    context = server_context("127.0.0.1")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256")
    trusting.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384")
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    with Peer(Line.wait_for_end, context=context) as peer:
        error = failure(peer.url, waker, ssl_context=trusting)
    assert not isinstance(error, TLSError)
    assert "the TLS handshake failed" in str(error)


def test_stalled_handshake_ends_at_the_deadline(waker: Waker) -> None:
    """A server that reads our hello and says nothing is cut at the deadline, which names the phase (row 19)."""
    before = time.monotonic()
    with Peer(plays(100, Line.wait_for_end)) as peer:
        error = failure(peer.url.replace("ws:", "wss:"), waker, within=0.4)
    assert "timed out (while shaking hands for TLS)" in str(error)
    assert time.monotonic() - before < 3


@pytest.mark.parametrize("leave", [lambda line: line.sock.close(), Line.reset], ids=["FIN", "RST"])
def test_connection_that_ends_in_the_handshake(waker: Waker, leave: Script) -> None:
    """A connection that ends in mid-handshake is worth another try (row 20)."""
    with Peer(plays(100, leave)) as peer:
        error = failure(peer.url.replace("ws:", "wss:"), waker)
    assert not isinstance(error, TLSError)
    assert "(while shaking hands for TLS)" in str(error)


def test_waker_abandons_the_handshake(waker: Waker) -> None:
    """A wake-up during the handshake is answered at once (row 129)."""

    class Abandoned(Exception):
        pass

    def abandon() -> None:
        raise Abandoned

    with Peer(plays(100, Line.wait_for_end)) as peer:
        threading.Timer(0.1, waker.wake).start()
        with pytest.raises(Abandoned):
            place = Environment.find(peer.url.replace("ws:", "wss:"))
            dial(place, deadline=time.monotonic() + 9, interrupt=Interrupt(waker, abandon))


def old_tls(context: ssl.SSLContext) -> ssl.SSLContext:
    """Return *context*, made to speak TLS 1.1 only."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    for end in ("minimum_version", "maximum_version"):
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            setattr(context, end, ssl.TLSVersion.TLSv1_1)
    return context


def test_server_with_old_tls_only_is_refused(waker: Waker) -> None:
    """TLS 1.2 is the least; a server without it is nothing that another try mends (row 22)."""
    with Peer(Line.wait_for_end, context=old_tls(server_context("127.0.0.1"))) as peer:
        error = failure(peer.url, waker)
    assert isinstance(error, TLSError)
    assert "TLS 1.2" in str(error)


def test_old_tls_is_refused_even_by_a_lax_context(waker: Waker, trusting: ssl.SSLContext) -> None:
    """A context that would speak less does not lower the bar (row 22)."""
    with Peer(Line.wait_for_end, context=old_tls(server_context("127.0.0.1"))) as peer:
        error = failure(peer.url, waker, ssl_context=old_tls(trusting))
    assert isinstance(error, TLSError)
    assert "TLSv1.1" in str(error)


@pytest.fixture
def fresh_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Make the default context anew, from a system store that holds the authority of these tests."""
    store = tmp_path / "authorities.pem"
    AUTHORITY.cert_pem.write_to_path(str(store))
    monkeypatch.setenv("SSL_CERT_FILE", str(store))
    monkeypatch.setattr(dialing, "_contexts", {})
    return tmp_path


def test_default_context_trusts_what_the_system_trusts(waker: Waker, fresh_default: Path) -> None:
    """Without a context the system's authorities are trusted, names are checked, and the context is made once."""
    with Peer(Line.wait_for_end, context=server_context("127.0.0.1")) as peer:
        opened_to = Environment.find(peer.url)
        dial(opened_to, deadline=time.monotonic() + 5, interrupt=Interrupt(waker)).close()
        assert isinstance(failure(f"wss://localhost:{peer.port}", waker), TLSError)
    assert list(dialing._contexts.values()) == [dialing._default_context()]


def test_environment_variables_have_no_say(waker: Waker, fresh_default: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No session keys are written for SSLKEYLOGFILE, and websocket-client's variable adds no trust (row 26)."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(fresh_default / "keys"))
    monkeypatch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", str(fresh_default / "authorities.pem"))
    with Peer(Line.wait_for_end, context=server_context("127.0.0.1")) as peer:
        dial(Environment.find(peer.url), deadline=time.monotonic() + 5, interrupt=Interrupt(waker)).close()
        assert not (fresh_default / "keys").exists()
        monkeypatch.setenv("SSL_CERT_FILE", str(fresh_default / "nothing"))
        assert isinstance(failure(peer.url, waker), TLSError)


@contextlib.contextmanager
def no_descriptor_for(path: Path | str) -> Iterator[None]:
    """Let nothing be opened inside the ``with`` block, as at the process's limit; *path* shows that it is so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            open(path)  # noqa: PTH123, SIM115 nothing is opened
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_store_that_no_descriptor_was_left_to_read_is_a_failed_attempt(waker: Waker, fresh_default: Path) -> None:
    """The attempt fails for that reason, and nothing is kept of it: the next one knows whom to trust (row 208)."""
    with line() as (wire, _), no_descriptor_for(fresh_default / "authorities.pem"):
        with pytest.raises(ConnectionFailed, match="certificates could not be read: Too many open files") as caught:
            dialing._secure(wire, "127.0.0.1", None, logging.getLogger())
        assert not isinstance(caught.value, TLSError)
    with Peer(Line.wait_for_end, context=server_context("127.0.0.1")) as peer:
        dial(Environment.find(peer.url), deadline=time.monotonic() + 5, interrupt=Interrupt(waker)).close()


def test_certificate_that_could_not_be_looked_up_is_no_distrust(waker: Waker, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL takes an authority's file that it cannot open for one that is not there (row 208)."""
    start = Wire.start_tls

    def start_tls(wire: Wire, context: ssl.SSLContext, host: str) -> str | None:
        # The peer has the same limit: it must have its descriptor by then.
        until(lambda: peer.accepted)
        with no_descriptor_for(os.devnull):
            return start(wire, context, host)

    def _untrusted(*arguments: Any) -> ConnectionFailed:
        with no_descriptor_for(os.devnull):
            return untrusted(*arguments)

    untrusted = dialing._untrusted
    monkeypatch.setattr(Wire, "start_tls", start_tls)
    monkeypatch.setattr(dialing, "_untrusted", _untrusted)
    with Peer(Line.wait_for_end, context=server_context("127.0.0.1")) as peer:
        error = failure(peer.url, waker, ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    assert not isinstance(error, TLSError)
    assert "the certificate could not be checked: Too many open files" in str(error)


HASHED = {"a folder of hashes": "0a1b2c3d.0", "an empty folder": None, "a folder of something else": "README"}


@pytest.mark.parametrize("folder", HASHED)
def test_python_without_certificates_is_told_how_to_get_them(
    waker: Waker, fresh_default: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """As python.org's is on macOS until they were installed; where there are some, the server is the stranger (row 16)."""
    monkeypatch.setenv("SSL_CERT_FILE", str(fresh_default / "nothing"))
    monkeypatch.setenv("SSL_CERT_DIR", str(fresh_default / "folder"))
    (fresh_default / "folder").mkdir()
    if name := HASHED[folder]:
        (fresh_default / "folder" / name).touch()
    with Peer(Line.wait_for_end, context=server_context("127.0.0.1")) as peer:
        told = str(failure(peer.url, waker))
    remedies = [
        remedy in told for remedy in ("Install Certificates.command", "SSL_CERT_FILE", "certifi.where()", "ssl_context=ssl")
    ]
    assert remedies == [folder != "a folder of hashes"] * 4
    assert dialing._contexts == {}


def test_certificates_that_appear_are_found_by_the_next_attempt(
    waker: Waker, fresh_default: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where to look is asked each time, and that nothing was there is not remembered (row 208)."""
    later = fresh_default / "later.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(later))
    monkeypatch.setenv("SSL_CERT_DIR", str(fresh_default / "nowhere"))
    with Peer(Line.wait_for_end, context=server_context("127.0.0.1")) as peer:
        assert isinstance(failure(peer.url, waker), TLSError)
        AUTHORITY.cert_pem.write_to_path(str(later))
        dial(Environment.find(peer.url), deadline=time.monotonic() + 5, interrupt=Interrupt(waker)).close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_carry_a_conversation(waker: Waker, trusting: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    """TLS 1.2 and 1.3, with their session tickets, carry data both ways (row 23)."""
    context = server_context("127.0.0.1")
    context.minimum_version = context.maximum_version = version

    def script(line: Line) -> None:
        line.upgrade()
        while True:
            opcode, text = line.read_frame()
            line.send(frame(text, opcode))

    with Peer(script, context=context) as peer:
        transport = opened(peer.url, waker=waker, ssl_context=trusting)
        for number in range(100):
            transport.send(str(number))
            assert read_messages(transport, 1) == [str(number).encode()]
        transport.close()


def test_broken_record_ends_the_stream_behind_what_was_whole(waker: Waker, trusting: ssl.SSLContext) -> None:
    """Bytes that are no TLS end the connection; the messages before them are delivered first."""

    def script(line: Line) -> None:
        line.upgrade(frame("whole"))
        socket.socket.sendall(line.sock, b"\x17\x03\x03\x00\x20" + bytes(32))  # past the encryption
        line.wait_for_end()

    messages, error = whole_conversation(script, waker, trusting)
    assert messages == [b"whole"]
    assert isinstance(error, ConnectionLost)
    assert "the TLS stream broke" in str(error)


def test_close_notify_is_the_end_without_a_fin(waker: Waker, trusting: ssl.SSLContext) -> None:
    """A server that ends TLS is gone, even if it leaves the socket open; what came before is delivered (row 41)."""

    def script(line: Line) -> None:
        line.upgrade(frame("whole"))
        line.sock.unwrap()  # type: ignore[attr-defined]  # sends it, and waits for ours

    messages, error = whole_conversation(script, waker, trusting)
    assert messages == [b"whole"]
    assert isinstance(error, ConnectionLost)


def whole_conversation(script: Script, waker: Waker, context: ssl.SSLContext) -> tuple[list[bytes], Exception]:
    """Return what a peer that plays *script* gets across, and how it ends."""
    with (
        Peer(script, context=server_context("127.0.0.1")) as peer,
        contextlib.closing(opened(peer.url, waker=waker, ssl_context=context)) as transport,
    ):
        before = time.monotonic()
        conversation = read_to_the_end(transport)
        assert time.monotonic() - before < 5, "the end was only noticed when the peer gave up"
        return conversation


def test_leaving_is_announced(waker: Waker, trusting: ssl.SSLContext) -> None:
    """Closing sends a close_notify, so that the server can tell it from a cut line."""
    heard: list[bytes] = []

    def script(line: Line) -> None:
        line.sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]
        heard.append(line.sock.recv(100))

    with Peer(script, context=server_context("127.0.0.1")) as peer:
        place = Environment.find(peer.url)
        dial(place, deadline=time.monotonic() + 5, interrupt=Interrupt(waker), ssl_context=trusting).close()
    assert heard == [b""]


class OpenSSLServer:
    """The command ``openssl s_server``, which does on demand what Python's `ssl` cannot."""

    def __init__(self, folder: Path) -> None:
        certificate = AUTHORITY.issue_cert("127.0.0.1")
        path = folder / "server.pem"
        path.write_bytes(certificate.private_key_and_cert_chain_pem.bytes())
        self.port = closed_port()
        self._process = subprocess.Popen(
            ["openssl", "s_server", "-accept", str(self.port), "-cert", str(path), "-naccept", "1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self.read_until(b"ACCEPT")

    def read_until(self, mark: bytes) -> bytes:
        """Return what it prints up to *mark*."""
        assert self._process.stdout is not None
        data = b""
        while mark not in data:
            data += self._process.stdout.read(1) or pytest.fail(f"it ended: {data!r}")
        return data

    def type(self, data: bytes) -> None:
        """Type *data*, a command or what is sent, and wait until it was taken: what comes together is one or the other."""
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        until = time.monotonic() + 5
        while struct.unpack("i", fcntl.ioctl(self._process.stdin, termios.FIONREAD, bytes(4)))[0]:
            assert time.monotonic() < until
            time.sleep(0.001)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the command openssl")
def test_key_update_in_mid_stream_is_invisible(waker: Waker, trusting: ssl.SSLContext, tmp_path: Path) -> None:
    """A server that changes its keys, and asks us to, disturbs neither direction (row 23)."""
    server = OpenSSLServer(tmp_path)

    def serve() -> None:
        head = server.read_until(b"\r\n\r\n").decode("latin-1")
        server.type(switching(head[head.index("GET ") : -4]))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with contextlib.closing(opened(f"wss://127.0.0.1:{server.port}", waker=waker, ssl_context=trusting)) as transport:
            thread.join()
            for command in (b"K\n", b"k\n", b"K\n"):
                server.type(command)
                server.type(frame("news"))
                assert read_messages(transport, 1) == [b"news"]
                transport.send("x")
            # A server that could not read us any more would have closed the connection.
            server.type(frame("and on"))
            assert read_messages(transport, 1) == [b"and on"]
    finally:
        server.close()


def test_the_end_of_a_peer_cuts_a_handshake() -> None:
    """A client that says nothing keeps no test waiting."""
    with Peer(Line.wait_for_end, context=server_context("127.0.0.1")) as peer:
        client = socket.create_connection((peer.host, peer.port))
        until(lambda: peer.accepted)
        before = time.monotonic()
    assert time.monotonic() - before < 10
    client.close()
