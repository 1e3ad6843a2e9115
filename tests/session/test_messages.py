from __future__ import annotations

import copy
import hashlib
import hmac
import json
import pickle
import traceback
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_sync.session.messages import Answer, Pong, Push, Request, UnknownMessage, classify, write
from bybit_sync.signing.credentials import Credentials, hmac_signer
from bybit_sync.text import printable
from tests.searching import examples

NOON_MS, NOON = 1767268800000, datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
KEY, SECRET = "k3y-0f-n0b0dy", "s3cr3t-0f-n0b0dy"


# --- answers to logins ---

ACCEPTED = [
    pytest.param({"success": True, "ret_msg": "", "op": "auth", "conn_id": "c"}, id="v3 contract"),
    pytest.param({"req_id": "7", "success": True, "ret_msg": "", "op": "auth", "conn_id": "c"}, id="v5 private"),
    pytest.param({"success": True, "op": "auth"}, id="no text"),
    pytest.param({"success": True, "conn_id": "c", "ret_msg": "0", "type": "AUTH_RESP"}, id="v3 unified"),
    pytest.param({"retCode": 0, "retMsg": "OK", "op": "auth", "connId": "c", "reqId": "7"}, id="v5 trade"),
    pytest.param({"success": True, "retCode": 0, "retMsg": "", "op": "auth", "connId": "c"}, id="both"),
]


@pytest.mark.parametrize("message", ACCEPTED)
def test_every_gateways_yes_to_a_login_is_one(message: dict[str, Any]) -> None:
    """The private sockets say it with a flag, the trade socket with a number, one without an op."""
    answer = classify(message)
    assert isinstance(answer, Answer)
    assert (answer.op, answer.success) == ("auth", True)


REFUSED = [
    pytest.param({"success": False, "ret_msg": "Params Error", "op": "auth", "conn_id": "c"}, id="v5 private"),
    pytest.param({"retCode": 10004, "retMsg": "Params Error", "op": "auth", "connId": "c"}, id="v5 trade"),
    pytest.param({"success": False, "retCode": 0, "retMsg": "Params Error", "op": "auth"}, id="two minds"),
    pytest.param({"success": None, "retCode": 0, "retMsg": "Params Error", "op": "auth"}, id="null"),
    pytest.param({"success": "true", "ret_msg": "Params Error", "op": "auth"}, id="text"),
    pytest.param({"success": 1, "ret_msg": "Params Error", "op": "auth"}, id="number"),
    pytest.param({"retCode": False, "retMsg": "Params Error", "op": "auth"}, id="flag for a number"),
    pytest.param({"retCode": "0", "retMsg": "Params Error", "op": "auth"}, id="text for a number"),
    pytest.param({"ret_msg": "Params Error", "op": "auth"}, id="nothing"),
]


@pytest.mark.parametrize("message", REFUSED)
def test_anything_else_is_a_no_with_its_text(message: dict[str, Any]) -> None:
    """Who is not told in so many words that it is logged in, is not."""
    answer = classify(message)
    assert isinstance(answer, Answer)
    assert (answer.success, answer.text) == (False, "Params Error")


def test_a_no_carries_its_code_where_there_is_one() -> None:
    """The trade socket numbers its refusals."""
    assert classify({"retCode": 10003, "retMsg": "", "op": "auth"}) == Answer("auth", success=False, code=10003)


@pytest.mark.parametrize(("key", "value", "number"), [("req_id", "7", "7"), ("reqId", "7", "7"), ("req_id", "", None)])
def test_the_number_of_a_request_comes_back_in_two_spellings(key: str, value: str, number: str | None) -> None:
    """Public sockets echo an empty text where none was sent: that is none."""
    answer = classify({"success": True, "op": "subscribe", key: value})
    assert isinstance(answer, Answer)
    assert answer.req_id == number


# --- answers to subscribes ---

SUBSCRIBED = [
    pytest.param({"success": True, "ret_msg": "", "op": "subscribe", "conn_id": "c"}, id="private"),
    pytest.param({"success": True, "ret_msg": "", "conn_id": "c", "req_id": "", "op": "subscribe"}, id="public"),
    pytest.param({"success": True, "ret_msg": "subscribe", "conn_id": "c", "op": "subscribe"}, id="spot"),
]


@pytest.mark.parametrize("message", SUBSCRIBED)
def test_every_gateways_yes_to_a_subscribe_is_one(message: dict[str, Any]) -> None:
    """Whatever the order of the keys."""
    answer = classify(message)
    assert isinstance(answer, Answer)
    assert (answer.op, answer.success, answer.topic) == ("subscribe", True, None)


@pytest.mark.parametrize(("failed", "succeeded", "success"), [([], ["order"], True), (["order"], [], False)])
def test_a_command_answer_lists_its_topics(failed: list[str], succeeded: list[str], *, success: bool) -> None:
    """It has no op, and its flag does not speak for the topics that failed."""
    data = {"failTopics": failed, "successTopics": succeeded}
    answer = classify({"success": True, "conn_id": "c", "data": data, "type": "COMMAND_RESP"})
    assert answer == Answer("command", success=success, topic="order")


NAMED = [
    ("error:handler not found,topic:order.linear", "order.linear"),
    ("error:already subscribed,topic:position", "position"),
    ("Invalid topic: order.", "order"),
    ("error:topic:position needs auth first", "position"),
    ("Request not authorized", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "topic"), NAMED)
def test_a_refusal_names_its_topic_in_its_text(text: str, topic: str | None) -> None:
    """The private socket has no other place for it."""
    answer = classify({"success": False, "ret_msg": text, "op": "subscribe"})
    assert isinstance(answer, Answer)
    assert answer.topic == topic


# --- pongs ---

PONGS = [
    pytest.param({"req_id": "t", "op": "pong", "args": [str(NOON_MS)], "conn_id": "c"}, Pong(NOON, "t"), id="private"),
    pytest.param({"op": "pong", "args": [str(NOON_MS)]}, Pong(NOON), id="option"),
    pytest.param({"reqId": "t", "retCode": 0, "op": "pong", "data": [str(NOON_MS)]}, Pong(NOON, "t"), id="trade"),
    pytest.param({"success": True, "ret_msg": "pong", "conn_id": "c", "op": "ping"}, Pong(None), id="public"),
    pytest.param({"op": "pong"}, Pong(None), id="bare"),
    pytest.param({"op": "pong", "req_id": 7}, Pong(None), id="a number that is none"),
    pytest.param({"op": "pong", "args": []}, Pong(None), id="empty"),
    pytest.param({"op": "pong", "args": ["soon"]}, Pong(None), id="nonsense"),
    pytest.param({"op": "pong", "args": "17"}, Pong(None), id="no list"),
    pytest.param({"op": "pong", "args": ["9" * 18]}, Pong(None), id="beyond the calendar"),
]


@pytest.mark.parametrize(("message", "pong"), PONGS)
def test_every_gateways_pong_is_one(message: dict[str, Any], pong: Pong) -> None:
    """It has no success on the private socket; it says the exchange's time and the ping's number where it can."""
    assert classify(message) == pong


# --- pushes ---


def test_a_push_brings_rows_for_a_topic() -> None:
    """The rows are left to the topic's decoder."""
    rows = [{"orderId": "1"}]
    assert classify({"id": "i", "topic": "order", "creationTime": NOON_MS, "data": rows}) == Push("order", rows, "i", NOON)


def test_a_push_may_tell_its_time_under_another_key() -> None:
    """Some gateways call it ts."""
    push = classify({"topic": "order", "ts": NOON_MS, "type": "snapshot", "data": []})
    assert push == Push("order", [], None, NOON)


@pytest.mark.parametrize("envelope", [{"id": 7}, {"creationTime": "soon"}, {"creationTime": -1}, {"creationTime": True}, {}])
def test_a_nonsensical_envelope_costs_no_row(envelope: dict[str, Any]) -> None:
    """The rows are what matters."""
    assert classify({"topic": "order", "data": [1], **envelope}) == Push("order", [1], None, None)


# --- strangers ---

STRANGERS = [
    ({"op": "maintenance", "at": 1}, False),
    ({"op": "surprise", "data": [1]}, True),
    ({"data": [1]}, True),
    ({"topic": 7, "data": [1]}, True),
    ({"op": ["auth"]}, False),
    ({}, True),
]


@pytest.mark.parametrize(("message", "may_hold_rows"), STRANGERS)
def test_what_is_none_of_these_is_a_stranger(message: dict[str, Any], *, may_hold_rows: bool) -> None:
    """Only one that says what it does and brings no data can hold no rows."""
    stranger = classify(message)
    assert isinstance(stranger, UnknownMessage)
    assert stranger.may_hold_rows is may_hold_rows


def test_a_strangers_shape_says_nothing_of_its_content() -> None:
    """It ends up in a log, and the content may be anything; a terminal would obey the escape."""
    stranger = classify({"op": "new\x1b[2J", "account": "4711"})
    assert stranger == UnknownMessage("an object with the op 'new\\x1b[2J' with the keys account, op", may_hold_rows=False)


words = st.sampled_from(["auth", "ping", "pong", "subscribe", "COMMAND_RESP", "order", "topic:x", "failTopics", "17", ""])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
known_keys = st.sampled_from(["op", "type", "topic", "data", "success", "retCode", "ret_msg", "req_id", "args", "id", "ts"])


@examples(80)
@given(st.dictionaries(known_keys, json_values))
def test_no_object_of_whatever_values_raises(message: dict[str, Any]) -> None:
    """A peer that talks nonsense is understood as talking nonsense."""
    assert isinstance(classify(message), (Answer, Pong, Push, UnknownMessage))


def test_text_of_a_peer_is_made_printable() -> None:
    """No escape reaches a terminal, no lone surrogate an encoder; it is cut, and readable letters stay."""
    assert printable("übel\x1b[0m\n\ud800") == "übel\\x1b[0m\\n\\ud800"
    assert printable("x" * 300) == "x" * 200


# --- writing ---


@pytest.fixture
def credentials() -> Credentials:
    """A key and its secret."""
    return Credentials(KEY, hmac_signer(SECRET))


def test_a_login_is_signed_over_its_expiry(credentials: Credentials) -> None:
    """Key, expiry and HMAC-SHA256 of GET/realtime and the expiry, in lower-case hex, under the request's number."""
    login = json.loads(write(Request("auth", 1662350400000, "9-1"), credentials))
    signature = hmac.new(SECRET.encode(), b"GET/realtime1662350400000", hashlib.sha256).hexdigest()
    assert login == {"req_id": "9-1", "op": "auth", "args": [KEY, 1662350400000, signature]}


def test_a_subscribe_asks_for_one_topic(credentials: Credentials) -> None:
    """A list of one, as the exchange wants it."""
    text = write(Request("subscribe", "order", "9-2"), credentials)
    assert json.loads(text) == {"req_id": "9-2", "op": "subscribe", "args": ["order"]}


def test_a_ping_is_a_bare_op(credentials: Credentials) -> None:
    """The exchange wants JSON, and nothing else in it."""
    assert json.loads(write(Request("ping"), credentials)) == {"op": "ping"}


def test_the_signer_is_asked_anew_for_each_login() -> None:
    """It gets the text to sign, each time with its own expiry."""
    texts: list[str] = []
    credentials = Credentials(KEY, lambda text: texts.append(text) or "s")
    for expires in (1, 2):
        write(Request("auth", expires, "n"), credentials)
    assert texts == ["GET/realtime1", "GET/realtime2"]


@pytest.mark.parametrize("signature", [b"s", None, 7])
def test_a_signature_that_is_no_text_is_refused(signature: Any) -> None:
    """And what the exchange says can still be redacted."""
    credentials = Credentials(KEY, lambda _text: signature)
    with pytest.raises(TypeError, match="not str"):
        write(Request("auth", 1, "n"), credentials)
    assert credentials.redact(f"s {KEY}") == "s ***"


# --- secrets ---


def test_an_echo_of_the_login_is_redacted(credentials: Credentials) -> None:
    """Older gateways send the request back with the refusal; neither key nor signature may be passed on."""
    login = write(Request("auth", 1, "n"), credentials)
    assert KEY in login
    redacted = credentials.redact(f"refused: {login}")
    assert KEY not in redacted
    assert json.loads(login)["args"][2] not in redacted


def test_without_a_login_there_is_only_the_key_to_redact(credentials: Credentials) -> None:
    """An empty signature is not looked for between all letters."""
    assert credentials.redact(f"no such key: {KEY}") == "no such key: ***"


@pytest.mark.parametrize("show", [repr, str, lambda c: str(dir(c)), lambda c: str([getattr(c, n) for n in c.__slots__])])
def test_no_representation_shows_a_secret(credentials: Credentials, show: Callable[[object], str]) -> None:
    """Key and secret are in closures of closures."""
    shown = show(credentials)
    assert KEY not in shown
    assert SECRET not in shown


@pytest.mark.parametrize("take_out", [pickle.dumps, copy.copy, copy.deepcopy])
def test_credentials_are_not_taken_out_of_the_process(credentials: Credentials, take_out: Callable[[object], object]) -> None:
    """Neither pickled nor copied."""
    with pytest.raises(TypeError, match="not pickled or copied"):
        take_out(credentials)


def test_a_failing_signer_leaves_no_secret_in_a_frame() -> None:
    """What collects the locals of a traceback finds no key below the constructor."""

    def sign(_text: str) -> str:
        raise OSError("the key store is gone")

    credentials = Credentials(KEY, sign)
    try:
        write(Request("auth", 1, "n"), credentials)
    except OSError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "key store" in shown
    assert KEY not in shown
