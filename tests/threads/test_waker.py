"""The waker: woken from anywhere, seen by the thread that waits, and seen once."""

from __future__ import annotations

import select
import threading
import time

import pytest

from bybit_sync.threads.waker import Waker


def is_ringing(waker: Waker) -> bool:
    """Say whether somebody who waits for *waker* would be woken."""
    return bool(select.select([waker], [], [], 0)[0])


def test_whoever_waits_is_woken_by_another_thread(waker: Waker) -> None:
    """Long before the time is over; and the wake-up is drained with it."""
    began = time.monotonic()
    threading.Timer(0.05, waker.wake).start()
    waker.wait(30)
    assert time.monotonic() - began < 20
    assert not is_ringing(waker)


@pytest.mark.parametrize("left", [0, -0.5])
def test_a_wait_that_is_overdue_takes_back_what_rang_before(waker: Waker, left: float) -> None:
    """With no time left it returns at once, and every wake-up so far has been drained."""
    waker.wake()
    waker.wake()
    waker.wait(left)
    assert not is_ringing(waker)


def test_a_waker_that_is_woken_without_end_never_blocks(waker: Waker) -> None:
    """However often it is woken, `wake` returns at once; one drain takes it all."""
    for _ in range(100_000):
        waker.wake()
    waker.wait(30)
    assert not is_ringing(waker)
