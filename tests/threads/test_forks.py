"""A forked child's own client works, whatever the threads of the parent were doing in that moment."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pkgutil
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

import pytest

import bybit_sync
from bybit_sync import Client, ConnectLimit
from bybit_sync.model import enums
from bybit_sync.simulator import Account, Exchange
from tests.conftest import KEY, SECRET, FastClient

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot fork")

LOCKS = (type(threading.Lock()), type(threading.RLock()))
CONTAINERS = (dict, list, tuple, set, frozenset, deque, MappingProxyType, WeakKeyDictionary, WeakSet, WeakValueDictionary)
# What is made of locks and may hold one: the rest of the standard library renews its own.
HOLDERS = {"bybit_sync", "functools", "threading", "queue", "_thread"}


def modules() -> list[Any]:
    """Import and return every module of the package that can be imported here."""
    for found in pkgutil.walk_packages(bybit_sync.__path__, "bybit_sync."):
        if not found.name.endswith("__main__"):
            with contextlib.suppress(ImportError):
                importlib.import_module(found.name)
    return [module for name, module in sorted(sys.modules.items()) if name.split(".")[0] == "bybit_sync"]


def root(kind: Any) -> str:
    """Return the package that *kind*, a class or a function, comes from."""
    return str(getattr(kind, "__module__", None)).split(".")[0]


def inside(value: Any) -> list[Any]:
    """Return what *value* holds, as far as the library put it there."""
    if isinstance(value, FunctionType):
        ours = root(value) == "bybit_sync"
        return [value.__closure__, value.__defaults__, value.__kwdefaults__, vars(value)] if ours else []
    if isinstance(value, type):
        return list(vars(value).values()) if root(value) == "bybit_sync" else []
    if isinstance(value, WeakKeyDictionary):
        return [*value.keys(), *value.values()]
    if isinstance(value, (WeakSet, WeakValueDictionary)):
        return list(value.values() if isinstance(value, WeakValueDictionary) else value)
    if isinstance(value, CONTAINERS) or root(type(value)) in HOLDERS or type(value).__name__ == "cell":
        return [held for held in gc.get_referents(value) if held is not type(value)]
    return []


def shared_locks() -> dict[str, Any]:
    """Return every lock that a module, a class or anything in them holds, by the name that leads to it."""
    found: dict[str, Any] = {}
    todo = [(f"{module.__name__}.{name}", value) for module in modules() for name, value in vars(module).items()]
    seen: dict[int, Any] = {}
    while todo:
        name, value = todo.pop()
        if id(value) in seen or name.endswith("__builtins__"):
            continue
        seen[id(value)] = value
        if isinstance(value, LOCKS):
            found[name] = value
        else:
            todo += [(f"{name}/{type(value).__name__}", held) for held in inside(value)]
    return found


@contextmanager
def all_held() -> Iterator[dict[str, Any]]:
    """Hold every shared lock on another thread."""
    # Found before any is held: that takes a while, in which others want to log.
    locks, held, ready, over = shared_locks(), dict[str, Any](), threading.Event(), threading.Event()

    def hold() -> None:
        held.update({name: lock for name, lock in locks.items() if lock.acquire(blocking=False)})
        ready.set()
        over.wait()
        for lock in held.values():
            lock.release()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert ready.wait(10)
        yield held
    finally:
        over.set()
        thread.join()


def in_a_child(work: Callable[[], str]) -> str:
    """Return what *work* returns in a forked child; what it raises, and that it did not end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            said = work()
        except BaseException as error:  # noqa: BLE001 - it is the result
            said = repr(error)
        os.write(writing, said.encode() or b"nothing")
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said or "it hung"


def locked() -> str:
    """Return the shared locks that cannot be had."""
    return " ".join(name for name, lock in shared_locks().items() if not lock.acquire(blocking=False))


@pytest.fixture
def busy(make_client: Callable[..., Client], account: Account) -> Client:
    """A client that uses all that a process shares."""
    client = make_client(connect_limit=ConnectLimit())
    client.subscribe_orders()
    return client


def test_no_lock_that_a_process_shares_is_locked_in_its_child(busy: Client) -> None:
    """Those of modules, of classes and of everything that hangs on them are found by looking, not by a list."""
    with all_held() as held:
        assert {name.split("/")[0] for name in held} >= {
            "bybit_sync.engine.conversation._read_lock",
            "bybit_sync.engine.rate_limit._limiters",
        }
        assert in_a_child(locked) == "nothing"


@pytest.mark.parametrize(
    ("holder", "name"), [(enums, "enums.planted"), (enums.OpenEnum, f"OpenEnum/{type(enums.OpenEnum).__name__}")]
)
def test_a_lock_that_is_not_renewed_is_found(holder: Any, name: str, busy: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search would see one that somebody adds."""
    monkeypatch.setattr(holder, "planted", threading.RLock(), raising=False)
    with all_held():
        assert in_a_child(locked).endswith(name)


def test_a_childs_own_client_works_whatever_its_parent_held(busy: Client, exchange: Exchange, account: Account) -> None:
    """It logs in, subscribes, reads a new word and a row that cannot be read, and closes."""

    def work() -> str:
        client = FastClient(KEY, SECRET, environment=exchange.url, connect_limit=ConnectLimit())
        orders = client.subscribe_orders(timeout=20)
        words = [row.order_status for _ in range(2) for row in orders.get(timeout=20)]
        return f"{words} {client.close()}"

    def both_are_there() -> bool:
        return sum("order.linear" in connection.topics for connection in exchange.connections) == 2

    def push() -> None:
        # Longer than it takes to find every lock, and the child to log in.
        exchange.wait_for(both_are_there, timeout=60)
        account.push("orders", [{"category": "linear", "orderStatus": "Unheard"}, {"category": "linear", "qty": "x"}])

    pushing = threading.Thread(target=push)
    pushing.start()
    with all_held():
        assert in_a_child(work) == "[OrderStatus('Unheard')] True"
    pushing.join()


def test_only_one_file_asks_the_system_to_be_told_of_forks() -> None:
    """Everything else names what it renews there."""
    package = Path(bybit_sync.__file__).parent
    calls = [path.name for path in package.rglob("*.py") if "register_at_fork(" in path.read_text(encoding="utf-8")]
    assert calls == ["forks.py"]
