"""The replacement of account numbers in frames.

A number gets the same replacement everywhere in a recording. Bybit writes it into the
``id`` of every envelope, in half a dozen forms, and into the order ids of funding. No
other byte of a frame is changed.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

__all__ = ["Scrubber"]

# Characters without escapes are matched in one step, which needs no memory for each of
# them.
_TEXT: Final = r'"[^"\\]*(?:\\.[^"\\]*)*"'
# Keys that may name an owner, matched by their ends: the search is fast for a pattern
# that begins with plain letters. A key is in unescaped quotes before a colon, so no
# part of a string value can look like one.
_ENDS: Final = tuple(re.compile(rf'({end}"\s*:\s*)({_TEXT}|[0-9]+)') for end in ("id", "Id", "ID"))
_OWNER: Final = re.compile(r"(?i:id|uid|[a-z_]*(?:_uid|(?:user|member|account)_?id))|[a-z]+U(?:id|ID)")
_IDS_AND_WORDS: Final = re.compile(rf'("(?:[A-Za-z_]*[iI][dD]|ret_?[mM]sg)"\s*:\s*)({_TEXT})')
_WORDS: Final = re.compile(rf'"ret_?[mM]sg"\s*:\s*({_TEXT})')
_NUMBER_IN_WORDS: Final = re.compile(r"(?<![0-9])(\d{6,12})(?![0-9])")
_FUNDING: Final = re.compile(r"(?<=\d-)([A-Z0-9]+-)(\d{5,})(?=-(?:Buy|Sell)\b)")
# The forms in which an envelope's id holds the number.
_HIDEOUTS: Final = (
    re.compile(r'"(\d{5,12})[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"'),
    re.compile(r'"(\d{5,12})_'),
    re.compile(r'"\d{16,}-(\d{5,12})-'),
    re.compile(r'"(\d{5,12})-\d+-\d+"'),
)
_NUMBER: Final = re.compile(r'"?(\d{5,12})"?')
# A bound on memory, for a peer that invents numbers.
_MOST_NUMBERS: Final = 16
# A bound on digits: printing an int of thousands of digits is slow, and Python refuses
# it.
_MOST_DIGITS: Final = 38


class Scrubber:
    """A keyed replacement of ids: equal ids get equal replacements.

    They cannot be reversed without *salt*.
    """

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._numbers: dict[str, re.Pattern[str]] = {}

    def scrub(self, text: str) -> str:
        """Return *text*, a frame, with the account's number replaced.

        Valid JSON stays valid.
        """
        for pattern in _ENDS:
            text = pattern.sub(self._owner, text)
        if '"ret' in text:
            self._learn_from_words(text)
        if "-Buy" in text or "-Sell" in text:
            text = _FUNDING.sub(lambda found: found[1] + self._digits(found[2]), text)
        # A number from earlier ids may also be part of another id, or of the text of a
        # refusal.
        if any(number in text for number in self._numbers):
            text = _IDS_AND_WORDS.sub(lambda found: found[1] + self.scrub_words(found[2]), text)
        return text

    def scrub_words(self, text: str) -> str:
        """Return *text*, not a frame, with the numbers of earlier frames replaced."""
        for number, pattern in self._numbers.items():
            text = pattern.sub(self._digits(number), text)
        return text

    def _owner(self, found: re.Match[str]) -> str:
        """Return the replacement for *found*, the end of a key and its value."""
        key = found.string[found.string.rfind('"', 0, found.start()) + 1 : found.start() + 2]
        if not _OWNER.fullmatch(key):
            return found[0]
        before, value = found.groups()
        return before + (self._identity(value) if key.lower() == "id" else self._number(value))

    def _identity(self, value: str) -> str:
        """Return the replacement for *value*, an envelope's id.

        It may contain the account's number.
        """
        self._learn(next(filter(None, (hideout.match(value) for hideout in _HIDEOUTS)), None))
        if value[0] != '"' or value == '""':
            return self._number(value)
        return f'"{self._hash(value).hex()}"'

    def _number(self, value: str) -> str:
        """Return the replacement for *value*, an owner.

        It is a number, a number as text, or a name.
        """
        self._learn(_NUMBER.fullmatch(value))
        content = value.strip('"')
        if content.isdecimal():
            return value.replace(content, self._digits(content))
        return f'"{self._hash(content).hex()}"' if content else value

    def _learn_from_words(self, text: str) -> None:
        # A refusal may come before the first id: treat a long number in its text as an
        # account's.
        for words in _WORDS.finditer(text):
            for number in _NUMBER_IN_WORDS.finditer(words[1]):
                self._learn(number)

    def _learn(self, found: re.Match[str] | None) -> None:
        if found is not None and len(self._numbers) < _MOST_NUMBERS:
            self._numbers.setdefault(found[1], re.compile(rf"(?<![0-9]){found[1]}(?![0-9])"))

    def _digits(self, number: str) -> str:
        """Return a replacement with as many digits as *number*, up to the maximum.

        The maximum is that of an account's number.
        """
        least: int = 10 ** (min(len(number), _MOST_DIGITS) - 1)
        return str(least + int.from_bytes(self._hash(number), "big") % (9 * least))

    def _hash(self, text: str) -> bytes:
        return blake2b(text.encode(errors="surrogatepass"), digest_size=16, key=self._salt).digest()
