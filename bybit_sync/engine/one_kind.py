"""The check that a client subscribes to one kind of topics of a stream."""

from __future__ import annotations

import weakref
from typing import Any

from bybit_sync.config.arguments import refuse
from bybit_sync.delivery.receiver import Receiver

__all__ = ["OneKind"]


class OneKind:
    """The receivers of a client, of which those of one stream have the same topics.

    The caller holds a lock. It keeps no receiver alive.
    """

    def __init__(self) -> None:
        self._receivers: weakref.WeakSet[Receiver[Any]] = weakref.WeakSet()

    def check(self, receiver: Receiver[Any]) -> None:
        """Raise `ConfigurationError` if an open one has the other topics."""
        if any(r.stream is receiver.stream and r.fast is not receiver.fast and not r.is_closed for r in self._receivers):
            has = f"this client is subscribed to {receiver.stream.value} with fast={not receiver.fast}"
            raise refuse("fast", receiver.fast, f"{has}: close that first, or use a second client")

    def add(self, receiver: Receiver[Any]) -> None:
        """Count *receiver*, which was checked, from now on."""
        self._receivers.add(receiver)
