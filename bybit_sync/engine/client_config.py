"""The arguments of a client, checked and parsed."""

from __future__ import annotations

from collections.abc import Callable
from ssl import SSLContext
from typing import Any

from attrs import frozen

from bybit_sync.config.environments import Environment
from bybit_sync.config.timings import Timings
from bybit_sync.engine.notifier import StatusChange
from bybit_sync.engine.rate_limit import ConnectLimit
from bybit_sync.engine.retrying import Backoff
from bybit_sync.model.events import Event
from bybit_sync.network.proxy import Proxy
from bybit_sync.recording.recorder import Recorder
from bybit_sync.recovery.options import Recovery
from bybit_sync.session.config import SessionConfig
from bybit_sync.signing.credentials import Credentials
from bybit_sync.subscription import Subscription

__all__ = ["ClientConfig"]


@frozen(kw_only=True)
class ClientConfig:
    """The checked and parsed arguments of a client."""

    name: str
    environment: Environment
    session_config: SessionConfig
    timings: Timings
    credentials: Credentials
    external_signer: bool
    on_status: Callable[[StatusChange], object] | None
    on_error: Callable[[BaseException, Event[Any], Subscription[Any]], object] | None
    backoff: Backoff
    connect_limit: ConnectLimit | None
    proxy: Proxy | None
    ssl_context: SSLContext | None
    max_message_bytes: int
    recorder: Recorder | None = None
    recovery: Recovery | None = None
