"""What is fuzzed: each target takes any bytes, and raises when the library makes of them what is not documented."""

from __future__ import annotations

import contextlib
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final, NamedTuple

import attrs

from bybit_sync import to_dict
from bybit_sync.config.environments import Environment
from bybit_sync.decoding.parsing import PARSERS, Unreadable, parse
from bybit_sync.decoding.reader import Reader
from bybit_sync.errors import AuthenticationError, ConnectionFailed, ConnectionLost, HandshakeRejected, ProtocolError
from bybit_sync.model.events import Event, Stream
from bybit_sync.network.link import Link
from bybit_sync.network.websocket import Transport
from bybit_sync.session.dialects import RENAMES, V3, V5
from bybit_sync.session.messages import Request, classify, write
from bybit_sync.signing.credentials import Credentials
from tests import peers
from tests.fuzzing.inputs import OTHERS, ROW, TOKENS, TOPICS, pushed
from tests.fuzzing.oracles import check_line, check_meaning, check_news, check_update
from tests.fuzzing.tape import Tape, cut
from tests.talking import Talk

CATEGORIES: Final = ("linear", "inverse")


class Target(NamedTuple):
    """One thing to be fuzzed: *run* checks an input, *seeds* are some to begin with, *words* pieces worth trying."""

    run: Callable[[bytes], None]
    seeds: Sequence[bytes]
    words: Sequence[bytes] = ()


# --- JSON, and what a message is ---


def parsing(data: bytes) -> None:
    """Every parser reads the same, or says `Unreadable`; an object is one of the four messages."""
    outcomes = {name: _outcome(one, data) for name, one in PARSERS.items()}
    for (name, ours), (other, theirs) in pairwise(outcomes.items()):
        assert repr(ours) == repr(theirs), f"{name} reads {ours!r}, {other} {theirs!r}"
    value = outcomes["json"]
    if type(value) is dict:
        check_meaning(classify(value))


def _outcome(read_json: Callable[[bytes], Any], data: bytes) -> object:
    try:
        return read_json(data)
    except Unreadable as error:
        check_line(error.detail)
        return "unreadable"


# --- rows ---

CHANNELS: Final = [channel for dialect in (V5, V3) for stream in Stream for channel in dialect.channels(stream, CATEGORIES[:1])]


def _keys(row: type[Any]) -> list[str]:
    """Return what the exchange calls the attributes of *row*, and a key that it never sends."""
    keys = [field.metadata["key"] for field in attrs.fields(row) if "key" in field.metadata]
    return [*keys, *(alias for alias, key in RENAMES.items() if key in keys), "neverSeen"]


KEYS: Final = {channel: _keys(channel.reader.cls) for channel in CHANNELS}


def decoding(data: bytes) -> None:
    """Each row is an update or a fault; an update is what the slow reader, too, makes of the row, and keeps every digit.

    The first byte says which channel. A line is a byte for the key and its value, JSON or else a text; an empty line begins
    another row.
    """
    channel = CHANNELS[data[0] % len(CHANNELS) if data else 0]
    # Else it would soon have seen enough shapes, and write no function any more.
    channel.reader.compiled.clear()
    for row in _rows(KEYS[channel], data[1:]):
        updates, faults = channel.decode([row])
        assert len(updates) + len(faults) == 1
        for fault in faults:
            check_line(fault)
        for update in updates:
            check_update(update)
            _check_row(channel.reader, update.coins[0] if channel.gather else update, row)


def _check_row(reader: Reader, update: Any, row: dict[str, Any]) -> None:
    assert dict(update.wire) == row
    assert to_dict(update) == to_dict(reader.compiled.read_slowly(row, row)) == to_dict(reader.explained(row))
    for field in attrs.fields(reader.cls):
        value = getattr(update, field.name)
        if type(value) is Decimal:
            written = row[field.metadata["key"]]
            assert value.as_tuple() == Decimal(written).as_tuple(), (written, value)


def _rows(keys: Sequence[str], data: bytes) -> Iterator[dict[str, Any]]:
    for block in data.split(b"\n\n"):
        yield {keys[line[0] % len(keys)]: _value(line[1:]) for line in block.split(b"\n") if line}


def _value(data: bytes) -> Any:
    try:
        return parse(data)
    except Unreadable:
        return data.decode("utf-8", "surrogateescape")


# --- a session ---

ENDINGS: Final = (ConnectionLost, ProtocolError, AuthenticationError)
CREDENTIALS: Final = Credentials("KEY", lambda _: "signature")


def session(data: bytes) -> None:
    """Every event is well formed, of a stream that is wanted and confirmed; the end is a documented one.

    The first byte says which dialect. A line is one of `_MOVES`, or a frame in which REQ stands for the number of the oldest
    request.
    """
    talk = Talk(*Stream, dialect=V3 if data[:1] == b"3" else V5, categories=CATEGORIES)
    pending: list[Request] = []
    with _every_record_is_a_line(), contextlib.suppress(*ENDINGS):
        for line in data[1:].split(b"\n"):
            pending += [request for request in talk.asked() if request.op != "ping"]
            for news in _move(talk, pending, line):
                check_news(news)
                assert not isinstance(news, Event) or talk.session.is_confirmed(news.stream), "nobody is to get that yet"
            talk.wait(0)
            _check_session(talk)


def _move(talk: Talk, pending: list[Request], line: bytes) -> Sequence[Any]:
    if line in _ANSWERS:
        return talk.answer(pending.pop(0), **_ANSWERS[line]) if pending else ()
    if line in _MOVES:
        return _MOVES[line](talk) or ()
    number = str(pending[0].req_id) if pending else ""
    return talk.hear_frame(line.replace(b"REQ", number.encode()))


_ANSWERS: Final[Mapping[bytes, Mapping[str, Any]]] = {
    b"yes": {},
    b"nameless yes": {"with_id": False},
    b"no": {"success": False, "text": "no"},
    b"no, the clock": {"success": False, "text": "Params Error"},
}
_MOVES: Final[Mapping[bytes, Callable[[Talk], Any]]] = {
    b"pong": Talk.pong,
    b"wait": lambda talk: talk.wait(1),
    b"doubt": lambda talk: talk.session.probe_now(talk.now),
    b"leave": lambda talk: talk.session.unsubscribe(Stream.ORDERS),
    b"want": lambda talk: talk.session.subscribe(Stream.ORDERS, talk.now),
}


def _check_session(talk: Talk) -> None:
    assert math.isfinite(talk.session.next_deadline())
    until = talk.session.coverage.complete_until()
    assert until is None or until.tzinfo is not None
    talk.clock.at(talk.now)
    for request in (*talk.session._requests._unanswered.values(), *talk.session._requests._outbox):
        json.loads(write(request, CREDENTIALS))


class _Strict(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        check_line(record.getMessage())


@contextlib.contextmanager
def _every_record_is_a_line() -> Iterator[None]:
    logger = logging.getLogger("bybit_sync")
    strict, level, up = _Strict(), logger.level, logger.propagate
    logger.addHandler(strict)
    logger.setLevel(logging.DEBUG)
    # Whoever else listens would print, or keep, every record.
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(strict)
        logger.setLevel(level)
        logger.propagate = up


# --- the answer to the upgrade ---

PLACE: Final = Environment.find("ws://127.0.0.1:1")


def head(data: bytes) -> None:
    """It opens, or fails with `ConnectionFailed`, however it is cut.

    ACCEPT stands for the right answer to our key.
    """
    outcomes = [_upgraded(data, size) for size in (1, 7, max(1, len(data)))]
    kinds = {outcome and type(outcome) for outcome in outcomes}
    assert len(kinds) == 1, outcomes
    for outcome in outcomes:
        _check_failure(outcome)


class _Answering(Tape):
    """Answers what is written with *answer*, in pieces of *size*."""

    def __init__(self, answer: bytes, size: int) -> None:
        super().__init__()
        self._answer = answer
        self._size = size

    def write(self, data: bytes) -> BaseException | None:
        """Keep *data*, and make the answer to it."""
        right = peers.switching(data.decode().partition("\r\n\r\n")[0]).partition(b"Accept: ")[2].strip()
        self.pieces.extend(cut(self._answer.replace(b"ACCEPT", right), self._size))
        return super().write(data)


def _upgraded(data: bytes, size: int) -> ConnectionFailed | None:
    wire = _Answering(data, size)
    try:
        Link(wire).upgrade(PLACE, "/v5/private")
    except ConnectionFailed as error:
        return error
    return None


def _check_failure(outcome: ConnectionFailed | None) -> None:
    if outcome is not None:
        check_line(str(outcome))
    if isinstance(outcome, HandshakeRejected):
        assert outcome.status != 101
        assert 100 <= outcome.status <= 999
        assert outcome.retry_after is None or outcome.retry_after >= 0


# --- frames of the WebSocket ---

LARGEST: Final = 4096


def frames(data: bytes) -> None:
    """The same messages come out, and the same end, however the bytes are cut."""
    outcomes = [_received(data, size) for size in (1, 5, max(1, len(data)))]
    assert outcomes[0] == outcomes[1] == outcomes[2], outcomes
    messages, end = outcomes[0][:2]
    assert all(type(message) is bytes and len(message) <= LARGEST for message in messages)
    check_line(end)


def _received(data: bytes, size: int) -> tuple[list[bytes], str, list[tuple[int, bytes]]]:
    """Return the messages in *data*, cut in pieces of *size*, how it ends, and what we wrote."""
    wire = Tape(cut(data, size))
    transport = Transport(wire, Link(wire), max_message_bytes=LARGEST, write_seconds=5)
    messages: list[bytes] = []
    try:
        for _ in range(2 * len(data) + 2):
            messages += transport.receive()
    except (ConnectionLost, ProtocolError) as error:
        return messages, f"{type(error).__name__}: {error}", list(_ours(wire.written))
    raise AssertionError("it does not end")


def _ours(written: bytes) -> Iterator[tuple[int, bytes]]:
    """Go over the frames that we wrote: short ones, masked."""
    while written:
        stop = 6 + (written[1] & 0x7F)
        yield written[0], peers.masked(written[6:stop], written[2:6])
        written = written[stop:]


# --- all of them ---

_PUSHES: Final = [json.dumps(pushed(topic, [dict(ROW)])).encode() for topics in TOPICS.values() for topic in topics]
_MESSAGES: Final = [*_PUSHES, *(json.dumps(message).encode() for message in OTHERS)]
_WORDS: Final = [token for token in TOKENS if token]


def _row_of(number: int) -> bytes:
    """Return a sound row for channel *number*, as `decoding` takes it."""
    keys, row = KEYS[CHANNELS[number]], dict(ROW)
    lines = [bytes([keys.index(key)]) + json.dumps(row[key]).encode() for key in keys if key in row]
    return bytes([number]) + b"\n".join(lines)


_OPENING: Final = [b"yes", b"pong"] + [b"yes"] * 7
_ANSWER: Final = b"HTTP/1.1 %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n%s\r\n"

TARGETS: Final[Mapping[str, Target]] = {
    "parsing": Target(
        parsing, _MESSAGES, [*_WORDS, b'"topic":', b'"op":', b'"ret_msg":', b'"success":', b'"retCode":', b"1e5"]
    ),
    "decoding": Target(
        decoding,
        [_row_of(number) for number in range(len(CHANNELS))],
        [
            *_WORDS,
            b"\n",
            b"\n\n",
            b"1700000000000",
            b"253402300799999",
            b'{"USDT":"0.1"}',
            b'[{"coin":"USDT"}]',
            b"1e64",
            b"UNKNOWN",
        ],
    ),
    "session": Target(
        session,
        [
            b"\n".join([name, *_OPENING[: 1 + number % 9], message])
            for name in (b"5", b"3")
            for number, message in enumerate(_MESSAGES)
        ],
        [*_WORDS, *_ANSWERS, *_MOVES, b"\n", b'"req_id":"REQ"', b'"op":"pong"', b"253402300799999", b"Params Error"],
    ),
    "head": Target(
        head,
        [
            _ANSWER % (b"101 Switching Protocols", b""),
            _ANSWER % (b"101 Switching Protocols", b"") + peers.frame("{}"),
            _ANSWER % (b"503 Service Unavailable", b"Retry-After: 7\r\n") + b"busy",
            _ANSWER % (b"429 Too Many", b"Retry-After: Wed, 21 Oct 2099 07:28:00 GMT\r\n"),
            _ANSWER % (b"302 Found", b"Location: ws://elsewhere/\r\n"),
        ],
        [b"\r\n", b"\r\n\r\n", b": ", b"Sec-WebSocket-Extensions: ", b"Set-Cookie: a=b", b"Content-Length: 1", b"HTTP/1.0 "],
    ),
    "frames": Target(
        frames,
        [
            peers.frame("{}") + peers.frame("x" * 130) + peers.frame(b"y" * 200, peers.BINARY),
            peers.frame("a", fin=False) + peers.frame("p", peers.PING) + peers.frame("b", peers.CONT),
            peers.frame("p", peers.PONG) + peers.frame(b"\x03\xe8bye", peers.CLOSE),
            peers.frame("\N{EURO SIGN}") + peers.frame("", fin=False) + peers.frame("", peers.CONT),
        ],
        [
            b"\x81",
            b"\x01",
            b"\x80",
            b"\x00",
            b"\x82",
            b"\x89",
            b"\x8a",
            b"\x88",
            b"\x7e\x00\x80",
            b"\x7f\x00\x00\x00\x00\x00\x01\x00\x00",
        ],
    ),
}
