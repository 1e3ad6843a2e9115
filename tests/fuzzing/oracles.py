"""What must hold of whatever the library makes of bytes; each check fails with what breaks the contract."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from bybit_sync import to_dict
from bybit_sync.model.events import Event, GapReason
from bybit_sync.session.messages import Answer, Pong, Push, UnknownMessage


def check_news(news: Any) -> None:
    """Make sure that an event is what the contract says of it, row by row."""
    if not isinstance(news, Event):
        return
    assert (news.gap is None) or (news.data == () and news.gap.reason is GapReason.UNDECODABLE)
    assert news.gap is None or news.gap.since <= news.gap.until
    json.dumps(to_dict(news))
    check_line(repr(news))
    for update in news:
        check_update(update)


def check_update(update: Any) -> None:
    """Make sure that no field holds what no consumer could expect."""
    json.dumps(to_dict(update))
    hash(update)
    assert isinstance(update.key, tuple)
    assert all(type(key) is str for key in update.wire)
    for value in vars_of(update):
        assert not isinstance(value, float)
        assert not isinstance(value, Decimal) or value.is_finite()
        assert not isinstance(value, datetime) or value.tzinfo is not None


def vars_of(update: Any) -> Iterator[object]:
    """Go over the values of the fields of *update*, the exchange's own row aside."""
    return (getattr(update, name) for name in type(update).__slots__ if name not in ("wire", "extra", "__weakref__"))


def check_line(text: str) -> None:
    """Make sure that *text* is one line, with nothing in it that a terminal would obey."""
    assert text.isprintable(), text


def check_meaning(meaning: object) -> None:
    """Make sure that a message is one of the four, and each attribute of the type it is declared with."""
    if isinstance(meaning, Push):
        assert type(meaning.topic) is str
        assert type(meaning.id) in (str, type(None))
        assert meaning.created_at is None or meaning.created_at.tzinfo is not None
    elif isinstance(meaning, Answer):
        assert type(meaning.success) is bool
        assert type(meaning.op) is type(meaning.text) is str
        assert {type(meaning.req_id), type(meaning.topic)} <= {str, type(None)}
        assert type(meaning.code) in (int, type(None))
    elif isinstance(meaning, Pong):
        assert meaning.at is None or meaning.at.tzinfo is not None
    else:
        assert isinstance(meaning, UnknownMessage)
        check_line(meaning.shape)
