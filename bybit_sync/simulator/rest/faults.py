"""How the REST host goes wrong on command."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from bybit_sync.simulator.rest.pages import CURSORS
from bybit_sync.simulator.rest.plans import Plans, order
from bybit_sync.simulator.rest.requests import Reply, RestCall
from bybit_sync.simulator.rest.spellings import WAYS

__all__ = ["RestFaults"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_HTML: Final[Mapping[str, str]] = MappingProxyType({"Content-Type": "text/html"})
_FORBIDDEN: Final = "<html><head><title>403 Forbidden</title></head><body><h1>403 ERROR</h1>Request blocked.</body></html>"


class RestFaults:
    """The faults of a REST host: each is a method, may be called from any thread, and ends with `heal`.

    An endpoint is its path without ``/v5/``: ``order/realtime``, ``execution/list``, …; where none is named, all are meant.
    Reached as ``exchange.rest``.

    Example:
        >>> exchange.rest.lag(2.0, "execution/list")  # answers as of two seconds ago
        >>> exchange.rest.refuse(10016, times=3)  # "Internal server error.", three times at each endpoint
        >>> exchange.rest.heal()

    """

    def __init__(self, plans: Plans, listen: Callable[[bool], None]) -> None:
        self._plans = plans
        self._listen = listen

    def heal(self) -> None:
        """End every fault, and listen. Orders that were forgotten stay forgotten."""
        self._plans.clear()
        self.listen()

    # --- what was asked ---

    @property
    def calls(self) -> tuple[RestCall, ...]:
        """The requests so far, oldest first: the latest 100,000."""
        return tuple(self._plans.calls)

    def forget_calls(self) -> None:
        """Count requests anew."""
        self._plans.calls.clear()

    # --- the host ---

    def stop_listening(self) -> None:
        """Cut every connection and refuse new ones (ECONNREFUSED) until `listen`; the streams are not touched."""
        self._listen(False)

    def listen(self) -> None:
        """Answer again."""
        self._listen(True)

    def cut(self, *endpoints: str, after: int = 0, times: int | None = None) -> None:
        """Cut the connection *after* so many bytes of the body; at *endpoints*, the next *times* or until `heal`."""
        order(self._plans.cuts, endpoints, after, times)

    def respond(
        self,
        status: int,
        body: str | bytes = "",
        *endpoints: str,
        headers: Mapping[str, str] = _NOTHING,
        times: int | None = None,
    ) -> None:
        """Answer with HTTP *status*, *body* and *headers*, whatever *endpoints* are asked: the next *times* or until `heal`."""
        data = body.encode() if isinstance(body, str) else body
        order(self._plans.replies, endpoints, Reply(status=status, body=data, headers=headers), times)

    def ban(self, *, times: int | None = None) -> None:
        """Answer HTTP 403 and a page of HTML, as to an address that asked too often: the next *times* or until `heal`."""
        self.respond(403, _FORBIDDEN, headers=_HTML, times=times)

    # --- refusals ---

    def refuse(self, code: int, *endpoints: str, text: str | None = None, times: int | None = None) -> None:
        """Answer *endpoints* with the ``retCode`` *code* and *text* (by default the exchange's): *times*, or until `heal`."""
        order(self._plans.refused, endpoints, (code, text), times)

    def limit(self, per_second: int, *endpoints: str) -> None:
        """Let each key ask each of *endpoints* *per_second* times a second; more is answered with 10006."""
        self._plans.evolve(endpoints, limit=per_second)

    def exhaust(self, *endpoints: str, headers: bool = True, times: int | None = None) -> None:
        """Answer *endpoints* with 10006, as to a key that has asked too often: the next *times* or until `heal`.

        The *headers* that say when to ask again may be missing.
        """
        order(self._plans.exhausted, endpoints, headers, times)

    # --- how late ---

    def lag(self, seconds: float, *endpoints: str) -> None:
        """Answer *endpoints* from the books as they were *seconds* ago, at most 60; 0 ends it."""
        self._plans.evolve(endpoints, lag=seconds)

    def slow(self, seconds: float, *endpoints: str) -> None:
        """Send the answers of *endpoints*, which are made when the request arrives, after *seconds*; 0 ends it."""
        self._plans.evolve(endpoints, delay=seconds)

    # --- what is in an answer ---

    def cursors(self, kind: str, *endpoints: str) -> None:
        """Let the cursors of *endpoints* be of a *kind*.

        ``kept`` (the usual: one even on the last page), ``ends`` (none there), ``self`` (the last page's cursor addresses
        itself), ``cycle`` (the last page's leads back), ``empty page`` (one with a cursor between any two), ``repeat`` (each
        page begins with the last row of the one before).
        """
        _check(kind, CURSORS)
        self._plans.evolve(endpoints, cursors=kind)

    def spell(self, way: str | None, *endpoints: str) -> None:
        """Spell the rows of *endpoints* another *way* that was seen; None is the usual one.

        ``documented`` (older examples: "0.00" and "UNKNOWN" for nothing), ``whole times``, ``fees as text``, ``null``.
        """
        _check(way, (None, *WAYS))
        self._plans.evolve(endpoints, spelling=way)

    def rewrite(self, changes: Mapping[str, Any] = _NOTHING, *endpoints: str, without: Sequence[str] = ()) -> None:
        """Let every row of *endpoints* have *changes* and lack the keys *without*."""
        self._plans.evolve(endpoints, changes=changes, without=without)

    def reverse(self, *endpoints: str) -> None:
        """List each page of *endpoints* backwards: no order is promised, as for the legs of hedge mode."""
        self._plans.evolve(endpoints, is_reversed=True)

    def be_strict(self, *endpoints: str) -> None:
        """Let *endpoints* refuse a ``limit`` above the maximum with 10001, which else is cut down."""
        self._plans.evolve(endpoints, is_strict=True)

    def hide_conditional_orders(self) -> None:
        """List conditional orders only where ``orderFilter=StopOrder`` asks for them."""
        self._plans.omit(hides_conditional=True)

    def forget_closed_orders(self, before: int) -> None:
        """Let ``order/realtime`` forget the orders that were closed *before* (ms), as when the service restarts."""
        self._plans.omit(forgotten_before=before)


def _check(value: object, known: Collection[object]) -> None:
    if value not in known:
        raise ValueError(f"{value!r} is none of {', '.join(map(str, known))}")
