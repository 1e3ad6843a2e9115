"""Everything in one text, for people: what is kept in RESULTS.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.machine import machine, versions
from tests.benchmarks.table import table

PLACE = Path(__file__).parent / "RESULTS.md"

_HEAD = """\
# What bybit_sync costs

Written by `python -m tests.benchmarks all` (`pip install -e ".[bench]"`). Medians over rounds, in parentheses the range; a
ratio is taken within a round. In every round each contestant runs once, in a process of its own, against one server in another
process that has rendered all messages before; the order changes from round to round. Every message is another, warming up is
not counted, and everybody has to prove that they were handed all of them, the last one last.

* **callback**, **queue**, **iterator**, **inline**, **recover**: this library in its forms, msgspec not importable; **+speed**
  with it. A consumer reads one field of a row; with **all read**, every one.
* **pybit**: callbacks, as pip installs it; **+wsaccel** with that package beside it, which websocket-client picks up by itself:
  its UTF-8 check is then done in C. Everybody else runs without it.
* **ccxt**: a loop over each `watch_…`. While messages come back to back, that loop gets a turn for less than one in a hundred
  (the last table says how many): what ccxt has processed is counted, though its user sees little of it.
* **bare**: a loop over websocket-client without its UTF-8 check, and `json.loads`.
* **limit**: one thread, large reads, frames cut in place, JSON decoded in C into structs of text; the **exact limit** makes
  Decimals of the numbers in quotes, as we do. It does without: a check of UTF-8, pings and pongs, fragments, masks of what it
  reads, unknown keys and topics, rows that cannot be read, gaps, a second thread, an end."""

TITLES = {"trace": "Where the time goes"}
NOTES = {
    "throughput": (
        "From the wire to the user's code, back to back; `execution` has two fills in a message. "
        "Unusual pushes have their rows in front of the topic, as Bybit does not send them: what does not look as usual is for "
        "the JSON parser. In the last two columns messages come one by one, and everybody has to wake up for each."
    ),
    "latency": (
        "From the exchange's send to the callback, by the clock that all processes of a machine share. "
        "Percentiles are those of one round each."
    ),
    "trace": (
        "CPU by stage: clients that end after a stage, compared within a round, back to back and one by one. "
        "Then where messages wait, as the kernel tells it of each thread; to note it takes each message some µs more. "
        "With `one core` all threads of the client share one. A slice of a core ends when the thread waits, or is cut short "
        "for another one. The slowest messages are one in a thousand, at least five, and the figures their means: until the "
        "exchange's process had sent them, until the connection thread had read them, until that thread woke the callback's, "
        "until the callback had them (the consumer, where one thread does it all). Meanwhile that thread was in the run queue, "
        "ran, or else: slept, waited for the GIL or for other messages, or the host had taken its core."
    ),
    "scale": (
        "Many clients in one process, each with a callback on all four streams. Idle includes the pings. "
        "A burst is 6,000 messages for all clients together, which are three of a stream for each of 500; a flood brings each "
        "client at least 50 of each stream. "
        "The exchange is away for half a second; all are back when the last stream of the last client has told its gap. "
        "A thread that waits for the GIL wakes up after each switch interval (5 ms) to ask for it, in a slice of a core: "
        "the second table shows how many, and a flood in which threads hardly ever ask."
    ),
    "rest": "Imports, events that wait because their callback does, and messages of 100 rows.",
    "recovery": (
        "Fills and orders of an outage are read over REST; the simulated exchange runs in the process of its client and takes "
        "a part of the time. A client remembers the fills of ten to twenty minutes, and at least 10,000. "
        "The comparison: a connection that carries nothing for a moment and is then reset, while fills go on, five times: with "
        "nothing, 30 and 250 fills, with some on another category, and with a REST that lags by 2 seconds."
    ),
    "account": (
        "Reads without contention, a `snapshot()` being all of them at once; and what the connection thread takes to apply a "
        "push of one order, with more and more of them open."
    ),
}


def text(sections: Mapping[str, Sequence[str]]) -> str:
    """Return the tables of *sections* with where they come from."""
    facts = {**machine(), **{name: version for name, version in versions().items() if name != "bybit-sync"}}
    parts = [_HEAD, table(("", "measured on"), facts.items())]
    for name, tables in sections.items():
        parts += [f"## {TITLES.get(name, name.capitalize())}", NOTES[name], *tables]
    return "\n\n".join(parts) + "\n"
