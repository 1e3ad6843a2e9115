"""Neither key, secret nor signature is told: not in an error, not in the frames of one, not in the log."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from bybit_sync.errors import RestError
from bybit_sync.rest.endpoints import ACCOUNT_INFO, EXECUTIONS
from bybit_sync.rest.reader import RestReader
from bybit_sync.signing.credentials import hmac_signer
from bybit_sync.simulator import Account, Exchange
from tests.conftest import KEY, SECRET
from tests.faults.rows import row

FAULTS: dict[str, Callable[[Exchange], Any]] = {
    "signature": lambda exchange: exchange.rest.refuse(10004, text=f"error sign! origin_string[1{KEY}5000]"),
    "html": lambda exchange: exchange.rest.respond(403, f"<html>{KEY}</html>"),
    "no json": lambda exchange: exchange.rest.respond(200, f"{{{KEY}"),
    "cut": lambda exchange: exchange.rest.cut(after=10),
    "away": lambda exchange: exchange.rest.stop_listening(),
    "slow": lambda exchange: exchange.rest.slow(60.0),
    "redirect": lambda exchange: exchange.rest.respond(302, headers={"Location": f"http://127.0.0.1:9/{KEY}"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_error_and_its_frames_hold_no_secret(
    exchange: Exchange, account: Account, make_reader: Callable[..., RestReader], fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Also for who prints the locals of every frame, and who reads every log of the process."""
    signatures: list[str] = []
    sign = hmac_signer(SECRET)

    def remembered(text: str) -> str:
        signatures.append(sign(text))
        return signatures[-1]

    reader = make_reader(exchange.rest_url, timeout=1.0, sign=remembered)
    FAULTS[fault](exchange)
    with caplog.at_level(logging.DEBUG), pytest.raises(RestError) as raised:
        reader.ask(EXECUTIONS, {"category": "linear"})
    # The test's own frames are the first ones.
    frames = traceback.walk_tb(raised.value.__traceback__)
    ours = [frame for frame, _ in frames if "/bybit_sync/" in frame.f_code.co_filename]
    told = [str(raised.value), repr(raised.value), repr(vars(raised.value)), caplog.text]
    told += [repr(value) for frame in ours for value in frame.f_locals.values()]
    assert ours
    assert raised.value.__context__ is None
    for secret in (KEY, SECRET, *signatures):
        assert not [text for text in told if secret in text]


@row(185, kills="redirects are followed")
def test_no_redirect_gets_the_key(exchange: Exchange, account: Account, make_reader: Callable[..., RestReader]) -> None:
    """Not even to the same host."""
    reader = make_reader(exchange.rest_url)
    exchange.rest.respond(307, headers={"Location": f"{exchange.rest_url}/v5/account/info"}, times=1)
    with pytest.raises(RestError, match="No redirect is followed"):
        reader.ask(ACCOUNT_INFO)
    assert len(exchange.rest.calls) == 1
