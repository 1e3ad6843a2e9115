"""The wire: what is written through it arrives whole, or whoever writes is told why not."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from bybit_sync.config.environments import Environment
from bybit_sync.errors import ConnectionFailed
from bybit_sync.network.link import Link
from bybit_sync.network.wire import Wire
from tests.peers import line


@pytest.fixture
def ends() -> Iterator[tuple[Wire, socket.socket]]:
    """A wire, and the other end of it."""
    with line(seconds=10) as ends:
        yield ends


def test_what_is_written_arrives(ends: tuple[Wire, socket.socket]) -> None:
    """As it is."""
    wire, theirs = ends
    wire.sendall(b"GET / HTTP/1.1")
    assert theirs.recv(100) == b"GET / HTTP/1.1"
    assert wire.failure is None


def test_writing_to_who_has_left_raises_and_is_remembered(ends: tuple[Wire, socket.socket]) -> None:
    """A library in between may make what it likes of the error; the wire keeps the true one."""
    wire, theirs = ends
    theirs.close()
    with pytest.raises(ConnectionFailed) as raised:
        wire.sendall(b"GET / HTTP/1.1")
    assert wire.failure is raised.value


def test_an_upgrade_that_nobody_reads_any_more_fails_as_a_connection(ends: tuple[Wire, socket.socket]) -> None:
    """The peer left as soon as it had accepted: an outage as any, and nothing of the library in between."""
    wire, theirs = ends
    theirs.close()
    with pytest.raises(ConnectionFailed) as raised:
        Link(wire).upgrade(Environment.find("ws://127.0.0.1:1"), "/v5/private")
    assert wire.failure is None or raised.value.__class__ is wire.failure.__class__
