"""The clients of one process read one after the other, and none can keep the others waiting."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bybit_sync import Client
from bybit_sync.engine import conversation as house
from bybit_sync.simulator import Account
from bybit_sync.threads.fair_lock import FairLock, _Place


class StuckQueue:
    """A queue that keeps whoever puts to it."""

    def __init__(self) -> None:
        self.has_one = threading.Event()
        self.lets_go = threading.Event()

    def put_nowait(self, item: object) -> None:
        """Take *item*, in its own time."""
        self.has_one.set()
        self.lets_go.wait(60)


@pytest.fixture
def stuck() -> Iterator[StuckQueue]:
    """A queue that lets go at the end."""
    stuck = StuckQueue()
    yield stuck
    stuck.lets_go.set()


@pytest.fixture
def lock() -> FairLock:
    """A lock for which anybody waits."""
    return FairLock(patience=5)


def until_waiting(lock: FairLock, count: int) -> None:
    """Return when *count* threads wait for *lock*."""
    deadline = time.monotonic() + 5
    while len(lock._queue) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_turn_that_lasts_too_long_is_lost() -> None:
    """The next one has the lock then, and the end of the lost turn is not the end of that one."""
    lock = FairLock(patience=0.01)
    lost, current = lock.acquire(), lock.acquire()
    assert lost
    assert current not in (0, lost)
    lock.release(lost)
    assert lock._is_taken
    lock.release(current)
    assert not lock._is_taken


def test_a_lost_turn_goes_to_who_waits_longest() -> None:
    """Not to who notices it."""
    lock, turns = FairLock(patience=1), queue.Queue[str]()
    assert lock.acquire()
    first = _Place(number=2)
    lock._queue.append(first)
    second = threading.Thread(target=lambda: (lock.acquire(), turns.put("second")))
    second.start()
    assert first.lock.acquire(timeout=10)
    assert turns.empty()
    lock.release(first.turn)
    assert turns.get(timeout=10) == "second"
    second.join(5)


def test_the_lock_goes_to_who_waits_longest(lock: FairLock) -> None:
    """Nobody is passed over, however soon another one asks again."""
    said: list[int] = []

    def speak(number: int) -> None:
        turn = lock.acquire()
        assert turn
        said.append(number)
        lock.release(turn)

    turn = lock.acquire()
    threads = [threading.Thread(target=speak, args=(number,)) for number in range(5)]
    for waiting, thread in enumerate(threads, start=1):
        thread.start()
        until_waiting(lock, waiting)
    lock.release(turn)
    for thread in threads:
        thread.join(5)
    assert said == list(range(5))


class Waits(list[float]):
    """In place of a place's lock: how long it was waited for each time, while a hundred others had their turns."""

    def __init__(self, lock: FairLock) -> None:
        super().__init__()
        self._lock = lock

    def acquire(self, timeout: float) -> bool:
        """Wait in vain, four times."""
        self.append(timeout)
        self._lock._turn += 100
        return len(self) == 5


def test_who_is_far_behind_seldom_looks(lock: FairLock) -> None:
    """The longer, the more are before it, each time; after its turn, which it may have lost, for one patience."""
    place = _Place(number=400)
    place.lock = waits = Waits(lock)  # type: ignore[assignment]
    lock._wait(place)
    assert waits == sorted(set(waits), reverse=True)
    assert waits[0] > waits[-1] == lock._patience


def test_who_waits_is_patient_as_long_as_the_lock_goes_on(lock: FairLock) -> None:
    """Not with one who keeps it, but with any number who do not."""
    assert lock.acquire()
    place = _Place(number=2)
    place.lock = Waits(lock)  # type: ignore[assignment]
    lock._queue.append(place)
    lock._wait(place)
    assert list(lock._queue) == [place]


def test_nobody_waits_for_many_who_are_slow() -> None:
    """Each of them loses its turn, and the next one has it, but there are too many."""
    lock = FairLock(patience=0.01)
    assert lock.acquire()
    # A hundred patiences are the longest wait, and a turn is lost after one at the soonest.
    lock._queue.extend(_Place(number) for number in range(2, 102))
    assert not lock.acquire()


def test_who_is_handed_the_lock_does_not_give_it_up(lock: FairLock) -> None:
    """Its patience may end in the moment in which it is the next."""
    assert lock.acquire()
    place = _Place(number=2)
    lock._queue.append(place)
    assert lock._give_up(place)
    assert not lock._give_up(place)


def test_a_queue_that_blocks_costs_its_own_client_only(
    account: Account, make_client: Callable[..., Client], stuck: StuckQueue
) -> None:
    """The others go on reading, pings included, though it happened while its client had the lock."""
    blocked, free = make_client(), make_client()
    inbox: queue.Queue[Any] = queue.Queue()
    blocked.subscribe_orders(stuck)
    free.subscribe_orders(inbox)
    account.place_order("BTCUSDT", "Buy", qty="1", price="20000")
    assert stuck.has_one.wait(20)
    account.place_order("BTCUSDT", "Buy", qty="2", price="20000")
    assert [inbox.get(timeout=20).data[0].qty for _ in range(2)] == [1, 2]
    stuck.lets_go.set()


@pytest.mark.skipif(sys.platform == "win32", reason="forks are POSIX's")
def test_a_fork_takes_the_lock_from_nobody() -> None:
    """A thread of the parent's has it, which the child has not: the child's clients find it free."""
    turn = house._read_lock.acquire()
    assert turn
    try:
        child = os.fork()
        if child == 0:
            os._exit(0 if house._read_lock.acquire() else 1)
    finally:
        house._read_lock.release(turn)
    assert os.waitpid(child, 0)[1] == 0
