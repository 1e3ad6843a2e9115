"""Taking the account out of frames: its number becomes another one, everywhere the same.

Bybit writes the number into the ``id`` of every envelope (in half a dozen ways), and into the order ids of funding. Nothing
else of a frame is touched, by a byte.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

__all__ = ["Scrubber"]

# What needs no escape is taken in one step, without memory for each character.
_TEXT: Final = r'"[^"\\]*(?:\\.[^"\\]*)*"'
# Keys that may name an owner, found by how they end: patterns that begin with plain letters are searched for fast. A key is
# followed by a colon, and stands in plain quotes: no text that holds quotes of its own can look like one.
_ENDS: Final = tuple(re.compile(rf'({end}"\s*:\s*)({_TEXT}|[0-9]+)') for end in ("id", "Id", "ID"))
_OWNER: Final = re.compile(r"(?i:id|uid|[a-z_]*(?:_uid|(?:user|member|account)_?id))|[a-z]+U(?:id|ID)")
_IDS_AND_WORDS: Final = re.compile(rf'("(?:[A-Za-z_]*[iI][dD]|ret_?[mM]sg)"\s*:\s*)({_TEXT})')
_WORDS: Final = re.compile(rf'"ret_?[mM]sg"\s*:\s*({_TEXT})')
_NUMBER_IN_WORDS: Final = re.compile(r"(?<![0-9])(\d{6,12})(?![0-9])")
_FUNDING: Final = re.compile(r"(?<=\d-)([A-Z0-9]+-)(\d{5,})(?=-(?:Buy|Sell)\b)")
# How the number stands in an envelope's id.
_HIDEOUTS: Final = (
    re.compile(r'"(\d{5,12})[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"'),
    re.compile(r'"(\d{5,12})_'),
    re.compile(r'"\d{16,}-(\d{5,12})-'),
    re.compile(r'"(\d{5,12})-\d+-\d+"'),
)
_NUMBER: Final = re.compile(r'"?(\d{5,12})"?')
# A peer that invents numbers cannot make this grow.
_MOST_NUMBERS: Final = 16
# Python refuses to print thousands of digits, and takes long to.
_MOST_DIGITS: Final = 38


class Scrubber:
    """Gives every id another one; the same id the same one, and nobody without *salt* can tell which it was."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._numbers: dict[str, re.Pattern[str]] = {}

    def scrub(self, text: str) -> str:
        """Return *text*, a frame, without the account's number; what was JSON still is."""
        for pattern in _ENDS:
            text = pattern.sub(self._owner, text)
        if '"ret' in text:
            self._learn_from_words(text)
        if "-Buy" in text or "-Sell" in text:
            text = _FUNDING.sub(lambda found: found[1] + self._digits(found[2]), text)
        # Learned from the ids so far: it may also stand in the midst of another one, or of a refusal.
        if any(number in text for number in self._numbers):
            text = _IDS_AND_WORDS.sub(lambda found: found[1] + self.scrub_words(found[2]), text)
        return text

    def scrub_words(self, text: str) -> str:
        """Return *text*, which is no frame, without the numbers that were met so far."""
        for number, pattern in self._numbers.items():
            text = pattern.sub(self._digits(number), text)
        return text

    def _owner(self, found: re.Match[str]) -> str:
        """Return what is to stand in the place of *found*, the end of a key and its value."""
        key = found.string[found.string.rfind('"', 0, found.start()) + 1 : found.start() + 2]
        if not _OWNER.fullmatch(key):
            return found[0]
        before, value = found.groups()
        return before + (self._identity(value) if key.lower() == "id" else self._number(value))

    def _identity(self, value: str) -> str:
        """Return another id for *value*, that of an envelope, which may hold the account's number somewhere."""
        self._learn(next(filter(None, (hideout.match(value) for hideout in _HIDEOUTS)), None))
        if value[0] != '"' or value == '""':
            return self._number(value)
        return f'"{self._hash(value).hex()}"'

    def _number(self, value: str) -> str:
        """Return another owner for *value*: a number, also as a text, or a name."""
        self._learn(_NUMBER.fullmatch(value))
        content = value.strip('"')
        if content.isdecimal():
            return value.replace(content, self._digits(content))
        return f'"{self._hash(content).hex()}"' if content else value

    def _learn_from_words(self, text: str) -> None:
        # A refusal may come before any id was seen: a long number in it is taken for one.
        for words in _WORDS.finditer(text):
            for number in _NUMBER_IN_WORDS.finditer(words[1]):
                self._learn(number)

    def _learn(self, found: re.Match[str] | None) -> None:
        if found is not None and len(self._numbers) < _MOST_NUMBERS:
            self._numbers.setdefault(found[1], re.compile(rf"(?<![0-9]){found[1]}(?![0-9])"))

    def _digits(self, number: str) -> str:
        """Return a number of as many digits, or of as many as an account's number can have."""
        least: int = 10 ** (min(len(number), _MOST_DIGITS) - 1)
        return str(least + int.from_bytes(self._hash(number), "big") % (9 * least))

    def _hash(self, text: str) -> bytes:
        return blake2b(text.encode(errors="surrogatepass"), digest_size=16, key=self._salt).digest()
