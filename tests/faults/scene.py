"""The harness of one test: an exchange that can lie, a network that can be bad, a client, and everything that was told."""

from __future__ import annotations

import contextlib
import logging
import queue
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from types import TracebackType
from typing import Any

import attrs

from bybit_sync import Client, Event, GapReason, State, StatusChange
from tests.conftest import KEY, SECRET, threads_of
from tests.faults import pace
from tests.faults.exchange import Act, Exchange
from tests.faults.history import History, check, lost_in_silence, lost_outside, names
from tests.faults.relay import Relay
from tests.peers import Peer, Script

__all__ = ["Log", "Net", "Scene", "Status"]


@attrs.frozen
class Net:
    """How client and exchange speak: plain or, with these contexts, TLS; and where the exchange is."""

    server: ssl.SSLContext | None = None
    client: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    there: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext
    """Entered while the exchange is made."""


class Status:
    """What `on_status` was told, and when."""

    def __init__(self) -> None:
        self.changes: list[StatusChange] = []
        self.latest: StatusChange | None = None
        """What `wait_for` saw last."""
        self._new: queue.SimpleQueue[tuple[StatusChange, float]] = queue.SimpleQueue()

    def __call__(self, change: StatusChange) -> None:
        """Take *change* down."""
        self.changes.append(change)
        self._new.put((change, time.monotonic()))

    def wait_for(self, *states: State) -> float:
        """Skip to the next change to one of *states* and return when it was told (`time.monotonic`)."""
        until = time.monotonic() + pace.patience()
        while True:
            change, at = self._new.get(timeout=max(0.0, until - time.monotonic()))
            if change.state in states:
                self.latest = change
                return at

    def is_told(self, state: State) -> None:
        """Wait until the latest that was told is *state*: telling has a thread of its own, which may come a moment later."""
        until = time.monotonic() + pace.patience()
        while not self.changes or self.changes[-1].state is not state:
            assert time.monotonic() < until, f"{state.value} is not told"
            threading.Event().wait(0.001)

    def wait_for_end(self) -> StatusChange:
        """Skip to the next change that tells the end of a subscription, and return it."""
        while True:
            change, _ = self._new.get(timeout=pace.patience())
            if change.subscription is not None:
                return change

    def attempts(self) -> int:
        """Return how many attempts the latest return to LIVE took."""
        ends = [at for at, change in enumerate(self.changes) if change.state is State.LIVE]
        return sum(change.state is State.CONNECTING for change in self.changes[ends[-2] : ends[-1]])

    def stays(self, seconds: float) -> None:
        """Make sure that nothing is told for so many seconds."""
        with contextlib.suppress(queue.Empty):
            change, _ = self._new.get(timeout=seconds)
            raise AssertionError(f"the client became {change.state.value}: {change.error}")


# The steps of a connection that works, at INFO: no news of a fault.
STEPS = re.compile(r"[^:]*: (connected to |logged in |subscribed to |closed$)")


class Log(logging.Handler):
    """What the library logged, down to DEBUG, inside a ``with`` block."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[tuple[str, str]] = []
        """Level and text of each record, with its traceback."""
        self._changed = threading.Condition()
        self._looked_at = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Take *record* down."""
        with self._changed:
            self.messages.append((record.levelname, self.format(record)))
            self._changed.notify_all()

    def wait_for(self, text: str) -> None:
        """Wait until a message with *text* was logged."""
        with self._changed:
            assert self._changed.wait_for(lambda: text in self.text, pace.patience()), f"{text!r} is not in:\n{self.text}"

    @property
    def text(self) -> str:
        """All messages."""
        return "\n".join(text for _, text in self.messages)

    def news(self, expected: int) -> list[tuple[str, str]]:
        """Return what was logged since the last call, DEBUG and the steps of a connection aside.

        Waits until that is as much as *expected*.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._unread()) >= expected, pace.patience())
            news, self._looked_at = self._unread(), len(self.messages)
        return news

    def _unread(self) -> list[tuple[str, str]]:
        new = self.messages[self._looked_at :]
        return [(level, text) for level, text in new if level != "DEBUG" and not (level == "INFO" and STEPS.match(text))]

    def __enter__(self) -> Log:
        logger = logging.getLogger("bybit_sync")
        logger.setLevel(logging.DEBUG)
        logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logger = logging.getLogger("bybit_sync")
        logger.removeHandler(self)
        logger.setLevel(logging.NOTSET)


class Scene:
    """Plays *scripts* for one client, which is made on first use with *arguments* on top of those of the faults' pace.

    *timings* replaces inner times of the client; *note* takes figures. When the ``with`` block ends, every history is checked:
    see `tests.faults.history.check`.
    """

    def __init__(
        self,
        net: Net,
        scripts: Sequence[Act],
        arguments: dict[str, Any],
        note: Callable[[str, float], None],
        timings: dict[str, Any] | None = None,
    ) -> None:
        with net.there():
            self.exchange = Exchange(*scripts, context=net.server, host=net.host)
        self.status = Status()
        self.log = Log()
        self.histories: list[History] = []
        self.caused_at: float | None = None
        """When the fault was caused (`time.monotonic`)."""
        self.checked = 0
        """How many updates were laid beside what the exchange sent…"""
        self.lost = 0
        """…and how many were missing where no gap told it."""
        self._found_at: float | None = None
        self._net = net
        self._arguments = arguments
        self._timings = timings or {}
        self._note = note
        self._stalls = pace.Stalls()
        self._stack = ExitStack()

    # --- the cast ---

    @cached_property
    def relay(self) -> Relay:
        """The network in between; there is none unless it is asked for before the client."""
        assert "client" not in vars(self), "the client goes straight to the exchange"
        return self._stack.enter_context(Relay(self.exchange.port))

    @cached_property
    def client(self) -> Client:
        """The client; nothing is connected yet."""
        timings = attrs.evolve(pace.FaultClient._timings, **self._timings)
        kind = type("FaultClient", (pace.FaultClient,), {"_timings": timings})
        arguments = {"environment": self.url, "on_status": self.status, "ssl_context": self._net.client, **pace.arguments()}
        made: Client = kind(KEY, SECRET, **{**arguments, **self._arguments})
        return made

    @property
    def url(self) -> str:
        """Where the client connects to."""
        through = vars(self).get("relay", self.exchange)
        host = f"[{self.exchange.host}]" if ":" in self.exchange.host else self.exchange.host
        return f"{'wss' if self._net.server else 'ws'}://{host}:{through.port}"

    def subscribe(self, stream: str = "orders", **options: Any) -> History:
        """Subscribe with a callback and return what it will get; LIVE when it returns, unless ``wait=False``."""
        history = History()
        self.histories.append(history)
        getattr(self.client, f"subscribe_{stream}")(history.record, **{"timeout": pace.patience(), **options})
        if options.get("wait", True):
            assert self.client.wait_live(pace.patience())
        return history

    # --- the fault ---

    def mark(self) -> None:
        """Note that the fault is caused now."""
        self.caused_at = time.monotonic()
        self._found_at = None

    def cause(self, act: Act, *arguments: object) -> None:
        """Have the exchange do *act* on the connection that is open: that is the fault."""
        self.mark()
        self.exchange.do(act, *arguments)

    def measure(self, what: str, seconds: float) -> None:
        """Note a figure for the report."""
        self._note(what, seconds)

    @contextlib.contextmanager
    def instead(self, *scripts: Script, context: ssl.SSLContext | None = None, plain: bool = False) -> Iterator[Peer]:
        """Have something else answer where the exchange is, for connections that come inside the ``with`` block.

        It plays *scripts* with no upgrade done, over TLS with *context*, by default the exchange's, or without where *plain*.
        """
        with Peer(*scripts, context=None if plain else context or self._net.server) as other:
            self.relay.leads_to(other.port)
            yield other
            self.relay.leads_to(self.exchange.port)

    def fails(self, times: int = 1) -> BaseException:
        """Wait until so many *times* more the client has failed or lost something, and return the last reason."""
        for _ in range(times):
            self.status.wait_for(State.BACKING_OFF)
        assert self.status.latest is not None
        assert self.status.latest.error is not None
        return self.status.latest.error

    # --- what must follow ---

    def is_found(self, *, within: float | None = None) -> None:
        """Wait until the client says that it has lost the connection; *within* so many seconds of the catalogue."""
        self._found_at = self.status.wait_for(State.BACKING_OFF)
        if self.caused_at is not None:
            took = self._found_at - self.caused_at
            self.measure("detection", took)
            stalled = self.stalled(self.caused_at)
            assert within is None or took <= pace.within(within) + stalled, f"it took {took:.3f} s, {stalled:.3f} s stalled"

    def stalled(self, since: float) -> float:
        """Return for how many seconds this process got no processor since then (`time.monotonic`)."""
        return self._stalls.since(since)

    def recovers(self, why: str, *, levels: Sequence[str] = ("WARNING", "INFO"), attempts: int | None = None) -> Event[Any]:
        """Check what the catalogue calls RECONNECT, with *why* in the gap and in the WARNING; return the gap's event.

        One gap, before anything of the new connection; LIVE again; the next update arrives; one WARNING, one INFO. *levels*
        are those of all that was logged since the test began or since the last recovery; *attempts*, if given, is how many it
        may take.
        """
        orders = self.histories[0]
        if self._found_at is None:
            self.is_found()
        event = orders.gap(GapReason.DISCONNECTED)
        live = self.status.wait_for(State.LIVE)
        assert attempts is None or self.status.attempts() == attempts
        if self.caused_at is not None:
            self.measure("recovery", live - self.caused_at)
        self._found_at = None
        self.exchange.push_order(name := f"after-{event.epoch}")
        orders.update(name)
        assert event.gap is not None
        assert why in event.gap.detail
        assert why in self.logged(levels)
        return event

    def logged(self, levels: Sequence[str]) -> str:
        """Make sure that exactly *levels* were logged since the last call, DEBUG aside; return the text."""
        news = self.log.news(len(levels))
        text = "\n".join(text for _, text in news)
        assert [level for level, _ in news] == list(levels), text
        return text

    def goes_on(self, name: str = "next") -> None:
        """Make sure that the connection is still the first one, and the next update arrives."""
        self.exchange.push_order(name)
        assert self.histories[0].update(name).epoch == 1
        assert self.client.state is State.LIVE

    # --- the end ---

    def __enter__(self) -> Scene:
        self._stack.enter_context(self.exchange)
        self._stack.enter_context(self.log)
        self._stack.enter_context(self._stalls)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._stack:
            if "client" in vars(self):
                assert self.client.close(), f"{self.client!r} did not end: {threads_of(self.client)}"
        if error is None:
            self._check()

    def _left_threads(self) -> list[str]:
        # Who was told that a thread has ended may look before the interpreter has taken it off its list.
        for thread in threading.enumerate():
            if thread.name.startswith(f"{self.client.name}-"):
                thread.join(pace.patience())
        return threads_of(self.client)

    def _check(self) -> None:
        for history in self.histories:
            if history.counted:
                self.checked += sum(len(names(event)) for event in history.events)
                self.lost += len(lost_in_silence(history.events, self.exchange.sent))
            check(history.events, self.exchange.sent if history.counted else None)
            if history.counted:
                outside = lost_outside(history.events, self.exchange.sent, self.exchange.sent_at)
                assert not outside, f"{outside} are missing, sent outside of the windows of the gaps: {history.events}"
        if "client" in vars(self):
            assert not self._left_threads()
        for secret in (KEY, SECRET, *self.exchange.signatures):
            assert secret not in self.log.text
