"""Section P: texts of the exchange that are too long, or that give back what nobody may see."""

from __future__ import annotations

import functools
import io
import json
import re
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from bybit_sync import AuthenticationError, ConnectTimeout, Refused, SubscriptionRejected
from bybit_sync.session.messages import LONGEST_TEXT, Answer, Push, UnknownMessage, classify
from bybit_sync.session.pushes import SHAPES_REMEMBERED
from bybit_sync.session.refusals import classify_refusal
from tests.conftest import KEY
from tests.faults.canaries import canaries_in, rendered
from tests.faults.conftest import Play
from tests.faults.exchange import Message, Talk, answer, push, read_request, say, serve
from tests.faults.pace import short
from tests.faults.rows import row
from tests.peers import frame, plays

LONG = 4 * 2**20 - 300


# --- long texts ---


def refusing(line: Talk, request: Message, *, text: str) -> None:
    """Refuse *request* with *text*."""
    answer(line, request, success=False, text=text)


BAITS = {
    "a word that begins a phrase": "key" * (LONG // 3),
    "two of them": "invalid exceeded " * (LONG // 17),
    "spaces": "topic:" + " " * LONG,
    "dots": "topic:" + "a." * (LONG // 2),
    "one word": "i" * LONG,
}


@row(199, kills="the text of a refusal is searched, or kept, in its whole length")
@pytest.mark.parametrize("bait", BAITS)
@pytest.mark.parametrize(("asked", "error"), [("auth", AuthenticationError), ("subscribe", SubscriptionRejected)])
def test_a_refusal_of_four_megabytes_is_cut(play: Play, asked: str, error: type[Refused], bait: str) -> None:
    """The error keeps the first thousand characters, and its text is a line."""
    scene = play(functools.partial(serve, **{asked: functools.partial(refusing, text=BAITS[bait])}))
    with pytest.raises(error) as raised:
        scene.subscribe()
    assert raised.value.text == BAITS[bait][:LONGEST_TEXT]
    assert len(str(raised.value)) < LONGEST_TEXT


ENVELOPES: dict[str, dict[str, Any]] = {
    "op": {"op": "x" * LONG, "data": [1]},
    "type": {"type": "x" * LONG, "data": [1]},
    "key": {"x" * LONG: 1},
    "topic": {"topic": "x" * LONG, "data": [1]},
    "request": {"op": "subscribe", "success": False, "req_id": "x" * LONG},
    "failed topics": {"type": "COMMAND_RESP", "data": {"failTopics": ["x" * LONG] * 1000}},
}


@row(199, kills="a name in an envelope is remembered in its whole length")
@pytest.mark.parametrize("place", ENVELOPES)
def test_every_text_of_an_envelope_is_cut_where_it_is_read(place: str) -> None:
    """So that nothing behind it, log, error or memory, meets a long one."""
    meaning = classify(ENVELOPES[place])
    assert isinstance(meaning, (Answer, Push, UnknownMessage))
    texts = meaning if isinstance(meaning, Push) else [getattr(meaning, name) for name in meaning.__slots__ if name[0] != "_"]
    assert max(len(text) for text in texts if isinstance(text, str)) <= LONGEST_TEXT


@row(199, kills="all keys of an object are sorted to show ten of them")
def test_an_object_of_many_keys_is_described_by_its_first() -> None:
    """Sorting hundreds of thousands of keys is one call during which no other thread runs: these cannot be compared."""

    class Key(str):
        __slots__ = ()

        def __lt__(self, other: str) -> bool:
            compared.append(other)
            return str.__lt__(self, other)

    compared: list[str] = []
    meaning = classify({Key(n): 1 for n in range(10_000)})
    assert isinstance(meaning, UnknownMessage)
    assert len(compared) < 1_000


@row(199, kills="the shapes that were warned of are kept in their whole length")
def test_what_was_warned_of_takes_a_bounded_number_of_bytes(play: Play) -> None:
    """However long, and however many, the shapes are that a peer invents."""
    scene = play()
    orders = scene.subscribe()
    orders.counted = False
    scene.exchange.do(push, "\U0001f600" * 100_000, [])
    scene.exchange.do(say, frame(json.dumps({f"{n}" + "\x01" * 1_000: 1 for n in range(10)})))
    scene.log.wait_for("unknown shape: an object with the keys 0")
    session = scene.client._engine._supervisor.conversation.session
    assert session is not None
    assert len(session._pushes._shapes) == 2
    assert max(map(sys.getsizeof, session._pushes._shapes)) * SHAPES_REMEMBERED < 2**20


@row(199, kills="a phrase is searched by a pattern that tries every beginning")
def test_a_refusals_meaning_is_found_in_linear_time() -> None:
    """Milliseconds of this thread's own time for a text that took a search from every beginning half a minute."""
    began = time.thread_time()
    for text in BAITS.values():
        classify_refusal(text[:90_000])
    assert time.thread_time() - began < 5


# --- what is given back ---


def escaped(text: str) -> str:
    """Return *text* with every character in JSON's long form."""
    return "".join(f"\\u{ord(c):04x}" for c in text)


def execution(line: Talk, **fields: object) -> None:
    """Push a trade with *fields*."""
    push(line, "execution.linear", [{"category": "linear", "execId": "1", "symbol": "B", **fields}])


Echo = Callable[[Talk, str], object]
ECHOES: dict[str, Echo] = {
    "topic": lambda line, echo: push(line, echo, []),
    "op": lambda line, echo: say(line, frame(json.dumps({"op": echo, "data": []}))),
    "type": lambda line, echo: say(line, frame(json.dumps({"type": echo, "op": echo}))),
    "JSON key": lambda line, echo: say(line, frame(json.dumps({echo: 1}))),
    "word": lambda line, echo: execution(line, execType=echo, side=echo),
    "key of a row": lambda line, echo: execution(line, **{echo: 1}),
    "bad number": lambda line, echo: execution(line, execQty=echo, execPrice=echo),
    "envelope's id": lambda line, echo: say(line, frame(json.dumps({"id": echo, "topic": "execution.linear", "data": [1]}))),
    "key of a mapping": lambda line, echo: push(line, "order.linear", [{"orderId": "1", "cumFeeDetail": {echo: "x"}}]),
    "escaped": lambda line, echo: say(line, frame(f'{{"op":"{escaped(echo)}","data":[1]}}')),
    "junk": lambda line, echo: say(line, frame('{"' + echo)),
}
SHAPES: dict[str, Callable[[str, str], str]] = {
    "both": lambda key, sign: f"{key} {sign}",
    "the signature": lambda _key, sign: sign,
    "in one word": lambda key, sign: key + sign,
    "in capitals": lambda key, sign: f"{key} {sign}".upper(),
    "half": lambda _key, sign: sign[20:52],
}


@row(207, kills="what the exchange says is logged as it is")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("place", ECHOES)
def test_nothing_tells_what_a_push_gives_back(play: Play, place: str, shape: str) -> None:
    """Neither a log, a gap or its error, nor a recording, wherever the login stands in a message and however it is written."""
    scene = play(record=(recording := io.StringIO()))
    history = scene.subscribe("user_trades")
    history.counted = False
    scene.subscribe().counted = False
    sign = scene.exchange.talks[0].requests[0]["args"][2]
    scene.exchange.do(lambda line: ECHOES[place](line, SHAPES[shape](KEY, sign)))
    scene.exchange.do(push, "the end", [])
    scene.log.wait_for("a push for the end")
    assert scene.client.close()
    gaps = "".join(f"{event.gap!r}{event.gap.error!r}" for event in history.events if event.gap)
    for told in (scene.log.text, gaps, recording.getvalue(), unescaped(recording.getvalue())):
        assert sign[20:52] not in told.lower()
        assert KEY.lower() not in told.lower()


def unescaped(recording: str) -> str:
    """Return the frames of *recording* with their escapes resolved."""
    frames = "".join(json.loads(line)["frame"] for line in recording.splitlines())
    return re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), frames)


def pushes_before_login(line: Talk) -> None:
    """Give the login back as the topic of a push, before it is answered."""
    request = read_request(line, "auth")
    push(line, f"{request['args'][0]} {request['args'][2]}", [])


@row(207, kills="only the end of a connection is redacted")
def test_no_error_tells_what_comes_before_the_login(play: Play) -> None:
    """Nor does the warning of it."""
    scene = play(pushes_before_login)
    with pytest.raises(ConnectTimeout) as raised:
        scene.subscribe(timeout=2 * short())
    assert not canaries_in(rendered(raised.value))
    assert not canaries_in(scene.log.text)
    assert "***" in scene.log.text


@row(207, kills="what a proxy or a server says before the exchange speaks is told as it is")
def test_no_error_tells_what_an_upgrade_gives_back(play: Play) -> None:
    """On the second connection the server knows a key and a signature."""
    scene = play()
    relay = scene.relay
    scene.subscribe()
    sign = scene.exchange.talks[0].requests[0]["args"][2]
    with scene.instead(plays(lambda line: line.read_head(), f"HTTP/1.1 503 {KEY}\r\n\r\n{sign}".encode())):
        relay.reset()
        scene.log.wait_for("503 ***")
        scene.exchange.wait_for(lambda: "503" in str(scene.client.health().last_error))
        assert not canaries_in(rendered(scene.client.health().last_error))
    assert not canaries_in(scene.log.text)
