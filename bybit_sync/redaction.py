"""Take keys and signatures out of the texts that leave the library.

These are logs, errors, gaps and recordings.

An exchange may echo the login in any of its texts: whole, in pieces, in another case,
escaped for JSON.
"""

from __future__ import annotations

import logging
import re
import weakref
from collections.abc import Callable, Collection
from typing import Final

__all__ = ["Redactor", "get_logger", "seal"]

MASK: Final = b"***"
# Texts are searched for pieces of this size, cut from the secret side by side: any echo
# of 15 or more characters holds one of them.
_PIECE: Final = 8
# Words, and JSON escapes, which separate words.
_TOKEN: Final = re.compile(rb"\\u[0-9a-fA-F]{4}|\\.|[\w+/=-]+")
# JSON escapes of characters that need none, and escaped backslashes.
_ESCAPED: Final = re.compile(r"\\(?:\\|/|u00([2-7][0-9a-fA-F]))")
_PLAIN: Final = re.compile(r"[\w+/=.:-]", re.ASCII)

Pieces = Collection[bytes]

# The redactors of every client of this process, by identity. Clients come and go while
# others log: it is changed and copied in one atomic step each, so that no thread
# iterates over it while another changes it.
_redactors: Final[dict[int, weakref.ref[Redactor]]] = {}


def seal(secret: str) -> Callable[[], str]:
    """Return a function that returns *secret*.

    A dump of local variables shows the function instead.
    """
    return lambda: secret


class Redactor:
    """A filter that takes the secrets of one client out of texts. Any thread.

    The secrets live in a closure: no attribute, repr or captured local holds them.
    """

    def __init__(self) -> None:
        self._pieces: Callable[[], Pieces] = tuple
        place = id(self)
        _redactors[place] = weakref.ref(self, lambda _: _redactors.pop(place, None))

    def learn(self, *secrets: Callable[[], str]) -> None:
        """Replace the known secrets by *secrets*.

        One of less than 8 characters is ignored.
        """
        pieces = frozenset(piece for secret in secrets for piece in _pieces_of(secret()))
        self._pieces = lambda: pieces

    def redact(self, text: str) -> str:
        """Return *text* with asterisks for each word that holds a part of a secret.

        JSON stays JSON.
        """
        return _redact(text, self._pieces())

    def __repr__(self) -> str:
        return "<Redactor>"


def _pieces_of(secret: str) -> list[bytes]:
    data = secret.encode(errors="surrogatepass").lower()
    if len(data) < _PIECE:
        return []
    starts = [*range(0, len(data) - _PIECE, _PIECE), len(data) - _PIECE]
    # A piece of digits could be part of any number.
    return [piece for at in starts if not (piece := data[at : at + _PIECE]).isdigit() or len(data) == _PIECE]


def _redact(text: str, pieces: Pieces) -> str:
    data = _unescaped(text).encode(errors="surrogatepass")
    lowered = data.lower()
    found = [piece for piece in pieces if piece in lowered]
    return _masked(data, found).decode(errors="surrogatepass") if found else text


def _unescaped(text: str) -> str:
    """Return *text* without the JSON escapes of letters and digits, which need none."""
    return _ESCAPED.sub(_meant, text) if "\\" in text else text


def _meant(found: re.Match[str]) -> str:
    meant = chr(int(found[1], 16)) if found[1] else found[0][-1]
    return meant if _PLAIN.match(meant) else found[0]


def _masked(data: bytes, found: Pieces) -> bytes:
    # First whole words, because a piece is any part of a secret; then pieces outside of
    # words.
    pattern = re.compile(b"|".join(map(re.escape, found)), re.IGNORECASE)
    words = _TOKEN.sub(lambda word: MASK if pattern.search(word[0]) else word[0], data)
    return pattern.sub(MASK, words)


# --- logs ---


class _Filter(logging.Filter):
    """A logging filter that redacts the secrets of every client of the process."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True, with *record* redacted.

        A record without a secret keeps its arguments.
        """
        text = redacted = record.getMessage()
        for redactor in _redactors.copy().values():
            known = redactor()
            redacted = redacted if known is None else known.redact(redacted)
        if redacted != text:
            record.msg, record.args = redacted, None
        return True


_filter: Final = _Filter()


def get_logger(name: str) -> logging.Logger:
    """Return the logger *name*, with redacted records.

    Every logger of the library is made here.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_filter)
    return logger
