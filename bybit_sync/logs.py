"""The log of one client: every record says whose it is, and none can end a thread."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

__all__ = ["ClientLog"]

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    # Takes no parameter before Python 3.11.
    _Adapter = logging.LoggerAdapter

LOGGER = logging.getLogger("bybit_sync")


class ClientLog(_Adapter):
    """Writes to the logger ``bybit_sync``, the client's name first; it is also the record's ``client``."""

    def __init__(self, name: str) -> None:
        super().__init__(LOGGER, {"client": name})
        self._name = name

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Put the client's name before the message."""
        return f"{self._name}: {msg}", {**kwargs, "extra": {**kwargs.get("extra", {}), "client": self._name}}

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Write the record; a handler that raises costs one line on stderr, not the thread."""
        try:
            if self.isEnabledFor(level):
                text, named = self.process(msg, kwargs)
                named["stacklevel"] = named.get("stacklevel", 1) + 1
                self.logger.log(level, text, *args, **named)
        except BaseException as error:
            # On the main thread it may be Ctrl-C, or what a signal handler raised: that is not ours to keep.
            if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread():
                raise
            with contextlib.suppress(Exception):
                sys.stderr.write(f"bybit_sync: a logging handler raised {type(error).__name__}\n")
