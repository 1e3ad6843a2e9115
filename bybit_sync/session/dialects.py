"""The two ways in which Bybit writes its private streams, as data: V5 and V3.

V3 was for contracts; Bybit switched it off in January 2025. A dialect gives the path to
connect to, the names of the topics, and the class of a row of each. Both are decoded
into the same update classes, by one decoder that knows every spelling of either:

* `RENAMES`: one meaning under two keys is one attribute;
* `WORDS`: one meaning under two words is one member; a word that means "none" is None;
* `contract_account`: V3's wallet, a flat list of coins, is one account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from bybit_sync.decoding.parsing import RawFrame
from bybit_sync.decoding.reader import Decoded, Decoder, Reader
from bybit_sync.model.balances import BalanceUpdate, CoinBalance
from bybit_sync.model.enums import AccountType, Category, LastLiquidityInd, OpenEnum, Side, TimeInForce
from bybit_sync.model.events import Stream
from bybit_sync.model.orders import OrderUpdate
from bybit_sync.model.positions import PositionUpdate
from bybit_sync.model.trades import UserTradeUpdate

__all__ = ["CHANNELS", "DECODER", "DIALECTS", "RENAMES", "V3", "V5", "WORDS", "Channel", "Dialect", "contract_account"]

RENAMES: Mapping[str, str] = {
    "tpSlMode": "tpslMode",  # V3
    "mmrSysUpdateTime": "mmrSysUpdatedTime",  # V3, and V5's classic accounts
    "lastLiquidityInd": "isMaker",  # V3
}

WORDS: Mapping[type[OpenEnum], Mapping[str, Any]] = {
    # A flat position is "None" in V3 and in classic accounts, "" in unified ones.
    Side: {"None": None},
    TimeInForce: {
        "GoodTillCancel": TimeInForce.GTC,
        "ImmediateOrCancel": TimeInForce.IOC,
        "FillOrKill": TimeInForce.FOK,
        "FillOrKlii": TimeInForce.FOK,  # as V3's documentation spells it
    },
    # Was this side of the trade the maker?
    LastLiquidityInd: {
        "AddedLiquidity": True,
        "AddLiquidity": True,  # as V3's documentation spells it
        "MAKER": True,
        "RemovedLiquidity": False,
        "RemoveLiquidity": False,
        "TAKER": False,
        "UNKNOWN": None,  # funding
        "": None,
    },
}

DECODER = Decoder(RENAMES, WORDS)


def contract_account(coins: tuple[CoinBalance, ...]) -> tuple[BalanceUpdate, ...]:
    """Return the one account that the flat rows of V3's wallet describe.

    Returns no account for no rows.
    """
    return (BalanceUpdate(account_type=AccountType.CONTRACT, coins=coins),) if coins else ()


_CONTRACTS = ("linear", "inverse", "option")
_PRODUCTS = (*_CONTRACTS, "spot")


@attrs.frozen
class _Feed:
    """How a dialect writes one stream: its topic, and the class of its rows.

    *categories* are those that have a topic of their own; () when none has.
    """

    topic: str
    row: type[Any]
    categories: tuple[str, ...] = ()
    gather: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None = None


@attrs.frozen
class Channel:
    """One topic as it is subscribed to.

    *category* is the category of its rows; None when the topic names none.
    """

    topic: str
    stream: Stream
    category: str | None
    reader: Reader = attrs.field(repr=False)
    gather: Callable[[tuple[Any, ...]], tuple[Any, ...]] | None = attrs.field(default=None, repr=False)

    def decode(self, data: object, frame: RawFrame | None = None) -> Decoded:
        """Decode *data*, the rows of one push.

        *frame* is the message from which their `wire` is read again; by default *data*
        is kept. Raises `Unreadable` when *data* is not a list. A row that cannot be
        read costs only itself.
        """
        updates, faults = self.reader.rows(data, frame or RawFrame(b"", {"data": data}))
        return (updates if self.gather is None else self.gather(updates)), faults


@attrs.frozen
class Dialect:
    """One way of spelling the private streams.

    *name* is the argument `Client(dialect=...)`, *path* is appended to the base URL of
    the environment. *notice* is added to errors on Bybit's own hosts; "" for none.
    *has_rest*: the environment has a REST API for it.

    Example:
        >>> V5.path, V3.path
        ('/v5/private', '/contract/private/v3')

    """

    name: str
    path: str
    _feeds: Mapping[Stream, _Feed] = attrs.field(repr=False, hash=False)
    notice: str = attrs.field(default="", repr=False)
    has_rest: bool = attrs.field(default=True, repr=False)
    _fast: Mapping[Stream, _Feed] = attrs.field(factory=dict, repr=False, hash=False)

    def channels(self, stream: Stream, categories: tuple[str, ...] | None, *, fast: bool = False) -> tuple[Channel, ...]:
        """Return the topics of *stream*, or its topics of lower latency if *fast*.

        *categories* is ignored where the dialect has one topic for all categories. A
        category that the stream does not have is left out, and so are fast topics that
        the dialect does not have.

        Example:
            >>> [channel.topic for channel in V5.channels(Stream.ORDERS, ("linear", "inverse"))]
            ['order.linear', 'order.inverse']

        """
        feed = (self._fast if fast else self._feeds).get(stream)
        if feed is None:
            return ()
        if not feed.categories or categories is None:
            return (Channel(feed.topic, stream, None, DECODER.reader(feed.row), feed.gather),)
        return tuple(
            Channel(f"{feed.topic}.{category}", stream, category, DECODER.reader(feed.row, Category(category)))
            for category in categories
            if category in feed.categories
        )


V5 = Dialect(
    "v5",
    "/v5/private",
    {
        Stream.BALANCES: _Feed("wallet", BalanceUpdate),
        Stream.ORDERS: _Feed("order", OrderUpdate, _PRODUCTS),
        Stream.POSITIONS: _Feed("position", PositionUpdate, _CONTRACTS),
        Stream.USER_TRADES: _Feed("execution", UserTradeUpdate, _PRODUCTS),
    },
    fast={Stream.USER_TRADES: _Feed("execution.fast", UserTradeUpdate, _PRODUCTS)},
)
"""The current dialect."""

V3 = Dialect(
    "v3",
    "/contract/private/v3",
    {
        Stream.BALANCES: _Feed("user.wallet.contractAccount", CoinBalance, gather=contract_account),
        Stream.ORDERS: _Feed("user.order.contractAccount", OrderUpdate),
        Stream.POSITIONS: _Feed("user.position.contractAccount", PositionUpdate),
        Stream.USER_TRADES: _Feed("user.execution.contractAccount", UserTradeUpdate),
    },
    notice='Bybit switched V3 off in January 2025: use dialect="v5", or give the URL of a V3 gateway as environment=.',
    has_rest=False,
)
"""The former dialect, for contracts: for recordings, gateways and the simulator."""

DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in (V5, V3)}
"""The dialects, by the name that `Client(dialect=...)` takes."""

CHANNELS: Mapping[str, Channel] = {
    channel.topic: channel
    for dialect in DIALECTS.values()
    for stream in Stream
    for categories in (None, tuple(category.value for category in Category))
    for fast in (False, True)
    for channel in dialect.channels(stream, categories, fast=fast)
}
"""Every channel of every dialect, by its topic: to decode frames without a session."""
