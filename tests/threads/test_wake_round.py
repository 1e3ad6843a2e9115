"""Wake-ups that are gathered in a round: each waiting thread once, at its end."""

from __future__ import annotations

from bybit_sync.threads.waiting import SignalSafeCondition
from bybit_sync.threads.wake_round import WakeRound
from tests.client.test_subscribing import in_background
from tests.faults.pace import until


class Counted(SignalSafeCondition):
    """A condition that counts its wake-ups."""

    wakes = 0

    def wake(self) -> None:
        """Count, and wake."""
        self.wakes += 1
        super().wake()


def test_outside_of_a_round_each_wake_up_is_made_at_once() -> None:
    """Nothing would make it later."""
    wakes, condition = WakeRound(), Counted()
    wakes.wake(condition)
    wakes.wake(condition)
    assert condition.wakes == 2


def test_in_a_round_each_condition_is_woken_once_at_its_end() -> None:
    """However many events it got; and from then on at once again."""
    wakes, one, other = WakeRound(), Counted(), Counted()
    wakes.begin()
    for condition in (one, other, one):
        wakes.wake(condition)
    wakes.begin()
    assert (one.wakes, other.wakes) == (0, 0)
    wakes.end()
    assert (one.wakes, other.wakes) == (1, 1)
    wakes.end()
    wakes.wake(one)
    assert one.wakes == 2


def test_a_thread_that_waits_goes_on_when_the_round_ends() -> None:
    """It waits without a limit: a wake-up that is lost would hang it."""
    wakes, condition, done = WakeRound(), SignalSafeCondition(), list[bool]()
    went_on = in_background(lambda: condition.wait(lambda: bool(done), None))
    until(lambda: condition._waiters)
    wakes.begin()
    done.append(True)
    wakes.wake(condition)
    assert condition._waiters
    wakes.end()
    assert went_on.get(timeout=10)
