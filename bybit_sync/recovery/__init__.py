"""Streams that mend themselves: what an outage hid is read over REST.

`wants` is what both sides speak of. The asking side reads: `asking` knows what to ask
for each stream, the worker's thread asks it.
"""

from __future__ import annotations
