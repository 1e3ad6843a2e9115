"""Renewal, in a forked child, of the state that clients share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

__all__ = ["in_child"]

RenewT = TypeVar("RenewT", bound=Callable[[], object])


def in_child(renew: RenewT) -> RenewT:
    """Register *renew* to run first in every child process of a fork.

    A fork stops the parent's threads at any place, and locks that they hold stay locked
    in the child. So *renew* must acquire none of them, and make new ones.
    """
    if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
        os.register_at_fork(after_in_child=renew)
    return renew
