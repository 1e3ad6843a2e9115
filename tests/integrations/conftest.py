"""Names for the tests of Redis streams."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.integrations.servers import connected
from tests.recovery.conftest import recovering  # noqa: F401 - a fixture


@pytest.fixture
def prefix(redis_url: str) -> Iterator[str]:
    """The begin of the names of a test's streams, which are deleted at the end."""
    prefix = f"test-{uuid4().hex}"
    yield prefix
    with connected(redis_url) as client:
        for name in client.scan_iter(f"{prefix}:*"):
            client.delete(name)
