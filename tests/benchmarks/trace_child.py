"""The process of one contestant that is looked into: it stops after a stage, or notes what its threads waited for.

python -m tests.benchmarks.trace_child CONTESTANT|frames|events URL costs|waits
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, cast

from tests.benchmarks.child import SECONDS, Costs
from tests.benchmarks.contestants import CONTESTANTS, OURS, block, left_out
from tests.benchmarks.payloads import KINDS, STREAMS
from tests.benchmarks.processes import own_output, serve
from tests.benchmarks.scheduling import THREADS, Note, Scheduled, scheduled
from tests.benchmarks.tally import Stopwatch, Tally

PUSH_BYTES = 300
"""Every push is longer, and everything else that the exchange says is shorter."""


# -- what a client costs that stops after a stage


class Events(Costs):
    """Costs of a client that makes events of messages and delivers none: the sink has them at once."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        from bybit_sync.delivery.dispatcher import Dispatcher  # noqa: PLC0415 - after the extra has been blocked
        from bybit_sync.model.events import Event  # noqa: PLC0415 - as above

        told, dispatching = Dispatcher.dispatch, cast("Any", Dispatcher)

        def dispatch(dispatcher: Dispatcher, events: Iterable[Any], session: Any, now: Any) -> None:
            for event in events:
                if type(event) is Event:
                    self.tally.add(event.data, event.id or "")
                else:
                    told(dispatcher, [event], session, now)

        dispatching.dispatch = dispatch

    @property
    def tally(self) -> Tally:
        """The tally of what is being sent."""
        return self.sinks[self._awaited]


class Frames(Events):
    """Costs of a client that reads frames, and decodes only the first and the last one: the sink has the first's rows."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        from bybit_sync.session.session import Session  # noqa: PLC0415 - after the extra has been blocked

        self._left = 0
        read, receiving = Session.receive, cast("Any", Session)
        known = dict[str, Any]()

        def receive(session: Session, frame: bytes, now: Any) -> Sequence[Any]:
            if len(frame) < PUSH_BYTES:
                return read(session, frame, now)
            self._left -= 1
            if self._awaited in known and self._left:
                self.tally.add(known[self._awaited], "")
                return ()
            events: Sequence[Any] = read(session, frame, now)
            known[self._awaited] = events[0].data
            return events

        receiving.receive = receive

    def expect(self, kind: str, count: int) -> dict[str, Any]:
        """Start the clocks."""
        self._left = count
        return super().expect(kind, count)


# -- what the threads of a contestant wait for


def pin() -> dict[str, Any]:
    """Let all threads of this process share one core."""
    core = max(os.sched_getaffinity(0))
    for thread in THREADS.iterdir():
        os.sched_setaffinity(int(thread.name), {core})
    return {}


class Clock:
    """Makes notes of the calling thread."""

    def __init__(self) -> None:
        self._own = threading.local()

    def note(self, at: int) -> Note:
        """Return the note of the moment *at*, which is now."""
        try:
            file = self._own.file
        except AttributeError:
            file = self._own.file = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        return at, int(os.pread(file, 64, 0).split()[1]), time.thread_time_ns()


class Watch(Stopwatch):
    """Notes what the thread had waited on which a stamped message came."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.came: list[Note] = []

    def expect(self, messages: int) -> None:
        """Begin again."""
        self.came.clear()
        super().expect(messages)

    def add(self, rows: Sequence[Any], name: str) -> None:
        """Note that the message that was stamped *name* is here, now."""
        self.came.append(self._clock.note(time.monotonic_ns()))
        super().add(rows, name)

    @property
    def stamps(self) -> list[int]:
        """The stamps of the messages, in the order in which they came."""
        return [int(stamp) for _, stamp in self._seen]


class Waits:
    """Measures what the threads wait for while messages are under way."""

    def __init__(self, name: str) -> None:
        clock = Clock()
        self.sinks = {stream: Watch(clock) for stream in STREAMS}
        self._awaited = self.sinks[KINDS["stamped"].stream]
        self._before = Scheduled()
        self._read: list[Note] = []
        self._woken: list[Note] = []
        if name in OURS:
            self._note_reads(clock)
            self._note_wakes(clock)

    def _note_reads(self, clock: Clock) -> None:
        """Note each push when its bytes have been read, which is before it is decoded."""
        from bybit_sync.session.session import Session  # noqa: PLC0415 - after the extra has been blocked

        read, receiving = Session.receive, cast("Any", Session)

        def receive(session: Session, frame: bytes, now: Any) -> Sequence[Any]:
            if len(frame) > PUSH_BYTES:
                self._read.append(clock.note(now.ns))
            return read(session, frame, now)

        receiving.receive = receive

    def _note_wakes(self, clock: Clock) -> None:
        """Note when the threads of callbacks are woken, which is after a round of reading."""
        from bybit_sync.threads.wake_round import WakeRound  # noqa: PLC0415 - after the extra has been blocked

        end, ending = WakeRound.end, cast("Any", WakeRound)

        def ended(round_: WakeRound) -> None:
            if round_._gathered:
                self._woken.append(clock.note(time.monotonic_ns()))
            end(round_)

        ending.end = ended

    def expect(self, count: int) -> dict[str, Any]:
        """Begin again."""
        self._read.clear()
        self._woken.clear()
        self._awaited.expect(count)
        self._before = scheduled()
        return {}

    def result(self) -> dict[str, Any]:
        """Wait for the last message, and tell all notes."""
        self._awaited.wait(SECONDS)
        spent = scheduled().since(self._before)
        notes = {"read": self._read, "woken": self._woken, "came": self._awaited.came}
        return {"stamps": self._awaited.stamps, **notes, "spent": spent}


PARTS: dict[str, type[Costs]] = {"frames": Frames, "events": Events}


def main(name: str, url: str, what: str) -> None:
    """Be contestant *name*, or one that ends after a stage, and measure ``costs`` or ``waits``."""
    output = own_output()
    contestant = "callback" if name in PARTS else name
    block(left_out(contestant))
    measure: Any = Waits(name) if what == "waits" else PARTS.get(name, Costs)(contestant)
    CONTESTANTS[contestant](url, measure.sinks)
    serve(output, {"ready": dict, "expect": measure.expect, "result": measure.result, "pin": pin})


if __name__ == "__main__":
    main(*sys.argv[1:])
