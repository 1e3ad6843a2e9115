"""Orders that are placed, amended and cancelled over REST are the account's own."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bybit_sync.simulator import Account
from tests.simulator.peers import Listener
from tests.simulator.rest.asker import Asker

BUY = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.5", "price": "20000"}


def test_an_order_that_is_placed_is_in_the_books_and_pushed(account: Account, asker: Asker, v5: Listener) -> None:
    """Under the id that was answered."""
    name = asker.post("order/create", **BUY, orderLinkId="mine").envelope["result"]
    (order,) = account.orders()
    assert name == {"orderId": order.order_id, "orderLinkId": "mine"}
    assert v5.rows()["order"]["orderId"] == order.order_id


def test_a_stop_is_placed_with_all_that_belongs_to_it(account: Account, asker: Asker) -> None:
    """Trigger, take profit, leg and so on."""
    more = {"triggerPrice": "21000", "triggerDirection": 1, "takeProfit": "30000", "positionIdx": 1, "timeInForce": "PostOnly"}
    assert asker.post("order/create", **BUY, **more).code == 0
    (order,) = account.orders()
    assert (order.status, order.trigger_price, order.trigger_direction) == ("Untriggered", Decimal(21000), 1)
    assert (order.take_profit, order.position_idx, order.time_in_force) == (Decimal(30000), 1, "PostOnly")


def test_an_order_is_amended_and_cancelled(account: Account, asker: Asker) -> None:
    """By its id, or by its link id."""
    order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000", order_link_id="mine")
    where = {"category": "linear", "symbol": "BTCUSDT"}
    assert asker.post("order/amend", **where, orderId=order.order_id, price="20001", qty="0.6").code == 0
    assert (account.order(order).price, account.order(order).qty) == (Decimal(20001), Decimal("0.6"))
    assert asker.post("order/cancel", **where, orderLinkId="mine").code == 0
    assert account.order(order).status == "Cancelled"
    assert asker.post("order/cancel", **where, orderId=order.order_id).code == 110001


def test_all_orders_on_a_symbol_are_cancelled(account: Account, asker: Asker) -> None:
    """Others stay."""
    for symbol in ("BTCUSDT", "BTCUSDT", "ETHUSDT"):
        account.place_order(symbol, "Buy", qty="0.5", price="2000")
    answer = asker.post("order/cancel-all", category="linear", symbol="BTCUSDT")
    assert (len(answer.rows), [order.symbol for order in account.orders()]) == (2, ["ETHUSDT"])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "NOTHING"}, 10001),
        ({"category": "inverse"}, 10001),
        ({"side": "Hold"}, 10001),
        ({"qty": "many"}, 10001),
        ({"qty": "NaN"}, 10001),
        ({"qty": ""}, 10001),
        ({"price": "0"}, 10001),
        ({"orderLinkId": "there"}, 110072),
    ],
)
def test_an_order_that_cannot_be_is_refused_and_changes_nothing(
    account: Account, asker: Asker, changes: dict[str, Any], code: int
) -> None:
    """With the exchange's code."""
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000", order_link_id="there")
    assert asker.post("order/create", **{**BUY, **changes}).code == code
    assert len(account.orders()) == 1


@pytest.mark.parametrize(("name", "code"), [({}, 10001), ({"orderId": "none"}, 110001)])
def test_an_order_that_is_not_named_or_not_there_is_not_changed(asker: Asker, name: dict[str, str], code: int) -> None:
    """Amend and cancel alike."""
    for action in ("order/amend", "order/cancel"):
        assert asker.post(action, category="linear", symbol="BTCUSDT", price="1", **name).code == code


def test_an_amendment_that_cannot_be_is_refused(account: Account, asker: Asker) -> None:
    """It has to leave something to fill."""
    order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    account.fill(order, qty="0.4")
    where = {"category": "linear", "symbol": "BTCUSDT", "orderId": order.order_id}
    assert asker.post("order/amend", **where, qty="0.3").code == 10001


@pytest.mark.parametrize("body", ["", "[]", "{"])
def test_a_body_that_is_no_object_is_refused(asker: Asker, body: str) -> None:
    """As parameters that cannot work."""
    assert asker.post("order/create", body).code == 10001
