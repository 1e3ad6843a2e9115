"""The rules of one connection: answers to login, subscribe and ping.

Pure: requests and the exchange's time are arguments, answers are returned.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from bybit_sync.simulator.dialects import Dialect, Topic
from bybit_sync.simulator.refusals import Refusals

__all__ = ["REFUSALS", "Conversation", "read", "sign"]

Json = dict[str, Any]

# Texts of the exchange. Those for the key and the signature are documented for codes
# 10003 and 10004; those for topics were observed on public sockets. The text for mixing
# topics is ours, because the documentation gives none.
REFUSALS: Mapping[str, str] = {
    "parameters": "Params Error",
    "key": "API key is invalid. Check whether the key and domain are matched.",
    "signature": "Error sign, please check your signature generation algorithm.",
    "again": "Repeat auth",
    "login first": "Request not authorized",
    "unknown topic": "error:handler not found,topic:{topic}",
    "duplicate": "error:already subscribed,topic:{topic}",
    "mixed": "error:all-in-one and categorised topics cannot be mixed,topic:{topic}",
    "operation": "error:invalid op",
    "json": "Failed to decode incoming data:{frame}",
}


class _Refusal(Exception):
    """A refusal, with the exchange's text."""


def sign(secret: str, expires: object) -> str:
    """Return the HMAC signature that logs in until *expires* (ms)."""
    return hmac.new(secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()


class Conversation:
    """The state of one connection: its login and its topics.

    *secret_of* returns the secret of a key, None for an unknown key.
    """

    def __init__(self, gateway: Dialect, secret_of: Callable[[str], str | None], refusals: Refusals[str], conn_id: str) -> None:
        self.gateway = gateway
        self.key: str | None = None
        self.topics: tuple[Topic, ...] = ()
        self._secret_of = secret_of
        self._refusals = refusals
        self._conn_id = conn_id
        self._answers: dict[str, Callable[[list[Any], int], None]] = {
            "auth": self._log_in,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
        }

    def answer(self, request: object, now: int) -> Json:
        """Return the answer to *request* at *now* (ms).

        *request* is the parsed JSON, or the text itself when it is not JSON.
        """
        if not isinstance(request, dict):
            return self._verdict({}, REFUSALS["json"].format(frame=request))
        if request.get("op") == "ping":
            return {**_echo(request), "op": "pong", "args": [str(now)], "conn_id": self._conn_id}
        try:
            self._obey(request, now)
        except _Refusal as refusal:
            return self._verdict(request, str(refusal))
        return self._verdict(request, "")

    def _verdict(self, request: Json, text: str) -> Json:
        verdict = {"success": not text, "ret_msg": text, "op": request.get("op", ""), "conn_id": self._conn_id}
        return {**_echo(request), **verdict}

    def _obey(self, request: Json, now: int) -> None:
        operation = self._answers.get(str(request.get("op")))
        args = request.get("args")
        if operation is None:
            raise _Refusal(REFUSALS["operation"])
        operation(args if isinstance(args, list) else [], now)

    def _log_in(self, args: list[Any], now: int) -> None:
        self._refuse_on_command("login")
        if self.key is not None:
            raise _Refusal(REFUSALS["again"])
        key, expires, signature = _login_parts(args)
        if int(expires) <= now:
            raise _Refusal(REFUSALS["parameters"])
        secret = self._secret_of(key)
        if secret is None:
            raise _Refusal(REFUSALS["key"])
        if sign(secret, expires) != signature:
            raise _Refusal(REFUSALS["signature"])
        self.key = key

    def _subscribe(self, args: list[Any], _now: int) -> None:
        wanted = [self._topic(name) for name in args]
        on = self.topics
        for topic in wanted:
            self._refuse_on_command("topic", topic)
            if topic in on:
                raise _Refusal(REFUSALS["duplicate"].format(topic=topic.name))
            on = (*on, topic)
        _refuse_mixing(wanted, on)
        # All or nothing: one bad topic refuses the whole batch.
        self.topics = on

    def _unsubscribe(self, args: list[Any], _now: int) -> None:
        unwanted = [self._topic(name) for name in args]
        self.topics = tuple(topic for topic in self.topics if topic not in unwanted)

    def _topic(self, name: object) -> Topic:
        if self.key is None:
            raise _Refusal(REFUSALS["login first"])
        topic = self.gateway.topics.get(str(name))
        if topic is None:
            raise _Refusal(REFUSALS["unknown topic"].format(topic=name))
        return topic

    def _refuse_on_command(self, what: str, topic: Topic | None = None) -> None:
        name = topic.name if topic else ""
        text = self._refusals.take((what, name))
        if text is not None:
            raise _Refusal(text.replace("{topic}", name))


def read(frame: str | bytes) -> object:
    """Return the parsed JSON of *frame*, or its text when that is no JSON."""
    try:
        return json.loads(frame)
    except ValueError:
        return frame if isinstance(frame, str) else repr(frame)


def _echo(request: Json) -> Json:
    """Return the ``req_id`` of the request, if it has one."""
    return {"req_id": request["req_id"]} if "req_id" in request else {}


def _login_parts(args: list[Any]) -> tuple[str, str, str]:
    """Return key, expires and signature as texts.

    The exchange accepts *expires* as a number and as a text.
    """
    try:
        key, expires, signature = (str(arg) for arg in args)
    except ValueError:
        raise _Refusal(REFUSALS["parameters"]) from None
    if not (expires.isascii() and expires.isdigit() and len(expires) < 20):  # noqa: PLR2004 - what a 64-bit integer can hold
        raise _Refusal(REFUSALS["parameters"])
    return key, expires, signature


def _refuse_mixing(wanted: list[Topic], on: tuple[Topic, ...]) -> None:
    """Raise for an all-in-one topic beside a categorised one.

    In one request any stream counts, on one connection the same stream only.
    """
    for topic in wanted:
        beside_in_request = any(other.category for other in wanted) and topic.is_all_in_one
        beside_on_connection = any(o.stream == topic.stream and o.is_all_in_one != topic.is_all_in_one for o in on)
        if beside_in_request or beside_on_connection:
            raise _Refusal(REFUSALS["mixed"].format(topic=topic.name))
