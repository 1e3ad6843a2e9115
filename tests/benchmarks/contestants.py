"""Who is measured: ours in its forms, the peers as their users use them, and what Python can do at best.

A contestant subscribes to all four streams, and hands the rows and the id of every message to the sink of its stream.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import json
import operator
import queue
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from operator import attrgetter, itemgetter
from typing import Any

import attrs

from tests.benchmarks.payloads import CONTRACTS, KINDS, STREAMS
from tests.benchmarks.tally import Sink

Sinks = Mapping[str, Sink]
Contestant = Callable[[str, Sinks], None]

KEY, SECRET = "bench-key", "bench-secret"
PATH = "/v5/private"
SPEED = ("msgspec",)
"""What the extra ``speed`` brings; a default install is one in which these cannot be imported."""
WSACCEL = ("wsaccel",)
"""What websocket-client uses by itself where it is installed: its UTF-8 check in C. Only ``pybit+wsaccel`` has it."""

_OUR_MARKS = {"position": "seq", "order": "order_link_id", "execution": "seq", "wallet": "total_equity"}


def block(names: Iterable[str]) -> None:
    """Make this process one in which *names* are not installed; before anything is imported that might use them."""
    for name in names:
        sys.modules[name] = None  # type: ignore[assignment]


def left_out(name: str) -> tuple[str, ...]:
    """Return what is not installed for contestant *name*."""
    return (*(SPEED if name in DEFAULT_INSTALL else ()), *(() if "+wsaccel" in name else WSACCEL))


# -- ours


def _handing_to(sink: Sink) -> Callable[[Any], None]:
    def hand_over(event: Any) -> None:
        if event.gap:
            sink.fail(repr(event.gap))
        else:
            sink.add(event.data, event.id)

    return hand_over


def _client(url: str) -> Any:
    import bybit_sync  # noqa: PLC0415 - a peer's process does without it

    return bybit_sync.Client(KEY, SECRET, environment=url)


def subscribers(client: Any) -> Mapping[str, Callable[..., Any]]:
    """Return *client*'s four methods by the exchange's names of the streams."""
    return {
        "position": client.subscribe_positions,
        "order": client.subscribe_orders,
        "execution": client.subscribe_user_trades,
        "wallet": client.subscribe_balances,
    }


def callback(url: str, sinks: Sinks) -> None:
    """Take events by callbacks."""
    for stream, subscribe in subscribers(_client(url)).items():
        subscribe(_handing_to(sinks[stream]))


def inline(url: str, sinks: Sinks) -> None:
    """Take events on the thread that reads them."""
    import bybit_sync  # noqa: PLC0415 - a peer's process does without it

    for stream, subscribe in subscribers(_client(url)).items():
        subscribe(bybit_sync.Inline(_handing_to(sinks[stream])))


class _NothingThere(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def recovering(url: str, sinks: Sinks) -> None:
    """Take events by callbacks of a client that recovers; its REST host refuses, so that it reads nothing meanwhile."""
    import bybit_sync  # noqa: PLC0415 - a peer's process does without it

    host = HTTPServer(("127.0.0.1", 0), _NothingThere)
    threading.Thread(target=host.serve_forever, daemon=True).start()
    options = bybit_sync.Recovery(base_url=f"http://127.0.0.1:{host.server_port}")
    client = bybit_sync.Client(KEY, SECRET, environment=url, recover=options)
    for stream, subscribe in subscribers(client).items():
        hand_over = _handing_to(sinks[stream])
        subscribe(lambda event, hand_over=hand_over: None if event.gap and event.gap.reason == "START" else hand_over(event))


def one_queue(url: str, sinks: Sinks) -> None:
    """Take events from one queue of our own for all streams."""
    inbox = queue.SimpleQueue[Any]()
    takers: dict[object, Callable[[Any], None]] = {}
    for stream, subscribe in subscribers(_client(url)).items():
        takers[subscribe(inbox).stream] = _handing_to(sinks[stream])

    def consume() -> None:
        while True:
            event = inbox.get()
            takers[event.stream](event)

    threading.Thread(target=consume, daemon=True).start()


def iterator(url: str, sinks: Sinks) -> None:
    """Take events by a loop over each subscription."""

    def consume(subscription: Any, take: Callable[[Any], None]) -> None:
        for event in subscription:
            take(event)

    for stream, subscribe in subscribers(_client(url)).items():
        threading.Thread(target=consume, args=(subscribe(), _handing_to(sinks[stream])), daemon=True).start()


# -- the peers


def pybit(url: str, sinks: Sinks) -> None:
    """The exchange's own library: websocket-client on a thread, callbacks with dicts."""
    unified_trading = importlib.import_module("pybit.unified_trading")
    unified_trading.PRIVATE_WSS = url + PATH  # type: ignore[attr-defined]  # there is no other way to name a server
    client: Any = unified_trading.WebSocket(channel_type="private", testnet=False, api_key=KEY, api_secret=SECRET)
    for stream, sink in sinks.items():
        getattr(client, f"{stream}_stream")(lambda message, sink=sink: sink.add(message["data"], message["id"]))


_CCXT_OPTIONS = {
    "enableUnifiedMargin": False,
    "enableUnifiedAccount": True,
    "defaultType": "swap",
    "watchPositions": {"fetchPositionsSnapshot": False, "awaitPositionsSnapshot": False},
}
_CCXT_LOOPS = {
    "position": "watch_positions",
    "order": "watch_orders",
    "execution": "watch_my_trades",
    "wallet": "watch_balance",
}


_LINEAR_SWAP = {
    **dict.fromkeys(("quote", "quoteId", "settle", "settleId"), "USDT"),
    **dict.fromkeys(("swap", "contract", "linear", "active"), True),
    "type": "swap",
    "inverse": False,
}


def _market(symbol: str) -> dict[str, Any]:
    base = symbol.removesuffix("USDT")
    market = {
        "id": symbol,
        "symbol": f"{base}/USDT:USDT",
        "contractSize": 1,
        "precision": {"amount": 0.001, "price": 0.0001},
    }
    return market | dict.fromkeys(("base", "baseId"), base) | _LINEAR_SWAP


def ccxt(url: str, sinks: Sinks) -> None:
    """ccxt.pro: asyncio, a loop over each ``watch_…`` method.

    When several messages lie ready at once, a loop gets only one turn for all of them; so what is counted is what ccxt has
    processed, and how many turns a loop got is told beside it.
    What it would read by REST first (its markets, the kind of account) is handed to it.
    """
    pro = importlib.import_module("ccxt.pro")

    class Counted(pro.bybit):  # type: ignore[name-defined, misc]  # there are no types
        def handle_message(self, client: Any, message: Any) -> None:
            super().handle_message(client, message)
            if "topic" in message:
                sinks[message["topic"]].add(message["data"], message["id"])

    async def follow(watch: Callable[[], Any], sink: Sink) -> None:
        while True:
            await watch()
            sink.turns += 1

    async def main() -> None:
        exchange = Counted({"apiKey": KEY, "secret": SECRET, "options": _CCXT_OPTIONS})
        exchange.set_markets([exchange.safe_market_structure(_market(symbol)) for symbol in CONTRACTS])
        exchange.urls["api"]["ws"]["private"]["contract"] = url + PATH
        await asyncio.gather(*(follow(getattr(exchange, name), sinks[stream]) for stream, name in _CCXT_LOOPS.items()))

    threading.Thread(target=asyncio.run, args=(main(),), daemon=True).start()


# -- for comparison


def _dialogue() -> list[str]:
    requests = [{"op": "auth", "args": [KEY, 0, "believed"]}, *({"op": "subscribe", "args": [stream]} for stream in STREAMS)]
    return [json.dumps(request) for request in requests]


def bare(url: str, sinks: Sinks) -> None:
    """A loop over websocket-client without its UTF-8 check, and `json.loads`: what pybit could cost."""
    import websocket  # noqa: PLC0415 - only here

    client: Any = websocket.create_connection(url + PATH, skip_utf8_validation=True)
    for request in _dialogue():
        client.send(request)
        client.recv()

    def consume() -> None:
        while True:
            message = json.loads(client.recv())
            sinks[message["topic"]].add(message["data"], message["id"])

    threading.Thread(target=consume, daemon=True).start()


def limit(url: str, sinks: Sinks, *, exact: bool = False) -> None:
    """One thread, large reads, frames cut in place, JSON decoded in C into structs, a function per message.

    Structs of text as it stands in the message; with *exact*, of Decimals where we give Decimals.
    """
    import msgspec  # noqa: PLC0415 - only here

    from tests.benchmarks.structs import pushes  # noqa: PLC0415 - needs msgspec

    sock, structs = _opened(url), pushes(exact=exact)
    takers = {struct: sinks[stream].add for stream, struct in structs.items()}
    decode = msgspec.json.Decoder(functools.reduce(operator.or_, structs.values())).decode

    def hand_over(payload: memoryview) -> None:
        push = decode(payload)
        takers[type(push)](push.data, push.id)

    threading.Thread(target=_cut_frames, args=(sock, hand_over), daemon=True).start()


def exact_limit(url: str, sinks: Sinks) -> None:
    """Do the same with Decimals."""
    limit(url, sinks, exact=True)


def _opened(url: str) -> socket.socket:
    """Return a socket with a WebSocket on it, opened by websocket-client, on which everything asked has been answered."""
    import websocket  # noqa: PLC0415 - only here

    client: Any = websocket.create_connection(url + PATH, skip_utf8_validation=True)
    for request in _dialogue():
        client.send(request)
        client.recv()
    sock: socket.socket = client.sock
    sock.settimeout(None)
    return sock


def _cut_frames(sock: socket.socket, hand_over: Callable[[memoryview], None]) -> None:
    store = bytearray(1 << 20)
    view, held = memoryview(store), 0
    while received := sock.recv_into(view[held:]):
        at, end = 0, held + received
        while end - at > 4:  # the longest head but one (RFC 6455, section 5.2)
            size, start = store[at + 1], at + 2
            if size == 126:
                size, start = store[at + 2] << 8 | store[at + 3], at + 4
            elif size == 127:
                size, start = int.from_bytes(store[at + 2 : at + 10], "big"), at + 10
            if start + size > end:
                break
            at = start + size
            hand_over(view[start:at])
        held = end - at
        store[:held] = store[at:end]


CONTESTANTS: dict[str, Contestant] = {
    "callback": callback,
    "queue": one_queue,
    "iterator": iterator,
    "inline": inline,
    "recover": recovering,
    "callback+speed": callback,
    "queue+speed": one_queue,
    "iterator+speed": iterator,
    "inline+speed": inline,
    "recover+speed": recovering,
    "callback, all read": callback,
    "callback+speed, all read": callback,
    "pybit": pybit,
    "pybit+wsaccel": pybit,
    "pybit, all read": pybit,
    "pybit+wsaccel, all read": pybit,
    "ccxt": ccxt,
    "bare": bare,
    "limit": limit,
    "exact limit": exact_limit,
}
FORMS = ("callback", "queue", "iterator", "recover", "inline")
OURS = tuple(name for name in CONTESTANTS if name.replace(",", "+").split("+")[0] in FORMS)
DEFAULT_INSTALL = frozenset(name for name in OURS if "+speed" not in name)


def reads(name: str) -> Callable[[Any], object] | None:
    """Return what reads every field of a row that contestant *name* hands over; None if its user reads one."""
    if not name.endswith("all read"):
        return None
    return _every_attribute if name in OURS else lambda row: [*row.values()]


def _every_attribute(row: Any) -> list[Any]:
    return [getattr(row, name) for name in _attributes(type(row))]


@functools.cache
def _attributes(cls: type[Any]) -> tuple[str, ...]:
    """Return the names of what the exchange sent: `wire` and `extra` are the same once more."""
    return tuple(field.name for field in attrs.fields(cls) if field.name not in ("wire", "extra"))


def marks(name: str) -> dict[str, Callable[[Any], object]]:
    """Return what reads, of a row that contestant *name* hands over, the value that no other row shares."""
    if name in OURS:
        return {stream: attrgetter(_OUR_MARKS[stream]) for stream in STREAMS}
    getter = attrgetter if name.endswith("limit") else itemgetter
    return {stream: getter(KINDS[stream].mark) for stream in STREAMS}
