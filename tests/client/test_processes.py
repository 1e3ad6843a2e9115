"""What the operating system does to a process: exit, Ctrl-C, signals, forks, no more threads."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from subprocess import PIPE
from typing import IO, Any

import pytest

from bybit_sync import Client
from bybit_sync.simulator import Account, Exchange
from tests.conftest import open_descriptors

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and forks are POSIX's")

PREAMBLE = """
import os, queue, signal, sys, threading, time
import bybit_sync
client = bybit_sync.Client("{key}", "{secret}", environment="{url}")
def say(text):
    print(text, flush=True)
"""


@pytest.fixture
def run(exchange: Exchange, account: Account) -> Callable[[str], Any]:
    """Run a script with a `client` of the exchange as a process of its own."""

    @contextmanager
    def running(script: str) -> Iterator[subprocess.Popen[str]]:
        text = PREAMBLE.format(key=account.key, secret=account.secret, url=exchange.url) + textwrap.dedent(script)
        command = [sys.executable, "-W", "error", "-c", text]
        with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    return running


def ends(process: subprocess.Popen[str], within: float = 60.0) -> tuple[int, str, str]:
    """Wait for the end of *process* and return its exit code and what it printed since."""
    out, err = process.communicate(timeout=within)
    return process.returncode, out, err


def line(stream: IO[str] | None) -> str:
    """Return the next line."""
    assert stream is not None
    return stream.readline().strip()


def test_a_script_that_ends_without_close(run: Callable[[str], Any], exchange: Exchange) -> None:
    """It ends at once, quietly, and says goodbye to the exchange."""
    with run("client.subscribe_orders(lambda event: None)") as process:
        assert ends(process) == (0, "", "")
    exchange.wait_for(lambda: not exchange.connections)


def test_a_script_that_ends_while_a_callback_blocks_for_ever(run: Callable[[str], Any], account: Account) -> None:
    """A callback that never returns cannot hold the exit."""
    script = """
    running = threading.Event()
    client.subscribe_orders(lambda event: (running.set(), time.sleep(1000)))
    say("ready")
    running.wait()
    """
    with run(script) as process:
        assert line(process.stdout) == "ready"
        account.push("orders", [{"category": "linear"}])
        assert ends(process) == (0, "", "")


def test_an_unhandled_exception_ends_the_script(run: Callable[[str], Any]) -> None:
    """Its traceback is the last word; no thread keeps the process alive."""
    with run("client.subscribe_orders(lambda event: None)\nraise LookupError('mine')") as process:
        code, _, err = ends(process)
    assert code == 1
    assert err.strip().endswith("LookupError: mine")


def test_ctrl_c_interrupts_every_blocking_call(run: Callable[[str], Any], exchange: Exchange) -> None:
    """KeyboardInterrupt comes out of the call at once, one after the other, and the client still closes."""
    script = """
    orders = client.subscribe_orders()
    say("ready")
    for call in client.wait, orders.get, iter(orders).__next__, client.subscribe_balances:
        sys.stdin.readline()
        try:
            call()
        except KeyboardInterrupt:
            say("interrupted")
    say(str(client.close()))
    """
    with run(script) as process:
        assert line(process.stdout) == "ready"
        exchange.hold_acks("subscribe")
        for call in ("wait", "get", "next", "subscribe"):
            print(file=process.stdin, flush=True)
            if call == "subscribe":
                exchange.wait_for(lambda: "wallet" in exchange.connections[0].topics)
            else:
                wait_until_asleep(process.pid)
            process.send_signal(signal.SIGINT)
            assert line(process.stdout) == "interrupted"
        assert line(process.stdout) == "True"
        assert ends(process) == (0, "", "")


def wait_until_asleep(pid: int) -> None:
    """Wait until the main thread of *pid* sleeps in the kernel, twice in a row."""
    quiet = 0
    deadline = time.monotonic() + 5
    while quiet < 5 and time.monotonic() < deadline:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123 - one line of the kernel's
            quiet = quiet + 1 if stat.read().rpartition(")")[2].split()[0] == "S" else 0
        time.sleep(0.02)


def test_close_in_a_signal_handler_under_a_storm_of_signals(run: Callable[[str], Any]) -> None:
    """`close(timeout=0)` takes no lock that the interrupted call may hold."""
    # A timer that repeats itself would interrupt its own handler without end where that
    # takes longer than the interval: each handler starts the timer anew as it ends.
    script = """
    def on_alarm(*calls):
        def handler(*_):
            for call in calls:
                call()
            signal.setitimer(signal.ITIMER_REAL, 0.0005)
        signal.signal(signal.SIGALRM, handler)
    orders = client.subscribe_orders()
    spare = client.subscribe_orders()
    on_alarm(lambda: spare.close(timeout=0), client.health)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        try:
            orders.get(timeout=0.0007)
        except queue.Empty:
            pass
        client.subscribe_orders().close(timeout=0)
        client.wait(timeout=0.0003)
    on_alarm(lambda: client.close(timeout=0))
    say(str(client.wait(timeout=5)))
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    """
    with run(script) as process:
        assert ends(process) == (0, "True\n", "")


def test_a_forked_child_cannot_use_the_client(account: Account, client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    """Every call in the child raises ClientClosed; the parent's connection does not notice."""
    orders = client.subscribe_orders()
    child = os.fork()
    if child == 0:
        os._exit(count_refusals(client, orders))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    account.push("orders", [{"category": "linear", "orderId": "after"}])
    assert orders.get(timeout=5).data[0].order_id == "after"
    assert client.health().epoch == 1


def count_refusals(client: Client, orders: Any) -> int:
    """Return how many calls raise ClientClosed."""
    from bybit_sync import ClientClosed  # noqa: PLC0415 - the child's only import

    refused = 0
    for call in (
        client.subscribe_balances,
        client.health,
        client.close,
        client.wait,
        client.reconnect,
        orders.get,
        orders.close,
    ):
        try:
            call()
        except ClientClosed:
            refused += 1
    return refused


def test_a_thread_that_cannot_be_started(run: Callable[[str], Any]) -> None:
    """`subscribe_*` raises what the system said, and nothing is half-started."""
    script = """
    def no_thread(*_):
        raise RuntimeError("can't start new thread")
    start, threading.Thread.start = threading.Thread.start, no_thread
    try:
        client.subscribe_orders(lambda event: None)
    except RuntimeError as error:
        say(str(error))
    threading.Thread.start = start
    say(client.state.value)
    say(client.subscribe_orders().state.value)
    say(str(client.close()))
    """
    with run(script) as process:
        assert ends(process) == (0, "can't start new thread\nIDLE\nLIVE\nTrue\n", "")


def test_no_descriptors_left(account: Account, make_client: Callable[..., Client]) -> None:
    """A process without descriptors fails its attempt, not its thread, and recovers when there are some again."""
    orders = make_client().subscribe_orders()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    client = make_client()
    assert orders.state == "LIVE"
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_descriptors() + 8, hard))
    try:
        while True:
            taken.append(os.dup(0))
    except OSError:
        pass
    try:
        client_of_orders = orders._receiver.keep_alive
        client_of_orders.reconnect()
        wait_for_state(client_of_orders, "BACKING_OFF")
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert orders.get(timeout=10).gap is not None
    assert client.close()


def wait_for_state(client: Any, state: str) -> None:
    """Wait until *client* is in *state*."""
    assert client._engine.client_state.wait(lambda: client.state == state, time.monotonic() + 5)
