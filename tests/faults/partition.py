"""A cable between two network namespaces that can be pulled: true silence, nothing is acknowledged, refused or reset."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

import pytest

__all__ = ["Partition"]

NEAR: Final = "10.77.0.1"
FAR: Final = "10.77.0.2"
CLONE_NEWNET: Final = 0x40000000


def _call(name: str, *arguments: int) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True, capture_output=True)


class Partition:
    """Takes this thread, and those that it starts, to one end of a cable, inside a ``with`` block."""

    host: Final = FAR
    """The address of the other end."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._near = self._far = -1

    def __enter__(self) -> Partition:
        if sys.platform != "linux" or os.geteuid() != 0:
            pytest.skip("needs Linux and root for network namespaces")
        try:
            self._stack.callback(_call, "setns", self._here(), CLONE_NEWNET)
            self._near, self._far = self._new(), self._new()
            _ip(f"link add far type veth peer name near netns /proc/{os.getpid()}/fd/{self._near}")
            self._equip("far", FAR)
            _call("setns", self._near, CLONE_NEWNET)
            self._equip("near", NEAR)
            self._wait_until_both_ends_know_each_other()
        except (OSError, subprocess.CalledProcessError) as error:
            self._stack.close()
            pytest.skip(f"no network namespaces here: {error}")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def there(self) -> Iterator[None]:
        """Be at the other end."""
        _call("setns", self._far, CLONE_NEWNET)
        try:
            yield
        finally:
            _call("setns", self._near, CLONE_NEWNET)

    def pull(self) -> None:
        """Let nothing through any more."""
        with self.there():
            _ip("link set far down")

    def plug(self) -> None:
        """Let everything through again."""
        with self.there():
            _ip("link set far up")

    @staticmethod
    def _wait_until_both_ends_know_each_other() -> None:
        # The first packets over a new cable may go astray, and TCP repeats them only a second later.
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection((FAR, 9), timeout=10).close()

    def _here(self) -> int:
        descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._stack.callback(os.close, descriptor)
        return descriptor

    def _new(self) -> int:
        _call("unshare", CLONE_NEWNET)
        return self._here()

    @staticmethod
    def _equip(device: str, address: str) -> None:
        _ip("link set lo up")
        _ip(f"address add {address}/24 dev {device}")
        _ip(f"link set {device} up")
