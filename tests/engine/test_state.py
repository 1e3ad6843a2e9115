"""The state of a client, which several threads change."""

from __future__ import annotations

from datetime import datetime, timezone

from bybit_sync import AuthenticationError, State
from bybit_sync.engine.state import ClientState


def test_a_call_just_before_the_end_does_not_hide_the_error() -> None:
    """A `subscribe_*` clears the last error; one that does so between the error and FAILED loses nothing."""
    now, error = datetime.now(timezone.utc), AuthenticationError("refused")
    state = ClientState(now)
    state.change(State.CONNECTING, now)
    state.set_error(error)
    state.clear_error()
    assert state.change(State.FAILED, now, error) is State.CONNECTING
    assert state.error is error
