"""The check of a server's answer to the upgrade, and the errors for refusals."""

from __future__ import annotations

import time

from bybit_sync.errors import HandshakeRejected
from bybit_sync.network.wire import Head, Wire
from bybit_sync.text import printable

__all__ = ["check_answer"]


def check_answer(wire: Wire, head: Head) -> bytes:
    """Return the part of *head* that websocket-client checks, without cookies.

    Raises for answers that websocket-client would accept and should not.
    """
    if head.status != 101:  # noqa: PLR2004
        raise _rejected(wire, head)
    for name in ("sec-websocket-extensions", "sec-websocket-protocol"):
        if name in head.headers:
            raise wire.deadline.failed(f"the server chose {printable(head.headers[name], 80)!r}, which was not offered")
    lines = [f"{name}: {head.headers.get(name, '')}" for name in ("upgrade", "connection", "sec-websocket-accept")]
    return "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, "", ""]).encode()


def _rejected(wire: Wire, head: Head) -> HandshakeRejected:
    body = printable(head.rest or wire.read() or b"")  # only what has arrived: do not wait for the body
    text = f"{wire.deadline.peer} answered {head.status} {head.phrase} instead of opening a WebSocket. {_remedy(head.status)}"
    return HandshakeRejected(
        f"{text}. It said: {body}" if body else text,
        status=head.status,
        retry_after=_retry_after(head.headers.get("retry-after", "")),
    )


_REMEDIES = {
    401: "Check `environment`: no login is sent before the WebSocket is open",
    403: "Bybit bans an address for minutes after too many connections, and refuses some regions: wait, or use the right site",
    404: "Check `environment` and `dialect`: nothing is served at this path",
    429: "Too many connections from this address: wait",
    451: "The site is not offered in this region: use `environment` for the right one",
}


def _remedy(status: int) -> str:
    if 300 <= status < 400:  # noqa: PLR2004
        return "Redirects are not followed; check `environment`"
    ours = "The server does not take our request: check `environment` and `proxy`"
    return _REMEDIES.get(status, ours if 400 <= status < 500 else "The fault is the server's, and usually passes")  # noqa: PLR2004


def _retry_after(text: str) -> float | None:
    """Return the seconds in a ``Retry-After`` header; None if it is not readable."""
    if text.isdecimal() and text.isascii():
        return float(text)
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - slow to import, seldom needed

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
