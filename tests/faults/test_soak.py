"""Section M: for long, all at once, and at random. Small by default; ``pytest -m soak`` runs each at its full size."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from bybit_sync import Backoff, ConnectLimit, Event, State
from tests.client.test_leaks import Cycles
from tests.conftest import KEY, SECRET
from tests.faults import pace
from tests.faults.conftest import Play
from tests.faults.exchange import (
    Message,
    Talk,
    accept,
    close_frame,
    confirm,
    every,
    hang_up,
    log_in,
    push_order,
    pushed,
    reset,
    say,
    serve,
)
from tests.faults.history import History, names
from tests.faults.pace import until
from tests.faults.rows import row
from tests.faults.scene import Net, Scene
from tests.peers import Line, frame

LONG = [pytest.mark.soak, pytest.mark.timeout(0)]


# --- reconnecting ---


@row(160, kills="a transport is not closed when its conversation ends")
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("count", [50, pytest.param(10_000, marks=LONG)])
def test_reconnecting_with_tls_and_four_topics(tls: Net, count: int) -> None:
    """One gap for each; every push comes once and in order. What memory it takes: see `tests.client.test_leaks`."""
    cycles = Cycles(count, tls.server, tls.client)
    assert cycles.is_in_order
    assert (cycles.got, cycles.gaps) == (count + 1, count)


# --- at random ---

ODDITIES = {
    "hang up": (hang_up,),
    "reset": (reset,),
    "close": (say, close_frame(1001)),
    "close 1013": (say, close_frame(1013)),
    "broken frame": (say, frame(b"x", rsv=4)),
    "no JSON": (say, frame(b"{")),
    "half a frame, and the end": (lambda line: (say(line, pushed("order.linear", [])[:9]), hang_up(line)),),
    "two at once": (lambda line: say(line, frame(b"{}"), close_frame(1000)),),
}
STREAMS = st.sampled_from(["orders", "positions", "balances", "user_trades"])


class Weather(RuleBasedStateMachine):
    """Anything may happen to a client, in any order; all histories are checked when it is over.

    A run that fails is printed by hypothesis as the calls that it was made of, and played again first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        times: dict[str, Any] = {"outage_reminders": (3600.0,), "busy": 0.01}
        arguments = {"backoff": Backoff(initial=0.002, factor=2.0, maximum=0.02)}
        self.scene = self.stack.enter_context(Scene(Net(), (), arguments, lambda *_: None, times))
        self.relay = self.scene.relay
        self.numbers = itertools.count(1)
        self.closing: list[Any] = []

    @initialize()
    def start(self) -> None:
        """Subscribe, and be LIVE once."""
        self.scene.subscribe()

    # --- the exchange ---

    def _do(self, *act: Any) -> None:
        """Have the latest connection do *act*, if it is still there."""
        talks = self.scene.exchange.talks
        if talks and talks[-1].is_open:
            with contextlib.suppress(EOFError):
                talks[-1].do(*act).result(pace.patience())

    @rule(count=st.integers(1, 5))
    def push(self, count: int) -> None:
        """Push some orders, if anybody listens."""
        for _ in range(count):
            self._do(push_order, f"order-{next(self.numbers)}")

    @rule(what=st.sampled_from(sorted(ODDITIES)))
    def oddity(self, what: str) -> None:
        """Have the exchange misbehave."""
        self._do(*ODDITIES[what])

    # --- the network ---

    @rule(milliseconds=st.integers(1, 40))
    def stall(self, milliseconds: int) -> None:
        """Forward nothing for a moment."""
        self.relay.stall()
        self._pass(milliseconds)
        self.relay.heal()

    @rule(size=st.integers(1, 50))
    def slice(self, size: int) -> None:
        """Cut everything into small pieces."""
        self.relay.slice(size)

    @rule(milliseconds=st.integers(0, 5))
    def delay(self, milliseconds: int) -> None:
        """Let everything take longer."""
        self.relay.delay(milliseconds / 1000)

    @rule(after=st.integers(1, 400))
    def reset_in_frame(self, after: int) -> None:
        """Reset the connection somewhere in what comes next."""
        self.relay.reset_in_frame(after)

    @rule()
    def reset(self) -> None:
        """Reset the connection now."""
        self.relay.reset()

    @rule(milliseconds=st.integers(1, 40))
    def cut(self, milliseconds: int) -> None:
        """Let no connection be for a moment."""
        self.relay.cut()
        self._pass(milliseconds)
        self.relay.heal()

    @rule(milliseconds=st.integers(1, 20))
    def calm(self, milliseconds: int) -> None:
        """Let nothing happen."""
        self._pass(milliseconds)

    @staticmethod
    def _pass(milliseconds: int) -> None:
        threading.Event().wait(milliseconds / 1000)

    # --- the user ---

    @precondition(lambda self: len(self.scene.histories) < 8)
    @rule(stream=STREAMS)
    def subscribe(self, stream: str) -> None:
        """Subscribe once more, to the same stream or another."""
        history = History()
        self.scene.histories.append(history)
        subscription = getattr(self.scene.client, f"subscribe_{stream}")(history.record, wait=False)
        self.closing.append(subscription)

    @precondition(lambda self: self.closing)
    @rule(which=st.integers(0, 7))
    def close(self, which: int) -> None:
        """End one of those subscriptions."""
        assert self.closing.pop(which % len(self.closing)).close()

    @rule()
    def reconnect(self) -> None:
        """Have it dial again."""
        self.scene.client.reconnect()

    # --- what holds ---

    @invariant()
    def goes_on(self) -> None:
        """No storm ends a client."""
        assert self.scene.client.state is not State.FAILED

    def teardown(self) -> None:
        """When the weather is fine again, an update arrives; then check all that came."""
        self.relay.heal()
        self.relay.down.reset_after = None
        try:
            self._arrives()
        finally:
            self.stack.close()

    def _arrives(self) -> None:
        """Push until a push arrives."""
        orders, deadline = self.scene.histories[0], time.monotonic() + pace.patience()
        while not any(name.startswith("last") for event in orders.events[-50:] for name in names(event)):
            assert time.monotonic() < deadline, f"{self.scene.client!r}: {self.scene.log.text[-2000:]}"
            self._do(push_order, f"last-{next(self.numbers)}")
            self._pass(5)


@row(161, kills="whatever the rows before kill, in a combination")
@pytest.mark.parametrize("runs", [5, pytest.param(10_000, marks=LONG)])
def test_any_weather(runs: int) -> None:
    """Network, exchange and user do at random what they like; every validator holds, and a run that fails is played again."""
    few = {"derandomize": True, "database": None} if runs < 100 else {"print_blob": True}
    run_state_machine_as_test(
        Weather,
        settings=settings(
            max_examples=runs, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), **few
        ),
    )


# --- for long ---


class Numbered:
    """A consumer of orders that are numbers: it counts, and keeps nothing."""

    def __init__(self) -> None:
        self.got = 0
        self.gaps = 0
        self.wrong: list[str] = []
        """What came twice or out of order, and what is missing where no gap stands."""
        self._last: int | None = None
        self._told = False

    def __call__(self, event: Event[Any]) -> None:
        """Take *event*."""
        self._told |= event.gap is not None
        self.gaps += event.gap is not None
        for order in event:
            number = int(order.order_id)
            if self._last is not None and (number <= self._last or (number > self._last + 1 and not self._told)):
                self.wrong.append(f"{number} after {self._last}")
            self._last, self._told = number, False
            self.got += 1


@row(162, kills="a push that arrives together with the end of its connection is dropped")
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("seconds", "pause"),
    [(1.2, 0.1), pytest.param(float(os.environ.get("SOAK_SECONDS", "600")), pace.seconds(30), marks=LONG)],
    ids=["short", "long"],
)
def test_a_steady_stream_with_a_fault_now_and_then(play: Play, seconds: float, pause: float) -> None:
    """Nothing is lost outside of outages, and an outage is told; for a whole day, set SOAK_SECONDS=86400."""
    numbers = itertools.count(1)

    def push_number(line: Talk) -> None:
        say(line, pushed("order.linear", [{"category": "linear", "orderId": f"{next(numbers)}"}]))

    def steady(line: Talk) -> None:
        log_in(line)
        confirm(line)
        every(line, 1 / 50, push_number)
        serve(line)

    scene = play(steady, backoff=Backoff(initial=0.01, factor=2.0, maximum=0.05))
    orders = Numbered()
    scene.client.subscribe_orders(orders)
    over, faults = time.monotonic() + seconds, 0
    for name in itertools.cycle(sorted(set(ODDITIES) - {"close 1013"})):
        if time.monotonic() > over:
            break
        threading.Event().wait(pause)
        scene.exchange.wait_for(lambda: scene.exchange.talks[-1].is_open)
        scene.exchange.talks[-1].do(*ODDITIES[name])
        faults += 1
    pace.until(lambda: orders.gaps >= faults / 2)
    assert orders.wrong == []
    assert orders.got > 0


@row(51, kills="a connection that was LIVE for a moment forgives the failures before it")
def test_a_connection_that_lives_for_a_moment_forgives_nothing(play: Play) -> None:
    """An exchange that hangs up as soon as all is confirmed is left alone for longer each time."""
    scene = play(lambda line: (log_in(line), confirm(line), hang_up(line), line.wait_for_end()))
    scene.client.subscribe_orders()
    scene.exchange.wait_for(lambda: len(scene.exchange.talks) >= 7)
    began = [talk.began for talk in scene.exchange.talks]
    assert began[6] - began[5] >= pace.seconds(2.5)


# --- many ---


@row(163, kills="the connect limit is one for each client")
@pytest.mark.usefixtures("quiet")
def test_many_clients_come_back_together(play: Play) -> None:
    """Thirty clients are all LIVE again in time, and no more often at the door than the limit allows."""
    limit = ConnectLimit(refill=100, period=1.0, burst=20)
    scene = play(connect_limit=limit)
    with ExitStack() as stack:
        relay, began = scene.relay, time.monotonic()
        arguments = {**pace.arguments(), "environment": scene.url, "connect_limit": limit}
        clients = [stack.enter_context(pace.FaultClient(KEY, SECRET, **arguments)) for _ in range(30)]
        for client in clients:
            client.subscribe_orders(lambda event: None, wait=False)
        assert all(client.wait_live(pace.patience()) for client in clients)
        relay.cut()
        for client in clients:
            until(lambda client=client: client.state is not State.LIVE)
        relay.heal()
        healed = time.monotonic()
        assert all(client.wait_live(15) for client in clients)
        scene.measure("thirty clients LIVE after", time.monotonic() - healed)
        assert time.monotonic() - healed < 15
        assert relay.accepted <= limit.burst + (time.monotonic() - began) * limit.refill / limit.period + 1


# --- maintenance ---


@row(164, kills="a status of 503 is raised, or backed off from without end")
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("closed_for", [30.0, pytest.param(600.0, marks=LONG)])
def test_a_whole_maintenance(play: Play, closed_for: float) -> None:
    """503 for long, then flapping, then logins that take their time: LIVE soon after all that, and the gap is told."""
    scene = play()
    shut, slow = threading.Event(), threading.Event()

    def accept_late(line: Talk, request: Message) -> None:
        if slow.is_set():
            line.over.wait(pace.seconds(5))
        accept(line, request)

    def at_the_door(line: Line) -> None:
        if shut.is_set():
            line.read_head()
            line.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        else:
            scene.exchange._play(lambda talk: serve(talk, auth=accept_late), line)

    scene.exchange._scripts = (at_the_door,)
    relay, orders = scene.relay, scene.subscribe()
    shut.set()
    relay.reset()
    threading.Event().wait(pace.seconds(closed_for))
    shut.clear()
    slow.set()
    assert relay.flap(pace.seconds(3), pace.seconds(1), 5).wait(pace.patience())
    scene.mark()
    assert scene.client.wait_live(pace.within(35))
    scene.exchange.wait_for(lambda: scene.exchange.talks[-1].is_open)
    scene.exchange.push_order("open again")
    orders.gap()
    while names(orders.next()) != ["open again"]:
        pass
