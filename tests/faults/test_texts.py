"""Section P: texts of the exchange that are too long, or that give back what nobody may see."""

from __future__ import annotations

import functools
import json
import sys
import time
from typing import Any

import pytest

from bybit_sync import AuthenticationError, SubscriptionRejected
from bybit_sync.messages import LONGEST_TEXT, Answer, Push, Stranger, read
from bybit_sync.protocol import SHAPES_REMEMBERED
from bybit_sync.refusals import understand
from tests.faults.conftest import Play
from tests.faults.exchange import Message, Talk, answer, push, say, serve
from tests.faults.rows import row
from tests.peers import frame

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


@row(199, kills="the text of a refusal is searched in its whole length")
@pytest.mark.parametrize("bait", BAITS)
def test_a_refused_login_of_four_megabytes_is_cut(play: Play, bait: str) -> None:
    """The error keeps the first thousand characters, and its text is a line."""
    scene = play(functools.partial(serve, auth=functools.partial(refusing, text=BAITS[bait])))
    with pytest.raises(AuthenticationError) as raised:
        scene.subscribe()
    assert raised.value.text == BAITS[bait][:LONGEST_TEXT]
    assert len(str(raised.value)) < LONGEST_TEXT


@row(199, kills="the text of a refused topic is kept in its whole length")
@pytest.mark.parametrize("bait", BAITS)
def test_a_refused_topic_of_four_megabytes_is_cut(play: Play, bait: str) -> None:
    """As a login's is."""
    scene = play(functools.partial(serve, subscribe=functools.partial(refusing, text=BAITS[bait])))
    with pytest.raises(SubscriptionRejected) as raised:
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
    meaning = read(ENVELOPES[place])
    assert isinstance(meaning, (Answer, Push, Stranger))
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
    meaning = read({Key(n): 1 for n in range(10_000)})
    assert isinstance(meaning, Stranger)
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
    session = scene.client._connection._session
    assert session is not None
    assert len(session._shapes) == 2
    assert max(map(sys.getsizeof, session._shapes)) * SHAPES_REMEMBERED < 2**20


@row(199, kills="a phrase is searched by a pattern that tries every beginning")
def test_a_refusals_meaning_is_found_in_linear_time() -> None:
    """Milliseconds of this thread's own time for a text that took a search from every beginning half a minute."""
    began = time.thread_time()
    for text in BAITS.values():
        understand(text[:90_000])
    assert time.thread_time() - began < 5
