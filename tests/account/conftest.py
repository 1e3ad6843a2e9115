"""What these tests share: views of a client that recovers, and what the exchange's own books say."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import pytest

from bybit_sync import AccountView, Client
from bybit_sync.simulator import Account, Exchange
from tests.recovery.conftest import Recovering, recovering  # noqa: F401 - a fixture

TIMEOUT = 20.0
# A balance that was pushed within a second before a read counts as the newer one, until the next read.
CONFIRMED = (1.5,)


@attrs.define
class Harness:
    """An exchange, its account, a client that recovers, and how to make views of it."""

    exchange: Exchange
    account: Account
    client: Client

    def view(self, on_change: Callable[..., object] | None = None, **options: Any) -> AccountView:
        """Return a view that is current."""
        view = self.client.account_view(on_change, **options)
        assert view.wait_current(TIMEOUT), view
        return view

    def miss(self, *actions: Callable[[], object]) -> None:
        """Do *actions* while nobody is connected."""
        self.exchange.stop_listening()
        for action in actions:
            action()
        self.exchange.listen()


@pytest.fixture
def harness(exchange: Exchange, account: Account, recovering: Recovering) -> Harness:  # noqa: F811 - the fixture
    """All of one test."""
    return Harness(exchange, account, recovering(confirm_after=CONFIRMED))


def until(wanted: Callable[[], object]) -> None:
    """Wait until *wanted* returns what is true."""
    deadline = time.monotonic() + TIMEOUT
    while not wanted():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.005)


Books = tuple[dict[str, Decimal], set[str], dict[str, Decimal], list[str]]


def shown(view: AccountView) -> Books:
    """Return the positions, orders, coins and trades of *view*."""
    state = view.snapshot()
    return (
        {f"{symbol} {index}": _signed(row) for (_, symbol, index), row in state.positions.items()},
        set(state.orders),
        {coin.coin: coin.wallet_balance for coin in (state.balance.coins if state.balance else ()) if coin.wallet_balance},
        [row.exec_id for row in state.trades],
    )


def _signed(row: Any) -> Decimal:
    return row.size if row.side == "Buy" else -row.size


def booked(account: Account, skip: int = 0) -> Books:
    """Return the same of *account*, by the exchange's own books; without its first *skip* executions."""

    def look(books: Any) -> Books:
        return (
            {f"{symbol} {index}": _signed(p) for (symbol, index), p in books.positions.items() if p.size},
            {order.order_id for order in books.unfinished()},
            {name: amount for name, amount in books.balances.items() if amount},
            [execution.exec_id for execution in books.executions[skip:]],
        )

    return account.read(look)
