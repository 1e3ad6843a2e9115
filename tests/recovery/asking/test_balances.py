"""The balances: every coin that is not zero, and the exchange's own zero rows of known ones."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bybit_sync.errors import RestRefused
from bybit_sync.model.events import Stream
from bybit_sync.recovery.wants import Known
from bybit_sync.simulator import Account, Exchange
from tests.recovery.asking.conftest import Asker

BALANCES = Stream.BALANCES


def known(*coins: str) -> tuple[Known, ...]:
    """Return *coins* as they are known."""
    return tuple(Known("", "", coin) for coin in coins)


def test_every_coin_comes_in_one_row(asker: Asker, account: Account) -> None:
    """With the totals; one request."""
    answer = asker.ask(BALANCES, known=known("USDT", "BTC"))
    (row,) = answer.rows
    assert {coin.coin: coin.wallet_balance for coin in row.coins} == {
        name: account.balance(name).wallet for name in ("USDT", "BTC", "ETH")
    }
    assert row.total_equity is not None
    assert asker.asked() == ["account/wallet-balance"]


def test_a_coin_that_became_zero_is_asked_for_by_its_name(asker: Asker, exchange: Exchange, account: Account) -> None:
    """The exchange lists zero coins only then; its own row comes."""
    account.transfer("BTC", "-1")
    answer = asker.ask(BALANCES, known=known("BTC", "USDT"))
    (row,) = answer.rows
    coin = row.coin("BTC")
    assert coin is not None
    assert coin.wallet_balance == Decimal(0)
    assert [coin.coin for coin in row.coins].count("USDT") == 1
    assert exchange.rest.calls[-1].parameters["coin"] == "BTC"


def test_a_coin_that_the_exchange_does_not_know_is_told(asker: Asker, exchange: Exchange) -> None:
    """That is no refusal of the wallet."""
    exchange.rest.rewrite({"coin": []}, "account/wallet-balance")
    answer = asker.ask(BALANCES, known=known("LUNA"))
    assert (answer.unresolved, answer.refused) == (known("LUNA"), ())


def test_a_refused_wallet_is_an_error(asker: Asker, exchange: Exchange) -> None:
    """There is one account only."""
    exchange.rest.refuse(10005, "account/wallet-balance")
    with pytest.raises(RestRefused, match="account/wallet-balance: refused with 10005"):
        asker.ask(BALANCES, known=known("BTC"))


def test_a_wallet_that_cannot_be_read_is_told(asker: Asker, exchange: Exchange) -> None:
    """There is no row then, and nothing is asked about its coins."""
    exchange.rest.rewrite({"totalEquity": "much"}, "account/wallet-balance")
    answer = asker.ask(BALANCES, known=known("BTC"))
    assert (answer.rows, len(answer.unreadable), len(asker.asked())) == ((), 1, 1)
