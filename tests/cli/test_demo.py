"""``bybit-sync demo``: it tells a story whose numbers add up, and ends as it is asked to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.commands import Terminal, call, call_until, has_order, interrupt, leave, start

STREAMS = {"orders", "user_trades", "positions", "balances"}
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def told() -> Mapping[str, list[dict[str, Any]]]:
    """What the demo prints as JSON, in each dialect."""
    return {dialect: [json.loads(line) for line in shown("--json", "--dialect", dialect)] for dialect in ("v5", "v3")}


def shown(*options: str) -> list[str]:
    """Return the lines that the demo prints of its first three orders, the last of which is cancelled."""
    code, out, err = call_until(has_order("Cancelled"), "demo", "--rate", "20", *options)
    assert (code, err) == (0, "")
    return out.splitlines()


@pytest.fixture(params=["v5", "v3"])
def lines(request: pytest.FixtureRequest, told: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What the demo prints as JSON, in each dialect in turn."""
    return told[request.param]


def rows(lines: Sequence[Mapping[str, Any]], stream: str) -> Rows:
    """Return the rows of *stream*, in order."""
    return [row for line in lines if line["stream"] == stream for row in line["data"]]


def total(rows: Rows, number: Callable[[dict[str, Any]], Decimal]) -> Decimal:
    """Return the sum of *number* over *rows*."""
    return sum(map(number, rows), Decimal(0))


# --- the demo as JSON ---


def test_every_stream_is_shown(lines: list[dict[str, Any]]) -> None:
    """An onlooker need not wait for any of the four."""
    assert {line["stream"] for line in lines} == STREAMS


def test_a_line_is_an_object_of_five_keys(lines: list[dict[str, Any]]) -> None:
    """Stream, topic, time, rows and the gap, which is null here."""
    assert {tuple(line) for line in lines} == {
        ("client", "epoch", "index", "stream", "topic", "created_at", "received_at", "data", "gap")
    }
    assert {line["gap"] for line in lines} == {None}
    assert all(line["data"] for line in lines)


def test_topics_are_those_of_the_dialect(told: Mapping[str, list[dict[str, Any]]]) -> None:
    """V5 has one for each category and tells the time of a push, V3 has one for each stream and does not."""
    assert {line["topic"] for line in told["v5"]} >= {"order.linear", "execution.linear", "position.linear", "wallet"}
    assert all(datetime.fromisoformat(line["created_at"]).tzinfo for line in told["v5"])
    assert {line["topic"] for line in told["v3"]} == {
        f"user.{word}.contractAccount" for word in ("order", "execution", "position", "wallet")
    }
    assert {line["created_at"] for line in told["v3"]} == {None}


def test_numbers_are_texts_in_plain_notation(lines: list[dict[str, Any]]) -> None:
    """Nothing that is a number to the exchange has been through a float."""
    values = [value for line in lines for row in line["data"] for value in row.values()]
    assert not [value for value in values if isinstance(value, float)]
    assert all(row["exec_price"] == format(Decimal(row["exec_price"]), "f") for row in rows(lines, "user_trades"))


# --- its numbers ---


def test_executions_sum_to_the_position(lines: list[dict[str, Any]]) -> None:
    """Bought less sold is what is held in the end."""
    symbol = "BTCUSDT"
    fills = [row for row in rows(lines, "user_trades") if row["symbol"] == symbol]
    last = [row for row in rows(lines, "positions") if row["symbol"] == symbol][-1]
    held = Decimal(last["size"]) * (-1 if last["side"] == "Sell" else 1)
    assert fills
    assert held == total(fills, lambda row: Decimal(row["exec_qty"]) * (1 if row["side"] == "Buy" else -1))


def test_the_wallet_changes_by_gains_less_fees(lines: list[dict[str, Any]]) -> None:
    """From first to last, to the last digit."""
    wallet = [coin for row in rows(lines, "balances") for coin in row["coins"] if coin["coin"] == "USDT"]
    fills = rows(lines, "user_trades")
    cash = total(fills, lambda row: Decimal(row["exec_value"]) * (-1 if row["side"] == "Buy" else 1))
    fees = total(fills, lambda row: Decimal(row["exec_fee"]))
    last = rows(lines, "positions")[-1]
    cost = Decimal(last["position_value"]) * (-1 if last["side"] == "Sell" else 1)
    change = Decimal(wallet[-1]["wallet_balance"]) - Decimal(wallet[0]["wallet_balance"])
    assert fees > 0
    assert change == cash + cost - fees
    assert Decimal(wallet[-1]["cum_realised_pnl"]) == change


def test_an_order_is_placed_partly_filled_and_filled(lines: list[dict[str, Any]]) -> None:
    """Its executions sum to what it says was filled, and paid."""
    first = rows(lines, "orders")[0]["order_id"]
    order = [row for row in rows(lines, "orders") if row["order_id"] == first]
    fills = [row for row in rows(lines, "user_trades") if row["order_id"] == first]
    assert [row["order_status"] for row in order] == ["New", "PartiallyFilled", "Filled"]
    assert total(fills, lambda row: Decimal(row["exec_qty"])) == Decimal(order[-1]["cum_exec_qty"]) == Decimal(order[-1]["qty"])
    assert total(fills, lambda row: Decimal(row["exec_fee"])) == Decimal(order[-1]["cum_exec_fee"])


def test_a_reduce_only_order_closes_the_position(lines: list[dict[str, Any]]) -> None:
    """One match of two fills, in one message, and the position is flat."""
    closing = next(row for row in rows(lines, "orders") if row["reduce_only"])
    match = next(
        line for line in lines if line["stream"] == "user_trades" and line["data"][0]["order_id"] == closing["order_id"]
    )
    after = lines[lines.index(match) :]
    assert [row["closed_size"] == row["exec_qty"] for row in match["data"]] == [True, True]
    assert (rows(after, "positions")[0]["size"], rows(after, "positions")[0]["side"]) == ("0", None)


# --- other ways to show ---


def test_without_a_terminal_there_is_a_plain_line_per_row() -> None:
    """No colour, no cursor, each stream by its name."""
    lines = shown()
    assert "\x1b" not in "".join(lines)
    assert {line.split()[1] for line in lines} == STREAMS
    assert "BTCUSDT side=Buy qty=0.5 price=64250 filled=0.2 status=PartiallyFilled" in "".join(lines)


def test_on_a_terminal_there_are_tables() -> None:
    """All four, which stay there when it ends; the exchange takes what a simulation takes, and the title is the demo's own."""
    with Terminal("demo", "--tls", "--name", "localhost", "--scenario", "outages", "--rate", "20") as terminal:
        assert terminal.picture("BTCUSDT")[0].startswith("bybit-sync demo  wss://localhost:")
        for text in ("positions", "orders", "user trades", "balances", "1 reconnect", "Ctrl-C ends"):
            terminal.wait_for(text)
        terminal.type("\x03")
        assert terminal.end() == 130
        assert terminal.is_restored
        assert "positions" in terminal.shown[terminal.shown.rindex("\x1b[?1049l") :]


# --- how it ends ---


def test_a_demo_that_cannot_be_says_so() -> None:
    """As a simulation does."""
    code, _, err = call("demo", "--scenario", "chaos")
    assert (code, err) == (
        2,
        "bybit-sync: --scenario: 'chaos' is none of story, busy, outages, liquidation, and no file either\n",
    )


def test_ctrl_c_ends_it_cleanly() -> None:
    """Exit code 130, and not a word."""
    process = start("demo")
    assert process.stdout is not None
    assert process.stdout.readline()
    code, out, err = interrupt(process)
    assert (code, err) == (130, "")
    # The first line came when it was told, and not with the first full buffer.
    assert out.count("\n") < 40


def test_a_reader_that_leaves_ends_it_quietly() -> None:
    """As in ``bybit-sync demo | head -n 1``."""
    process = start("demo", "--json")
    leave(process)
