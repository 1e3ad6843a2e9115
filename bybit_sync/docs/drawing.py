"""State diagrams, as Mermaid text and as SVG, from a table of the next states."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Final

__all__ = ["mermaid", "parsed", "svg"]

States = Mapping[str, Mapping[str, str]]

# The size of the drawing, in pixels.
_LEFT: Final = 370  # of the boxes: arrows to an earlier state are on this side
_BOX: Final = (140, 34)
_STEP: Final = 92
_BEND: Final = 110  # how far an arrow bends for each state that it passes

_HEAD: Final = """<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}"
 font-family="sans-serif" font-size="13"><defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4"
 markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#555"/></marker></defs>
<rect width="100%" height="100%" fill="white"/>
"""


def mermaid(states: States) -> str:
    """Return the diagram of *states* as Mermaid text: a line for each arrow.

    *states* has for each state the next ones, each with the reason for the change.
    """
    arrows = [f"    {state} --> {after}: {why}" for state, nexts in states.items() for after, why in nexts.items()]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {next(iter(states))}", *arrows])


def parsed(text: str) -> dict[str, dict[str, str]]:
    """Return the table from which `mermaid` wrote *text*."""
    states: dict[str, dict[str, str]] = {}
    for line in text.splitlines()[2:]:
        arrow, _, why = line.strip().partition(": ")
        state, _, after = arrow.partition(" --> ")
        states.setdefault(state, {})[after] = why
    return {**states, **{after: {} for nexts in states.values() for after in nexts if after not in states}}


def svg(states: States) -> str:
    """Return the diagram of *states* as SVG.

    The states stand below each other; an arrow down is on the right of them, an arrow
    up on the left. A state that ends all others has a note instead of arrows.
    """
    names = list(states)
    always = {name for name in names if all(name in nexts for nexts in states.values() if nexts)}
    boxes = [_box(number, name, _note(states, name) if name in always else "") for number, name in enumerate(names)]
    arrows = [
        _arrow(number, names.index(after), why)
        for number, name in enumerate(names)
        for after, why in states[name].items()
        if after not in always
    ]
    size = (2 * _LEFT + _BOX[0], _STEP * len(names))
    # Every text comes after every arrow: no arrow crosses out a text.
    return _HEAD.format(*size) + "\n".join([line for line, _ in arrows] + boxes + [text for _, text in arrows]) + "\n</svg>\n"


def _note(states: States, name: str) -> str:
    reasons = {nexts[name]: None for nexts in states.values() if nexts}
    return f"from each state above: {', '.join(reasons)}"


def _middle(number: int) -> int:
    return _STEP * number + _STEP // 2


def _box(number: int, name: str, note: str) -> str:
    width, height = _BOX
    x, y = _LEFT + width // 2, _middle(number)
    return (
        f'<rect x="{_LEFT}" y="{y - height // 2}" width="{width}" height="{height}" rx="8" fill="#eef" stroke="#336"/>\n'
        f'<text x="{x}" y="{y + 5}" text-anchor="middle" font-weight="bold">{escape(name)}</text>\n'
        f'<text x="{x}" y="{y + height}" text-anchor="middle" fill="#555">{escape(note)}</text>'
    )


def _arrow(begin: int, end: int, why: str) -> tuple[str, str]:
    """Return the arrow from the box *begin* to the box *end*, and its reason."""
    down = end > begin
    side = 1 if down else -1
    edge = _LEFT + (_BOX[0] if down else 0)
    # Arrows that begin and end at one box keep a distance from each other.
    y, until = _middle(begin) + 7 * side, _middle(end) - 7 * side
    bend = edge + side * (_BEND * abs(end - begin) - 14)
    label, anchor = (edge + bend) / 2 + side * abs(bend - edge) / 4 + side * 6, "start" if down else "end"
    curve = f"M{edge} {y} C{bend} {y} {bend} {until} {edge} {until}"
    place = f'x="{label}" y="{(y + until) / 2 + 4}" text-anchor="{anchor}"'
    return (
        f'<path d="{curve}" fill="none" stroke="#555" marker-end="url(#end)"/>',
        f'<text {place} stroke="white" stroke-width="4" paint-order="stroke">{escape(why)}</text>',
    )
