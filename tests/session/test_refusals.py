from __future__ import annotations

import pytest

from bybit_sync.session.refusals import REFUSALS, Meaning, understand

CLOCK, CROWDED, BUSY, PLAIN = Meaning.CLOCK, Meaning.CROWDED, Meaning.BUSY, Meaning.PLAIN

TEXTS = [
    ("Params Error", CLOCK, "NTP"),
    ("Param Error", CLOCK, "NTP"),
    ("error:request expired", CLOCK, "NTP"),
    ("invalid request, please check your server timestamp or recv_window param", CLOCK, "NTP"),
    ("Too many sessions under the same UID", CROWDED, "sessions"),
    ("Too many visits. Exceeded the API Rate Limit.", CROWDED, "sessions"),
    ("Exceeded the IP Rate Limit", CROWDED, "sessions"),
    ("Request too frequent", CROWDED, "sessions"),
    ("System busy, please try again later", BUSY, "tried again"),
    ("Server is restarting", BUSY, "tried again"),
    ("Internal error", BUSY, "tried again"),
    ("Your api key has expired.", PLAIN, "make a new one"),
    ("API key is invalid.", PLAIN, "Check the key"),
    ("Invalid api_key, please check and try again", PLAIN, "Check the key"),
    ("Api key not found", PLAIN, "Check the key"),
    ("Error sign, please check your signature generation algorithm.", PLAIN, "secret"),
    ("error:verify signature fail", PLAIN, "secret"),
    ("Invalid sign, try again", PLAIN, "secret"),
    ("Permission denied, please check your API key permissions.", PLAIN, "permission"),
    ("Unmatched IP, please check your API key's bound IP addresses.", PLAIN, "address"),
    ("error:USVC1111", PLAIN, "Check key, secret"),
    ("", PLAIN, "Check key, secret"),
]


@pytest.mark.parametrize(("text", "meaning", "remedy"), TEXTS)
def test_the_text_says_what_is_meant_and_what_to_do(text: str, meaning: Meaning, remedy: str) -> None:
    """The private socket of V5 sends nothing else."""
    refusal = understand(text)
    assert refusal.meaning is meaning
    assert remedy in refusal.remedy


CODES = [
    (10001, CLOCK),
    (10002, CLOCK),
    (10003, PLAIN),
    (10004, PLAIN),
    (10005, PLAIN),
    (10006, CROWDED),
    (10009, PLAIN),
    (10010, PLAIN),
    (10016, BUSY),
    (10018, CROWDED),
    (10019, BUSY),
    (10429, CROWDED),
    (20003, CROWDED),
    (33004, PLAIN),
    (-1, BUSY),
    (4711, PLAIN),
]


@pytest.mark.parametrize(("code", "meaning"), CODES)
def test_a_code_decides_where_the_text_says_nothing(code: int, meaning: Meaning) -> None:
    """An unknown one is a plain no."""
    assert understand("OK", code).meaning is meaning


def test_the_text_outweighs_the_code() -> None:
    """10003 stands for a wrong key, and for too many sessions of one account."""
    assert understand("API key is invalid", 10003).meaning is PLAIN
    assert understand("Too many sessions under the same UID", 10003).meaning is CROWDED


def test_the_table_is_consistent() -> None:
    """No code stands in two lines, phrases are lower case, and the last line takes everything."""
    codes = [code for refusal in REFUSALS for code in refusal.codes]
    assert len(codes) == len(set(codes))
    assert all(phrase == phrase.lower() for refusal in REFUSALS for phrase in refusal.phrases)
    assert REFUSALS[-1].fits("")


@pytest.mark.parametrize("text", ["zip file", "key", "expired, this key is not"])
def test_words_count_in_their_order_and_whole_where_it_says_so(text: str) -> None:
    """An "ip" is no part of another word, and what follows a key may stand before it without a meaning."""
    assert understand(text).meaning is not CROWDED
    assert "address" not in understand(text).remedy
    assert "make a new one" not in understand(text).remedy
