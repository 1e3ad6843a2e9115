"""What threads share without a lock: each step is atomic, also without the GIL."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bybit_sync.engine import processes
from bybit_sync.engine.rate_limit import ConnectLimit, RateLimiter
from bybit_sync.errors import RecordingError
from bybit_sync.model.orders import OrderUpdate
from bybit_sync.recording.files import Output, output_of
from bybit_sync.redaction import Redactor, get_logger
from bybit_sync.session.dialects import DECODER
from bybit_sync.threads.counter import Counter

pytestmark = pytest.mark.usefixtures("hasty_threads")


def at_once(*actions: Callable[[], object], times: int = 500) -> None:
    """Do each of *actions* so many *times*, all at the same time; raises what one of them raises."""
    start = threading.Barrier(len(actions))

    def repeat(action: Callable[[], object]) -> None:
        start.wait(10)
        for _ in range(times):
            action()

    with ThreadPoolExecutor(len(actions)) as pool:
        for done in [pool.submit(repeat, action) for action in actions]:
            done.result(60)


class Member:
    """A client that is closed already."""

    is_open = False


def test_no_number_is_handed_out_twice() -> None:
    """Four threads get each number once."""
    counter, numbers = Counter(), [[] for _ in range(4)]
    at_once(*(lambda mine=mine: mine.append(counter.take()) for mine in numbers))
    assert sorted(itertools.chain(*numbers)) == list(range(1, 2001))


def test_clients_that_come_and_go_disturb_no_log() -> None:
    """A record is redacted while others make and forget clients."""
    record = logging.LogRecord("bybit_sync", logging.INFO, "", 0, "text", (), None)
    others = [Redactor() for _ in range(100)]
    some = lambda: [Redactor() for _ in range(5)]  # noqa: E731
    at_once(lambda: get_logger("bybit_sync").filter(record), some, some, times=1000)
    del others


def test_clients_that_start_and_end_disturb_no_exit() -> None:
    """The process closes those that it finds."""
    others, member = [Member() for _ in range(300)], Member()
    for other in others:
        processes.add(other)
    try:
        at_once(lambda: (processes.add(member), processes.discard(member)), processes._close_all, times=20_000)
    finally:
        for other in others:
            processes.discard(other)


def test_a_user_that_is_forgotten_disturbs_no_turn() -> None:
    """A client that is collected takes its limit along, in whichever thread that happens."""
    limiter, limit = RateLimiter(lambda: 0.0), ConnectLimit(burst=10**6)
    come, ask = lambda: limiter.add(Member(), limit, list), lambda: limiter.cancel(Member())
    at_once(come, come, ask, lambda: limiter.reserve(limiter), times=300)


def test_a_new_layout_disturbs_no_other() -> None:
    """A row of a new layout takes the place of the oldest, while other threads do the same."""
    rows = DECODER.reader(OrderUpdate).compiled
    new = itertools.count()

    def read() -> None:
        rows._pause = rows._last_pause = 0
        assert rows["symbol", "side", f"{threading.get_ident()}-{next(new)}"]

    at_once(*4 * [read], times=100)


def test_of_two_recorders_of_one_file_one_is_refused(tmp_path: Path) -> None:
    """However close they come; the file is free again when the first is done."""
    outputs = [output_of(tmp_path / "frames.jsonl", None) for _ in range(2)]
    both = threading.Barrier(2)

    def try_to_open(output: Output) -> bool:
        both.wait(10)
        try:
            output.open()
        except RecordingError:
            return False
        finally:
            both.wait(10)
            output.close()
        return True

    with ThreadPoolExecutor(2) as pool:
        for _ in range(200):
            assert sorted(pool.map(try_to_open, outputs)) == [False, True]
