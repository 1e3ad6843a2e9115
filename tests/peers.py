"""Peers that lie: servers of raw sockets on loopback, one script for each connection, with a frame writer of their own."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import select
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from bybit_sync.config.environments import Environment
from bybit_sync.errors import ConnectionFailed, ProtocolError
from bybit_sync.network.dialing import dial
from bybit_sync.network.websocket import Transport, open_websocket
from bybit_sync.network.wire import Deadline, Wire
from bybit_sync.threads.waker import Interrupt, Waker

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

PATIENCE = 60.0
"""How long a peer waits for the other side before it calls the test failed."""


def frame(
    payload: bytes | str = b"",
    opcode: int = TEXT,
    *,
    fin: bool = True,
    rsv: int = 0,
    size: int | None = None,
    mask: bytes = b"",
) -> bytes:
    """Return one frame, right or wrong: *size* is what the header says, *mask* four bytes to mask with."""
    payload = payload.encode() if isinstance(payload, str) else payload
    size = len(payload) if size is None else size
    short = size if size < 126 else 126 if size < 65536 else 127
    header = bytes([fin << 7 | rsv << 4 | opcode, bool(mask) << 7 | short])
    length = {126: struct.pack("!H", size & 0xFFFF), 127: struct.pack("!Q", size)}.get(short, b"")
    return header + length + mask + (masked(payload, mask) if mask else payload)


def masked(payload: bytes, mask: bytes) -> bytes:
    """Return *payload* masked, or unmasked, with the four bytes of *mask*."""
    masks = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(masks, "big")).to_bytes(len(payload), "big")


def closed_port(host: str = "127.0.0.1") -> int:
    """Return a port at which nobody listens."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.bind((host, 0))
        return int(sock.getsockname()[1])


class Line:
    """The peer's end of one connection."""

    def __init__(self, sock: socket.socket, over: threading.Event) -> None:
        self.sock = sock
        self.over = over
        """Set when the test is over."""
        self._ahead = bytearray()

    def send(self, data: bytes) -> None:
        """Send *data* in one piece."""
        self.sock.sendall(data)

    def read(self, count: int) -> bytes:
        """Return the next *count* bytes; raises EOFError when the other side has closed before."""
        while len(self._ahead) < count:
            self._more()
        data = bytes(self._ahead[:count])
        del self._ahead[:count]
        return data

    def read_head(self) -> str:
        """Return the head of an HTTP request, without the empty line."""
        while b"\r\n\r\n" not in self._ahead:
            self._more()
        head, _, self._ahead = self._ahead.partition(b"\r\n\r\n")
        return head.decode()

    def read_frame(self) -> tuple[int, bytes]:
        """Return the opcode and the unmasked payload of the next frame."""
        first, second = self.read(2)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(self.read(2 if size == 126 else 8), "big")
        assert second & 0x80, "a client must mask"
        mask = self.read(4)
        return first & 0x0F, masked(self.read(size), mask)

    def upgrade(self, then: bytes = b"", *headers: str) -> str:
        """Accept the request to upgrade, with *then* in the same segment; return the request."""
        request = self.read_head()
        self.send(switching(request, *headers) + then)
        return request

    def wait_for_end(self) -> None:
        """Read until the other side closes or the test is over."""
        with contextlib.suppress(OSError, EOFError):
            while not self.over.is_set():
                self._more()
                self._ahead.clear()

    def wait_unread(self) -> None:
        """Wait until the test is over, and read nothing."""
        assert self.over.wait(PATIENCE)

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        self._ahead += data


def switching(request: str, *headers: str) -> bytes:
    """Return the answer that accepts *request*."""
    fields = dict(line.split(": ", 1) for line in request.split("\r\n")[1:])
    digest = hashlib.sha1(f"{fields['Sec-WebSocket-Key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    accept = f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}"
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", accept, *headers, "", ""]
    return "\r\n".join(lines).encode()


Script = Callable[[Line], object]


def plays(*steps: bytes | int | Script) -> Script:
    """Return a script of *steps*: bytes are sent, a number of bytes is read, anything else is called with the line."""

    def script(line: Line) -> None:
        for step in steps:
            if isinstance(step, bytes):
                line.send(step)
            elif isinstance(step, int):
                line.read(step)
            else:
                step(line)

    return script


class Peer:
    """A server that runs one of *scripts* on a thread of its own for each connection; the last one for all further ones.

    With *context* it speaks TLS. A script may fail with an `OSError` or `EOFError`, as the other side may leave at any time;
    any other error is raised at the end of the ``with`` block.
    """

    def __init__(self, *scripts: Script, context: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)
        self.host = host
        self.port = int(self._listener.getsockname()[1])
        self.accepted = 0
        """How many connections there have been."""
        self._scripts = scripts
        self._context = context
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._errors: list[BaseException] = []

    @property
    def url(self) -> str:
        """The base URL that leads here."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'wss' if self._context else 'ws'}://{host}:{self.port}"

    def __enter__(self) -> Peer:
        self.listen()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._over.set()
        self.refuse()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
        for sock in self._sockets:
            sock.close()
        if self._errors and error is None:
            raise self._errors[0]

    def listen(self) -> None:
        """Accept connections, also after `refuse`."""
        if self._listener.fileno() < 0:
            self._listener = socket.create_server((self.host, self.port), family=self._listener.family)
        self._acceptor = self._start(self._accept)

    def refuse(self) -> None:
        """Accept no connection any more; the thread that did has ended when this returns."""
        # shutdown() wakes the thread that polls; close() alone would not. And it polls a number,
        # which may be that of another socket once this one is closed.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(PATIENCE)
        self._listener.close()

    def _start(self, target: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, daemon=True, name=f"peer-{self.port}")
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        waits = select.poll()
        waits.register(self._listener)
        with contextlib.suppress(OSError):
            while True:
                # accept() takes a descriptor before it waits: while a test allows none, a thread that comes here would end.
                waits.poll()
                sock, _ = self._listener.accept()
                # Small writes that follow each other do not wait for 40 ms until the other side confirms the first.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.append(sock)
                self.accepted += 1
                self._start(self._serve, sock, self._scripts[min(self.accepted, len(self._scripts)) - 1])

    def _serve(self, sock: socket.socket, script: Script) -> None:
        try:
            sock.settimeout(PATIENCE)
            if self._context is not None:
                sock = self._secured(sock, self._context)
            script(Line(sock, self._over))
        except (OSError, EOFError):
            pass
        except BaseException as error:  # noqa: BLE001 raised again where the test sees it
            self._errors.append(error)
        finally:
            sock.close()

    def _secured(self, plain: socket.socket, context: ssl.SSLContext) -> socket.socket:
        """Return *plain* after a TLS handshake, which the end of the ``with`` block cuts."""
        sock = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self._sockets.append(sock)
        # Set before the sockets are shut down: one of the two threads sees the other's step.
        if not self._over.is_set():
            sock.do_handshake()
        return sock


class Abandoned(Exception):
    """What the caller raises to get out of a dial."""


def dialled(url: str, waker: Waker, *, within: float = 10.0, **options: Any) -> Wire:
    """Return a wire to *url*."""
    interrupt = Interrupt(waker, options.pop("on_wake", lambda: None))
    return dial(Environment.find(url), deadline=time.monotonic() + within, interrupt=interrupt, **options)


def opened(url: str, **options: Any) -> Transport:
    """Return an open websocket to *url*, a base URL."""
    given: dict[str, Any] = {"max_message_bytes": 4 * 2**20, **options}
    given["interrupt"] = Interrupt(given.pop("waker"), given.pop("on_wake", lambda: None))
    given.setdefault("deadline", time.monotonic() + PATIENCE)
    return open_websocket(Environment.find(url), "/v5/private", **given)


def read_messages(transport: Transport, count: int) -> list[bytes]:
    """Return the next *count* messages; raises what `Transport.receive` raises, and TimeoutError when they do not come."""
    messages: list[bytes] = []
    until = time.monotonic() + PATIENCE
    while len(messages) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"{len(messages)} of {count} messages came")
        transport.wait(until - time.monotonic())
        messages += transport.receive()
    return messages


def read_to_the_end(transport: Transport) -> tuple[list[bytes], Exception]:
    """Return every message until the connection is over, and the error that it ended with."""
    messages: list[bytes] = []
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        transport.wait(until - time.monotonic())
        try:
            for message in transport.receive():
                messages.append(message)  # noqa: PERF402 what came before an error counts
        except (ConnectionFailed, ProtocolError) as error:
            return messages, error
    raise TimeoutError("the connection did not end")


class NameServer:
    """A DNS server on 127.0.0.1:53, for a network namespace: *names* are the addresses of each name, and may be changed.

    A name without addresses does not exist; while *silent* nothing is answered. `asked` lists the names that were asked for.
    """

    def __init__(self, names: dict[str, list[str]], *, silent: bool = False) -> None:
        self.names = names
        self.silent = silent
        self.asked: list[str] = []
        self._sock = socket.socket(type=socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True, name="name-server").start()

    def _serve(self) -> None:
        while True:
            query, sender = self._sock.recvfrom(4096)
            name, question, kind = self._question(query)
            self.asked.append(name)
            if not self.silent:
                self._sock.sendto(self._answer(query[:2], question, self.names.get(name, []), kind), sender)

    @staticmethod
    def _question(query: bytes) -> tuple[str, bytes, int]:
        labels, at = [], 12
        while size := query[at]:
            labels.append(query[at + 1 : at + 1 + size].decode())
            at += 1 + size
        return ".".join(labels), query[12 : at + 5], int.from_bytes(query[at + 1 : at + 3], "big")

    @staticmethod
    def _answer(ident: bytes, question: bytes, addresses: list[str], kind: int) -> bytes:
        family, wanted = (socket.AF_INET6, ":") if kind == 28 else (socket.AF_INET, ".")
        packed = [socket.inet_pton(family, address) for address in addresses if wanted in address]
        records = [b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(data)) + data for data in packed]
        flags = 0x8180 if addresses else 0x8183  # an answer, or NXDOMAIN
        return ident + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + question + b"".join(records)


@contextlib.contextmanager
def black_hole(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Yield a port that neither accepts nor refuses: its queue of connections is full."""
    with contextlib.ExitStack() as stack:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = stack.enter_context(socket.socket(family))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            sock = stack.enter_context(socket.socket(family))
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield int(listener.getsockname()[1])


def in_namespace(script: str, *, nameserver: str = "127.0.0.1", hosts: str = "127.0.0.1 localhost\n") -> str:
    """Run *script*, Python, in a network namespace of its own, with only a loopback device; return what it printed.

    Skips the test where that is not possible.
    """
    # Not above: the scripts, each a process of its own, import this module, and skip nothing.
    import pytest  # noqa: PLC0415

    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs Linux and root for a network namespace")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "resolv.conf").write_text(f"nameserver {nameserver}\n")
        (Path(folder) / "hosts").write_text(hosts)
        mounts = "".join(f"mount --bind {folder}/{name} /etc/{name} && " for name in ("resolv.conf", "hosts"))
        command = f'ip link set lo up && {mounts}exec {sys.executable} -W error -c "$0"'
        done = subprocess.run(
            ["unshare", "--net", "--mount", "sh", "-c", command, script],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])},
        )
    if done.returncode and ("unshare" in done.stderr or "mount:" in done.stderr or "ip:" in done.stderr):
        pytest.skip(f"no network namespace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def line(seconds: float = 5) -> Iterator[tuple[Wire, socket.socket]]:
    """A wire, and the other end of it."""
    ours, theirs = socket.socketpair()
    waker = Waker()
    ours.setblocking(False)
    theirs.settimeout(seconds)
    wire = Wire(ours, Deadline("ws://peer", at=time.monotonic() + seconds, interrupt=Interrupt(waker)))
    try:
        yield wire, theirs
    finally:
        wire.release()
        theirs.close()
        waker.close()
