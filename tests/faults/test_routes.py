"""Section A: names, TCP and routes."""

from __future__ import annotations

import bisect
import contextlib
import heapq
import logging
import random
import resource
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import attrs
import pytest

from bybit_sync import Backoff, ConnectionFailed, ConnectionLost, ConnectLimit, ConnectTimeout, State
from bybit_sync.config.timings import Timings
from bybit_sync.engine import rate_limit
from bybit_sync.engine.outage_log import OutageLog
from bybit_sync.engine.rate_limit import RateLimiter
from bybit_sync.engine.retrying import RetrySchedule
from bybit_sync.logs import ClientLog
from bybit_sync.network import dialing
from tests.conftest import KEY, SECRET, open_descriptors, threads_of
from tests.engine.test_retrying import User
from tests.faults import pace
from tests.faults.conftest import Play
from tests.faults.exchange import Exchange, Talk, confirm, hang_up, log_in, reset, serve
from tests.faults.pace import FACTOR, REAL, patience, seconds, short, until, within
from tests.faults.partition import Partition, _ip
from tests.faults.rows import OVER_CABLE, row
from tests.faults.scene import Net, Scene, Status
from tests.faults.test_upgrade import HASTY
from tests.peers import Line, black_hole, closed_port, in_namespace


@contextlib.contextmanager
def refusing(exchange: Exchange) -> Iterator[None]:
    """Let nobody listen where *exchange* is, inside the ``with`` block."""
    exchange.refuse()
    yield
    exchange.listen()


def attempts(scene: Scene) -> int:
    """Return how often the client has tried to connect."""
    return [change.state for change in scene.status.changes].count(State.CONNECTING)


@row(1, kills="what the attempts failed with is not told when the time is up")
def test_a_refused_first_start_ends_at_the_timeout_with_the_reason(play: Play) -> None:
    """`ConnectTimeout` names host, port and the system's reason; nothing is left that would try on."""
    scene = play(environment=(url := f"ws://127.0.0.1:{closed_port()}"))
    began = time.monotonic()
    with pytest.raises(ConnectTimeout, match="Connection refused .ECONNREFUSED.") as raised:
        scene.subscribe(timeout=4 * short())
    assert 4 * short() <= time.monotonic() - began <= 4 * short() + within(0.5)
    assert url.removeprefix("ws://") in str(raised.value)
    assert isinstance(raised.value.__cause__, ConnectionFailed)
    assert attempts(scene) > 1
    assert scene.client.state is State.IDLE
    assert not [name for name in threads_of(scene.client) if "connection" in name]
    scene.logged(["WARNING"])


@row(2, kills="the backoff goes on to grow without a maximum")
@pytest.mark.parametrize(("net", "outage"), [("plain", 30), ("tls", 3)], indirect=["net"])
def test_an_exchange_that_comes_back_is_found_within_six_seconds(play: Play, outage: float) -> None:
    """While it refuses it is neither hammered nor given up; once it listens the client is LIVE within 6 s."""
    scene = play()
    scene.subscribe()
    with refusing(scene.exchange):
        scene.cause(reset)
        scene.is_found(within=0.1)
        threading.Event().wait(seconds(outage))
        assert attempts(scene) <= 41
        # A busy machine may need longer; without a maximum the twelfth pause takes minutes.
        until(lambda: attempts(scene) > (12 if outage == 30 else 2))
    healed = time.monotonic()
    scene.recovers("reset")
    assert time.monotonic() - healed <= within(6)


@row(3, kills="the client gives up after a hundred failures")
def test_an_hour_of_refusals_is_tried_through(play: Play) -> None:
    """A hundred attempts later there are no more threads or descriptors, and the first chance is taken."""
    scene = play(backoff=Backoff(initial=0.001, factor=1, maximum=0.001), timings={"outage_reminders": (0.1, 100.0)})
    scene.subscribe()
    scene.status.wait_for(State.LIVE)
    with refusing(scene.exchange):
        scene.cause(reset)
        scene.fails(10)
        before = open_descriptors()
        scene.fails(100)
        scene.log.wait_for("not live for")
        assert len(threads_of(scene.client)) <= 3  # of the connection, of the callback and of `on_status`
        assert open_descriptors() <= before + 2  # an attempt's own
    scene._found_at = time.monotonic()
    scene.recovers("reset", levels=["WARNING", "WARNING", "INFO"])


@row(4, kills="an address that does not answer may take the whole attempt's time")
def test_a_black_hole_costs_each_attempt_five_seconds(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that answers nothing is given up before the attempt's time is; the next attempt follows."""
    monkeypatch.setattr(dialing, "_CONNECT_SECONDS", short() / 2)
    with black_hole() as port:
        scene = play(environment=f"ws://127.0.0.1:{port}", connect_timeout=60.0)
        scene.subscribe(wait=False)
        assert "no answer within" in str(scene.fails(2))


@row(4, kills="the attempt has no time of its own")
def test_a_black_hole_ends_with_the_attempt_at_the_latest(play: Play) -> None:
    """However long an address is allowed, ten seconds are all that an attempt gets; closing waits for neither."""
    with black_hole() as port:
        scene = play(environment=f"ws://127.0.0.1:{port}", connect_timeout=short())
        began = time.monotonic()
        scene.subscribe(wait=False)
        assert "timed out (while connecting)" in str(scene.fails())
        assert short() <= time.monotonic() - began <= short() + within(0)
        scene.status.wait_for(State.CONNECTING)
        began = time.monotonic()
        assert scene.client.close()
        assert time.monotonic() - began <= within(0.2)


PREAMBLE = f"""
import threading, time
from bybit_sync import ConnectTimeout, State
from bybit_sync.network import dialing
from tests.conftest import KEY, SECRET
from tests.faults import pace
from tests.faults.exchange import Exchange, hang_up, serve
from tests.faults.pace import seconds, short, within
from tests.faults.scene import Net, Scene
from tests.peers import NameServer, black_hole
pace.set_pace({FACTOR})

def scene(host="127.0.0.1", **arguments):
    made = Scene(Net(host=host), (), arguments, lambda *_: None)
    made._arguments.setdefault("environment", f"ws://localhost:{{made.exchange.port}}")
    return made

def resolvers():
    return [thread.name for thread in threading.enumerate() if "resolver" in thread.name]
"""
# The C library's own patience with a name server cannot be scaled, but shortened.
IMPATIENT = "127.0.0.1\noptions timeout:1 attempts:1"


@row(5, kills="a name that was not found is remembered as such")
def test_a_name_that_does_not_exist_yet() -> None:
    """It is asked for until the timeout, which tells it with a hint; the next call finds it when it exists by then."""
    in_namespace(
        PREAMBLE
        + """
server = NameServer({})
with scene() as scene:
    try:
        scene.subscribe(timeout=4 * short())
    except ConnectTimeout as error:
        assert "'localhost' was not resolved" in str(error) and "is the name right" in str(error), error
    else:
        raise AssertionError("it connected")
    assert server.asked.count("localhost") >= 4, server.asked
    server.names["localhost"] = ["127.0.0.1"]
    scene.histories.clear()
    scene.subscribe()
    scene.goes_on()
""",
        hosts="",
    )


@row(6, kills="each attempt begins a resolver thread of its own")
def test_a_name_server_that_falls_silent() -> None:
    """Resolving is given up at 5 s, by one helper for all attempts; `close` waits for none of it, and an answer ends it."""
    in_namespace(
        PREAMBLE
        + """
dialing._RESOLVE_SECONDS = short() / 2
server = NameServer({"localhost": ["127.0.0.1"]})
with scene() as scene:
    scene.subscribe()
    scene.status.wait_for(State.LIVE)
    server.silent = True
    scene.cause(hang_up)
    scene.is_found(within=0.1)
    for _ in range(2):
        assert "the resolver gave no answer" in str(scene.fails())
        assert len(resolvers()) <= 1, resolvers()
    dialing._RESOLVE_SECONDS = 5
    with pace.FaultClient(KEY, SECRET, environment=scene.client._config.environment) as other:
        other.subscribe_orders(wait=False)
        while not resolvers():
            pass
        began = time.monotonic()
        assert other.close()
        assert time.monotonic() - began <= within(0.2)
    dialing._RESOLVE_SECONDS = short() / 2
    server.silent = False
    scene.recovers("without a close frame")
""",
        nameserver=IMPATIENT,
        hosts="",
    )


@row(7, kills="an address that worked is kept for the next attempts")
def test_an_exchange_that_moves_is_followed() -> None:
    """Each attempt asks for the name anew, and goes to where it leads by then."""
    in_namespace(
        PREAMBLE
        + """
server = NameServer({"localhost": ["127.0.0.2"]})
with scene("127.0.0.2") as scene, Exchange(host="127.0.0.3", port=scene.exchange.port) as moved:
    orders = scene.subscribe()
    server.names["localhost"] = ["127.0.0.3"]
    scene.exchange.do(hang_up)
    scene.exchange, old = moved, scene.exchange
    scene.recovers("without a close frame")
    assert (old.accepted, moved.accepted) == (1, 1)
""",
        hosts="",
    )


@row(8, kills="the second address waits until the first has had all its time")
def test_a_dead_ipv6_does_not_keep_a_good_ipv4_waiting() -> None:
    """Addresses are tried a quarter of a second apart, so that the client is LIVE within a second."""
    in_namespace(
        PREAMBLE
        + """
with scene(connect_timeout=4.0) as scene, black_hole("::1", scene.exchange.port):
    began = time.monotonic()
    scene.subscribe()
    assert time.monotonic() - began < 1 + pace.JITTER
    scene.goes_on()
    scene.cause(hang_up)
    scene.recovers("without a close frame")
""",
        hosts="::1 localhost\n127.0.0.1 localhost\n",
    )


@row(9, kills="the literal stands without brackets in the Host header")
@pytest.mark.parametrize("kind", ["plain", "tls"])
def test_an_ipv6_address_is_as_good_as_any(tls: Net, kind: str) -> None:
    """It stands in brackets in the Host header, and is verified, but not sent, as the name in TLS."""
    net = attrs.evolve(tls if kind == "tls" else Net(), host="::1")
    sent: list[str | None] = []
    if net.server is not None:
        net.server.sni_callback = lambda _, name, __: sent.append(name)
    try:
        with Scene(net, (), {}, lambda *_: None) as scene:
            scene.subscribe()
            scene.cause(hang_up)
            scene.recovers("without a close frame")
            assert f"Host: [::1]:{scene.exchange.port}" in scene.exchange.talks[0].head.split("\r\n")
        assert sent == ([None, None] if kind == "tls" else [])
    finally:
        if net.server is not None:
            net.server.sni_callback = None


@row(10, kills="a failure that comes at once is followed by the next attempt at once")
@OVER_CABLE
@pytest.mark.usefixtures("silence_is_short")
def test_no_route_is_waited_out_without_a_spin(play: Play, cable: Partition) -> None:
    """Each attempt fails at once with the system's word for it; the backoff keeps them apart; a new route is taken."""
    scene = play()
    scene.subscribe()
    scene.mark()
    _ip("link set near down")
    scene.is_found(within=10)
    before, tried = time.process_time(), attempts(scene)
    assert "ENETUNREACH" in str(scene.fails(3))
    threading.Event().wait(seconds(10))
    assert attempts(scene) - tried <= 12
    assert time.process_time() - before < 0.5
    _ip("link set near up")
    scene._found_at = time.monotonic()
    scene.recovers("has sent nothing for")


@row(11, kills="an OSError of a new socket ends the connection's thread")
def test_no_descriptor_left_is_an_outage(play: Play) -> None:
    """Attempts fail while the process has none left, the thread lives, and the first free one is used."""
    scene = play()
    scene.subscribe()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    scene.exchange.do(hang_up)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        while "EMFILE" not in str(scene.fails()):
            pass
        assert "EMFILE" in str(scene.fails())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    scene._found_at = time.monotonic()
    scene.recovers("without a close frame")


@row(12, kills="an address that cannot be bound counts as a bug")
@OVER_CABLE
def test_no_local_port_left_is_an_outage(play: Play, cable: Partition) -> None:
    """Attempts fail while every port is taken, and succeed when one is free."""
    scene = play()
    scene.subscribe()
    ports = Path("/proc/sys/net/ipv4/ip_local_port_range")
    before = ports.read_text()
    ports.write_text("60000 60000")
    with socket.create_connection((scene.exchange.host, scene.exchange.port)):
        scene.exchange.talks[0].do(hang_up)
        while "EADDRNOTAVAIL" not in str(scene.fails()):
            pass
        ports.write_text(before)
        scene._found_at = time.monotonic()
        scene.exchange.wait_for(lambda: scene.exchange.talks[-1].is_open)
        scene.recovers("without a close frame")


def pauses(scene: Scene) -> list[float]:
    """Return the seconds between the ends of attempts and the next attempts."""
    ended = [change.at for change in scene.status.changes if change.state is State.BACKING_OFF]
    began = [change.at for change in scene.status.changes if change.state is State.CONNECTING]
    return [(b - a).total_seconds() for a, b in zip(ended, began[1:], strict=False)]


def drops(connections: int, line: Talk) -> None:
    """Let so many connections log in and subscribe, and drop each of them then; serve the others."""
    if line.number > connections:
        serve(line)
    log_in(line)
    confirm(line)


@row(13, kills="a connection that was LIVE for a moment resets the backoff")
def test_who_is_dropped_as_soon_as_it_is_live_comes_back_ever_later(play: Play) -> None:
    """Only 30 s of LIVE shorten the pauses again; when the exchange keeps us, the next update arrives."""
    scene = play(partial(drops, 7))
    orders = scene.subscribe()
    scene.fails(7)
    scene.status.wait_for(State.LIVE)
    assert pauses(scene)[6] >= seconds(2.5)
    scene.exchange.push_order("kept")
    while (event := orders.next()).gap:
        pass
    assert event.epoch == 8


class Attempts:
    """A script that takes down when each connection comes, and closes it."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._changed = threading.Condition()

    def __call__(self, line: Line) -> None:
        """Take the connection down."""
        with self._changed:
            self.times.append(time.monotonic())
            self._changed.notify_all()

    def wait_for(self, number: int) -> None:
        """Wait for so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.times) >= number, patience())


FIVE_MINUTES = 0.6 if FACTOR < REAL else 300.0


@row(13, kills="the connect limit is only asked for the first attempt")
def test_a_server_that_drops_us_at_once_sees_a_hundred_of_us_in_five_minutes(play: Play) -> None:
    """Not even clients that would try again at once, several of them, come more often than the limit of the process allows."""
    limit = ConnectLimit(refill=80, period=FIVE_MINUTES, burst=20)
    hasty = {"connect_limit": limit, "backoff": Backoff(initial=0.001, factor=1, maximum=0.001)}
    dropped = Attempts()
    scenes = [play(**hasty) for _ in range(2)]
    with contextlib.ExitStack() as stack:
        for scene in scenes:
            stack.enter_context(scene.instead(dropped, plain=True))
            scene.subscribe(wait=False)
        dropped.wait_for(105)
    # What the scheduler holds up may come a little closer to what follows it.
    assert min(later - first for first, later in zip(dropped.times, dropped.times[100:], strict=False)) >= 0.85 * FIVE_MINUTES
    for scene in scenes:
        scene.status.wait_for(State.LIVE)
        scene.goes_on()


# --- pacing by a clock that is moved by hand: what takes minutes by any other ---


def dials(clients: int, seconds: float, chance: random.Random) -> list[float]:
    """Return when *clients* of one process, dropped at 0, dial within so many *seconds* a host that drops them at once."""
    now = 0.0
    door = RateLimiter(lambda: now)
    users, patiences = [User() for _ in range(clients)], [RetrySchedule(Backoff(), Timings()) for _ in range(clients)]
    waiting = [(0.0, number) for number in range(clients)]
    dialled = []
    while waiting and now <= seconds:
        now, number = heapq.heappop(waiting)
        if wait := door.reserve(users[number]):
            heapq.heappush(waiting, (now + wait, number))
            continue
        door.reached(users[number])
        dialled.append(now)
        pause = patiences[number].after(ConnectionLost("dropped"), chance.random(), proven=False)
        assert pause is not None
        heapq.heappush(waiting, (now + pause, number))
    return dialled


def most_in(window: float, times: list[float]) -> int:
    """Return how many of *times* lie in a *window*, wherever that is put."""
    return max(bisect.bisect_left(times, first + window) - at for at, first in enumerate(times))


@row(13, kills="a turn at the door is not counted when it has to be waited for")
@pytest.mark.parametrize(("clients", "most"), [(1, 100), (3, 300), (10, 400), (50, 400)])
def test_no_five_minutes_of_an_hour_see_more_attempts_than_the_limit_allows(clients: int, most: int) -> None:
    """One client alone makes a hundred at most, by its backoff; however many there are, they leave a fifth of Bybit's 500."""
    for seed in range(3):
        assert most_in(300, dials(clients, 3600, random.Random(seed))) <= most


@row(163, kills="all who have to wait at the door wait for the same moment")
def test_of_fifty_clients_that_nobody_wants_one_dials_at_a_time() -> None:
    """Beyond what the limit lets through at once, that is, and as far apart as it has it."""
    times = dials(50, 3600, random.Random(0))
    assert min(later - first for first, later in pairwise(times[200:])) > 0.99


@row(2, kills="the maximum of the backoff is ten seconds")
def test_whenever_the_path_heals_within_five_minutes_the_next_attempt_is_near() -> None:
    """Backoff and connect limit together never keep one client from dialling for six seconds."""
    for seed in range(50):
        times = dials(1, 310, random.Random(seed))
        assert max(later - first for first, later in pairwise(times)) < 5.9


@row(3, kills="the reminders end after the third")
def test_an_outage_of_an_hour_is_told_nine_times(caplog: pytest.LogCaptureFixture) -> None:
    """Why, then after 1 and 5 minutes and every 10; in the end, how long it was."""
    outage, error = OutageLog(ClientLog("bybit-1"), Timings()), ConnectionFailed("refused")
    outage.begin(0.0)
    for now in range(0, 3601, 5):
        outage.failed(error, 3.75, log_error=False)
        outage.remind(float(now), error)
    outage.end(3601.0)
    told = [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG]
    assert told == [
        "bybit-1: refused; next attempt in 3.8 s",
        *[f"bybit-1: not live for {due} s: refused" for due in (60, 300, 600, 1200, 1800, 2400, 3000, 3600)],
        "bybit-1: live after 3601.0 s",
    ]


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> ConnectLimit:
    """A limit that allows two connections in all, and nothing is used of it yet."""
    monkeypatch.setattr(rate_limit, "_limiters", {})
    return ConnectLimit(refill=1, period=1e6, burst=2)


@row(163, kills="an attempt that never reached the exchange counts for the connect limit")
def test_attempts_that_never_reached_the_exchange_leave_the_limit_as_it_was(play: Play, limit: ConnectLimit) -> None:
    """It allows one connection more: ten attempts that are refused leave it for the return."""
    scene = play(connect_limit=limit, backoff=HASTY)
    scene.subscribe()
    with refusing(scene.exchange):
        scene.cause(reset)
        scene.fails(10)
    scene._found_at = time.monotonic()
    scene.recovers("reset")


@row(163, kills="an attempt that is under way when its client is closed counts for the connect limit")
def test_an_attempt_that_was_abandoned_leaves_the_limit_as_it_was(play: Play, limit: ConnectLimit) -> None:
    """A client that is closed while it connects leaves its turn to the one that waits, which is not kept waiting for it."""
    scene = play(connect_limit=limit)
    scene.subscribe()
    with black_hole() as port:
        hanging = pace.FaultClient(
            KEY, SECRET, **{**pace.arguments(), "environment": f"ws://127.0.0.1:{port}"}, connect_limit=limit
        )
        hanging.subscribe_orders(wait=False)
        pace.until(lambda: hanging.state is State.CONNECTING)
        scene.cause(reset)
        scene.log.wait_for("for the connect limit")
        assert hanging.close()
    scene.is_found()
    scene.recovers("reset", levels=["WARNING", "INFO", "INFO"])


@row(163, kills="a timeout that the connect limit caused does not say so")
def test_a_first_start_that_the_limit_holds_up_says_what_to_do(play: Play, limit: ConnectLimit) -> None:
    """`ConnectTimeout` names the argument and Bybit's own limit; and what failed before, if something did."""
    scene = play(connect_limit=limit, backoff=HASTY)
    with scene.instead(hang_up_at_once), pytest.raises(ConnectTimeout) as raised:
        scene.subscribe(timeout=seconds(20))
    assert "Raise connect_limit= if" in str(raised.value)
    assert "500 connections in 5 minutes; the failure before: 127.0.0.1" in str(raised.value)
    assert isinstance(raised.value.__cause__, ConnectionFailed)
    assert isinstance(raised.value.__cause__.__cause__, ConnectionFailed)
    with pytest.raises(ConnectTimeout, match="500 connections in 5 minutes$"):
        scene.subscribe(timeout=seconds(20))


def hang_up_at_once(line: Line) -> None:
    """Close the connection."""
    line.sock.close()


@row(163, kills="the pauses of all clients are the same")
def test_fifty_clients_come_back_spread_and_all_of_them() -> None:
    """Dropped at one moment, they return over the time that the backoff spreads them over, within the limit, and are LIVE."""
    spread = Backoff(initial=0.2, factor=2, maximum=0.4)
    limit = ConnectLimit(refill=80, period=seconds(300), burst=100)
    status = [Status() for _ in range(50)]
    # An address of its own: what other tests have dialled counts elsewhere.
    with Exchange(host="127.0.0.2") as exchange, contextlib.ExitStack() as stack:
        for told in status:
            # Fifty clients and their exchange keep a machine busy: nothing that takes its time may count as lost.
            times = dict.fromkeys(("connect_timeout", "request_timeout", "ping_interval", "pong_timeout"), patience())
            options = {"backoff": spread, "connect_limit": limit, **times}
            arguments = {**pace.arguments(), **options, "environment": exchange.url, "on_status": told}
            client = pace.FaultClient(KEY, SECRET, **arguments)
            stack.enter_context(client).subscribe_orders(wait=False)
        for told in status:
            told.wait_for(State.LIVE)
        for talk in tuple(exchange.talks):
            talk.do(hang_up)
        for told in status:
            told.wait_for(State.BACKING_OFF)
            told.wait_for(State.CONNECTING)
            told.wait_for(State.LIVE)
        assert exchange.accepted == 100
        began = sorted(next(c.at for c in reversed(told.changes) if c.state is State.CONNECTING) for told in status)
    assert (began[-1] - began[0]).total_seconds() >= 0.1
