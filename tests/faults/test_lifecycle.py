"""Section J: lifecycle and threads."""

from __future__ import annotations

import contextlib
import queue
import resource
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import bybit_sync.network.websocket
from bybit_sync import Backoff, ClientClosed, ConnectionFailed, Event, GapReason, State, StatusChange, SubscriptionClosed
from bybit_sync.clock import ExchangeClock
from bybit_sync.delivery.dispatcher import Dispatcher
from bybit_sync.delivery.receiver import Receiver
from bybit_sync.delivery.registry import SubscriptionRegistry
from bybit_sync.engine.conversation import Conversation
from bybit_sync.engine.login_signer import LoginSigner
from bybit_sync.engine.outage_log import OutageLog
from bybit_sync.engine.progress import Progress
from bybit_sync.engine.retrying import RetrySchedule
from bybit_sync.engine.state import ClientState
from bybit_sync.engine.status_reporter import StatusReporter
from bybit_sync.engine.supervisor import Supervisor
from bybit_sync.engine.worker import Commands
from bybit_sync.network.link import Link
from bybit_sync.network.websocket import Transport
from bybit_sync.session.session import Session
from bybit_sync.threads.waker import Waker
from tests.client.test_subscribing import in_background
from tests.conftest import KEY, SECRET, threads_of
from tests.faults import pace
from tests.faults.conftest import Play
from tests.faults.exchange import Talk, confirm, every, hang_up, listen, log_in, push_next, reset, serve
from tests.faults.pace import until
from tests.faults.rows import PLAIN_AND_TLS, ROW, row
from tests.faults.scene import Net, Scene
from tests.peers import CLOSE, Peer, black_hole

AT_ONCE = 0.2 + pace.JITTER
"""What `close` may take with idle consumers, and what this machine's scheduler may add."""

# So long that none of them ends what a test is about.
PATIENT: dict[str, Any] = {"connect_timeout": 60.0, "request_timeout": 60.0, "ping_interval": 60.0, "pong_timeout": 60.0}


def seconds_of(close: Callable[[], bool]) -> float:
    """Return how long *close* took; it must have said that all is done."""
    began = time.monotonic()
    assert close() is True
    return time.monotonic() - began


# --- rows that are proved elsewhere ---

ELSEWHERE = {
    130: ("client/test_closing.py", "test_from_a_callback"),
    133: ("client/test_processes.py", "test_close_in_a_signal_handler_under_a_storm_of_signals"),
    135: ("client/test_processes.py", "test_a_script_that_ends_without_close"),
    136: ("client/test_processes.py", "test_a_script_that_ends_while_a_callback_blocks_for_ever"),
    137: ("client/test_closing.py", "test_a_client_without_subscriptions_can_be_collected"),
    214: ("client/test_threads.py", "test_ctrl_c_at_any_moment_of_subscribing_lets_the_client_close_at_once"),
    205: ("threads/test_forks.py", "test_a_childs_own_client_works_whatever_its_parent_held"),
}


@pytest.mark.parametrize("number", ELSEWHERE, ids=lambda number: f"row{number}")
def test_a_row_that_is_proved_elsewhere(number: int, record_property: Callable[[str, object], None]) -> None:
    """The test that causes it is there, and runs with every other; it counts as survived as long as that is so."""
    record_property(ROW, number)
    file, name = ELSEWHERE[number]
    assert f"def {name}(" in (Path(__file__).parent.parent / file).read_text(encoding="utf-8")


# --- closing, in each phase ---

Reached = Callable[[], object]
Phase = Callable[[Play, pytest.MonkeyPatch], AbstractContextManager[tuple[Scene, Reached]]]


@contextlib.contextmanager
def resolving(play: Play, patch: pytest.MonkeyPatch) -> Iterator[tuple[Scene, Reached]]:
    """The resolver does not answer."""
    asked, over, ask = threading.Event(), threading.Event(), socket.getaddrinfo

    def silent(host: str, *rest: Any, **options: Any) -> Any:
        if host != "silent.invalid" or options.get("flags"):
            return ask(host, *rest, **options)
        asked.set()
        over.wait(pace.patience())
        raise socket.gaierror

    patch.setattr(socket, "getaddrinfo", silent)
    yield play(environment="wss://silent.invalid", **PATIENT), lambda: asked.wait(5)
    over.set()


@contextlib.contextmanager
def connecting(play: Play, patch: pytest.MonkeyPatch) -> Iterator[tuple[Scene, Reached]]:
    """The host neither accepts nor refuses."""
    with black_hole() as port:
        scene = play(environment=f"ws://127.0.0.1:{port}", **PATIENT)
        yield scene, lambda: scene.status.wait_for(State.CONNECTING)


def mute(scheme: str) -> Phase:
    """Return the phase in which a server has accepted the connection, and says nothing."""

    @contextlib.contextmanager
    def phase(play: Play, patch: pytest.MonkeyPatch) -> Iterator[tuple[Scene, Reached]]:
        spoken = threading.Event()
        with Peer(lambda line: (line.read(1), spoken.set(), line.wait_for_end())) as peer:
            yield play(environment=f"{scheme}://127.0.0.1:{peer.port}", **PATIENT), lambda: spoken.wait(5)

    return phase


def asking(op: str) -> Phase:
    """Return the phase in which the exchange has read the request *op*, and does not answer."""

    @contextlib.contextmanager
    def phase(play: Play, patch: pytest.MonkeyPatch) -> Iterator[tuple[Scene, Reached]]:
        asked = threading.Event()
        scene = play(lambda line: serve(line, **{op: lambda *_: asked.set()}), **PATIENT)
        yield scene, lambda: asked.wait(5)

    return phase


@contextlib.contextmanager
def live(play: Play, patch: pytest.MonkeyPatch) -> Iterator[tuple[Scene, Reached]]:
    """Everything is confirmed."""
    scene = play(**PATIENT)
    yield scene, lambda: scene.client.wait_live(5)


@contextlib.contextmanager
def backing_off(play: Play, patch: pytest.MonkeyPatch) -> Iterator[tuple[Scene, Reached]]:
    """The exchange has hung up, and the pause is long."""
    pause = Backoff(initial=300, factor=1, maximum=300)
    scene = play(lambda line: (log_in(line), hang_up(line)), **PATIENT, backoff=pause)
    yield scene, lambda: scene.status.wait_for(State.BACKING_OFF)


@contextlib.contextmanager
def decoding(play: Play, patch: pytest.MonkeyPatch) -> Iterator[tuple[Scene, Reached]]:
    """The connection thread decodes a message that takes long."""
    begun, over, receive = threading.Event(), threading.Event(), Session.receive

    def slow(session: Session, frame: bytes, now: Any) -> Any:
        if b"endless" in frame:
            begun.set()
            over.wait(pace.patience())
        return receive(session, frame, now)

    patch.setattr(Session, "receive", slow)
    scene = play(**PATIENT)
    yield scene, lambda: (scene.client.wait_live(5), scene.exchange.push_order("endless"), begun.wait(5))[-1]
    over.set()


PHASES: dict[str, Phase] = {
    "resolve": resolving,
    "TCP": connecting,
    "TLS": mute("wss"),
    "upgrade": mute("ws"),
    "login": asking("auth"),
    "subscribe": asking("subscribe"),
    "LIVE": live,
    "decode": decoding,
    "backoff": backing_off,
}


@row(129, kills="close() does not wake the thread, or one of the waits does not listen to it")
@pytest.mark.parametrize("phase", PHASES)
def test_closing_takes_no_time_in_any_phase(play: Play, phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It returns at once, every consumer ends once, and thread and descriptors are back."""
    with PHASES[phase](play, monkeypatch) as (scene, reached):
        history, positions = scene.subscribe(wait=False), scene.client.subscribe_positions(wait=False)
        reader = in_background(lambda: list(positions))
        assert reached() is not False
        assert seconds_of(scene.client.close) <= AT_ONCE
        assert reader.get(timeout=5) == []
        assert history.events == []
        assert scene.client.state is State.CLOSED


@row(213, kills="close() waits until the connection thread has decoded what it read")
def test_closing_while_a_message_is_decoded(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it can be delivered any more: the client is closed all the same, and its thread ends as soon as it can."""
    begun, closed, receive = threading.Event(), threading.Event(), Session.receive

    def takes_long(session: Session, message: bytes, now: Any) -> Any:
        if b"large" in message:
            begun.set()
            assert closed.wait(pace.patience())
        return receive(session, message, now)

    monkeypatch.setattr(Session, "receive", takes_long)
    scene = play(**PATIENT)
    orders = scene.client.subscribe_orders(timeout=pace.patience())
    scene.exchange.push_order("large")
    assert begun.wait(pace.patience())
    assert scene.client.close()
    assert (scene.client.state, list(orders)) == (State.CLOSED, [])
    closed.set()
    assert scene.client._engine.wait_ended(time.monotonic() + pace.patience())


@row(131, kills="wait_ended returns what the first caller found")
def test_closing_from_many_threads_is_one_end(play: Play) -> None:
    """All calls return in time and say the same; CLOSED is told once."""
    scene = play()
    orders = scene.subscribe()
    together = threading.Barrier(16)
    took = [in_background(lambda: (together.wait(5), seconds_of(scene.client.close))[1]) for _ in range(16)]
    assert all(seconds.get(timeout=10) <= 2 + pace.JITTER for seconds in took)
    scene.status.wait_for(State.CLOSED)
    assert [change.state for change in scene.status.changes].count(State.CLOSED) == 1
    assert orders.events == []


def chatty(line: Talk) -> None:
    """Log in, then push without end, and never close."""
    log_in(line)
    confirm(line)
    every(line, 0.0005, push_next)
    serve(line)


def deaf(line: Talk) -> None:
    """Log in and confirm, then neither read nor close."""
    log_in(line)
    confirm(line)
    line.over.wait(pace.patience())


def silent(line: Talk) -> None:
    """Log in and confirm, then read and say nothing, not even goodbye."""
    log_in(line)
    confirm(line)
    listen(line)


@row(132, kills="close() waits for the peer's close frame")
@PLAIN_AND_TLS
@pytest.mark.parametrize("script", [chatty, deaf, silent])
def test_no_peer_can_hold_the_close(play: Play, script: Callable[[Talk], None]) -> None:
    """Whether it talks on, has stopped reading, or keeps the connection open: closing takes no time."""
    scene = play(script, **PATIENT)
    scene.subscribe()
    assert seconds_of(scene.client.close) <= AT_ONCE


@row(132, kills="close() gives the descriptor back without a goodbye")
@PLAIN_AND_TLS
def test_a_peer_is_told_goodbye(play: Play) -> None:
    """The last word is a close frame with the code 1000."""
    scene = play(silent)
    scene.subscribe()
    assert scene.client.close()
    scene.exchange.wait_for(scene.exchange.talks[0].ended.is_set)
    assert scene.exchange.talks[0].controls[-1] == (CLOSE, b"\x03\xe8")


@row(134, kills="admit() does not look whether the client is closed, and starts a thread")
def test_a_closed_client_says_so(play: Play) -> None:
    """What opens something raises `ClientClosed` and what to do; what only tells or ends still works."""
    scene = play()
    scene.subscribe()
    client, orders = scene.client, scene.client.subscribe_orders()
    assert client.close()
    for call in (client.subscribe_balances, client.reconnect, client.wait_live, lambda: client.subscribe_orders(wait=False)):
        with pytest.raises(ClientClosed, match="make a new client"):
            call()
    with pytest.raises(SubscriptionClosed):
        orders.get()
    assert (list(orders), orders.close(), client.close(), client.wait(), client.health().state) == (
        [],
        True,
        True,
        True,
        "CLOSED",
    )
    until(lambda: not threads_of(client))


# --- forks ---

FORKING = """
import gc, os, ssl, sys
import bybit_sync
context = ssl.create_default_context(cadata={authority!r}) if {authority!r} else None
client = bybit_sync.Client({key!r}, {secret!r}, environment={url!r}, ssl_context=context)
orders = client.subscribe_orders()
print("ready", flush=True)
orders.get(timeout=10)
child = os.fork()
if not child:
    try:
        orders.get(timeout=0)
    except bybit_sync.ClientClosed:
        del client, orders
        gc.collect()
        sys.exit(0)   # through atexit and every destructor
    sys.exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("forked", flush=True)
print([orders.get(timeout=10).data[0].order_id for _ in range(20)], client.health().epoch, flush=True)
"""


@row(138, kills="a forked child says goodbye, or shuts the connection down, when it ends")
@PLAIN_AND_TLS
def test_a_child_that_ends_orderly_takes_nothing_from_its_parent(play: Play, net: Net) -> None:
    """Not a byte is read, written or shut down in the child: the parent gets every push, on the first connection."""
    scene = play()
    trusted = [ssl.DER_cert_to_PEM_cert(der) for der in net.client.get_ca_certs(binary_form=True)] if net.client else []
    script = FORKING.format(key=KEY, secret=SECRET, url=scene.url, authority="".join(trusted))
    with subprocess.Popen([sys.executable, "-W", "error", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            scene.exchange.push_order("before")
            assert process.stdout.readline() == "forked\n"
            for number in range(20):
                scene.exchange.push_order(f"{number}")
            assert process.communicate(timeout=15)[0] == f"{[str(n) for n in range(20)]} 1\n"
        finally:
            process.kill()


# --- interpreters inside of interpreters ---

INSIDE = """
import bybit_sync
client = bybit_sync.Client("key", "secret", environment="ws://127.0.0.1:9")
try:
    client.subscribe_orders(timeout=0.1)
except (RuntimeError, bybit_sync.ConnectTimeout) as error:
    print("works" if isinstance(error, bybit_sync.ConnectTimeout) else "refused")
assert (client.state, client.close()) == ("IDLE", True)
"""

OUTSIDE = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
interpreters.run_string(interpreters.create(), {inside!r})
"""


@row(143, kills="what could be started stays when the connection's thread cannot be")
def test_an_isolated_interpreter_is_refused_or_served() -> None:
    """Where threads are not allowed `subscribe_*` says so and leaves nothing; nothing hangs."""
    script = OUTSIDE.format(inside=INSIDE)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=30)
    if "_xxsubinterpreters'" in done.stderr:
        pytest.skip("this Python has no sub-interpreters to try")
    assert done.stdout in ("refused\n", "works\n"), done.stderr


# --- threads that cannot be started ---


@row(139, kills="a subscription whose thread did not start stays in the registry")
@pytest.mark.parametrize("which", ["orders", "connection", "status"])
def test_a_thread_that_cannot_be_started_leaves_nothing_half_started(
    play: Play, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """`subscribe_*` raises what the system says, or goes without telling the status; the next call works."""
    scene = play()
    start = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if f"-{which}" in thread.name:
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        tried = in_background(lambda: scene.client.subscribe_orders(lambda event: None, timeout=5))
        outcome = tried.get(timeout=10)
        if which != "status":
            assert isinstance(outcome, RuntimeError)
            assert (scene.client.state, scene.client.health().subscriptions) == (State.IDLE, ())
            until(lambda: not threads_of(scene.client))
    assert scene.client.subscribe_orders().state == "LIVE"
    scene.exchange.push_order("one")


@contextlib.contextmanager
def no_thread(monkeypatch: pytest.MonkeyPatch, what: str) -> Iterator[list[str]]:
    """Let no thread be started for *what* inside the ``with`` block, and yield the names of those that were not."""
    start, refused = threading.Thread.start, []

    def limited(thread: threading.Thread) -> None:
        if thread.name.endswith(what):
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", limited)
        yield refused


@row(206, kills="a thread that cannot be started for the signer ends the client as a bug")
def test_a_thread_limit_in_an_outage_is_an_outage(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempts fail while the signer has no thread, as they do for names; the next one after it is LIVE."""
    scene = play()
    scene.client._engine._supervisor._signer._external = True  # as with signer=
    scene.subscribe()
    with no_thread(monkeypatch, "-signer") as refused:
        scene.cause(hang_up)
        scene.is_found(within=0.1)
        assert "the login could not be signed: can't start new thread" in str(scene.fails(3))
        assert len(refused) >= 3
    scene.recovers("without a close frame")


@row(206, kills="what could not be told for want of a thread is told with the next change only")
def test_a_state_that_could_not_be_told_is_told_later(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a thread can be started again, though nothing else changes; one ERROR until then, however often it was tried."""
    told: queue.Queue[StatusChange] = queue.Queue()
    scene = play(on_status=told.put, timings={"glance": 0.01}, ping_interval=0.02)
    with no_thread(monkeypatch, "-status") as refused:
        scene.subscribe()
        until(lambda: len(refused) > 5)
    assert [told.get(timeout=pace.patience()).state for _ in range(2)] == [State.CONNECTING, State.LIVE]
    assert "on_status cannot be called for now: RuntimeError: can't start" in scene.logged(["ERROR"])


@row(208, kills="what the system says for want of a descriptor comes out of `subscribe_*` as it is")
def test_a_first_start_without_a_descriptor_raises_our_error(play: Play) -> None:
    """Where not even the thread can be begun; nothing is left of it, and the next call works."""
    scene = play()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(ConnectionFailed, match="no connection can be started: Too many open files .EMFILE."):
            scene.client.subscribe_orders()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (scene.client.state, scene.client.health().subscriptions) == (State.IDLE, ())
    scene.subscribe()
    scene.goes_on()


# --- bugs of ours ---


PLACES: dict[Any, str] = {
    Supervisor: "should_run _attempt _turn _open _stop_unless_needed _run_session _new_session "
    "_new_conversation _recover _pause _sleep_until_retry",
    Commands: "run",
    Conversation: "run _take_turns _send _write _receive _next_due _check_time _check_frame _check_suspension",
    Progress: "before _logged_in _check_live _became_live live_ended begin_pause left_of_pause",
    Dispatcher: "dispatch",
    StatusReporter: "change",
    ExchangeClock: "learn",
    Session: "__init__ requests next_deadline data_received receive sent tick ending",
    Transport: "wait receive send close",
    SubscriptionRegistry: "wanted deliver confirm mark_stale flush",
    Receiver: "mark_stale warn_if_slow",
    RetrySchedule: "after accepted",
    OutageLog: "begin failed end",
    ClientState: "change",
    LoginSigner: "write",
    Waker: "drain",
    Link: "upgrade",
    bybit_sync.network.websocket: "dial",
}
"""Where a bug of ours may strike: methods, and functions, that the connection thread comes through."""

Place = tuple[Any, str]

NAMED: dict[str, Place] = {
    f"{owner.__name__.rpartition('.')[2]}.{name}": (owner, name) for owner, names in PLACES.items() for name in names.split()
}


class Failpoint:
    """Has a place fail with *error*, once, on the connection thread, as soon as it is armed."""

    def __init__(self, patch: pytest.MonkeyPatch, place: Place, error: BaseException) -> None:
        owner, name = place
        self.armed = threading.Event()
        self.failed = threading.Event()
        self.error = error
        self._real = getattr(owner, name)
        # What gives something back has to do so: the test is about the thread, not about a descriptor.
        self._afterwards = name == "close"
        # A plain function, or it would not be bound as the method that it stands for.
        patch.setattr(owner, name, lambda *given, **named: self._call(given, named))

    def _call(self, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        due = self.armed.is_set() and not self.failed.is_set()
        if not (due and threading.current_thread().name.endswith("-connection")):
            return self._real(*given, **named)
        self.failed.set()
        if self._afterwards:
            self._real(*given, **named)
        raise self.error


class Witnesses:
    """One consumer of each kind; they must all be told of a bug."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._called = scene.subscribe()
        self._queue: queue.Queue[Event[Any]] = queue.Queue()
        scene.client.subscribe_balances(self._queue)
        self._trades, self._positions = scene.client.subscribe_user_trades(), scene.client.subscribe_positions()
        self._iterating = in_background(lambda: [event for event in self._trades])  # noqa: C416 it iterates
        self._waiting = in_background(scene.client.wait)

    def come_by(self) -> None:
        """Have the connection thread go everywhere: a push, the end of the connection, and the return."""
        with contextlib.suppress(EOFError):
            self._scene.exchange.push_order("one")
            self._scene.exchange.do(hang_up)

    def are_told(self, bug: BaseException) -> None:
        """Make sure that everybody was told of *bug*, and that nothing is left."""
        client = self._scene.client
        self._scene.status.wait_for(State.FAILED)
        assert is_like(self._scene.status.changes[-1].error, bug)
        assert is_like(self._waiting.get(timeout=5), bug)
        assert is_like(self._iterating.get(timeout=5), bug)
        for take in (self._called.next, lambda: self._queue.get(timeout=5), lambda: self._positions.get(timeout=5)):
            assert is_like(last(take), bug)
        for call in (self._positions.get, client.wait, client.wait_live, client.subscribe_orders, client.reconnect):
            with pytest.raises(type(bug)) as raised:
                call()
            assert is_like(raised.value, bug)
        assert client.close()
        assert client.state is State.FAILED
        until(lambda: not threads_of(client))
        assert "the client has failed" in "".join(text for level, text in self._scene.log.messages if level == "CRITICAL")


def is_like(error: object, bug: BaseException) -> bool:
    """Say whether *error* is *bug*, or a copy: whoever raises one gets one of his own."""
    return type(error) is type(bug) and getattr(error, "args", None) == bug.args


def last(take: Callable[[], Event[Any]]) -> BaseException | None:
    """Take events until the one that ends a subscription, and return why it ended."""
    while True:
        gap = take().gap
        if gap is not None and gap.reason is GapReason.ENDED:
            return gap.error


def fails_at(play: Play, patch: pytest.MonkeyPatch, place: str, bug: BaseException) -> None:
    """Have *bug* strike a client that is LIVE at *place*; everybody must be told."""
    point = Failpoint(patch, NAMED[place], bug)
    scene = play()
    witnesses = Witnesses(scene)
    point.armed.set()
    witnesses.come_by()
    assert point.failed.wait(pace.patience()), "nothing comes there"
    witnesses.are_told(bug)


@row(140, kills="the thread does not catch, or tells no more than the log")
@pytest.mark.parametrize("place", NAMED)
def test_a_bug_of_ours_is_told_everywhere(play: Play, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """FAILED and CRITICAL; ENDED to every kind of sink; raised from `get`, iteration, `wait` and what comes later."""
    fails_at(play, monkeypatch, place, LookupError("there is no such thing in our own loop"))


@row(140, kills="a bug before the first confirmation is left to the timeout")
@pytest.mark.parametrize(
    "place",
    [
        (Supervisor, "begin"),
        (Supervisor, "should_run"),
        (Supervisor, "_confirm_or_subscribe"),
        (Supervisor, "_open"),
        (Supervisor, "_run_session"),
        (Conversation, "_send"),
        (Conversation, "_receive"),
        (Progress, "before"),
        (StatusReporter, "change"),
    ],
    ids=lambda place: place[1],
)
def test_a_bug_at_the_first_connection_is_raised_by_the_call_that_waits(
    play: Play, monkeypatch: pytest.MonkeyPatch, place: Place
) -> None:
    """`subscribe_*` raises it at once, and nothing stays half-subscribed."""
    bug = LookupError("there is no such thing in our own loop")
    point = Failpoint(monkeypatch, place, bug)
    point.armed.set()
    scene = play()
    outcome = in_background(lambda: scene.client.subscribe_orders(timeout=5))
    assert is_like(outcome.get(timeout=4), bug)
    assert scene.client.state is State.FAILED
    assert scene.client.close()


@row(140, kills="the first consumer that cannot be told keeps the news from the others")
def test_a_bug_while_a_bug_is_told_costs_one_consumer_only(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others end all the same, and the client has failed."""
    bug = LookupError("there is no such thing in our own loop")
    first = Failpoint(monkeypatch, (Session, "tick"), bug)
    second = Failpoint(monkeypatch, (Receiver, "end"), KeyError("nor here"))
    scene = play()
    balances, orders = scene.client.subscribe_balances(), scene.subscribe()
    for point in (second, first):
        point.armed.set()
    assert is_like(last(orders.next), bug)
    assert second.failed.is_set()
    with pytest.raises(LookupError):
        scene.client.wait(5)
    assert scene.client.close()
    with pytest.raises((LookupError, SubscriptionClosed)):
        balances.get(timeout=5)


@row(140, kills="what the thread does last is outside of what is caught")
@pytest.mark.parametrize("place", ["flush_queues", "finish"])
def test_a_bug_at_the_end_of_the_thread_is_told(play: Play, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """The log says it, the consumers end, and `close` comes back."""
    point = Failpoint(monkeypatch, (Supervisor, place), LookupError("there is no such thing in our own loop"))
    scene = play()
    scene.subscribe()
    subscription = scene.client.subscribe_positions()
    positions = in_background(lambda: list(subscription))
    point.armed.set()
    assert seconds_of(scene.client.close) <= AT_ONCE
    assert point.failed.is_set()
    ended = positions.get(timeout=5)
    assert ended == [] or is_like(ended, point.error)
    assert "no such thing" in "".join(text for level, text in scene.log.messages if level == "CRITICAL")


@row(141, kills="only Exception is caught")
@pytest.mark.parametrize(
    "place", ["Session.receive", "Transport.receive", "SubscriptionRegistry.deliver", "Supervisor._recover"]
)
@pytest.mark.parametrize("bug", [MemoryError(), RecursionError("deep"), SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_no_kind_of_exception_ends_the_thread_in_silence(
    play: Play, monkeypatch: pytest.MonkeyPatch, place: str, bug: BaseException
) -> None:
    """Memory that is used up is told as any bug, and so is what is meant for the main thread."""
    fails_at(play, monkeypatch, place, bug)


# --- a thread that is stuck ---


class Hold:
    """Holds the connection thread, from when it is armed, at *place* until let go, when *given* are its arguments."""

    def __init__(self, patch: pytest.MonkeyPatch, place: Place, given: Callable[..., bool] = lambda *_: True) -> None:
        owner, name = place
        self.armed, self.held, self._go = threading.Event(), threading.Event(), threading.Event()
        real = getattr(owner, name)

        def held(*arguments: Any) -> Any:
            if self.armed.is_set() and not self._go.is_set() and given(*arguments):
                self.held.set()
                self._go.wait(pace.patience())
            return real(*arguments)

        patch.setattr(owner, name, held)

    def __enter__(self) -> None:
        self.armed.set()
        assert self.held.wait(5)

    def __exit__(self, *_: object) -> None:
        self._go.set()


@row(142, kills="health() asks the connection thread, or says how old a frame was when it was read last")
def test_a_stuck_thread_shows_in_health(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last frame grows older, and nothing counts as fresher than it is; let go, the connection proves to be alive."""
    scene = play()
    hold = Hold(monkeypatch, (Transport, "wait"))
    scene.subscribe()
    until(lambda: scene.client.health().fresh_as_of is not None)
    with hold:
        before = scene.client.health()
        until(lambda: (scene.client.health().last_frame_age or 0) > 1)
        assert scene.client.health().fresh_as_of == before.fresh_as_of
    scene.goes_on()


@row(142, kills="a ping counts as asked from when it was due, not from when it was sent")
def test_a_thread_that_was_stuck_with_a_ping_in_its_hands_gives_the_exchange_its_time(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The silence was ours: the pong has as long as ever from when the ping was sent."""
    scene = play()
    scene.relay.delay(pace.seconds(1), scene.relay.down)
    hold = Hold(monkeypatch, (Transport, "send"), lambda _, text: '"ping"' in text)
    scene.subscribe()
    with hold:
        until(lambda: (scene.client.health().last_frame_age or 0) > 1)
    scene.goes_on()


@row(42, kills="what lies ready when a write fails is not read any more")
def test_what_arrived_before_a_write_failed_is_delivered(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exchange pushed, then reset the connection, and we notice by writing: the push comes, then the gap."""
    scene = play()
    hold = Hold(monkeypatch, (Transport, "send"), lambda _, text: '"ping"' in text)
    orders = scene.subscribe()
    with hold:
        scene.exchange.push_order("just in time")
        scene.exchange.do(reset)
    orders.update("just in time")
    orders.gap()


@row(72, kills="what was never confirmed counts as lost, too")
def test_a_subscription_that_was_never_confirmed_is_told_no_gap(play: Play) -> None:
    """The exchange hangs up between login and confirmation, twice: nothing was to be had before, so nothing is missing."""
    first = lambda line: (log_in(line), hang_up(line), line.wait_for_end())  # noqa: E731
    scene = play(first, first, serve)
    orders = scene.subscribe()
    scene.exchange.push_order("the first")
    orders.update("the first")


@row(144, kills="the waker's socket blocks")
def test_a_full_waker_blocks_nobody(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wake-up while the thread is stuck comes back at once, however often; afterwards every command was obeyed."""
    scene = play(**PATIENT)
    scene.subscribe()
    hold = Hold(monkeypatch, (Session, "tick"))
    scene.exchange.push_order("one")
    with hold:
        took = [
            in_background(lambda: [scene.client.subscribe_orders(wait=False).close() for _ in range(150)]) for _ in range(4)
        ]
        assert all(len(done.get(timeout=5)) == 150 for done in took)
    scene.histories[0].update("one")
    scene.goes_on()


@row(144, kills="waking a closed waker raises")
def test_a_closed_waker_is_woken_in_vain() -> None:
    """Whoever still holds it need not know that nobody waits any more."""
    waker = Waker()
    for _ in range(10_000):
        waker.wake()
    waker.close()
    waker.wake()
    waker.close()
