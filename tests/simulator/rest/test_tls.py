"""The REST host speaks TLS where the streams do."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request

import pytest

from bybit_sync.simulator import Exchange

pytest.importorskip("trustme")


def test_rest_is_spoken_over_tls_by_the_same_authority() -> None:
    """A client that trusts the exchange's authority is answered."""
    with Exchange(tls=True) as exchange:
        assert exchange.rest_url.startswith("https://")
        with urllib.request.urlopen(f"{exchange.rest_url}/v5/market/time", context=exchange.ssl_context, timeout=10) as answer:
            assert answer.status == 200


def test_who_does_not_trust_it_gets_no_answer() -> None:
    """And the next one does."""
    with Exchange(tls=True) as exchange:
        url = f"{exchange.rest_url}/v5/market/time"
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(url, context=ssl.create_default_context(), timeout=10)
        with urllib.request.urlopen(url, context=exchange.ssl_context, timeout=10) as answer:
            assert answer.status == 200
