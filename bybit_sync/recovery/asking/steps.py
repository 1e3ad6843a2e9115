"""The steps of a read: requests for listings, and pauses.

A read is a generator of steps. Its caller sends the reply to each listing into it,
throws the `RestError` of a failed listing into it, and gets the answer as its value.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from attrs import frozen

from bybit_sync.errors import RestRefused
from bybit_sync.recovery.wants import Unreadable
from bybit_sync.rest.endpoints import Endpoint

__all__ = ["Ask", "Asking", "Reply", "Wait"]

T = TypeVar("T")


def _never(_rows: Sequence[Any]) -> bool:
    return False


@frozen
class Ask:
    """A listing to be read, page after page.

    *enough* is called after each page with all updates so far; True ends it there.
    """

    endpoint: Endpoint
    parameters: Mapping[str, str | int]
    enough: Callable[[Sequence[Any]], bool] = _never

    @property
    def category(self) -> str:
        """The category of the request; "" for the wallet."""
        return str(self.parameters.get("category", ""))


@frozen
class Wait:
    """A pause of some *seconds*. It has no reply."""

    seconds: float


@frozen(kw_only=True)
class Reply:
    """The reply to an `Ask`.

    *asked_at* and *at* are exchange time: of the first request, and of the last answer.
    *is_complete*: the listing was read to its end; else it *was_enough*, or its pages
    led in a circle. *refused* is the reason why there are no rows; an error that
    concerns every endpoint is thrown instead.
    """

    rows: tuple[Any, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    asked_at: datetime
    at: datetime
    is_complete: bool = True
    was_enough: bool = False
    refused: RestRefused | None = None


Asking = Generator[Ask | Wait, Any, T]
