"""The books of a simulated account: whatever happens, they add up."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_sync.simulator.books.instruments import Instrument
from bybit_sync.simulator.books.ledger import Ledger
from bybit_sync.simulator.books.orders import Execution, Order
from bybit_sync.simulator.books.row_values import position_values, text, wallet_values

D = Decimal


def books(**balances: str) -> Ledger:
    """Return the books of a new account."""
    return Ledger({coin: D(amount) for coin, amount in balances.items()} or {"USDT": D(10000)}, ids().__next__)


def ids() -> Any:
    """Return names without an end."""
    return (f"id-{number}" for number in itertools.count(1))


def place(ledger: Ledger, symbol: str, side: str, qty: str, price: str | None = "100", **options: Any) -> Order:
    """Place a limit order, or a market order when there is no price."""
    plain = {"time_in_force": "GTC", "reduce_only": False, "position_idx": 0, "order_link_id": "", "now": 1}
    kind = "Limit" if price else "Market"
    return ledger.place(symbol, side, qty=D(qty), price=D(price) if price else None, order_type=kind, **{**plain, **options})


def trade(ledger: Ledger, symbol: str, side: str, qty: str, price: str, **options: Any) -> Execution:
    """Place an order and fill it at once."""
    order = place(ledger, symbol, side, qty, price, **options)
    (execution,) = ledger.fill(order.order_id, [(D(qty), D(price))], is_maker=False, now=2)
    return execution


# --- one thing at a time ---


def test_a_fill_opens_a_position_and_costs_its_fee() -> None:
    """A linear position is worth size times price; the taker pays 0.055 % of that."""
    ledger = books()
    fill = trade(ledger, "BTCUSDT", "Buy", "0.5", "20000")
    position = ledger.positions["BTCUSDT", 0]
    assert (position.side, position.size, position.entry_price, position.value) == ("Buy", D("0.5"), 20000, 10000)
    assert (fill.fee, position.realised, ledger.balances["USDT"]) == (D("5.5"), D("-5.5"), D("9994.5"))


def test_the_entry_price_is_the_average_weighted_by_size() -> None:
    """What is added at another price moves the average, exactly."""
    ledger = books()
    trade(ledger, "BTCUSDT", "Buy", "0.1", "20000")
    trade(ledger, "BTCUSDT", "Buy", "0.3", "20400")
    assert ledger.positions["BTCUSDT", 0].entry_price == 20300


def test_the_entry_price_of_an_inverse_position_is_the_harmonic_average() -> None:
    """Its size is in dollars, so each dollar weighs with what it bought."""
    ledger = books(BTC="1")
    trade(ledger, "BTCUSD", "Sell", "1000", "20000")
    trade(ledger, "BTCUSD", "Sell", "1000", "30000")
    assert ledger.positions["BTCUSD", 0].entry_price == 24000


def test_closing_a_part_realises_its_share_and_keeps_the_entry_price() -> None:
    """A third closed gains a third of the way, whatever a third is in decimals."""
    ledger = books()
    trade(ledger, "ETHUSDT", "Buy", "0.3", "1000.1")
    fill = trade(ledger, "ETHUSDT", "Sell", "0.1", "1010.1")
    position = ledger.positions["ETHUSDT", 0]
    assert (fill.closed_size, fill.gain) == (D("0.1"), 1)
    assert (position.size, position.entry_price) == (D("0.2"), D("1000.1"))


def test_a_short_position_gains_when_the_price_falls() -> None:
    """Linear and inverse alike, in their own coin."""
    linear, inverse = books(), books(BTC="1")
    trade(linear, "BTCUSDT", "Sell", "1", "20000")
    trade(inverse, "BTCUSD", "Sell", "1000", "20000")
    assert trade(linear, "BTCUSDT", "Buy", "1", "19000").gain == 1000
    assert trade(inverse, "BTCUSD", "Buy", "1000", "10000").gain == D("0.05")


def test_a_flat_position_has_no_side_and_keeps_what_it_gained() -> None:
    """The next one starts its own count."""
    ledger = books()
    trade(ledger, "BTCUSDT", "Buy", "1", "20000")
    trade(ledger, "BTCUSDT", "Sell", "1", "20100")
    flat = ledger.positions["BTCUSDT", 0]
    assert (flat.side, flat.size, flat.entry_price) == ("", 0, 0)
    assert flat.current == flat.realised == 100 - D("11") - D("11.055")
    trade(ledger, "BTCUSDT", "Sell", "1", "20000")
    again = ledger.positions["BTCUSDT", 0]
    assert (again.current, again.realised) == (D("-11"), flat.realised - 11)


def test_a_fill_larger_than_the_position_turns_it() -> None:
    """In one-way mode what is left over opens the other side, at the fill's price."""
    ledger = books()
    trade(ledger, "BTCUSDT", "Buy", "0.4", "20000")
    fill = trade(ledger, "BTCUSDT", "Sell", "1", "20100")
    position = ledger.positions["BTCUSDT", 0]
    assert (fill.closed_size, fill.gain) == (D("0.4"), 40)
    assert (position.side, position.size, position.entry_price) == ("Sell", D("0.6"), 20100)


def test_hedge_mode_holds_both_sides() -> None:
    """Each leg has its own size and average."""
    ledger = books()
    trade(ledger, "BTCUSDT", "Buy", "0.4", "20000", position_idx=1)
    trade(ledger, "BTCUSDT", "Sell", "0.1", "20200", position_idx=2)
    legs = [(leg.position_idx, leg.side, leg.size) for leg in ledger.legs("BTCUSDT", 1)]
    assert legs == [(1, "Buy", D("0.4")), (2, "Sell", D("0.1"))]


def test_an_order_says_what_is_left_of_it() -> None:
    """Partly filled, then filled; the average is of what was filled."""
    ledger = books()
    order = place(ledger, "BTCUSDT", "Buy", "0.5", "20000")
    (first,) = ledger.fill(order.order_id, [(D("0.2"), D("19999.5"))], is_maker=True, now=2)
    (second,) = ledger.fill(order.order_id, [(D("0.3"), D("20000"))], is_maker=True, now=3)
    assert (first.order.status, first.order.leaves_qty, first.order.leaves_value) == ("PartiallyFilled", D("0.3"), 6000)
    assert (second.order.status, second.order.leaves_qty, second.order.average_price) == ("Filled", 0, D("19999.8"))
    assert second.order.cum_fee == D("0.79998") + D("1.2")


def test_a_cancelled_order_keeps_its_fills_and_leaves_nothing() -> None:
    """It is final, and says whose wish that was."""
    ledger = books()
    order = place(ledger, "BTCUSDT", "Buy", "0.5", "20000")
    ledger.fill(order.order_id, [(D("0.2"), D("20000"))], is_maker=True, now=2)
    gone = ledger.cancel(order.order_id, cancel_type="CancelByUser", now=3)
    assert (gone.status, gone.cum_qty, gone.leaves_qty, gone.last_qty) == ("Cancelled", D("0.2"), 0, D("0.3"))
    assert gone.reject_reason == "EC_PerCancelRequest"


def test_an_amended_order_fills_as_amended() -> None:
    """Quantity and price change for what is left."""
    ledger = books()
    order = place(ledger, "BTCUSDT", "Buy", "0.5", "20000")
    amended = ledger.amend(order.order_id, qty=D(1), price=D(20100), now=2)
    assert (amended.leaves_qty, amended.leaves_value) == (1, 20100)


def test_a_market_order_is_bound_around_the_mark() -> None:
    """Its price is the worst that it takes, not the one that it gets."""
    ledger = books()
    ledger.marks["BTCUSDT"] = D("20000.0")
    assert place(ledger, "BTCUSDT", "Buy", "1", None).price == D("20200.0")
    assert place(ledger, "BTCUSDT", "Sell", "1", None).price == D("19800.0")


def test_the_mark_follows_the_last_trade_until_it_is_set() -> None:
    """What is held gains and loses with it."""
    ledger = books()
    trade(ledger, "BTCUSDT", "Buy", "1", "20000")
    trade(ledger, "BTCUSDT", "Buy", "1", "20100")
    assert ledger.coin("USDT").unrealised == 100
    ledger.marks["BTCUSDT"] = D(19000)
    assert ledger.coin("USDT").unrealised == -2100


def test_open_orders_and_positions_bind_margin() -> None:
    """A tenth of what they are worth; a reduce-only order binds none."""
    ledger = books()
    trade(ledger, "BTCUSDT", "Buy", "0.5", "20000")
    place(ledger, "BTCUSDT", "Buy", "0.1", "19000")
    place(ledger, "BTCUSDT", "Sell", "0.5", "21000", reduce_only=True)
    coin = ledger.coin("USDT")
    assert (coin.position_margin, coin.order_margin) == (1000, 190)
    assert coin.free == D("9994.5") - 1190


def test_the_break_even_price_is_where_nothing_is_lost() -> None:
    """Closing there, as a taker, brings back exactly what was paid."""
    ledger = books()
    trade(ledger, "BTCUSDT", "Sell", "1", "20000")
    price = position_values(ledger, ledger.positions["BTCUSDT", 0])["breakEvenPrice"]
    trade(ledger, "BTCUSDT", "Buy", "1", price)
    assert abs(ledger.balances["USDT"] - 10000) < D("0.0000001")


def test_the_totals_are_of_the_whole_account_and_the_list_of_what_changed() -> None:
    """Every coin counts, in dollars, whether or not it is listed."""
    ledger = books(USDT="1000", BTC="0.5")
    ledger.marks["BTCUSD"] = D(20000)
    values = wallet_values(ledger, ["BTC"], "UNIFIED")
    assert values["totalEquity"] == "11000"
    assert [(coin["coin"], coin["usdValue"]) for coin in values["coin"]] == [("BTC", "10000")]


@pytest.mark.parametrize(
    ("number", "plain"), [("20000.00", "20000"), ("1E-8", "0.00000001"), ("-0E-8", "0"), ("100", "100"), ("0.50", "0.5")]
)
def test_numbers_are_printed_plainly(number: str, plain: str) -> None:
    """No exponent, no zero that says nothing, no negative nothing."""
    assert text(D(number)) == plain


@pytest.mark.parametrize(
    ("symbol", "category", "coin"),
    [
        ("BTCUSDT", "linear", "USDT"),
        ("BTCPERP", "linear", "USDC"),
        ("BTCUSD", "inverse", "BTC"),
        ("ETHUSDZ25", "inverse", "ETH"),
    ],
)
def test_a_symbol_tells_its_contract(symbol: str, category: str, coin: str) -> None:
    """Category and settle coin follow from the name."""
    instrument = Instrument.named(symbol)
    assert (instrument.category, instrument.settle_coin) == (category, coin)


@pytest.mark.parametrize(
    ("mistake", "text"),
    [
        (lambda books: place(books, "BTC", "Buy", "1"), "names no contract"),
        (lambda books: place(books, "BTCUSDT", "Long", "1"), "neither Buy nor Sell"),
        (lambda books: place(books, "BTCUSDT", "Buy", "0"), "more than 0"),
        (lambda books: place(books, "BTCUSDT", "Buy", "1", position_idx=3), "hedge mode"),
        (lambda books: trade(books, "BTCUSDT", "Buy", "1", "100", reduce_only=True), "has 0 to close"),
        (lambda books: trade(books, "BTCUSDT", "Sell", "1", "100", position_idx=1), "leg 1"),
    ],
)
def test_what_the_exchange_would_refuse_is_an_error_that_says_why(mistake: Callable[[Ledger], Any], text: str) -> None:
    """A mistake in a test is told where it is made."""
    with pytest.raises(ValueError, match=text):
        mistake(books())


def test_a_match_that_does_not_fit_changes_nothing() -> None:
    """Of several parts all are filled or none."""
    ledger = books()
    order = place(ledger, "BTCUSDT", "Buy", "0.5", "20000")
    with pytest.raises(ValueError, match=r"0\.6 of an order that leaves 0\.5"):
        ledger.fill(order.order_id, [(D("0.3"), D(1)), (D("0.3"), D(1))], is_maker=True, now=2)
    assert ledger.orders[order.order_id] == order
    assert ledger.balances["USDT"] == 10000


def test_a_final_order_stays_as_it_is() -> None:
    """It can be neither filled nor cancelled again."""
    ledger = books()
    done = trade(ledger, "BTCUSDT", "Buy", "1", "20000").order
    with pytest.raises(ValueError, match="it is Filled already"):
        ledger.cancel(done.order_id, cancel_type="CancelByUser", now=3)


# --- whatever happens ---

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BTCUSD")
STEP = st.tuples(
    st.sampled_from(SYMBOLS),
    st.sampled_from(("Buy", "Sell")),
    st.integers(1, 5000),
    st.integers(1_000_00, 70_000_00),
    st.lists(st.integers(1, 100), max_size=3),
    st.sampled_from((0, 0, 1, 2)),
    st.booleans(),
)


def play(ledger: Ledger, steps: list[Any]) -> list[Execution]:
    """Trade *steps* as far as the exchange lets them; orders that are left over are cancelled."""
    executions: list[Execution] = []
    for symbol, side, size, cents, shares, leg, is_maker in steps:
        qty, price = (D(size) if symbol == "BTCUSD" else D(size) / 1000), D(cents) / 100
        order = place(ledger, symbol, side, str(qty), str(price), position_idx=leg)
        for share in shares:
            part = min(ledger.orders[order.order_id].leaves_qty, (qty * share / 100).quantize(D("0.001")))
            try:
                executions += ledger.fill(order.order_id, [(part, price + share)], is_maker=is_maker, now=2)
            except ValueError:
                break
        if ledger.orders[order.order_id].is_open:
            ledger.cancel(order.order_id, cancel_type="CancelByUser", now=3)
    return executions


def signed(executions: list[Execution], symbol: str, leg: int) -> Decimal:
    """Return what was bought less what was sold."""
    own = [e for e in executions if (e.order.symbol, e.order.position_idx) == (symbol, leg)]
    return sum((e.qty if e.order.side == "Buy" else -e.qty for e in own), D(0))


@given(st.lists(STEP, max_size=12))
def test_executions_sum_to_the_position(steps: list[Any]) -> None:
    """What was bought less what was sold is what is held, on the side that says so."""
    ledger = books()
    executions = play(ledger, steps)
    for (symbol, leg), position in ledger.positions.items():
        held = position.size if position.side == "Buy" else -position.size
        assert held == signed(executions, symbol, leg)
        assert bool(position.side) == bool(position.size) == bool(position.entry_price)


@given(st.lists(STEP, max_size=12))
def test_the_balance_changes_by_gains_less_fees(steps: list[Any]) -> None:
    """Per coin, to the last digit; and so do the positions' counts."""
    ledger = books(USDT="10000", BTC="1")
    executions = play(ledger, steps)
    for coin, start in (("USDT", 10000), ("BTC", 1)):
        own = [e for e in executions if e.order.instrument.settle_coin == coin]
        change = sum((e.gain - e.fee for e in own), D(0))
        assert ledger.balances[coin] == start + change
        assert ledger.realised[coin] == change
        held = [position for position in ledger.positions.values() if position.instrument.settle_coin == coin]
        assert sum((position.realised for position in held), D(0)) == change


@given(st.lists(STEP, max_size=12))
def test_orders_sum_their_executions_and_end(steps: list[Any]) -> None:
    """Quantities, values, fees and gains match, and every order is final with nothing left."""
    ledger = books()
    executions = play(ledger, steps)
    for order in ledger.orders.values():
        own = [e for e in executions if e.order.order_id == order.order_id]
        assert order.cum_qty == sum((e.qty for e in own), D(0))
        assert order.cum_value == sum((e.value for e in own), D(0))
        assert order.cum_fee == sum((e.fee for e in own), D(0))
        assert order.closed_pnl == sum((e.gain for e in own), D(0))
        assert (order.status in ("Filled", "Cancelled"), order.leaves_qty) == (True, 0)


@given(st.lists(STEP, max_size=12))
def test_a_round_trip_gains_what_the_prices_moved(steps: list[Any]) -> None:
    """Closing everything at the mark realises what was unrealised, to the last digit."""
    ledger = books()
    play(ledger, steps)
    before = {coin: ledger.coin(coin) for coin in ("USDT", "BTC")}
    fees = dict.fromkeys(before, D(0))
    for (symbol, leg), position in list(ledger.positions.items()):
        if position.size:
            side = "Sell" if position.side == "Buy" else "Buy"
            fill = trade(ledger, symbol, side, str(position.size), str(ledger.mark(symbol)), position_idx=leg)
            fees[position.instrument.settle_coin] += fill.fee
    for coin, was in before.items():
        now = ledger.coin(coin)
        assert now.unrealised == 0
        assert now.wallet == was.equity - fees[coin]
