from __future__ import annotations

from bybit_sync.model.events import Event, GapReason
from bybit_sync.recovery.windows import UNDECODABLE_EVERY, Windows
from tests.recovery.rows import at, gap

NOW, NEVER = float("-inf"), float("inf")
DISCONNECTED, UNDECODABLE, OVERFLOW, START = (
    GapReason.DISCONNECTED,
    GapReason.UNDECODABLE,
    GapReason.OVERFLOW,
    GapReason.START,
)


def opened(*events: Event[object]) -> Windows:
    """Return windows after outages."""
    windows = Windows()
    for event in events:
        windows.open(event)
    return windows


def span(windows: Windows) -> tuple[str, float, float] | None:
    """Return reason, beginning and end of the current gap."""
    told = windows.gap
    return None if told is None else (told.reason, (told.since - at(0)).total_seconds(), (told.until - at(0)).total_seconds())


def test_nothing_is_read_when_nothing_is_missing() -> None:
    """The state in which a stream nearly always is."""
    windows = Windows()
    assert (windows.gap, windows.read_due(), windows.are_mended) == (None, NEVER, True)


def test_an_outage_is_read_at_once() -> None:
    """Until that is under way, and when it has ended otherwise than well."""
    windows = opened(gap(DISCONNECTED, 1, 2))
    assert (windows.read_due(), windows.is_told, windows.are_mended) == (NOW, False, False)
    windows.asked(5.0)
    assert windows.read_due() == NEVER
    windows.is_asked = False
    assert windows.read_due() == NOW


def test_a_second_outage_widens_the_window() -> None:
    """And has it read again: the answer that is under way is too old."""
    windows = opened(gap(DISCONNECTED, 1, 2))
    windows.asked(5.0)
    windows.open(gap(DISCONNECTED, 8, 9))
    assert (span(windows), windows.is_asked) == (("DISCONNECTED", 1, 9), False)


def test_a_gap_that_is_told_says_whether_it_is_still_mended() -> None:
    """And why not."""
    windows = opened(gap(DISCONNECTED, 1, 2))
    first = windows.tell(recovering=True)
    last = windows.tell(recovering=False, detail="no permission")
    assert first is not None
    assert last is not None
    assert first.gap is not None
    assert last.gap is not None
    assert (first.gap.recovering, first.gap.detail) == (True, "lost")
    assert (last.gap.recovering, last.gap.detail) == (False, "lost; no permission")
    assert windows.is_told


def test_nothing_is_told_when_nothing_is_missing() -> None:
    """A refresh opens no gap."""
    assert Windows().tell(recovering=True) is None


def test_a_gap_that_was_given_up_is_tried_again_at_the_next_outage() -> None:
    """From its beginning on."""
    windows = opened(gap(DISCONNECTED, 1, 2))
    windows.give_up()
    assert (windows.gap, windows.are_mended) == (None, False)
    windows.open(gap(DISCONNECTED, 8, 9))
    assert span(windows) == ("DISCONNECTED", 1, 9)
    windows.close()
    assert windows.are_mended


def test_what_cannot_be_decoded_is_told_already() -> None:
    """The read follows."""
    windows = Windows()
    windows.join(gap(UNDECODABLE, 1, 2), is_holding=False)
    assert (windows.is_told, windows.read_due()) == (True, NOW)


def test_what_cannot_be_decoded_is_read_once_a_minute() -> None:
    """Later ones join."""
    windows = Windows()
    windows.join(gap(UNDECODABLE, 1, 2), is_holding=False)
    windows.asked(5.0)
    windows.close()
    windows.join(gap(UNDECODABLE, 3, 4), is_holding=False)
    windows.join(gap(UNDECODABLE, 5, 6), is_holding=False)
    assert (span(windows), windows.read_due()) == (("UNDECODABLE", 3, 6), 5.0 + UNDECODABLE_EVERY)


def test_an_outage_does_not_wait_for_that_minute() -> None:
    """What could not be decoded is mended with it."""
    windows = Windows()
    windows.join(gap(UNDECODABLE, 1, 2), is_holding=False)
    windows.asked(5.0)
    windows.close()
    windows.join(gap(UNDECODABLE, 3, 4), is_holding=False)
    windows.open(gap(DISCONNECTED, 5, 6))
    assert (span(windows), windows.read_due(), windows.is_told) == (("DISCONNECTED", 3, 6), NOW, False)


def test_what_cannot_be_decoded_during_a_read_waits_for_the_next() -> None:
    """Its answer may not tell of it; it is not asked again because of that."""
    windows = opened(gap(DISCONNECTED, 1, 2))
    windows.asked(5.0)
    windows.join(gap(UNDECODABLE, 3, 4), is_holding=False)
    assert (span(windows), windows.is_asked) == (("DISCONNECTED", 1, 2), True)
    windows.close()
    assert (span(windows), windows.is_told, windows.read_due()) == (("UNDECODABLE", 3, 4), True, NOW)


def test_what_cannot_be_decoded_joins_an_outage_that_is_not_read_yet() -> None:
    """Of which its consumer knows a part then."""
    windows = opened(gap(DISCONNECTED, 1, 2))
    windows.join(gap(UNDECODABLE, 3, 4), is_holding=True)
    assert (span(windows), windows.is_told) == (("DISCONNECTED", 1, 4), True)


def test_a_refresh_does_not_wait_for_the_minute_of_what_cannot_be_decoded() -> None:
    """Who asks for it knows why."""
    windows = Windows()
    windows.join(gap(UNDECODABLE, 1, 2), is_holding=False)
    windows.asked(5.0)
    windows.close()
    windows.join(gap(UNDECODABLE, 3, 4), is_holding=False)
    windows.refresh(is_state=False)
    assert windows.read_due() == NOW


def test_an_overflow_is_not_mended_by_itself() -> None:
    """It is the consumer's; an outage does not mend it, either."""
    windows = Windows()
    windows.lost(gap(OVERFLOW, 1, 2))
    assert (windows.gap, windows.are_mended) == (None, False)
    windows.open(gap(DISCONNECTED, 8, 9))
    assert span(windows) == ("DISCONNECTED", 8, 9)


def test_a_recovered_event_that_found_no_room_is_tried_again() -> None:
    """Its gap was told for good."""
    windows = Windows()
    windows.lost(gap(DISCONNECTED, 1, 2))
    windows.open(gap(DISCONNECTED, 8, 9))
    assert span(windows) == ("DISCONNECTED", 1, 9)


def test_a_refresh_mends_all_that_is_not_mended() -> None:
    """An overflow, too; all of it was told."""
    windows = Windows()
    windows.lost(gap(OVERFLOW, 5, 6))
    windows.lost(gap(DISCONNECTED, 1, 2))
    windows.refresh(is_state=False)
    assert (span(windows), windows.is_told, windows.read_due()) == (("DISCONNECTED", 1, 6), True, NOW)


def test_a_refresh_of_a_state_reads_in_any_case() -> None:
    """Once."""
    windows = Windows()
    windows.refresh(is_state=True)
    assert (windows.gap, windows.read_due()) == (None, NOW)
    windows.asked(5.0)
    windows.close()
    assert windows.read_due() == NEVER


def test_a_refresh_of_trades_reads_nothing_when_nothing_is_missing() -> None:
    """There is nothing that it could bring."""
    windows = Windows()
    windows.refresh(is_state=False)
    assert windows.read_due() == NEVER


def test_a_start_that_could_not_be_read_is_mended_by_the_next_outage() -> None:
    """The graver reason is told."""
    windows = opened(gap(START, -10, 0))
    windows.give_up()
    windows.open(gap(DISCONNECTED, 8, 9))
    assert span(windows) == ("DISCONNECTED", -10, 9)
