"""The steps from an environment to a connected wire: names, addresses, proxy, TLS."""

from __future__ import annotations

import contextlib
import errno
import glob
import ipaddress
import logging
import os
import selectors
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import Any

from bybit_sync.config.environments import Environment, host_and_port
from bybit_sync.errors import ConnectionFailed, TLSError, describe
from bybit_sync.network.proxy import Proxy
from bybit_sync.network.wire import Deadline, Wire, lack_of_descriptors, reason_of, strip_traceback
from bybit_sync.redaction import get_logger
from bybit_sync.threads.forks import in_child
from bybit_sync.threads.waker import Interrupt, Waker

__all__ = ["dial"]

_Address = tuple[int, tuple[Any, ...]]  # an address family, and the argument of `connect`

_RESOLVE_SECONDS = 5.0
_CONNECT_SECONDS = 5.0
_STAGGER_SECONDS = 0.25

# Every open socket of this module; a forked child closes them.
_ours: weakref.WeakSet[socket.socket] = weakref.WeakSet()

_log = get_logger(__name__)


def dial(
    environment: Environment,
    *,
    deadline: float,
    interrupt: Interrupt,
    on_reached: Callable[[], None] = lambda: None,
    proxy: Proxy | None = None,
    ssl_context: ssl.SSLContext | None = None,
    log: logging.Logger | logging.LoggerAdapter[logging.Logger] = _log,
) -> Wire:
    """Return a wire to *environment*, connected and with TLS done.

    Ends by *deadline*, a moment of `time.monotonic`, whatever the network does. An
    error of *interrupt* ends it earlier; then, as after every failure, nothing stays
    open.
    *on_reached* is called once the host has taken the connection; through a proxy, once
    the proxy says so. With several addresses it may be called for each. Without *proxy*
    it connects directly; without *ssl_context* it uses the system's certificates.
    Warnings go to *log*.

    Raises `TLSError` when the server cannot prove its identity, `HandshakeRejected`
    when the proxy refuses, `ConfigurationError` when the proxy cannot serve, and
    `ConnectionFailed` for all else. Any thread, with an *interrupt* of its own.
    """
    route = None if proxy is None else proxy.route(environment)
    peer = host_and_port(environment.host, environment.port)
    if route is not None:
        peer = f"{peer} through {route}"
        log.debug("dialling %s", peer)
    limit = Deadline(peer, at=deadline, interrupt=interrupt)
    first = environment if route is None else route
    on_taken = on_reached if route is None else lambda: None
    wire = Wire(_connect(first.host, first.port, limit, only_loopback=not environment.tls, on_taken=on_taken), limit)
    try:
        if route is not None:
            route.tunnel(wire, environment, lambda host: [address[0] for _, address in _resolve(host, 0, limit)])
            on_reached()
        if environment.tls:
            _secure(wire, environment.host, ssl_context, log)
    except BaseException:
        wire.release()
        raise
    return wire


# -- names


class _Lookup(threading.Thread):
    """A thread that calls the resolver, which cannot be interrupted.

    The attempt stops waiting for it at the deadline.
    """

    running: dict[str, _Lookup] = {}  # noqa: RUF012 shared by all clients: one lookup per host

    def __init__(self, host: str) -> None:
        super().__init__(name=f"{threading.current_thread().name}-resolver", daemon=True)
        self.host = host
        self.answer: list[_Address] | Exception | None = None
        self.waiting: set[Waker] = set()

    @classmethod
    def join_or_start(cls, host: str, waker: Waker) -> _Lookup:
        """Return the running lookup of *host*, or start one.

        It wakes *waker* when it ends.
        """
        fresh = cls(host)
        lookup = cls.running.setdefault(host, fresh)  # atomic: if two clients start a lookup, both get the same one
        lookup.waiting.add(waker)
        if lookup is fresh:
            try:
                lookup.start()
            except RuntimeError as error:  # the system cannot start a thread now
                lookup.conclude(strip_traceback(error))
        return lookup

    def run(self) -> None:
        """Call the resolver, and publish its answer."""
        try:
            found = socket.getaddrinfo(self.host, None, type=socket.SOCK_STREAM)
            self.conclude([(info[0], info[4]) for info in found])
        except Exception as error:  # noqa: BLE001 - a name may raise other errors too, such as UnicodeError
            self.conclude(strip_traceback(error))

    def conclude(self, answer: list[_Address] | Exception) -> None:
        """Publish *answer* and wake the waiting clients.

        The next attempt starts a new lookup.
        """
        self.answer = answer
        self.running.pop(self.host, None)
        # A client adds its waker before it checks `answer`, so it either is in the set
        # or sees the answer.
        for waker in self.waiting.copy():
            waker.wake()


def _resolve(host: str, port: int, deadline: Deadline) -> list[_Address]:
    with contextlib.suppress(OSError):  # an address literal needs no resolver
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return [(info[0], info[4]) for info in found]
    deadline.phase = f"resolving {host}"
    lookup = _Lookup.join_or_start(host, deadline.interrupt.waker)
    give_up = time.monotonic() + _RESOLVE_SECONDS
    while lookup.answer is None:
        if time.monotonic() >= give_up:
            raise deadline.failed(f"the resolver gave no answer within {_RESOLVE_SECONDS:g} s; check this machine's DNS")
        deadline.wait({}, give_up)
    if isinstance(lookup.answer, Exception):
        raise deadline.failed(_unresolved(host, lookup.answer))
    return [(family, (address[0], port, *address[2:])) for family, address in lookup.answer]


def _unresolved(host: str, error: Exception) -> str:
    why = reason_of(error) if isinstance(error, OSError) else describe(error)
    hint = "; is the name right, and does this machine's DNS work?" if isinstance(error, socket.gaierror) else ""
    return f"the name {host!r} was not resolved: {why}{hint}"


# -- addresses


def _connect(host: str, port: int, deadline: Deadline, *, only_loopback: bool, on_taken: Callable[[], None]) -> socket.socket:
    addresses = _resolve(host, port, deadline)
    if only_loopback and not all(_is_loopback(address[0]) for _, address in addresses):
        # A hosts file or a DNS answer can give "localhost" any address, and without TLS
        # nothing else would stop the login.
        raise deadline.failed(f"{host} is not this machine, and without TLS nothing may leave it")
    deadline.phase = "connecting"
    return _Race(addresses, deadline, on_taken).run()


def _interleaved(addresses: Iterable[_Address]) -> list[_Address]:
    """Return *addresses* without duplicates, with alternating families.

    The resolver's first choice stays first.
    """
    families: dict[int, list[_Address]] = {}
    for address in dict.fromkeys(addresses):
        families.setdefault(address[0], []).append(address)
    return [address for rank in zip_longest(*families.values()) for address in rank if address is not None]


class _Race:
    """Connection attempts to several addresses (RFC 8305).

    They start 250 ms apart, or at once when none is running.
    """

    def __init__(self, addresses: Iterable[_Address], deadline: Deadline, on_taken: Callable[[], None]) -> None:
        self._waiting = _interleaved(addresses)
        self._running: dict[socket.socket, float] = {}  # the deadline of each attempt
        self._deadline = deadline
        self._on_taken = on_taken
        self._next = 0.0
        self._failures: list[str] = []

    def run(self) -> socket.socket:
        """Return the first socket that connects; raise when none does."""
        try:
            while self._waiting or self._running:
                self._begin_due()
                for sock in self._deadline.wait(dict.fromkeys(self._running, selectors.EVENT_WRITE), self._next_moment()):
                    if self._has_connected(sock):
                        return sock
                self._drop_overdue()
        finally:
            for sock in self._running:
                sock.close()
        raise self._deadline.failed("; ".join(dict.fromkeys(self._failures)) or "the name has no address")

    def _begin_due(self) -> None:
        while self._waiting and (time.monotonic() >= self._next or not self._running):
            self._next = time.monotonic() + _STAGGER_SECONDS
            self._begin(*self._waiting.pop(0))

    def _begin(self, family: int, address: tuple[Any, ...]) -> None:
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:  # no descriptor is left, or the machine does not support the family
            self._failures.append(reason_of(error))
            return
        _ours.add(sock)
        self._running[sock] = time.monotonic() + _CONNECT_SECONDS
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address)
        except BlockingIOError:
            pass
        except OSError as error:
            self._give_up(sock, reason_of(error))

    def _has_connected(self, sock: socket.socket) -> bool:
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        # A host that resets a connection has accepted it before; one that refuses
        # answers with ECONNREFUSED.
        if code in (0, errno.ECONNRESET):
            self._on_taken()
        if code:
            self._give_up(sock, reason_of(OSError(code, os.strerror(code))))
            return False
        del self._running[sock]
        return True

    def _drop_overdue(self) -> None:
        now = time.monotonic()
        for sock in [sock for sock, until in self._running.items() if now >= until]:
            self._give_up(sock, f"no answer within {_CONNECT_SECONDS:g} s")

    def _give_up(self, sock: socket.socket, why: str) -> None:
        del self._running[sock]
        sock.close()
        self._failures.append(why)

    def _next_moment(self) -> float | None:
        moments = list(self._running.values())
        if self._waiting:
            moments.append(self._next)
        return min(moments, default=0.0)


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


# -- TLS

# OpenSSL's names of errors that a retry cannot fix: the two sides have no protocol
# version in common.
_VERSION_REASONS = {"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", "WRONG_SSL_VERSION"}

_ALLOWED_VERSIONS = {"TLSv1.2", "TLSv1.3"}

_NAMES_ITSELF_OTHERWISE = {62, 64}  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_EXPIRED = {9, 10}  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED

_TRUST_HINT = "If you know and trust its authority, pass an ssl_context that has loaded it"
_NO_CERTIFICATES_HINT = (
    "This Python has no certificates of its own. If it is from python.org on macOS, run 'Install Certificates.command' in its "
    "folder under /Applications; else set SSL_CERT_FILE to a file that holds them, or pip install certifi and give "
    "ssl_context=ssl.create_default_context(cafile=certifi.where())"
)
_HASHED = 8 * "[0-9a-f]" + ".[0-9]*"  # the file names by which OpenSSL finds an authority in a folder
_CLOCK_HINT = "Check this machine's clock; else only the server's owner can fix it"
_NAME_HINT = "Something else answers at this address: check `environment`, proxy and DNS"


_contexts: dict[ssl.DefaultVerifyPaths, ssl.SSLContext] = {}
"""The loaded contexts by the paths of the system's certificates: loading takes long."""


def _default_context() -> ssl.SSLContext:
    """Return the context with the system's certificates.

    Raises `OSError` when no descriptor is left to read them.
    """
    paths = ssl.get_default_verify_paths()
    context = _contexts.get(paths) or _load(paths)
    # A context without certificates is not cached: the reason may be gone at the next
    # attempt.
    if context.cert_store_stats()["x509_ca"]:
        _contexts[paths] = context
    return context


def _load(paths: ssl.DefaultVerifyPaths) -> ssl.SSLContext:
    # Not ssl.create_default_context(): it writes the session keys to the file that
    # SSLKEYLOGFILE names.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs()
    # `load_default_certs` raises nothing when it cannot open a file.
    if paths.cafile and not context.cert_store_stats()["x509_ca"] and (lack := lack_of_descriptors()):
        raise lack
    return context


def _has_certificates() -> bool:
    """Return whether the system has certificates.

    They are loaded, or in a folder that OpenSSL searches by hash when needed.
    """
    paths = ssl.get_default_verify_paths()
    return paths in _contexts or bool(paths.capath and glob.glob(_HASHED, root_dir=paths.capath))  # noqa: PTH207 pathlib raises


def _secure(
    wire: Wire, host: str, given: ssl.SSLContext | None, log: logging.Logger | logging.LoggerAdapter[logging.Logger]
) -> None:
    deadline, deadline.phase = wire.deadline, "shaking hands for TLS"
    context = given or _system_context(deadline)
    if context.verify_mode == ssl.CERT_NONE or not context.check_hostname:
        log.warning("%s: the ssl_context does not verify the server; any server that answers gets the login", deadline.peer)
    try:
        version = wire.start_tls(context, host)
    except ssl.SSLError as error:
        failure = _untrusted(wire, host, given, error)
    else:
        if version in _ALLOWED_VERSIONS:
            return
        failure = TLSError(f"{deadline.peer}: the server speaks {version}; TLS 1.2 is the least. Only its owner can fix it")
    raise failure


def _system_context(deadline: Deadline) -> ssl.SSLContext:
    try:
        return _default_context()
    except OSError as error:
        raise deadline.failed(f"the system's certificates could not be read: {reason_of(error)}") from None


def _untrusted(wire: Wire, host: str, given: ssl.SSLContext | None, error: ssl.SSLError) -> ConnectionFailed:
    deadline = wire.deadline
    if isinstance(error, ssl.SSLCertVerificationError):
        # OpenSSL treats a certificate file that it cannot open as missing.
        if lack := lack_of_descriptors():
            return deadline.failed(f"the certificate could not be checked: {reason_of(lack)}")
        return TLSError(f"{deadline.peer}: {_distrust(wire, host, given, error)}. Nothing was sent")
    if error.reason in _VERSION_REASONS:
        return TLSError(f"{deadline.peer}: no TLS version in common ({error.reason}); TLS 1.2 is the least. Nothing was sent")
    if not wire.speaks_tls:
        return deadline.failed("the server does not speak TLS (not TLS at all); is this the right port?")
    if isinstance(error, ssl.SSLEOFError):
        return deadline.failed("the peer closed the connection")
    return deadline.failed(f"the TLS handshake failed: {reason_of(error)}")


def _distrust(wire: Wire, host: str, given: ssl.SSLContext | None, error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _NAMES_ITSELF_OTHERWISE:
        names = ", ".join(wire.peer_names()) or "other names"
        return f"the certificate is for {names}, not for {host}. {_NAME_HINT}"
    hint = _TRUST_HINT if given is not None or _has_certificates() else _NO_CERTIFICATES_HINT
    if error.verify_code in _EXPIRED:
        hint = _CLOCK_HINT
    return f"the certificate cannot be trusted: {error.verify_message}. {hint}"


# -- forks


@in_child
def _leave_to_the_parent() -> None:
    # Only close the descriptor: a shutdown or a close alert would end the parent's
    # connection.
    for sock in list(_ours):
        sock.close()
    # Their threads exist in the parent only, so these lookups would never end.
    _Lookup.running.clear()
