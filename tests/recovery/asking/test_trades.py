"""The executions since an instant: all of them, each once, oldest first, in parts of bounded size."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bybit_sync.errors import RestProtocolError, RestRefused, RestUnavailable
from bybit_sync.model.events import Stream
from bybit_sync.recovery.asking import trade_check, trades
from bybit_sync.recovery.asking.times import instant
from bybit_sync.recovery.wants import Answered, Known, Unreadable
from bybit_sync.simulator import Account, Exchange
from tests.faults.rows import row
from tests.recovery.asking.conftest import Asker

TRADES = Stream.USER_TRADES


def fill(account: Account, symbol: str = "BTCUSDT", side: str = "Buy", **more: Any) -> str:
    """Trade, and return the id of the execution."""
    qty = "10" if symbol == "BTCUSD" else "0.5"
    account.fill(account.place_order(symbol, side, qty=qty, price="20000", **more))
    return account.executions()[-1].exec_id


def ids(answer: Answered) -> list[str]:
    """Return the ids of the executions in *answer*."""
    return [trade.exec_id for trade in answer.rows]


# --- what is read ---


def test_every_execution_comes_once_and_oldest_first(asker: Asker, account: Account) -> None:
    """Of every category that was asked for, over all pages."""
    done = [fill(account, symbol) for _ in range(41) for symbol in ("BTCUSDT", "ETHPERP", "BTCUSD")]
    answer = asker.ask(TRADES, since=asker.ago(seconds=60))
    assert ids(answer) == done
    assert (answer.until, answer.lags, answer.refused, answer.unreadable) == (None, False, (), ())


def test_a_read_takes_place_between_two_instants(asker: Asker) -> None:
    """Of the exchange's clock: when it was asked for, and when the last answer came."""
    before = asker.now()
    answer = asker.ask(TRADES, since=asker.ago(seconds=60))
    # Both are cut to milliseconds.
    assert before <= answer.asked_at <= answer.at <= asker.now() + timedelta(milliseconds=1)


def test_the_start_is_inclusive_and_nothing_is_older(asker: Asker, exchange: Exchange, account: Account) -> None:
    """To the millisecond."""
    exchange.set_clock(-100.0)
    fill(account)
    exchange.set_clock(-50.0)
    second = fill(account)
    exchange.set_clock(0.0)
    since = instant(account.executions()[-1].time)
    assert ids(asker.ask(TRADES, since=since)) == [second]
    assert ids(asker.ask(TRADES, since=since + timedelta(milliseconds=1))) == []


def test_a_start_in_the_future_finds_nothing(asker: Asker, account: Account) -> None:
    """And asks for no window that ends before it starts."""
    fill(account)
    assert ids(asker.ask(TRADES, since=asker.ago(hours=-5))) == []


def test_executions_that_are_no_fills_come_too(asker: Asker, account: Account) -> None:
    """With what they are."""
    fill(account)
    account.fund("BTCUSDT", "0.0001")
    account.liquidate("BTCUSDT")
    answer = asker.ask(TRADES, since=asker.ago(seconds=60))
    assert [trade.exec_type for trade in answer.rows] == ["Trade", "Funding", "BustTrade"]


def test_parts_of_one_match_come_in_their_order(asker: Asker, account: Account) -> None:
    """One time and one sequence number for all: what they leave tells."""
    order = account.place_order("BTCUSDT", "Buy", qty="1", price="20000")
    account.sweep(order, [("0.2", "19990"), ("0.3", "19995"), ("0.5", "20000")])
    answer = asker.ask(TRADES, since=asker.ago(seconds=60))
    assert [trade.leaves_qty for trade in answer.rows] == [Decimal("0.8"), Decimal("0.5"), Decimal("0.0")]


@row(178, kills="an empty window ends the read")
def test_weeks_are_read_in_windows_of_less_than_seven_days(asker: Asker, exchange: Exchange, account: Account) -> None:
    """The oldest first; empty ones in between end nothing."""
    done = []
    for days in (30, 29, 8, 1):
        exchange.set_clock(-days * 86_400.0)
        done.append(fill(account))
    exchange.set_clock(0.0)
    assert ids(asker.ask(TRADES, since=asker.ago(days=31))) == done
    starts = [c.parameters for c in exchange.rest.calls if c.name == "execution/list" and c.parameters["category"] == "linear"]
    windows = [(int(each["startTime"]), int(each["endTime"])) for each in starts if "symbol" not in each]
    assert windows == sorted(windows)
    assert all(end - start < 7 * 86_400_000 for start, end in windows)


# --- very many ---


@row(187, kills="a window of any number of rows is read at once")
def test_very_many_come_in_parts(asker: Asker, exchange: Exchange, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows are halved until they fit; a part says where the next begins."""
    monkeypatch.setattr(trades, "MOST_ROWS", 30)
    monkeypatch.setattr(trades, "MOST_ANSWERED", 60)
    done = []
    for seconds in range(200, 0, -1):
        exchange.set_clock(-float(seconds * 60))
        done.append(fill(account))
    exchange.set_clock(0.0)
    since, found, sizes = asker.ago(days=20), dict[str, None](), []
    while since is not None:
        part = asker.ask(TRADES, since=since)
        found.update(dict.fromkeys(ids(part)))
        sizes.append(len(part.rows))
        since = part.until
    assert list(found) == done
    assert len(sizes) > 2
    assert max(sizes) <= 90


def test_a_burst_after_a_quiet_week_costs_few_requests(
    asker: Asker, exchange: Exchange, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long the latest ones took tells how short a window has to be."""
    monkeypatch.setattr(trades, "MOST_ROWS", 100)
    exchange.set_clock(-6 * 86_400.0)
    done = [fill(account)]
    for seconds in range(250, 0, -1):
        exchange.set_clock(-float(seconds))
        done.append(fill(account))
    exchange.set_clock(0.0)
    assert ids(asker.ask(TRADES, since=asker.ago(days=7))) == done
    assert asker.asked().count("execution/list") < 60


def test_very_many_at_one_instant_come_all_the_same(
    asker: Asker, exchange: Exchange, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window of a millisecond cannot be halved."""
    monkeypatch.setattr(trades, "MOST_ROWS", 10)
    monkeypatch.setattr(trades, "MOST_ANSWERED", 10)
    order = account.place_order("BTCUSDT", "Buy", qty="150", price="20000")
    account.sweep(order, [("1", "20000")] * 150)
    since, found = asker.ago(seconds=60), set[str]()
    while since is not None:
        part = asker.ask(TRADES, since=since)
        found.update(ids(part))
        since = part.until
    assert found == {execution.exec_id for execution in account.executions()}


@pytest.mark.parametrize("kind", ["self", "stuck"])
def test_a_listing_that_leads_in_a_circle_is_read_in_smaller_windows(
    asker: Asker, exchange: Exchange, account: Account, kind: str
) -> None:
    """Rather than taken for whole: a full page has a cursor that leads to itself."""
    done = []
    for seconds in range(250, 0, -1):
        exchange.set_clock(-float(seconds))
        done.append(fill(account))
    exchange.set_clock(0.0)
    exchange.rest.cursors(kind, "execution/list")
    assert ids(asker.ask(TRADES, since=asker.ago(seconds=400))) == done


def test_a_circle_at_one_instant_is_an_error(asker: Asker, exchange: Exchange, account: Account) -> None:
    """Nothing says which rows are missing; it is read again later."""
    account.sweep(account.place_order("BTCUSDT", "Buy", qty="250", price="20000"), [("1", "20000")] * 250)
    exchange.rest.cursors("stuck", "execution/list")
    with pytest.raises(RestProtocolError, match="execution/list: its pages lead in a circle"):
        asker.ask(TRADES, since=asker.ago(seconds=5))


# --- refusals and bad rows ---


def test_a_refused_category_leaves_the_others(asker: Asker, exchange: Exchange, account: Account) -> None:
    """It is told with its error."""
    done = fill(account)
    exchange.rest.refuse(10005, "execution/list", times=1)
    answer = asker.ask(TRADES, since=asker.ago(seconds=60), categories=("inverse", "linear"))
    assert ids(answer) == [done]
    assert [error.code for error in answer.refused] == [10005]


def test_when_every_category_is_refused_there_is_no_answer(asker: Asker, exchange: Exchange) -> None:
    """But the first refusal."""
    exchange.rest.refuse(10005, "execution/list")
    with pytest.raises(RestRefused, match="execution/list: refused with 10005"):
        asker.ask(TRADES, since=asker.ago(seconds=60))


def test_a_refused_key_ends_a_read_at_once(asker: Asker, exchange: Exchange) -> None:
    """It holds for every category and endpoint."""
    exchange.rest.refuse(10003)
    with pytest.raises(RestRefused, match="10003"):
        asker.ask(TRADES, since=asker.ago(seconds=60))
    assert len(asker.asked()) == 1


def test_a_row_that_cannot_be_read_is_told(asker: Asker, exchange: Exchange, account: Account) -> None:
    """With its path; once."""
    fill(account, "BTCUSD")
    exchange.rest.rewrite({"execQty": "much"}, "execution/list")
    answer = asker.ask(TRADES, since=asker.ago(seconds=60))
    assert answer.rows == ()
    assert answer.unreadable == (Unreadable("execution/list", "data[0].execQty: 'much' is not a number"),)


# --- REST that lags ---


def test_a_lag_that_stays_is_told(asker: Asker, exchange: Exchange, account: Account) -> None:
    """The position has a newer sequence number than any execution; after the waits the answer says so."""
    fill(account)
    exchange.rest.lag(5.0, "execution/list")
    answer = asker.ask(TRADES, since=asker.ago(seconds=60), waits=(1.0, 2.0))
    assert (ids(answer), answer.lags, asker.pauses) == ([], True, [1.0, 2.0])


def test_a_lag_that_passes_in_a_wait_costs_nothing(asker: Asker, exchange: Exchange, account: Account) -> None:
    """Then every execution is there."""
    done = [fill(account), fill(account)]
    exchange.rest.lag(5.0, "execution/list")
    asker.on_pause = exchange.rest.heal
    answer = asker.ask(TRADES, since=asker.ago(seconds=60), waits=(1.0, 2.0))
    assert (ids(answer), answer.lags, asker.pauses) == (done, False, [1.0])


def test_a_lag_is_seen_though_the_position_was_closed(asker: Asker, exchange: Exchange, account: Account) -> None:
    """A flat position is asked for by its symbol."""
    done = [fill(account), fill(account, side="Sell")]
    exchange.rest.lag(5.0, "execution/list")
    asker.on_pause = exchange.rest.heal
    known = (Known("linear", "BTCUSDT"),)
    assert ids(asker.ask(TRADES, since=asker.ago(seconds=60), waits=(1.0,), known=known)) == done


def test_changed_settings_are_no_lag(asker: Asker, exchange: Exchange, account: Account) -> None:
    """They move a position without an execution; the newest one is older than the window."""
    exchange.set_clock(-3600.0)
    fill(account)
    exchange.set_clock(0.0)
    account.set_trading_stop("BTCUSDT", take_profit="30000")
    answer = asker.ask(TRADES, since=asker.ago(seconds=60), waits=(1.0,))
    assert (ids(answer), answer.lags, asker.pauses) == ([], False, [])


def test_a_check_that_is_refused_is_left_out(asker: Asker, exchange: Exchange, account: Account) -> None:
    """The key may read executions and no positions."""
    done = fill(account)
    exchange.rest.refuse(10005, "position/list")
    answer = asker.ask(TRADES, since=asker.ago(seconds=60))
    assert (ids(answer), answer.lags, answer.refused) == ([done], False, ())


def test_a_check_that_fails_leaves_it_open(asker: Asker, exchange: Exchange, account: Account) -> None:
    """The executions are delivered, and are read again."""
    done = fill(account)
    exchange.rest.refuse(10016, "position/list")
    answer = asker.ask(TRADES, since=asker.ago(seconds=60))
    assert (ids(answer), answer.lags) == ([done], True)


def test_few_symbols_are_asked_for_alone(
    asker: Asker, exchange: Exchange, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many may be behind."""
    monkeypatch.setattr(trade_check, "_MOST_ASKED", 2)
    for number in range(5):
        fill(account, f"C{number}USDT")
    exchange.rest.lag(60.0, "execution/list")
    asker.ask(TRADES, since=asker.ago(seconds=60), waits=(1.0,))
    alone = [call for call in exchange.rest.calls if "symbol" in call.parameters]
    assert len(alone) == 4


def test_a_host_that_is_away_is_an_error(asker: Asker, exchange: Exchange) -> None:
    """Whoever asked decides when to ask again."""
    exchange.rest.stop_listening()
    with pytest.raises(RestUnavailable):
        asker.ask(TRADES, since=asker.ago(seconds=60))


def test_a_read_costs_few_requests(asker: Asker, exchange: Exchange, account: Account) -> None:
    """Two for nothing, and three to see that nothing is missing."""
    asker.ask(TRADES, since=asker.ago(seconds=60))
    assert asker.asked() == ["execution/list"] * 2 + ["position/list"] * 3
