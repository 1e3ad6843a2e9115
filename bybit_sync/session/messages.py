"""The messages on the wire: classify answers, pongs and pushes; write logins, subscribes, unsubscribes and pings.

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

from bybit_sync.decoding.values import moment
from bybit_sync.text import printable

__all__ = ["LONGEST_TEXT", "Answer", "Pong", "Push", "Request", "UnknownMessage", "classify", "write"]


LONGEST_TEXT: Final = 1_000
"""So many characters of a text of the exchange are read; no pattern looks at more."""
# Numbers of requests, names of topics and operations: a longer one is none of ours, and stays none of ours when it is cut.
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
    """The exchange's yes or no to a request."""

    op: str
    """The request's; "command" where the answer does not say whether that was a subscribe or an unsubscribe."""
    success: bool
    text: str = ""
    code: int | None = None
    req_id: str | None = None
    topic: str | None = None
    """The topic that the answer names, when it names one."""


@frozen
class Pong:
    """The answer to a ping: *at* is the exchange's clock, *req_id* the ping's number, None when it did not say."""

    at: datetime | None
    req_id: str | None = None


@frozen
class UnknownMessage:
    """An object that is none of these; *shape* describes it without its content."""

    shape: str
    may_hold_rows: bool


@frozen
class Request:
    """Something to be sent. A login's argument is when it expires, in ms; key and signature are added by `write`."""

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
    return Push(topic, get("data"), identity if type(identity) is str else None, _envelope_time(created))


def _envelope_time(value: object) -> datetime | None:
    # The rows are what matters: an envelope whose time is nonsense is delivered without one.
    try:
        return moment(value)
    except ValueError:
        return None


def _pong_time(message: Mapping[str, Any]) -> datetime | None:
    times = message.get("args") or message.get("data")
    at = _envelope_time(times[0]) if isinstance(times, list) and times else None
    # The exchange's clock is taken to run on from here, which it cannot at the end of all dates.
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
    # The private socket says it with a flag, the trade socket with a number. Nothing else is a yes.
    return message["success"] is True if "success" in message else type(code) is int and code == 0


def _topics(data: object, key: str) -> list[str]:
    value = data.get(key) if isinstance(data, dict) else None
    return [_name(topic) for topic in value[:_MOST_TOPICS] if type(topic) is str] if isinstance(value, list) else []


def _number(message: Mapping[str, Any]) -> str | None:
    return _name(message.get("req_id")) or _name(message.get("reqId")) or None


def _name(value: object) -> str:
    return _text(value, _LONGEST_NAME)


def _text(value: object, limit: int = LONGEST_TEXT) -> str:
    """Return at most *limit* characters of *value*, "" when it is no text: the one place where a text of a message is read."""
    return value[:limit] if type(value) is str else ""


def _shape(message: Mapping[str, Any]) -> str:
    op = f" with the op '{printable(_name(message['op']), 40)}'" if "op" in message else ""
    # The first ones, not the least: to sort hundreds of thousands of keys takes long, and no other thread runs meanwhile.
    keys = ", ".join(printable(key, 40) for key in sorted(islice(message, _KEYS_SHOWN)))
    return f"an object{op} with the keys {keys or '(none)'}"


# --- writing ---


class LoginWriter(Protocol):
    """Completes logins: `Credentials`, or what stands in for them."""

    def login(self, message: dict[str, object], expires: object) -> str:
        """Return *message* completed to a login that expires at *expires*, in ms."""


def write(request: Request, credentials: LoginWriter) -> str:
    """Return *request* as it goes over the wire."""
    message: dict[str, object] = {"op": request.op}
    if request.req_id is not None:
        message = {"req_id": request.req_id, **message}
    if request.op == "auth":
        return credentials.login(message, request.argument)
    if request.argument is not None:
        message["args"] = [request.argument]
    return json.dumps(message)
