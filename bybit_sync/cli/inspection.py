"""The steps from this machine to an account's topics.

Each step uses the same code as the client.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from bybit_sync.cli.exits import DONE, code_of
from bybit_sync.cli.rest_probe import RestProbe
from bybit_sync.cli.status_line import seconds_text
from bybit_sync.cli.target import SUBSCRIBE, Target
from bybit_sync.client import Client
from bybit_sync.clock import ExchangeClock, Moment
from bybit_sync.config.environments import host_and_port
from bybit_sync.decoding.parsing import Unreadable, parse
from bybit_sync.errors import BybitSyncError, ConnectionFailed, ConnectionLost, ProtocolError, SubscriptionRejected, TLSError
from bybit_sync.model.events import Stream
from bybit_sync.network.dialing import dial
from bybit_sync.network.proxy import Proxy
from bybit_sync.network.websocket import Transport, open_websocket
from bybit_sync.session.dialects import DIALECTS
from bybit_sync.session.messages import Pong, classify
from bybit_sync.text import printable
from bybit_sync.threads.waker import Interrupt, Waker

__all__ = ["Outcome", "inspect"]

# Timeouts in seconds: of one attempt, and of the answer to a ping.
_PATIENCE: Final = 10.0
_PONG_PATIENCE: Final = 5.0
_MESSAGE: Final = 4 * 2**20
# A login expires after 10 s. A clock that is wrong by more than half of that is
# reported, though the library corrects it.
_SKEW: Final = 5.0


@attrs.frozen
class Outcome:
    """The outcome of one step.

    *works* is None when it was not tried; *code* is the exit code of a failure.
    """

    step: str
    works: bool | None
    says: str
    seconds: float | None = None
    code: int = DONE


def inspect(target: Target) -> Iterator[Outcome]:
    """Take the steps to *target* and yield each outcome at once.

    After a failure the rest is not tried.
    """
    waker = Waker()
    with contextlib.closing(waker), contextlib.ExitStack() as open_things:
        probe = _Probe(target, waker, open_things)
        steps: list[tuple[str, Callable[[], str]]] = [("name", probe.name), ("tcp", probe.tcp)]
        if target.environment.tls:
            steps.append(("tls", probe.tls))
        steps += [("upgrade", probe.upgrade), ("clock", probe.clock), ("login", probe.login)]
        steps += [(stream.value, lambda stream=stream: probe.topics(stream)) for stream in target.streams]  # type: ignore[misc]
        rest = RestProbe.find(target)
        if rest is not None:
            steps += [("rest", rest.host), ("rest_key", rest.key)]
            open_things.callback(rest.close)
        broken = False
        for step, take in steps:
            if broken:
                yield Outcome(step, None, "not tried")
                continue
            outcome = _taken(step, take)
            # Topics do not depend on each other, nor does REST on them; every other
            # step depends on those before it.
            broken = outcome.works is False and step not in SUBSCRIBE
            yield outcome


def _taken(step: str, take: Callable[[], str]) -> Outcome:
    began = time.monotonic()
    try:
        says, works, code = take(), True, DONE
    except (BybitSyncError, OSError) as error:
        says, works, code = printable(str(error), 2_000), False, code_of(_reached(error)) or DONE
    return Outcome(step, works, says, time.monotonic() - began, code)


def _reached(error: Exception) -> Exception:
    """Return *error*; a system error becomes an error of the connection."""
    return error if isinstance(error, BybitSyncError) else ConnectionFailed(str(error))


class _Probe:
    """The steps to one target, one method each.

    A method returns a text about the step, or raises the error of the step.
    """

    def __init__(self, target: Target, waker: Waker, open_things: contextlib.ExitStack) -> None:
        self._target = target
        self._there = target.environment
        self._interrupt = Interrupt(waker)
        self._open = open_things
        proxy = Proxy.parse(target.proxy)
        self._proxy = proxy
        route = proxy.route(self._there) if proxy else None
        # With a proxy, the first two steps lead to the proxy, which resolves the host.
        self._first = (route.host, route.port) if route else (self._there.host, self._there.port)
        self._through = "the proxy " if route else ""
        self._transport: Transport | None = None
        self._client: Client | None = None
        self._refused: dict[Stream, SubscriptionRejected] = {}

    def name(self) -> str:
        host, _ = self._first
        found = _resolved(host)
        if isinstance(found, str):
            raise ConnectionFailed(
                f"the name of {self._through}{host} was not resolved: {found}; is it right, and does this machine's DNS work?"
            )
        return f"{self._through}{host} is {', '.join(found)}"

    def tcp(self) -> str:
        where = f"{self._through}{host_and_port(*self._first)}"
        try:
            with socket.create_connection(self._first, timeout=_PATIENCE) as sock:
                return f"{where} accepts connections, as {sock.getpeername()[0]}"
        except OSError as error:
            why = error.strerror or str(error)
            raise ConnectionFailed(
                f"{where} cannot be reached: {why}; check --environment and --proxy, and what firewall stands between"
            ) from None

    def tls(self) -> str:
        try:
            wire = dial(
                self._there,
                deadline=time.monotonic() + _PATIENCE,
                interrupt=self._interrupt,
                proxy=self._proxy,
            )
        except TLSError as error:
            raise TLSError(f"{error}. Here an authority is trusted with SSL_CERT_FILE=its.pem in the environment") from None
        wire.close()
        return f"{self._there.host} has proved who it is"

    def upgrade(self) -> str:
        path = DIALECTS[self._target.dialect].path
        transport = open_websocket(
            self._there,
            path,
            deadline=time.monotonic() + _PATIENCE,
            interrupt=self._interrupt,
            proxy=self._proxy,
            max_message_bytes=_MESSAGE,
        )
        self._open.callback(transport.close)
        self._transport = transport
        return f"{path} speaks WebSocket"

    def clock(self) -> str:
        assert self._transport is not None
        sent, pong = Moment.now(), None
        with contextlib.suppress(ConnectionLost, ProtocolError):
            self._transport.send('{"op": "ping"}')
            pong = self._pong(self._transport, sent.seconds + _PONG_PATIENCE)
        self._transport.close()
        if pong is None or pong.at is None:
            return "not measured: it gives its time only after the login"
        clock = ExchangeClock()
        clock.learn(pong.at, sent=sent, received=Moment.now())
        offset = clock.offset or 0.0
        which = "behind" if offset > 0 else "ahead of"
        remedy = ": set it (NTP)" if abs(offset) >= _SKEW else ""
        return f"this machine is {seconds_text(abs(offset))} {which} the exchange{remedy}"

    def _pong(self, transport: Transport, deadline: float) -> Pong | None:
        while (left := deadline - time.monotonic()) > 0:
            transport.wait(left)
            for frame in transport.receive():
                with contextlib.suppress(Unreadable):
                    said = parse(frame)
                    if isinstance(said, dict) and isinstance(pong := classify(said), Pong):
                        return pong
        return None

    def login(self) -> str:
        # The exit stack closes it after the last step. It is the client of `watch` and
        # `record`.
        self._client = self._open.enter_context(self._target.client())
        stream = self._target.streams[0]
        try:
            SUBSCRIBE[stream](self._client, _drop, timeout=_PATIENCE)
        except SubscriptionRejected as error:
            self._refused[stream] = error
        return "the key is accepted"

    def topics(self, stream: Stream) -> str:
        assert self._client is not None
        if stream in self._refused:
            raise self._refused[stream]
        subscription = SUBSCRIBE[stream](self._client, _drop, timeout=_PATIENCE)
        return f"confirmed: {', '.join(subscription.topics)}"


def _resolved(host: str) -> list[str] | str:
    """Return the addresses of *host*, or the reason why there are none."""
    answer: queue.SimpleQueue[list[str] | str] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            answer.put(list(dict.fromkeys(str(info[4][0]) for info in found)))
        except (OSError, UnicodeError) as error:
            answer.put((isinstance(error, OSError) and error.strerror) or str(error))

    # getaddrinfo cannot be interrupted: it runs on a thread of its own, with a timeout.
    threading.Thread(target=ask, name="bybit-sync-resolver", daemon=True).start()
    try:
        return answer.get(timeout=_PATIENCE)
    except queue.Empty:
        return f"the resolver gave no answer within {_PATIENCE:g} s"


def _drop(_event: object) -> None:
    pass
