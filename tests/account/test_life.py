"""The random life of an account with outages: a view of it is right whenever it says that it is current (fault row 193)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from bybit_sync import AccountView
from bybit_sync.recovery.options import Recovery
from bybit_sync.simulator import Exchange
from tests.account.conftest import CONFIRMED, Harness, booked, shown, until
from tests.conftest import FAST_ARGUMENTS, KEY, SECRET, FastClient
from tests.faults.rows import row
from tests.searching import examples

PRICES = {"BTCUSDT": "20000", "ETHUSDT": "2000", "BTCUSD": "20000"}
FILLS = "execution/list"


@attrs.define
class Life:
    """The account of a harness, all the states that it had, and all those that readers saw."""

    harness: Harness
    view: AccountView
    had: set[Any] = attrs.Factory(set)
    seen: set[Any] = attrs.Factory(set)

    def act(self, action: Callable[[], Any]) -> Any:
        """Do *action*, and note what the books say then."""
        done = action()
        self.had |= _facts(booked(self.harness.account))
        return done

    def trade(self, symbol: str, side: str, qty: int) -> None:
        """Place an order, and fill it."""
        account, size = self.harness.account, f"0.0{qty}" if symbol != "BTCUSD" else str(qty * 100)
        order = self.act(lambda: account.place_order(symbol, side, qty=size, price=PRICES[symbol]))
        self.act(lambda: account.fill(order))

    def place(self, symbol: str) -> None:
        """Place an order that stays open."""
        qty = "100" if symbol == "BTCUSD" else "0.01"
        self.act(lambda: self.harness.account.place_order(symbol, "Buy", qty=qty, price=PRICES[symbol]))

    def cancel(self, choice: int) -> None:
        """Cancel one of the open orders, if there is any."""
        if orders := self.harness.account.orders():
            self.act(lambda: self.harness.account.cancel(orders[choice % len(orders)]))

    def transfer(self, amount: int) -> None:
        """Bring some of a coin."""
        self.act(lambda: self.harness.account.transfer("ETH", amount))

    def trouble(self, kind: str) -> None:
        """Cut the connection, stay away or come back, or make REST slow, busy or ill for a while."""
        exchange = self.harness.exchange
        {
            "drop": exchange.drop,
            "away": exchange.stop_listening,
            "back": exchange.listen,
            "slow": lambda: exchange.rest.slow(0.3, FILLS, "position/list"),
            "busy": lambda: exchange.rest.refuse(10016, "order/realtime", times=2),
            "ill": lambda: exchange.rest.respond(502, "Bad Gateway", "position/list", times=1),
        }[kind]()

    def rest(self) -> None:
        """Have nothing happen until the view says that it is right, and see that it is."""
        self.harness.exchange.listen()
        self.harness.exchange.rest.heal()
        now = self.harness.exchange.now() / 1_000
        until(lambda: self.view.is_current and self.view.as_of and self.view.as_of.timestamp() >= now)
        positions, orders, _, trades = shown(self.view)
        right = booked(self.harness.account)
        assert (positions, orders) == right[:2]
        # A late trade takes its place by its time, and some have the same.
        assert sorted(trades) == sorted(right[3])
        # A balance may be a step behind until the next read.
        until(lambda: shown(self.view)[2] == right[2])

    @contextmanager
    def readers(self) -> Iterator[None]:
        """Read the view from eight threads meanwhile."""
        stop = threading.Event()

        def read() -> None:
            while not stop.wait(0.002):
                self.seen |= _facts(shown(self.view))

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def _facts(books: Any) -> set[Any]:
    """Return the positions, orders, coins and trades of *books* as facts of which each was true."""
    positions, orders, coins, trades = books
    return {*positions.items(), *orders, *coins.items(), *trades}


SYMBOLS = st.sampled_from(sorted(PRICES))
STEPS = st.one_of(
    st.tuples(st.just(Life.trade), SYMBOLS, st.sampled_from(["Buy", "Sell"]), st.integers(1, 3)),
    st.tuples(st.just(Life.place), SYMBOLS),
    st.tuples(st.just(Life.cancel), st.integers(0, 9)),
    st.tuples(st.just(Life.transfer), st.integers(1, 9)),
    st.tuples(st.just(Life.trouble), st.sampled_from(["drop", "away", "back", "slow", "busy", "ill"])),
    st.tuples(st.just(Life.rest)),
)


@row(193, kills="the view is current before the recovered event was applied")
@examples(3)
@given(st.lists(STEPS, min_size=5, max_size=30))
def test_whenever_it_is_current_it_is_right(steps: list[tuple[Any, ...]]) -> None:
    """And no thread ever sees what the account never had."""
    with Exchange() as exchange:
        account = exchange.account(KEY, SECRET)
        recover = Recovery(base_url=exchange.rest_url, rate=1_000.0, confirm_after=CONFIRMED)
        with FastClient(KEY, SECRET, environment=exchange.url, recover=recover, **FAST_ARGUMENTS) as client:
            life = Life(Harness(exchange, account, client), client.account_view(trades=10_000))
            life.act(lambda: None)
            with life.readers():
                for step, *arguments in steps:
                    step(life, *arguments)
                life.rest()
    assert life.seen <= life.had
