"""Answers of the REST API: an envelope with a result, or an error with its remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from bybit_sync.decoding.parsing import Unreadable, parse
from bybit_sync.decoding.values import moment_or_none
from bybit_sync.errors import RestError, RestProtocolError
from bybit_sync.rest.endpoints import Endpoint
from bybit_sync.rest.failures import Refusal, of_code, of_status
from bybit_sync.rest.queries import LONGEST_CURSOR

__all__ = ["Answer", "Response", "read_answer"]

_OK: Final = 200
_LONGEST_TEXT: Final = 4096
_LONGEST_WORD: Final = 100
_DIGITS: Final = 15
_REMEDY: Final = "Nothing to do: it is asked again. If it stays so, something else than Bybit answers at this address."


@frozen
class Response:
    """An HTTP response: *status*, *headers* by lower-case name, and the whole *body*.

    *seconds* passed between sending the request and the end of the answer.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float = 0.0


@frozen
class Answer:
    """A success.

    *result* is the result of the request, *at* the exchange's time of the answer (None
    when it has none). The key must not ask this endpoint again for *wait* seconds: 0
    unless the limit is used up. *seconds* is that of the response.
    """

    result: Mapping[str, Any]
    at: datetime | None = None
    wait: float = 0.0
    seconds: float = 0.0

    @property
    def rows(self) -> list[Any] | None:
        """The rows of a listing; None when the result has no list."""
        rows = self.result.get("list")
        return rows if type(rows) is list else None

    @property
    def cursor(self) -> str | None:
        """The cursor of the next page.

        It is "" when there is none, and None when it cannot be sent back.
        """
        cursor = self.result.get("nextPageCursor")
        if cursor is None:
            return ""
        return cursor if type(cursor) is str and len(cursor) <= LONGEST_CURSOR else None

    @property
    def category(self) -> str | None:
        """The category of all rows of the answer; None when it names none."""
        category = self.result.get("category")
        return category[:_LONGEST_WORD] if type(category) is str and category else None


def read_answer(endpoint: Endpoint, response: Response, redact: Callable[[str], str]) -> Answer | RestError:
    """Parse *response* of *endpoint*: return its result, or the error to raise.

    *redact* removes the key and the signature from the exchange's text, which repeats
    them. The error is returned, so that its frames hold no part of the request. A body
    that is no envelope is not quoted.
    """
    if response.status != _OK:
        return of_status(endpoint.name, response.status, _seconds(response.headers.get("retry-after")))
    try:
        envelope = parse(response.body)
    except Unreadable as error:
        return _odd(endpoint, f"is {error.detail}")
    if type(envelope) is not dict:
        return _odd(endpoint, "is not an object")
    code = _code(envelope.get("retCode"))
    if code is None:
        return _odd(endpoint, "has no retCode that is a number")
    if code != 0:
        text = envelope.get("retMsg")
        # Cut to a bounded length before redaction, and to the length of a message after
        # it: half a key would not be found.
        refusal = Refusal(code, redact(text[:_LONGEST_TEXT]) if type(text) is str else "")
        return of_code(endpoint.name, refusal, _wait(response.headers, moment_or_none(envelope.get("time"))))
    return _read_result(endpoint, envelope, response)


def _read_result(endpoint: Endpoint, envelope: Mapping[str, Any], response: Response) -> Answer | RestError:
    at = moment_or_none(envelope.get("time"))
    result = envelope.get("result")
    if type(result) is not dict:
        return _odd(endpoint, "has no result that is an object")
    if endpoint.row is not None and type(result.get("list")) is not list:
        return _odd(endpoint, "has no list of rows")
    used_up = response.headers.get("x-bapi-limit-status") == "0"
    wait = _wait(response.headers, at) if used_up else None
    return Answer(result, at, wait or 0.0, response.seconds)


def _code(value: object) -> int | None:
    """Return the code as an int; some gateways write it as a text of digits."""
    if type(value) is str and value.isascii() and value.removeprefix("-").isdigit():
        return int(value[:12])
    return value if type(value) is int else None


def _wait(headers: Mapping[str, str], at: datetime | None) -> float | None:
    """Return the seconds until the limit resets; None when no header has them."""
    reset = _seconds(headers.get("x-bapi-limit-reset-timestamp"))
    now = None if at is None else at.timestamp()
    now_by_header = _seconds(headers.get("timenow"))
    told = now_by_header / 1000 if now_by_header is not None else now
    return None if reset is None or told is None else max(0.0, reset / 1000 - told)


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def _odd(endpoint: Endpoint, what: str) -> RestProtocolError:
    return RestProtocolError(f"{endpoint.name}: the answer {what}. {_REMEDY}", endpoint=endpoint.name, remedy=_REMEDY)
