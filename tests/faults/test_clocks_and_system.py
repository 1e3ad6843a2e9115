"""Section K: clocks, the operating system, the environment."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone, tzinfo

import pytest

from bybit_sync import State
from tests.asleep import Sleep
from tests.client.test_processes import wait_until_asleep
from tests.faults.canaries import PASSWORD
from tests.faults.conftest import Play
from tests.faults.exchange import Exchange, Message, Talk, accept, answer, hang_up, order, reset, say, serve
from tests.faults.pace import FACTOR, JITTER, patience, seconds, short, silence, within
from tests.faults.partition import Partition, _ip
from tests.faults.rows import OVER_CABLE, PLAIN_AND_TLS, row
from tests.faults.scene import Scene
from tests.faults.test_upgrade import HASTY
from tests.network.test_proxy import HttpProxy
from tests.peers import Line, Peer, plays

# --- clocks ---


class WallClock:
    """Takes the place of `datetime` where the library reads the wall clock; `ahead` is how far somebody has set it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self, zone: tzinfo) -> datetime:
        """Return what it shows."""
        return datetime.now(zone) + self.ahead

    def set_to(self, year: int) -> None:
        """Set it to the first of January."""
        self.ahead = datetime(year, 1, 1, tzinfo=timezone.utc) - datetime.now(timezone.utc)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    """The wall clock, to be set."""
    clock = WallClock()
    monkeypatch.setattr("bybit_sync.clock.datetime", clock)
    return clock


def checks_the_time(line: Talk) -> None:
    """Serve those whose login expires in what is the future here, and not a minute later."""

    def answer_login(line: Talk, request: Message) -> None:
        left = request["args"][1] - line.exchange.milliseconds()
        if 0 < left < 60_000:
            accept(line, request)
        else:
            answer(line, request, success=False, text="Params Error")

    serve(line, auth=answer_login)


JUMPS = {"an hour back": timedelta(hours=-1), "a day ahead": timedelta(days=1), "to 2100": timedelta(days=27000)}


@row(145, kills="deadlines are kept on the wall clock")
@pytest.mark.parametrize("jump", JUMPS)
def test_a_wall_clock_that_is_set_moves_no_timer(play: Play, wall: WallClock, jump: str) -> None:
    """LIVE it costs nothing, in an outage no time; logins still carry the exchange's time, and gaps are windows of it."""
    scene = play(checks_the_time)
    orders = scene.subscribe()
    scene.status.wait_for(State.LIVE)
    pinged(scene, 2)
    wall.ahead = JUMPS[jump]
    scene.status.stays(seconds(6))
    scene.exchange.push_order("set")
    event = orders.update("set")
    assert abs(event.received_at - datetime.now(timezone.utc) - wall.ahead) < timedelta(seconds=10)
    scene.logged([])
    scene.cause(hang_up)
    scene.is_found(within=0.1)
    wall.ahead = timedelta()
    gap = scene.recovers("without a close frame").gap
    assert gap is not None
    assert abs(gap.until - datetime.now(timezone.utc)) < timedelta(seconds=5)


@row(145, kills="the pause after a failure ends by the wall clock")
@pytest.mark.parametrize("jump", JUMPS)
def test_a_wall_clock_that_is_set_while_there_is_nothing(play: Play, wall: WallClock, jump: str) -> None:
    """Connecting and backing off take as long as ever; the login after it is signed for the exchange's time."""
    scene = play(checks_the_time)
    relay = scene.relay
    scene.subscribe()
    scene.status.wait_for(State.LIVE)
    pinged(scene, 2)
    relay.cut()
    scene.fails(2)
    wall.ahead = JUMPS[jump]
    scene.fails(2)
    relay.heal()
    healed = scene._found_at = time.monotonic()
    scene.recovers("reset")
    assert time.monotonic() - healed <= within(6) + scene.stalled(healed)


def pinged(scene: Scene, times: int) -> None:
    """Wait until the exchange has been pinged so many times, and the client has read the answers."""
    scene.exchange.wait_for(lambda: [r["op"] for r in scene.exchange.talks[0].requests].count("ping") >= times)
    scene.exchange.push_order(f"behind pong {times}")
    scene.histories[0].update(f"behind pong {times}")


@pytest.fixture
def sleep(monkeypatch: pytest.MonkeyPatch) -> Sleep:
    """The machine's sleep."""
    return Sleep(monkeypatch)


@row(146, kills="after a suspend the connection is trusted until the next ping is overdue")
@PLAIN_AND_TLS
def test_a_machine_that_wakes_up_is_live_within_five_seconds(play: Play, sleep: Sleep, wall: WallClock) -> None:
    """After eight hours the network has forgotten us: one question, 2 s for the answer, and a new connection."""
    scene = play(ping_interval=seconds(60), pong_timeout=seconds(60))
    relay = scene.relay
    scene.subscribe()
    pinged(scene, 1)
    relay.freeze()
    scene.mark()
    sleep.seconds, wall.ahead, scene.exchange.clock_offset = 28800.0, timedelta(hours=8), 28800.0
    scene.is_found(within=4)
    event = scene.recovers("has sent nothing for", levels=["INFO", "WARNING", "INFO"])
    assert scene.caused_at is not None
    assert event.received_ns * 1e-9 - scene.caused_at <= within(5) + scene.stalled(scene.caused_at)


@row(146, kills="a suspend ends every connection")
def test_a_nap_that_the_connection_survived_costs_nothing(play: Play, sleep: Sleep) -> None:
    """The exchange answers the question, so that there is no gap."""
    scene = play(ping_interval=seconds(60), pong_timeout=seconds(60))
    scene.subscribe()
    scene.status.wait_for(State.LIVE)
    sleep.seconds = 30.0
    pinged(scene, 2)
    scene.status.stays(seconds(4))
    scene.goes_on()
    assert "suspended for 30 s" in scene.logged(["INFO"])


# --- signals, to a client in a process of its own ---

PREAMBLE = f"""
import queue, signal, sys, threading, time
from tests.conftest import KEY, SECRET
from tests.faults import pace
pace.set_pace({FACTOR})
def say(*words):
    print(*words, flush=True)
def tell(change):
    if change.error:
        say(change.state.value, change.error)
client = pace.FaultClient(KEY, SECRET, **{{**pace.arguments(), "environment": sys.argv[1], "on_status": tell}})
def told(event):
    say(*(row.order_id for row in event), *([event.gap.reason.value] if event.gap else []))
"""


@contextlib.contextmanager
def process(exchange: Exchange, script: str) -> Iterator[subprocess.Popen[str]]:
    """Run *script* with a `client` of *exchange*."""
    command = [sys.executable, "-W", "error", "-c", PREAMBLE + textwrap.dedent(script), exchange.url]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def says(running: subprocess.Popen[str], *lines: str) -> None:
    """Make sure that *running* prints these *lines* next."""
    assert running.stdout is not None
    for line in lines:
        assert running.stdout.readline().strip() == line


def push_orders(line: Talk, *names: str) -> None:
    """Push updates of the orders *names*."""
    say(line, *(order(line, name) for name in names))


WAITING = """
client.subscribe_orders(told)
say("ready")
signal.pause()
"""


@row(147, kills="silence counts while nobody was there to ask")
@pytest.mark.usefixtures("silence_is_short")
def test_a_process_that_was_stopped_loses_nothing() -> None:
    """The connection is only judged when a question had its time; what the kernel kept meanwhile is delivered."""
    names = [f"order-{n}" for n in range(50)]
    with Exchange() as exchange, process(exchange, WAITING) as stopped:
        says(stopped, "ready")
        for pushes in ([], names):
            # Behind the answer to the last ping: nothing lies ready when it is stopped.
            exchange.push_order("before")
            says(stopped, "before")
            stopped.send_signal(signal.SIGSTOP)
            threading.Event().wait(1.5 * silence())
            exchange.do(push_orders, *pushes)
            stopped.send_signal(signal.SIGCONT)
            says(stopped, *pushes)
            threading.Event().wait(0.3 * silence())
        exchange.push_order("after")
        says(stopped, "after")
        assert exchange.accepted == 1


INTERRUPTED = """
free = threading.Event()
def linger(event):
    say("busy")
    free.wait()
orders = client.subscribe_orders(linger)
say("ready")
for call in orders.close, client.close:
    sys.stdin.readline()
    try:
        call(60)
    except KeyboardInterrupt:
        say("interrupted")
free.set()
say(client.close())
"""


@row(148, kills="closing waits for a callback without looking for signals")
def test_ctrl_c_ends_a_close_within_half_a_second() -> None:
    """KeyboardInterrupt comes out of it, as elsewhere (tests/client/test_processes.py); a further `close` ends everything."""
    with Exchange() as exchange, process(exchange, INTERRUPTED) as running:
        says(running, "ready")
        exchange.push_order("work")
        says(running, "busy")
        for _ in range(2):
            tell(running, "now")
            wait_until_asleep(running.pid)
            began = time.monotonic()
            running.send_signal(signal.SIGINT)
            says(running, "interrupted")
            assert time.monotonic() - began <= 0.5 + JITTER
        says(running, "True")
        assert running.communicate(timeout=patience())[1] == ""
        assert running.returncode == 0


def tell(running: subprocess.Popen[str], line: str) -> None:
    """Type *line*."""
    assert running.stdin is not None
    running.stdin.write(line + "\n")
    running.stdin.flush()


STORMY = """
storms = []
signal.signal(signal.SIGUSR1, lambda *_: storms.append(None))
client.subscribe_orders(told)
say("ready")
sys.stdin.readline()
say("after", len(storms) > 0)
while True:
    signal.pause()
"""


@row(149, kills="a signal ends a wait or a write")
def test_a_storm_of_signals_disturbs_nothing() -> None:
    """Every update arrives, every message is whole, a reset is no SIGPIPE, and SIGTERM means what it always means."""
    names = [f"order-{n}" for n in range(300)]
    with Exchange() as exchange, process(exchange, STORMY) as running:
        says(running, "ready")
        for name in names:
            running.send_signal(signal.SIGUSR1)
            exchange.push_order(name)
        says(running, *names)
        tell(running, "now")
        says(running, "after True")
        exchange.do(reset)
        exchange.wait_for(lambda: exchange.talks[-1].is_open and len(exchange.talks) == 2)
        exchange.push_order("last")
        assert_ends_with(running, "DISCONNECTED", "last")
        running.send_signal(signal.SIGTERM)
        assert running.wait(patience()) == -signal.SIGTERM


def assert_ends_with(running: subprocess.Popen[str], *lines: str) -> None:
    """Make sure that *running* prints these *lines*, after what it says of the outage."""
    assert running.stdout is not None
    while (line := running.stdout.readline().strip()) != lines[0]:
        assert line.startswith("BACKING_OFF")
    says(running, *lines[1:])


# --- the network of this machine ---


@row(150, kills="only a write that fails ends a silent connection")
@OVER_CABLE
@pytest.mark.usefixtures("silence_is_short")
def test_a_machine_whose_address_is_gone_takes_the_next_one(play: Play, cable: Partition) -> None:
    """From wifi to ethernet: the old connection is found dead within ten seconds; the next one is from the new address."""
    scene = play()
    scene.subscribe()
    scene.mark()
    _ip("address del 10.77.0.1/24 dev near")
    _ip("address add 10.77.0.3/24 dev near")
    scene.is_found(within=10)
    # How soon neighbours know the new address is the kernels' business, at a pace that no test can scale.
    scene.recovers("")


@row(151, kills="a message that began to arrive counts as life for as long as it takes")
@OVER_CABLE
def test_a_network_that_swallows_what_is_large(play: Play, cable: Partition) -> None:
    """Pongs get through and a long update does not: nothing arrives any more, the connection is dead, the next one fits."""
    # Before the kernel, which nothing scales, sends it again in pieces.
    scene = play(pong_timeout=seconds(5))
    orders = scene.subscribe()
    scene.status.wait_for(State.LIVE)
    _ip("link set near mtu 600")
    scene.status.stays(seconds(6))
    scene.goes_on("small")
    scene.cause(push_order, "large", "x" * 1000)
    scene.is_found(within=15)
    scene.recovers("")
    scene.exchange.do(push_order, "large again", "x" * 1000)
    orders.update("large again")


def push_order(line: Talk, name: str, padding: str) -> None:
    """Push an update of the order *name*, as long as *padding*."""
    say(line, order(line, name, orderLinkId=padding))


# --- proxies ---

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return what has every variable of the environment name a proxy at a port of this machine."""
    for name in (*VARIABLES, "no_proxy", "NO_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)

    def name_them(port: int) -> None:
        for name in VARIABLES:
            monkeypatch.setenv(name, f"http://me:{PASSWORD}@127.0.0.1:{port}")

    return name_them


@row(152, kills="the environment's proxies are used without being asked for")
@PLAIN_AND_TLS
def test_a_proxy_of_the_environment_is_not_used(play: Play, proxies: Callable[[int], None]) -> None:
    """Where the login goes is said in code."""
    with Peer(Line.wait_for_end) as proxy:
        proxies(proxy.port)
        scene = play()
        scene.subscribe()
        scene.cause(hang_up)
        scene.recovers("without a close frame")
        assert proxy.accepted == 0


@row(152, kills="the proxy's URL is logged as it stands in the environment")
@PLAIN_AND_TLS
def test_a_proxy_of_the_environment_is_used_when_asked_for(
    play: Play, proxies: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``proxy="env"`` it is, at each connect; the log names it without credentials; and no_proxy is obeyed."""
    serving = HttpProxy()
    with Peer(serving) as proxy:
        proxies(proxy.port)
        scene = play(proxy="env")
        scene.subscribe()
        scene.exchange.do(hang_up)
        scene.recovers("without a close frame")
        assert ["Proxy-Authorization: Basic" in head for head in serving.heads] == [True, True]
        assert f"through http://127.0.0.1:{proxy.port}" in scene.log.text
        assert PASSWORD not in scene.log.text
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        scene.exchange.do(hang_up)
        scene.recovers("without a close frame")
        assert proxy.accepted == 2


BAD_PROXIES = {
    "closes": lambda line: None,
    "refuses with 502": plays(Line.read_head, b"HTTP/1.1 502 Bad Gateway\r\n\r\n"),
    "wants another password (407)": plays(Line.read_head, b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
    "answers nonsense": plays(Line.read_head, b"MEOW\r\n\r\n"),
    "talks too soon": plays(Line.read_head, b"HTTP/1.1 200 OK\r\n\r\nmore"),
    "dies in the tunnel": plays(Line.read_head, b"HTTP/1.1 200 OK\r\n\r\n", 10, Line.reset),
    "hangs": plays(Line.read_head, Line.wait_for_end),
}


@row(153, kills="a proxy that fails is gone around")
@PLAIN_AND_TLS
def test_a_proxy_that_fails_is_named_and_tried_again(play: Play) -> None:
    """Whatever it does, each attempt fails for a reason that names it, and the exchange is reached through it or not at all."""
    serving = HttpProxy()
    with Peer(serving, *BAD_PROXIES.values(), serving) as proxy:
        scene = play(proxy=f"http://me:{PASSWORD}@127.0.0.1:{proxy.port}", backoff=HASTY, connect_timeout=short())
        scene.subscribe()
        scene.exchange.do(hang_up)
        scene.status.wait_for(State.BACKING_OFF)
        for _ in BAD_PROXIES:
            assert f"through http://127.0.0.1:{proxy.port}" in str(scene.fails())
        scene._found_at = time.monotonic()
        scene.recovers("without a close frame")
        assert scene.exchange.accepted == 2
        assert len(serving.heads) == 2


# --- the log ---


class Full(logging.StreamHandler):
    """A handler whose disk is full."""

    def __init__(self) -> None:
        super().__init__(open("/dev/full", "w", buffering=1, encoding="utf-8"))  # noqa: SIM115, PTH123 closed by `close`

    def close(self) -> None:
        """Close the file, which cannot even do that."""
        with contextlib.suppress(OSError):
            self.stream.close()
        super().close()


class Raising(logging.Handler):
    """A handler that raises what is not even an `Exception`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raise it."""
        raise SystemExit


@row(154, kills="what a logging handler raises ends the connection's thread")
@pytest.mark.parametrize("kind", [Full, Raising])
@pytest.mark.parametrize("stderr", ["open", "closed", "none"])
def test_a_log_that_cannot_be_written_does_not_touch_the_stream(
    play: Play, monkeypatch: pytest.MonkeyPatch, kind: type[logging.Handler], stderr: str
) -> None:
    """A full disk, a handler that raises, a stderr that is closed or missing: updates and gaps come as ever."""
    handler = kind()
    logger = logging.getLogger("bybit_sync")
    scene = play()
    logger.addHandler(handler)
    try:
        closed = io.StringIO()
        closed.close()
        monkeypatch.setattr(sys, "stderr", {"open": sys.stderr, "closed": closed, "none": None}[stderr])
        scene.subscribe()
        scene.cause(hang_up)
        scene.recovers("without a close frame")
    finally:
        monkeypatch.undo()
        logger.removeHandler(handler)
        handler.close()
