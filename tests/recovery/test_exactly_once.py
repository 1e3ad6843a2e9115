"""Every fill is delivered exactly once, or a gap tells that it may be missing."""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bybit_sync import Event, Gap, GapReason
from bybit_sync.simulator import Account, Exchange
from tests.faults.rows import row
from tests.recovery.conftest import Recovering
from tests.recovery.reading import booked, buy, fills, indices
from tests.recovery.test_law import SEEDS, settle

# The exchange's clock is known to some milliseconds, and cut to one.
MARGIN = timedelta(seconds=0.1)


def still_open(events: list[Event[Any]]) -> list[Gap]:
    """Return the gaps of *events* that no later event mends."""
    found: list[Gap] = []
    for event in events:
        if event.gap is not None:
            found.append(event.gap)
        if event.recovered is not None:
            found = [gap for gap in found if not mends(event.recovered, gap)]
    return found


def mends(recovered: Gap, gap: Gap) -> bool:
    """Return whether *recovered* covers *gap*; an overflow is mended only by a refresh."""
    return gap.reason != GapReason.OVERFLOW and recovered.since <= gap.since and gap.until <= recovered.until


def play(exchange: Exchange, account: Account, seed: int) -> list[str]:
    """Trade, with outages, faults of REST and frames that cannot be decoded; return what happened."""
    chance, written = random.Random(seed), list[str]()
    deeds = {
        "buy": lambda: buy(account),
        "burst": lambda: [buy(account) for _ in range(4)],
        "drop": exchange.drop,
        "spoil": lambda: exchange.rewrite("user_trades", {"execQty": "1_000"}),
        "leave alone": exchange.leave_pushes_alone,
        "refuse": lambda: exchange.rest.refuse(10005, "execution/list", times=2),
        "slow": lambda: exchange.rest.slow(chance.choice((0.0, 0.3))),
        "fail": lambda: exchange.rest.refuse(10016, times=2),
        "pause": lambda: time.sleep(0.05),
    }
    for _ in range(50):
        name = chance.choices(list(deeds), (8, 3, 3, 1, 2, 1, 1, 1, 2))[0]
        written.append(name)
        deeds[name]()
    return written


@row(192, kills="a fill of the overlap, delivered before, comes again")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("maxsize", [2, 10_000])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_fill_comes_once_or_is_told_to_be_missing(
    recovering: Recovering, exchange: Exchange, account: Account, seed: int, maxsize: int
) -> None:
    """By the exchange's own books, with a fast consumer and with a slow one."""
    client = recovering(hold=0.2, confirm_after=(0.4,), client={"ping_interval": 0.1})
    events: list[Event[Any]] = []

    def take(event: Event[Any]) -> None:
        events.append(event)
        time.sleep(0.0 if maxsize > 2 else 0.01)

    client.subscribe_user_trades(take, maxsize=maxsize)
    written = play(exchange, account, seed)
    exchange.heal()
    settle(client, exchange)
    assert client.close()
    delivered, gaps = fills(events), still_open(events)
    assert len(delivered) == len(set(delivered)), written
    assert indices(events), written
    missing = {e.exec_id: datetime.fromtimestamp(e.time / 1000, timezone.utc) for e in account.executions()}
    for name in delivered:
        del missing[name]
    assert set(delivered) <= set(booked(account)), written
    untold = [at for at in missing.values() if not any(g.since - MARGIN <= at <= g.until + MARGIN for g in gaps)]
    assert untold == [], (written, gaps)
