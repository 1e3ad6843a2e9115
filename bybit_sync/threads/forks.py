"""What a forked child must not inherit: each part of the library that shares something in a process renews it here."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

__all__ = ["in_child"]

RenewT = TypeVar("RenewT", bound=Callable[[], object])


def in_child(renew: RenewT) -> RenewT:
    """Have *renew* called in every process that is forked from this one, before anything else runs there.

    The threads of the parent stopped anywhere, with any lock in their hands: *renew* takes none, and makes new ones.
    """
    if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
        os.register_at_fork(after_in_child=renew)
    return renew
