"""Plays a plot: a real client against the exchange, until every thread and descriptor is back."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs

from bybit_sync import Backoff, Client, State, StatusChange
from bybit_sync.config.timings import Timings
from tests.delivery.exchange import PATIENCE, Connection, Exchange, StuckError
from tests.delivery.readers import CallingDesk, Desk, SharedQueue, desk_for
from tests.delivery.record import Frame, History, Look, Missed, Record
from tests.delivery.rows import STRAY_TOPIC, topic_of, topics_of, written
from tests.delivery.steps import (
    ALL,
    Close,
    Drain,
    Garbage,
    Message,
    Plot,
    Push,
    Reconnect,
    Refuse,
    Serve,
    Sharing,
    Spoilt,
    Step,
    Stray,
    Subscribe,
    Take,
    TurnAway,
    Write,
)

SOON = 0.001
MOST_SUBSCRIPTIONS = 6
FINAL = (State.FAILED, State.CLOSED)
DOOM = 3
"""So many messages that are no JSON, and the client leaves."""


class LawClient(Client):
    """A client that loses no time between attempts, and for which all else takes longer than a history lasts."""

    _timings = attrs.evolve(Timings(), offer_again=SOON, ask_again=SOON, refused=(SOON, SOON, SOON), busy=SOON, probe=SOON)


def play(plot: Plot) -> History:
    """Play *plot* and return its history. Raises `StuckError` when the client does not do what it has to."""
    before = descriptors()
    harness = Harness(plot)
    try:
        harness.play()
    finally:
        harness.clear()
    after = descriptors()
    if after != before:
        harness.history.left_behind.append(f"{after - before} descriptors")
    return harness.history


def descriptors() -> int:
    """Return how many descriptors this process has open; 0 where that cannot be told."""
    folder = Path("/proc/self/fd")
    return len(os.listdir(folder)) if folder.exists() else 0  # noqa: PTH208 half the price of iterdir, a thousand times


class Harness:
    """One client, one exchange, and all that reads. Only the test's thread."""

    def __init__(self, plot: Plot) -> None:
        self.plot = plot
        self.exchange = Exchange(numbered=plot.numbered, pongs=plot.pongs)
        self.history = History(self.exchange.log, clock_error=timedelta(seconds=plot.pongs))
        self.desks: list[Desk] = []
        self.client = LawClient(
            "delivery-k3y",
            "delivery-s3cret",
            environment=self.exchange.url,
            dialect=plot.dialect,
            on_status=self._on_status,
            connect_timeout=60.0,
            request_timeout=60.0,
            ping_interval=60.0,
            pong_timeout=60.0,
            backoff=Backoff(initial=SOON, factor=1.0, maximum=SOON),
        )
        self._shared = SharedQueue(self.history)
        self._callers: list[threading.Thread] = []
        self._numbers: dict[str, int] = {}
        self._last: dict[str, tuple[int, ...]] = {}
        self._batches = 0
        self._acts: dict[type, Callable[[Any], None]] = {
            Subscribe: self._subscribe,
            Serve: lambda step: self._serve(step.count),
            Refuse: self._refuse,
            TurnAway: self._turn_away,
            Write: self._write,
            Take: self._take,
            Drain: self._drain,
            Close: self._close,
            Reconnect: self._reconnect,
        }

    def play(self) -> None:
        """Play all of it."""
        for step in self.plot.steps:
            self._step(step)
        if self.plot.end == "settled":
            self._come_to_rest()
        self._end()

    def _step(self, step: Step) -> None:
        self.exchange.look_around()
        self._look()
        self._acts[type(step)](step)
        self._look()

    # --- what the client's side shows ---

    def _on_status(self, change: StatusChange) -> None:
        self.history.statuses.append(change)
        self.exchange.ring()

    def _look(self) -> None:
        at, state = self.exchange.log.now, self.client.state.value
        shown = tuple((n, d.subscription.state.value) for n, d in enumerate(self.desks) if d.subscription is not None)
        self.history.looks.append(Look(at, state, shown))
        for number, told in shown:
            record = self.history.records[number]
            if told == "LIVE":
                record.seen_live.append(at)
            elif told == "CLOSED" and record.closed_at is None:
                record.closed_at = at
        line = self._line
        # It subscribes, so it has read the answer to its login.
        if line is not None and line.topics and line.number not in self.history.epochs:
            self.history.epochs[line.number] = self.client.health().epoch

    @property
    def _line(self) -> Connection | None:
        """The open connection that has logged in."""
        line = self.exchange.line
        return line if line is not None and line.logged_in else None

    def _wanted(self) -> set[str]:
        if self.client.state in FINAL:
            return set()
        return {topic for desk in self.desks if desk.is_open for topic in desk.record.topics}

    def _is_quiet(self) -> bool:
        """Whether the client has asked for all that it wants, and has its answers."""
        line = self._line
        return line is not None and not line.pending and line.confirmed == line.topics == self._wanted()

    # --- subscribing ---

    def _subscribe(self, step: Subscribe) -> None:
        if len(self.desks) >= MOST_SUBSCRIPTIONS or self.client.state in FINAL:
            return
        if isinstance(step.reader, Sharing) and step.stream in self._shared.desks:
            return
        record = Record(step.stream, topics_of(self.plot.dialect, step.stream), asked_at=self.exchange.log.now, given_at=None)
        desk = desk_for(step.reader, record, self.exchange, self._shared)
        self.desks.append(desk)
        self.history.records.append(record)
        if step.wait:
            caller = threading.Thread(target=self._call, args=(desk, step), daemon=True)
            self._callers.append(caller)
            caller.start()
        else:
            self._call(desk, step)
        if not step.hurried:
            self._wait_until_obeyed(desk)

    def _call(self, desk: Desk, step: Subscribe) -> None:
        """Subscribe, on the test's thread or on one of its own."""
        subscribe = getattr(self.client, f"subscribe_{step.stream}")
        options = {name: getattr(step.reader, name) for name in ("maxsize", "overflow") if hasattr(step.reader, name)}
        if desk.record.queued:
            del options["maxsize"]
        try:
            desk.subscription = subscribe(desk.sink, wait=step.wait, **options)
            desk.record.given_at = self.exchange.log.now
        except BaseException as error:  # noqa: BLE001 checked later
            desk.record.raised = error
        self.exchange.ring()

    def _wait_until_obeyed(self, desk: Desk) -> None:
        line = self._line
        if line is None:
            return
        topics = set(desk.record.topics)
        self.exchange.until(
            lambda: topics <= line.topics | line.leaving or line.over or line.gone or not desk.is_open,
            f"the client asks for {topics}",
        )
        self._sync_until(lambda: desk.is_live or not desk.is_open or not topics <= line.confirmed)

    def _sync_until(self, wanted: Callable[[], bool]) -> None:
        """Let the client go round and round until *wanted* holds, or the connection is over."""
        deadline = time.monotonic() + PATIENCE
        while not wanted() and self.exchange.sync():
            if time.monotonic() > deadline:
                raise StuckError("the client goes round and round and is not live")

    # --- the exchange's side of the conversation ---

    def _serve(self, count: int) -> None:
        for _ in range(count):
            if not self._serve_one():
                return

    def _serve_one(self, *, yes: bool = True) -> bool:
        """Do what the client waits for; False when it waits for nothing."""
        line = self.exchange.line
        if line is None:
            return self._accept()
        self.exchange.until(lambda: bool(line.pending) or line.gone or self._is_quiet(), "the client asks for what it wants")
        if line.gone:
            return True
        if not line.pending:
            return False
        refusable = line.pending[0]["op"] in ("auth", "subscribe")
        line.answer(yes=yes or not refusable)
        return yes or not refusable

    def _accept(self) -> bool:
        if not self._wanted():
            return False
        self.exchange.until(lambda: self.exchange.is_dialled or not self._wanted(), "the client dials")
        if not self.exchange.is_dialled:
            return False
        self.exchange.accept()
        return True

    def _refuse(self, step: Refuse) -> None:
        for _ in range(step.times):
            while self._waits_for_something() and self._serve_one(yes=False):
                pass

    def _waits_for_something(self) -> bool:
        return bool(self._wanted()) and not self._is_quiet()

    def _turn_away(self, step: TurnAway) -> None:
        if self.exchange.line is None and self._wanted():
            self.exchange.until(lambda: self.exchange.is_dialled or not self._wanted(), "the client dials")
            if self.exchange.is_dialled:
                self.exchange.turn_away()

    # --- pushing and cutting ---

    def _write(self, step: Write) -> None:
        line = self.exchange.line
        data = b"".join(self._prepared(message, line) for message in step.messages)
        if line is None:
            return
        if step.cut is None:
            line.write(data)
            self._wait_for_doom(line, step)
            return
        if line.garbage >= DOOM:
            line.disturb()
        line.cut(step.cut, before=data)
        if not step.hurried:
            self.exchange.until(lambda: line.gone, "the client leaves a connection that is over")

    def _wait_for_doom(self, line: Connection, step: Write) -> None:
        if line.garbage >= DOOM:
            line.disturb()
            self.exchange.until(lambda: line.gone, "the client leaves an exchange that talks nonsense")
        elif not step.hurried and line.logged_in:
            self.exchange.sync()

    def _prepared(self, message: Message, line: Connection | None) -> bytes:
        """Return *message* as it is to be written, b"" when there is nobody to write it to."""
        line = line if line is not None and line.logged_in else None
        frame = self._frame(message, line)
        if line is None or frame is None:
            return b""
        line.note(frame) if frame.topic != STRAY_TOPIC else None
        line.garbage += isinstance(message, Garbage) and message.text != "[1]"
        return written(self.plot.dialect, message, frame)

    def _frame(self, message: Message, line: Connection | None) -> Frame | None:
        if isinstance(message, Garbage | Stray):
            return Frame(self.exchange.next_id(), STRAY_TOPIC if isinstance(message, Stray) else None, bad=None)
        topic = topic_of(self.plot.dialect, message.stream, message.leg)
        listens = line is not None and topic in line.topics
        if isinstance(message, Spoilt):
            return Frame(self.exchange.next_id(), topic, bad=None) if listens else None
        numbers = self._numbered(topic, message)
        if listens:
            return Frame(self.exchange.next_id(), topic, numbers, bad=message.rows.count(False))
        self.exchange.log.add(Missed(topic, numbers))
        return None

    def _numbered(self, topic: str, message: Push) -> tuple[int, ...]:
        good = message.rows.count(True)
        before = self._last.get(topic, ())
        if message.again and len(before) == good:
            return before
        # Rows that cannot be read have the first numbers, as the gap that tells of them comes before the others.
        last = self._numbers.get(topic, 0) + len(message.rows)
        self._numbers[topic] = last
        numbers = self._last[topic] = tuple(range(last - good + 1, last + 1))
        return numbers

    # --- reading ---

    def _desk(self, which: int) -> Desk | None:
        return self.desks[which % len(self.desks)] if self.desks else None

    def _take(self, step: Take) -> None:
        desk = self._desk(step.which)
        if desk is not None:
            desk.take(step.count, self._batch())

    def _drain(self, step: Drain) -> None:
        desk = self._desk(step.which)
        if desk is not None:
            desk.drain(self._batch())

    def _batch(self) -> int | None:
        """Return a new number when the client has dealt with all there is, so that nothing moves while somebody reads."""
        if self._line is None or not self.exchange.sync():
            return None
        self._batches += 1
        return self._batches

    # --- closing ---

    def _close(self, step: Close) -> None:
        desk = self._desk(step.which)
        if desk is None or desk.subscription is None:
            return
        if step.patient:
            desk.let_go()
        self._close_desk(desk, 5.0 if step.patient else 0.0)
        line = self._line
        if line is not None and not self._wanted():
            line.disturb()
        if line is not None and not step.hurried:
            self._wait_until_left(desk, line)

    def _close_desk(self, desk: Desk, timeout: float) -> None:
        assert desk.subscription is not None
        record = desk.record
        record.closed_at = self.exchange.log.now if record.closed_at is None else record.closed_at
        self._note_end(record, done=desk.subscription.close(timeout), hasty=not timeout)

    def _note_end(self, record: Record, *, done: bool, hasty: bool) -> None:
        """Note that no callback of *record* may start any more, whether it had all its events or not."""
        # One that fails in the very moment of a close that waits for nothing may find no way for its last word.
        failing = self.client.state is State.FAILED and hasty
        record.discarded = record.discarded or not done or failing
        if record.count_at_end is None and self._is_called(record):
            # A call that began before may note its event a moment later.
            record.count_at_end = len(record.taken) + (not done)

    def _is_called(self, record: Record) -> bool:
        return isinstance(self.desks[self.history.records.index(record)], CallingDesk)

    def _wait_until_left(self, desk: Desk, line: Connection) -> None:
        unwanted = set(desk.record.topics) - self._wanted()
        self.exchange.until(
            lambda: not unwanted & line.topics or line.over or line.gone, f"the client unsubscribes from {unwanted}"
        )

    def _reconnect(self, step: Reconnect) -> None:
        if self.client.state in FINAL:
            return
        line = self.exchange.line
        if line is not None:
            line.disturb()
        self.client.reconnect()
        if line is not None and line.logged_in and not step.hurried:
            self.exchange.until(lambda: line.gone, "the client leaves, as it was told to reconnect")

    # --- the end ---

    def _come_to_rest(self) -> None:
        """Let everybody have what is theirs, up to a last number on each topic."""
        for desk in self.desks:
            desk.let_go()
        self._settle()
        last = [Push(stream, leg) for stream in ("orders", "positions", "balances", "user_trades") for leg in (0, 1)]
        self._write(Write(tuple(push for push in last if topic_of(self.plot.dialect, push.stream, push.leg) in self._wanted())))
        self._settle()
        for desk in self.desks:
            desk.finish(self._go_on)
        self._look()

    def _go_on(self) -> None:
        """Do what a client waits for that nobody uses any more."""
        self.exchange.look_around()
        line = self.exchange.line
        if line is None and self.exchange.is_dialled:
            self.exchange.accept()
        elif line is not None and line.pending:
            line.answer()

    def _settle(self) -> None:
        while self._wanted():
            self._serve(ALL)
            if self._is_quiet() and self.exchange.sync() and self._is_quiet():
                self._sync_until(lambda: self._all_live() or not self._is_quiet())
                if self._all_live():
                    return

    def _all_live(self) -> bool:
        return self.client.state is State.LIVE and all(desk.is_live for desk in self.desks if desk.is_open)

    def _end(self) -> None:
        """Close the client, and take what is still to be had."""
        at = self.exchange.log.now
        if self.plot.end == "left":
            self._close_client(at, 0.0)
        for desk in self.desks:
            desk.let_go()
        self._close_client(at, 5.0)
        for caller in self._callers:
            caller.join(PATIENCE)
        for desk in self.desks:
            desk.drain(None)
            desk.record.error = desk.subscription.error if desk.subscription is not None else None

    def _close_client(self, at: int, timeout: float) -> None:
        for record in self.history.records:
            record.closed_at = at if record.closed_at is None else record.closed_at
        done = self.client.close(timeout)
        for record in self.history.records:
            self._note_end(record, done=done, hasty=not timeout)
        if not done and self.plot.end != "left" and not any(record.queued for record in self.history.records):
            self.history.left_behind.append("something, as close() returned False")

    def clear(self) -> None:
        """Leave nothing behind, whatever happened; note what the client left."""
        for desk in self.desks:
            desk.let_go()
        self.client.close(PATIENCE)
        self.exchange.close()
        name = f"{self.client.name}-"
        for thread in [*self._callers, *(t for t in threading.enumerate() if t.name.startswith(name))]:
            thread.join(PATIENCE)
            if thread.is_alive():
                self.history.left_behind.append(thread.name)
