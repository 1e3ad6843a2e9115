"""Recording: what crosses the wire is written down, without what is secret, and costs the streams nothing."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import io
import json
import logging
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bybit_sync
from bybit_sync import Client, ConfigurationError, Recorder, State, Subscription, SubscriptionRejected
from bybit_sync.recording import files
from bybit_sync.recording import recorder as recording
from bybit_sync.recording.format import BEGINNING
from bybit_sync.simulator import Account, Exchange
from tests.conftest import KEY, SECRET, threads_of
from tests.faults.pace import until
from tests.searching import examples

MakeClient = Callable[..., Client]


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the lines of the recording *path*."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def said(line: dict[str, Any]) -> str:
    """Return what a line is about: op or topic of the frame."""
    frame = json.loads(line["frame"]) if line["direction"] != "lost" else {}
    return f"{line['direction']} {frame.get('op') or frame.get('topic', '')}".strip()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where it is recorded."""
    return tmp_path / "session.jsonl"


def errors(log: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged as an ERROR."""
    return [record.getMessage() for record in log.records if record.levelno >= logging.ERROR]


# --- what is written ---


def test_every_frame_is_written(path: Path, make_client: MakeClient, exchange: Exchange, account: Account) -> None:
    """Both ways and in order, and why the connection ended."""
    client = make_client(record=path, categories=["linear"], ping_interval=60)
    orders = client.subscribe_orders()
    exchange.wait_for(lambda: client.health().ping_rtt is not None)
    account.push("orders", [{"category": "linear"}])
    orders.get(timeout=5)
    exchange.drop(code=1001, reason="later")
    orders.get(timeout=5)
    exchange.wait_for(lambda: client.health().ping_rtt is not None)
    client.close()
    login = ["out auth", "in auth", "out ping", "out subscribe", "in pong", "in subscribe"]
    first = [*login, "in order.linear", "lost"]
    heard = [said(line) for line in lines_of(path)]
    assert sorted(heard[:6]) == sorted(login)
    assert heard[6:8] == first[6:]
    assert sorted(heard[8:14]) == sorted(login)
    assert heard[14:] == ["lost"]
    lost = [line["frame"] for line in lines_of(path) if line["direction"] == "lost"]
    assert "1001 later" in lost[0]
    assert lost[1] == "the client closed the connection"


def test_a_line_has_both_clocks(path: Path, make_client: MakeClient, account: Account) -> None:
    """The moments are those of the event."""
    client = make_client(record=path)
    orders = client.subscribe_orders()
    account.push("orders", [{"category": "linear"}])
    event = orders.get(timeout=5)
    client.close()
    (line,) = [line for line in lines_of(path) if said(line) == "in order.linear"]
    assert list(line) == ["recv_ns", "recv_utc", "direction", "frame"]
    assert line["recv_ns"] == event.received_ns
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["recv_utc"])
    assert datetime.fromisoformat(line["recv_utc"].replace("Z", "+00:00")) == event.received_at


def test_the_file_is_its_owners(path: Path, make_client: MakeClient, account: Account) -> None:
    """Nobody else may read what somebody trades."""
    before = os.umask(0)
    try:
        make_client(record=path).subscribe_orders()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="modes say nothing of readers elsewhere")
def test_an_older_file_that_others_can_read_is_closed_to_them(
    path: Path, make_client: MakeClient, account: Account, log: pytest.LogCaptureFixture
) -> None:
    """One WARNING says so; what it holds stays."""
    path.write_text('{"recv_ns": 1, "recv_utc": "2026-01-01T00:00:00.000000Z", "direction": "lost", "frame": ""}\n')
    path.chmod(0o664)
    for _ in range(2):
        client = make_client(record=path)
        client.subscribe_orders()
        assert client.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith('{"recv_ns": 1,')
    (warning,) = [text for text in log.messages if "by others" in text]
    assert f"the recording {path} could be read by others (mode 0664)" in warning


def test_close_does_not_wait_until_a_disk_is_open(path: Path, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connecting gives it up at once, however long it would wait; and the client ends at its timeout."""
    monkeypatch.setattr(recording, "_OPENING", 60.0)
    opening, over = threading.Event(), threading.Event()

    def hang() -> None:
        opening.set()
        over.wait(60)

    recorder = Recorder(path)
    monkeypatch.setattr(recorder._writer.output, "open", hang)
    client = make_client(record=recorder)
    client.subscribe_orders(wait=False)
    assert opening.wait(20)
    client.close(timeout=0)
    assert client._engine._worker._ended.wait(20)
    assert client.state is State.CLOSED
    over.set()
    assert client.close(20)


def test_nothing_is_touched_before_connecting(path: Path, make_client: MakeClient) -> None:
    """No file, no thread."""
    client = make_client(record=path)
    assert not path.exists()
    assert threads_of(client) == []


def test_closing_writes_the_rest(path: Path, make_client: MakeClient, account: Account) -> None:
    """When `close` has returned True, all is in the file, and the thread is gone."""
    client = make_client(record=path)
    orders = client.subscribe_orders()
    account.flood(500)
    while orders.get(timeout=5).data[0].order_id != "flood-500":
        pass
    assert client.close()
    assert f"{client.name}-recorder" not in [thread.name for thread in threading.enumerate()]
    assert "flood-500" in path.read_text()


def test_what_arrived_is_in_the_file_within_a_second(path: Path, make_client: MakeClient, account: Account) -> None:
    """Without closing; the deadline is generous, the machine may be busy."""
    client = make_client(record=path)
    client.subscribe_orders()
    account.push("orders", [{"category": "linear", "orderId": "soon"}])
    deadline = time.monotonic() + 10
    while "soon" not in path.read_text():
        assert time.monotonic() < deadline
        assert f"{client.name}-recorder" in threads_of(client)


def test_a_client_that_was_idle_goes_on_in_its_file(
    path: Path, make_client: MakeClient, exchange: Exchange, account: Account
) -> None:
    """A first subscribe that fails closes the connection, and the file; the next one appends."""
    exchange.refuse_topic("order.linear", times=1)
    client = make_client(record=path)
    with pytest.raises(SubscriptionRejected):
        client.subscribe_orders()
    client.subscribe_orders()
    client.close()
    assert [said(line) for line in lines_of(path)].count("out auth") == 2


def test_an_open_text_file_is_written_to_and_left_open(make_client: MakeClient, account: Account) -> None:
    """It is the user's."""
    file = io.StringIO()
    client = make_client(record=file)
    client.subscribe_orders()
    client.close()
    assert not file.closed
    assert all(line.startswith(BEGINNING.decode()) for line in file.getvalue().splitlines())
    assert "out auth" in [said(json.loads(line)) for line in file.getvalue().splitlines()]


def test_a_recorder_counts(path: Path, make_client: MakeClient, account: Account) -> None:
    """Frames and bytes, for a line of progress."""
    recorder = Recorder(path)
    client = make_client(record=recorder)
    client.subscribe_orders()
    client.close()
    assert recorder.frames == len(lines_of(path)) > 5
    assert recorder.bytes == path.stat().st_size
    assert repr(recorder) == f"<Recorder {path}: {recorder.frames} frames>"


# --- secrets ---


@pytest.mark.parametrize("refused", [False, True])
def test_nothing_secret_is_in_the_file(
    path: Path, make_client: MakeClient, exchange: Exchange, account: Account, dialect: str, *, refused: bool
) -> None:
    """Neither key nor secret, signature or account number, in no spelling, also when the exchange echoes them."""
    signatures: list[str] = []

    def sign(text: str) -> str:
        signatures.append(hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest())
        if refused:
            exchange.refuse_login(f"error: key {KEY} sign {signatures[-1]} of {account.uid}", times=1)
        return signatures[-1]

    client = make_client(KEY, None, signer=sign, record=path, dialect=dialect)
    if refused:
        with pytest.raises(bybit_sync.AuthenticationError):
            client.subscribe_orders()
        refused = False
    streams: list[Subscription[Any]] = [
        client.subscribe_orders(),
        client.subscribe_positions(),
        client.subscribe_user_trades(),
        client.subscribe_balances(),
    ]
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    echo = {"op": "hello", "key": KEY, "sign": signatures[-1], "uid": int(account.uid), "ret_msg": f"hello {account.uid}"}
    # That of the login that was refused may still be there.
    exchange.wait_for(lambda: len(exchange.connections) == 1)
    exchange.connections[0].send_raw(json.dumps(echo))
    for stream in streams:
        stream.get(timeout=5)
    exchange.drop(code=1001, reason=f"bye {KEY} {signatures[-1]} {account.uid}")
    streams[0].get(timeout=5)
    client.close()
    content = path.read_text()
    assert "in hello" in [said(line) for line in lines_of(path)]
    for secret in (KEY, SECRET, account.uid, *signatures):
        for spelling in (
            secret,
            secret[:-1],
            secret.encode().hex(),
            base64.b64encode(secret.encode()).decode().rstrip("=")[:-1],
        ):
            assert spelling not in content


def test_a_login_tells_whose_it_was_and_where(
    path: Path, make_client: MakeClient, exchange: Exchange, account: Account
) -> None:
    """Where key and signature were."""
    client = make_client(record=path, name="mine")
    client.subscribe_orders()
    client.close()
    name, expires, place = json.loads(lines_of(path)[0]["frame"])["args"]
    assert (name, type(expires), place) == ("mine", int, exchange.url)


# --- files ---


def test_a_second_run_appends(path: Path, make_client: MakeClient, account: Account) -> None:
    """Nothing of the first is lost."""
    for _ in range(2):
        client = make_client(record=path)
        client.subscribe_orders()
        client.close()
    assert [said(line) for line in lines_of(path)].count("out auth") == 2


@pytest.mark.parametrize("left", ['{"recv_ns": 17, "recv_', '{"recv_ns": 1, "frame": "' + "x" * 200_000])
def test_what_a_kill_left_of_a_line_is_cut_off(path: Path, make_client: MakeClient, account: Account, left: str) -> None:
    """The file can be read to its end again."""
    whole = '{"recv_ns": 1, "recv_utc": "2026-01-01T00:00:00Z", "direction": "lost", "frame": "x"}\n' * 3
    path.write_text(whole + left)
    client = make_client(record=path)
    client.subscribe_orders()
    client.close()
    assert path.read_text().startswith(whole + '{"recv_ns": ')
    list(bybit_sync.replay(path))


@pytest.mark.parametrize("content", ["my diary", "my diary\n", "{}\n"])
def test_a_file_that_holds_something_else_is_not_touched(
    path: Path, make_client: MakeClient, account: Account, content: str
) -> None:
    """Not by a byte, and the caller is told."""
    path.write_text(content)
    with pytest.raises(ConfigurationError, match="holds something else"):
        make_client(record=path).subscribe_orders()
    assert path.read_text() == content


def test_a_file_grows_to_its_limit(path: Path, make_client: MakeClient, account: Account) -> None:
    """Then it is renamed to the next number, and a new one begins; each ends with a whole line."""
    recorder = Recorder(path, rotate_bytes=4000)
    client = make_client(record=recorder)
    orders = client.subscribe_orders()
    account.flood(100)
    while orders.get(timeout=5).data[0].order_id != "flood-100":
        pass
    client.close()
    parts = [path.with_name(f"session.jsonl.{number}") for number in range(1, len(list(path.parent.iterdir())))]
    assert len(parts) > 10
    assert all(2000 < part.stat().st_size <= 4000 for part in parts)
    assert all(stat.S_IMODE(part.stat().st_mode) == 0o600 for part in [*parts, path])
    assert sum(len(lines_of(part)) for part in [*parts, path]) == recorder.frames


def test_a_rotated_recording_goes_on_with_the_next_number(path: Path, make_client: MakeClient, account: Account) -> None:
    """A part is never written over."""
    path.with_name("session.jsonl.7").write_text("kept")
    path.with_name("session.jsonl.old").write_text("no part")
    client = make_client(record=Recorder(path, rotate_bytes=1))
    client.subscribe_orders()
    client.close()
    assert path.with_name("session.jsonl.7").read_text() == "kept"
    assert len(lines_of(path.with_name("session.jsonl.8"))) == 1


def test_a_rotated_recording_counts_its_packed_files(path: Path, make_client: MakeClient, account: Account) -> None:
    """Their numbers are not given again, and the oldest go as they would unpacked."""
    for number in (6, 7):
        path.with_name(f"session.jsonl.{number}.gz").write_bytes(b"packed")
    client = make_client(record=Recorder(path, rotate_bytes=1, keep_files=3))
    client.subscribe_orders()
    client.close()
    numbers = sorted(int(file.suffix[1:]) for file in path.parent.glob("session.jsonl.*"))
    assert (len(numbers), numbers[0] > 7) == (2, True)


def test_two_clients_in_one_file_are_refused(path: Path, make_client: MakeClient, account: Account) -> None:
    """What is whose could not be told."""
    make_client(record=path).subscribe_orders()
    with pytest.raises(ConfigurationError, match="another client"):
        make_client(record=path).subscribe_orders()


def test_a_recorder_serves_one_client(path: Path, make_client: MakeClient) -> None:
    """Told when the second one is made."""
    recorder = Recorder(path)
    make_client(record=recorder, name="first")
    with pytest.raises(ConfigurationError, match="belongs to first"):
        Client(KEY, SECRET, record=recorder)


# --- wrong arguments ---


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ("", "path"),
        ("a/", "path"),
        ("a\0b", "path"),
        (b"bytes", "path"),
        (7, "path"),
        (io.BytesIO(), "open it as text"),
        (type("Closed", (io.StringIO,), {"closed": True})(), "nothing can be written"),
        (type("Read", (io.StringIO,), {"writable": lambda self: False})(), "nothing can be written"),
    ],
)
def test_a_wrong_record_is_told_at_once(record: Any, text: str) -> None:
    """With the argument's name and what to give."""
    with pytest.raises(ConfigurationError, match=f"record=.*{text}"):
        Client(KEY, SECRET, record=record)


def test_wrong_rotating_is_told_at_once(path: Path) -> None:
    """A number of bytes, and a file that can be renamed."""
    with pytest.raises(ConfigurationError, match="rotate_bytes"):
        Recorder(path, rotate_bytes=0)
    with pytest.raises(ConfigurationError, match="give its path"):
        Recorder(io.StringIO(), rotate_bytes=1000)


def test_a_path_that_cannot_be_opened_is_told_to_the_first_caller(
    tmp_path: Path, make_client: MakeClient, account: Account
) -> None:
    """A directory, one in none; what is corrected can be tried again."""
    with pytest.raises(ConfigurationError, match="record: .*cannot be opened.*directory"):
        make_client(record=tmp_path).subscribe_orders()
    client = make_client(record=tmp_path / "not" / "there")
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        client.subscribe_orders()
    (tmp_path / "not").mkdir()
    client.subscribe_orders()
    client.close()
    assert (tmp_path / "not" / "there").exists()


# --- what goes wrong ---


def goes_on(orders: Any, account: Account) -> None:
    """Check that the stream does."""
    account.push("orders", [{"category": "linear", "orderId": "after"}])
    while orders.get(timeout=5).data[0].order_id != "after":
        pass


def wait_for_end(recorder: Recorder) -> None:
    """Wait until the recording has ended."""
    until(lambda: recorder.error is not None)


def wait_for_error(log: pytest.LogCaptureFixture) -> None:
    """Wait until an ERROR was logged: the thread that writes takes the error of a recording down before it logs it."""
    until(lambda: errors(log))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_full_disk_ends_the_recording_only(make_client: MakeClient, account: Account, log: pytest.LogCaptureFixture) -> None:
    """One ERROR that says what to do; the stream goes on."""
    recorder = Recorder("/dev/full")
    orders = make_client(record=recorder).subscribe_orders()
    wait_for_error(log)
    goes_on(orders, account)
    (text,) = errors(log)
    assert "the recording to /dev/full has ended" in text
    assert "No space left" in text
    assert "the streams go on" in text


def test_a_disk_that_runs_full_keeps_whole_lines(path: Path, make_client: MakeClient, account: Account) -> None:
    """In a process that may write no more than 3000 bytes to a file, standing for the disk."""
    resource = pytest.importorskip("resource")
    recorder = Recorder(path)
    orders = make_client(record=recorder).subscribe_orders()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
        account.flood(50)
        wait_for_end(recorder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    goes_on(orders, account)
    assert path.read_text().endswith("}\n")
    assert 1000 < path.stat().st_size <= 3000
    list(bybit_sync.replay(path))


class Stuck(io.StringIO):
    """A file on a disk that does not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answers = threading.Event(), threading.Event()

    def write(self, text: str, /) -> int:
        """Write once it answers."""
        self.asked.set()
        self.answers.wait(20)
        return super().write(text)


def test_a_disk_that_does_not_keep_up_ends_the_recording_only(
    make_client: MakeClient, account: Account, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for it is bounded; the stream does not wait."""
    monkeypatch.setattr(recording, "BACKLOG", 50_000)
    file = Stuck()
    recorder = Recorder(file)
    client = make_client(record=recorder)
    orders = client.subscribe_orders()
    assert file.asked.wait(10)
    account.flood(1000)
    goes_on(orders, account)
    assert isinstance(recorder.error, TimeoutError)
    # What it says in the end is no news.
    file.close()
    file.answers.set()
    assert client.close()
    (text,) = errors(log)
    assert "does not keep up" in text


def test_a_disk_that_keeps_up_again_gets_nothing_more(
    make_client: MakeClient, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has is whole up to where the recording ended; nothing follows behind a hole."""
    monkeypatch.setattr(recording, "BACKLOG", 50_000)
    file = Stuck()
    client = make_client(record=file)
    orders = client.subscribe_orders()
    assert file.asked.wait(10)
    account.flood(1000)
    goes_on(orders, account)
    assert not client.close(timeout=0.2)
    file.answers.set()
    assert client.close()
    assert "flood" not in file.getvalue()
    assert "auth" in file.getvalue()


class Slow(io.StringIO):
    """A file whose first write takes until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.writes, self.goes_on = threading.Event(), threading.Event()

    def write(self, text: str, /) -> int:
        """Write; the first time later."""
        if not self.writes.is_set():
            self.writes.set()
            self.goes_on.wait(20)
        return super().write(text)


def test_what_a_slow_disk_still_writes_comes_before_what_follows(
    make_client: MakeClient, exchange: Exchange, account: Account
) -> None:
    """A client that was idle and connects again does not overtake itself in its file."""
    file = Slow()
    exchange.refuse_topic("order.linear", times=1)
    client = make_client(record=file)
    with pytest.raises(SubscriptionRejected):
        client.subscribe_orders()
    assert file.writes.wait(10)
    client.subscribe_orders()
    assert not client.close(timeout=0.5)
    file.goes_on.set()
    assert client.close()
    moments = [json.loads(line)["recv_ns"] for line in file.getvalue().splitlines()]
    assert moments == sorted(moments)
    assert len(moments) > 10


def test_a_disk_that_takes_its_time_to_refuse_ends_the_recording_only(
    path: Path, make_client: MakeClient, account: Account, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it to be opened; what it says then is an ERROR."""
    monkeypatch.setattr(recording, "_OPENING", 0.05)
    asked = threading.Event()

    def refuse() -> None:
        asked.wait(20)
        raise PermissionError("not you")

    recorder = Recorder(path)
    monkeypatch.setattr(recorder._writer.output, "open", refuse)
    orders = make_client(record=recorder).subscribe_orders()
    asked.set()
    wait_for_error(log)
    goes_on(orders, account)
    (text,) = errors(log)
    assert "not you" in text


def test_close_does_not_wait_for_ever_for_a_disk(make_client: MakeClient, account: Account) -> None:
    """It returns False at its timeout, and True once the rest is written."""
    file = Stuck()
    client = make_client(record=file)
    client.subscribe_orders()
    assert not client.close(timeout=0.5)
    file.answers.set()
    assert client.close()
    assert "the client closed" in file.getvalue()


def test_a_file_that_raises_ends_the_recording_only(
    make_client: MakeClient, account: Account, log: pytest.LogCaptureFixture
) -> None:
    """Whatever it raises: it is the user's."""
    file = io.StringIO()
    recorder = Recorder(file)
    client = make_client(record=recorder)
    file.close()
    orders = client.subscribe_orders()
    wait_for_error(log)
    goes_on(orders, account)
    assert len(errors(log)) == 1
    assert isinstance(recorder.error, ValueError)


CHILD = """
import sys
from bybit_sync import Client
from tests.searching import examples
from tests.searching import examples

client = Client(sys.argv[1], sys.argv[2], environment=sys.argv[3], record=sys.argv[4])
for event in client.subscribe_orders():
    print(event.data[0].order_id, flush=True)
"""


def test_a_kill_loses_at_most_the_last_second(path: Path, exchange: Exchange, account: Account) -> None:
    """SIGKILL: what the process had received a second before is in the file, and the file can be replayed."""
    arguments = [sys.executable, "-c", CHILD, KEY, SECRET, exchange.url, str(path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as child:
        exchange.wait_for_topics(["order"])
        assert child.stdout is not None
        received: list[tuple[float, str]] = []
        began = time.monotonic()
        while time.monotonic() < began + 1.5:
            account.push("orders", [{"category": "linear", "orderId": f"order-{len(received)}"}])
            received.append((time.monotonic(), child.stdout.readline().strip()))
            threading.Event().wait(0.002)
        killed = time.monotonic()
        child.kill()
    events: list[Any] = []
    with contextlib.suppress(bybit_sync.RecordingError):  # the last line may be half a one
        bybit_sync.replay(path, sink=events.append)
    names = [event.data[0].order_id for event in events]
    due = [name for when, name in received if when < killed - 1]
    assert len(due) > 10
    assert names == [name for _, name in received][: len(names)]
    assert len(names) >= len(due)


# --- the end of a file ---


@examples(30)
@given(lines=st.lists(st.binary(max_size=60).map(lambda b: b.replace(b"\n", b"")), max_size=5), block=st.integers(1, 50))
def test_the_end_of_the_last_line_is_found(lines: list[bytes], block: int) -> None:
    """However long the lines are, and in how many pieces they are read."""
    content = b"\n".join(lines)
    before, files._BLOCK = files._BLOCK, block  # type: ignore[misc]
    try:
        found = files._end_of_last_line(io.BytesIO(content), len(content))
    finally:
        files._BLOCK = before  # type: ignore[misc]
    assert found == content.rfind(b"\n") + 1
