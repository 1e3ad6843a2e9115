"""Taking the account's number out of frames, and nothing else."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_sync.recording.scrubbing import Scrubber
from tests.searching import any_text, examples

NUMBER = "592324"
UUID = "0c6880ab-c59f-420b-9adb-3639adc9dd90"
IDS = [
    f"{NUMBER}{UUID}",
    f"{NUMBER}_BTCUSDT_140667095077548",
    f"{NUMBER}_wallet_1672364262473",
    f"{NUMBER}_position_1672364262473",
    f"1672364262473000001-{NUMBER}-BTCUSDT",
    f"{NUMBER}-20000-140667095077548",
]


def scrubbed(*frames: object, salt: bytes = b"salt") -> list[str]:
    """Return *frames* as one scrubber leaves them."""
    scrubber = Scrubber(salt)
    return [scrubber.scrub(frame if isinstance(frame, str) else json.dumps(frame)) for frame in frames]


@pytest.mark.parametrize("identity", IDS)
def test_the_number_in_an_envelope_becomes_another(identity: str) -> None:
    """However Bybit writes it."""
    (frame,) = scrubbed({"topic": "order", "id": identity, "data": []})
    assert NUMBER not in frame
    assert json.loads(frame)["topic"] == "order"
    assert json.loads(frame)["id"]


def test_ids_stay_distinguishable() -> None:
    """The same one is the same in every frame, another one another."""
    one, two, again = scrubbed({"id": IDS[0]}, {"id": IDS[1]}, {"topic": "x", "id": IDS[0]})
    assert json.loads(one)["id"] == json.loads(again)["id"] != json.loads(two)["id"]


def test_nobody_can_try_out_numbers() -> None:
    """Another recording has other ids for the same account."""
    assert scrubbed({"id": IDS[1]}, salt=b"one") != scrubbed({"id": IDS[1]}, salt=b"other")


@pytest.mark.parametrize("identity", IDS)
def test_the_number_is_found_elsewhere_once_it_was_seen(identity: str) -> None:
    """In order ids and in refusals; the parts around it stay."""
    frames = [{"id": identity}, {"orderLinkId": f"mine-{NUMBER}-7"}, {"ret_msg": f"uid {NUMBER} has no permission"}]
    _, row, refusal = scrubbed(*frames)
    assert re.fullmatch(r"mine-[1-9]\d{5}-7", json.loads(row)["orderLinkId"])
    assert re.fullmatch(r"uid [1-9]\d{5} has no permission", json.loads(refusal)["ret_msg"])
    assert NUMBER not in row + refusal


def test_a_number_in_a_refusal_is_taken_for_the_accounts() -> None:
    """A login is refused before any id was seen."""
    (refusal,) = scrubbed({"ret_msg": f"no such user: {NUMBER} (10003)"})
    assert re.fullmatch(r"no such user: [1-9]\d{5} \(10003\)", json.loads(refusal)["ret_msg"])
    assert NUMBER not in refusal


def test_fundings_order_id_holds_it_too() -> None:
    """The part before side is an account's number."""
    (frame,) = scrubbed({"data": [{"orderId": f"1673136000-ETHUSDT-{NUMBER}-Sell", "side": "Sell"}]})
    assert re.fullmatch(r"1673136000-ETHUSDT-[1-9]\d{5}-Sell", json.loads(frame)["data"][0]["orderId"])
    assert NUMBER not in frame


@pytest.mark.parametrize(
    "key", ["uid", "UID", "userId", "user_id", "accountId", "memberId", "subUid", "master_uid", "subMemberId"]
)
@pytest.mark.parametrize("value", [int(NUMBER), NUMBER])
def test_keys_that_name_an_owner_are_scrubbed(key: str, value: object) -> None:
    """Kind and length of the value stay."""
    (frame,) = scrubbed({key: value})
    other = json.loads(frame)[key]
    assert type(other) is type(value)
    assert len(str(other)) == 6
    assert str(other) != NUMBER


@pytest.mark.parametrize(
    "row",
    [
        {"symbol": "BTCUSDT", "qty": "0.5", "cumExecValue": f"{NUMBER}.5", "seq": 140667095077548},
        {"qty": NUMBER, "price": int(NUMBER), "text": 'a "id": "quoted" one'},
        {"orderLinkId": f"1{NUMBER}", "parentOrderLinkId": f"{NUMBER}1"},
        {"accountType": "UNIFIED", "liquid": "5", "positionIdx": 0, "bid": "100000", "riskId": 12345},
        {
            "execId": UUID,
            "orderId": "1523347543495541248",
            "orderLinkId": "",
            "conn_id": "cejreaspqfh3sjdnldmg-p",
            "req_id": "a-1",
        },
    ],
)
def test_nothing_else_is_touched(row: dict[str, object]) -> None:
    """Numbers that look like it are prices and quantities."""
    text = json.dumps(row)
    assert scrubbed({"id": IDS[1]}, text)[1] == text


def test_a_peer_that_invents_numbers_does_not_fill_memory() -> None:
    """So many accounts a recording does not have."""
    scrubber = Scrubber(b"salt")
    for number in range(100_000, 100_100):
        scrubber.scrub(f'{{"uid":{number}}}')
    assert len(scrubber._numbers) < 20


def test_an_empty_id_stays() -> None:
    """It tells nothing."""
    assert scrubbed('{"id":"","uid":""}') == ['{"id":"","uid":""}']


def test_what_cannot_be_read_is_scrubbed_all_the_same() -> None:
    """A frame that breaks off still has its id."""
    (frame,) = scrubbed(f'{{"id":"{IDS[1]}","data":[{{"orderId":')
    assert NUMBER not in frame


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | any_text() | st.sampled_from(IDS),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "uid", "userId", "orderId", "ret_msg", "data", '"id"', 'x":']), inner, max_size=4
        )
    ),
)


def shape(value: object) -> object:
    """Return *value* without what may be scrubbed."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return type(value)


@examples(80)
@given(value=JSON, spaced=st.booleans(), ascii_only=st.booleans())
def test_json_stays_json(value: object, spaced: bool, ascii_only: bool) -> None:  # noqa: FBT001
    """Whatever is nested how: keys, order and kinds stay."""
    text = json.dumps(value, separators=None if spaced else (",", ":"), ensure_ascii=ascii_only)
    first, again = scrubbed(text, text)
    assert shape(json.loads(first)) == shape(value)
    assert again == first


@pytest.mark.parametrize("value", ["7" * 5_000, f'"{"7" * 5_000}"', f"{'7' * 4_000}.5"])
def test_a_number_of_thousands_of_digits_becomes_a_short_one(value: str) -> None:
    """Python prints no number of so many; the frame is still JSON."""
    scrubbed = Scrubber(b"salt").scrub(f'{{"topic":"order","userId":{value}}}')
    assert len(scrubbed) < 100
    assert json.loads(scrubbed)["topic"] == "order"
