"""A recorder that lacks something: the client goes on, and whoever asks is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest

from bybit_sync import Client, Recorder
from bybit_sync.simulator import Account


class Lines:
    """What can be written to, and nothing else."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str, /) -> int:
        """Take *text*."""
        self.text += text
        return len(text)


def push_and_get(client: Client, account: Account) -> None:
    """Make sure that *client* works."""
    orders = client.subscribe_orders()
    account.push("orders", [{"category": "linear", "orderId": "one"}])
    assert orders.get(timeout=5).data[0].order_id == "one"


def test_a_recorder_that_gets_no_thread_ends_alone(
    account: Account, make_client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    """Its `error` says why, and so does the log; the client works, and closes as any other."""
    start = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if "-recorder" in thread.name:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    recorder = Recorder(lines := Lines())  # type: ignore[arg-type]
    push_and_get(make_client(record=recorder), account)
    assert str(recorder.error) == "can't start new thread"
    assert "can't start new thread" in log.text
    assert lines.text == ""


def test_what_can_only_be_written_to_is_enough(account: Account, make_client: Callable[..., Client]) -> None:
    """Neither `flush` nor `close` is missed."""
    recorder = Recorder(lines := Lines())  # type: ignore[arg-type]
    client = make_client(record=recorder)
    push_and_get(client, account)
    assert client.close()
    written = [json.loads(line) for line in lines.text.splitlines()]
    assert "one" in written[-2]["frame"]
    assert (len(written), recorder.error) == (recorder.frames, None)
