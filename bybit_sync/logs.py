"""The log of one client.

Every record names the client, and no handler's error ends a thread.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

from bybit_sync.errors import describe
from bybit_sync.redaction import get_logger

__all__ = ["ClientLog"]

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    # Takes no parameter before Python 3.11.
    _Adapter = logging.LoggerAdapter

LOGGER = get_logger("bybit_sync")


class ClientLog(_Adapter):
    """A logger adapter for ``bybit_sync``.

    The client's name leads each text, and is the record's ``client``.
    """

    def __init__(self, name: str) -> None:
        super().__init__(LOGGER, {"client": name})
        self._name = name

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Write the record; the error of a handler becomes one line on stderr."""
        try:
            if self.isEnabledFor(level):
                kwargs["extra"] = {**kwargs.get("extra", {}), "client": self._name}
                kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
                # Logging formats the text only if there are arguments: then escape
                # percent signs in the name.
                name = self._name.replace("%", "%%") if args else self._name
                text = f"{name}: {msg}"
                self.logger.log(level, text, *map(_shown, args), **kwargs)
        except BaseException as error:
            # On the main thread it may be KeyboardInterrupt, or the error of a signal
            # handler: raise those.
            if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread():
                raise
            with contextlib.suppress(Exception):
                sys.stderr.write(f"bybit_sync: a logging handler raised {type(error).__name__}\n")


def _shown(argument: object) -> object:
    return describe(argument) if isinstance(argument, BaseException) else argument
