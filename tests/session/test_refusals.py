from __future__ import annotations

import pytest

from bybit_sync.session.refusals import REFUSALS, RefusalKind, classify_refusal

CLOCK, RATE_LIMITED, BUSY, FINAL = RefusalKind.CLOCK, RefusalKind.RATE_LIMITED, RefusalKind.BUSY, RefusalKind.FINAL

TEXTS = [
    ("Params Error", CLOCK, "NTP"),
    ("Param Error", CLOCK, "NTP"),
    ("error:request expired", CLOCK, "NTP"),
    ("invalid request, please check your server timestamp or recv_window param", CLOCK, "NTP"),
    ("Too many sessions under the same UID", RATE_LIMITED, "sessions"),
    ("Too many visits. Exceeded the API Rate Limit.", RATE_LIMITED, "sessions"),
    ("Exceeded the IP Rate Limit", RATE_LIMITED, "sessions"),
    ("Request too frequent", RATE_LIMITED, "sessions"),
    ("System busy, please try again later", BUSY, "tried again"),
    ("Server is restarting", BUSY, "tried again"),
    ("Internal error", BUSY, "tried again"),
    ("Your api key has expired.", FINAL, "make a new one"),
    ("API key is invalid.", FINAL, "Check the key"),
    ("Invalid api_key, please check and try again", FINAL, "Check the key"),
    ("Api key not found", FINAL, "Check the key"),
    ("Error sign, please check your signature generation algorithm.", FINAL, "secret"),
    ("error:verify signature fail", FINAL, "secret"),
    ("Invalid sign, try again", FINAL, "secret"),
    ("Permission denied, please check your API key permissions.", FINAL, "permission"),
    ("Unmatched IP, please check your API key's bound IP addresses.", FINAL, "address"),
    ("error:USVC1111", FINAL, "Check key, secret"),
    ("", FINAL, "Check key, secret"),
]


@pytest.mark.parametrize(("text", "kind", "remedy"), TEXTS)
def test_the_text_says_what_is_meant_and_what_to_do(text: str, kind: RefusalKind, remedy: str) -> None:
    """The private socket of V5 sends nothing else."""
    refusal = classify_refusal(text)
    assert refusal.kind is kind
    assert remedy in refusal.remedy


CODES = [
    (10001, CLOCK),
    (10002, CLOCK),
    (10003, FINAL),
    (10004, FINAL),
    (10005, FINAL),
    (10006, RATE_LIMITED),
    (10009, FINAL),
    (10010, FINAL),
    (10016, BUSY),
    (10018, RATE_LIMITED),
    (10019, BUSY),
    (10429, RATE_LIMITED),
    (20003, RATE_LIMITED),
    (33004, FINAL),
    (-1, BUSY),
    (4711, FINAL),
]


@pytest.mark.parametrize(("code", "kind"), CODES)
def test_a_code_decides_where_the_text_says_nothing(code: int, kind: RefusalKind) -> None:
    """An unknown one is a plain no."""
    assert classify_refusal("OK", code).kind is kind


def test_the_text_outweighs_the_code() -> None:
    """10003 stands for a wrong key, and for too many sessions of one account."""
    assert classify_refusal("API key is invalid", 10003).kind is FINAL
    assert classify_refusal("Too many sessions under the same UID", 10003).kind is RATE_LIMITED


def test_the_table_is_consistent() -> None:
    """No code stands in two lines, phrases are lower case, and the last line takes everything."""
    codes = [code for refusal in REFUSALS for code in refusal.codes]
    assert len(codes) == len(set(codes))
    assert all(phrase == phrase.lower() for refusal in REFUSALS for phrase in refusal.phrases)
    assert REFUSALS[-1].fits("")


@pytest.mark.parametrize("text", ["zip file", "key", "expired, this key is not"])
def test_words_count_in_their_order_and_whole_where_it_says_so(text: str) -> None:
    """An "ip" is no part of another word, and what follows a key may stand before it without a kind."""
    assert classify_refusal(text).kind is not RATE_LIMITED
    assert "address" not in classify_refusal(text).remedy
    assert "make a new one" not in classify_refusal(text).remedy
