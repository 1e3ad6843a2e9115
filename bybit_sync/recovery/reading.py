"""The making of a client's reader, with its key, clock, proxy and certificates."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from bybit_sync.config.environments import Environment
from bybit_sync.config.timings import Timings
from bybit_sync.logs import ClientLog
from bybit_sync.network.proxy import Proxy
from bybit_sync.recovery.asking.times import ms
from bybit_sync.recovery.options import Recovery
from bybit_sync.rest.hosts import rest_host
from bybit_sync.rest.limits import host_limits
from bybit_sync.rest.signing import RestSigner
from bybit_sync.signing.credentials import Credentials

if TYPE_CHECKING:
    from bybit_sync.rest.reader import RestReader

__all__ = ["make_reader"]


def make_reader(
    options: Recovery,
    environment: Environment,
    credentials: Credentials,
    *,
    name: str,
    external_signer: bool,
    now: Callable[[], datetime],
    timings: Timings,
    proxy: Proxy | None,
    ssl_context: ssl.SSLContext | None,
    log: ClientLog,
) -> RestReader:
    """Return the reader of the client *name*.

    *now* returns the exchange's time; the other arguments are the client's. No I/O.
    Raises `ConfigurationError` without the package urllib3.
    """
    # Imported here: urllib3 is an extra, and a client without recovery does not need
    # it.
    from bybit_sync.rest.reader import RestReader  # noqa: PLC0415 - see above

    host = rest_host(environment, options.base_url)
    return RestReader(
        host,
        credentials.lend(RestSigner),
        now=lambda: ms(now()),
        limits=host_limits(f"{host.host}:{host.port}"),
        rate=options.rate,
        timeout=timings.request_timeout,
        signer_thread=f"{name}-rest-signer" if external_signer else None,
        blocked=timings.rest_blocked,
        limited=timings.rest_limited,
        proxy=proxy,
        ssl_context=ssl_context,
        log=log,
    )
