"""A journal behind a real client that is killed, while connections are lost and REST is late, slow, refused or away."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import pytest

from bybit_sync.integrations.sqlite_journal import Journal
from bybit_sync.simulator import Account, Exchange
from tests.faults.rows import row
from tests.integrations.killed_bot import MARGIN

ROOT = Path(__file__).parent.parent.parent


def traded(
    exchange: Exchange, account: Account, process: subprocess.Popen[str], chance: random.Random
) -> Iterator[tuple[str, float]]:
    """Trade, drop and disturb REST while *process* runs; yield each order, which has one fill, and the time after it."""
    rest = exchange.rest
    faults: list[Callable[[], object]] = [
        exchange.drop,
        rest.heal,
        partial(rest.lag, 0.5),
        partial(rest.slow, 0.3),
        partial(rest.refuse, 10016, times=2),
        rest.stop_listening,
        rest.listen,
    ]
    for _ in range(chance.randrange(30, 90)):
        yield account.fill(account.place_order("BTCUSDT", "Buy", qty="0.1", price="20000")).order_id, time.time()
        if chance.random() < 1 / 8:
            chance.choice(faults)()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(chance.random() / 20)


def booked(path: Path) -> Counter[str]:
    """Return how often each order has a trade in the journal."""
    return Counter(str(trade.order_id) for trade in Journal(path).trades())


def check(path: Path, ledger: list[tuple[str, float]]) -> None:
    """Compare the journal with *ledger*: each once at most, and none is missing up to `complete_until`."""
    if not path.exists():
        return
    complete = Journal(path)._file.progress().complete - MARGIN
    found = booked(path)
    assert set(found.values()) <= {1}
    assert [order for order, at in ledger if datetime.fromtimestamp(at, timezone.utc) < complete and order not in found] == []


@row(188, kills="`complete_until` moves over a gap that is not mended")
@pytest.mark.parametrize("kills", [2, pytest.param(40, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
def test_nothing_is_missing_up_to_complete_until_whenever_it_is_killed(
    exchange: Exchange, account: Account, tmp_path: Path, kills: int
) -> None:
    """And when REST and the connection are well again, nothing is missing at all."""
    path, chance, ledger = tmp_path / "fills.db", random.Random(kills), list[tuple[str, float]]()
    command = [sys.executable, "-m", "tests.integrations.killed_bot", str(path), exchange.url, exchange.rest_url]
    for life in range(kills + 1):
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
            try:
                exchange.wait_for(lambda life=life: life > 0 or bool(account.connections), timeout=60)  # type: ignore[misc]
                ledger += traded(exchange, account, process, chance)
                if life == kills:
                    exchange.rest.heal()
                    exchange.wait_for(partial(is_whole, path, ledger), timeout=30)
            finally:
                process.kill()
            assert "Traceback" not in process.communicate()[1]
        check(path, ledger)
    assert is_whole(path, ledger)


def is_whole(path: Path, ledger: list[tuple[str, float]]) -> bool:
    """Return whether the journal has each order of *ledger* once."""
    return booked(path) == Counter(order for order, _ in ledger)
