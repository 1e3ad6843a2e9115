"""The exchange's vocabularies, open to new words.

Each member is its text: it compares equal to it, hashes like it, prints as it. An
unknown text becomes a member, too, because the exchange adds one every few months, and
an order must not be lost over a new word.

The words are those of https://bybit-exchange.github.io/docs/v5/enum, those that only V3
knew, and those seen on the wire. The placeholders ``""`` and ``UNKNOWN`` are not
members: an attribute is None instead.
"""

# ruff: noqa: S105 - PASS_THROUGH is no password
from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from bybit_sync.public import name_public
from bybit_sync.redaction import get_logger
from bybit_sync.text import quoted

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "AccountType",
    "CancelType",
    "Category",
    "ColRes",
    "CreateType",
    "ExecType",
    "FeeType",
    "LastLiquidityInd",
    "MarketUnit",
    "OcoTriggerBy",
    "OpenEnum",
    "OrderStatus",
    "OrderType",
    "PlaceType",
    "PositionStatus",
    "RejectReason",
    "Side",
    "SlippageToleranceType",
    "SmpType",
    "StopOrderType",
    "SubFeeType",
    "TimeInForce",
    "TpslMode",
    "TriggerBy",
]

_LOG = get_logger("bybit_sync.enums")
MOST_UNKNOWN = 1_000  # unknown texts that are kept for each vocabulary
_LONGEST = 100  # characters of a text that are kept
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

OpenEnumT = TypeVar("OpenEnumT", bound="OpenEnum")


def upper_snake(text: str) -> str:
    """Return the member name of *text*: ``PartiallyFilled`` is ``PARTIALLY_FILLED``."""
    return _WORDS.sub("_", text).upper()


class TextEnum(str, Enum):
    """A word that prints as itself, in every version of Python."""

    def __str__(self) -> str:
        """Return the exchange's text."""
        return str.__str__(self)

    def __format__(self, spec: str) -> str:
        """Format the exchange's text."""
        return str.__format__(self, spec)

    def __repr__(self) -> str:
        """Return the call that makes the member, always on one line."""
        return f"{type(self).__name__}({str(self)!r})"


class OpenEnum(TextEnum):
    """A vocabulary that grows: an unknown text becomes a member that carries it.

    At most 1,000 unknown texts of a vocabulary are kept, and logged once each; a
    further one is a new object each time, so compare unknown members with ``==``.

    Example:
        >>> OrderStatus("PartiallyFilled") is OrderStatus.PARTIALLY_FILLED
        True
        >>> OrderStatus.PARTIALLY_FILLED == "PartiallyFilled"
        True
        >>> OcoTriggerBy("OcoTriggerByMoon")  # an unknown word
        OcoTriggerBy('OcoTriggerByMoon')

    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = upper_snake(value[:_LONGEST])
        member._value_ = value
        return _keep(cls, member)


_kept: dict[type[OpenEnum], dict[str, object]] = {}


def _keep(vocabulary: type[OpenEnumT], member: OpenEnumT) -> OpenEnumT:
    """Return the member that is kept for the text of *member*.

    *member* itself when none is.
    """
    text = member.value
    key = text[:_LONGEST]
    kept = _kept.setdefault(vocabulary, {})
    if key not in kept and len(kept) >= MOST_UNKNOWN:
        return member
    # A text that is too long to keep is still logged only once, by its beginning.
    mine: object = member if key == text else object()
    # `setdefault` is atomic, so no lock is needed, and a fork cannot leave one locked:
    # of two threads with the same new word, one logs it.
    known = kept.setdefault(key, mine)
    if known is mine:
        _LOG.warning("%s: a new word of the exchange, %s; it is delivered as it is", vocabulary.__name__, quoted(text))
    return known if isinstance(known, vocabulary) and key == text else member


class Category(OpenEnum):
    """The product that a row is about."""

    LINEAR = "linear"
    INVERSE = "inverse"
    SPOT = "spot"
    OPTION = "option"


class Side(OpenEnum):
    """The side: Buy is long and Sell is short for a position.

    For orders and trades it is this account's side.
    """

    BUY = "Buy"
    SELL = "Sell"


class OrderType(OpenEnum):
    """The pricing of an order; of a conditional order, after it is triggered."""

    MARKET = "Market"
    LIMIT = "Limit"


class OrderStatus(OpenEnum):
    """The status of an order.

    In derivatives a CANCELLED order may have been filled in part.
    """

    CREATED = "Created"
    NEW = "New"
    REJECTED = "Rejected"
    PARTIALLY_FILLED = "PartiallyFilled"
    PARTIALLY_FILLED_CANCELED = "PartiallyFilledCanceled"
    FILLED = "Filled"
    PENDING_CANCEL = "PendingCancel"
    CANCELLED = "Cancelled"
    UNTRIGGERED = "Untriggered"
    TRIGGERED = "Triggered"
    DEACTIVATED = "Deactivated"
    ACTIVE = "Active"


class TimeInForce(OpenEnum):
    """The time that an order stays open."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    POST_ONLY = "PostOnly"
    RPI = "RPI"


class StopOrderType(OpenEnum):
    """The kind of a conditional order, also after it was triggered."""

    TAKE_PROFIT = "TakeProfit"
    STOP_LOSS = "StopLoss"
    TRAILING_STOP = "TrailingStop"
    STOP = "Stop"
    PARTIAL_TAKE_PROFIT = "PartialTakeProfit"
    PARTIAL_STOP_LOSS = "PartialStopLoss"
    TPSL_ORDER = "tpslOrder"
    MM_RATE_CLOSE = "MmRateClose"
    OCO_ORDER = "OcoOrder"
    BIDIRECTIONAL_TPSL_ORDER = "BidirectionalTpslOrder"
    TRAILING_PROFIT = "TrailingProfit"


class TriggerBy(OpenEnum):
    """The price that triggers."""

    LAST_PRICE = "LastPrice"
    INDEX_PRICE = "IndexPrice"
    MARK_PRICE = "MarkPrice"


class ExecType(OpenEnum):
    """The cause of an execution; not all of them are trades."""

    TRADE = "Trade"
    ADL_TRADE = "AdlTrade"
    FUNDING = "Funding"
    BUST_TRADE = "BustTrade"
    SETTLE = "Settle"
    DELIVERY = "Delivery"
    BLOCK_TRADE = "BlockTrade"
    MOVE_POSITION = "MovePosition"
    FUTURE_SPREAD = "FutureSpread"
    CORPORATE_ACTION = "CorporateAction"


class LastLiquidityInd(OpenEnum):
    """V3's maker or taker; read into ``is_maker``."""

    ADDED_LIQUIDITY = "AddedLiquidity"
    REMOVED_LIQUIDITY = "RemovedLiquidity"
    MAKER = "MAKER"
    TAKER = "TAKER"


class PositionStatus(OpenEnum):
    """The state of a position: normal, or being closed by the exchange."""

    NORMAL = "Normal"
    LIQ = "Liq"
    ADL = "Adl"
    INACTIVE = "Inactive"


class TpslMode(OpenEnum):
    """The part of a position that take profit and stop loss close: all or some."""

    FULL = "Full"
    PARTIAL = "Partial"


class SmpType(OpenEnum):
    """The orders that self-match prevention cancels."""

    NONE = "None"
    CANCEL_MAKER = "CancelMaker"
    CANCEL_TAKER = "CancelTaker"
    CANCEL_BOTH = "CancelBoth"


class AccountType(OpenEnum):
    """The kind of account."""

    UNIFIED = "UNIFIED"
    CONTRACT = "CONTRACT"
    SPOT = "SPOT"
    FUND = "FUND"
    OPTION = "OPTION"
    INVESTMENT = "INVESTMENT"


class SlippageToleranceType(OpenEnum):
    """The unit of a market order's slippage tolerance."""

    TICK_SIZE = "TickSize"
    PERCENT = "Percent"


class OcoTriggerBy(OpenEnum):
    """The leg of a spot one-cancels-the-other order that was triggered."""

    OCO_TRIGGER_BY_UNKNOWN = "OcoTriggerByUnknown"
    OCO_TRIGGER_BY_TP = "OcoTriggerByTp"
    OCO_TRIGGER_BY_SL = "OcoTriggerBySl"


class PlaceType(OpenEnum):
    """The way an option order was placed: by volatility or by price."""

    IV = "iv"
    PRICE = "price"


class MarketUnit(OpenEnum):
    """The unit of a spot market order's quantity."""

    BASE_COIN = "baseCoin"
    QUOTE_COIN = "quoteCoin"


class FeeType(OpenEnum):
    """The tax that an extra fee is."""

    TAX = "TAX"
    CFX = "CFX"
    WHT = "WHT"
    GST = "GST"
    VAT = "VAT"


class SubFeeType(OpenEnum):
    """The country of the tax that an extra fee is."""

    TAX_PNN = "TAX_PNN"
    TAX_PPH = "TAX_PPH"
    CFX_FIEE = "CFX_FIEE"
    AUT_WITHHOLDING_TAX = "AUT_WITHHOLDING_TAX"
    IND_GST = "IND_GST"
    ARE_VAT = "ARE_VAT"


class CancelType(OpenEnum):
    """The cause of the cancellation of an order."""

    CANCEL_BY_USER = "CancelByUser"
    CANCEL_BY_REDUCE_ONLY = "CancelByReduceOnly"
    CANCEL_BY_PREPARE_LIQ = "CancelByPrepareLiq"
    CANCEL_ALL_BEFORE_LIQ = "CancelAllBeforeLiq"
    CANCEL_BY_PREPARE_ADL = "CancelByPrepareAdl"
    CANCEL_ALL_BEFORE_ADL = "CancelAllBeforeAdl"
    CANCEL_BY_ADMIN = "CancelByAdmin"
    CANCEL_BY_TP_SL_TS_CLEAR = "CancelByTpSlTsClear"
    CANCEL_BY_PZ_SIDE_CH = "CancelByPzSideCh"
    CANCEL_BY_SETTLE = "CancelBySettle"
    CANCEL_BY_CANNOT_AFFORD_ORDER_COST = "CancelByCannotAffordOrderCost"
    CANCEL_BY_PM_TRIAL_MM_OVER_EQUITY = "CancelByPmTrialMmOverEquity"
    CANCEL_BY_ACCOUNT_BLOCKING = "CancelByAccountBlocking"
    CANCEL_BY_DELIVERY = "CancelByDelivery"
    CANCEL_BY_MMP_TRIGGERED = "CancelByMmpTriggered"
    CANCEL_BY_CROSS_SELF_MUCH = "CancelByCrossSelfMuch"
    CANCEL_BY_CROSS_REACH_MAX_TRADE_NUM = "CancelByCrossReachMaxTradeNum"
    CANCEL_BY_DCP = "CancelByDCP"
    CANCEL_BY_SMP = "CancelBySmp"
    CANCEL_BY_REBALANCE = "CancelByRebalance"
    CANCEL_BY_OCO_TP_CANCELED_BY_SL_TRIGGERED = "CancelByOCOTpCanceledBySlTriggered"
    CANCEL_BY_OCO_SL_CANCELED_BY_TP_TRIGGERED = "CancelByOCOSlCanceledByTpTriggered"


class RejectReason(OpenEnum):
    """The reason why an order was refused or ended.

    EC_NO_ERROR means that nothing was wrong.
    """

    EC_NO_ERROR = "EC_NoError"
    EC_OTHERS = "EC_Others"
    EC_UNKNOWN_MESSAGE_TYPE = "EC_UnknownMessageType"
    EC_MISSING_CL_ORD_ID = "EC_MissingClOrdID"
    EC_MISSING_ORIG_CL_ORD_ID = "EC_MissingOrigClOrdID"
    EC_CL_ORD_ID_ORIG_CL_ORD_ID_ARE_THE_SAME = "EC_ClOrdIDOrigClOrdIDAreTheSame"
    EC_DUPLICATED_CL_ORD_ID = "EC_DuplicatedClOrdID"
    EC_ORIG_CL_ORD_ID_DOES_NOT_EXIST = "EC_OrigClOrdIDDoesNotExist"
    EC_TOO_LATE_TO_CANCEL = "EC_TooLateToCancel"
    EC_UNKNOWN_ORDER_TYPE = "EC_UnknownOrderType"
    EC_UNKNOWN_SIDE = "EC_UnknownSide"
    EC_UNKNOWN_TIME_IN_FORCE = "EC_UnknownTimeInForce"
    EC_WRONGLY_ROUTED = "EC_WronglyRouted"
    EC_MARKET_ORDER_PRICE_IS_NOT_ZERO = "EC_MarketOrderPriceIsNotZero"
    EC_LIMIT_ORDER_INVALID_PRICE = "EC_LimitOrderInvalidPrice"
    EC_NO_ENOUGH_QTY_TO_FILL = "EC_NoEnoughQtyToFill"
    EC_NO_IMMEDIATE_QTY_TO_FILL = "EC_NoImmediateQtyToFill"
    EC_PER_CANCEL_REQUEST = "EC_PerCancelRequest"
    EC_MARKET_ORDER_CANNOT_BE_POST_ONLY = "EC_MarketOrderCannotBePostOnly"
    EC_POST_ONLY_WILL_TAKE_LIQUIDITY = "EC_PostOnlyWillTakeLiquidity"
    EC_CANCEL_REPLACE_ORDER = "EC_CancelReplaceOrder"
    EC_INVALID_SYMBOL_STATUS = "EC_InvalidSymbolStatus"
    EC_CANCEL_FOR_NO_FULL_FILL = "EC_CancelForNoFullFill"
    EC_IN_CALL_AUCTION_STATUS = "EC_InCallAuctionStatus"
    EC_BY_SELF_MATCH = "EC_BySelfMatch"
    EC_QTY_CANNOT_BE_ZERO = "EC_QtyCannotBeZero"
    EC_MARKET_ORDER_NO_SUPPORT_TIF = "EC_MarketOrderNoSupportTIF"
    EC_REACH_MAX_TRADE_NUM = "EC_ReachMaxTradeNum"
    EC_INVALID_PRICE_SCALE = "EC_InvalidPriceScale"
    EC_BIT_INDEX_INVALID = "EC_BitIndexInvalid"
    EC_STOP_BY_SELF_MATCH = "EC_StopBySelfMatch"
    EC_INVALID_SMP_TYPE = "EC_InvalidSmpType"
    EC_CANCEL_BY_MMP = "EC_CancelByMMP"
    EC_INVALID_USER_TYPE = "EC_InvalidUserType"
    EC_INVALID_MIRROR_OID = "EC_InvalidMirrorOid"
    EC_INVALID_MIRROR_UID = "EC_InvalidMirrorUid"
    EC_EC_INVALID_QTY = "EC_EcInvalidQty"
    EC_INVALID_AMOUNT = "EC_InvalidAmount"
    EC_LOAD_ORDER_CANCEL = "EC_LoadOrderCancel"
    EC_MARKET_QUOTE_NO_SUPP_SELL = "EC_MarketQuoteNoSuppSell"
    EC_DISORDER_ORDER_ID = "EC_DisorderOrderID"
    EC_INVALID_BASE_VALUE = "EC_InvalidBaseValue"
    EC_LOAD_ORDER_CAN_MATCH = "EC_LoadOrderCanMatch"
    EC_SECURITY_STATUS_FAIL = "EC_SecurityStatusFail"
    EC_REACH_RISK_PRICE_LIMIT = "EC_ReachRiskPriceLimit"
    EC_ORDER_NOT_EXIST = "EC_OrderNotExist"
    EC_CANCEL_BY_ORDER_VALUE_ZERO = "EC_CancelByOrderValueZero"
    EC_CANCEL_BY_MATCH_VALUE_ZERO = "EC_CancelByMatchValueZero"
    EC_REACH_MARKET_PRICE_LIMIT = "EC_ReachMarketPriceLimit"


class CreateType(OpenEnum):
    """The creator of an order (V5, futures)."""

    CREATE_BY_USER = "CreateByUser"
    CREATE_BY_FUTURE_SPREAD = "CreateByFutureSpread"
    CREATE_BY_ADMIN_CLOSING = "CreateByAdminClosing"
    CREATE_BY_SETTLE = "CreateBySettle"
    CREATE_BY_STOP_ORDER = "CreateByStopOrder"
    CREATE_BY_TAKE_PROFIT = "CreateByTakeProfit"
    CREATE_BY_PARTIAL_TAKE_PROFIT = "CreateByPartialTakeProfit"
    CREATE_BY_STOP_LOSS = "CreateByStopLoss"
    CREATE_BY_PARTIAL_STOP_LOSS = "CreateByPartialStopLoss"
    CREATE_BY_TRAILING_STOP = "CreateByTrailingStop"
    CREATE_BY_TRAILING_PROFIT = "CreateByTrailingProfit"
    CREATE_BY_LIQ = "CreateByLiq"
    CREATE_BY_TAKE_OVER_PASS_THROUGH = "CreateByTakeOver_PassThrough"
    CREATE_BY_ADL_PASS_THROUGH = "CreateByAdl_PassThrough"
    CREATE_BY_BLOCK_PASS_THROUGH = "CreateByBlock_PassThrough"
    CREATE_BY_BLOCK_TRADE_MOVE_POSITION_PASS_THROUGH = "CreateByBlockTradeMovePosition_PassThrough"
    CREATE_BY_CHASE_ORDER = "CreateByChaseOrder"
    CREATE_BY_F_GRID_BOT = "CreateByFGridBot"
    CLOSE_BY_F_GRID_BOT = "CloseByFGridBot"
    CREATE_BY_TWAP = "CreateByTWAP"
    CREATE_BY_TV_SIGNAL = "CreateByTVSignal"
    CREATE_BY_MM_RATE_CLOSE = "CreateByMmRateClose"
    CREATE_BY_MARTINGALE_BOT = "CreateByMartingaleBot"
    CLOSE_BY_MARTINGALE_BOT = "CloseByMartingaleBot"
    CREATE_BY_ICE_BERG = "CreateByIceBerg"
    CREATE_BY_ARBITRAGE = "CreateByArbitrage"
    CREATE_BY_DDH = "CreateByDdh"
    CREATE_BY_BBO_ORDER = "CreateByBboOrder"
    CREATE_BY_CLOSING = "CreateByClosing"


class ColRes(OpenEnum):
    """The exchange's restriction of a coin as collateral.

    Its texts are numbers, so the names are ours.
    """

    UNKNOWN = "-1"
    OFF = "0"
    NEAR_LIMIT = "1"
    RESTRICTED = "2"


name_public(*(globals()[name] for name in __all__))
