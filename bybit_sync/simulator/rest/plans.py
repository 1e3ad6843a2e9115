"""The plan of each endpoint: `RestFaults` writes it, the host reads it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeVar

import attrs

from bybit_sync.simulator.refusals import Refusals
from bybit_sync.simulator.rest.endpoints import ENDPOINTS
from bybit_sync.simulator.rest.limits import AddressLimit, KeyLimits
from bybit_sync.simulator.rest.listings import Omissions
from bybit_sync.simulator.rest.refusals import RestRefusal
from bybit_sync.simulator.rest.requests import Reply, RestCall

__all__ = ["Plan", "Plans"]

T = TypeVar("T")
_CALLS_KEPT: Final = 100_000


@attrs.frozen(kw_only=True)
class Plan:
    """The changes to the answers of one endpoint, besides refusals.

    Each attribute is an argument of a method of `RestFaults`.
    """

    lag: float = 0.0
    delay: float = 0.0
    limit: int | None = None
    cursors: str = "kept"
    spelling: str | None = None
    is_reversed: bool = False
    is_strict: bool = False
    changes: Mapping[str, Any] = MappingProxyType({})
    without: Sequence[str] = ()


class Plans:
    """The plans of all endpoints, ordered answers, and the requests. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: dict[str, Plan] = {}
        self._omissions = Omissions()
        self.refused: Refusals[tuple[int, str | None]] = Refusals()
        self.replies: Refusals[Reply] = Refusals()
        self.cuts: Refusals[int] = Refusals()
        self.exhausted: Refusals[bool] = Refusals()
        self.calls: deque[RestCall] = deque(maxlen=_CALLS_KEPT)
        self.key_limits: KeyLimits = KeyLimits()
        self.address_limit: AddressLimit = AddressLimit()

    @property
    def omissions(self) -> Omissions:
        """The omissions of listings."""
        with self._lock:
            return self._omissions

    def omit(self, **changes: Any) -> None:
        """Change the omissions of listings."""
        with self._lock:
            self._omissions = attrs.evolve(self._omissions, **changes)

    def of(self, name: str) -> Plan:
        """Return the plan of the endpoint *name*."""
        with self._lock:
            return self._plans.get(name, Plan())

    def evolve(self, endpoints: Sequence[str], **changes: Any) -> None:
        """Change the plans of *endpoints*; of all when none is named."""
        with self._lock:
            for name in _named(endpoints):
                self._plans[name] = attrs.evolve(self._plans.get(name, Plan()), **changes)

    def raise_refusal(self, name: str) -> None:
        """Raise the refusal that was ordered for the endpoint *name*, and count it."""
        refused = self.refused.take(name)
        if refused is not None:
            raise RestRefusal(*refused)

    def clear(self) -> None:
        """End every plan and every ordered answer.

        Orders that ``order/realtime`` has forgotten stay forgotten.
        """
        with self._lock:
            self._plans.clear()
        self.omit(hides_conditional=False)
        for orders in (self.refused, self.replies, self.cuts, self.exhausted):
            orders.lift()
        self.address_limit.lift()


def order(orders: Refusals[T], endpoints: Sequence[str], answer: T, times: int | None) -> None:
    """Order *answer* for *endpoints*, for all when none is named.

    It holds for the next *times* requests of each; None means until `clear`.
    """
    for name in _named(endpoints):
        orders.order(name, answer, times)


def _named(endpoints: Sequence[str]) -> Sequence[str]:
    for name in endpoints:
        if name not in ENDPOINTS:
            raise ValueError(f"{name!r} is none of {', '.join(ENDPOINTS)}")
    return endpoints or list(ENDPOINTS)
