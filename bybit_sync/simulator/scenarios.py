"""The scenarios of ``bybit-sync simulate``, by name.

* ``story``: trades as in the demo, slowly.
* ``busy``: hundreds of orders a second, filled or cancelled at once.
* ``outages``: trades, and a fault every few seconds: resets, silence, lost answers.
* ``liquidation``: a position that loses until the exchange closes it.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType

import attrs

from bybit_sync.simulator.books.account import Account
from bybit_sync.simulator.books.orders import OPPOSITE
from bybit_sync.simulator.demo_trades import LINEAR, demo_trades
from bybit_sync.simulator.exchange import Exchange

__all__ = ["SCENARIOS"]

Scenario = Callable[[Exchange, Account], Iterator[float]]
_log = logging.getLogger("bybit_sync.simulator")


def _demo_trades(_exchange: Exchange, account: Account) -> Iterator[float]:
    """Trade slowly, as in the demo."""
    return demo_trades(account)


# --- busy ---

_BUSY_PAUSE = 1 / 600
_BUSY_SIZE, _BUSY_PRICE = Decimal("0.01"), Decimal("64000.0")


def _busy(_exchange: Exchange, account: Account) -> Iterator[float]:
    """Place some hundreds of orders a second.

    Each is filled or cancelled at once, and the position opens and closes.
    """
    for number in itertools.count():
        side = ("Buy", "Sell")[number // 10 % 2]
        price = _BUSY_PRICE + number % 100 * (1 if side == "Sell" else -1)
        order = account.place_order(LINEAR, side, qty=_BUSY_SIZE, price=price, order_link_id=f"busy-{number}")
        yield _BUSY_PAUSE
        if number % 3:
            account.fill(order)
        else:
            account.cancel(order)
        yield _BUSY_PAUSE


# --- outages ---


@attrs.frozen
class _Fault:
    """One fault: its name, how it starts, and the seconds until it is healed."""

    name: str
    start: Callable[[Exchange], None]
    seconds: float = 0.0


def _maintenance(exchange: Exchange) -> None:
    exchange.refuse_upgrade(503, times=3)
    exchange.drop()


def _lost_answer(exchange: Exchange) -> None:
    exchange.lose_answers("subscribe", times=1)
    exchange.drop()


_FAULTS: Sequence[_Fault] = (
    _Fault("the connection is reset", lambda e: e.drop(reset=True)),
    _Fault("no connections for 4 seconds", lambda e: e.outage(4.0), 5.0),
    _Fault("the connection is closed with 1012 (service restart)", lambda e: e.drop(code=1012, reason="service restart")),
    _Fault("silence for 12 seconds, in the middle of a frame", lambda e: e.freeze(mid_frame=True), 12.0),
    _Fault("the connection is half open", lambda e: e.half_open(), 12.0),
    _Fault("maintenance: HTTP 503 three times", _maintenance, 5.0),
    _Fault("the subscription's answer is lost once", _lost_answer, 12.0),
    _Fault("every push comes twice", lambda e: e.duplicate_pushes(), 3.0),
    _Fault("pushes come out of order", lambda e: e.reorder_pushes(), 3.0),
    _Fault("orders have unknown words", lambda e: e.rewrite("orders", {"orderStatus": "Melted", "newKey": "1"}), 3.0),
    _Fault("a frame is half a JSON text", lambda e: e.send_garbage("half json"), 1.0),
    _Fault("a frame breaks WebSocket's own rules", lambda e: e.send_garbage("reserved bits"), 1.0),
)
_HEALTHY_SECONDS = 5.0


def _outages(exchange: Exchange, account: Account) -> Iterator[float]:
    """Trade as in the demo, with one fault after the other."""
    trades = demo_trades(account)
    for fault in itertools.cycle(_FAULTS):
        yield from _for_seconds(_HEALTHY_SECONDS, trades)
        _log.info("now: %s", fault.name)
        fault.start(exchange)
        yield from _for_seconds(fault.seconds, trades)
        exchange.heal()


def _for_seconds(seconds: float, pauses: Iterator[float]) -> Iterator[float]:
    """Yield from *pauses* for that many *seconds*."""
    while seconds > 0:
        pause = next(pauses)
        seconds -= pause
        yield pause


# --- liquidation ---

_STAKE, _ENTRY, _STEPS = Decimal("4.5"), Decimal(20000), 12


def _liquidation(_exchange: Exchange, account: Account) -> Iterator[float]:
    """Buy too much, pay funding while the price falls, and be liquidated.

    Then transfer money and begin again.
    """
    for _ in itertools.count():
        account.transfer("USDT", 10_000 - account.balance("USDT").wallet)
        account.mark(LINEAR, _ENTRY)
        account.fill(account.place_order(LINEAR, "Buy", qty=_STAKE, price=_ENTRY))
        exit_order = account.place_order(LINEAR, OPPOSITE["Buy"], qty=_STAKE, price=_ENTRY + 500, reduce_only=True)
        yield 1.0
        fall = (_ENTRY - account.liquidation_price(LINEAR)) / _STEPS
        for step in range(1, _STEPS):
            account.mark(LINEAR, (_ENTRY - fall * step).quantize(Decimal("0.1")))
            # The mark price alone is not pushed; amending the order pushes the position
            # with its loss.
            account.amend(exit_order, price=_ENTRY + 500 - 40 * step)
            if step % 4 == 0:
                account.fund(LINEAR, "0.0001")
            yield 0.5
        account.liquidate(LINEAR)
        yield 3.0


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {"story": _demo_trades, "busy": _busy, "outages": _outages, "liquidation": _liquidation}
)
