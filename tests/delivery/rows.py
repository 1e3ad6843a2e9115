"""The rows that carry the numbers: how the exchange writes one, good or bad, and how it is found again in an update."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from bybit_sync import Event
from bybit_sync.model.events import Stream
from bybit_sync.session.dialects import DIALECTS
from tests import peers
from tests.delivery.record import Frame
from tests.delivery.steps import Garbage, Message, Push, Spoilt, Stray

CATEGORIES = ("linear", "inverse")
STRAY_TOPIC = "dcp.future"

# What a row of a stream looks like with a number in it; a bad one holds a number that is none, or lacks its key.
_ROWS: dict[str, Callable[[object], dict[str, Any]]] = {
    "orders": lambda n: {"orderId": str(n)},
    "positions": lambda n: {"symbol": "BTCUSDT", "positionIdx": 0, "size": str(n)},
    "user_trades": lambda n: {"symbol": "BTCUSDT", "execId": str(n)},
    "balances v5": lambda n: {"accountType": "UNIFIED", "totalEquity": str(n), "coin": []},
    "balances v3": lambda n: {"coin": f"C{n}", "walletBalance": str(n)},
}
_BAD_ROW = {"symbol": "BTCUSDT", "qty": "1_000", "execQty": "1_000", "size": "1_000", "totalEquity": "1_000", "equity": "1_000"}


def topics_of(dialect: str, stream: str) -> tuple[str, ...]:
    """Return the topics of *stream*."""
    return tuple(channel.topic for channel in DIALECTS[dialect].channels(Stream(stream), CATEGORIES))


def topic_of(dialect: str, stream: str, leg: int) -> str:
    """Return the topic of *stream* that *leg* means."""
    topics = topics_of(dialect, stream)
    return topics[leg % len(topics)]


def numbers_in(event: Event[Any]) -> tuple[int, ...]:
    """Return the numbers that *event* carries."""
    return tuple(number for update in event for number in _numbers(event.stream, update))


def _numbers(stream: str, update: Any) -> list[int]:
    if stream == "balances" and update.coins:
        return [int(coin.wallet_balance) for coin in update.coins]
    where = {"orders": "order_id", "positions": "size", "user_trades": "exec_id", "balances": "total_equity"}
    return [int(getattr(update, where[stream]))]


def written(dialect: str, message: Message, frame: Frame) -> bytes:
    """Return *message* as it goes over the wire, *frame* being what is written down of it."""
    if isinstance(message, Garbage):
        return peers.frame(message.text)
    data = _data(dialect, message, frame)
    envelope = {"id": frame.id, "topic": frame.topic, "creationTime": time.time_ns() // 1_000_000, "data": data}
    return _framed(json.dumps(envelope), message.shape if isinstance(message, Push) else "text")


def _data(dialect: str, message: Spoilt | Push | Stray, frame: Frame) -> object:
    if not isinstance(message, Push):
        return {"orderId": "1"}
    row = _ROWS.get(message.stream) or _ROWS[f"{message.stream} {dialect}"]
    numbers = iter(frame.numbers)
    return [row(next(numbers)) if good else _BAD_ROW for good in message.rows]


def _framed(text: str, shape: str) -> bytes:
    if shape == "fragments":
        return b"".join(
            (
                peers.frame(text[:7], fin=False),
                peers.frame(text[7:20], peers.CONT, fin=False),
                peers.frame(text[20:], peers.CONT),
            )
        )
    return peers.frame(text, peers.BINARY if shape == "binary" else peers.TEXT)
