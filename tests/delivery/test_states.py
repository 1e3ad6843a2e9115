"""The states of a subscription: each that is in the table happens, and no other."""

from __future__ import annotations

import queue
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from bybit_sync.clock import Coverage, ExchangeClock, Moment
from bybit_sync.delivery.buffer import Overflow
from bybit_sync.delivery.queue_sink import QueueSink
from bybit_sync.delivery.receiver import Receiver
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import Stream
from bybit_sync.status import NEXT_SUBSCRIPTION_STATES, SubscriptionState

CLOCK, NOW, ERROR = ExchangeClock(), Moment.now(), OSError("gone")
Step = Callable[[Receiver[Any]], object]
STEPS: dict[str, Step] = {
    "confirm": lambda receiver: receiver.confirm(Coverage(CLOCK), NOW, NOW, 1),
    "mark_stale": lambda receiver: receiver.mark_stale(ERROR),
    "stop_accepting": Receiver.stop_accepting,
    "end": lambda receiver: receiver.end(ERROR, CLOCK, NOW, 1),
}
WAYS = {
    SubscriptionState.PENDING: (),
    SubscriptionState.LIVE: ("confirm",),
    SubscriptionState.STALE: ("confirm", "mark_stale"),
    SubscriptionState.CLOSED: ("confirm", "stop_accepting"),
}


def receiver_in(state: SubscriptionState) -> Receiver[Any]:
    """Return a receiver that is in *state*."""
    owner: Any = SimpleNamespace(name="client", log=ClientLog("client"), is_inside=bool, release=print)
    receiver = Receiver[Any](owner, Stream.ORDERS, ("order",), QueueSink(queue.Queue(), Overflow.DROP_NEWEST))
    for step in WAYS[state]:
        STEPS[step](receiver)
    return receiver


@pytest.mark.parametrize("state", SubscriptionState)
def test_a_subscription_goes_where_its_table_says(state: SubscriptionState) -> None:
    """What happens to it in a state leaves it there, or in one that the table has; and each of these is reached."""
    reached = set()
    for step in STEPS.values():
        receiver = receiver_in(state)
        assert receiver.state is state
        step(receiver)
        reached.add(receiver.state)
    assert reached - {state} == NEXT_SUBSCRIPTION_STATES[state].keys()
