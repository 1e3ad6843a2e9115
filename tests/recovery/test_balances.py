from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bybit_sync.model.events import GapReason, Stream
from bybit_sync.recovery import balances
from bybit_sync.recovery.balances import BalanceMemory
from bybit_sync.recovery.memory import Merged
from tests.recovery.rows import answer, at, balance, coin, gap, ns, push


def given(*coins: Any, seconds: float = -10.0) -> BalanceMemory:
    """Return the memory of a subscription that was given *coins*."""
    memory = BalanceMemory()
    memory.admit(push(balance(*coins), seconds=seconds))
    return memory


def read(memory: BalanceMemory, *coins: Any, asked: float = 0.0) -> Merged:
    """Return what is delivered of an answer with *coins*."""
    return memory.merge(answer(balance(*coins), asked=asked), (), ns(asked))


def amounts(merged: Merged) -> dict[str, str]:
    """Return the balances that are delivered."""
    return {coin.coin: str(coin.wallet_balance) for row in merged.rows for coin in row.coins}


def test_a_snapshot_is_what_rest_says() -> None:
    """Newer than what was pushed long before."""
    merged = read(given(coin("USDT", "5")), coin("USDT", "7"), coin("BTC", "1"))
    assert amounts(merged) == {"USDT": "7", "BTC": "1"}
    assert merged.is_news


def test_a_coin_that_was_pushed_since_the_question_is_newer() -> None:
    """Or may be: a second of doubt, because clocks differ."""
    memory = given(coin("USDT", "5"), seconds=-1.0)
    assert amounts(read(memory, coin("USDT", "7"), coin("BTC", "1"))) == {"USDT": "5", "BTC": "1"}


def test_a_coin_that_was_pushed_before_an_outage_is_older() -> None:
    """However short the outage was: nothing was pushed since."""
    memory, event = given(coin("USDT", "5"), seconds=-0.3), gap(GapReason.DISCONNECTED, -0.2, -0.1, stream=Stream.BALANCES)
    assert event.gap is not None
    memory.keep(event.gap, timedelta(0), ns(0))
    assert amounts(read(memory, coin("USDT", "7"))) == {"USDT": "7"}


def test_a_coin_that_appeared_since_the_question_is_there() -> None:
    """The answer may not know of it yet."""
    assert amounts(read(given(coin("ETH", "5"), seconds=0.5), coin("USDT", "7"))) == {"USDT": "7", "ETH": "5"}


def test_a_coin_that_is_not_listed_is_zero() -> None:
    """It is not there any more, which is news."""
    merged = read(given(coin("USDT", "5"), coin("BTC", "1")), coin("USDT", "5"))
    assert amounts(merged) == {"USDT": "5"}
    assert merged.is_news


def test_only_amounts_are_news() -> None:
    """Not what moves with a mark price, and not how nothing is spelled."""
    memory = given(coin("USDT", "5", usd_value=Decimal(5), locked=Decimal(0)))
    assert not read(memory, coin("USDT", "5", usd_value=Decimal(6), equity=Decimal(9), locked=None)).is_news
    assert read(memory, coin("USDT", "5", locked=Decimal(1))).is_news


def test_a_snapshot_that_was_dropped_is_news_again() -> None:
    """Its consumer did not get it."""
    memory = given(coin("USDT", "5"))
    memory.forget(push(balance()))
    assert read(memory, coin("USDT", "5")).is_news
    assert not read(memory, coin("USDT", "5")).is_news


def test_an_answer_without_a_row_tells_nothing() -> None:
    """It could not be read: nothing is zero because of that."""
    memory = given(coin("USDT", "5"))
    assert memory.merge(answer(), (), ns(0)) == Merged((), is_news=False, is_unread=True)
    assert [known.id for known in memory.known()] == ["USDT"]


@pytest.mark.parametrize(("made", "is_delivered"), [(-1.1, False), (-1.0, True), (5.0, True)])
def test_a_push_from_before_the_question_is_left_out(made: float, *, is_delivered: bool) -> None:
    """By more than a second."""
    memory = BalanceMemory()
    read(memory, coin("USDT", "7"))
    assert (memory.admit(push(balance(coin("USDT", "5")), seconds=made)) is not None) is is_delivered


def test_pushes_are_compared_for_a_minute() -> None:
    """Later than that nothing is under way any more."""
    memory = BalanceMemory()
    memory.merge(answer(balance(), asked=500.0), (), ns(0))
    late = push(balance(coin("USDT", "5")), seconds=61)
    assert memory.admit(late) is late


def test_a_push_without_a_time_is_delivered() -> None:
    """Nothing says that it is old."""
    memory = BalanceMemory()
    read(memory, coin("USDT", "7"))
    event = push(balance(coin("USDT", "5")), seconds=-50)
    object.__setattr__(event, "created_at", None)
    assert memory.admit(event) is event


def test_coins_are_remembered_in_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exchange that invents coins costs no memory."""
    monkeypatch.setattr(balances, "_MOST_COINS", 10)
    memory = BalanceMemory()
    for number in range(100):
        memory.admit(push(balance(coin(str(number), "1"))))
    names = [known.id for known in memory.known()]
    assert (len(names) <= 10, names[-1]) == (True, "99")


def test_coins_that_are_not_zero_have_to_be_accounted_for() -> None:
    """Borrowed ones, too."""
    memory = given(coin("USDT", "5"), coin("BTC", "0"), coin("ETH", "0", borrow_amount=Decimal(1)))
    assert [known.id for known in memory.known()] == ["USDT", "ETH"]


def test_balances_are_read_as_they_are_now() -> None:
    """From the start on."""
    event = gap(GapReason.DISCONNECTED, 0, 1, stream=Stream.BALANCES)
    assert event.gap is not None
    assert BalanceMemory().since(event.gap, timedelta(0)) is None
    assert BalanceMemory().begin(at(0)) == at(0)
