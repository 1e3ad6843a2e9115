"""The hosts of the REST API, a table beside that of the streams.

https://bybit-exchange.github.io/docs/v5/guide
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bybit_sync.config.environments import ENVIRONMENTS, Environment
from bybit_sync.errors import ConfigurationError

__all__ = ["REST_HOSTS", "rest_host"]

REST_HOSTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mainnet": "https://api.bybit.com",
        "testnet": "https://api-testnet.bybit.com",
        "demo": "https://api-demo.bybit.com",
        "tr": "https://api.bybit.tr",
        "kz": "https://api.bybit.kz",
        "ge": "https://api.bybitgeorgia.ge",
        "id": "https://api.bybit.id",
        "jp": "https://api.manepa.jp",
        "eu": "https://api.bybit.eu",
        "ae": "https://api.bybit.ae",
    }
)
"""The base URL of the REST API, by the name of the environment."""

_NAMES_BY_URL: Final = {environment.url: name for name, environment in ENVIRONMENTS.items()}
_REMEDY: Final = (
    'give Recovery(base_url="https://host[:port]"), or --rest-url to the command (http:// for loopback addresses; no path)'
)


def rest_host(environment: Environment, base_url: str | None = None) -> Environment:
    """Return the REST host of *environment*, or that of *base_url*, for `dial`.

    Raises `ConfigurationError` for an invalid base URL, and for an environment whose
    REST host is unknown.
    """
    if base_url is None:
        name = environment.name if environment.name in REST_HOSTS else _NAMES_BY_URL.get(environment.url)
        if name is None:
            raise ConfigurationError(f"the REST host of {environment.name} is not known: {_REMEDY}")
        base_url = REST_HOSTS[name]
    scheme, separator, rest = base_url.partition("://") if isinstance(base_url, str) else ("", "", "")
    if not separator or scheme.lower() not in ("http", "https"):
        raise ConfigurationError(f"base_url is no URL of a REST host: {_REMEDY}")
    try:
        return Environment(base_url, f"{'wss' if scheme.lower() == 'https' else 'ws'}://{rest}")
    except ConfigurationError:
        pass
    # Outside of the except clause, so that the error has no context: the caught one is
    # about streams.
    raise ConfigurationError(f"base_url is no URL of a REST host: {_REMEDY}")
