"""Section L: secrets."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import logging
import pickle
import ssl
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import cattrs
import pytest

import bybit_sync
from bybit_sync import (
    AuthenticationError,
    BybitSyncError,
    ConnectTimeout,
    GapReason,
    HandshakeRejected,
    State,
    SubscriptionRejected,
    TLSError,
    to_dict,
)
from bybit_sync.network.wire import Wire
from tests.conftest import KEY, SECRET
from tests.faults import pace
from tests.faults.canaries import PASSWORD, canaries_in, rendered, secrets_in
from tests.faults.conftest import Play
from tests.faults.exchange import (
    ACCOUNT,
    Message,
    Talk,
    answer,
    close_frame,
    hang_up,
    ignore,
    order,
    push,
    read_request,
    say,
    serve,
)
from tests.faults.pace import patience, seconds, short, until
from tests.faults.rows import PLAIN_AND_TLS, row
from tests.faults.scene import Scene
from tests.faults.test_upgrade import HASTY
from tests.network.test_proxy import HttpProxy
from tests.network.test_websocket import answers
from tests.peers import CLOSE, Line, Peer, frame

# --- scripts of exchanges and others that repeat what they were told ---


def echo(line: Talk, request: Message) -> None:
    """Refuse *request* in words that hold all of it, as old gateways did."""
    answer(line, request, success=False, text=f"Error sign: {json.dumps(request)}", echo=request)


def echoes_and_leaves(line: Talk) -> None:
    """Wait for the login, and close with a reason that holds its key or signature."""
    request = read_request(line, "auth")
    say(line, close_frame(4001, request["args"][0].encode() + b" " + request["args"][2].encode()))


def pushes_in_all_shapes(line: Talk) -> None:
    """Push what can be read and what cannot, each with the account's id in its envelope."""
    say(line, order(line, "fine"))
    push(line, "order.linear", [{"category": "linear", "orderId": "bad", "qty": "1_000"}])
    push(line, "strange", [{"accountId": ACCOUNT}])
    say(line, frame(f'{{"id": "{ACCOUNT}", "topic": "order.linear", "data": ['))
    say(line, frame(json.dumps({"id": ACCOUNT, "op": "what", "conn_id": "1"})), frame(json.dumps([ACCOUNT])))


# --- rendering ---


def looks(thing: object) -> dict[str, Callable[[], object]]:
    """Return every way to look at *thing* that may show what it is made of."""
    return {
        "repr": lambda: repr(thing),
        "str": lambda: str(thing),
        "format": lambda: f"{thing}",
        "ascii": lambda: ascii(thing),
        "vars": lambda: repr(vars(thing)),
        "dir": lambda: [repr(getattr(thing, name, None)) for name in dir(thing)],
        "asdict": lambda: repr(attrs.asdict(thing)),  # type: ignore[call-overload]
        "astuple": lambda: repr(attrs.astuple(thing)),  # type: ignore[call-overload]
        "dataclass": lambda: repr(dataclasses.asdict(thing)),  # type: ignore[call-overload]
        "unstructure": lambda: repr(cattrs.unstructure(thing)),
        "json": lambda: json.dumps(thing, default=str),
        "json of vars": lambda: json.dumps(vars(thing), default=str),
        "to_dict": lambda: repr(to_dict(thing)),  # type: ignore[arg-type]
        "pickle": lambda: pickle.dumps(thing).decode("latin-1"),
        "copy": lambda: repr(vars(copy.copy(thing))),
        "deepcopy": lambda: repr(copy.deepcopy(thing)),
        "reduce": lambda: repr(thing.__reduce_ex__(4)),
    }


def seen(thing: object) -> Iterator[tuple[str, str]]:
    """Yield what each look at *thing* shows, its refusal included."""
    for way, look in looks(thing).items():
        try:
            yield way, str(look())
        except Exception as error:  # noqa: BLE001 that it cannot be looked at in this way is fine; what it says of it must be, too
            yield way, f"{error} {error!r}"


def parts(thing: object) -> Iterator[object]:
    """Yield all that *thing* is made of, by attributes and containers, but not what functions enclose."""
    waiting, known = [thing], set[int]()
    while waiting:
        part = waiting.pop()
        if id(part) in known or isinstance(part, (type, types.ModuleType, types.FunctionType, logging.Logger)):
            continue
        known.add(id(part))
        yield part
        if isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, (list, tuple, set, frozenset)):
            waiting += part
        elif type(part).__module__.startswith(("bybit_sync", "tests", "threading")):
            slots = [name for kind in type(part).__mro__ for name in getattr(kind, "__slots__", ())]
            waiting += [getattr(part, name) for name in slots if hasattr(part, name)]
            waiting += getattr(part, "__dict__", {}).values()


# --- tests ---


def collection(scene: Scene) -> dict[str, object]:
    """Have a client see every kind of thing, and return one of each."""
    orders = scene.subscribe()
    orders.counted = False
    pulled = scene.client.subscribe_orders()
    scene.exchange.do(pushes_in_all_shapes)
    event, gap = orders.next(), orders.next()
    scene.exchange.do(hang_up)
    lost = next(e for e in iter(orders.next, None) if e.gap and e.gap.reason is GapReason.DISCONNECTED)
    scene.exchange.wait_for(lambda: scene.exchange.talks[-1].is_open)
    scene.status.is_told(State.LIVE)
    settings = scene.client._config
    return {
        "client": scene.client,
        "pull": pulled,
        "callback": next(r.handle for r in scene.client._engine.registry if r.handle is not pulled),
        "event": event,
        "row": event.data[0],
        "undecodable": gap,
        "lost": lost,
        "its gap": lost.gap,
        "its error": lost.gap.error,
        "health": scene.client.health(),
        "change": scene.status.changes[-1],
        "settings": settings,
        "credentials": settings.credentials,
        "environment": settings.environment,
        "session_config": settings.session_config,
        "proxy": settings.proxy,
        "connection": scene.client._engine,
        "class": type(scene.client),
        "module": bybit_sync,
    }


@row(155, kills="the credentials are an attrs class with a key and a secret")
def test_no_look_at_a_public_object_shows_a_secret(play: Play) -> None:
    """Neither repr nor pickle, copy, asdict or vars of what a user may hold; nor the account's id where people look."""
    with Peer(HttpProxy()) as proxy:
        scene = play(proxy=f"http://me:{PASSWORD}@127.0.0.1:{proxy.port}")
        things = collection(scene)
        assert scene.exchange.signatures
        for name, thing in things.items():
            for way, shown in seen(thing):
                assert not secrets_in(shown), (name, way)
            assert not canaries_in(f"{thing} {thing!r}"), name


@row(155, kills="the key is kept as an attribute, for the remedy of a refused login")
def test_nothing_that_a_client_is_made_of_is_a_secret(play: Play) -> None:
    """However deep one digs by attributes: no text, no bytes, no repr of a part."""
    scene = play()
    collection(scene)
    found = list(parts(scene.client))
    assert len(found) > 100
    for part in found:
        assert not secrets_in(part if isinstance(part, str) else repr(part)), type(part)


@row(155, kills="a client can be pickled as long as it is not connected")
@pytest.mark.parametrize("how", [pickle.dumps, copy.copy, copy.deepcopy])
def test_what_owns_a_connection_is_neither_pickled_nor_copied(play: Play, how: Callable[[object], object]) -> None:
    """A `TypeError` says so, before and while it is connected."""
    scene = play()
    with pytest.raises(TypeError, match="Client"):
        how(scene.client)
    pulled = scene.client.subscribe_orders()
    for thing in (scene.client, pulled, scene.client._config.credentials):
        with pytest.raises(TypeError) as raised:
            how(thing)
        assert not secrets_in(str(raised.value))


@row(156, kills="messages are sent by WebSocket.send, which traces them")
@PLAIN_AND_TLS
def test_nothing_that_is_logged_holds_a_secret(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    """Every logger at NOTSET, websocket-client's trace on: a whole life with pushes, refusals and outages tells nothing."""
    scene = play(serve, echoes_and_leaves, serve, signer=None)
    collection(scene)
    scene.client.subscribe_balances()
    scene.exchange.do(say, frame(b"123 of 456", CLOSE))
    scene.exchange.wait_for(lambda: len(scene.exchange.talks) >= 4 and scene.exchange.talks[-1].is_open)
    assert logging.getLogger().level == logging.getLogger("websocket.anything").getEffectiveLevel() - logging.DEBUG == 0
    told = {record.name.split(".")[0] for record in caplog.records}
    assert {"bybit_sync", "websocket"} <= told, told
    assert not canaries_in(caplog.text)


@row(156, kills="nothing: it is the net under all fault tests that is tried here")
@pytest.mark.parametrize("secret", [KEY, SECRET, PASSWORD, ACCOUNT, "ab" * 32, "AB" * 32])
def test_a_canary_in_a_log_is_found(secret: str) -> None:
    """What the suite's own net looks for in everything that is captured, it finds; and the usual text is nothing to it."""
    assert canaries_in(f"WARNING bybit-1: {secret}.")
    assert not canaries_in("WARNING bybit-1: 127.0.0.1:5 refused (1700000000000), order 8c065341-7b52-4ca9-ac2c-37e31ac55c94")


# --- errors ---


def wrong_key(scene: Scene) -> BaseException:
    """Be refused by an exchange that repeats the login."""
    with pytest.raises(AuthenticationError) as raised:
        scene.subscribe()
    return raised.value


def wrong_topic(scene: Scene) -> BaseException:
    """Be refused a topic."""
    with pytest.raises(SubscriptionRejected) as raised:
        scene.subscribe()
    return raised.value


def timeout(scene: Scene) -> BaseException:
    """Get no answer to the login."""
    with pytest.raises(ConnectTimeout) as raised:
        scene.subscribe(timeout=1.2 * short())
    return raised.value


def rejected(scene: Scene) -> BaseException:
    """Be refused by the server before the exchange."""
    with scene.instead(answers("HTTP/1.1 403 No\r\n\r\n")), pytest.raises(HandshakeRejected) as raised:
        scene.subscribe()
    return raised.value


def said_goodbye(scene: Scene) -> BaseException:
    """Be sent away with one's own signature."""
    with pytest.raises(ConnectTimeout) as raised:
        scene.subscribe(timeout=seconds(5))
    return raised.value


def no_proxy(scene: Scene) -> BaseException:
    """Be refused by a proxy."""
    with Peer(answers("HTTP/1.1 407 No\r\n\r\n")) as proxy:
        scene._arguments["proxy"] = f"http://me:{PASSWORD}@127.0.0.1:{proxy.port}"
        with pytest.raises(ConnectTimeout) as raised:
            scene.subscribe(timeout=seconds(5))
    return raised.value


SITUATIONS: dict[str, tuple[Callable[[Talk], object], Callable[[Scene], BaseException]]] = {
    "a login refused, and repeated": (functools.partial(serve, auth=echo), wrong_key),
    "a topic refused, and repeated": (functools.partial(serve, subscribe=echo), wrong_topic),
    "a login without an answer": (functools.partial(serve, auth=ignore), timeout),
    "a server that forbids": (serve, rejected),
    "a goodbye that repeats": (echoes_and_leaves, said_goodbye),
    "a proxy that refuses": (serve, no_proxy),
}


@row(157, kills="the login's text is a local of a frame that an error passes")
@PLAIN_AND_TLS
@pytest.mark.parametrize("situation", SITUATIONS)
def test_no_error_carries_a_secret(play: Play, situation: str) -> None:
    """Neither in its text nor in its causes, notes, attributes or the locals of any frame that it passed."""
    script, meet = SITUATIONS[situation]
    scene = play(script)
    error = meet(scene)
    scene.histories.clear()
    assert isinstance(error, BybitSyncError)
    assert not canaries_in(rendered(error)), rendered(error)
    last = scene.client._engine._supervisor.progress.last_error
    assert last is None or not canaries_in(rendered(last))
    for change in scene.status.changes:
        assert change.error is None or not canaries_in(rendered(change.error))


@row(157, kills="the error of a certificate carries the context's frames")
@pytest.mark.parametrize("net", ["tls"], indirect=True)
def test_no_error_of_a_certificate_carries_a_secret(play: Play) -> None:
    """Nor does what `ssl` raised, which it came from."""
    scene = play(ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    with pytest.raises(TLSError) as raised:
        scene.subscribe()
    assert not canaries_in(rendered(raised.value))


@row(157, kills="what a signer raises is chained to the error, with the frames that it passed")
@pytest.mark.parametrize("fails", ["raises", "returns bytes"])
def test_no_error_carries_what_a_signer_had_in_its_hands(play: Play, fails: str) -> None:
    """Its text is told, its frames are not: they hold its key."""

    def sign(text: str) -> Any:
        private_key = SECRET
        if fails == "raises":
            raise OSError("the card is gone")
        return private_key.encode()

    arguments = {"environment": play().url, "signer": sign, **pace.arguments()}
    with (
        pace.FaultClient(KEY, **arguments) as client,
        pytest.raises(AuthenticationError, match="could not be signed") as raised,
    ):
        client.subscribe_orders()
    assert not secrets_in(rendered(raised.value)), rendered(raised.value)


def locals_from(frame: types.FrameType | None) -> str:
    """Return the locals of *frame* and of those that called it."""
    told = ""
    while frame is not None:
        told += f"{frame.f_code.co_name} {frame.f_locals!r}\n"
        frame = frame.f_back
    return told


def locals_of(scene: Scene) -> str:
    """Return the locals of every frame of every thread of the client.

    Without the GIL a thread runs on while its frames are read, and some may be missing: they are read again.
    """
    mine = {thread.ident for thread in threading.enumerate() if thread.name.startswith(scene.client.name + "-")}
    told = list[str]()

    def complete() -> bool:
        told.extend(locals_from(frame) for thread, frame in sys._current_frames().items() if thread in mine)
        return any("_run_session" in each for each in told)

    until(complete)
    return "".join(told)


def let_in(line: Talk) -> None:
    """Accept the login that was ignored."""
    answer(line, line.requests[0])


@row(157, kills="the session keeps the login's text until it is answered, in a local")
@PLAIN_AND_TLS
def test_no_frame_holds_a_secret_while_the_login_waits(play: Play) -> None:
    """Whoever dumps the stacks of all threads with their locals, before and after the answer, finds none."""
    scene = play(functools.partial(serve, auth=ignore), request_timeout=5.0)
    scene.subscribe(wait=False)
    scene.exchange.wait_for(lambda: scene.exchange.talks and scene.exchange.talks[0].requests)
    scene.exchange.do(say, frame(json.dumps({"op": "hello"})))
    scene.log.wait_for("unknown shape")
    assert not secrets_in(locals_of(scene))
    scene.exchange.do(let_in)
    scene.status.wait_for(State.LIVE)
    scene.goes_on()
    assert not secrets_in(locals_of(scene))


@row(157, kills="the text of a message is kept until all of it is written")
@PLAIN_AND_TLS
def test_no_frame_holds_the_login_while_it_is_written(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does who looks at them at that very moment."""
    told: list[str] = []
    write = Wire.write

    def watched(self: Wire, data: bytes) -> BaseException | None:
        told.append(locals_from(sys._getframe(1)))
        return write(self, data)

    monkeypatch.setattr(Wire, "write", watched)
    play().subscribe()
    assert len(told) >= 3
    assert not secrets_in("".join(told))


# --- where it is sent ---


class Listener:
    """A script that takes down all that is said to it, answering with *answer* when a request or a hello came."""

    def __init__(self, answer: bytes) -> None:
        self.heard = b""
        self._answer = answer

    def __call__(self, line: Line) -> None:
        """Listen until the other side leaves."""
        line.sock.settimeout(patience())
        while data := line.sock.recv(65536):
            self.heard += data
            if b"\r\n\r\n" in self.heard or self.heard[:1] == b"\x16":
                line.send(self._answer)


ANSWERS = (
    b"",
    b"HTTP/1.1 200 OK\r\n\r\nhello",
    b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:%d/\r\nSet-Cookie: a=b\r\n\r\n",
    b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\n\r\n",
    b"HTTP/1.1 101 Yes\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
)


@row(158, kills="the login is sent as soon as something has answered")
@pytest.mark.parametrize(("net", "plain"), [("plain", True), ("tls", True), ("tls", False)], indirect=["net"])
def test_nobody_but_the_exchange_gets_the_login(play: Play, *, plain: bool) -> None:
    """Whoever answers in its place, and wherever that one points to, gets no key, no signature and no cookie."""
    scene = play(timings={"distrust": seconds(1)}, connect_timeout=2 * short(), backoff=HASTY)
    relay = scene.relay
    scene.subscribe()
    with Peer(elsewhere := Listener(b"")) as target:
        listeners = [Listener(answer.replace(b"%d", str(target.port).encode())) for answer in ANSWERS]
        with scene.instead(*listeners, plain=plain):
            relay.reset()
            scene.fails(1 + len(listeners))
        # An attempt may run out of its short time after the exchange has taken it.
        scene.exchange.wait_for(lambda: len(scene.exchange.talks) >= 2 and scene.exchange.talks[-1].is_open)
        assert (target.accepted, elsewhere.heard) == (0, b"")
    for listener in listeners:
        heard = listener.heard.decode("latin-1").lower()
        assert heard
        assert not secrets_in(heard)
        assert "cookie" not in heard
        assert "authorization" not in heard


@row(158, kills="TLS is spoken with the proxy, and what is inside it is plain")
@pytest.mark.parametrize("net", ["tls"], indirect=True)
def test_a_proxy_sees_whom_we_talk_to_and_nothing_else(play: Play) -> None:
    """Through the tunnel goes TLS with the exchange."""
    heard = bytearray()

    class Nosy(HttpProxy):
        def __call__(self, line: Line) -> None:
            line.sock = Tapped(line.sock, heard)  # type: ignore[assignment]
            super().__call__(line)

    with Peer(Nosy()) as proxy:
        scene = play(proxy=f"http://127.0.0.1:{proxy.port}")
        scene.subscribe()
        scene.goes_on()
        assert scene.client.close()
    text = bytes(heard).decode("latin-1")
    assert text.startswith("CONNECT 127.0.0.1:")
    assert "/v5/private" not in text
    assert not secrets_in(text)


class Tapped:
    """A socket whose incoming bytes are noted in *heard*."""

    def __init__(self, sock: Any, heard: bytearray) -> None:
        self._sock = sock
        self._heard = heard

    def recv(self, size: int) -> bytes:
        """Receive, and note it."""
        data: bytes = self._sock.recv(size)
        self._heard += data
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


# --- where else it could be ---


@row(159, kills="the name of a client is made of its key")
def test_nothing_that_the_system_shows_holds_a_secret(play: Play) -> None:
    """Names and arguments of threads, the process's command line, its comm entries, `health`."""
    scene = play()
    things = collection(scene)
    shown = [Path("/proc/self/cmdline").read_bytes().decode("latin-1"), repr(things["health"])]
    shown += [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
    for thread in threading.enumerate():
        shown.append(f"{thread!r} {thread.name}")
        if thread.name.startswith(scene.client.name):
            shown += [f"{vars(thread)}", repr(getattr(thread, "_target", "")), repr(getattr(thread, "_args", ""))]
    for text in shown:
        assert not canaries_in(text), text
