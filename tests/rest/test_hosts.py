"""Where the REST API of an environment is."""

from __future__ import annotations

import pytest

from bybit_sync import ENVIRONMENTS, ConfigurationError, Environment
from bybit_sync.rest.hosts import REST_HOSTS, rest_host


def test_every_named_environment_has_a_rest_host() -> None:
    """On the same site as its streams; so has its URL."""
    assert REST_HOSTS.keys() == ENVIRONMENTS.keys()
    for name, environment in ENVIRONMENTS.items():
        host = rest_host(environment)
        assert (f"https://{host.host}", host.port, host.tls) == (REST_HOSTS[name], 443, True)
        assert host.host.removeprefix("api") == environment.host.removeprefix("stream")
        assert rest_host(Environment.find(environment.url)) == host


def test_a_base_url_of_one_s_own_counts() -> None:
    """Without TLS on loopback only."""
    somewhere = Environment.find("wss://gateway.example.com")
    host = rest_host(somewhere, "https://rest.example.com:8443")
    assert (host.host, host.port, host.tls, host.name) == ("rest.example.com", 8443, True, "https://rest.example.com:8443")
    assert rest_host(somewhere, "HTTP://127.0.0.1:8080").authority == "127.0.0.1:8080"


@pytest.mark.parametrize(
    "base_url",
    ["http://rest.example.com", "wss://rest.example.com", "rest.example.com", "https://a/v5", "https://u:p@a", "", 7],
)
def test_what_is_no_base_url_is_refused_with_the_remedy(base_url: str) -> None:
    """And is not repeated: it may hold a password."""
    with pytest.raises(ConfigurationError, match=r"give Recovery\(base_url=") as refused:
        rest_host(ENVIRONMENTS["mainnet"], base_url)
    assert "u:p" not in str(refused.value)
    assert refused.value.__context__ is None


def test_a_base_url_is_needed_where_none_is_known() -> None:
    """It cannot be derived with certainty."""
    with pytest.raises(ConfigurationError, match=r"wss://gateway.example.com is not known: give Recovery\(base_url="):
        rest_host(Environment.find("wss://gateway.example.com"))
