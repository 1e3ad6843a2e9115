"""Reading rows as fast as Python can: a function for each shape of row, written when a row of that shape first comes.

A shape is the keys of a row in their order. The exchange writes a kind of row in one or two of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from bybit_sync.enums import quoted
from bybit_sync.leaves import SCOPE, Leaf, Misfit, are_plain
from bybit_sync.updates import NOTHING, draft_class

__all__ = ["Shapes"]

_LOG = logging.getLogger(__name__)

# A peer that invents shapes can make neither the functions many, nor one of them long.
_MOST = 64
_LONGEST = 256
_NAMES = 1_000  # unknown keys that are logged

Read = Callable[[Mapping[str, Any], Mapping[str, Any]], Any]
"""Makes an update out of a row, and of what is to be its `wire`."""


class Shapes(dict[tuple[str, ...], Read]):
    """What reads the rows of class *cls*, by their shape.

    *leaves* maps JSON keys to their leaves, *aliases* further keys to one of these. What is found here explains nothing:
    whatever it raises, the row has to be read thoroughly. Any thread: two that meet a new shape at once write the same.
    """

    def __init__(self, cls: type[Any], leaves: Mapping[str, Leaf], aliases: Mapping[str, str]) -> None:
        super().__init__()
        self._cls = cls
        self._draft = draft_class(cls)
        self._leaves = leaves
        self._attributes = {field.metadata["key"]: field.name for field in attrs.fields(cls) if "key" in field.metadata}
        self._aliases = aliases
        self._spellings = {key: (key, *(alias for alias, whose in aliases.items() if whose == key)) for key in self._attributes}
        self._scope = self._written_in()

    def __missing__(self, shape: tuple[str, ...]) -> Read:
        if len(self) >= _MOST or len(shape) > _LONGEST:
            return self.read_any
        try:
            self[shape] = self._write(shape)
        except Misfit:
            # The row cannot do without a key that is not there: this one finds it, and raises the same.
            self[shape] = self.read_any
        return self[shape]

    def read_any(self, row: Mapping[str, Any], wire: Mapping[str, Any]) -> Any:
        """Read a row of any shape, and with values that are not plain, value by value."""
        draft = self._draft()
        for key, name in self._attributes.items():
            spelling = self._spelling(key, row)
            setattr(draft, name, self._blank(key) if spelling is None else self._leaves[key].read(row[spelling]))
        draft.extra = extra_of({key: row[key] for key in self._strange(row)})
        draft.wire = wire
        draft.__class__ = self._cls
        return draft

    def _spelling(self, key: str, shape: Collection[str]) -> str | None:
        """Return under which key *shape* has what belongs to *key*; None when it has not."""
        return next((spelling for spelling in self._spellings[key] if spelling in shape), None)

    def _blank(self, key: str) -> Any:
        leaf = self._leaves[key]
        return leaf.read(leaf.blank)

    def _strange(self, shape: Iterable[str]) -> list[str]:
        return [key for key in shape if key not in self._leaves and key not in self._aliases]

    # --- writing ---

    def _written_in(self) -> dict[str, Any]:
        """Return the names that a written function uses. Every one is ours: nothing that the exchange sent is in its source."""
        scope: dict[str, Any] = {
            **SCOPE,
            "Draft": self._draft,
            "NOTHING": NOTHING,
            "Update": self._cls,
            "are_plain": are_plain,
            "extra_of": extra_of,
            "read_any": self.read_any,
        }
        for key, name in self._attributes.items():
            scope |= {f"read_{name}": self._leaves[key].read, f"known_{name}": self._leaves[key].known}
        return scope

    def _write(self, shape: tuple[str, ...]) -> Read:
        """Return the function that reads rows of *shape*. Raises `Misfit` when a key is not there that a row cannot do without.

        For a row of a symbol, a size, a time, a word and a key that nobody knows it is ::

            def read(row, wire):
                [symbol, size, updated_time, tpsl_mode, strange_4, ] = row.values()
                if not are_plain(('', size, updated_time, )):
                    return read_any(row, wire)
                draft = Draft()
                draft.symbol = symbol if symbol.__class__ is str and symbol else read_symbol(symbol)
                draft.size = ZERO if size == "0" else number(size) if size else None
                draft.updated_time = EPOCH + MILLISECOND * int(updated_time) if updated_time > "0" else read_updated_time(...)
                draft.tpsl_mode = known_tpsl_mode[tpsl_mode] if tpsl_mode in known_tpsl_mode else read_tpsl_mode(tpsl_mode)
                draft.side = blank_side
                draft.extra = extra_of(dict(zip(strange, (strange_4, ))))
                draft.wire = wire
                draft.__class__ = Update
                return draft
        """
        spellings = {key: self._spelling(key, shape) for key in self._attributes}
        told = {spelling: self._attributes[key] for key, spelling in spellings.items() if spelling is not None}
        variables = {key: told.get(key, f"strange_{place}") for place, key in enumerate(shape)}
        scope = self._scope | {"strange": tuple(self._strange(shape))}
        blanks = {self._attributes[key]: self._blank(key) for key, spelling in spellings.items() if spelling is None}
        scope |= {f"blank_{name}": blank for name, blank in blanks.items()}
        exec("\n".join(self._lines(variables, told, blanks, scope["strange"])), scope)  # noqa: S102 - every name in it is ours
        return scope["read"]  # type: ignore[no-any-return]

    def _lines(
        self, variables: Mapping[str, str], told: Mapping[str, str], blanks: Mapping[str, Any], strange: tuple[str, ...]
    ) -> Iterable[str]:
        leaves = {name: self._leaves[self._aliases.get(key, key)] for key, name in told.items()}
        yield "def read(row, wire):"
        yield f"    [{''.join(f'{variable}, ' for variable in variables.values())}] = row.values()"
        yield f"    if not are_plain(('', {''.join(f'{name}, ' for name, leaf in leaves.items() if leaf.is_plain)})):"
        yield "        return read_any(row, wire)"
        yield "    draft = Draft()"
        for name, leaf in leaves.items():
            yield f"    draft.{name} = {leaf.quick.format(x=name)}"
        for name in blanks:
            yield f"    draft.{name} = blank_{name}"
        kept = "".join(f"{variables[key]}, " for key in strange)
        yield f"    draft.extra = {f'extra_of(dict(zip(strange, ({kept}))))' if strange else 'NOTHING'}"
        yield "    draft.wire = wire"
        yield "    draft.__class__ = Update"
        yield "    return draft"


_unknown_keys: set[str] = set()


def extra_of(extra: dict[str, Any]) -> Mapping[str, Any]:
    """Return *extra*, keys that nobody knows and their values, read-only."""
    if not extra:
        return NOTHING
    if _LOG.isEnabledFor(logging.DEBUG):
        for name in {quoted(key) for key in extra} - _unknown_keys:
            if len(_unknown_keys) < _NAMES:
                _unknown_keys.add(name)
                _LOG.debug("a new key of the exchange, %s; it is delivered in extra", name)
    return MappingProxyType(extra)
