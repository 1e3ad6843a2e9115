"""The positions: the open ones, and the exchange's own flat row of each that was open."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bybit_sync.errors import RestRefused
from bybit_sync.model.events import Stream
from bybit_sync.recovery.wants import Answered, Known
from bybit_sync.simulator import Account, Exchange
from tests.faults.rows import row
from tests.recovery.asking.conftest import Asker

POSITIONS = Stream.POSITIONS
BTC = Known("linear", "BTCUSDT", "0")


def trade(account: Account, symbol: str = "BTCUSDT", side: str = "Buy", **more: Any) -> None:
    """Trade, which opens or closes a position."""
    qty = "10" if symbol == "BTCUSD" else "0.5"
    account.fill(account.place_order(symbol, side, qty=qty, price="20000", **more))


def sizes(answer: Answered) -> dict[tuple[str, int], Decimal | None]:
    """Return the sizes in *answer* by symbol and leg, in order."""
    return {(row.symbol, row.position_idx): row.size for row in answer.rows}


def test_open_positions_of_every_scope_are_listed(asker: Asker, account: Account) -> None:
    """Of both settle coins, and of inverse contracts; each row knows its category."""
    for symbol in ("BTCUSDT", "ETHPERP", "BTCUSD"):
        trade(account, symbol)
    answer = asker.ask(POSITIONS)
    assert [(row.symbol, row.category) for row in answer.rows] == [
        ("BTCUSDT", "linear"),
        ("ETHPERP", "linear"),
        ("BTCUSD", "inverse"),
    ]
    assert asker.asked() == ["position/list"] * 6


def test_more_positions_than_the_usual_page_has_are_listed(asker: Asker, account: Account) -> None:
    """A page has 20 unless more are asked for."""
    for number in range(25):
        trade(account, f"C{number}USDT")
    assert len(asker.ask(POSITIONS).rows) == 25


@row(179, kills="a known position that is not listed is not asked for")
def test_a_closed_position_is_asked_for_by_its_symbol(asker: Asker, account: Account) -> None:
    """The exchange's own flat row comes, behind the open ones."""
    trade(account)
    trade(account, side="Sell")
    trade(account, "ETHUSDT")
    answer = asker.ask(POSITIONS, known=(BTC, Known("linear", "ETHUSDT", "0")))
    assert sizes(answer) == {("ETHUSDT", 0): Decimal("0.5"), ("BTCUSDT", 0): Decimal(0)}
    assert answer.rows[-1].seq == account.position("BTCUSDT").seq
    assert answer.unresolved == ()


def test_without_a_known_one_nothing_is_asked_by_symbol(asker: Asker, exchange: Exchange, account: Account) -> None:
    """A flat position that nobody held is no news."""
    trade(account)
    trade(account, side="Sell")
    assert asker.ask(POSITIONS).rows == ()
    assert all("symbol" not in call.parameters for call in exchange.rest.calls)


@row(179, kills="the legs of hedge mode are taken by their places in the list")
@pytest.mark.parametrize("is_reversed", [False, True])
def test_both_legs_are_told_apart_in_any_order(
    asker: Asker,
    exchange: Exchange,
    account: Account,
    is_reversed: bool,  # noqa: FBT001 - a table
) -> None:
    """One is open still, the other is flat."""
    trade(account, position_idx=1)
    trade(account, side="Sell", position_idx=2)
    trade(account, side="Buy", position_idx=2)
    if is_reversed:
        exchange.rest.reverse("position/list")
    answer = asker.ask(POSITIONS, known=(Known("linear", "BTCUSDT", "1"), Known("linear", "BTCUSDT", "2")))
    assert sizes(answer) == {("BTCUSDT", 1): Decimal("0.5"), ("BTCUSDT", 2): Decimal(0)}


@row(179, kills="a leg that the exchange has no row of is not told")
def test_a_leg_that_is_gone_with_its_mode_is_told(asker: Asker, account: Account) -> None:
    """The symbol is in another mode now: the exchange has no row of the old leg."""
    trade(account)
    trade(account, side="Sell")
    trade(account, position_idx=1)
    answer = asker.ask(POSITIONS, known=(BTC,))
    assert sizes(answer) == {("BTCUSDT", 1): Decimal("0.5")}
    assert answer.unresolved == (BTC,)


def test_a_contract_that_is_gone_is_told(asker: Asker, exchange: Exchange) -> None:
    """That the exchange does not know it is no refusal of its category."""
    gone = Known("linear", "BTCUSD", "0")
    answer = asker.ask(POSITIONS, known=(gone,))
    assert exchange.rest.calls[-1].code == 10001
    assert (answer.unresolved, answer.refused) == ((gone,), ())


def test_a_refused_category_leaves_the_others(asker: Asker, exchange: Exchange, account: Account) -> None:
    """Its known positions are neither flat nor unresolved: nothing is known of them."""
    trade(account, "BTCUSD")
    exchange.rest.refuse(10005, "position/list", times=2)
    answer = asker.ask(POSITIONS, known=(BTC,))
    assert sizes(answer) == {("BTCUSD", 0): Decimal(10)}
    assert ([error.code for error in answer.refused], answer.unresolved) == ([10005], ())
    assert len(asker.asked()) == 4


def test_when_every_category_is_refused_there_is_no_answer(asker: Asker, exchange: Exchange) -> None:
    """But the refusal."""
    exchange.rest.refuse(10005, "position/list")
    with pytest.raises(RestRefused):
        asker.ask(POSITIONS)


def test_a_position_that_lags_is_asked_for_again(asker: Asker, exchange: Exchange, account: Account) -> None:
    """An execution has a newer sequence number; after a pause the position has it too."""
    trade(account)
    exchange.rest.lag(5.0, "position/list")
    asker.on_pause = exchange.rest.heal
    answer = asker.ask(POSITIONS, since=asker.ago(seconds=60), waits=(1.0, 2.0))
    assert sizes(answer) == {("BTCUSDT", 0): Decimal("0.5")}
    assert (answer.lags, asker.pauses) == (False, [1.0])


def test_a_position_that_goes_on_lagging_is_told(asker: Asker, exchange: Exchange, account: Account) -> None:
    """After the waits."""
    trade(account)
    exchange.rest.lag(5.0, "position/list")
    answer = asker.ask(POSITIONS, since=asker.ago(seconds=60), waits=(1.0, 2.0))
    assert (answer.rows, answer.lags, asker.pauses) == ((), True, [1.0, 2.0])


def test_a_position_that_came_and_went_is_no_lag(asker: Asker, exchange: Exchange, account: Account) -> None:
    """Its flat row has the newest sequence number; nobody knew it, and it is no news."""
    trade(account)
    trade(account, side="Sell")
    answer = asker.ask(POSITIONS, since=asker.ago(seconds=60), waits=(1.0,))
    assert (answer.rows, answer.lags, asker.pauses) == ((), False, [])


def test_an_older_row_of_a_position_is_left_out(asker: Asker, exchange: Exchange, account: Account) -> None:
    """The row by symbol may come from a host that lags behind the list's."""
    trade(account)
    exchange.rest.rewrite({"seq": 1}, "position/list")
    asker.on_pause = exchange.rest.heal
    answer = asker.ask(POSITIONS, since=asker.ago(seconds=60), waits=(1.0,))
    assert (answer.rows[0].seq, answer.lags) == (account.position("BTCUSDT").seq, False)


@pytest.mark.parametrize(("code", "lags"), [(10005, False), (10016, True)])
def test_executions_that_cannot_be_read_leave_the_positions(
    asker: Asker,
    exchange: Exchange,
    account: Account,
    code: int,
    lags: bool,  # noqa: FBT001 - a table
) -> None:
    """What may pass leaves the comparison open."""
    trade(account)
    exchange.rest.refuse(code, "execution/list")
    answer = asker.ask(POSITIONS, since=asker.ago(seconds=60))
    assert (len(answer.rows), answer.lags, answer.refused) == (1, lags, ())
