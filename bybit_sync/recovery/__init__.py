"""Streams that mend themselves: REST supplies the updates that an outage hid.

`wants` has the questions and answers of both sides. The asking side reads: `asking`
knows the requests for each stream, the worker's thread sends them.
"""

from __future__ import annotations
