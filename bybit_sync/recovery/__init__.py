"""Streams that mend themselves: REST supplies the updates that an outage hid.

Two sides exchange the reads and answers of `wants`:

* The connection thread decides and delivers. `sink` gives a gap to `mender`, which
  keeps it in `windows`; `gate` holds the pushes behind it; `memory` (of `trades`,
  `states`, `balances`) merges the rows of REST; `makes` makes their events;
  `coordinator` decides which stream is read when.
* A thread of its own reads. `worker` runs it, `asking` knows the requests for each
  stream, `running` sends them.
"""

from __future__ import annotations
