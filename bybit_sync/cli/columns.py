"""The columns of each stream's table, the most important first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import attrs

from bybit_sync.model.events import Stream
from bybit_sync.text import printable

__all__ = ["COLUMNS", "Column", "Style", "fitting", "shares"]

Style = Callable[[Any], str]
GOOD, BAD = "good", "bad"


@attrs.frozen
class Column:
    """One column: its header, the text and style of its cell, and its usual width."""

    header: str
    cell: Callable[[Any], str]
    width: int = 10
    words: bool = False
    style: Style = attrs.field(default=lambda _row: "")


def _text(value: Any, missing: str = "-") -> str:
    """Return *value* as text, without terminal control characters.

    Numbers are plain, times are the time of day (UTC).
    """
    if value is None:
        return missing
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return f"{value:%H:%M:%S}"
    return printable(str(value))


def _cell(name: str, missing: str = "-") -> Callable[[Any], str]:
    return lambda row: _text(getattr(row, name, None), missing)


def _sign(name: str) -> Style:
    def style(row: Any) -> str:
        value = getattr(row, name, None)
        return "" if not value else GOOD if value > 0 else BAD

    return style


def _number(header: str, name: str, width: int = 10) -> Column:
    return Column(header, _cell(name), width)


def _gain(header: str, name: str) -> Column:
    return Column(header, _cell(name), style=_sign(name))


def _word(header: str, name: str, width: int, missing: str = "-") -> Column:
    return Column(header, _cell(name, missing), width, words=True)


def _flag(header: str, name: str, shown: str) -> Column:
    return Column(header, lambda row: shown if getattr(row, name, None) else "-", len(header), words=True)


def _side(missing: str = "-") -> Column:
    styles = {"Buy": GOOD, "Sell": BAD}
    return Column("side", _cell("side", missing), 4, words=True, style=lambda row: styles.get(str(row.side), ""))


_SYMBOL: Final = _word("symbol", "symbol", 12)

COLUMNS: Final[Mapping[Stream, Sequence[Column]]] = {
    Stream.POSITIONS: (
        _SYMBOL,
        _side("flat"),
        _number("size", "size", 8),
        _number("entry", "entry_price"),
        _gain("unrealised", "unrealised_pnl"),
        _gain("realised", "cum_realised_pnl"),
        _number("mark", "mark_price"),
        _number("liquidation", "liq_price", 11),
        _number("leverage", "leverage", 8),
        _number("value", "position_value"),
        _word("updated", "updated_time", 8),
    ),
    Stream.ORDERS: (
        _SYMBOL,
        _side(),
        _number("qty", "qty", 8),
        _number("price", "price"),
        _number("filled", "cum_exec_qty"),
        _word("status", "order_status", 15),
        _word("type", "order_type", 6),
        _number("trigger", "trigger_price"),
        _flag("reduce", "reduce_only", "yes"),
        _word("updated", "updated_time", 8),
        _word("order", "order_id", 36),
    ),
    Stream.USER_TRADES: (
        _SYMBOL,
        _side(),
        _number("qty", "exec_qty", 8),
        _number("price", "exec_price"),
        _number("fee", "exec_fee"),
        _number("closed", "closed_size"),
        _word("time", "exec_time", 8),
        _word("type", "exec_type", 8),
        _word("order", "order_id", 36),
    ),
    Stream.BALANCES: (
        _word("coin", "coin", 12),
        _number("wallet", "wallet_balance", 14),
        _number("equity", "equity", 13),
        _gain("unrealised", "unrealised_pnl"),
        _gain("realised", "cum_realised_pnl"),
        _number("value", "usd_value"),
        _number("in positions", "total_position_im", 12),
        _number("in orders", "total_order_im"),
    ),
}


def fitting(columns: Sequence[Column], width: int) -> Sequence[Column]:
    """Return the first of *columns* that fit into *width* together, at least one."""
    taken = 0
    for index, column in enumerate(columns):
        taken += column.width + 1
        if taken > width + 1 and index:
            return columns[:index]
    return columns


def shares(wanted: Sequence[int], available: int) -> list[int]:
    """Return the number of the *available* lines that each table gets.

    *wanted* are the numbers that they need; no table gets fewer while another has more.
    """
    given = [0] * len(wanted)
    for _ in range(available):
        needy = [index for index, number in enumerate(wanted) if given[index] < number]
        if not needy:
            break
        given[min(needy, key=lambda index: given[index])] += 1
    return given
