"""Section F: subscribing, and being subscribed."""

from __future__ import annotations

import json
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import pytest

from bybit_sync import Backoff, Client, ConnectTimeout, GapReason, State, Subscription, SubscriptionRejected
from bybit_sync.session.messages import Request, write
from bybit_sync.signing.credentials import Credentials, hmac_signer
from bybit_sync.simulator import Exchange as Simulator
from bybit_sync.threads.waker import Waker
from tests.conftest import KEY, SECRET
from tests.faults import pace
from tests.faults.conftest import Play
from tests.faults.exchange import (
    Act,
    Message,
    Talk,
    answer,
    hang_up,
    ignore,
    log_in,
    order,
    pushed,
    read_request,
    say,
    serve,
    subscribed,
    unsubscribed,
)
from tests.faults.history import History
from tests.faults.rows import PLAIN_AND_TLS, row
from tests.faults.scene import Scene
from tests.peers import frame, opened, read_messages

UNKNOWN = "error:handler not found,topic:{}"
WALLET = pushed("wallet", [{"accountType": "UNIFIED"}])


# --- scripts ---


def refusing(topic: str, text: str = UNKNOWN, *, times: int = 99) -> Act:
    """Return the script that refuses *topic* so many times with *text*, and answers everything else rightly."""

    def answer_subscribe(line: Talk, request: Message) -> None:
        if request["args"] == [topic] and asked(line, topic) <= times:
            answer(line, request, success=False, text=text.format(topic))
        else:
            subscribed(line, request)

    return lambda line: serve(line, subscribe=answer_subscribe)


def ignoring(*topics: str, times: int = 99) -> Act:
    """Return the script that answers nothing to the first so many requests for each of *topics*."""

    def answer_subscribe(line: Talk, request: Message) -> None:
        if request["args"][0] not in topics or asked(line, request["args"][0]) > times:
            subscribed(line, request)

    return lambda line: serve(line, subscribe=answer_subscribe)


def yes(line: Talk, topic: str, **fields: Any) -> None:
    """Confirm the latest request for *topic*."""
    line.topics.append(topic)
    answer(line, [r for r in line.requests if r.get("args") == [topic]][-1], **fields)


# --- what to look at ---


def asked(talk: Talk, topic: str, op: str = "subscribe") -> int:
    """Return how often the client asked for *topic*."""
    return sum(r["op"] == op and r["args"] == [topic] for r in talk.requests)


def fence(scene: Scene, balances: History) -> None:
    """Return when the client has read everything that was sent so far: a push of the wallet comes last."""
    scene.exchange.do(say, WALLET)
    assert balances.next().stream == "balances"


def state_of(scene: Scene, stream: str) -> str:
    """Return the state of the subscription to *stream*."""
    return next(s.state for s in scene.client.health().subscriptions if s.stream == stream)


def wishing_for_orders(play: Play, script: Act, **arguments: Any) -> tuple[Scene, History, Subscription[Any]]:
    """Play *script* until the wallet is subscribed, then subscribe to orders without waiting for it."""
    scene = play(script, **arguments)
    balances = scene.subscribe("balances")
    return scene, balances, scene.client.subscribe_orders(wait=False)


# --- refused ---


@row(75, kills="a refused topic is taken for confirmed")
@PLAIN_AND_TLS
def test_a_refused_topic_is_raised_and_costs_nobody_else(play: Play) -> None:
    """`SubscriptionRejected` names topic and text at the answer; the other stream goes on, and nothing is left behind."""
    scene = play(refusing("wallet"))
    scene.subscribe()
    with pytest.raises(SubscriptionRejected, match="handler not found") as raised:
        scene.client.subscribe_balances()
    assert (raised.value.topic, raised.value.text) == ("wallet", UNKNOWN.format("wallet"))
    assert [s.stream for s in scene.client.health().subscriptions] == ["orders"]
    assert asked(scene.exchange.talks[0], "wallet") == 1
    scene.goes_on()


@row(75, kills="a topic refused on return from an outage is forgotten in silence")
def test_a_topic_that_stays_refused_on_return_ends_its_subscription(play: Play) -> None:
    """It is asked for again after 5 s, on the same connection; then ENDED, `get`, `on_status` and an ERROR tell it."""
    scene = play(serve, refusing("wallet"), timings={"ask_again": max(1.0, pace.seconds(5))})
    orders = scene.subscribe()
    balances = scene.client.subscribe_balances()
    scene.cause(hang_up)
    scene.is_found()
    orders.gap()
    assert scene.client.state is State.CONNECTING
    scene.status.wait_for(State.LIVE)
    assert asked(scene.exchange.talks[1], "wallet") == 2
    ended(balances)
    assert [c.subscription for c in scene.status.changes if c.subscription] == [balances]
    scene.logged(["WARNING", "WARNING", "ERROR", "INFO"])
    scene.exchange.push_order("next")
    orders.update("next")


def ended(subscription: Subscription[Any]) -> None:
    """Make sure that *subscription* has ended for the refusal of its topic, and says so wherever it is asked."""
    gap = subscription.get(timeout=pace.patience()).gap
    assert gap is not None
    assert gap.reason is GapReason.ENDED
    assert isinstance(gap.error, SubscriptionRejected)
    for ask in (subscription.get, subscription.__next__):
        with pytest.raises(SubscriptionRejected):
            ask()
    assert subscription.error is gap.error


@row(75, kills="a topic refused on return is asked for again at once, or not at all")
@pytest.mark.parametrize("text", [UNKNOWN, "error:already subscribed,topic:{}"])
def test_a_topic_that_is_refused_once_on_return_goes_on(play: Play, text: str) -> None:
    """The second request is accepted, or the first one's answer says that it was not needed: a gap, and the stream goes on."""
    unneeded = "already" in text
    scene = play(serve, refusing("order.linear", text, times=99 if unneeded else 1))
    orders = scene.subscribe()
    scene.cause(hang_up)
    scene.is_found()
    orders.gap()
    waited = scene.status.wait_for(State.LIVE) - scene.exchange.talks[1].began
    assert unneeded or waited >= pace.seconds(5)
    assert asked(scene.exchange.talks[1], "order.linear") == (1 if unneeded else 2)
    scene.exchange.push_order("next")
    orders.update("next")


# --- answers that are missing, or too many ---


@row(76, kills="a stream counts as subscribed when the first of its topics is")
def test_two_of_three_topics_are_not_enough(play: Play) -> None:
    """One request for each topic, so that an answer is about one; the one that gets none is asked for again after 10 s."""
    options: dict[str, Any] = {"categories": ("linear", "inverse", "option"), "request_timeout": pace.answer()}
    scene, balances, orders = wishing_for_orders(play, ignoring("order.option"), **options)
    talk = scene.exchange.talks[0]
    scene.exchange.wait_for(lambda: asked(talk, "order.option") == 1)
    fence(scene, balances)
    assert orders.state == "PENDING"
    scene.exchange.wait_for(lambda: asked(talk, "order.option") == 2)
    assert orders.state == "PENDING"
    scene.exchange.do(yes, "order.option")
    scene.exchange.do(say, order(talk, "next"))
    assert orders.get(timeout=pace.patience()).data[0].order_id == "next"
    assert all(len(r["args"]) == 1 for r in talk.requests if r["op"] == "subscribe")


@row(76, kills="an answer that lists failed topics counts as a yes")
def test_a_yes_with_failed_topics_is_a_no(play: Play) -> None:
    """Gateways of unified accounts say it with lists, and success is then true all the same."""

    def answer_subscribe(line: Talk, request: Message) -> None:
        failed = [t for t in request["args"] if t == "order.inverse"]
        lists = {"failTopics": failed, "successTopics": [t for t in request["args"] if t not in failed]}
        say(line, frame(json.dumps({"success": True, "conn_id": "conn-1", "data": lists, "type": "COMMAND_RESP"})))

    scene = play(lambda line: serve(line, subscribe=answer_subscribe))
    scene.subscribe("balances")
    with pytest.raises(SubscriptionRejected) as raised:
        scene.client.subscribe_orders()
    assert raised.value.topic == "order.inverse"


@row(77, kills="an answer without a req_id confirms all that is asked for")
@pytest.mark.parametrize("named", [False, True])
def test_an_answer_without_a_number_is_for_one_request(play: Play, named: bool) -> None:  # noqa: FBT001
    """It is for the topic that it names, else for the oldest request; the other goes on waiting, and is asked for again."""
    scene, balances, orders = wishing_for_orders(play, ignoring("order.linear", "order.inverse"), request_timeout=pace.answer())
    talk = scene.exchange.talks[0]
    scene.exchange.wait_for(lambda: asked(talk, "order.inverse") == 1)
    # A name points to the younger request: the older one is not for the taking then.
    first, second = ("order.inverse", "order.linear") if named else ("order.linear", "order.inverse")
    text = f"error:already subscribed,topic:{first}" if named else ""
    scene.exchange.do(lambda line: yes(line, first, req_id=None, text=text, success=not named))
    fence(scene, balances)
    assert orders.state == "PENDING"
    scene.exchange.wait_for(lambda: asked(talk, second) == 2)
    scene.exchange.do(lambda line: yes(line, second, req_id=None))
    scene.exchange.push_order("next")
    assert orders.get(timeout=pace.patience()).data[0].order_id == "next"
    assert asked(talk, first) == 1


@row(77, kills="a refusal without a req_id refuses the stream that was asked for first")
def test_a_refusal_without_a_number_is_for_the_topic_that_it_names(play: Play) -> None:
    """Orders are asked for first, the wallet is what is refused: orders go on."""
    scene = play(lambda line: serve(line, subscribe=nameless))
    orders = scene.client.subscribe_orders(wait=False)
    scene.exchange.wait_for(lambda: scene.exchange.talks and asked(scene.exchange.talks[0], "order.inverse"))
    with pytest.raises(SubscriptionRejected) as raised:
        scene.client.subscribe_balances()
    assert raised.value.topic == "wallet"
    assert scene.client.wait_live(pace.patience())
    scene.exchange.push_order("next")
    assert orders.get(timeout=pace.patience()).data[0].order_id == "next"


def nameless(line: Talk, request: Message) -> None:
    """Wait until the wallet and orders are asked for, then refuse the wallet first, without numbers."""
    waiting = [r for r in line.requests if r["op"] == "subscribe"]
    if len(waiting) == 3:
        answer(line, request, success=False, text=UNKNOWN.format("wallet"), req_id=None)
        for _ in range(2):
            answer(line, request, req_id=None)


@row(78, kills="a request without an answer is never repeated")
@PLAIN_AND_TLS
def test_a_lost_answer_is_asked_for_again(play: Play) -> None:
    """After 10 s the topic is asked for once more, on the same connection, and nobody is bothered."""
    scene = play(ignoring("order.inverse", times=1), request_timeout=pace.answer())
    scene.mark()
    scene.subscribe()
    assert scene.exchange.accepted == 1
    assert scene.status.wait_for(State.LIVE) - scene.exchange.talks[0].began >= pace.seconds(10)
    scene.logged(())
    scene.goes_on()


@row(78, kills="a topic is asked for again and again")
def test_an_answer_lost_twice_costs_the_connection(play: Play) -> None:
    """Something is wrong with it: another one is made, named in the WARNING by the topic, and there the topic is confirmed."""
    scene = play(ignoring("wallet"), serve, request_timeout=pace.answer())
    scene.subscribe()
    scene.mark()
    scene.subscribe("balances", wait=False)
    scene.is_found(within=20)
    scene.recovers("wallet")
    assert asked(scene.exchange.talks[0], "wallet") == 2
    assert state_of(scene, "balances") == "LIVE"


@row(78, kills="a push is no proof of its subscription")
def test_a_push_is_as_good_as_an_answer(play: Play) -> None:
    """The answers are lost, the pushes come: what is pushed is subscribed, and is delivered."""
    scene, _, orders = wishing_for_orders(play, ignoring("order.linear", "order.inverse"))
    scene.exchange.wait_for(lambda: asked(scene.exchange.talks[0], "order.inverse") == 1)
    scene.exchange.push_order("first")
    inverse = pushed("order.inverse", [{"category": "inverse", "orderId": "second"}])
    scene.exchange.do(say, inverse)
    assert [orders.get(timeout=pace.patience()).data[0].order_id for _ in range(2)] == ["first", "second"]
    assert orders.state == "LIVE"
    assert asked(scene.exchange.talks[0], "order.linear") == 1


@row(79, kills="an answer that fits no request refuses whatever is subscribed")
@pytest.mark.parametrize("success", [True, False])
def test_answers_that_nobody_asked_for_are_ignored(play: Play, success: bool) -> None:  # noqa: FBT001
    """Twice the same answer, and one to a number that never was: DEBUG, and the stream goes on."""
    scene = play()
    scene.subscribe()
    request = next(r for r in scene.exchange.talks[0].requests if r["op"] == "subscribe")
    text = "" if success else UNKNOWN.format("order.linear")
    strays = [request, {**request, "req_id": None}] if success else []
    for stray in (*strays, {**request, "req_id": "99-99"}):
        scene.exchange.do(lambda line, stray=stray: answer(line, stray, success=success, text=text))
    scene.goes_on()
    assert scene.log.text.count("belongs to no request: subscribe") == len(strays) + 1
    scene.logged(())


@row(209, kills="a refusal that answers no request is ignored")
@pytest.mark.parametrize("numbered", [True, False])
def test_a_refusal_of_what_is_subscribed_costs_the_connection(play: Play, *, numbered: bool) -> None:
    """The exchange confirmed the topic and then says no: an ERROR, and another login, which tells what was missed."""
    scene = play()
    scene.subscribe()
    request = next(r for r in scene.exchange.talks[0].requests if r["op"] == "subscribe")
    stray = request if numbered else {**request, "req_id": None}
    scene.cause(lambda line: answer(line, stray, success=False, text=UNKNOWN.format("order.linear")))
    scene.recovers("refused order.linear, which counted as subscribed", levels=("ERROR", "WARNING", "INFO"))


@row(209, kills="a topic that is confirmed and refused takes the connection from all others for ever")
def test_a_topic_that_is_confirmed_and_refused_on_two_logins_ends_its_subscription(play: Play) -> None:
    """The exchange is asked again once, then believed: ENDED with the refusal, and the other stream goes on."""

    def both(line: Talk, request: Message) -> None:
        subscribed(line, request)
        if request["args"] == ["wallet"]:
            answer(line, request, success=False, text=UNKNOWN.format("wallet"), req_id=None)

    scene = play(lambda line: serve(line, subscribe=both))
    orders = scene.subscribe()
    balances = scene.client.subscribe_balances(wait=False)
    orders.gap()
    assert balances.get(timeout=pace.patience()).gap.reason is GapReason.DISCONNECTED
    ended(balances)
    scene.exchange.push_order("next")
    assert orders.update("next").epoch == 2


@row(79, kills="requests of one connection have the same numbers as those of another")
@pytest.mark.parametrize("success", [True, False])
def test_an_answer_of_an_earlier_connection_is_ignored(play: Play, success: bool) -> None:  # noqa: FBT001
    """A verdict on the last connection's request says nothing about the one that waits now."""
    scene = play(serve, ignoring("order.linear", times=1), request_timeout=pace.answer())
    orders = scene.subscribe()
    scene.cause(hang_up)
    scene.exchange.wait_for(lambda: len(scene.exchange.talks) == 2 and asked(scene.exchange.talks[1], "order.linear"))
    old = next(r for r in scene.exchange.talks[0].requests if r.get("args") == ["order.linear"])
    scene.exchange.do(lambda line: answer(line, old, success=success, text="" if success else UNKNOWN))
    # Had it counted, there would be no second request: the topic would be confirmed, or waiting for its second chance.
    scene.exchange.wait_for(lambda: asked(scene.exchange.talks[1], "order.linear") == 2)
    scene.log.wait_for("belongs to no request: subscribe")
    orders.gap()
    scene.exchange.push_order("next")
    orders.update("next")


@row(80, kills="a request is remembered when the next one is sent")
def test_an_answer_may_be_as_fast_as_it_likes(play: Play) -> None:
    """Four hundred answers that are sent the moment they are asked for: none of them finds nobody waiting."""
    scene = play()
    scene.subscribe()
    # Before any is asked for again.
    timeout = 0.9 * pace.arguments()["request_timeout"]
    for _ in range(200):
        scene.client.subscribe_balances(timeout=timeout).close()
    assert "belongs to no request" not in scene.log.text
    assert max(asked(scene.exchange.talks[0], topic) for topic in ("order.linear", "order.inverse")) == 1
    scene.goes_on()


# --- pushes at the wrong time ---


@row(81, kills="what is pushed before the answer is dropped, or delivered after what follows")
@PLAIN_AND_TLS
def test_pushes_before_the_answer_are_delivered_in_order(play: Play) -> None:
    """The exchange pushes as soon as it is asked, confirms afterwards, and goes on pushing."""

    def eager(line: Talk, request: Message) -> None:
        before = order(line, f"before-{request['args'][0]}")
        line.topics += request["args"]
        say(line, before, frame(json.dumps({"success": True, "op": "subscribe", "req_id": request["req_id"]})))
        say(line, order(line, f"behind-{request['args'][0]}"))

    scene = play(lambda line: serve(line, subscribe=eager))
    orders = scene.subscribe()
    for topic in ("order.linear", "order.inverse"):
        orders.update(f"before-{topic}")
        orders.update(f"behind-{topic}")
    scene.goes_on()


@row(82, kills="a topic that nobody subscribed to raises, or warns each time")
def test_a_push_that_nobody_asked_for_is_told_once_a_topic(play: Play) -> None:
    """Five pushes for two topics that are not ours: two WARNINGs, and nothing else happens."""
    scene = play()
    scene.subscribe()
    for topic in ("order.spread", "order.spread", "dcp.future", "order.spread\x1b[31m", "dcp.future"):
        scene.exchange.do(say, pushed(topic, [{"orderId": "not ours"}]))
    scene.goes_on()
    told = scene.logged(["WARNING"] * 3)
    assert "order.spread" in told
    assert "\x1b" not in told


@row(83, kills="what is pushed after unsubscribing is delivered, or warned about")
def test_a_push_behind_an_unsubscribe_is_dropped_in_silence(play: Play) -> None:
    """What was under way when the subscription ended is nobody's fault, before its confirmation as after it."""

    def late(line: Talk, request: Message) -> None:
        say(line, order(line, "under way"))
        unsubscribed(line, request)
        say(line, order(line, "still"))

    scene = play(lambda line: serve(line, unsubscribe=late))
    balances = scene.subscribe("balances")
    orders = scene.subscribe()
    subscription = next(r.handle for r in scene.client._engine.registry if r.stream == "orders")
    assert subscription.close()
    scene.exchange.wait_for(lambda: scene.exchange.talks[0].topics == ["wallet"])
    fence(scene, balances)
    orders.nothing_more()
    scene.logged(())


# --- left, and wanted again ---


def leaving(play: Play, **acts: Act) -> tuple[Scene, History, list[Message]]:
    """Subscribe to the wallet, and to orders that are closed again; return what is asked for then, unanswered."""
    scene = play(lambda line: serve(line, unsubscribe=ignore, **acts))
    balances = scene.subscribe("balances")
    scene.client.subscribe_orders(timeout=pace.patience()).close()
    talk = scene.exchange.talks[0]
    scene.exchange.wait_for(lambda: asked(talk, "order.inverse", "unsubscribe"))
    return scene, balances, [r for r in talk.requests if r["op"] == "unsubscribe"]


@row(203, kills="what the old subscription brings is the new one's; it is asked for before the old one has ended")
@pytest.mark.parametrize("wait", [True, False])
def test_a_new_subscription_begins_where_the_old_one_ended(play: Play, *, wait: bool) -> None:
    """The exchange takes its time for each request: nothing of before, no hole behind it, and the first event is the first."""
    scene, balances, unanswered = leaving(play)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(scene.client.subscribe_orders, timeout=pace.patience(), wait=wait)
        pace.until(lambda: "orders" in [s.stream for s in scene.client.health().subscriptions])
        scene.exchange.push_order("old")
        fence(scene, balances)
        assert asked(scene.exchange.talks[0], "order.linear") == 1
        for request in unanswered:
            scene.exchange.do(unsubscribed, request)
        orders = coming.result(pace.patience())
    scene.exchange.wait_for(lambda: "order.inverse" in scene.exchange.talks[0].topics)
    scene.exchange.push_order("new")
    event = orders.get(timeout=pace.patience())
    assert ([row.order_id for row in event], event.index) == (["new"], 1)
    scene.logged(())


def unless_held(line: Talk, request: Message) -> None:
    """Confirm a subscription, unless there is one: Bybit refuses a second one."""
    held = request["args"][0] in line.topics
    # First: with the answer the client is LIVE, and the test looks at the topics.
    line.topics += [] if held else request["args"]
    answer(line, request, success=not held, text=f"error:already subscribed,topic:{request['args'][0]}" if held else "")


@row(204, kills="already subscribed is a yes while the unsubscribe is unanswered: LIVE, and silent from then on")
def test_an_unsubscribe_that_is_carried_out_late_silences_nobody(play: Play) -> None:
    """In whatever order the exchange carries things out: once LIVE the topics are subscribed, and are pushed."""
    scene, _, unanswered = leaving(play, subscribe=unless_held)
    orders = scene.client.subscribe_orders(wait=False)
    for request in reversed(unanswered):
        scene.exchange.do(unsubscribed, request)
    pace.until(lambda: orders.state == "LIVE")
    assert sorted(scene.exchange.talks[0].topics) == ["order.inverse", "order.linear", "wallet"]
    scene.logged(())


@row(204, kills="already subscribed is a yes to what the exchange said it had ended")
def test_an_exchange_that_holds_what_it_had_ended_is_left(play: Play) -> None:
    """It answered the unsubscribe before it carried it out, and may yet do so: a new login knows what is subscribed."""
    scene = play(lambda line: serve(line, subscribe=unless_held, unsubscribe=answer))
    scene.subscribe()
    scene.client.subscribe_balances(timeout=pace.patience()).close()
    scene.mark()
    scene.subscribe("balances", wait=False)
    scene.recovers("still holds the subscription to wallet that it had ended")
    assert state_of(scene, "balances") == "LIVE"


@row(204, kills="an unsubscribe is waited for without a limit, or no longer than it takes to subscribe again")
def test_an_unsubscribe_without_an_answer_costs_the_connection(play: Play) -> None:
    """After 10 s nobody knows what the exchange made of it: the topic is named, and subscribed on the next connection."""
    scene = play(lambda line: serve(line, unsubscribe=ignore), serve, request_timeout=pace.answer())
    scene.subscribe()
    scene.client.subscribe_balances(timeout=pace.patience()).close()
    scene.mark()
    scene.subscribe("balances", wait=False)
    scene.is_found(within=10)
    scene.recovers("no answer to the unsubscribe from wallet")
    assert state_of(scene, "balances") == "LIVE"


# --- while there is no connection ---


def slowly(play: Play, *scripts: Act) -> Scene:
    """Set a scene in which the client backs off for at least five seconds of the catalogue, and a second."""
    pause = max(2.0, pace.seconds(10))
    return play(*scripts, backoff=Backoff(initial=pause, factor=1, maximum=pause))


@row(84, kills="a subscription that is made while backing off is forgotten, or returns before its answer")
def test_a_subscription_made_while_backing_off_waits_for_its_answer(play: Play) -> None:
    """It is recorded, asked for after the login, and returns after the exchange's yes."""
    confirmed = threading.Event()

    def answer_subscribe(line: Talk, request: Message) -> None:
        if request["args"] == ["wallet"]:
            confirmed.set()
        subscribed(line, request)

    scene = slowly(play, serve, lambda line: serve(line, subscribe=answer_subscribe))
    orders = scene.subscribe()
    scene.cause(hang_up)
    scene.is_found()
    scene.subscribe("balances")
    assert confirmed.is_set()
    assert scene.client.state is State.LIVE
    scene.recovers("without a close frame")
    assert scene.exchange.talks[1].requests[0]["op"] == "auth"
    assert [e.gap is None for e in orders.events] == [False, True]


@row(84, kills="a newcomer whose time is up stays subscribed")
def test_a_subscription_that_gives_up_while_backing_off_leaves_nothing(play: Play) -> None:
    """`ConnectTimeout` is chained to why there is no connection, and the next connection does not ask for the topic."""
    scene = slowly(play)
    scene.subscribe()
    scene.cause(hang_up)
    scene.is_found()
    with pytest.raises(ConnectTimeout, match="without a close frame") as raised:
        scene.client.subscribe_balances(timeout=pace.seconds(1))
    assert raised.value.__cause__ is scene.client.health().last_error
    scene.recovers("without a close frame")
    assert asked(scene.exchange.talks[1], "wallet") == 0


@row(85, kills="what was closed during an outage is subscribed again")
def test_a_subscription_closed_while_backing_off_is_not_asked_for(play: Play) -> None:
    """`close` returns at once, though there is nobody to unsubscribe from."""
    scene = slowly(play)
    scene.subscribe()
    balances = scene.client.subscribe_balances()
    scene.cause(hang_up)
    scene.is_found()
    assert balances.close(timeout=0)
    scene.recovers("without a close frame")
    assert asked(scene.exchange.talks[1], "wallet") == 0
    assert asked(scene.exchange.talks[1], "wallet", "unsubscribe") == 0


@row(86, kills="a close unsubscribes although others receive the stream")
@pytest.mark.parametrize("staying", [0, 4, 8])
def test_eight_threads_may_subscribe_and_close_at_once(play: Play, staying: int) -> None:
    """What is subscribed in the end is what the last calls say, and the exchange was never asked for what it had confirmed."""
    scene = play(dialect="v3")
    scene.subscribe("balances")
    left = hammer(scene.client, threads=8, staying=staying)
    topic, talk = "user.order.contractAccount", scene.exchange.talks[0]
    scene.exchange.wait_for(lambda: (topic in talk.topics) is bool(staying))
    if staying:
        scene.exchange.push_order("last")
    assert [s.get(timeout=pace.patience()).data[0].order_id for s in left] == ["last"] * staying
    wishes = [r["op"] for r in talk.requests if r.get("args") == [topic]]
    assert wishes == ["subscribe", "unsubscribe"] * (len(wishes) // 2) + ["subscribe"] * bool(staying)
    scene.logged(())


def hammer(client: Client, *, threads: int, staying: int) -> list[Subscription[Any]]:
    """Subscribe to orders and close, time and again, in so many *threads*; return the last subscriptions of those *staying*."""
    left: queue.SimpleQueue[Subscription[Any]] = queue.SimpleQueue()
    start = threading.Barrier(threads)

    def run(number: int) -> None:
        start.wait(pace.patience())
        # Those that stay are done first: the last that happens is somebody else's close.
        for _ in range(5 if number < staying else 20):
            client.subscribe_orders(timeout=pace.patience()).close()
        if number < staying:
            left.put(client.subscribe_orders(timeout=pace.patience()))

    crew = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join(pace.patience())
    return [left.get_nowait() for _ in range(left.qsize())]


# --- what is asked for ---


@row(87, kills="all-in-one topics are asked for beside categorised ones; the simulator accepts a mixture")
@pytest.mark.parametrize(
    ("categories", "topics"),
    [
        (None, {"order", "position", "execution", "wallet"}),
        (("linear",), {"order.linear", "position.linear", "execution.linear", "wallet"}),
    ],
)
def test_one_client_never_mixes_kinds_of_topics(play: Play, categories: tuple[str, ...] | None, topics: set[str]) -> None:
    """`categories` is one for all streams of a client; to an exchange that forbids it, there is no way to ask for both."""
    scene = play(categories=categories)
    scene.subscribe()
    for stream in ("positions", "user_trades", "balances"):
        scene.subscribe(stream)
    assert set(scene.exchange.talks[0].topics) == topics
    scene.logged(())


@row(87, kills="the simulator accepts a mixture")
def test_the_simulator_refuses_what_bybit_forbids() -> None:
    """Both kinds in one request are refused as a whole."""
    with ExitStack() as stack:
        simulator = stack.enter_context(Simulator())
        simulator.account(KEY, SECRET)
        waker = stack.enter_context(closing(Waker()))
        transport = stack.enter_context(closing(opened(simulator.url, waker=waker)))
        login = Request("auth", simulator.now() + 10_000, "1")
        transport.send(write(login, Credentials(KEY, hmac_signer(SECRET))))
        transport.send(json.dumps({"op": "subscribe", "args": ["position", "order.linear"]}))
        answers = [json.loads(message) for message in read_messages(transport, 2)]
        assert [a["success"] for a in answers] == [True, False]
        assert simulator.connections[0].topics == ()


@row(88, kills="the last close is every close")
def test_two_subscriptions_to_one_stream_are_one_on_the_wire(play: Play) -> None:
    """Both get everything, with numbers of their own; the topics go when the last of them goes."""
    scene = play()
    first, second = scene.subscribe(), scene.client.subscribe_orders()
    talk = scene.exchange.talks[0]
    scene.exchange.push_order("one")
    first.update("one")
    assert second.get(timeout=pace.patience()).index == 1
    second.close()
    scene.goes_on("two")
    assert [asked(talk, "order.linear", op) for op in ("subscribe", "unsubscribe")] == [1, 0]


@row(88, kills="each subscription asks for its topics itself")
def test_two_subscriptions_before_the_answer_are_one_on_the_wire(play: Play) -> None:
    """The second finds the first one's question on its way, and waits for the same answer."""
    scene, balances, first = wishing_for_orders(play, ignoring("order.linear", "order.inverse"))
    second = scene.client.subscribe_orders(wait=False)
    scene.exchange.wait_for(lambda: asked(scene.exchange.talks[0], "order.inverse"))
    fence(scene, balances)
    scene.exchange.do(yes, "order.linear")
    scene.exchange.do(yes, "order.inverse")
    scene.exchange.push_order("one")
    assert [s.get(timeout=pace.patience()).data[0].order_id for s in (first, second)] == ["one", "one"]
    assert asked(scene.exchange.talks[0], "order.linear") == 1


# --- on the way back ---


@row(89, kills="the gap is told with the first topic that is confirmed again")
@PLAIN_AND_TLS
def test_a_connection_lost_between_confirmations_is_one_outage(play: Play) -> None:
    """Half of the topics of each stream are confirmed when the connection is lost again: one gap each, and all are live."""

    def halfway(line: Talk) -> None:
        log_in(line)
        wishes = [read_request(line, "subscribe") for _ in range(4)]
        for wish in wishes:
            if wish["args"][0].endswith(".linear"):
                subscribed(line, wish)
        hang_up(line)

    scene = play(serve, halfway, serve)
    scene.subscribe()
    positions = scene.subscribe("positions")
    scene.cause(hang_up)
    assert scene.recovers("without a close frame").epoch == 3
    assert positions.gap().epoch == 3
    positions.nothing_more()
    assert len(scene.exchange.talks[2].topics) == 4


@row(90, kills="the login forgives failures; LIVE does not wait for every topic")
def test_a_topic_that_is_never_confirmed_again_keeps_the_client_from_being_live(play: Play) -> None:
    """Two connections in vain: the pauses grow, each failure and the reminder name the topic, and nothing says LIVE."""
    # The first attempt alone takes twice the time of an answer.
    timeout = pace.answer()
    times = {"categories": None, "request_timeout": timeout, "timings": {"outage_reminders": (timeout, pace.patience())}}
    scene = play(serve, *[ignoring("execution")] * 2, serve, **times)
    scene.subscribe()
    for stream in ("balances", "positions", "user_trades"):
        scene.subscribe(stream)
    scene.cause(hang_up)
    scene.log.wait_for("live after")
    changes = after_the_outage(scene)
    assert [c.state for c in changes] == [State.BACKING_OFF, State.CONNECTING] * 3 + [State.LIVE]
    assert all("execution" in str(c.error) for c in changes[2:-1:2])
    pauses = [(b.at - a.at).total_seconds() for a, b in zip(changes[:-1:2], changes[1:-1:2], strict=True)]
    assert all(pause >= pace.seconds(0.25) * 2**n / 2 for n, pause in enumerate(pauses, 1))
    assert "execution" in scene.logged(["WARNING", "WARNING", "INFO"])


def after_the_outage(scene: Scene) -> list[Any]:
    """Return what `on_status` was told since the client was LIVE for the first time, up to the LIVE that ends the outage."""
    scene.status.wait_for(State.BACKING_OFF)
    scene.status.wait_for(State.LIVE)
    first = next(n for n, c in enumerate(scene.status.changes) if c.state is State.BACKING_OFF)
    return scene.status.changes[first:]
