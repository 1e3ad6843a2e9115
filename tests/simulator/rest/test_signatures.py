"""Who is let in: key, signature, and a timestamp inside the window."""

from __future__ import annotations

import pytest

from bybit_sync.simulator import Account, Exchange
from tests.conftest import KEY
from tests.simulator.rest.asker import Asker


def test_a_signed_request_is_answered(asker: Asker) -> None:
    """With an envelope of the exchange's, and where the key stands."""
    answer = asker.get("account/wallet-balance", accountType="UNIFIED")
    assert list(answer.envelope) == ["retCode", "retMsg", "result", "retExtInfo", "time"]
    assert (answer.status, answer.code, answer.headers["x-bapi-limit"]) == (200, 0, "50")
    assert answer.headers["x-bapi-limit-status"] == "49"


def test_a_request_without_headers_is_not_let_in(asker: Asker) -> None:
    """HTTP 401, unless the endpoint is a public one."""
    assert asker.get("account/info", is_signed=False).status == 401
    assert asker.get("market/time", is_signed=False).code == 0


def test_an_unknown_key_is_refused(exchange: Exchange, account: Account) -> None:
    """Before anything is looked at."""
    assert Asker(exchange, key="somebody").get("account/info").code == 10003


def test_a_wrong_signature_is_refused_with_what_was_signed(exchange: Exchange, account: Account) -> None:
    """The exchange echoes the key, so that a client can prove to hide it."""
    answer = Asker(exchange, secret="wrong").get("account/info")
    assert answer.code == 10004
    assert KEY in answer.envelope["retMsg"]


@pytest.mark.parametrize(
    ("ahead", "window", "code"),
    [(0, 5000, 0), (-4000, 5000, 0), (-6000, 5000, 10002), (-6000, 20_000, 0), (700, 5000, 0), (1500, 60_000, 10002)],
)
def test_a_timestamp_has_to_be_in_the_window(exchange: Exchange, account: Account, ahead: int, window: int, code: int) -> None:
    """Late by no more than the window, and ahead by less than a second whatever the window is."""
    assert Asker(exchange, ahead=ahead, window=window).get("account/info").code == code


def test_the_exchange_s_clock_counts(exchange: Exchange, asker: Asker) -> None:
    """And its answer to market/time says what it is."""
    exchange.set_clock(30.0)
    assert asker.get("account/info").code == 10002
    answer = asker.get("market/time", is_signed=False).envelope
    assert abs(int(answer["result"]["timeSecond"]) * 1000 - answer["time"]) <= 1000
    assert Asker(exchange, ahead=30_000).get("account/info").code == 0


def test_a_query_is_signed_as_it_stands_on_the_wire(asker: Asker) -> None:
    """Percent signs and order included: nothing is quoted anew."""
    assert asker.get("position/list", "symbol=BTCUSDT&category=linear&cursor=A%2CB").code == 0
    assert asker.get("position/list", "category=linear&symbol=BTCUSDT&cursor=A%252CB").code == 0


def test_a_classic_account_is_told_that_it_is_none_for_this(exchange: Exchange) -> None:
    """It may still ask what it is."""
    exchange.account("CLASSIC", "SECRET", kind="CONTRACT")
    asker = Asker(exchange, "CLASSIC", "SECRET")
    assert asker.get("execution/list", category="linear").code == 10028
    assert asker.get("account/info").envelope["result"]["unifiedMarginStatus"] == 1


def test_a_get_with_a_body_and_an_unknown_path_are_refused_by_http(asker: Asker) -> None:
    """403 and 404, neither with an envelope."""
    assert asker._send("GET", "/v5/account/info", "", body="{}").status == 403
    assert asker.get("order/nowhere").status == 404
    assert asker.post("order/realtime").status == 404
