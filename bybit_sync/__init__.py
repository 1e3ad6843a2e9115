"""A synchronous, threaded client of Bybit's private contract streams.

The streams are balances, orders, positions and user trades.

A script:

    import bybit_sync

    client = bybit_sync.Client("KEY", "SECRET")
    sub = client.subscribe_positions(print)  # returns once the exchange has confirmed it
    ...
    sub.close()
    client.close()

Examples in this documentation run. They assume that every public name is imported, and

    >>> from bybit_sync.simulator import Exchange
    >>> exchange = Exchange().start()  # on loopback: nothing leaves the machine
    >>> account = exchange.account("KEY", "SECRET")
    >>> client = Client("KEY", "SECRET", environment=exchange.url)

They end with:

    >>> client.close()
    True
    >>> exchange.close()

"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from bybit_sync._version import __version__

if TYPE_CHECKING:
    from bybit_sync.account.snapshot import AccountSnapshot
    from bybit_sync.account.view import AccountView
    from bybit_sync.client import Client
    from bybit_sync.config.environments import ENVIRONMENTS, Environment
    from bybit_sync.delivery.inline import Inline
    from bybit_sync.delivery.queue_sink import EventQueue
    from bybit_sync.engine.notifier import StatusChange
    from bybit_sync.engine.rate_limit import ConnectLimit
    from bybit_sync.engine.retrying import Backoff
    from bybit_sync.errors import (
        AuthenticationError,
        BybitSyncError,
        ClientClosed,
        ConfigurationError,
        ConnectionFailed,
        ConnectionLost,
        ConnectTimeout,
        HandshakeRejected,
        JournalError,
        ProtocolError,
        QueueOverflow,
        RecordingError,
        RedisStreamError,
        RedisUnavailable,
        Refused,
        RestBlocked,
        RestClockRefused,
        RestError,
        RestLimited,
        RestProtocolError,
        RestRefused,
        RestTLSError,
        RestUnavailable,
        SubscriptionClosed,
        SubscriptionRejected,
        TLSError,
    )
    from bybit_sync.model.balances import BalanceUpdate, CoinBalance
    from bybit_sync.model.enums import (
        AccountType,
        CancelType,
        Category,
        ColRes,
        CreateType,
        ExecType,
        FeeType,
        LastLiquidityInd,
        MarketUnit,
        OcoTriggerBy,
        OpenEnum,
        OrderStatus,
        OrderType,
        PlaceType,
        PositionStatus,
        RejectReason,
        Side,
        SlippageToleranceType,
        SmpType,
        StopOrderType,
        SubFeeType,
        TimeInForce,
        TpslMode,
        TriggerBy,
    )
    from bybit_sync.model.events import (
        AnyEvent,
        Event,
        Gap,
        GapReason,
        Source,
        Stream,
        is_balances,
        is_orders,
        is_positions,
        is_user_trades,
    )
    from bybit_sync.model.from_dict import from_dict
    from bybit_sync.model.orders import OrderUpdate
    from bybit_sync.model.positions import PositionUpdate
    from bybit_sync.model.to_dict import to_dict
    from bybit_sync.model.trades import ExtraFee, UserTradeUpdate
    from bybit_sync.recording.recorder import Recorder
    from bybit_sync.recording.replay import replay
    from bybit_sync.recovery.options import Recovery
    from bybit_sync.session.dialects import DIALECTS, V3, V5, Dialect
    from bybit_sync.signing.rsa import rsa_signer
    from bybit_sync.status import Health, RecoveryHealth, State, StreamTotals, SubscriptionHealth, SubscriptionState
    from bybit_sync.subscription import Subscription

__all__ = [
    "DIALECTS",
    "ENVIRONMENTS",
    "V3",
    "V5",
    "AccountSnapshot",
    "AccountType",
    "AccountView",
    "AnyEvent",
    "AuthenticationError",
    "Backoff",
    "BalanceUpdate",
    "BybitSyncError",
    "CancelType",
    "Category",
    "Client",
    "ClientClosed",
    "CoinBalance",
    "ColRes",
    "ConfigurationError",
    "ConnectLimit",
    "ConnectTimeout",
    "ConnectionFailed",
    "ConnectionLost",
    "CreateType",
    "Dialect",
    "Environment",
    "Event",
    "EventQueue",
    "ExecType",
    "ExtraFee",
    "FeeType",
    "Gap",
    "GapReason",
    "HandshakeRejected",
    "Health",
    "Inline",
    "JournalError",
    "LastLiquidityInd",
    "MarketUnit",
    "OcoTriggerBy",
    "OpenEnum",
    "OrderStatus",
    "OrderType",
    "OrderUpdate",
    "PlaceType",
    "PositionStatus",
    "PositionUpdate",
    "ProtocolError",
    "QueueOverflow",
    "Recorder",
    "RecordingError",
    "Recovery",
    "RecoveryHealth",
    "RedisStreamError",
    "RedisUnavailable",
    "Refused",
    "RejectReason",
    "RestBlocked",
    "RestClockRefused",
    "RestError",
    "RestLimited",
    "RestProtocolError",
    "RestRefused",
    "RestTLSError",
    "RestUnavailable",
    "Side",
    "SlippageToleranceType",
    "SmpType",
    "Source",
    "State",
    "StatusChange",
    "StopOrderType",
    "Stream",
    "StreamTotals",
    "SubFeeType",
    "Subscription",
    "SubscriptionClosed",
    "SubscriptionHealth",
    "SubscriptionRejected",
    "SubscriptionState",
    "TLSError",
    "TimeInForce",
    "TpslMode",
    "TriggerBy",
    "UserTradeUpdate",
    "__version__",
    "from_dict",
    "is_balances",
    "is_orders",
    "is_positions",
    "is_user_trades",
    "replay",
    "rsa_signer",
    "to_dict",
]

if not TYPE_CHECKING:
    # Imported at the first access to a public name: pytest imports this package at
    # every start, for its fixtures, and tools that patch ssl or socket have to run
    # before the first import. A name imports the modules up to its own: errors and
    # updates come without ssl and a connection, and only `replay` imports its module.
    _HOMES = (
        "bybit_sync.errors",
        "bybit_sync.model.enums",
        "bybit_sync.model.balances",
        "bybit_sync.model.events",
        "bybit_sync.model.from_dict",
        "bybit_sync.model.orders",
        "bybit_sync.model.positions",
        "bybit_sync.model.to_dict",
        "bybit_sync.model.trades",
        "bybit_sync.config.environments",
        "bybit_sync.signing.rsa",
        "bybit_sync.status",
        "bybit_sync.engine.notifier",
        "bybit_sync.engine.rate_limit",
        "bybit_sync.engine.retrying",
        "bybit_sync.delivery.inline",
        "bybit_sync.delivery.queue_sink",
        "bybit_sync.subscription",
        "bybit_sync.account.snapshot",
        "bybit_sync.account.view",
        "bybit_sync.session.dialects",
        "bybit_sync.recovery.options",
        "bybit_sync.recording.recorder",
        "bybit_sync.client",
        "bybit_sync.recording.replay",
    )

    def __getattr__(name: str) -> object:
        """Return the public *name*, and import what comes before it in `_HOMES`."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        homes = iter(_HOMES)
        while name not in globals():
            module = import_module(next(homes))
            globals().update((public, getattr(module, public)) for public in module.__all__ if public in __all__)
        return globals()[name]

    def __dir__() -> list[str]:
        return sorted(__all__)

    # Pickles of older versions name these modules, which are gone, and the function
    # below.
    for _gone in ("enums", "environments", "outlet", "pacing", "plain", "playback", "rsa", "updates"):
        sys.modules[f"{__name__}.{_gone}"] = sys.modules[__name__]

    def _made_from(cls: type, arguments: dict[str, object]) -> object:
        return cls(**arguments)
