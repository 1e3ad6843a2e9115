"""The topics that are wanted: each is asked for after the login, until it is confirmed or refused for good."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from attrs import Factory, define

from bybit_sync.clock import Moment
from bybit_sync.errors import ConnectionLost, ProtocolError, SubscriptionRejected
from bybit_sync.model.events import Event, Stream
from bybit_sync.session.config import Terms
from bybit_sync.session.dialects import Channel
from bybit_sync.session.events import Confirmed, Live, News, Rejected
from bybit_sync.session.messages import Answer, Request
from bybit_sync.session.refusals import misses_login
from bybit_sync.session.requests import Correspondence
from bybit_sync.text import printable

__all__ = ["Topic", "Topics", "Wish"]

# More pushes than this before a subscription is confirmed are no start-up race: the exchange forgot its answer.
HELD_LIMIT: Final = 100_000


class Standing(Enum):
    """What became of a topic."""

    WANTED = "to be asked for after the login"
    LEAVING = "to be asked for after the answer to its unsubscribe"
    ASKED = "asked for, not answered"
    CONFIRMED = "subscribed"
    WAITING = "refused once, to be asked for again"
    DOUBTED = "refused for want of a login, which was accepted"
    REFUSED = "refused for good"


@define(eq=False)
class Wish:
    """One stream that is wanted."""

    stream: Stream
    returning: bool
    """Someone received it on an earlier login: a refusal then gets a second chance."""
    topics: list[Topic] = Factory(list)
    asked: Moment | None = None
    """When the first request for one of its topics went out."""
    confirmed: bool = False
    held: list[Event[Any]] = Factory(list)
    """What arrived before the confirmation, to be delivered right after it."""
    refuted: bool = False
    """The exchange refused one of its topics after it had confirmed it: perhaps it never pushed."""

    @property
    def uncovered(self) -> Moment | None:
        """Since when pushes of it are missing if it ends now and no gap has told so; None when there are none."""
        return self.asked if self.held or self.refuted else None


@define(eq=False)
class Topic:
    """One topic that is wanted."""

    channel: Channel
    wish: Wish
    standing: Standing = Standing.WANTED
    due: float | None = None
    """When the answer is overdue, or when it is asked for again."""
    asked: int = 0
    refusals: int = 0
    req_id: str = ""
    """Of the latest subscribe."""
    text: str = ""
    """The exchange's words, when they are doubted."""

    @property
    def name(self) -> str:
        """How the exchange calls it."""
        return self.channel.topic


class Topics:
    """The wanted topics of one session."""

    def __init__(
        self, terms: Terms, post: Correspondence, wanted: Mapping[Stream, bool], doubted: Collection[str] = ()
    ) -> None:
        self._terms = terms
        self._post = post
        self._wishes: dict[Stream, Wish] = {}
        self._topics: dict[str, Topic] = {}
        self.flowing: dict[str, Channel] = {}
        """The topics whose pushes raise no question any more: every one of their stream is subscribed."""
        # Whom the answer to a request is for. An answer to a wish that was given up meanwhile is for nobody.
        self._asked: dict[str, Topic] = {}
        # The topics that were unsubscribed from, and whether the exchange said yes to that.
        self._left: dict[str, bool] = {}
        self._open = False
        self.tells_gaps: bool = False
        """Whether gaps may be told: their windows are in the exchange's time, and the connection's first pong tells that."""
        # Topics whose refusal contradicted the exchange's own word, here and on the login before: one new login may mend
        # that, and then it is believed. "" stands for a refusal that names none.
        self._contradicted: set[str] = set()
        self._believed = frozenset(doubted)
        # Streams still to be confirmed before this login counts as LIVE; None once it did.
        self._before_live: set[Stream] | None = set(wanted)
        for stream, returning in wanted.items():
            self._add(stream, returning=returning)

    # --- asked ---

    def find(self, name: str) -> Topic | None:
        """Return the topic that is called *name*, None when it is not wanted or what arrives may be its predecessor's."""
        topic = self._topics.get(name)
        return None if topic is None or topic.standing is Standing.LEAVING else topic

    def was_left(self, name: str) -> bool:
        """Say whether *name* was unsubscribed from in this session."""
        return name in self._left

    @property
    def is_live(self) -> bool:
        """Whether every topic that was wanted at login is confirmed."""
        return self._before_live is None

    def is_confirmed(self, stream: Stream) -> bool:
        """Say whether every topic of *stream* is subscribed."""
        return stream in self._wishes and self._wishes[stream].confirmed

    @property
    def doubted(self) -> frozenset[str]:
        """The topics whose refusal the next login is to believe."""
        if not self._open:
            return self._believed
        return frozenset(self._contradicted.union(topic.name for topic in self._all(Standing.DOUBTED)))

    def uncovered(self) -> dict[Stream, Moment]:
        """Return the streams of which pushes are missing if the session ends now, and since when: see `Wish.uncovered`."""
        return {wish.stream: wish.uncovered for wish in self._wishes.values() if wish.uncovered is not None}

    def due(self) -> Iterator[float]:
        """Go over the moments at which `chase` has something to do."""
        if self._all(Standing.DOUBTED) and not self._all(Standing.ASKED):
            yield 0.0
        for topic in self._topics.values():
            if topic.due is not None:
                yield topic.due

    def _all(self, standing: Standing) -> list[Topic]:
        return [topic for topic in self._topics.values() if topic.standing is standing]

    # --- wishes ---

    def want(self, stream: Stream, now: Moment, *, returning: bool) -> None:
        """Subscribe to *stream*, now or as soon as the login is accepted."""
        if stream in self._wishes:
            return
        wish = self._add(stream, returning=returning)
        if self._open:
            self._ask_for(wish, now)
        else:
            assert self._before_live is not None  # LIVE comes after the login
            self._before_live.add(stream)

    def unwant(self, stream: Stream) -> list[News]:
        """Unsubscribe from *stream*, if it is wanted."""
        wish = self._wishes.pop(stream, None)
        if wish is None:
            return []
        for topic in wish.topics:
            del self._topics[topic.name]
            self.flowing.pop(topic.name, None)
            if topic.standing in (Standing.ASKED, Standing.CONFIRMED):
                self._left[topic.name] = False
                self._post.ask("unsubscribe", topic.name)
        return self._settle(stream)

    def open(self, now: Moment) -> list[News]:
        """Ask for all of them: the login was accepted."""
        self._open = True
        for wish in self._wishes.values():
            self._ask_for(wish, now)
        return self._live()

    def _add(self, stream: Stream, *, returning: bool) -> Wish:
        wish = self._wishes[stream] = Wish(stream, returning)
        channels = self._terms.dialect.channels(stream, self._terms.categories)
        wish.topics = [Topic(channel, wish) for channel in channels]
        self._topics.update((topic.name, topic) for topic in wish.topics)
        return wish

    def _ask_for(self, wish: Wish, now: Moment) -> None:
        for topic in wish.topics:
            self._ask(topic, now)

    def _ask(self, topic: Topic, now: Moment) -> None:
        topic.due = now.seconds + self._terms.timings.request_timeout
        if self._post.awaits("unsubscribe", topic.name):
            # The exchange may carry it out after the subscribe, or push for the old subscription until it does.
            topic.standing = Standing.LEAVING
            return
        topic.standing = Standing.ASKED
        topic.asked += 1
        # One topic a request: a refusal then names its topic, and cannot take others with it.
        topic.req_id = self._post.ask("subscribe", topic.name)
        self._asked[topic.req_id] = topic

    # --- what becomes of them ---

    def sent(self, request: Request, now: Moment) -> None:
        """Take note that *request*, a subscribe, went out."""
        topic = self._asked.get(str(request.req_id))
        if topic is not None and topic.standing is Standing.ASKED:  # pragma: no branch - nothing is heard in between
            topic.due = now.seconds + self._terms.timings.request_timeout
            topic.wish.asked = topic.wish.asked or now

    def answered(self, request: Request, answer: Answer, now: Moment) -> list[News]:
        """Take *answer* to *request*, a subscribe."""
        topic = self._asked.pop(str(request.req_id))
        if self._topics.get(topic.name) is not topic:
            self._check_login(topic.name, answer)
            return []
        if answer.success or self._is_subscribed_already(topic, answer):
            return self._confirm(topic, now)
        return self._refuse(topic, answer, now)

    def unasked(self, answer: Answer, now: Moment) -> Sequence[News]:
        """Take *answer*, which belongs to no request: a no may mean that what counts as subscribed is not."""
        if answer.success or "already subscribed" in answer.text.lower():
            return ()
        topic = self._meant(answer)
        if topic is not None and topic.standing is Standing.CONFIRMED and answer.op != "unsubscribe":
            return self._refuse(topic, answer, now)
        if answer.req_id is None:
            is_about_any = answer.topic is None and answer.op != "unsubscribe"
            for wish in self._wishes.values() if is_about_any else ():
                wish.refuted = wish.confirmed
            self._check_login(answer.topic or "", answer)
            if is_about_any:
                self._contradict("", f"refuses what nobody asks for: {printable(answer.text)}")
        return ()

    def _meant(self, answer: Answer) -> Topic | None:
        """Return the topic that *answer* is about: it has the number of the latest request for it, or none and the name."""
        if answer.req_id is None:
            return self._topics.get(answer.topic or "")
        return next((topic for topic in self._topics.values() if topic.req_id == answer.req_id), None)

    def _check_login(self, name: str, answer: Answer) -> None:
        """Raise `ProtocolError` when *answer*, about the topic *name*, says that nobody is logged in."""
        if not answer.success and misses_login(answer.text) and name not in self._believed - {""}:
            self._contradicted.add(name)
            raise self._terms.breach(f"takes the login for missing: {printable(answer.text)}")

    def _contradict(self, name: str, what: str) -> None:
        """Raise `ProtocolError` for *what*, unless the login before ended with the same."""
        if name not in self._believed:
            self._contradicted.add(name)
            raise self._terms.breach(what)
        self._terms.log.warning("%s %s", self._terms.environment, what)

    def _refuse(self, topic: Topic, answer: Answer, now: Moment) -> list[News]:
        if topic.wish.confirmed:
            # The gap before the confirmation was told. What is missed since only the end or a new login can tell.
            topic.wish.refuted = True
            said = printable(answer.text)
            self._contradict(topic.name, f"refused {topic.name}, which counted as subscribed: {said}")
            return self._reject(topic, answer.text)
        if not misses_login(answer.text):
            return self._refuse_plainly(topic, answer.text, now)
        topic.standing = Standing.DOUBTED
        topic.text = answer.text
        topic.due = now.seconds + self._terms.timings.request_timeout
        return self._believe(now)

    def _believe(self, now: Moment) -> list[News]:
        """Refuse what was refused for want of a login on two logins in a row, of which the second serves another topic."""
        if not self._all(Standing.CONFIRMED):
            return []
        news: list[News] = []
        for topic in self._all(Standing.DOUBTED):
            # Unless it went with another topic of its stream.
            if topic.name in self._believed and topic.name in self._topics:
                news += self._refuse_plainly(topic, topic.text, now)
        return news

    def _refuse_plainly(self, topic: Topic, text: str, now: Moment) -> list[News]:
        topic.refusals += 1
        if topic.wish.returning and topic.refusals == 1:
            self._terms.log.warning("%s is refused (%s); asking once more", topic.name, printable(text))
            topic.standing = Standing.WAITING
            topic.due = now.seconds + self._terms.timings.ask_again
            return []
        return self._reject(topic, text)

    def left(self, request: Request, answer: Answer, now: Moment) -> None:
        """Take *answer* to *request*, an unsubscribe: who wanted the topic meanwhile can now ask for it."""
        name = str(request.argument)
        self._check_login(name, answer)
        self._left[name] = answer.success
        topic = self._topics.get(name)
        if topic is not None and topic.standing is Standing.LEAVING:
            self._ask(topic, now)

    def _is_subscribed_already(self, topic: Topic, answer: Answer) -> bool:
        if "already subscribed" not in answer.text.lower() or answer.topic not in (None, topic.name):
            return False
        if topic.asked == 1 and self._left.get(topic.name):
            # It may yet carry the unsubscribe out, and would push nothing then.
            raise ProtocolError(f"{self._terms.environment} still holds the subscription to {topic.name} that it had ended")
        return True

    def prove(self, topic: Topic, now: Moment) -> list[News]:
        """Take a push as proof of *topic*'s subscription, as good as an answer: answers can get lost."""
        return [] if topic.standing is Standing.CONFIRMED else self._confirm(topic, now)

    def chase(self, now: Moment) -> None:
        """Ask again for what was not answered, or refused once. Raises `ConnectionLost` when it was not answered twice.

        An unsubscribe is not repeated: what the exchange has made of it only a new login can tell. Raises `ProtocolError`
        when the exchange answers topics as if there were no login, and the others were answered or had the time for it.
        """
        doubted = self._all(Standing.DOUBTED)
        if doubted and now.seconds >= min(self.due()):
            names = ", ".join(topic.name for topic in doubted)
            raise self._terms.breach(f"takes the login for missing, asked for {names}: {printable(doubted[0].text)}")
        for topic in self._topics.values():
            if topic.due is not None and now.seconds >= topic.due:
                if topic.standing is Standing.LEAVING:
                    raise ConnectionLost(f"{self._terms.environment}: no answer to the unsubscribe from {topic.name}")
                if topic.standing is Standing.ASKED and topic.asked > 1:
                    who = self._terms.environment
                    raise ConnectionLost(f"{who}: no answer to the subscription to {topic.name}, asked for twice")
                self._ask(topic, now)

    def _confirm(self, topic: Topic, now: Moment) -> list[News]:
        topic.standing = Standing.CONFIRMED
        topic.due = None
        # Another topic's refusal may be waiting for this proof that the login is good.
        return [*self._complete(topic.wish, now), *self._believe(now)]

    def tell_gaps(self, now: Moment) -> list[News]:
        """Confirm from here on what returns from an outage, too: the exchange's time is as well known as it will be."""
        self.tells_gaps = True
        return [news for wish in tuple(self._wishes.values()) for news in self._complete(wish, now)]

    def _complete(self, wish: Wish, now: Moment) -> list[News]:
        if wish.confirmed or any(t.standing is not Standing.CONFIRMED for t in wish.topics):
            return []
        if wish.returning and not self.tells_gaps:
            return []
        wish.confirmed = True
        self.flowing.update((topic.name, topic.channel) for topic in wish.topics)
        held, wish.held = wish.held, []
        return [Confirmed(wish.stream, wish.asked or now), *held, *self._settle(wish.stream)]

    def _reject(self, topic: Topic, text: str) -> list[News]:
        topic.standing = Standing.REFUSED
        remedy = "Check the key's permissions, the account's kind, categories= and dialect=."
        said = printable(text).rstrip(".") or "it gives no reason"
        message = f"{self._terms.environment} refused {topic.name}: {said}. {remedy}"
        error = SubscriptionRejected(message, text=text, remedy=remedy, topic=topic.name)
        return [Rejected(topic.wish.stream, error, topic.wish.uncovered), *self.unwant(topic.wish.stream)]

    def _settle(self, stream: Stream) -> list[News]:
        if self._before_live is None:
            return []
        self._before_live.discard(stream)
        return self._live()

    def _live(self) -> list[News]:
        if not self._open or self._before_live is None or self._before_live:
            return []
        self._before_live = None
        return [Live()]

    # --- what arrives for them ---

    def pass_on(self, wish: Wish, events: Sequence[Event[Any]]) -> Sequence[Event[Any]]:
        """Return those of *events* that can be delivered now; the others are held until *wish* is confirmed."""
        if wish.confirmed:
            return events
        if len(wish.held) >= HELD_LIMIT:
            who = self._terms.environment
            raise ProtocolError(f"{who} pushed {HELD_LIMIT} messages of {wish.stream.value} without confirming it")
        wish.held += events
        return ()

    def wishes(self) -> Iterator[Wish]:
        """Go over the streams that are wanted."""
        return iter(self._wishes.values())
