"""A port that stays bound while its exchange does not listen.

A bound socket that does not listen refuses connections and keeps the port, even from a
client that connects to itself.
"""

from __future__ import annotations

import socket

__all__ = ["bound", "successor"]

_SHARED: int | None = getattr(socket, "SO_REUSEPORT", None)


def bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a socket that is bound to *port* of *host*, for 0 a free one.

    Another socket may have the port when both are *shared*. Raises `OSError`.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared and _SHARED is not None:
            sock.setsockopt(socket.SOL_SOCKET, _SHARED, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def successor(listening: socket.socket) -> socket.socket | None:
    """Return a socket that is bound to the port of *listening* before that is closed.

    In between another process could take the port. Returns None where the system binds
    no second socket: Windows, macOS.
    """
    if _SHARED is None:
        return None
    host, port = listening.getsockname()[:2]
    try:
        # Not before: two exchanges that are given one port would share it.
        listening.setsockopt(socket.SOL_SOCKET, _SHARED, 1)
        return bound(host, port, shared=True)
    except OSError:
        return None
