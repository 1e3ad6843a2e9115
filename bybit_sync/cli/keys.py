"""The key: from the environment, a private file or a prompt, never an argument."""

from __future__ import annotations

import getpass
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from bybit_sync.errors import ConfigurationError

__all__ = ["Key", "find_key", "key_in", "read_key_file"]

KEY, SECRET = "BYBIT_API_KEY", "BYBIT_API_SECRET"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_REMEDY: Final = f"export {KEY} and {SECRET}, give --key-file FILE, or answer the prompt on a terminal"


class Key(NamedTuple):
    """A key and its secret."""

    key: str
    secret: str

    def __repr__(self) -> str:
        return "<Key>"


def find_key(file: str | None) -> Key:
    """Return the key in *file*, or without a file the one of the environment.

    On a terminal a prompt asks for a missing one.

    Raises `ConfigurationError` when there is none.
    """
    return key_in(os.environ if file is None else read_key_file(file), file)


def key_in(known: Mapping[str, str], file: str | None) -> Key:
    """Return the key among the variables *known*, which are those of *file*.

    Asks and raises as `find_key`.
    """
    where = "" if file is None else f" in {file}"
    return Key(_known(known, KEY, where), _known(known, SECRET, where))


def read_key_file(name: str) -> Mapping[str, str]:
    """Return the variables in the file *name*, a ``NAME=value`` a line.

    Raises `ConfigurationError` when other users can read it, and when it cannot be
    read.
    """
    try:
        # Check and read through one descriptor: the file cannot be exchanged in
        # between.
        with Path(name).open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and mode & _OTHERS:
                raise ConfigurationError(f"--key-file: others can read {name} (mode {mode & 0o777:o}): chmod 600 {name}")
            return dict(_assignments(file.read(), name))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(f"--key-file: {name} cannot be read: {why}") from None


def _assignments(text: str, name: str) -> list[tuple[str, str]]:
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    found = []
    for number, line in lines:
        if not line or line.startswith("#"):
            continue
        variable, equals, value = line.removeprefix("export ").partition("=")
        if not equals:
            # The line itself is not shown: it may be the secret.
            raise ConfigurationError(f"--key-file: line {number} of {name} is not NAME=value, as in {KEY}=...")
        found.append((variable.strip(), value.strip().strip("\"'")))
    return found


def _known(known: Mapping[str, str], variable: str, where: str) -> str:
    if value := known.get(variable):
        return value
    if where or not sys.stdin.isatty():
        raise ConfigurationError(f"{variable} is not set{where}: {_REMEDY}")
    return _asked(variable)


def _asked(variable: str) -> str:
    try:
        value = getpass.getpass(f"{variable} (not shown): ").strip()
    except EOFError:
        value = ""
    if not value:
        raise ConfigurationError(f"{variable} was left empty: {_REMEDY}")
    return value
