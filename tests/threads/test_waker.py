"""The bell: rung from anywhere, heard by the one who waits, and heard once."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Iterator

import pytest

from bybit_sync.threads.waker import Bell


@pytest.fixture
def bell() -> Iterator[Bell]:
    """A bell."""
    bell = Bell()
    yield bell
    bell.close()


def is_ringing(bell: Bell) -> bool:
    """Say whether somebody who waits for *bell* would be woken."""
    return bool(select.select([bell], [], [], 0)[0])


def test_whoever_waits_is_woken_by_another_thread(bell: Bell) -> None:
    """Long before the time is over; and the ring is taken back with it."""
    began = time.monotonic()
    threading.Timer(0.05, bell.ring).start()
    bell.wait(30)
    assert time.monotonic() - began < 20
    assert not is_ringing(bell)


@pytest.mark.parametrize("left", [0, -0.5])
def test_a_wait_that_is_overdue_takes_back_what_rang_before(bell: Bell, left: float) -> None:
    """With no time left it returns at once, and every ring so far has been heard."""
    bell.ring()
    bell.ring()
    bell.wait(left)
    assert not is_ringing(bell)


def test_a_bell_that_rings_without_end_never_blocks(bell: Bell) -> None:
    """However often it rings unheard, ringing returns; it is still one bell to hear."""
    for _ in range(100_000):
        bell.ring()
    bell.wait(30)
    assert not is_ringing(bell)
