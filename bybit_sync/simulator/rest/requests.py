"""A request and a reply of the REST host, without a socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

import attrs

__all__ = ["Reply", "RestCall", "RestRequest"]

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class RestRequest:
    """One request.

    *query* is exactly as in the URL, without the question mark; *headers* are by
    lower-case name.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = _NO_HEADERS
    body: str = ""

    def parameters(self) -> Mapping[str, Any]:
        """Return the parameters of the query or, for a POST, of the body.

        Raises ``ValueError`` for a body that is no JSON object.
        """
        if self.method == "GET":
            return dict(parse_qsl(self.query))
        value = json.loads(self.body)
        if not isinstance(value, dict):
            raise ValueError("the body is no object")  # noqa: TRY004 - one kind of error for a bad body
        return value

    @property
    def signed_text(self) -> str:
        """The part of the request that the signature covers, besides the headers."""
        return self.query if self.method == "GET" else self.body


@attrs.frozen(kw_only=True)
class Reply:
    """A reply, sent *delay* seconds after its request; the delay may change meanwhile.

    Only the first *cut_after* bytes of the body are sent when that is not None.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = _NO_HEADERS
    delay: Callable[[], float] = lambda: 0.0
    cut_after: int | None = None


@attrs.frozen
class RestCall:
    """An answered request in `RestFaults.calls`, without key and signature.

    *at* is monotonic seconds of its arrival, *name* the endpoint (``order/realtime``),
    *parameters* those of the request, *status* the HTTP status, *code* the ``retCode``
    (None when the answer has none).
    """

    at: float
    name: str
    parameters: Mapping[str, Any]
    status: int
    code: int | None
