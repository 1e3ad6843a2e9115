"""The environments of the exchange: a table of names and hosts, with sources."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from bybit_sync.errors import ConfigurationError

__all__ = ["DOUBTFUL", "ENVIRONMENTS", "Environment", "host_and_port"]

_URL = re.compile(
    r"(?P<scheme>wss?)://(?P<host>[a-z0-9_.-]{1,253}|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?", re.ASCII | re.IGNORECASE
)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_USER_INFO = re.compile(r"//[^/]*@")
_DEFAULT_PORTS = {"wss": 443, "ws": 80}


@attrs.frozen
class Environment:
    """An address where the exchange, or a stand-in for it, accepts connections.

    *name* appears in texts, *url* is its base, ``wss://host[:port]`` without a path
    (``ws://`` for loopback addresses only), and *source* says where the address was
    published. *host*, *port*, *tls* and *is_loopback* follow from the URL.

    Example:
        >>> gateway = Environment("gateway", "wss://gateway.example.com:8443")
        >>> gateway.host, gateway.port, gateway.tls
        ('gateway.example.com', 8443, True)
        >>> Client("KEY", "SECRET", environment=gateway, name="main")
        <Client main: gateway v5, IDLE, no stream>

    Raises:
        ConfigurationError: *url* is no such URL.

    """

    name: str
    url: str
    source: str = ""
    host: str = attrs.field(init=False)
    port: int = attrs.field(init=False)
    tls: bool = attrs.field(init=False)
    is_loopback: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        scheme, host, port = _split(self.url)
        object.__setattr__(self, "host", host)
        object.__setattr__(self, "port", port)
        object.__setattr__(self, "tls", scheme == "wss")
        object.__setattr__(self, "is_loopback", _is_loopback(host))
        if not self.tls and not self.is_loopback:
            raise _refused(self.url, "would send the login unencrypted; ws:// is for loopback addresses only, use wss://")

    @property
    def authority(self) -> str:
        """The ``host[:port]`` of the URL, for a ``Host`` header."""
        return self.url.partition("://")[2]

    @classmethod
    def find(cls, value: Environment | str) -> Environment:
        """Return *value*, or the environment that it names.

        A text is a name in `ENVIRONMENTS`, or a base URL.

        Example:
            >>> Environment.find("testnet").url
            'wss://stream-testnet.bybit.com'

        Raises:
            ConfigurationError: *value* is neither.

        """
        if isinstance(value, Environment):
            return value
        if not isinstance(value, str):
            raise ConfigurationError(f"environment={value!r} is a {type(value).__name__}; give a name or a base URL. {_REMEDY}")
        if "://" in value:
            return cls(name=value, url=value)
        try:
            return ENVIRONMENTS[value]
        except KeyError:
            raise _refused(value, "is not a name that we know") from None


def host_and_port(host: str, port: int) -> str:
    """Return *host* and *port* in the form of a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _split(url: str) -> tuple[str, str, int]:
    match = _URL.fullmatch(url)
    if match is None:
        raise _refused(url, "is not a base URL: wss://host[:port], without path, query, user or spaces")
    scheme, host = match["scheme"].lower(), match["host"].lower()
    port = int(match["port"] or _DEFAULT_PORTS[scheme])
    if not 0 < port <= 65535:  # noqa: PLR2004
        raise _refused(url, "has a port outside 1 to 65535")
    return scheme, _checked_host(url, host), port


def _checked_host(url: str, host: str) -> str:
    if host.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise _refused(url, "has an IPv6 address that is none") from None
    if not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise _refused(url, "has a host name that is none")
    return host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refused(value: str, why: str) -> ConfigurationError:
    shown = _USER_INFO.sub("//…@", value)[:200]
    return ConfigurationError(f"environment={shown!r} {why}. {_REMEDY}")


_CONNECT_PAGE = "https://bybit-exchange.github.io/docs/v5/ws/connect"
_DEMO_PAGE = "https://bybit-exchange.github.io/docs/v5/demo"
_STATUS_PAGE = "https://bybit-exchange.github.io/docs/v5/websocket/public/system-status"

_TABLE = (
    ("mainnet", "wss://stream.bybit.com", _CONNECT_PAGE),
    ("testnet", "wss://stream-testnet.bybit.com", _CONNECT_PAGE),
    ("demo", "wss://stream-demo.bybit.com", _DEMO_PAGE),
    ("tr", "wss://stream.bybit.tr", f"{_CONNECT_PAGE} (since 2026-05-22)"),
    ("kz", "wss://stream.bybit.kz", f"{_CONNECT_PAGE} (since 2024-11-05)"),
    ("ge", "wss://stream.bybitgeorgia.ge", f"{_CONNECT_PAGE} (since 2025-07-03)"),
    ("id", "wss://stream.bybit.id", f"{_CONNECT_PAGE} (since 2026-07-06)"),
    ("jp", "wss://stream.manepa.jp", f"{_CONNECT_PAGE} (since 2026-07-24)"),
    ("eu", "wss://stream.bybit.eu", f"{_STATUS_PAGE}; for private streams the .NET client Bybit.Net only"),
    ("ae", "wss://stream.bybit.ae", "the .NET client Bybit.Net only; Bybit's pages name no stream host for the region"),
)

_REMEDY = f"Use one of {', '.join(name for name, _, _ in _TABLE)}, or wss://host[:port] (ws:// for loopback addresses)"

ENVIRONMENTS: Mapping[str, Environment] = MappingProxyType(
    {name: Environment(name, url, source) for name, url, source in _TABLE}
)
"""The environments that have a name, by that name.

A key works only on the hosts of the site where its account was made.
"""

DOUBTFUL: frozenset[str] = frozenset({"eu", "ae"})
"""The environments whose host for private streams Bybit does not document.

Other public clients connect the keys of these regions to mainnet.
"""
