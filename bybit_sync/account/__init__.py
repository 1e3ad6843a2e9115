"""The account as it is now, made from the events of all four streams.

`reducer` applies events to a `snapshot`; `view` shows it to a user's threads.
"""

from __future__ import annotations
