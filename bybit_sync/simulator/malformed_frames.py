"""Frames that no exchange should send, by name."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import attrs

__all__ = ["MALFORMED_FRAMES", "MalformedFrame"]

_TEXT, _FIN = 0x1, 0x80


@attrs.frozen
class MalformedFrame:
    """A *message* in a frame of its own, or *loose* bytes, which are not framed."""

    message: str | bytes | None = None
    loose: bytes = b""


MALFORMED_FRAMES: Mapping[str, MalformedFrame] = {
    "empty": MalformedFrame(""),
    "no json": MalformedFrame("<html>502 Bad Gateway</html>"),
    "half json": MalformedFrame('{"topic":"order","data":[{"orderId":'),
    "no object": MalformedFrame("[1,2,3]"),
    "nothing known": MalformedFrame('{"hello":"world"}'),
    "data is no list": MalformedFrame('{"topic":"order","id":"1","creationTime":1,"data":{"a":1}}'),
    "row is no object": MalformedFrame('{"topic":"order","id":"1","creationTime":1,"data":[7]}'),
    "deep": MalformedFrame("[" * 100_000),
    "long number": MalformedFrame('{"topic":"order","creationTime":' + "9" * 5000 + ',"data":[]}'),
    "binary": MalformedFrame(b"\x00\xff\x00\xff"),
    "no utf-8": MalformedFrame(loose=bytes([_FIN | _TEXT, 2]) + b"\xc3\x28"),
    "reserved bits": MalformedFrame(loose=bytes([_FIN | 0x70 | _TEXT, 0])),
    "unknown opcode": MalformedFrame(loose=bytes([_FIN | 0x3, 0])),
    "masked": MalformedFrame(loose=bytes([_FIN | _TEXT, _FIN | 2]) + b"\x01\x02\x03\x04{}"),
    "endless": MalformedFrame(loose=bytes([_FIN | _TEXT, 127]) + struct.pack("!Q", 2**62)),
    "no frames": MalformedFrame(loose=b"HTTP/1.1 500 Internal Server Error\r\n\r\n" + b"<html>" * 20),
}
