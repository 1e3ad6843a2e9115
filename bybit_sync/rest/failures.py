"""The meanings and remedies of refusals, as a table of codes and HTTP statuses.

https://bybit-exchange.github.io/docs/v5/error
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from attrs import frozen

from bybit_sync.errors import RestBlocked, RestClockRefused, RestError, RestLimited, RestRefused, RestUnavailable
from bybit_sync.text import printable

__all__ = ["BLOCKED_SECONDS", "Refusal", "of_code", "of_status"]

BLOCKED_SECONDS: Final = 600.0
"""The seconds without a request after HTTP 403:
https://bybit-exchange.github.io/docs/v5/rate-limit
"""

_KEY: Final = "Check the key, and that it was made in this environment: a key works only where it was made."
_SECRET: Final = "Check that the secret belongs to this key (for an RSA key give signer=)."  # noqa: S105 - no secret
_EXPIRED: Final = "The API key is no longer valid: make a new one on Bybit's site."
_PERMISSION: Final = "Give the key read permission for contract orders and positions, and for the account, on Bybit's site."
_ADDRESS: Final = "Add this machine's public address to the key's list on Bybit's site."
_ACCOUNT: Final = "Recovery needs a unified account (UTA); the streams go on without it."
_BUSY: Final = "Nothing to do: it is asked again after a pause."
_CROWDED: Final = "Nothing to do: it is asked again when the limit is over. Other programs with this key count, too."
_BUG: Final = "This library asked what the exchange does not take; please report it."
_BLOCKED: Final = "Nothing is asked for ten minutes. If it stays so, Bybit does not serve this address's region."
_REDIRECT: Final = "No redirect is followed: a key goes to its own host only. Check base_url, proxy and DNS."
_NOT_THERE: Final = "Check base_url: there is no REST API of Bybit's at it, or not for this account."


@frozen
class Refusal:
    """A refusal of the exchange: its ``retCode`` and text."""

    code: int
    text: str


@frozen
class _Line:
    """A row of the table: the class of the error and its remedy.

    *is_general* is that of `RestRefused`.
    """

    kind: type[RestError]
    remedy: str
    is_general: bool = False


_UNAVAILABLE: Final = _Line(RestUnavailable, _BUSY)
_LIMITED: Final = _Line(RestLimited, _CROWDED)
_CODES: Final = {
    **dict.fromkeys((429, 10000, 10016, 10019, 170007, 170032, 500011), _UNAVAILABLE),
    10006: _LIMITED,
    10429: _LIMITED,
    10018: _Line(RestBlocked, _BLOCKED),
    **dict.fromkeys((10002, -1), _Line(RestClockRefused, "Set this machine's clock (NTP)", is_general=True)),
    **dict.fromkeys((10003, 10007), _Line(RestRefused, _KEY, is_general=True)),
    10004: _Line(RestRefused, _SECRET, is_general=True),
    **dict.fromkeys((33004, -2015), _Line(RestRefused, _EXPIRED, is_general=True)),
    10005: _Line(RestRefused, _PERMISSION),
    **dict.fromkeys((10009, 10010), _Line(RestRefused, _ADDRESS, is_general=True)),
    **dict.fromkeys((10028, 100028), _Line(RestRefused, _ACCOUNT, is_general=True)),
    **dict.fromkeys((10008, 10024, 10027), _Line(RestRefused, "Ask Bybit what the account lacks.", is_general=True)),
    10029: _Line(RestRefused, "Add the symbol to the key's list on Bybit's site."),
}
_ANY_CODE: Final = _Line(RestRefused, _BUG)

_STATUSES: Final[Mapping[int, _Line]] = {
    HTTPStatus.UNAUTHORIZED: _Line(RestRefused, _KEY, is_general=True),
    HTTPStatus.FORBIDDEN: _Line(RestBlocked, _BLOCKED),
    HTTPStatus.NOT_FOUND: _Line(RestRefused, _NOT_THERE),
    HTTPStatus.TOO_MANY_REQUESTS: _LIMITED,
}


def of_code(endpoint: str, refusal: Refusal, wait: float | None) -> RestError:
    """Return the error for an answer with a ``retCode`` other than 0.

    *wait* is the seconds until a limit resets, None if unknown. Never raised here: the
    caller raises it, from a frame that holds no part of the request.
    """
    line = _CODES.get(refusal.code, _ANY_CODE)
    text = printable(refusal.text)
    message = f"{endpoint}: refused with {refusal.code}: {text.removesuffix('.')}. {line.remedy}"
    return _made(line, message, endpoint, wait, code=refusal.code, text=text)


def of_status(endpoint: str, status: int, retry_after: float | None) -> RestError:
    """Return the error for an HTTP *status* other than 200.

    *retry_after* is that of the header, None without it.
    """
    line = _STATUSES.get(status)
    if line is None:
        redirected = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
        line = _Line(RestRefused, _REDIRECT, is_general=True) if redirected else _of_other(status)
    return _made(line, f"{endpoint}: answered with HTTP {status}. {line.remedy}", endpoint, retry_after)


def _of_other(status: int) -> _Line:
    is_ours = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.REQUEST_TIMEOUT
    return _Line(RestRefused, _BUG) if is_ours else _UNAVAILABLE


def _made(
    line: _Line, message: str, endpoint: str, wait: float | None, *, code: int | None = None, text: str = ""
) -> RestError:
    if issubclass(line.kind, RestRefused):
        return line.kind(message, endpoint=endpoint, remedy=line.remedy, text=text, code=code, is_general=line.is_general)
    wait = BLOCKED_SECONDS if line.kind is RestBlocked else wait
    return line.kind(message, endpoint=endpoint, remedy=line.remedy, retry_after=wait)
