"""What the tests share: an exchange, an account, clients that leave nothing behind."""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from bybit_sync import Backoff, Client, redaction
from bybit_sync.config.timings import Timings
from bybit_sync.simulator import Account, Exchange
from bybit_sync.threads.waker import Waker
from tests.integrations.servers import CHOSEN, Server
from tests.searching import is_search, set_at_length, wants

pytest_plugins = ("tests.faults.marks", "tests.garbage", "tests.hangs")

ROOT = Path(__file__).parent.parent
KEY, SECRET = "test-key-c4n4ry", "test-secret-c4n4ry"

# Whoever starts the tests in the background, or with nohup, has these ignored, by every process that they start, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Hundreds of processes are started. Where Python may keep nothing that it compiles, each of them would compile the library
# anew: they keep it in a folder that goes with this run. The workers find these variables as they are set here.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", "") and "PYTHONPYCACHEPREFIX" not in os.environ:
    COMPILED = tempfile.TemporaryDirectory(prefix="bybit-sync-tests-")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = COMPILED.name
    sys.dont_write_bytecode = False

# Every wait of the house, thirty times as fast; a login's refusals faster, and a
# warning that a busy machine causes later.
FAST = attrs.evolve(Timings().scaled(1 / 30), refused=(0.02, 0.1, 0.2), no_pong=10.0)

# What takes longest begins first, and on one worker: no other is left with it at the end, or starts the examples, builds
# the site, or parses the library again.
LONGEST = (
    *("test_typing.py", "test_walk.py", "test_delivery.py", "test_examples.py"),
    *("test_docs.py", "test_architecture.py", "test_language.py"),
)


class FastClient(Client):
    """A client whose inner times are scaled; what is an argument of `Client` is given as one."""

    _timings = FAST


FAST_ARGUMENTS: dict[str, Any] = {
    "connect_timeout": 2.0,
    "request_timeout": 2.0,
    "ping_interval": 0.5,
    "pong_timeout": 2.0,
    "backoff": Backoff(initial=0.02, factor=2.0, maximum=0.2),
}


def threads_of(client: Client) -> list[str]:
    """Return the names of the threads that *client* has."""
    return [t.name for t in threading.enumerate() if t.name.startswith(client.name + "-")]


def open_descriptors() -> int:
    """Return how many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def push(account: Account, *names: str) -> None:
    """Push an order for each of *names*."""
    for name in names:
        account.push("orders", [{"category": "linear", "orderId": name}])


@pytest.fixture(scope="session", autouse=True)
def no_proxies() -> Iterator[None]:
    """Forget the proxies of the machine that runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD"):
            patch.delenv(name, raising=False)
            patch.delenv(name.upper(), raising=False)
        yield


@pytest.fixture(autouse=True)
def few_clients() -> Iterator[None]:
    """Free the clients that were closed, if there are many: each log record is searched for the secrets of all."""
    yield
    if len(redaction._redactors) > 50:
        gc.collect()


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Let the interpreter change threads 500 times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(before / 500)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def waker() -> Iterator[Waker]:
    """A waker that nobody wakes, unless the test does."""
    waker = Waker()
    yield waker
    waker.close()


@pytest.fixture
def quiet() -> Iterator[None]:
    """Log nothing below CRITICAL: pytest would keep every record."""
    logger = logging.getLogger("bybit_sync")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """An exchange that listens."""
    with Exchange() as exchange:
        yield exchange


@pytest.fixture
def account(exchange: Exchange) -> Account:
    """Its account, with the key that `make_client` uses."""
    return exchange.account(KEY, SECRET)


@pytest.fixture
def make_client(exchange: Exchange) -> Iterator[Callable[..., Client]]:
    """Make clients of the exchange, fast ones, that are closed at the end."""
    made: list[Client] = []

    def make(key: str = KEY, secret: str | None = SECRET, **arguments: Any) -> Client:
        client = FastClient(key, secret, **{"environment": exchange.url, **FAST_ARGUMENTS, **arguments})
        made.append(client)
        return client

    yield make
    for client in made:
        assert client.close(), f"{client!r} did not end: {threads_of(client)}"
        for thread in threading.enumerate():
            if thread.name.startswith(client.name + "-"):
                # One that has just ended may still be in the list for a moment.
                thread.join(5)
        assert not threads_of(client)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of the test's own, which it may stop."""
    with Server() as server:
        yield server


@pytest.fixture
def make_server() -> Iterator[Callable[..., Server]]:
    """Make servers with options, not started yet."""
    made: list[Server] = []

    def make(*options: str) -> Server:
        made.append(Server(*options))
        return made[-1]

    yield make
    for server in made:
        server.remove()


@pytest.fixture(scope="session")
def shared_url() -> Iterator[str]:
    """The URL of a server that the tests share."""
    if "://" in CHOSEN:
        yield CHOSEN
        return
    with Server() as server:
        yield server.url


@pytest.fixture
def redis_url(shared_url: str) -> str:
    """The URL of a server; what a test writes goes under its own `prefix`."""
    return shared_url


@pytest.fixture
def client(make_client: Callable[..., Client], account: Account) -> Client:
    """A client of the account."""
    return make_client()


@pytest.fixture(params=["v5", "v3"])
def dialect(request: pytest.FixtureRequest) -> str:
    """Each dialect."""
    return str(request.param)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The library's log, down to DEBUG."""
    with caplog.at_level(logging.DEBUG, logger="bybit_sync"):
        yield caplog


def evolved(times: Timings, **changes: Any) -> Timings:
    """Return *times* with *changes*."""
    return attrs.evolve(times, **changes)


def pytest_configure(config: pytest.Config) -> None:
    """Set how long the searches go on, and how many tests a worker is given at once."""
    set_at_length(wants(config, "soak"))
    # A longer row of slow tests would keep one worker busy when the others have ended.
    if getattr(config.option, "maxschedchunk", 0) is None:
        config.option.maxschedchunk = 40


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let each worker of a run import its modules in an order of its own before it collects them.

    pytest compiles every module that it imports for the first time. Workers that collect in the same order would each compile
    all of them at the same moment; so each begins elsewhere, and finds compiled what the others began with.
    """
    worker: dict[str, Any] | None = getattr(session.config, "workerinput", None)
    if worker is None:
        return
    asked = [Path(argument.partition("::")[0]).resolve() for argument in session.config.args]
    paths = sorted(path for path in ROOT.glob("tests/**/test_*.py") if any(path.is_relative_to(each) for each in asked))
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    begin = len(modules) * int(worker["workerid"][2:]) // worker["workercount"]
    for module in modules[begin:] + modules[:begin]:
        # What cannot be imported, or is skipped as a whole, collecting tells.
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(module)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what runs for minutes, unless ``-m soak`` asks for it: then every search does."""
    for item in items:
        if not wants(config, "soak"):
            if item.get_closest_marker("soak"):
                item.add_marker(pytest.mark.skip(reason="runs for minutes: pytest -m soak"))
        elif is_search(item):
            item.add_marker(pytest.mark.soak)
            item.add_marker(pytest.mark.timeout(7200))
    items.sort(key=lambda item: item.path.name not in LONGEST)
