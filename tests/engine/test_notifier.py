from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bybit_sync.engine.notifier import Notifier, StatusChange
from bybit_sync.engine.state import ClientState
from bybit_sync.logs import ClientLog
from bybit_sync.status import NEXT_STATES, State, SubscriptionState
from tests.talking import at

NOW, LATER = at(0).utc, at(60).utc


# --- words ---


@pytest.mark.parametrize("word", [*State, *SubscriptionState], ids=repr)
def test_a_state_is_its_text(word: State | SubscriptionState) -> None:
    """On every Python, in every way of printing."""
    assert word == word.name
    assert (str(word), f"{word}", f"{word:>12}") == (word.name, word.name, word.name.rjust(12))


# --- the situation ---


def test_a_change_is_dated_and_tells_what_was_before() -> None:
    """Both can be read from any thread."""
    situation = ClientState(NOW)
    assert situation.change(State.CONNECTING, LATER) is State.IDLE
    assert (situation.state, situation.since) == (State.CONNECTING, LATER)


def test_the_same_state_again_is_no_change() -> None:
    """It began when it began."""
    situation = ClientState(NOW)
    assert situation.change(State.IDLE, LATER) is None
    assert situation.since == NOW


@pytest.mark.parametrize("final", [State.CLOSED, State.FAILED])
def test_a_final_state_stays(final: State) -> None:
    """Whatever a thread that did not hear of it says."""
    situation = ClientState(NOW)
    situation.change(final, NOW)
    assert all(situation.change(state, LATER) is None for state in State)
    assert (situation.state, situation.since) == (final, NOW)


@pytest.mark.parametrize("state", State)
def test_a_client_goes_where_its_table_says(state: State) -> None:
    """A change to any other state is none."""
    for after in State:
        situation = ClientState(NOW)
        situation.state = state
        assert (situation.change(after, LATER) is not None) == (after in NEXT_STATES[state])
        assert situation.state is (after if after in NEXT_STATES[state] else state)


@pytest.mark.parametrize("wanted", [State.LIVE, State.CLOSED])
def test_a_change_wakes_who_waits_for_it(wanted: State) -> None:
    """And not who waits for another."""
    situation = ClientState(NOW)
    with ThreadPoolExecutor(1) as pool:
        wait = pool.submit(situation.wait, lambda: situation.state is wanted, None)
        for state in (State.CONNECTING, State.LIVE, State.CLOSED):
            situation.change(state, LATER)
            if state is wanted:
                assert wait.result(10)


def test_an_error_wakes_who_waits_for_the_end() -> None:
    """A last subscription may end with one while the state stays."""
    situation = ClientState(NOW)
    with ThreadPoolExecutor(1) as pool:
        wait = pool.submit(situation.wait, lambda: situation.error is not None, None)
        situation.set_error(OSError("gone"))
        assert wait.result(10)


# --- the notifier ---


class Crowd:
    """Starts threads, and ends them before the test does."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.refuse = False

    def start(self, target: Callable[[], None], name: str) -> None:
        """Start a thread, if one can be started."""
        if self.refuse:
            raise RuntimeError("can't start new thread")
        self.threads.append(threading.Thread(target=target, name=name))
        self.threads[-1].start()

    def leave(self) -> None:
        """Wait until all have ended."""
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    """A crowd that has gone at the end."""
    crowd = Crowd()
    yield crowd
    crowd.leave()


CHANGES = [StatusChange(previous=State.LIVE, state=State.IDLE, at=at(n).utc) for n in range(200)]


def post(notifier: Notifier, change: StatusChange) -> None:
    """Have *change* told."""
    notifier.add(change)
    notifier.catch_up()


def test_changes_are_told_in_order(crowd: Crowd) -> None:
    """One call at a time, none left out, however they fall together with the end of a thread."""
    told: queue.Queue[StatusChange] = queue.Queue()
    notifier = Notifier(told.put, crowd.start, ClientLog("test"))
    for change in CHANGES[::2]:
        post(notifier, change)
        post(notifier, change)
        assert [told.get(timeout=10) for _ in range(2)] == [change] * 2


def test_a_call_that_raises_is_logged_and_the_next_is_made(crowd: Crowd, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it raises: `SystemExit` would otherwise end a thread without a word."""
    told: queue.Queue[StatusChange] = queue.Queue()

    def on_status(change: StatusChange) -> None:
        told.put(change)
        raise SystemExit("enough")

    notifier = Notifier(on_status, crowd.start, ClientLog("test"))
    for change in CHANGES[:3]:
        post(notifier, change)
    assert [told.get(timeout=10) for _ in range(3)] == CHANGES[:3]
    crowd.leave()
    assert [record.getMessage() for record in caplog.records] == ["test: on_status raised"] * 3


def test_the_thread_stays_until_the_client_rests(crowd: Crowd) -> None:
    """One thread tells a whole life, also what happens while the process ends and starts no more threads."""
    told: queue.Queue[StatusChange] = queue.Queue()
    notifier = Notifier(told.put, crowd.start, ClientLog("test"))
    for state in (State.CONNECTING, State.LIVE, State.CLOSED):
        post(notifier, StatusChange(previous=State.IDLE, state=state, at=NOW))
        assert told.get(timeout=10).state is state
    assert len(crowd.threads) == 1
    crowd.leave()
    assert notifier.idle.is_set()


def test_there_is_no_thread_while_the_client_rests(crowd: Crowd) -> None:
    """It ends, and another one begins with the next change."""
    told: queue.Queue[StatusChange] = queue.Queue()
    notifier = Notifier(told.put, crowd.start, ClientLog("test"))
    for change in CHANGES[:3]:
        post(notifier, change)
        crowd.leave()
    assert len(crowd.threads) == 3
    assert told.qsize() == 3


def test_without_a_thread_the_change_stays_in_line(crowd: Crowd, caplog: pytest.LogCaptureFixture) -> None:
    """It is told as soon as a thread can be started for another one."""
    told: queue.Queue[StatusChange] = queue.Queue()
    notifier = Notifier(told.put, crowd.start, ClientLog("test"))
    crowd.refuse = True
    post(notifier, CHANGES[0])
    crowd.refuse = False
    post(notifier, CHANGES[1])
    assert [told.get(timeout=10) for _ in range(2)] == CHANGES[:2]
    assert caplog.records[0].levelno == logging.ERROR


def test_a_thread_that_began_although_its_start_failed_tells_nothing() -> None:
    """Ctrl-C may come when it runs already: another one is started for the change."""
    told: list[StatusChange] = []
    begun: list[Callable[[], None]] = []

    def start(target: Callable[[], None], name: str) -> None:
        begun.append(target)
        raise KeyboardInterrupt

    notifier = Notifier(told.append, start, ClientLog("test"))
    with pytest.raises(KeyboardInterrupt):
        post(notifier, CHANGES[0])
    begun[0]()
    assert told == []
    assert notifier.idle.is_set()


def test_a_change_may_be_posted_by_the_call_itself(crowd: Crowd) -> None:
    """`on_status` may close the client, which changes its state."""
    told: queue.Queue[StatusChange] = queue.Queue()

    def on_status(change: StatusChange) -> None:
        told.put(change)
        if change is CHANGES[0]:
            post(notifier, CHANGES[1])

    notifier = Notifier(on_status, crowd.start, ClientLog("test"))
    post(notifier, CHANGES[0])
    assert [told.get(timeout=10) for _ in range(2)] == CHANGES[:2]
