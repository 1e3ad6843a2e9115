"""Requests are signed as documented, and nobody is shown with what."""

from __future__ import annotations

import copy
import hashlib
import hmac
import pickle
from typing import Any

import pytest

from bybit_sync.rest.signing import RestSigner
from bybit_sync.signing.credentials import hmac_signer

KEY, SECRET = "KEY-c4n4ry", "SECRET-c4n4ry"


@pytest.fixture
def signer() -> RestSigner:
    """A signer."""
    return RestSigner(KEY, hmac_signer(SECRET))


def test_what_is_signed_is_timestamp_key_window_and_query(signer: RestSigner) -> None:
    """In this order, with nothing between."""
    headers = signer.headers(1_731_000_000_000, 5000, "category=linear&cursor=a%2Cb")
    text = f"1731000000000{KEY}5000category=linear&cursor=a%2Cb"
    assert headers == {
        "X-BAPI-API-KEY": KEY,
        "X-BAPI-TIMESTAMP": "1731000000000",
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest(),
    }


def test_nothing_of_a_signer_tells_the_key(signer: RestSigner) -> None:
    """Neither repr nor pickle nor a copy; the digest tells keys apart only."""
    signer.headers(1, 2, "")
    assert repr(signer) == "<RestSigner>"
    for forbidden in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            forbidden(signer)
    assert signer.digest == RestSigner(KEY, str).digest != RestSigner("other", str).digest
    assert signer.digest != hashlib.blake2b(KEY.encode(), digest_size=16).digest()


def test_key_and_signature_are_taken_out_of_a_text(signer: RestSigner) -> None:
    """Before the first signature, too; and those of requests that are still under way."""
    assert signer.redact(f"a {KEY} b") == "a *** b"
    signature = signer.headers(1, 2, "")["X-BAPI-SIGN"]
    signer.headers(3, 2, "")
    assert signer.redact(f"{signature} and {KEY}") == "*** and ***"
    assert RestSigner("", str).redact("text") == "text"


def test_a_signature_has_to_be_a_text() -> None:
    """Else somebody's signer is wrong, and what it returned is not told."""
    signer = RestSigner(KEY, lambda _: b"SECRET-c4n4ry")  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match="of the type bytes, not str") as raised:
        signer.headers(1, 2, "")
    assert "c4n4ry" not in str(raised.value)
    assert signer.redact("text") == "text"


def test_a_signer_is_asked_for_each_request() -> None:
    """With the text of that one."""
    texts: list[Any] = []
    signer = RestSigner("K", lambda text: str(texts.append(text)))
    signer.headers(1, 2, "a=1")
    signer.headers(3, 2, "a=2")
    assert texts == ["1K2a=1", "3K2a=2"]
