from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from bybit_sync import Client, ConfigurationError
from bybit_sync.threads.waiting import SignalSafeCondition, SignalSafeEvent, _start, wait_for, wait_slice
from tests.alarms import alarm, on_main_thread_only


def test_without_a_deadline_there_is_no_end() -> None:
    """At least no early one: what is waited for in slices goes on."""
    assert wait_slice(None) > 0


def test_what_remains_is_never_negative() -> None:
    """A deadline that has passed leaves nothing."""
    assert wait_slice(time.monotonic() - 1) == 0
    assert 0 < wait_slice(time.monotonic() + 1000) <= 1000


def test_what_holds_is_not_waited_for() -> None:
    """Not even when the time is up."""
    assert SignalSafeCondition().wait(lambda: True, time.monotonic() - 1)


def test_what_never_holds_is_given_up() -> None:
    """At the deadline."""
    assert not SignalSafeCondition().wait(lambda: False, time.monotonic() + 0.01)


def test_who_is_about_to_wait_looks_once_more_after_announcing_it() -> None:
    """What changed between the first look and this one is seen: whoever changed it could not know of us."""
    condition = SignalSafeCondition()
    announced: list[int] = []

    def wanted() -> bool:
        announced.append(len(condition._waiters))
        return len(announced) >= 2

    assert condition.wait(wanted, time.monotonic() + 10)
    assert announced[:2] == [0, 1]


@pytest.mark.parametrize("count", [1, 4])
def test_setting_a_flag_wakes_all_who_wait(count: int) -> None:
    """None of them needs another push, whoever comes first."""
    for _ in range(50):
        flag = SignalSafeEvent()
        with ThreadPoolExecutor(count) as pool:
            waits = [pool.submit(flag.wait, 10) for _ in range(count)]
            flag.set()
            assert all(wait.result(10) for wait in waits)


def test_each_waits_for_what_it_wants() -> None:
    """One that is woken for another's sake goes on waiting, and does not swallow the other's call."""
    condition, reached = SignalSafeCondition(), [0]
    with ThreadPoolExecutor(5) as pool:
        waits = [pool.submit(condition.wait, lambda n=n: reached[0] >= n, time.monotonic() + 10) for n in range(1, 6)]
        for _ in range(5):
            reached[0] += 1
            condition.wake()
        assert all(wait.result(10) for wait in waits)


def test_a_flag_that_was_taken_back_is_not_set() -> None:
    """It can be set again."""
    flag = SignalSafeEvent()
    flag.set()
    flag.clear()
    assert not flag.wait(0)
    flag.set()
    assert flag.wait()


@pytest.mark.parametrize("kind", [SignalSafeEvent, threading.Event])
def test_an_event_is_waited_for_until_its_deadline(kind: type[SignalSafeEvent | threading.Event]) -> None:
    """One of ours or one of Python's."""
    event = kind()
    assert not wait_for(event, time.monotonic() + 0.01)
    event.set()
    assert wait_for(event, time.monotonic() - 1)


@on_main_thread_only
def test_a_signal_handler_may_set_what_it_interrupts() -> None:
    """In the middle of waiting, and of setting: a `threading.Event` would wait for itself for ever."""
    for _ in range(200):
        flag = SignalSafeEvent()
        with alarm(flag.set, 0.0003, again=0.0003):
            while not flag.wait(10):
                pytest.fail("the handler's call was lost")
            for _ in range(50):
                flag.set()
                flag.clear()


# --- a clock that stands still ---


def test_a_frozen_clock_is_refused_at_once(make_client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch) -> None:
    """As freezegun freezes it, in a test: no timeout would ever pass. Nothing is begun."""
    client = make_client()
    with monkeypatch.context() as frozen:
        frozen.setattr(time, "monotonic", lambda: 1.0)
        with pytest.raises(ConfigurationError, match="freezegun.*extend_ignore_list.*tick=True"):
            client.subscribe_orders(timeout=None)
        with pytest.raises(ConfigurationError, match="stands still"):
            wait_for(threading.Event(), 5.0)
    assert client.state == "IDLE"


def test_a_clock_that_was_replaced_and_goes_on_is_none_of_our_business(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with tick=True, or with us among the modules that freezegun leaves alone."""
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + 0.0)
    assert not wait_for(threading.Event(), real() + 0.01)


# --- starting a thread: what the helper thread does, which no tool that counts lines can follow ---


def test_a_start_that_was_taken_back_starts_nothing() -> None:
    """Ctrl-C came first: the thread never was."""
    thread, done = threading.Thread(target=int), SignalSafeEvent()
    _start(thread, [], [], done)
    assert thread.ident is None
    assert done.is_set()


def test_a_start_that_fails_is_handed_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The calling thread raises it."""
    thread, done = threading.Thread(target=int), SignalSafeEvent()
    failed: list[BaseException] = []
    refusal = RuntimeError("can't start new thread")
    monkeypatch.setattr(thread, "start", lambda: (_ for _ in ()).throw(refusal))
    _start(thread, [None], failed, done)
    assert failed == [refusal]
    assert done.is_set()
