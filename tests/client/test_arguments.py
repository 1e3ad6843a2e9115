"""Arguments that cannot work are refused where they are given, by name and with a remedy."""

from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
import queue
import threading
import traceback
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest

import bybit_sync
from bybit_sync import Client, ConfigurationError
from bybit_sync.client import ClientOptions, _is_queue

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"api_key": ""}, "api_key"),
    ({"api_key": None}, "api_key"),
    ({"api_key": "key\n"}, "api_key"),
    ({"api_secret": ""}, "api_secret"),
    ({"api_secret": None}, "api_secret"),
    ({"api_secret": "se cret"}, "api_secret"),
    ({"signer": lambda text: text}, "signer"),
    ({"api_secret": None, "signer": "not callable"}, "signer"),
    ({"environment": "ws://stream.bybit.com"}, "environment"),
    ({"environment": "moonnet"}, "environment"),
    ({"environment": "wss://stream.bybit.com/v5/private"}, "environment"),
    ({"environment": 5}, "environment"),
    ({"dialect": "v4"}, "dialect"),
    ({"dialect": None}, "dialect"),
    ({"categories": "linear"}, "categories"),
    ({"categories": ()}, "categories"),
    ({"categories": ("spread",)}, "categories"),
    ({"categories": 7}, "categories"),
    ({"name": ""}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"on_status": 5}, "on_status"),
    ({"on_error": "print"}, "on_error"),
    ({"connect_timeout": -1}, "connect_timeout"),
    ({"connect_timeout": 0}, "connect_timeout"),
    ({"request_timeout": float("nan")}, "request_timeout"),
    ({"ping_interval": float("inf")}, "ping_interval"),
    ({"pong_timeout": "5"}, "pong_timeout"),
    ({"auth_window": True}, "auth_window"),
    ({"backoff": 5}, "backoff"),
    ({"connect_limit": 80}, "connect_limit"),
    ({"proxy": "ftp://host:1"}, "proxy"),
    ({"ssl_context": True}, "ssl_context"),
    ({"max_message_bytes": 0}, "max_message_bytes"),
    ({"max_message_bytes": 1.5}, "max_message_bytes"),
]


@pytest.mark.parametrize(("wrong", "argument"), WRONG, ids=[f"{a}-{i}" for i, (_, a) in enumerate(WRONG)])
def test_a_wrong_argument_is_named(wrong: dict[str, Any], argument: str) -> None:
    """The error is a ValueError too, starts with the argument's name and says what to give instead."""
    arguments = {"api_key": "key", "api_secret": "secret", **wrong}
    with pytest.raises(ConfigurationError, match=argument) as caught:
        Client(**arguments)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) > len(argument) + 20


HINTS = [
    ("'{}'", "quotes"),
    ('"{}"', "quotes"),
    (' "{}"\n', "quotes"),
    ("{}\n", "line break"),
    (" {}", "space"),
    ("-----BEGIN RSA PRIVATE KEY-----\n{}", "rsa_signer"),
]


@pytest.mark.parametrize("make", [Client, Client.from_env], ids=["Client", "from_env"])
@pytest.mark.parametrize("argument", ["api_key", "api_secret"])
@pytest.mark.parametrize(("spelled", "hint"), HINTS)
def test_what_came_along_with_a_secret_is_named(make: Callable[..., Client], argument: str, spelled: str, hint: str) -> None:
    """The error shows nothing of it, nor does any frame below the constructor."""
    given = {"api_key": "c4n4ry-key", "api_secret": "c4n4ry-secret"}
    given[argument] = spelled.format(given[argument])
    with pytest.raises(ConfigurationError, match=hint) as caught:
        make(**given)
    below = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack[1:]
    constructor = [frame for frame in below if frame.name == "__init__"]
    shown = [f"{frame.name} {frame.locals}" for frame in below if frame not in constructor]
    assert len(constructor) == 1
    assert "c4n4ry" not in f"{caught.value} {shown}"


def test_no_frame_of_from_env_holds_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """However the constructor fails."""
    monkeypatch.setenv("BYBIT_API_KEY", "c4n4ry-key")
    monkeypatch.setenv("BYBIT_API_SECRET", "c4n4ry-secret")
    with pytest.raises(ConfigurationError, match="environment") as caught:
        Client.from_env(environment="moonnet")
    stack = traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
    assert "from_env" in [frame.name for frame in stack]
    assert "c4n4ry" not in str([frame.locals for frame in stack if frame.name != "__init__"])


def test_a_refused_key_is_not_shown() -> None:
    """The text of the error does not carry what may be a true key."""
    with pytest.raises(ConfigurationError) as caught:
        Client("TRUE-KEY\n", "secret")
    assert "TRUE-KEY" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "argument"),
    [
        ({"sink": 5}, "sink"),
        ({"maxsize": 0}, "maxsize"),
        ({"maxsize": True}, "maxsize"),
        ({"overflow": "block"}, "overflow"),
        ({"timeout": -1}, "timeout"),
        ({"sink": queue.Queue(), "overflow": "drop_oldest"}, "overflow"),
    ],
)
def test_a_wrong_wish_is_refused_before_anything_happens(wrong: dict[str, Any], argument: str) -> None:
    """No thread is started and no connection made for it."""
    client = Client("key", "secret", environment="wss://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match=argument):
        client.subscribe_orders(**wrong)
    assert client.state == "IDLE"


@pytest.mark.parametrize("sink", [[], 5, {"a": 1}])
def test_a_sink_that_is_none_is_told_what_one_is(sink: Any) -> None:
    """A function, a queue, or nothing at all."""
    with pytest.raises(ConfigurationError, match=r"^sink=.* a function, or a queue such as queue.Queue\(\); without a sink"):
        Client("key", "secret").subscribe_orders(sink)


def test_an_asyncio_queue_is_refused() -> None:
    """It is not made for threads."""
    with pytest.raises(ConfigurationError, match="asyncio"):
        Client("key", "secret").subscribe_orders(asyncio.Queue())


def test_a_coroutine_function_is_refused() -> None:
    """Nobody here would await it."""

    async def coroutine(event: object) -> None: ...

    async def asynchronous_generator(event: object) -> Any:
        yield event

    def generator(event: object) -> Any:
        yield event

    class Instance:
        async def __call__(self, event: object) -> None: ...

    class Queue:
        async def put_nowait(self, event: object, /) -> None: ...

    suspended: list[Any] = [coroutine, asynchronous_generator, generator, functools.partial(coroutine), Instance(), Queue()]
    for sink in [*suspended, functools.partial(Instance())]:
        with pytest.raises(ConfigurationError, match="plain function"):
            Client("key", "secret").subscribe_orders(sink)


class CallableQueue(queue.Queue[Any]):
    """A queue that somebody made callable."""

    def __call__(self, event: object) -> None:
        """Do nothing."""


def test_a_class_of_queues_is_no_queue() -> None:
    """Somebody forgot the parentheses."""
    with pytest.raises(ConfigurationError, match="made from it"):
        Client("key", "secret").subscribe_orders(queue.Queue)


@pytest.mark.parametrize(("sink", "is_called"), [(Mock(), True), (Mock(spec=queue.Queue), False), (CallableQueue(), False)])
def test_what_can_be_called_is_no_queue_unless_it_is_one_of_the_standard_librarys(sink: Any, is_called: bool) -> None:  # noqa: FBT001
    """A mock has a `put_nowait`, as it has everything."""
    assert _is_queue(sink) is not is_called


def test_constructing_does_nothing() -> None:
    """No thread and no connection before the first `subscribe_*`."""
    before = threading.active_count()
    client = Client("key", "secret", name="quiet")
    assert threading.active_count() == before
    assert repr(client) == "<Client quiet: mainnet v5, IDLE, no stream>"


def test_names_are_counted() -> None:
    """Clients without a name are told apart."""
    a, b = Client("key", "secret"), Client("key", "secret")
    assert a.name.startswith("bybit-")
    assert int(b.name[6:]) == int(a.name[6:]) + 1


def test_from_env(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key, secret, environment and name come from the environment; what is given wins."""
    monkeypatch.setenv("BYBIT_API_KEY", "key")
    monkeypatch.setenv("BYBIT_API_SECRET", "secret")
    monkeypatch.setenv("BYBIT_ENVIRONMENT", "testnet")
    monkeypatch.setenv("BYBIT_NAME", "from-env")
    assert repr(Client.from_env()) == "<Client from-env: testnet v5, IDLE, no stream>"
    assert "demo" in repr(Client.from_env(environment="demo"))


def test_from_env_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable."""
    monkeypatch.delenv("BYBIT_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match="BYBIT_API_KEY"):
        Client.from_env()


@pytest.mark.parametrize("make", [lambda: Client("key", "secret"), lambda: Client("key", "secret").subscribe_orders])
def test_a_client_is_not_pickled(make: Callable[[], Any]) -> None:
    """It owns threads of this process."""
    with pytest.raises(TypeError):
        pickle.dumps(make())


def test_every_name_of_the_contract_is_here() -> None:
    """What the documentation names can be imported from the package itself."""
    names = """
        Client Subscription Event Gap GapReason Source Stream State StatusChange Health SubscriptionHealth SubscriptionState
        BalanceUpdate CoinBalance OrderUpdate PositionUpdate UserTradeUpdate ExtraFee AnyEvent EventQueue to_dict from_dict
        Recovery
        Environment Dialect Backoff ConnectLimit OrderStatus TimeInForce Side
        BybitSyncError ConfigurationError ConnectionFailed ConnectTimeout TLSError HandshakeRejected ConnectionLost
        Refused AuthenticationError SubscriptionRejected ProtocolError QueueOverflow ClientClosed SubscriptionClosed
    """
    assert [n for n in names.split() if not hasattr(bybit_sync, n) or n not in bybit_sync.__all__] == []


def test_the_arguments_that_type_checkers_know_are_those_of_the_client() -> None:
    """`from_env` takes each of them by name, with the same type."""
    taken = inspect.signature(Client).parameters
    assert {name: kind.__forward_arg__ for name, kind in ClientOptions.__annotations__.items()} == {
        name: parameter.annotation for name, parameter in taken.items()
    }
