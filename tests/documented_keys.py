"""Every key that Bybit documents for the rows of the four streams, as a table.

One line a key: its name, what it holds, and who sends it. What it holds: ``number`` and ``time`` are texts of digits; ``text``
is free text; ``int`` and ``0/1`` are digits, bare or as a text; ``bool`` is bare; a class is a vocabulary; the rest is one
key's own way. Who sends it: ``3`` is V3, ``u`` a unified and ``c`` a classic account of V5.
"""

from __future__ import annotations

from typing import NamedTuple

from bybit_sync import BalanceUpdate, CoinBalance, ExtraFee, OrderUpdate, PositionUpdate, UserTradeUpdate


class Key(NamedTuple):
    """One line of the table."""

    name: str
    holds: str
    senders: str


def _table(lines: str) -> tuple[Key, ...]:
    return tuple(Key(*line.split()) for line in lines.strip().splitlines())


POSITION = _table("""
    category                Category                uc
    symbol                  text                    3uc
    side                    Side                    3uc
    size                    number                  3uc
    positionIdx             int                     3uc
    positionValue           number                  3uc
    entryPrice              number                  3uc
    markPrice               number                  3uc
    leverage                number                  3uc
    tradeMode               int                     3uc
    autoAddMargin           0/1                     3uc
    riskId                  int                     3uc
    riskLimitValue          number                  3uc
    positionBalance         number                  3uc
    positionIM              number                  3uc
    positionMM              number                  3uc
    positionIMByMp          number                  u
    positionMMByMp          number                  u
    liqPrice                number                  3uc
    bustPrice               number                  3uc
    takeProfit              number                  3uc
    stopLoss                number                  3uc
    trailingStop            number                  3uc
    activePrice             number                  3
    tpSlMode                TpslMode                3
    tpslMode                TpslMode                uc
    unrealisedPnl           number                  3uc
    cumRealisedPnl          number                  3uc
    curRealisedPnl          number                  u
    sessionAvgPrice         number                  3uc
    occClosingFee           number                  3
    breakEvenPrice          number                  u
    positionStatus          PositionStatus          3uc
    adlRankIndicator        int                     3uc
    isReduceOnly            bool                    3uc
    mmrSysUpdatedTime       time                    3u
    mmrSysUpdateTime        time                    3c
    leverageSysUpdatedTime  time                    3uc
    seq                     sequence                uc
    openTime                time                    u
    delta                   number                  u
    gamma                   number                  u
    vega                    number                  u
    theta                   number                  u
    createdTime             time                    3uc
    updatedTime             time                    3uc
""")

ORDER = _table("""
    category                Category                uc
    symbol                  text                    3uc
    orderId                 text                    3uc
    orderLinkId             text                    3uc
    parentOrderLinkId       text                    uc
    blockTradeId            text                    3uc
    side                    Side                    3uc
    positionIdx             int                     3uc
    orderStatus             OrderStatus             3uc
    createType              CreateType              uc
    cancelType              CancelType              3uc
    rejectReason            RejectReason            3uc
    timeInForce             TimeInForce             3uc
    orderType               OrderType               3uc
    stopOrderType           StopOrderType           3uc
    price                   number                  3uc
    brokerOrderPrice        number                  uc
    qty                     number                  3uc
    avgPrice                number                  3uc
    leavesQty               number                  3uc
    leavesValue             number                  3uc
    lastExecQty             number                  3
    lastExecPrice           number                  3
    cumExecQty              number                  3uc
    cumExecValue            number                  3uc
    cumExecFee              number                  3uc
    cumFeeDetail            fees                    uc
    closedPnl               number                  uc
    feeCurrency             text                    uc
    isLeverage              0/1                     uc
    marketUnit              MarketUnit              uc
    slippageTolerance       number                  uc
    slippageToleranceType   SlippageToleranceType   uc
    orderIv                 number                  uc
    placeType               PlaceType               uc
    ocoTriggerBy            OcoTriggerBy            uc
    triggerPrice            number                  3uc
    triggerDirection        int                     3uc
    triggerBy               TriggerBy               3uc
    tpTriggerBy             TriggerBy               3uc
    slTriggerBy             TriggerBy               3uc
    takeProfit              number                  3uc
    stopLoss                number                  3uc
    tpLimitPrice            number                  3uc
    slLimitPrice            number                  3uc
    tpslMode                TpslMode                3uc
    lastPriceOnCreated      number                  uc
    reduceOnly              bool                    3uc
    closeOnTrigger          bool                    3uc
    smpType                 SmpType                 3uc
    smpGroup                int                     3uc
    smpOrderId              text                    3uc
    rpiTakerAccess          bool                    uc
    rpiMatchedQty           number                  uc
    createdTime             time                    3uc
    updatedTime             time                    3uc
""")

EXECUTION = _table("""
    category                Category                uc
    symbol                  text                    3uc
    orderId                 text                    3uc
    execId                  text                    3uc
    orderLinkId             text                    3uc
    side                    Side                    3uc
    orderPrice              number                  3uc
    orderQty                number                  3uc
    leavesQty               number                  3uc
    execPrice               number                  3uc
    execQty                 number                  3uc
    execValue               number                  3uc
    execFee                 number                  3uc
    feeRate                 number                  3uc
    feeCurrency             text                    uc
    extraFees               taxes                   uc
    execType                ExecType                3uc
    execTime                time                    3uc
    isMaker                 bool                    uc
    lastLiquidityInd        maker                   3
    orderType               OrderType               3uc
    stopOrderType           StopOrderType           3uc
    createType              CreateType              uc
    closedSize              number                  3uc
    execPnl                 number                  uc
    blockTradeId            text                    3uc
    markPrice               number                  3uc
    tradeIv                 number                  uc
    markIv                  number                  uc
    indexPrice              number                  uc
    underlyingPrice         number                  uc
    isLeverage              0/1                     uc
    marketUnit              MarketUnit              uc
    seq                     sequence                uc
""")

EXTRA_FEE = _table("""
    feeCoin                 text                    u
    feeType                 FeeType                 u
    subFeeType              SubFeeType              u
    feeRate                 number                  u
    fee                     number                  u
""")

ACCOUNT = _table("""
    accountType             AccountType             uc
    accountIMRate           number                  uc
    accountMMRate           number                  uc
    accountIMRateByMp       number                  u
    accountMMRateByMp       number                  u
    totalEquity             number                  uc
    totalWalletBalance      number                  uc
    totalMarginBalance      number                  uc
    totalAvailableBalance   number                  uc
    totalPerpUPL            number                  uc
    totalInitialMargin      number                  uc
    totalMaintenanceMargin  number                  uc
    totalInitialMarginByMp  number                  u
    totalMaintenanceMarginByMp  number              u
    accountLTV              number                  uc
    coin                    coins                   uc
""")

COIN = _table("""
    coin                    text                    3uc
    equity                  number                  3uc
    usdValue                number                  uc
    walletBalance           number                  3uc
    locked                  number                  u
    spotHedgingQty          number                  u
    spotBorrow              number                  u
    borrowAmount            number                  uc
    accruedInterest         number                  uc
    availableToWithdraw     number                  uc
    availableToBorrow       number                  uc
    totalOrderIM            number                  uc
    totalPositionIM         number                  uc
    totalPositionMM         number                  uc
    unrealisedPnl           number                  3uc
    cumRealisedPnl          number                  3uc
    bonus                   number                  u
    collateralSwitch        bool                    u
    marginCollateral        bool                    u
    colRes                  ColRes                  u
    free                    number                  c
    positionMargin          number                  3
    availableBalance        number                  3
    orderMargin             number                  3
""")

DOCUMENTED = {
    PositionUpdate: POSITION,
    OrderUpdate: ORDER,
    UserTradeUpdate: EXECUTION,
    ExtraFee: EXTRA_FEE,
    BalanceUpdate: ACCOUNT,
    CoinBalance: COIN,
}
