"""A user's code, checked by mypy and pyright and never run: what the library's types promise to whoever writes against it.

Each `assert_type` is a promise; each ``ignore`` comment marks a mistake that both checkers have to find: they complain about a
comment without one (``warn_unused_ignores``, ``reportUnnecessaryTypeIgnoreComment``).
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from typing_extensions import assert_type

import bybit_sync
from bybit_sync import (
    AccountSnapshot,
    AccountView,
    AnyEvent,
    BalanceUpdate,
    Category,
    Client,
    CoinBalance,
    Environment,
    Event,
    EventQueue,
    Gap,
    GapReason,
    Health,
    Inline,
    OrderStatus,
    OrderUpdate,
    PositionUpdate,
    Recorder,
    Side,
    Source,
    State,
    StatusChange,
    Stream,
    Subscription,
    SubscriptionHealth,
    SubscriptionState,
    UserTradeUpdate,
    is_balances,
    is_orders,
    is_positions,
    is_user_trades,
)

client = Client("KEY", "SECRET")


# --- what comes out ---


def an_account_is_typed_throughout(view: AccountView) -> None:
    assert_type(view.position("BTCUSDT", category=Category.LINEAR), PositionUpdate | None)
    assert_type(view.orders["id"], OrderUpdate)
    assert_type(view.positions[Category.LINEAR, "BTCUSDT", 0], PositionUpdate)
    assert_type(view.coin("USDT"), CoinBalance | None)
    assert_type(view.balance, BalanceUpdate | None)
    assert_type(view.trades, tuple[UserTradeUpdate, ...])
    assert_type(view.as_of, datetime | None)
    assert_type(view.wait_current(timeout=1.0), bool)
    assert_type(view.snapshot(), AccountSnapshot)


def a_change_brings_the_view_and_any_event() -> None:
    def change(account: AccountView, event: AnyEvent) -> None:
        assert_type(account.is_current, bool)
        assert_type(event.stream, Stream)

    assert_type(client.account_view(change), AccountView)
    client.account_view(lambda: None)  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType]


def an_order_is_waited_for(view: AccountView) -> None:
    assert_type(client.wait_for_order("id", view=view), OrderUpdate)
    client.wait_for_order(order_link_id="mine", view=view, until=lambda order: order.cum_exec_qty)


def a_price_is_a_decimal_or_none_without_a_cast(sub: Subscription[PositionUpdate]) -> None:
    position = sub.get().data[0]
    assert_type(position, PositionUpdate)
    assert_type(position.entry_price, Decimal | None)
    assert_type(position.side, Side | None)
    assert_type(position.category, Category | None)
    assert_type(position.symbol, str)
    assert_type(position.updated_time, datetime | None)
    assert_type(position.extra, Mapping[str, Any])
    assert_type(position.key, tuple[Category | None, str, int])
    assert_type(UserTradeUpdate(exec_id="1").key, tuple[Category | None, str])


def an_event_is_a_sequence_of_its_rows(event: Event[PositionUpdate]) -> None:
    assert_type(len(event), int)
    assert_type(event[0], PositionUpdate)
    assert_type(event[:2], tuple[PositionUpdate, ...])


def guards_tell_whose_rows_they_are(event: AnyEvent) -> None:
    if is_orders(event):
        assert_type(event[0], OrderUpdate)
    elif is_positions(event):
        assert_type(event[0], PositionUpdate)
    elif is_balances(event):
        assert_type(event[0], BalanceUpdate)
    else:
        assert_type(event[0], UserTradeUpdate)
    assert_type([event[0] for event in [event] if is_user_trades(event)], list[UserTradeUpdate])


def each_stream_gives_its_own_rows() -> None:
    assert_type(client.subscribe_balances(), Subscription[BalanceUpdate])
    assert_type(client.subscribe_orders(), Subscription[OrderUpdate])
    assert_type(client.subscribe_positions(), Subscription[PositionUpdate])
    assert_type(client.subscribe_user_trades(fast=True), Subscription[UserTradeUpdate])
    assert_type(client.subscribe_user_trades(wait=False), Subscription[UserTradeUpdate])
    for event in client.subscribe_orders():
        assert_type(event, Event[OrderUpdate])
        for order in event:
            assert_type(order.order_status, OrderStatus | None)
            assert_type(order.qty, Decimal | None)
            assert_type(order.order_status == "Filled" or order.order_status is OrderStatus.CANCELLED, bool)
    for balances in client.subscribe_balances():
        assert_type(balances.data[0].coins, tuple[CoinBalance, ...])
        assert_type(balances.data[0].coin("USDT"), CoinBalance | None)
    for trades in client.subscribe_user_trades():
        assert_type(trades.data[0].is_maker, bool | None)
        assert_type(trades.data[0].exec_id, str)


def an_event_tells_what_it_is(event: Event[PositionUpdate]) -> None:
    assert_type(event.stream, Stream)
    assert_type(event.data, tuple[PositionUpdate, ...])
    assert_type(event.gap, Gap | None)
    assert_type(event.id, str | None)
    assert_type(event.created_at, datetime | None)
    assert_type(event.received_at, datetime)
    assert_type(event.raw, bytes)
    assert_type(event.index, int)
    assert_type(event.source, Source)
    assert_type(event.snapshot, bool)
    assert_type(event.recovered, Gap | None)
    assert_type(event.unresolved, tuple[str, ...])
    if event.gap:
        assert_type(event.gap.reason, GapReason)
        assert_type(event.gap.since, datetime)
        assert_type(event.gap.missed, int | None)
        assert_type(event.gap.error, BaseException | None)
        assert_type(event.gap.recovering, bool)
    assert_type(bybit_sync.to_dict(event), dict[str, Any])
    assert_type(bybit_sync.from_dict(bybit_sync.to_dict(event)), Any)


def none_has_to_be_looked_at(position: PositionUpdate) -> bool:
    if position.size > 0:  # type: ignore[operator]  # pyright: ignore[reportOptionalOperand]
        return True
    return position.size is not None and position.size > 0


def nothing_that_is_delivered_can_be_changed(event: Event[PositionUpdate], gap: Gap) -> None:
    event.index = 7  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    event.data[0].size = Decimal(0)  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    event.data[0].extra["mine"] = 1  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    gap.missed = 0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def what_is_not_there_is_found(event: Event[PositionUpdate]) -> None:
    row = event.data[0]
    row.entryPrice  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    row.order_id  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


# --- callbacks ---


class Bot:
    """Somebody's class, whose methods are called back."""

    def on_positions(self, event: Event[PositionUpdate]) -> None: ...

    def on_orders(self, event: Event[OrderUpdate], *, account: str = "main") -> None: ...

    def on_anything(self, event: AnyEvent) -> None: ...

    def on_rows(self, event: Event[OrderUpdate | UserTradeUpdate]) -> None: ...

    def __call__(self, event: Event[Any]) -> None: ...


def a_callback_takes_the_events_of_its_stream(bot: Bot, untyped: Callable[..., Any]) -> None:
    client.subscribe_positions(bot.on_positions)
    client.subscribe_orders(bot.on_orders)
    client.subscribe_orders(partial(bot.on_orders, account="hedge"))
    client.subscribe_positions(lambda event: print(event.data[0].entry_price))
    for subscribe in (client.subscribe_orders, client.subscribe_user_trades):
        subscribe(bot.on_rows)
        subscribe(bot.on_anything)
        subscribe(bot)
        subscribe(print)
        subscribe(untyped)
    seen: list[AnyEvent] = []
    client.subscribe_balances(seen.append)


def a_callback_for_another_stream_is_a_mistake(bot: Bot) -> None:
    client.subscribe_orders(bot.on_positions)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.subscribe_positions(bot.on_orders)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.subscribe_balances(bot.on_rows)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.subscribe_user_trades(told)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.subscribe_orders(
        lambda event: event.rows  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownLambdaType]
    )


# --- queues ---


def one_queue_serves_all_four() -> None:
    inbox: queue.Queue[AnyEvent] = queue.Queue()
    for account in (client, Client("KEY 2", "SECRET 2")):
        account.subscribe_balances(inbox)
        account.subscribe_orders(inbox)
        account.subscribe_positions(inbox)
        account.subscribe_user_trades(inbox)
    for row in inbox.get():
        if isinstance(row, OrderUpdate):
            assert_type(row.leaves_qty, Decimal | None)


def other_queues_do_as_well() -> None:
    simple: queue.SimpleQueue[Event[OrderUpdate]] = queue.SimpleQueue()
    last: queue.LifoQueue[Event[Any]] = queue.LifoQueue()
    anything: queue.Queue[object] = queue.Queue()
    client.subscribe_orders(simple)
    client.subscribe_orders(last, overflow="fail")
    client.subscribe_orders(anything)


def an_inline_callback_is_a_sink(bot: Bot) -> None:
    def any_event(event: AnyEvent) -> None: ...

    client.subscribe_orders(Inline(bot.on_orders))
    client.subscribe_orders(Inline(any_event))
    client.subscribe_balances(Inline(any_event), wait=False)
    client.subscribe_orders(Inline(bot.on_positions))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Mine:
    """Anything with ``put_nowait``."""

    def put_nowait(self, item: AnyEvent) -> None: ...


def a_queue_of_one_s_own_is_a_queue() -> None:
    client.subscribe_balances(Mine())
    mine: EventQueue[AnyEvent] = Mine()
    orders: EventQueue[Event[OrderUpdate]] = mine
    client.subscribe_orders(orders)


def a_queue_for_another_stream_is_a_mistake() -> None:
    positions: queue.Queue[Event[PositionUpdate]] = queue.Queue()
    numbers: queue.Queue[int] = queue.Queue()
    client.subscribe_positions(positions)
    client.subscribe_orders(positions)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.subscribe_balances(numbers)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.subscribe_balances(object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# --- client and subscription ---


def told(change: StatusChange) -> None:
    assert_type(change.state, State)
    assert_type(change.error, BaseException | None)
    assert_type(change.downtime, float | None)
    assert_type(change.subscription, Subscription[Any] | None)


def went_wrong(error: BaseException, event: Event[Any], subscription: Subscription[Any]) -> None: ...


def a_client_is_made_of_checked_arguments() -> None:
    Client("KEY", signer=lambda text: text[::-1], environment=Environment("lab", "ws://127.0.0.1:1"), categories=None)
    Client("KEY", "SECRET", on_status=told, on_error=went_wrong, categories={"linear"}, connect_timeout=3)
    Client("KEY", "SECRET", on_status=went_wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Client("KEY", "SECRET", "testnet")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Client("KEY", "SECRET", on_postions=told)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert_type(Client.from_env(name="main"), Client)
    Client.from_env(nam="main")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Client.from_env(ping_interval="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def with_statements_keep_the_type() -> None:
    with Client("KEY", "SECRET") as account, account.subscribe_orders() as orders:
        assert_type(account, Client)
        assert_type(orders, Subscription[OrderUpdate])
        assert_type(orders.get(timeout=1.0), Event[OrderUpdate])
        assert_type(iter(orders), Iterator[Event[OrderUpdate]])
        assert_type(orders.close(), bool)


def health_is_told_in_known_types(health: Health) -> None:
    assert_type(client.health(), Health)
    assert_type(client.state, State)
    assert_type(client.wait(timeout=1), bool)
    assert_type(health.connected_at, datetime | None)
    assert_type(health.clock_offset, float | None)
    assert_type(health.subscriptions, tuple[SubscriptionHealth, ...])
    assert_type(health.subscriptions[0].state, SubscriptionState)
    assert_type(health.subscriptions[0].queued, int)


def what_was_recorded_comes_back_typed(inbox: queue.Queue[AnyEvent], orders: queue.Queue[Event[OrderUpdate]]) -> None:
    Client("KEY", "SECRET", record="session.jsonl")
    Client("KEY", "SECRET", record=Recorder(Path("session.jsonl"), rotate_bytes=2**20))
    Client("KEY", "SECRET", record=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    for event in bybit_sync.replay("session.jsonl", speed=2.0):
        assert_type(event, AnyEvent)
    assert_type(bybit_sync.replay("session.jsonl", sink=inbox), int)
    assert_type(bybit_sync.replay(Path("session.jsonl"), None, print), int)
    bybit_sync.replay("session.jsonl", sink=orders)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]


def a_pool_can_take_events(pool: ThreadPoolExecutor, orders: Subscription[OrderUpdate]) -> None:
    assert_type(pool.submit(orders.get, 1.0), Future[Event[OrderUpdate]])
