"""What inputs are made of: sound messages to begin with, and the pieces that break parsers."""

from __future__ import annotations

import json
from typing import Final

from bybit_sync.session.dialects import V3, V5

TOKENS: Final = [
    *(b"", b"null", b"true", b"-1", b"0", b"NaN", b"1e999", b"1E-999999999", b"Infinity", b"{}", b"[]", b'""', b'"', b"\\"),
    *(
        b"\xff",
        b"\x00",
        b"\xef\xbb\xbf",
        b"\x81\x7f",
        b"\x81\xff",
        b"\r\n",
        b"\r\n\r\n",
        b": ",
        b'"op":"auth",',
        b'"data":null',
    ),
    *(
        b"[" * 40,
        b"9" * 40,
        b'{"a":' * 20,
        b"\xf0\x9f\x92\xb8",
        b"\\ud800",
        b'"1_000"',
        b"1" * 70,
        b"\xef\xbc\x91",
    ),
]

ROWS: Final = """
{"category": "linear", "symbol": "BTCUSDT", "orderId": "o-1", "side": "Buy", "price": "61234.50", "qty": "0.010", "size": "1",
 "positionIdx": 0, "execId": "e-1", "execType": "Trade", "isMaker": false, "createdTime": "1700000000000", "reduceOnly": true,
 "updatedTime": "1700000000001", "avgPrice": "", "seq": 42, "cumFeeDetail": {"USDT": "0.01"}, "extraFees": "",
 "accountType": "UNIFIED", "totalEquity": "100.0000", "leverage": "10", "orderStatus": "New", "timeInForce": "GTC",
 "coin": [{"coin": "USDT", "walletBalance": "1.5", "equity": "2", "locked": "0"}]}
"""
ROW: Final = sorted(json.loads(ROWS).items())

V3_TOPICS: Final = [f"user.{what}.contractAccount" for what in ("order", "position", "execution", "wallet")]
TOPICS: Final = {
    V5.name: ["order.linear", "order.inverse", "position.linear", "execution.linear", "wallet"],
    V3.name: V3_TOPICS,
}

OTHERS: Final = [
    {"op": "pong", "args": ["1700000000000"], "conn_id": "c"},
    {"op": "ping", "ret_msg": "pong", "success": True, "conn_id": "c"},
    {"op": "subscribe", "success": True, "ret_msg": "", "conn_id": "c"},
    {"op": "auth", "success": True, "ret_msg": "", "conn_id": "c"},
    {"type": "COMMAND_RESP", "success": False, "data": {"failTopics": ["wallet"], "successTopics": []}},
    {"retCode": 0, "op": "auth", "retMsg": "OK"},
]


def pushed(topic: str, rows: object) -> dict[str, object]:
    """Return a push of *rows* as the exchange sends them."""
    return {"id": "i", "topic": topic, "creationTime": 1_700_000_000_000, "data": rows}
