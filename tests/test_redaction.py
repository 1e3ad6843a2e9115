"""Keys and signatures in texts that leave the library."""

from __future__ import annotations

import gc
import json
import time

import pytest

from bybit_sync import redaction
from bybit_sync.redaction import Redactor, get_logger

KEY, SIGNATURE = "Xk7mQ2pLz9RtVw4s8B", "ab12cd34" * 8


@pytest.fixture
def redactor() -> Redactor:
    """One that knows a key and a signature."""
    redactor = Redactor()
    redactor.learn(lambda: KEY, lambda: SIGNATURE)
    return redactor


ECHOES = [KEY, KEY.upper(), KEY.lower(), KEY[:9], KEY[9:], KEY[:8], SIGNATURE[:40], SIGNATURE[13:28], f"{KEY}{SIGNATURE}"]


@pytest.mark.parametrize("echo", ECHOES)
def test_a_secret_is_taken_out_in_every_shape(redactor: Redactor, echo: str) -> None:
    """Whole, in pieces, in another case: the word that holds it goes, and nothing else."""
    assert redactor.redact(f"no such key: {echo}, sorry") == "no such key: ***, sorry"


@pytest.mark.parametrize(
    "text", ["", "the key is invalid", KEY[:7], "8B", "order 8c065341-7b52-4ca9-ac2c-37e31ac55c94", "é\\u00e9\ud800"]
)
def test_all_else_stays_as_it_is(redactor: Redactor, text: str) -> None:
    """Also what looks a little like a secret, and what is no proper text."""
    assert redactor.redact(text) == text


def escaped(text: str) -> str:
    """Return *text* with every character in JSON's long form."""
    return "".join(f"\\u{ord(c):04X}" for c in text)


@pytest.mark.parametrize("sign", ["q" * 20 + "/" * 3 + "w" * 20, SIGNATURE])
def test_what_was_json_still_is(redactor: Redactor, sign: str) -> None:
    """Secrets that were escaped are found, and the frame around them can be read."""
    redactor.learn(lambda: KEY, lambda: sign)
    parts = [f'"{escaped(KEY + " " + sign)}"', json.dumps(f"\\{sign}\n{KEY}\u00e9"), f'"{sign}"'.replace("/", "\\/")]
    frame = redactor.redact(f'{{"id":1662350400000,"said":[{",".join(parts)},"\\\\u0041"]}}')
    assert json.loads(frame) == {"id": 1662350400000, "said": ["*** ***", "\\***\n***\u00e9", "***", "\\u0041"]}


def test_a_number_is_no_piece_of_a_secret() -> None:
    """Digits alone may be a time, and three asterisks are no number."""
    redactor = Redactor()
    redactor.learn(lambda: "16623504" + "abcdefgh")
    assert redactor.redact("[1662350400000]") == "[1662350400000]"
    redactor.learn(lambda: "12345678")
    assert redactor.redact("no 12345678") == "no ***"


def test_short_secrets_are_none(redactor: Redactor) -> None:
    """They would stand in every second word."""
    redactor.learn(lambda: "KEY", lambda: "")
    assert redactor.redact("the KEY") == "the KEY"


def test_a_text_of_megabytes_is_redacted_in_linear_time(redactor: Redactor) -> None:
    """One long word, many short ones, many secrets: seconds at most, where a search from every beginning takes days."""
    began = time.thread_time()
    for text in ("a" * 2**20, f"{KEY} " * 2**15, "\\u0041" * 2**17, "\\" * 2**20, f"{'a' * 2**20}{KEY}"):
        assert KEY not in redactor.redact(text)
    assert time.thread_time() - began < 30


def test_every_logger_of_the_library_is_redacted(redactor: Redactor, caplog: pytest.LogCaptureFixture) -> None:
    """What tells nothing keeps its arguments, for whoever groups records by them."""
    logger = get_logger("bybit_sync.tests")
    logger.warning("a key %s", KEY)
    logger.warning("no key %s", "at all")
    assert [record.getMessage() for record in caplog.records] == ["a key ***", "no key at all"]
    assert caplog.records[1].args == ("at all",)
    assert repr(redactor) == "<Redactor>"


def test_secrets_are_forgotten_with_their_client() -> None:
    """Nothing grows with the clients that there were."""
    redactor = Redactor()
    known = redaction._redactors[id(redactor)]
    assert known() is redactor
    del redactor
    gc.collect()
    assert known not in redaction._redactors.values()
