"""The exchange's vocabularies, open to new words."""

from __future__ import annotations

import copy
import inspect
import logging
import pickle
import re
import tracemalloc
import uuid

import pytest

from bybit_sync import ColRes, OpenEnum, OrderStatus, Side, SmpType, TimeInForce
from bybit_sync.model import enums
from bybit_sync.model.enums import MOST_UNKNOWN

VOCABULARIES = [
    cls for _, cls in inspect.getmembers(enums, inspect.isclass) if issubclass(cls, OpenEnum) and cls is not OpenEnum
]

# As published, and as clients have seen: what the exchange may send today.
WORDS = {
    "AccountType": "UNIFIED CONTRACT SPOT FUND",
    "CancelType": "CancelByUser CancelByReduceOnly CancelByPrepareLiq CancelAllBeforeLiq CancelByPrepareAdl CancelAllBeforeAdl "
    "CancelByAdmin CancelByTpSlTsClear CancelByPzSideCh CancelBySettle CancelByCannotAffordOrderCost CancelByDCP CancelBySmp "
    "CancelByPmTrialMmOverEquity CancelByAccountBlocking CancelByDelivery CancelByMmpTriggered CancelByCrossSelfMuch "
    "CancelByCrossReachMaxTradeNum CancelByRebalance CancelByOCOTpCanceledBySlTriggered CancelByOCOSlCanceledByTpTriggered",
    "Category": "linear inverse spot option",
    "ColRes": "-1 0 1 2",
    "CreateType": "CreateByUser CreateByFutureSpread CreateByAdminClosing CreateBySettle CreateByStopOrder CreateByTakeProfit "
    "CreateByPartialTakeProfit CreateByStopLoss CreateByPartialStopLoss CreateByTrailingStop CreateByTrailingProfit "
    "CreateByTakeOver_PassThrough CreateByAdl_PassThrough CreateByBlock_PassThrough CreateByChaseOrder CreateByLiq "
    "CreateByBlockTradeMovePosition_PassThrough CreateByFGridBot CloseByFGridBot CreateByTWAP CreateByTVSignal "
    "CreateByMmRateClose CreateByClosing CreateByMartingaleBot CloseByMartingaleBot CreateByIceBerg "
    "CreateByArbitrage CreateByDdh CreateByBboOrder",
    "ExecType": "Trade AdlTrade Funding BustTrade Settle Delivery BlockTrade MovePosition FutureSpread CorporateAction",
    "FeeType": "TAX CFX WHT GST VAT",
    "LastLiquidityInd": "AddedLiquidity RemovedLiquidity MAKER TAKER",
    "MarketUnit": "baseCoin quoteCoin",
    "OcoTriggerBy": "OcoTriggerByUnknown OcoTriggerByTp OcoTriggerBySl",
    "OrderStatus": "Created New Rejected PartiallyFilled PartiallyFilledCanceled Filled PendingCancel Cancelled Untriggered "
    "Triggered Deactivated Active",
    "OrderType": "Market Limit",
    "PlaceType": "iv price",
    "PositionStatus": "Normal Liq Adl Inactive",
    "RejectReason": "EC_NoError EC_Others EC_UnknownMessageType EC_MissingClOrdID EC_MissingOrigClOrdID EC_DuplicatedClOrdID "
    "EC_ClOrdIDOrigClOrdIDAreTheSame EC_OrigClOrdIDDoesNotExist EC_TooLateToCancel EC_UnknownOrderType EC_UnknownSide "
    "EC_UnknownTimeInForce EC_WronglyRouted EC_MarketOrderPriceIsNotZero EC_LimitOrderInvalidPrice EC_NoEnoughQtyToFill "
    "EC_NoImmediateQtyToFill EC_PerCancelRequest EC_MarketOrderCannotBePostOnly EC_PostOnlyWillTakeLiquidity EC_InvalidAmount "
    "EC_CancelReplaceOrder EC_InvalidSymbolStatus EC_CancelForNoFullFill EC_InCallAuctionStatus EC_BySelfMatch EC_EcInvalidQty "
    "EC_QtyCannotBeZero EC_MarketOrderNoSupportTIF EC_ReachMaxTradeNum EC_InvalidPriceScale EC_BitIndexInvalid EC_CancelByMMP "
    "EC_StopBySelfMatch EC_InvalidSmpType EC_InvalidUserType EC_InvalidMirrorOid EC_InvalidMirrorUid EC_LoadOrderCancel "
    "EC_MarketQuoteNoSuppSell EC_DisorderOrderID EC_InvalidBaseValue EC_LoadOrderCanMatch EC_SecurityStatusFail "
    "EC_OrderNotExist EC_ReachRiskPriceLimit EC_CancelByOrderValueZero EC_CancelByMatchValueZero EC_ReachMarketPriceLimit",
    "Side": "Buy Sell",
    "SlippageToleranceType": "TickSize Percent",
    "SmpType": "None CancelMaker CancelTaker CancelBoth",
    "StopOrderType": "TakeProfit StopLoss TrailingStop Stop PartialTakeProfit PartialStopLoss tpslOrder MmRateClose OcoOrder "
    "BidirectionalTpslOrder TrailingProfit",
    "SubFeeType": "TAX_PNN TAX_PPH CFX_FIEE AUT_WITHHOLDING_TAX IND_GST ARE_VAT",
    "TimeInForce": "GTC IOC FOK PostOnly RPI",
    "TpslMode": "Full Partial",
    "TriggerBy": "LastPrice IndexPrice MarkPrice",
}


def new_word() -> str:
    """Return a word that no test has used, so that the order of the tests does not matter."""
    return f"Word{uuid.uuid4().hex}"


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings that the vocabularies logged."""
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize("vocabulary", VOCABULARIES, ids=lambda cls: cls.__name__)
def test_every_word_has_a_member(vocabulary: type[OpenEnum]) -> None:
    """What the exchange is known to send is a member that somebody wrote down."""
    assert set(WORDS[vocabulary.__name__].split()) <= {member.value for member in vocabulary}


@pytest.mark.parametrize("vocabulary", [cls for cls in VOCABULARIES if cls is not ColRes], ids=lambda cls: cls.__name__)
def test_member_is_named_after_its_text(vocabulary: type[OpenEnum]) -> None:
    """The name is the text in UPPER_SNAKE, so that nobody has to look it up."""
    for member in vocabulary:
        parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", member.value)
        assert member.name == "_".join(parts).upper()


def test_member_is_its_text() -> None:
    """A member compares equal to the text, hashes like it, and finds what is stored under it."""
    assert OrderStatus.PARTIALLY_FILLED == "PartiallyFilled"
    assert {"PartiallyFilled": 1}[OrderStatus.PARTIALLY_FILLED] == 1


def test_member_prints_as_its_text() -> None:
    """Printed and formatted, a member is the exchange's text, in every version of Python."""
    assert f"{OrderStatus.NEW} {OrderStatus.NEW:>5} {str(OrderStatus.NEW)!r} %s" % OrderStatus.NEW == "New   New 'New' New"


def test_none_of_self_match_prevention_is_a_member() -> None:
    """The text "None" is a word here, and nothing falsy."""
    assert SmpType("None") is SmpType.NONE
    assert SmpType.NONE


def test_unknown_text_becomes_a_member_that_carries_it() -> None:
    """A new word is not an error: it is a member, equal to its text, and the same one each time."""
    word = new_word()
    member = OrderStatus(word)
    assert isinstance(member, OrderStatus)
    assert (member, hash(member), str(member)) == (word, hash(word), word)
    assert OrderStatus(word) is member


def test_unknown_text_is_named_by_the_same_rule() -> None:
    """The name of a new word is what it will be when the library learns it."""
    assert TimeInForce("GoodTillTomorrow").name == "GOOD_TILL_TOMORROW"


def test_unknown_text_is_no_member_of_the_class() -> None:
    """Iterating a vocabulary gives what is written in it, whatever was received."""
    Side(new_word())
    assert list(Side) == ["Buy", "Sell"]


@pytest.mark.parametrize("member", [OrderStatus.NEW, OrderStatus("NeverHeard")])
def test_copies_are_the_member_itself(member: OrderStatus) -> None:
    """Copying and pickling keep the identity, of known and unknown words."""
    assert copy.copy(member) is member
    assert copy.deepcopy(member) is member
    assert pickle.loads(pickle.dumps(member)) is member


def test_only_a_text_becomes_a_member() -> None:
    """What is no text is an error, as in every enum."""
    with pytest.raises(ValueError, match="5 is not a valid Side"):
        Side(5)


def test_unknown_text_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """One WARNING tells of a new word, however often it comes."""
    word = new_word()
    for _ in range(3):
        OrderStatus(word)
    assert messages(caplog) == [f"OrderStatus: a new word of the exchange, '{word}'; it is delivered as it is"]


def test_log_line_cannot_be_forged(caplog: pytest.LogCaptureFixture) -> None:
    """Line breaks, terminal codes and what no codec writes are escaped in the log, and delivered as they are."""
    word = f"x\n2026-01-01 CRITICAL \x1b[31m\ud800\xe9{new_word()}"
    assert OrderStatus(word) == word
    assert r"'x\n2026-01-01 CRITICAL \x1b[31m\ud800\xe9Word" in messages(caplog)[0]


def test_repr_is_one_line() -> None:
    """A text with line breaks does not break the line of whoever logs the member."""
    assert repr(OrderStatus("a\nb")) == r"OrderStatus('a\nb')"


def test_very_long_text_is_cut_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A text of three megabytes is delivered whole, logged once and short, and not kept."""
    word = new_word() + "x" * 3_000_000
    assert OrderStatus(word) == word
    assert OrderStatus(word) is not OrderStatus(word)
    assert [len(message) < 250 for message in messages(caplog)] == [True]


def test_very_long_texts_keep_no_memory() -> None:
    """Twenty words of a megabyte each are gone when nobody holds them."""
    tracemalloc.start()
    try:
        for _ in range(20):
            OrderStatus(new_word() + "x" * 1_000_000)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 1_000_000


def test_flood_of_words_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """Of endless new words a thousand are kept and logged; the rest are new objects that still behave as their text."""

    class Flooded(OpenEnum):
        ONE = "One"

    for number in range(MOST_UNKNOWN + 500):
        Flooded(f"Word{number}")
    late = Flooded("late")
    assert (late, hash(late)) == ("late", hash("late"))
    assert late is not Flooded("late")
    assert Flooded("Word7") is Flooded("Word7")
    assert len(messages(caplog)) == MOST_UNKNOWN
