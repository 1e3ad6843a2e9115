"""Where the exchange lives: names and base URLs."""

from __future__ import annotations

import pytest

from bybit_sync.config.environments import ENVIRONMENTS, Environment
from bybit_sync.errors import ConfigurationError

HOSTS = {
    "mainnet": "stream.bybit.com",
    "testnet": "stream-testnet.bybit.com",
    "demo": "stream-demo.bybit.com",
    "tr": "stream.bybit.tr",
    "kz": "stream.bybit.kz",
    "ge": "stream.bybitgeorgia.ge",
    "id": "stream.bybit.id",
    "jp": "stream.manepa.jp",
    "eu": "stream.bybit.eu",
    "ae": "stream.bybit.ae",
}


@pytest.mark.parametrize(("name", "host"), HOSTS.items())
def test_name_leads_to_its_host_over_tls(name: str, host: str) -> None:
    """Each name stands for one host of the exchange, at the usual port, over TLS."""
    place = Environment.find(name)
    assert (place.name, place.url, place.host, place.port, place.tls) == (name, f"wss://{host}", host, 443, True)


def test_every_named_environment_has_a_source() -> None:
    """The table says of each host where it was published, and has no other names."""
    assert set(ENVIRONMENTS) == set(HOSTS)
    assert all(place.source for place in ENVIRONMENTS.values())


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("wss://gateway.example", "gateway.example", 443, True),
        ("wss://gateway.example:8443", "gateway.example", 8443, True),
        ("WSS://Gateway.Example", "gateway.example", 443, True),
        ("wss://192.0.2.1", "192.0.2.1", 443, True),
        ("wss://[2001:db8::1]:444", "2001:db8::1", 444, True),
        ("ws://localhost:8080", "localhost", 8080, False),
        ("ws://127.0.0.1", "127.0.0.1", 80, False),
        ("ws://127.8.9.1:1", "127.8.9.1", 1, False),
        ("ws://[::1]:65535", "::1", 65535, False),
    ],
)
def test_base_url_is_taken_apart(url: str, host: str, port: int, tls: bool) -> None:  # noqa: FBT001
    """A base URL gives host, port and whether TLS is spoken; its name is the URL."""
    place = Environment.find(url)
    assert (place.name, place.host, place.port, place.tls) == (url, host, port, tls)


@pytest.mark.parametrize("url", ["ws://localhost", "wss://localhost", "ws://127.0.0.1", "wss://[::1]"])
def test_this_machine_is_loopback(url: str) -> None:
    """Addresses of this machine are known as such."""
    assert Environment.find(url).is_loopback


@pytest.mark.parametrize("url", ["wss://192.0.2.1", "wss://localhost.example", "wss://[2001:db8::1]", "wss://stream.bybit.com"])
def test_another_machine_is_not_loopback(url: str) -> None:
    """A name that only begins like this machine's is another machine's."""
    assert not Environment.find(url).is_loopback


@pytest.mark.parametrize(
    "url", ["ws://stream.bybit.com", "ws://192.0.2.1", "ws://0.0.0.0", "ws://localhost.evil.example", "ws://[2001:db8::1]"]
)
def test_unencrypted_url_of_another_machine_is_refused(url: str) -> None:
    """A login never goes unencrypted to another machine."""
    with pytest.raises(ConfigurationError, match="unencrypted.*use wss://"):
        Environment.find(url)


BAD_URLS = [
    "https://stream.bybit.com",
    "wss://",
    "wss:///v5/private",
    "wss://stream.bybit.com/",
    "wss://stream.bybit.com/v5/private",
    "wss://stream.bybit.com?max_active_time=1m",
    "wss://stream.bybit.com#top",
    "wss://stream.bybit.com:",
    "wss://stream.bybit.com:0",
    "wss://stream.bybit.com:65536",
    "wss://stream.bybit.com:+443",
    "wss://stream.bybit.com:４４３",
    "wss://stream.bybit.com\n",
    "wss://stream.bybit.com\r\nCookie: a=b",
    " wss://stream.bybit.com",
    "wss://stream.bybit .com",
    "wss://stream..bybit.com",
    "wss://stream.bybit.com.",
    "wss://-stream.bybit.com",
    "wss://" + "a" * 64 + ".example",
    "wss://" + "a." * 150 + "example",
    "wss://stream.bybіt.com",
    "wss://[::1",
    "wss://[12345::1]",
    "wss://[fe80::1%eth0]",
    "wss://::1",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_url_that_is_no_base_url_is_refused(url: str) -> None:
    """Whatever is not exactly scheme, host and port is refused, naming argument, value and remedy."""
    with pytest.raises(ConfigurationError, match="^environment=.* Use one of mainnet, testnet, demo,"):
        Environment.find(url)


@pytest.mark.parametrize("value", ["", "Mainnet", "live", "stream.bybit.com", 5, None, b"mainnet"])
def test_value_that_is_no_name_is_refused(value: object) -> None:
    """A name that is not in the table, or no text at all, is refused with the names there are."""
    with pytest.raises(ConfigurationError, match="^environment=.* Use one of mainnet, testnet, demo,"):
        Environment.find(value)  # type: ignore[arg-type]


def test_password_in_a_url_is_not_repeated() -> None:
    """A URL with user and password is refused without showing them (row 155)."""
    with pytest.raises(ConfigurationError, match="user") as caught:
        Environment.find("wss://me:hunter2@stream.bybit.com")
    assert "hunter2" not in str(caught.value)


def test_long_value_is_shortened_in_the_error() -> None:
    """An error stays readable whatever was passed."""
    with pytest.raises(ConfigurationError) as caught:
        Environment.find("x" * 1_000_000)
    assert len(str(caught.value)) < 1000


def test_environment_is_returned_as_it_is() -> None:
    """An `Environment` stands for itself, so that one can be made beforehand."""
    place = Environment(name="colo", url="wss://gateway.example", source="the contract")
    assert Environment.find(place) is place


def test_environment_of_ones_own_is_checked_too() -> None:
    """Nobody gets past the checks by making the object."""
    with pytest.raises(ConfigurationError, match="unencrypted"):
        Environment(name="mainnet", url="ws://stream.bybit.com")
