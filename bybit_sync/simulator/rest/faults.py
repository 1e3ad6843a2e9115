"""The faults of the REST host, as methods."""

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
    """The faults of a REST host: each is a method that `heal` reverts.

    Every method may be called from any thread.

    An endpoint is its path without ``/v5/``: ``order/realtime``, ``execution/list``, ….
    A method that is called without endpoints applies to all. The object is
    ``exchange.rest``.

    Example:
        >>> exchange.rest.lag(2.0, "execution/list")  # answers as of two seconds ago
        >>> exchange.rest.refuse(10016, times=3)  # "Internal server error.", three times at each endpoint
        >>> exchange.rest.heal()

    """

    def __init__(self, plans: Plans, listen: Callable[[bool], None]) -> None:
        self._plans = plans
        self._listen = listen

    def heal(self) -> None:
        """End every fault, and listen. Closed orders that are hidden stay hidden."""
        self._plans.clear()
        self.listen()

    # --- requests ---

    @property
    def calls(self) -> tuple[RestCall, ...]:
        """The latest 100,000 requests, oldest first."""
        return tuple(self._plans.calls)

    def forget_calls(self) -> None:
        """Clear `calls`."""
        self._plans.calls.clear()

    # --- the host ---

    def stop_listening(self) -> None:
        """Cut every connection and refuse new ones (ECONNREFUSED) until `listen`.

        The streams are not affected.
        """
        self._listen(False)

    def listen(self) -> None:
        """Accept connections again."""
        self._listen(True)

    def cut(self, *endpoints: str, after: int = 0, times: int | None = None) -> None:
        """Cut the connection when *after* bytes of the body were sent.

        This holds for *endpoints*, the next *times* requests, by default until `heal`.
        """
        order(self._plans.cuts, endpoints, after, times)

    def respond(
        self,
        status: int,
        body: str | bytes = "",
        *endpoints: str,
        headers: Mapping[str, str] = _NOTHING,
        times: int | None = None,
    ) -> None:
        """Answer *endpoints* with HTTP *status*, *body* and *headers*.

        This holds for the next *times* requests, by default until `heal`.
        """
        data = body.encode() if isinstance(body, str) else body
        order(self._plans.replies, endpoints, Reply(status=status, body=data, headers=headers), times)

    def ban(self, *, times: int | None = None) -> None:
        """Answer HTTP 403 with a page of HTML, as to a banned address.

        This holds for the next *times* requests, by default until `heal`.
        """
        self.respond(403, _FORBIDDEN, headers=_HTML, times=times)

    # --- refusals ---

    def refuse(self, code: int, *endpoints: str, text: str | None = None, times: int | None = None) -> None:
        """Answer *endpoints* with the ``retCode`` *code* and *text*.

        *text* is the exchange's by default. This holds for the next *times* requests,
        by default until `heal`.
        """
        order(self._plans.refused, endpoints, (code, text), times)

    def limit(self, per_second: int, *endpoints: str) -> None:
        """Limit each key to *per_second* requests a second for each of *endpoints*.

        Further requests are answered with 10006.
        """
        self._plans.evolve(endpoints, limit=per_second)

    def exhaust(self, *endpoints: str, headers: bool = True, times: int | None = None) -> None:
        """Answer *endpoints* with 10006, as after too many requests.

        This holds for the next *times* requests, by default until `heal`.

        With *headers* the answer says when to ask again.
        """
        order(self._plans.exhausted, endpoints, headers, times)

    # --- delays ---

    def lag(self, seconds: float, *endpoints: str) -> None:
        """Answer *endpoints* from the books as of *seconds* ago, at most 60.

        0 ends it.
        """
        self._plans.evolve(endpoints, lag=seconds)

    def slow(self, seconds: float, *endpoints: str) -> None:
        """Send the answers of *endpoints* after *seconds*; 0 ends it.

        An answer is made when its request arrives. One that waits is sent when the end
        comes first.
        """
        self._plans.evolve(endpoints, delay=seconds)

    # --- contents of answers ---

    def cursors(self, kind: str, *endpoints: str) -> None:
        """Set the *kind* of the cursors of *endpoints*.

        ``kept`` (the usual: the last page has a cursor too), ``ends`` (the last page
        has none), ``self`` (the last page's cursor addresses that page), ``stuck`` (the
        second page's cursor addresses that page and hides all further ones), ``cycle``
        (the last page's addresses an earlier page), ``empty page`` (an empty page, with
        a cursor, lies between any two), ``repeat`` (each page begins with the last row
        of the one before).
        """
        _check(kind, CURSORS)
        self._plans.evolve(endpoints, cursors=kind)

    def spell(self, way: str | None, *endpoints: str) -> None:
        """Spell the rows of *endpoints* in another observed *way*; None is the usual.

        ``documented`` (older examples: "0.00" and "UNKNOWN" for nothing), ``whole
        times``, ``fees as text``, ``null``.
        """
        _check(way, (None, *WAYS))
        self._plans.evolve(endpoints, spelling=way)

    def rewrite(self, changes: Mapping[str, Any] = _NOTHING, *endpoints: str, without: Sequence[str] = ()) -> None:
        """Set *changes* in every row of *endpoints*, and drop the keys *without*."""
        self._plans.evolve(endpoints, changes=changes, without=without)

    def reverse(self, *endpoints: str) -> None:
        """List each page of *endpoints* backwards.

        The exchange promises no order, for instance of the legs of hedge mode.
        """
        self._plans.evolve(endpoints, is_reversed=True)

    def be_strict(self, *endpoints: str) -> None:
        """Refuse a ``limit`` above the maximum with 10001 at *endpoints*.

        By default the limit is cut to the maximum.
        """
        self._plans.evolve(endpoints, is_strict=True)

    def hide_conditional_orders(self) -> None:
        """Hide conditional orders unless ``orderFilter=StopOrder`` is asked for."""
        self._plans.omit(hides_conditional=True)

    def forget_closed_orders(self, before: int) -> None:
        """Hide orders that were closed *before* (ms) from ``order/realtime``.

        The exchange does so when the service restarts.
        """
        self._plans.omit(forgotten_before=before)


def _check(value: object, known: Collection[object]) -> None:
    if value not in known:
        raise ValueError(f"{value!r} is none of {', '.join(map(str, known))}")
