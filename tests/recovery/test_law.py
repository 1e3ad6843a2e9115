"""The law of recovery: after any history a consumer knows what the exchange's books say."""

from __future__ import annotations

import queue
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from bybit_sync import Client, Event, Source
from bybit_sync.recovery.asking.times import instant
from bybit_sync.simulator import Account, Exchange
from tests.faults.rows import row
from tests.recovery.conftest import Recovering
from tests.recovery.reading import OPEN, booked, coins, fills, held_orders, held_positions, indices
from tests.searching import at_length_only

SEEDS = (1, *at_length_only(range(2, 101)))
# What was pushed within a second before a read counts as newer than the balance that it brings.
CONFIRMED = (0.4, 1.2)
SYMBOLS = {"BTCUSDT": "20000", "ETHUSDT": "2000", "BTCUSD": "20000"}
NAMES = ("user_trades", "positions", "orders", "balances")


class History:
    """Random trades, outages and faults of REST, of one seed."""

    def __init__(self, exchange: Exchange, account: Account, seed: int) -> None:
        self.exchange, self.account = exchange, account
        self.random = random.Random(seed)
        self.written: list[str] = []

    def play(self, steps: int) -> None:
        """Let *steps* things happen."""
        deeds: tuple[tuple[int, Callable[[], object]], ...] = (
            (8, self._trade),
            (4, self._place),
            (3, self._end),
            (2, self._transfer),
            (2, self.exchange.drop),
            (1, self._outage),
            (1, self._slow),
            (1, self._fail),
            (1, self._lag),
            (2, lambda: time.sleep(0.05)),
        )
        for _ in range(steps):
            deed = self.random.choices([d for _, d in deeds], [w for w, _ in deeds])[0]
            self.written.append(getattr(deed, "__name__", "pause"))
            deed()

    def _trade(self) -> None:
        symbol, side = self.random.choice(list(SYMBOLS)), self.random.choice(("Buy", "Sell"))
        qty = "100" if symbol == "BTCUSD" else "0.1"
        self.account.fill(self.account.place_order(symbol, side, qty=qty, price=SYMBOLS[symbol]))

    def _place(self) -> None:
        self.account.place_order("BTCUSDT", "Buy", qty="0.2", price="10000")

    def _end(self) -> None:
        orders = self.account.orders()
        if orders:
            order = self.random.choice(orders)
            self.random.choice(
                (
                    self.account.cancel,
                    self.account.fill,
                    lambda o: self.account.fill(o, qty="0.1") if o.cum_qty == 0 else None,
                )
            )(order)

    def _transfer(self) -> None:
        self.account.transfer(self.random.choice(("USDT", "SOL")), "1.5")

    def _outage(self) -> None:
        self.exchange.stop_listening()
        for _ in range(self.random.randrange(4)):
            self._trade()
        self.exchange.listen()

    def _slow(self) -> None:
        self.exchange.rest.slow(self.random.choice((0.0, 0.1, 0.4)))

    def _fail(self) -> None:
        self.random.choice(
            (
                lambda: self.exchange.rest.refuse(10016, times=2),
                lambda: self.exchange.rest.respond(502, times=2),
                lambda: self.exchange.rest.cut(after=20, times=2),
                lambda: self.exchange.rest.exhaust(times=1),
            )
        )()

    def _lag(self) -> None:
        self.exchange.rest.lag(self.random.choice((0.0, 0.3)))


def settle(client: Client, exchange: Exchange) -> None:
    """Wait until *client* has taken all that was pushed by now, and nothing is left to be read."""
    now = instant(exchange.now())
    exchange.wait_for(lambda: client.wait_live(0.1) and (client.health().fresh_as_of or now) > now, timeout=60)
    exchange.wait_for(lambda: has_read(client), timeout=60)


def has_read(client: Client) -> bool:
    """Return whether no read runs or will be due; asked on the connection thread, between two of its steps."""
    engine, answers = client._engine, queue.Queue[bool]()
    assert engine.recovery is not None
    coordinator = engine.recovery._coordinator
    engine._worker.leave(lambda: answers.put(not coordinator._reads and coordinator.due == float("inf")))
    return answers.get(timeout=60)


@row(192, kills="a fill of the overlap, delivered before, comes again")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_consumer_knows_what_the_books_say(recovering: Recovering, exchange: Exchange, account: Account, seed: int) -> None:
    """Every fill once; positions, orders and balances as they are; numbers without holes."""
    seen: dict[str, list[Event[Any]]] = {name: [] for name in NAMES}
    client = recovering(hold=0.3, confirm_after=CONFIRMED, client={"ping_interval": 0.1})
    for name in NAMES:
        getattr(client, f"subscribe_{name}")(seen[name].append)
    history = History(exchange, account, seed)
    history.play(60)
    exchange.heal()
    exchange.drop()
    settle(client, exchange)
    assert client.close()
    assert sorted(fills(seen["user_trades"])) == sorted(booked(account)), history.written
    assert held_positions(seen["positions"]) == {
        (symbol, 0): account.position(symbol).size for symbol in SYMBOLS if account.position(symbol).size
    }, history.written
    known = held_orders(seen["orders"])
    assert {name for name, status in known.items() if status in OPEN} == {o.order_id for o in account.orders()}, history.written
    assert coins(seen["balances"]) == {
        name: account.balance(name).wallet for name in ("USDT", "BTC", "ETH", "SOL") if account.balance(name).wallet
    }, history.written
    assert all(indices(events) for events in seen.values())
    assert_never_back(seen["positions"])


def assert_never_back(events: list[Event[Any]]) -> None:
    """Check that no position goes back in its sequence."""
    latest: dict[str, int] = {}
    for event in events:
        for position in event.data:
            if position.seq is not None:
                assert position.seq >= latest.get(position.symbol, 0), (event, event.source == Source.REST)
                latest[position.symbol] = position.seq
