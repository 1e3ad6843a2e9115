"""The messages on the wire: classify received ones, write those to send.

https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Final, Literal, NamedTuple, Protocol

from attrs import frozen

from bybit_sync.decoding.values import moment_or_none
from bybit_sync.text import printable

__all__ = ["LONGEST_TEXT", "Answer", "Pong", "Push", "Request", "UnknownMessage", "classify", "write"]


LONGEST_TEXT: Final = 1_000
"""The characters that are read of a text of the exchange."""
# The same for req_ids, topics and operations. A longer one is not ours, and cutting it
# does not make it ours.
_LONGEST_NAME: Final = 200
_MOST_TOPICS: Final = 100
_KEYS_SHOWN: Final = 10


class Push(NamedTuple):
    """Rows for a topic."""

    topic: str
    data: object
    id: str | None
    created_at: datetime | None


@frozen
class Answer:
    """The exchange's answer to a request: accepted or refused."""

    op: str
    """That of the request; "command" when the answer does not distinguish subscribe and
    unsubscribe.
    """
    success: bool
    text: str = ""
    code: int | None = None
    req_id: str | None = None
    topic: str | None = None
    """The topic that the answer names, if it names one."""


@frozen
class Pong:
    """The answer to a ping.

    *at* is the exchange's time; *req_id* is that of the ping, None when the pong has
    none.
    """

    at: datetime | None
    req_id: str | None = None


@frozen
class UnknownMessage:
    """An object of none of these kinds; *shape* describes it without its content."""

    shape: str
    may_hold_rows: bool


@frozen
class Request:
    """A message to send.

    The argument of a login is its expiry in ms; `write` adds key and signature.
    """

    op: Literal["auth", "subscribe", "unsubscribe", "ping"]
    argument: str | int | None = None
    req_id: str | None = None


# --- reading ---


def classify(message: Mapping[str, Any]) -> Push | Answer | Pong | UnknownMessage:
    """Return *message*, a JSON object, as the kind of message that it is."""
    topic = message.get("topic")
    if type(topic) is str and "op" not in message:
        return _push(topic[:_LONGEST_NAME], message)
    op = _TYPES.get(_name(message.get("type"))) or _name(message.get("op"))
    if op in _ANSWERED:
        return _answer(op, message)
    if op == "pong" or (op == "ping" and message.get("ret_msg") == "pong"):
        return Pong(_pong_time(message), _number(message))
    return UnknownMessage(_shape(message), may_hold_rows="op" not in message or "data" in message)


_ANSWERED: Final = frozenset({"auth", "subscribe", "unsubscribe", "command"})
# Gateways of unified accounts in V3 answer without an op.
_TYPES: Final = {"AUTH_RESP": "auth", "COMMAND_RESP": "command"}
_LAST_YEAR: Final = 9000
_NAMED_TOPIC: Final = re.compile(r"topic:\s*(\w+(?:\.\w+)*)")


def _push(topic: str, message: Mapping[str, Any]) -> Push:
    get = message.get
    identity = get("id")
    created = get("creationTime", get("ts"))
    return Push(topic, get("data"), identity if type(identity) is str else None, moment_or_none(created))


def _pong_time(message: Mapping[str, Any]) -> datetime | None:
    times = message.get("args") or message.get("data")
    at = moment_or_none(times[0]) if isinstance(times, list) and times else None
    # The exchange's clock runs on from here, which is impossible near the last date
    # that Python has.
    return at if at is not None and at.year < _LAST_YEAR else None


def _answer(op: str, message: Mapping[str, Any]) -> Answer:
    code = message.get("retCode", message.get("ret_code"))
    text = _text(message.get("ret_msg")) or _text(message.get("retMsg"))
    data = message.get("data")
    failed, succeeded = _topics(data, "failTopics"), _topics(data, "successTopics")
    listed = failed + succeeded
    named = _NAMED_TOPIC.search(text)
    return Answer(
        op=op,
        success=_is_yes(message, code) and not failed,
        text=text,
        code=code if type(code) is int else None,
        req_id=_number(message),
        topic=named[1] if named else listed[0] if len(listed) == 1 else None,
    )


def _is_yes(message: Mapping[str, Any], code: object) -> bool:
    # The private socket answers with a flag, the trade socket with a number. Only these
    # two mean success.
    return message["success"] is True if "success" in message else type(code) is int and code == 0


def _topics(data: object, key: str) -> list[str]:
    value = data.get(key) if isinstance(data, dict) else None
    return [_name(topic) for topic in value[:_MOST_TOPICS] if type(topic) is str] if isinstance(value, list) else []


def _number(message: Mapping[str, Any]) -> str | None:
    return _name(message.get("req_id")) or _name(message.get("reqId")) or None


def _name(value: object) -> str:
    return _text(value, _LONGEST_NAME)


def _text(value: object, limit: int = LONGEST_TEXT) -> str:
    """Return at most *limit* characters of *value*; "" when it is not a text.

    Every text of a message is read here.
    """
    return value[:limit] if type(value) is str else ""


def _shape(message: Mapping[str, Any]) -> str:
    op = f" with the op '{printable(_name(message['op']), 40)}'" if "op" in message else ""
    # The first keys, not the smallest ones: sorting hundreds of thousands of keys takes
    # long and holds the GIL.
    keys = ", ".join(printable(key, 40) for key in sorted(islice(message, _KEYS_SHOWN)))
    return f"an object{op} with the keys {keys or '(none)'}"


# --- writing ---


class LoginWriter(Protocol):
    """Completes logins, as `Credentials` does."""

    def login(self, message: dict[str, object], expires: object) -> str:
        """Return *message* completed to a login that expires at *expires*, in ms."""


def write(request: Request, credentials: LoginWriter) -> str:
    """Return the text of *request* for the wire."""
    message: dict[str, object] = {"op": request.op}
    if request.req_id is not None:
        message = {"req_id": request.req_id, **message}
    if request.op == "auth":
        return credentials.login(message, request.argument)
    if request.argument is not None:
        message["args"] = [request.argument]
    return json.dumps(message)
