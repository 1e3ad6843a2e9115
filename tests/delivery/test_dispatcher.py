"""The dispatcher, with a session of our own."""

from __future__ import annotations

import queue
from types import SimpleNamespace
from typing import Any

from bybit_sync.clock import Coverage, ExchangeClock, Moment
from bybit_sync.delivery.buffer import Overflow
from bybit_sync.delivery.dispatcher import Dispatcher
from bybit_sync.delivery.queue_sink import QueueSink
from bybit_sync.delivery.receiver import Receiver
from bybit_sync.delivery.registry import SubscriptionRegistry
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import Stream


class Broken(queue.Queue[Any]):
    """A queue that takes nothing."""

    def put_nowait(self, item: object) -> None:
        """Raise."""
        raise OSError("the disk is gone")


def test_a_queue_that_refuses_the_first_gap_leaves_the_session() -> None:
    """It was the last subscription of its stream, so that the session unsubscribes."""
    clock, now, left, ended = ExchangeClock(), Moment.now(), list[Stream](), list[Any]()
    registry = SubscriptionRegistry(clock)
    owner: Any = SimpleNamespace(name="client", log=ClientLog("client"), is_inside=bool, release=print)
    receiver = Receiver[Any](owner, Stream.ORDERS, ("order",), QueueSink(Broken(), Overflow.DROP_NEWEST), tells_start=True)
    registry.add(receiver)
    session: Any = SimpleNamespace(coverage=Coverage(clock), epoch=1, unsubscribe=lambda stream: left.append(stream) or ())
    Dispatcher(registry, SimpleNamespace(ended=ended.append)).confirm(receiver, session, now)  # type: ignore[arg-type]
    assert (left, [one.receiver for one in ended], repr(receiver.error)) == (
        [Stream.ORDERS],
        [receiver],
        "OSError('the disk is gone')",
    )
