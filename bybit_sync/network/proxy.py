"""Tunnels through proxies: HTTP CONNECT is implemented here, SOCKS by python-socks."""

from __future__ import annotations

import base64
import importlib.util
import ipaddress
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import unquote

import attrs

from bybit_sync.config.environments import Environment, host_and_port
from bybit_sync.errors import ConfigurationError, HandshakeRejected, describe
from bybit_sync.extras import install
from bybit_sync.network.wire import Wire, strip_traceback
from bybit_sync.text import printable

__all__ = ["Proxy", "Route"]

_R = TypeVar("_R", bound="Route | None")

_URL = re.compile(
    r"(?P<scheme>[a-z0-9]+)://((?P<user>[!-.0-9;-~]*)(:(?P<password>[!-.0-~]*))?@)?"
    r"(?P<host>[a-z0-9_.-]{1,253}|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?/?",
    re.ASCII | re.IGNORECASE,
)
_REMEDY = 'Use "http://user:password@host:port", "socks5h://…", "socks5://…", "socks4://…", "env" or None'
_SOCKS_REMEDY = f"SOCKS needs python-socks: {install('python-socks')}"


@attrs.frozen
class _Kind:
    """A kind of proxy.

    It has a default port, a name in python-socks, and a flag: whether it resolves the
    exchange's name itself.
    """

    port: int
    socks: str | None = None
    resolves: bool = True


_KINDS = {
    "http": _Kind(80),
    "socks5h": _Kind(1080, "SOCKS5"),
    "socks5": _Kind(1080, "SOCKS5", resolves=False),
    "socks4a": _Kind(1080, "SOCKS4"),
    "socks4": _Kind(1080, "SOCKS4", resolves=False),
}


class Proxy:
    """A user's choice of proxy.

    It is one address, or the environment variables at the time of each attempt.
    """

    def __init__(self, route: Route | None) -> None:
        self._route = route

    def __repr__(self) -> str:
        return f"<Proxy {self._route or 'as the environment variables say'}>"

    @classmethod
    def parse(cls, text: str | None) -> Proxy | None:
        """Return the choice for *text*: None, a proxy's URL or "env".

        Raises `ConfigurationError`, whose text holds no credentials.
        """
        if text is None or text == "env":
            return None if text is None else cls(None)
        return cls(_sure(_read(text, "proxy")))

    def route(self, environment: Environment) -> Route | None:
        """Return the proxy for a connection to *environment*; None to connect directly.

        Raises `ConfigurationError` for an environment variable that is no proxy's URL,
        and when an unencrypted login would reach another machine.
        """
        route = self._route or _sure(_read_variables(environment))
        if route is not None and not environment.tls and not route.is_loopback:
            raise ConfigurationError(
                f"proxy={route} is on another machine, and {environment.url} is unencrypted, so that it would read the login. "
                f"Go directly (proxy=None, or no_proxy={environment.host} in the environment) or use wss://"
            )
        return route


@attrs.frozen(repr=False, eq=False)
class Route:
    """A proxy with scheme, host and port.

    A closure holds its credentials, so that no repr shows them.
    """

    scheme: str
    host: str
    port: int
    credentials: Callable[[], tuple[str, str] | None]

    def __repr__(self) -> str:
        return f"{self.scheme}://{host_and_port(self.host, self.port)}"

    @property
    def is_loopback(self) -> bool:
        """True when the proxy is on this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def tunnel(self, wire: Wire, environment: Environment, resolve: Callable[[str], Iterable[str]]) -> None:
        """Have the proxy connect *wire* with *environment*.

        *resolve* is used for proxies that do not resolve names. Raises
        `HandshakeRejected` with the status of an HTTP proxy that refuses, and
        `ConnectionFailed` for other failures.
        """
        kind = _KINDS[self.scheme]
        host = environment.host if kind.resolves else _address(kind, resolve(environment.host))
        wire.deadline.phase = "asking the proxy"
        if kind.socks is None:
            self._connect_http(wire, host, environment.port)
        else:
            self._connect_socks(wire, kind.socks, host, environment.port)

    def _connect_http(self, wire: Wire, host: str, port: int) -> None:
        wire.sendall(self._http_request(host_and_port(host, port)))
        head = wire.read_head()
        if not 200 <= head.status < 300:  # noqa: PLR2004
            raise HandshakeRejected(
                f"{wire.deadline.peer}: the proxy refused with {head.status} {head.phrase}. {_hint(head.status)}",
                status=head.status,
            )
        if head.rest:
            raise wire.deadline.failed(f"the proxy sent more than its answer: {printable(head.rest, 80)!r}")

    def _http_request(self, authority: str) -> bytes:
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
        if (given := self.credentials()) is not None:
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(':'.join(given).encode()).decode()}")
        return "\r\n".join([*lines, "", ""]).encode()

    def _connect_socks(self, wire: Wire, name: str, host: str, port: int) -> None:
        try:
            self._ask_socks(wire, name, host, port)
        except BaseException as error:  # noqa: BLE001 its frames hold the password, so it must not pass unchanged
            failure = wire.failure or wire.deadline.failed(f"the proxy refused: {printable(describe(error))}")
        else:
            return
        raise strip_traceback(failure)

    def _ask_socks(self, wire: Wire, name: str, host: str, port: int) -> None:
        from python_socks import ProxyType  # noqa: PLC0415 an extra: imported only when it is used
        from python_socks.sync import Proxy as SocksProxy  # noqa: PLC0415

        user, password = self.credentials() or (None, None)
        before: Any = _Connected(wire)
        SocksProxy(ProxyType[name], self.host, self.port, user, password, rdns=True, forward=before).connect(host, port)


class _Connected:
    """A stand-in for the proxy that python-socks would connect through first.

    It returns the connected wire.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def connect(self, **_: object) -> Wire:
        return self._wire


def _address(kind: _Kind, addresses: Iterable[str]) -> str:
    """Return the first of *addresses* that a proxy of this *kind* accepts.

    SOCKS4 accepts IPv4 only.
    """
    found = list(addresses)
    return next((address for address in found if kind.socks != "SOCKS4" or ":" not in address), found[0])


def _hint(status: int) -> str:
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return "Check user and password in the proxy's URL"
    return "Ask the proxy's owner whether it lets connections through to this host and port"


def _read(text: str, source: str) -> Route | ConfigurationError:
    """Return the proxy with the URL *text*, or the error to raise.

    *source* is the argument or variable that held it. The error is returned, not
    raised: the traceback of a raised one would hold the credentials in its frames.
    """
    match = _URL.fullmatch(text) if isinstance(text, str) else None
    kind = _KINDS.get(match["scheme"].lower()) if match else None
    port = int(match["port"] or kind.port) if match and kind else 0
    if match is None or kind is None or not 0 < port <= 65535:  # noqa: PLR2004
        return ConfigurationError(f"{source} is no proxy's URL that we understand. {_REMEDY}")
    if kind.socks and importlib.util.find_spec("python_socks") is None:
        return ConfigurationError(f"{source} names a SOCKS proxy. {_SOCKS_REMEDY}")
    user, password = match["user"], match["password"] or ""
    given = None if user is None else (unquote(user), unquote(password))
    return Route(match["scheme"].lower(), match["host"].strip("[]"), port, lambda: given)


def _read_variables(environment: Environment) -> Route | ConfigurationError | None:
    from urllib import request  # noqa: PLC0415 slow to import, seldom needed

    found = request.getproxies_environment()
    if request.proxy_bypass_environment(environment.host, found):  # type: ignore[attr-defined]
        return None
    for name in ("https" if environment.tls else "http", "all"):
        if text := found.get(name):
            return _read(text if "://" in text else f"http://{text}", f"{name}_proxy in the environment")
    return None


def _sure(route: _R | ConfigurationError) -> _R:
    if isinstance(route, ConfigurationError):
        raise route
    return route
