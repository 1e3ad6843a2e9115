"""What no exchange should ever send: frames that cannot be read, by name."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import attrs

__all__ = ["GARBAGE", "Garbage"]

_TEXT, _FIN = 0x1, 0x80


@attrs.frozen
class Garbage:
    """One piece: a *message* in a frame of its own, or *loose* bytes with whatever framing they have."""

    message: str | bytes | None = None
    loose: bytes = b""


GARBAGE: Mapping[str, Garbage] = {
    "empty": Garbage(""),
    "no json": Garbage("<html>502 Bad Gateway</html>"),
    "half json": Garbage('{"topic":"order","data":[{"orderId":'),
    "no object": Garbage("[1,2,3]"),
    "nothing known": Garbage('{"hello":"world"}'),
    "data is no list": Garbage('{"topic":"order","id":"1","creationTime":1,"data":{"a":1}}'),
    "row is no object": Garbage('{"topic":"order","id":"1","creationTime":1,"data":[7]}'),
    "deep": Garbage("[" * 100_000),
    "long number": Garbage('{"topic":"order","creationTime":' + "9" * 5000 + ',"data":[]}'),
    "binary": Garbage(b"\x00\xff\x00\xff"),
    "no utf-8": Garbage(loose=bytes([_FIN | _TEXT, 2]) + b"\xc3\x28"),
    "reserved bits": Garbage(loose=bytes([_FIN | 0x70 | _TEXT, 0])),
    "unknown opcode": Garbage(loose=bytes([_FIN | 0x3, 0])),
    "masked": Garbage(loose=bytes([_FIN | _TEXT, _FIN | 2]) + b"\x01\x02\x03\x04{}"),
    "endless": Garbage(loose=bytes([_FIN | _TEXT, 127]) + struct.pack("!Q", 2**62)),
    "no frames": Garbage(loose=b"HTTP/1.1 500 Internal Server Error\r\n\r\n" + b"<html>" * 20),
}
