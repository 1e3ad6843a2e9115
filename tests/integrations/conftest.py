"""Servers for the tests of Redis streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from tests.integrations.servers import Server, connected
from tests.recovery.conftest import recovering  # noqa: F401 - a fixture


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of the test's own, which it may stop."""
    with Server() as server:
        yield server


@pytest.fixture
def make_server() -> Iterator[Callable[..., Server]]:
    """Make servers with options, not started yet."""
    made: list[Server] = []

    def make(*options: str) -> Server:
        made.append(Server(*options))
        return made[-1]

    yield make
    for server in made:
        server.remove()


@pytest.fixture
def prefix(redis_url: str) -> Iterator[str]:
    """The begin of the names of a test's streams, which are deleted at the end."""
    prefix = f"test-{uuid4().hex}"
    yield prefix
    with connected(redis_url) as client:
        for name in client.scan_iter(f"{prefix}:*"):
            client.delete(name)
