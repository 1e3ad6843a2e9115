"""One connection of the benchmarks' exchange: frames in both directions, and the dialogue of a private connection of V5."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from tests.benchmarks.payloads import compact

PIECE = 256 * 1024
"""How much the kernel is offered at a time."""
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return *payload* in one frame, as a server sends it."""
    size = len(payload)
    if size < 126:  # RFC 6455, section 5.2
        return bytes((0x80 | opcode, size)) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


def upgrade(request: bytes) -> bytes:
    """Return the answer that opens a WebSocket."""
    lines = (line.split(": ", 1) for line in request.decode().split("\r\n")[1:] if ": " in line)
    key = {name.lower(): value for name, value in lines}["sec-websocket-key"]
    accept = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()
    head = ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}")
    return "\r\n".join((*head, "", "")).encode()


def reply(request: dict[str, Any]) -> dict[str, Any]:
    """Return what the exchange says to *request*."""
    named = {"req_id": request["req_id"]} if "req_id" in request else {}
    if request["op"] == "ping":
        return named | {"op": "pong", "args": [str(time.time_ns() // 1_000_000)], "conn_id": "bench"}
    return named | {"success": True, "ret_msg": "", "op": request["op"], "conn_id": "bench"}


class Peer:
    """One connection."""

    def __init__(self, sock: socket.socket, later: Callable[[Peer, bytes], None]) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.topics: list[str] = []
        self.outbox: deque[memoryview] = deque()
        self.is_stuck = False
        self._later = later
        self._inbox = bytearray()
        self._is_open = False

    def topic(self, stream: str) -> str | None:
        """Return the first topic of *stream* that it has subscribed to."""
        return next((topic for topic in self.topics if topic.partition(".")[0] == stream), None)

    def hear(self) -> None:
        """Read what lies ready and answer it; raises ConnectionError when the other side is gone."""
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return  # it was heard in between, by a command that waits for its time
        if not data:
            raise ConnectionResetError
        self._inbox += data
        if not self._is_open:
            head, end, rest = bytes(self._inbox).partition(b"\r\n\r\n")
            if not end:
                return
            self._is_open, self._inbox = True, bytearray(rest)
            self.say(upgrade(head))
        while (message := self._message()) is not None:
            self._answer(*message)

    def say(self, data: bytes | memoryview) -> None:
        """Send *data*, now or as soon as the kernel takes it."""
        self.outbox.append(memoryview(data))
        self.flush()

    def flush(self) -> None:
        """Send what the kernel takes."""
        while self.outbox:
            piece = self.outbox[0]
            try:
                sent = self.sock.send(piece[:PIECE])
            except BlockingIOError:
                return
            if sent == len(piece):
                self.outbox.popleft()
            else:
                self.outbox[0] = piece[sent:]

    def _message(self) -> tuple[int, bytes] | None:
        """Take the next frame off the inbox; clients mask."""
        box = self._inbox
        if len(box) < 6:  # the shortest masked frame
            return None
        size, at = box[1] & 0x7F, 2
        if size == 126:  # RFC 6455, section 5.2
            size, at = int.from_bytes(box[2:4], "big"), 4
        mask, start = box[at : at + 4], at + 4
        if len(box) < start + size:
            return None
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(box[start : start + size]))
        opcode = box[0] & 0x0F
        del box[: start + size]
        return opcode, payload

    def _answer(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.say(frame(payload, PONG))
        elif opcode == CLOSE:
            self.say(frame(payload, CLOSE))
            raise ConnectionResetError
        elif opcode == TEXT:
            request = json.loads(payload)
            answer = frame(compact(reply(request)))
            if request["op"] == "subscribe":
                self.topics += request["args"]
                self._later(self, answer)
            else:
                self.say(answer)
