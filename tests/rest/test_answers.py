"""What an answer says, and what is to be done about it."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Any

import pytest

from bybit_sync.errors import (
    RestBlocked,
    RestClockRefused,
    RestError,
    RestLimited,
    RestProtocolError,
    RestRefused,
    RestUnavailable,
)
from bybit_sync.rest.answers import Answer, Response, read_answer
from bybit_sync.rest.endpoints import EXECUTIONS, SERVER_TIME

NOW = 1_731_000_200_000
PAGE = {"category": "linear", "list": [{"execId": "1"}], "nextPageCursor": "x%2C1"}


def told(value: Any = None, *, status: int = 200, headers: dict[str, str] | None = None, **envelope: Any) -> Answer | RestError:
    """Return what is read from an envelope with a page of executions and *envelope*'s changes, or from *value* instead."""
    usual = {"retCode": 0, "retMsg": "OK", "result": PAGE, "retExtInfo": {}, "time": NOW}
    body = value if isinstance(value, bytes) else json.dumps({**usual, **envelope} if value is None else value).encode()
    return read_answer(EXECUTIONS, Response(status, headers or {}, body), lambda text: text.replace("K3Y", "***"))


def test_a_success_has_rows_category_cursor_and_time() -> None:
    """Whatever its text is."""
    for text in ("OK", "success", ""):
        answer = told(retMsg=text)
        assert isinstance(answer, Answer)
        assert (answer.rows, answer.category, answer.cursor) == ([{"execId": "1"}], "linear", "x%2C1")
        assert answer.at == datetime(2024, 11, 7, 17, 23, 20, tzinfo=timezone.utc)
        assert answer.wait == 0.0


def test_an_answer_may_be_without_time_category_and_cursor() -> None:
    """As account/info is without the first, and a wallet without the others."""
    answer = told(time=None, result={"list": []})
    assert isinstance(answer, Answer)
    assert (answer.at, answer.category, answer.cursor) == (None, None, "")
    assert isinstance(told(time="later"), Answer)
    listless = read_answer(SERVER_TIME, Response(200, {}, b'{"retCode":0,"result":{}}'), str)
    assert isinstance(listless, Answer)
    assert listless.rows is None


def test_a_code_may_be_a_text_of_digits() -> None:
    """As some gateways write it."""
    assert isinstance(told(retCode="0"), Answer)
    assert isinstance(told(retCode="-1"), RestClockRefused)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"<html>", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[" * 100_000, "is more than .* lists"),
        (b"[" * 5_000, "nested too deeply|not JSON"),
        ([], "not an object"),
        ({}, "no retCode"),
        ({"retCode": None}, "no retCode"),
        ({"retCode": "many"}, "no retCode"),
        ({"retCode": True}, "no retCode"),
        ({"retCode": 0}, "no result"),
        ({"retCode": 0, "result": []}, "no result"),
        ({"retCode": 0, "result": {"list": {}}}, "no list"),
    ],
)
def test_an_answer_that_is_none_is_an_error_that_names_no_content(value: Any, why: str) -> None:
    """Another try may bring a better one."""
    error = told(value)
    assert isinstance(error, RestProtocolError)
    assert (error.endpoint, bool(error.remedy)) == ("execution/list", True)
    assert re.search(why, str(error))


@pytest.mark.parametrize(
    ("code", "kind", "is_general", "remedy"),
    [
        (10000, RestUnavailable, None, "asked again"),
        (10016, RestUnavailable, None, "asked again"),
        (10006, RestLimited, None, "limit"),
        (10018, RestBlocked, None, "ten minutes"),
        (10002, RestClockRefused, True, "clock"),
        (10003, RestRefused, True, "Check the key"),
        (10004, RestRefused, True, "secret"),
        (10005, RestRefused, False, "permission"),
        (10010, RestRefused, True, "address"),
        (33004, RestRefused, True, "new one"),
        (10028, RestRefused, True, "unified account"),
        (10029, RestRefused, False, "symbol"),
        (10001, RestRefused, False, "report"),
        (987654, RestRefused, False, "report"),
    ],
)
def test_a_code_decides_class_and_remedy(code: int, kind: type[RestError], is_general: Any, remedy: str) -> None:
    """One permission is an endpoint's, a key that is refused is refused everywhere."""
    error = told(retCode=code, retMsg="no, because", result={})
    assert type(error) is kind
    assert getattr(error, "is_general", None) is is_general
    assert remedy in error.remedy
    assert str(error).startswith(f"execution/list: refused with {code}: no, because. ")
    if isinstance(error, RestRefused):
        assert (error.code, error.text) == (code, "no, because")


def test_a_refusal_that_ends_with_a_full_stop_has_one() -> None:
    """Bybit's texts end with one or without."""
    assert str(told(retCode=10005, retMsg="No.", result={})).startswith("execution/list: refused with 10005: No. Give")


@pytest.mark.parametrize(
    ("status", "kind", "remedy"),
    [
        (401, RestRefused, "Check the key"),
        (403, RestBlocked, "ten minutes"),
        (404, RestRefused, "base_url"),
        (429, RestLimited, "limit"),
        (302, RestRefused, "No redirect"),
        (400, RestRefused, "report"),
        (408, RestUnavailable, "asked again"),
        (500, RestUnavailable, "asked again"),
        (503, RestUnavailable, "asked again"),
        (999, RestUnavailable, "asked again"),
    ],
)
def test_a_status_decides_class_and_remedy(status: int, kind: type[RestError], remedy: str) -> None:
    """The body, which is often a page of HTML, is not looked at."""
    error = told(b"<html>", status=status)
    assert type(error) is kind
    assert remedy in error.remedy
    assert f"HTTP {status}" in str(error)


def test_a_ban_lasts_ten_minutes_and_a_busy_host_says_how_long() -> None:
    """Retry-After in seconds; a date is not read."""
    assert told(b"", status=403).retry_after == 600.0  # type: ignore[union-attr]
    assert told(b"", status=429, headers={"retry-after": "7"}).retry_after == 7.0  # type: ignore[union-attr]
    assert told(b"", status=503, headers={"retry-after": "Wed, 21 Oct"}).retry_after is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"x-bapi-limit-reset-timestamp": str(NOW + 700)}, 0.7),
        ({"x-bapi-limit-reset-timestamp": str(NOW + 700), "timenow": str(NOW + 500)}, 0.2),
        ({"x-bapi-limit-reset-timestamp": str(NOW - 5)}, 0.0),
        ({"x-bapi-limit-reset-timestamp": "9" * 400}, None),
        ({"x-bapi-limit-reset-timestamp": "soon"}, None),
        ({}, None),
    ],
)
def test_a_limit_tells_when_it_is_over_or_not(headers: dict[str, str], wait: float | None) -> None:
    """By the exchange's own clock."""
    error = told(retCode=10006, headers=headers)
    assert isinstance(error, RestLimited)
    assert error.retry_after == (None if wait is None else pytest.approx(wait, abs=0.001))


def test_a_limit_that_is_used_up_is_minded_before_it_is_refused() -> None:
    """The last answer that was allowed says so."""
    headers = {"x-bapi-limit-status": "0", "x-bapi-limit-reset-timestamp": str(NOW + 300)}
    answer = told(headers=headers)
    assert isinstance(answer, Answer)
    assert answer.wait == pytest.approx(0.3, abs=0.001)
    assert told(headers={"x-bapi-limit-status": "0"}).wait == 0.0  # type: ignore[union-attr]


def test_a_text_is_cut_and_the_key_taken_out_of_it() -> None:
    """The exchange echoes what was signed; what a terminal would obey is escaped."""
    error = told(retCode=10004, retMsg="error sign! origin_string[17K3Y5000]\x1b[2J" + "x" * 5_000_000)
    assert "17***5000]\\x1b[2J" in str(error)
    assert len(str(error)) < 500
    assert told(retCode=10004, retMsg={"no": "text"}).text == ""  # type: ignore[union-attr]


def test_half_a_key_at_the_place_where_a_text_is_cut_is_not_translated() -> None:
    """It is taken out before the text is cut to what is told."""
    error = told(retCode=10004, retMsg="x" * 198 + "K3Y")
    assert "K" not in str(error).removeprefix("execution/list: refused with 10004: ").split(". Check")[0]
