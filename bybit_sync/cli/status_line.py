"""The status line of a client, and texts of durations, sizes and gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from bybit_sync.cli.board import Board
from bybit_sync.cli.columns import BAD, GOOD
from bybit_sync.model.events import Gap, Stream
from bybit_sync.status import Health, State
from bybit_sync.text import printable

__all__ = ["StatusLine", "counted", "gap_text", "of_client", "seconds_text", "size_text"]

_STATE_STYLES: Final = {State.LIVE: GOOD, State.FAILED: BAD, State.CLOSED: BAD, State.BACKING_OFF: BAD}


@attrs.frozen
class StatusLine:
    """A status line: *state*, its *style* (good or bad), and *facts*.

    *trusted* is False while rows may be outdated.
    """

    state: str
    style: str = ""
    trusted: bool = True
    facts: Sequence[str] = ()


def of_client(health: Health, board: Board) -> StatusLine:
    """Return *health* as one line of 80 columns."""
    lags = [(s.last_push_age, s.last_push_lag) for s in health.subscriptions if s.last_push_age is not None]
    lag = min(lags)[1] if lags else None
    facts = [
        f"ping {seconds_text(health.ping_rtt)}",
        f"push {seconds_text(lag)}",
        f"silent {seconds_text(health.last_frame_age)}",
        counted(health.reconnects, "reconnect"),
        counted(board.gaps, "gap"),
        *([f"{board.recovered:,} recovered"] if board.recovered else []),
    ]
    return StatusLine(health.state.value, _STATE_STYLES.get(health.state, ""), health.state is State.LIVE, facts)


def seconds_text(seconds: float | None) -> str:
    """Return *seconds* in about three digits with a fitting unit; "-" for None."""
    if seconds is None:
        return "-"
    if abs(seconds) < 1:
        return f"{round(seconds * 1e3)} ms"
    return f"{seconds:.1f} s" if abs(seconds) < 100 else f"{seconds:.0f} s"  # noqa: PLR2004 - three digits


def size_text(size: int) -> str:
    """Return *size* in bytes with a fitting unit."""
    for unit, many in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= many:
            return f"{size / many:.1f} {unit}"
    return f"{size} B"


def counted(number: int, thing: str) -> str:
    """Return *number* and *thing*, as in "1 gap" and "2 gaps"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def gap_text(gap: Gap, stream: Stream | None = None, *, why: bool = True) -> str:
    """Return *gap* as one line; *why* adds the cause."""
    where = f"{stream.value.replace('_', ' ')}: " if stream else ""
    span = f"{gap.since:%H:%M:%S} to {gap.until:%H:%M:%S}"
    what = "ended" if gap.error is not None and gap.reason == "ENDED" else "updates may be missing"
    what = "missing updates are being read" if gap.recovering else what
    many = "" if gap.missed is None else f", {gap.missed:,} missed"
    reason = (gap.detail or (str(gap.error) if gap.error else "")) if why else ""
    return printable(f"{where}{what} ({gap.reason.value}, {span}{many}){f': {reason}' if reason else ''}", 1_000)
