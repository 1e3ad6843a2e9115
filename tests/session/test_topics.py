from __future__ import annotations

import pytest

from bybit_sync.errors import ConnectionLost, ProtocolError
from bybit_sync.model.events import Stream
from bybit_sync.session.dialects import V3
from bybit_sync.session.events import StreamConfirmed, StreamRejected
from bybit_sync.session.messages import Request
from tests.talking import Talk, names, order

ORDERS, POSITIONS, BALANCES = Stream.ORDERS, Stream.POSITIONS, Stream.BALANCES
TWO = ("linear", "inverse")


# --- confirmed ---


def test_a_stream_is_confirmed_with_the_last_of_its_topics() -> None:
    """One of two is nothing yet. It tells when it was asked for: the exchange may have pushed since."""
    talk = Talk(ORDERS, categories=TWO)
    linear, inverse = talk.log_in()
    asked = talk.now
    assert talk.answer(linear) == []
    talk.seconds = 1
    confirmed, _ = talk.answer(inverse)
    assert confirmed == StreamConfirmed(ORDERS, asked)


def test_live_is_when_every_stream_wanted_at_login_is_confirmed() -> None:
    """Once, and not before the last one."""
    talk = Talk(ORDERS, POSITIONS)
    orders, positions = talk.log_in()
    assert names(talk.answer(positions)) == ["StreamConfirmed"]
    assert names(talk.answer(orders)) == ["StreamConfirmed", "AllConfirmed"]


def test_each_dialect_asks_for_its_own_topics() -> None:
    """The session knows neither."""
    [request] = Talk(BALANCES, dialect=V3).log_in()
    assert request.argument == "user.wallet.contractAccount"


def test_already_subscribed_counts_as_yes() -> None:
    """It is what was asked for."""
    talk = Talk(ORDERS)
    [request] = talk.log_in()
    assert names(talk.refuse(request, "error:already subscribed,topic:order")) == ["StreamConfirmed", "AllConfirmed"]


# --- whose answer it is ---


def test_answers_are_told_apart_by_their_numbers() -> None:
    """In any order."""
    talk = Talk(ORDERS, POSITIONS)
    _, positions = talk.log_in()
    talk.answer(positions)
    assert talk.session.is_confirmed(POSITIONS)
    assert not talk.session.is_confirmed(ORDERS)


def test_answers_without_numbers_come_in_the_order_of_asking() -> None:
    """One yes is one topic, never all that wait."""
    talk = Talk(ORDERS, POSITIONS)
    orders, _ = talk.log_in()
    talk.answer(orders, with_id=False)
    assert talk.session.is_confirmed(ORDERS)
    assert not talk.session.is_confirmed(POSITIONS)


def test_a_refusal_without_a_number_is_for_the_topic_that_it_names() -> None:
    """Whatever was asked before it."""
    talk = Talk(ORDERS, POSITIONS)
    orders, _ = talk.log_in()
    talk.hear(op="subscribe", success=False, ret_msg="error:handler not found,topic:position")
    assert names(talk.answer(orders)) == ["StreamConfirmed", "AllConfirmed"]


def test_a_second_refusal_of_one_topic_does_not_hit_another() -> None:
    """One batch may be answered with several frames."""
    talk = Talk(ORDERS, POSITIONS)
    talk.log_in()
    text = "error:handler not found,topic:order"
    assert names(talk.hear(op="subscribe", success=False, ret_msg=text)) == ["StreamRejected"]
    assert talk.hear(op="subscribe", success=False, ret_msg=text) == ()


@pytest.mark.parametrize("number", ["7-1", "x"])
def test_an_answer_with_a_foreign_number_is_nobodys(number: str) -> None:
    """It is from an old connection, or made up."""
    talk = Talk(ORDERS)
    talk.log_in()
    assert talk.hear(op="subscribe", success=True, req_id=number) == ()


def test_a_second_answer_with_the_same_number_is_nobodys() -> None:
    """It confirms no other topic."""
    talk = Talk(ORDERS, POSITIONS)
    orders, _ = talk.log_in()
    talk.answer(orders)
    assert talk.answer(orders) == ()
    assert not talk.session.is_confirmed(POSITIONS)


def test_an_answer_to_a_subscribe_is_none_to_the_login() -> None:
    """Even under its number."""
    talk = Talk(ORDERS)
    [login] = talk.asked()
    assert talk.hear(op="subscribe", success=True, req_id=login.req_id) == ()


def test_an_answer_before_its_request_was_sent_is_nobodys() -> None:
    """It cannot be to it: the request is still here."""
    talk = Talk(ORDERS)
    talk.answer(*talk.asked())
    assert talk.hear(op="subscribe", success=True) == ()
    assert not talk.session.is_confirmed(ORDERS)


def test_a_command_answer_confirms_the_topic_that_it_lists() -> None:
    """Gateways of unified accounts say no op."""
    talk = Talk(ORDERS, POSITIONS)
    talk.log_in()
    talk.hear(type="COMMAND_RESP", success=True, data={"failTopics": [], "successTopics": ["position"]})
    assert talk.session.is_confirmed(POSITIONS)
    assert not talk.session.is_confirmed(ORDERS)


def test_a_command_answer_to_an_unsubscribe_confirms_nothing() -> None:
    """It looks the same as one to a subscribe."""
    talk = Talk(ORDERS)
    talk.go_live()
    talk.session.unsubscribe(ORDERS)
    talk.session.subscribe(POSITIONS, talk.now)
    talk.asked()
    talk.hear(type="COMMAND_RESP", success=True, data={"failTopics": [], "successTopics": ["order"]})
    talk.hear(type="COMMAND_RESP", success=True, req_id="unknown")
    assert not talk.session.is_confirmed(POSITIONS)


def test_a_flag_does_not_speak_for_a_topic_that_failed() -> None:
    """The list does."""
    talk = Talk(ORDERS)
    talk.log_in()
    failed = {"failTopics": ["order"], "successTopics": []}
    assert names(talk.hear(type="COMMAND_RESP", success=True, data=failed)) == ["StreamRejected", "AllConfirmed"]


# --- refused ---


def test_a_refused_topic_is_told_with_its_name_and_the_exchanges_words() -> None:
    """The others are not touched."""
    talk = Talk(ORDERS, POSITIONS, key="K3Y")
    orders, positions = talk.log_in()
    [rejected] = talk.refuse(orders, "error:handler not found,topic:order K3Y")
    assert isinstance(rejected, StreamRejected)
    assert (rejected.stream, rejected.error.topic) == (ORDERS, "order")
    assert rejected.error.text == "error:handler not found,topic:order ***"
    assert rejected.error.remedy in str(rejected.error)
    assert names(talk.answer(positions)) == ["StreamConfirmed", "AllConfirmed"]


def test_a_refused_topic_takes_its_streams_other_topics_with_it() -> None:
    """Half a stream would be one with silent holes. What is subscribed already is left again, the refused one is not."""
    talk = Talk(ORDERS, categories=TWO)
    linear, inverse = talk.log_in()
    talk.answer(linear)
    assert names(talk.refuse(inverse, "no such topic")) == ["StreamRejected", "AllConfirmed"]
    assert [(request.op, request.argument) for request in talk.asked()] == [("unsubscribe", "order.linear")]


def test_a_topic_refused_on_return_is_asked_for_once_more() -> None:
    """After five seconds, on the same connection; it may be a hiccup of the exchange's."""
    talk = Talk(ORDERS, resubscribing=True)
    [request] = talk.log_in()
    assert talk.refuse(request, "no such topic") == []
    talk.live_on(4)
    assert talk.topics_asked() == []
    talk.live_on(1)
    [again] = talk.asked("subscribe")
    assert names(talk.answer(again)) == ["StreamConfirmed", "AllConfirmed"]


def test_a_topic_refused_twice_on_return_is_refused_for_good() -> None:
    """Never silently absent."""
    talk = Talk(ORDERS, resubscribing=True)
    [request] = talk.log_in()
    talk.refuse(request, "no such topic")
    talk.live_on(5)
    assert names(talk.refuse(*talk.asked("subscribe"), "no such topic")) == ["StreamRejected", "AllConfirmed"]


def test_a_lost_answer_does_not_use_up_the_second_chance() -> None:
    """It was asked for twice, and refused once."""
    talk = Talk(ORDERS, resubscribing=True)
    talk.log_in()
    talk.live_on(10)
    [again] = talk.asked("subscribe")
    assert talk.refuse(again, "no such topic") == []
    talk.live_on(5)
    assert talk.topics_asked() == ["order"]


def test_who_waits_for_a_second_chance_is_waited_for() -> None:
    """Not LIVE meanwhile."""
    talk = Talk(ORDERS, POSITIONS, resubscribing=True)
    orders, positions = talk.log_in()
    talk.refuse(orders, "no such topic")
    assert names(talk.answer(positions)) == ["StreamConfirmed"]


# --- refused for want of a login ---

NO_LOGIN = "Request not authorized"


@pytest.mark.parametrize("text", [NO_LOGIN, "error:topic:position needs auth first"])
def test_a_login_that_was_forgotten_ends_the_session(text: str) -> None:
    """Asking again without one helps nobody. However often: no other topic proves that the login is good."""
    talk = Talk(ORDERS, doubted=["order"])
    [request] = talk.log_in()
    assert talk.refuse(request, text) == []
    assert talk.session.next_deadline() <= talk.now.seconds
    with pytest.raises(ProtocolError, match="takes the login for missing, asked for order"):
        talk.wait(0)
    assert talk.session.doubted == {"order"}


def test_a_topic_that_seems_to_miss_the_login_waits_for_the_others_answers() -> None:
    """What is pushed for them meanwhile is delivered; then only a new login can help."""
    talk = Talk(ORDERS, BALANCES)
    orders, wallet = talk.log_in()
    talk.refuse(wallet, NO_LOGIN)
    talk.wait(0)
    assert names(talk.push("order", order("1"))) == ["StreamConfirmed", "1"]
    assert names(talk.answer(orders)) == []
    with pytest.raises(ProtocolError, match="asked for wallet"):
        talk.wait(0)
    assert talk.session.doubted == {"wallet"}


def test_it_does_not_wait_for_them_for_ever() -> None:
    """They have as long as for any answer."""
    talk = Talk(ORDERS, BALANCES)
    _, wallet = talk.log_in()
    talk.refuse(wallet, NO_LOGIN)
    talk.live_on(9)
    with pytest.raises(ProtocolError, match="asked for wallet"):
        talk.live_on(1)


@pytest.mark.parametrize("first", [0, 1])
def test_the_same_on_the_next_login_refuses_the_topic_if_another_is_served(first: int) -> None:
    """Whichever is answered first: the login is good, so it is the topic."""
    talk = Talk(ORDERS, BALANCES, doubted=["wallet"])
    orders, wallet = talk.log_in()
    answers = [lambda: talk.answer(orders), lambda: talk.refuse(wallet, NO_LOGIN)]
    told = [*names(answers[first]()), *names(answers[1 - first]())]
    assert told == ["StreamConfirmed", "StreamRejected", "AllConfirmed"]
    assert talk.session.doubted == set()


def test_it_refuses_all_topics_of_a_stream_at_once() -> None:
    """The second one went with the first."""
    talk = Talk(BALANCES, ORDERS, categories=TWO, doubted=["order.linear", "order.inverse"])
    wallet, linear, inverse = talk.log_in()
    talk.refuse(linear, NO_LOGIN)
    talk.refuse(inverse, NO_LOGIN)
    assert names(talk.answer(wallet)) == ["StreamConfirmed", "StreamRejected", "AllConfirmed"]


def test_on_return_it_is_asked_for_once_more_first() -> None:
    """As any topic that is refused."""
    talk = Talk(ORDERS, BALANCES, resubscribing=True, doubted=["wallet"])
    orders, wallet = talk.log_in()
    talk.answer(orders)
    assert talk.refuse(wallet, NO_LOGIN) == []
    talk.live_on(5)
    assert names(talk.refuse(*talk.asked("subscribe"), NO_LOGIN)) == ["StreamRejected", "AllConfirmed"]


def test_a_missing_login_is_told_by_the_answer_to_what_was_given_up() -> None:
    """It is missing for all."""
    talk = Talk(ORDERS, BALANCES)
    _, wallet = talk.log_in()
    talk.session.unsubscribe(BALANCES)
    with pytest.raises(ProtocolError, match="takes the login for missing"):
        talk.refuse(wallet, NO_LOGIN)
    assert talk.session.doubted == {"wallet"}


def test_a_missing_login_is_told_by_the_answer_to_an_unsubscribe() -> None:
    """It is missing for all."""
    talk = Talk(ORDERS)
    talk.go_live()
    talk.session.unsubscribe(ORDERS)
    with pytest.raises(ProtocolError, match="takes the login for missing"):
        talk.refuse(*talk.asked(), NO_LOGIN)


@pytest.mark.parametrize("op", ["subscribe", "unsubscribe"])
def test_a_missing_login_is_told_unasked(op: str) -> None:
    """It may have silenced all; once more on the next login it is no topic's refusal either."""
    talk = Talk(ORDERS, doubted=[""])
    talk.go_live()
    with pytest.raises(ProtocolError, match="takes the login for missing"):
        talk.hear(op=op, success=False, ret_msg=NO_LOGIN)


def test_what_is_doubted_survives_a_login_that_fails() -> None:
    """The next one that is accepted is the one that counts."""
    assert Talk(ORDERS, doubted=["wallet"]).session.doubted == {"wallet"}


# --- refused after all ---


def test_a_refusal_of_what_was_proven_ends_the_session() -> None:
    """The exchange pushes it, then says no: what is missed from then on only another login can tell."""
    talk = Talk(ORDERS, resubscribing=True)
    [request] = talk.log_in()
    talk.push("order", order("1"))
    with pytest.raises(ProtocolError, match="refused order, which counted as subscribed: no such topic"):
        talk.refuse(request, "no such topic")
    assert talk.session.doubted == {"order"}


@pytest.mark.parametrize("with_id", [True, False])
def test_a_refusal_of_what_is_subscribed_ends_the_session(*, with_id: bool) -> None:
    """Unasked: with the number of a request that had another answer, or with the name of the topic alone."""
    talk = Talk(ORDERS)
    [request] = talk.log_in()
    talk.answer(request)
    with pytest.raises(ProtocolError, match="refused order, which counted as subscribed"):
        talk.answer(request, success=False, text="error:handler not found,topic:order", with_id=with_id)


def test_a_refusal_of_what_is_subscribed_is_believed_on_the_next_login() -> None:
    """Or one topic would take the connection from all others again and again."""
    talk = Talk(ORDERS, BALANCES, doubted=["order"])
    talk.go_live()
    assert names(talk.hear(op="subscribe", success=False, ret_msg="no such topic:order")) == ["StreamRejected"]


def test_a_refusal_of_half_a_stream_is_one_like_any() -> None:
    """Nobody was told that it is subscribed."""
    talk = Talk(ORDERS, categories=TWO)
    linear, _ = talk.log_in()
    talk.answer(linear)
    told = talk.hear(op="subscribe", success=False, ret_msg="no,topic:order.linear")
    assert names(told) == ["StreamRejected", "AllConfirmed"]


def test_a_refusal_that_names_nothing_may_be_of_anything() -> None:
    """It ends the session, and on the next login it is only told."""
    talk = Talk(ORDERS)
    talk.go_live()
    with pytest.raises(ProtocolError, match="refuses without a request: busy"):
        talk.hear(op="subscribe", success=False, ret_msg="busy")
    talk = Talk(ORDERS, doubted=talk.session.doubted)
    talk.go_live()
    assert talk.hear(op="subscribe", success=False, ret_msg="busy") == ()


@pytest.mark.parametrize(
    ("op", "text"),
    [
        ("subscribe", "error:already subscribed,topic:order"),
        ("subscribe", "error:handler not found,topic:wallet"),
        ("unsubscribe", "error:handler not found,topic:order"),
        ("unsubscribe", "no"),
    ],
)
def test_a_no_that_takes_nothing_away_is_ignored(op: str, text: str) -> None:
    """What is subscribed stays so."""
    talk = Talk(ORDERS)
    talk.go_live()
    assert talk.hear(op=op, success=False, ret_msg=text) == ()


# --- not answered ---


def test_a_lost_answer_is_asked_for_again() -> None:
    """Once, after ten seconds; then the connection is given up, and the topic is named."""
    talk = Talk(ORDERS)
    talk.log_in()
    talk.live_on(9)
    assert talk.topics_asked() == []
    talk.live_on(1)
    assert talk.topics_asked() == ["order"]
    talk.live_on(9)
    with pytest.raises(ConnectionLost, match="no answer to the subscription to order, asked for twice"):
        talk.live_on(1)


def test_only_what_was_not_answered_is_asked_for_again() -> None:
    """The other topic of the stream is subscribed already."""
    talk = Talk(ORDERS, categories=TWO)
    linear, _ = talk.log_in()
    talk.answer(linear)
    talk.live_on(10)
    assert talk.topics_asked() == ["order.inverse"]


def test_a_late_answer_to_the_first_asking_counts() -> None:
    """It is the same subscription; the second answer finds nothing left to do."""
    talk = Talk(ORDERS)
    [first] = talk.log_in()
    talk.live_on(10)
    [second] = talk.asked("subscribe")
    assert names(talk.answer(first)) == ["StreamConfirmed", "AllConfirmed"]
    assert talk.answer(second) == []


def test_the_next_deadline_is_that_of_the_answer() -> None:
    """The connection sleeps until then and no longer."""
    talk = Talk(ORDERS)
    talk.log_in()
    talk.live_on(8)
    assert talk.session.next_deadline() == pytest.approx(1010)


# --- wanting and leaving ---


def test_what_is_wanted_before_the_login_is_part_of_it() -> None:
    """It is asked for with the rest, and LIVE waits for it."""
    talk = Talk(ORDERS)
    talk.session.subscribe(POSITIONS, talk.now)
    orders, positions = talk.log_in()
    assert names(talk.answer(orders)) == ["StreamConfirmed"]
    assert names(talk.answer(positions)) == ["StreamConfirmed", "AllConfirmed"]


def test_what_is_wanted_later_is_asked_for_at_once() -> None:
    """LIVE neither waits for it nor is told again."""
    talk = Talk(ORDERS)
    [orders] = talk.log_in()
    talk.session.subscribe(POSITIONS, talk.now)
    [positions] = talk.asked()
    assert names(talk.answer(orders)) == ["StreamConfirmed", "AllConfirmed"]
    assert names(talk.answer(positions)) == ["StreamConfirmed"]


def test_what_is_wanted_already_is_not_asked_for_twice() -> None:
    """Several subscriptions to a stream share its topics."""
    talk = Talk(ORDERS)
    talk.go_live()
    talk.session.subscribe(ORDERS, talk.now)
    assert talk.asked() == []


def test_who_leaves_unsubscribes() -> None:
    """All topics of the stream."""
    talk = Talk(ORDERS, categories=TWO)
    talk.go_live()
    talk.session.unsubscribe(ORDERS)
    assert [(request.op, request.argument) for request in talk.asked()] == [
        ("unsubscribe", "order.linear"),
        ("unsubscribe", "order.inverse"),
    ]
    assert not talk.session.is_confirmed(ORDERS)


def test_who_leaves_before_the_login_asks_for_nothing() -> None:
    """Neither then nor later."""
    talk = Talk(ORDERS, POSITIONS)
    talk.session.unsubscribe(ORDERS)
    assert [request.argument for request in talk.log_in()] == ["position"]


def test_nobody_is_live_before_the_login() -> None:
    """Even when nothing is waited for any more."""
    talk = Talk(ORDERS)
    assert talk.session.unsubscribe(ORDERS) == []
    assert names(talk.answer(*talk.asked())) == ["LoggedIn", "AllConfirmed"]


def test_the_last_that_was_waited_for_may_leave() -> None:
    """Then everything that is still wanted is confirmed."""
    talk = Talk(ORDERS, POSITIONS)
    orders, _ = talk.log_in()
    talk.answer(orders)
    assert names(talk.session.unsubscribe(POSITIONS)) == ["AllConfirmed"]


def test_leaving_what_nobody_wants_does_nothing() -> None:
    """Twice is as good as once."""
    talk = Talk(ORDERS)
    talk.go_live()
    talk.session.unsubscribe(ORDERS)
    talk.asked()
    assert talk.session.unsubscribe(ORDERS) == []
    assert talk.asked() == []


@pytest.mark.parametrize("with_id", [True, False])
def test_answers_to_a_wish_that_was_given_up_do_not_count_for_the_next(*, with_id: bool) -> None:
    """Subscribe, unsubscribe, subscribe: the yes to the first says nothing of the third."""
    talk = Talk(ORDERS)
    [first] = talk.log_in()
    talk.session.unsubscribe(ORDERS)
    talk.session.subscribe(ORDERS, talk.now)
    [second] = talk.asked()
    assert talk.answer(first, with_id=with_id) == []
    talk.answer(second, with_id=with_id)
    assert not talk.session.is_confirmed(ORDERS)
    assert names(talk.answer(*talk.asked(), with_id=with_id)) == ["StreamConfirmed"]


def test_a_refused_unsubscribe_is_no_matter() -> None:
    """What still arrives is dropped anyway."""
    talk = Talk(ORDERS)
    talk.go_live()
    talk.session.unsubscribe(ORDERS)
    assert talk.refuse(*talk.asked(), "error:no such subscription") == ()


# --- coming back to what was left ---


def left_and_wanted(*, answered: bool | None = None) -> tuple[Talk, Request]:
    """Return a talk in which orders were left and are wanted again, and the unsubscribe; if *answered* the subscribe."""
    talk = Talk(ORDERS)
    talk.go_live()
    talk.session.unsubscribe(ORDERS)
    talk.session.subscribe(ORDERS, talk.now)
    [leave] = talk.asked()
    if answered is None:
        return talk, leave
    talk.answer(leave, success=answered)
    [come] = talk.asked()
    return talk, come


@pytest.mark.parametrize("answered", [True, False])
def test_what_was_left_is_asked_for_after_the_answer_to_its_unsubscribe(*, answered: bool) -> None:
    """Whatever it is: an exchange that did both at once might end the new subscription with the old one."""
    talk, leave = left_and_wanted()
    assert leave.op == "unsubscribe"
    talk.answer(leave, success=answered)
    assert talk.topics_asked() == ["order"]


def test_what_is_left_again_before_it_was_asked_for_needs_no_further_request() -> None:
    """However often somebody comes and goes, one request for a topic is under way."""
    talk, leave = left_and_wanted()
    for _ in range(3):
        talk.session.unsubscribe(ORDERS)
        talk.session.subscribe(ORDERS, talk.now)
    assert talk.asked() == []
    talk.answer(leave)
    assert talk.topics_asked() == ["order"]


def test_an_unsubscribe_without_an_answer_ends_the_session() -> None:
    """After ten seconds: what the exchange made of it only another login can tell."""
    talk, _ = left_and_wanted()
    talk.live_on(9)
    assert talk.asked("subscribe") == []
    with pytest.raises(ConnectionLost, match="no answer to the unsubscribe from order"):
        talk.live_on(1)


def test_already_subscribed_to_what_it_said_it_had_ended_ends_the_session() -> None:
    """It may carry the unsubscribe out later, and be silent from then on."""
    talk, come = left_and_wanted(answered=True)
    with pytest.raises(ProtocolError, match="still holds the subscription to order that it had ended"):
        talk.refuse(come, "error:already subscribed,topic:order")


def test_already_subscribed_to_what_it_would_not_end_is_a_yes() -> None:
    """Both answers say the same."""
    talk, come = left_and_wanted(answered=False)
    assert names(talk.refuse(come, "error:already subscribed,topic:order")) == ["StreamConfirmed"]


def test_already_subscribed_at_the_second_asking_is_a_yes() -> None:
    """The answer to the first was lost."""
    talk, _ = left_and_wanted(answered=True)
    talk.live_on(10)
    assert names(talk.refuse(*talk.asked("subscribe"), "error:already subscribed,topic:order")) == ["StreamConfirmed"]


def test_already_subscribed_to_another_topic_is_no_yes() -> None:
    """Only the topic that is named is subscribed."""
    talk = Talk(ORDERS)
    assert names(talk.refuse(*talk.log_in(), "error:already subscribed,topic:wallet")) == ["StreamRejected", "AllConfirmed"]
