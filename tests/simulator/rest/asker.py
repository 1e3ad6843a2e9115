"""Somebody who asks the simulated REST host, signed, with the standard library only."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from bybit_sync.simulator import Exchange
from tests.conftest import KEY, SECRET

__all__ = ["Answered", "Asker"]


class Answered(NamedTuple):
    """An answer: HTTP status, headers by lower-case name, and the body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def envelope(self) -> Any:
        """What the body says."""
        return json.loads(self.body)

    @property
    def code(self) -> int:
        """The ``retCode``."""
        return int(self.envelope["retCode"])

    @property
    def rows(self) -> list[Any]:
        """The rows of the page."""
        return list(self.envelope["result"]["list"])

    @property
    def cursor(self) -> str:
        """The cursor of the next page."""
        return str(self.envelope["result"]["nextPageCursor"])


class Asker:
    """Asks with *key* and *secret*; *ahead* is by how many ms its clock is ahead, *window* its ``recv_window``."""

    def __init__(self, exchange: Exchange, key: str = KEY, secret: str = SECRET, *, ahead: int = 0, window: int = 5000) -> None:
        self._exchange = exchange
        self._key = key
        self._secret = secret
        self._ahead = ahead
        self._window = str(window)

    def get(self, name: str, query: str = "", *, is_signed: bool = True, **parameters: Any) -> Answered:
        """Ask the endpoint *name* for *parameters*, behind a raw *query*."""
        query = "&".join(part for part in (query, urlencode(parameters)) if part)
        return self._send("GET", f"/v5/{name}" + (f"?{query}" if query else ""), query, is_signed=is_signed)

    def post(self, name: str, body: str | None = None, **parameters: Any) -> Answered:
        """Send *parameters*, or a raw *body*, to the endpoint *name*."""
        text = json.dumps(parameters) if body is None else body
        return self._send("POST", f"/v5/{name}", text, body=text)

    def pages(self, name: str, **parameters: Any) -> Iterator[Answered]:
        """Yield the pages of a listing, to an empty one or an empty cursor."""
        query = ""
        while True:
            page = self.get(name, query, **parameters)
            yield page
            if not (page.rows and page.cursor):
                return
            query = f"cursor={page.cursor}"

    def _send(self, method: str, target: str, signed: str, *, body: str | None = None, is_signed: bool = True) -> Answered:
        url = urlsplit(self._exchange.rest_url)
        connection = http.client.HTTPConnection(url.hostname or "", url.port or 0, timeout=10)
        try:
            connection.request(method, target, body, self._headers(signed) if is_signed else {})
            response = connection.getresponse()
            return Answered(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def _headers(self, signed: str) -> dict[str, str]:
        timestamp = str(int(time.time() * 1000) + self._ahead)
        text = timestamp + self._key + self._window + signed
        return {
            "X-BAPI-API-KEY": self._key,
            "X-BAPI-TIMESTAMP": timestamp,
            "X-BAPI-RECV-WINDOW": self._window,
            "X-BAPI-SIGN": hmac.new(self._secret.encode(), text.encode(), hashlib.sha256).hexdigest(),
        }
