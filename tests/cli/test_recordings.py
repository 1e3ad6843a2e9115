"""``record``, ``replay`` and ``stats``: what was seen once can be seen and counted again."""

from __future__ import annotations

import gzip
import json
import re
import stat
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from bybit_sync.cli import main
from bybit_sync.cli.options import size
from bybit_sync.cli.statistics import percentile
from tests.commands import Terminal, call, call_until, has_order, leave, start

NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
Line = dict[str, Any]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated account until its first order is filled."""
    path = tmp_path_factory.mktemp("recordings") / "r.jsonl"
    code, out, _ = call_until(has_order("Filled"), "record", str(path), "--simulate")
    assert (code, out) == (0, "")
    return path


def lines_of(path: Path) -> list[Line]:
    """Return the lines of a recording."""
    return [json.loads(line) for line in path.read_text().splitlines()]


# --- record ---


def test_every_frame_is_recorded_for_its_owner_only(recording: Path) -> None:
    """Both ways, with both clocks."""
    lines = lines_of(recording)
    assert {line["direction"] for line in lines} == {"in", "out", "lost"}
    assert {tuple(line) for line in lines} == {("recv_ns", "recv_utc", "direction", "frame")}
    assert stat.S_IMODE(recording.stat().st_mode) == 0o600
    assert "DEMO-" not in recording.read_text()


def test_how_far_it_is_stands_on_the_standard_error(tmp_path: Path) -> None:
    """In whole lines where it is no terminal; the last one has the sums."""
    path = tmp_path / "r.jsonl"
    code, out, err = call("record", str(path), "orders", "--simulate", "--seconds", "0.2")
    said = err.splitlines()
    assert (code, out) == (0, "")
    assert said[0].startswith("bybit-sync: connecting to ws://127.0.0.1:")
    assert said[1].startswith("bybit-sync: LIVE  ")
    count, size_in_bytes = len(lines_of(path)), path.stat().st_size
    assert err.endswith(f"{path}: {count} frames, {size_in_bytes / 1000:.1f} kB\n"), err


def test_on_a_terminal_that_is_one_line(tmp_path: Path) -> None:
    """Which changes, and is followed by the sums."""
    with Terminal("record", str(tmp_path / "r.jsonl"), "--simulate") as terminal:
        terminal.wait_for("\rLIVE  ")
        terminal.wait_for(" gaps\x1b[K")
        terminal.type("\x03")
        assert terminal.end() == 130
        assert terminal.is_restored
        assert f"{tmp_path / 'r.jsonl'}: " in terminal.shown.splitlines()[-1]


def test_a_recording_is_rotated_by_size(tmp_path: Path) -> None:
    """And is still one to those that read it."""
    path = tmp_path / "r.jsonl"
    busy = "--simulate", "--scenario", "busy", "--rotate", "20k"
    assert call_until(lambda event: event.index > 50, "record", str(path), *busy)[0] == 0
    parts = list(tmp_path.iterdir())
    assert len(parts) > 1
    assert max(part.stat().st_size for part in parts) <= 20 * 1024
    assert json.loads(call("stats", str(path), "--json")[1])["files"] == len(parts)


def test_a_recording_goes_to_a_pipe(recording: Path) -> None:
    """For those who compress it."""
    code, out, _ = call("record", "-", "--simulate", "--seconds", "0.2")
    assert code == 0
    assert {tuple(json.loads(line)) for line in out.splitlines()} == {tuple(lines_of(recording)[0])}


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("500k", 512_000), ("100M", 100 * 2**20), ("1 GiB", 2**30)])
def test_a_size_has_a_unit(text: str, number: int) -> None:
    """As people write it."""
    assert size(text) == number


# --- replay ---


def test_a_recording_is_replayed_as_it_was(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every push with rows is there again, in order."""
    assert main(["replay", str(recording), "--json"]) == 0
    told = [json.loads(line)["topic"] for line in capsys.readouterr().out.splitlines()]
    frames = [json.loads(line["frame"]) for line in lines_of(recording) if line["direction"] == "in"]
    assert told == [frame["topic"] for frame in frames if "topic" in frame]


def test_a_replay_has_a_line_per_row(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As `watch` prints it."""
    assert main(["replay", str(recording), "--plain"]) == 0
    assert "BTCUSDT side=Buy qty=0.5 price=64250 filled=0.2 status=PartiallyFilled" in capsys.readouterr().out


def test_a_replay_keeps_its_pace_on_a_terminal(recording: Path) -> None:
    """Faster when it is told to; the last picture stays."""
    with Terminal("replay", str(recording), "--speed", "4") as terminal:
        terminal.wait_for("REPLAY")
        terminal.wait_for("x4")
        assert terminal.end() == 0
        assert terminal.is_restored
        assert "END" in terminal.shown[terminal.shown.rindex("\x1b[?1049l") :]


def test_a_damaged_recording_is_shown_up_to_the_damage(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then one sentence names the line, and the exit code is 5."""
    whole = recording.read_text().splitlines()
    damaged = tmp_path / "r.jsonl"
    damaged.write_text("\n".join([*whole[:20], whole[20][:40]]))
    assert main(["replay", str(damaged), "--plain"]) == 5
    out, err = capsys.readouterr()
    assert "BTCUSDT" in out
    assert err.startswith(f"bybit-sync: line 21 of {damaged} ")
    assert main(["stats", str(damaged), "--json"]) == 5
    out, err = capsys.readouterr()
    assert sum(json.loads(out)["frames"].values()) == 20
    assert "line 21" in err


@pytest.mark.parametrize("command", ["replay", "stats"])
def test_a_file_that_is_not_there_ends_with_five(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And with its name."""
    assert main([command, "/nowhere/r.jsonl"]) == 5
    assert capsys.readouterr().err == "bybit-sync: /nowhere/r.jsonl: No such file or directory\n"


# --- stats ---


def a_line(seconds: float, direction: str, frame: Line) -> str:
    """Return a line of a recording, *seconds* after noon."""
    when = NOON + timedelta(seconds=seconds)
    told = {"recv_ns": round(seconds * 1e9), "recv_utc": f"{when:%Y-%m-%dT%H:%M:%S.%f}Z"}
    return json.dumps({**told, "direction": direction, "frame": json.dumps(frame)})


def in_ms(seconds: float) -> int:
    """Return so many *seconds* after noon as the exchange tells time."""
    return round((NOON.timestamp() + seconds) * 1000)


@pytest.fixture
def known(tmp_path: Path) -> str:
    """A recording of an exchange whose clock is 10 s ahead, with latencies of 0.1, 0.2, … 1 s, all within one second."""

    def pushes() -> Iterator[str]:
        for number in range(1, 11):
            read = 2 + number / 20
            row = {"symbol": "BTCUSDT", "orderId": str(number), "orderStatus": "New", "category": "linear"}
            made = in_ms(10 + read - number / 10)
            yield a_line(read, "in", {"topic": "order.linear", "creationTime": made, "data": [row, row]})

    path = tmp_path / "known.jsonl"
    lines = [
        a_line(0.0, "out", {"req_id": "1", "op": "auth", "args": ["main", 1, "testnet"]}),
        a_line(0.1, "in", {"req_id": "1", "success": True, "op": "auth"}),
        a_line(0.2, "out", {"req_id": "2", "op": "subscribe", "args": ["order.linear"]}),
        a_line(0.3, "in", {"req_id": "2", "success": True, "op": "subscribe"}),
        a_line(1.0, "out", {"op": "ping"}),
        a_line(1.2, "in", {"op": "pong", "args": [str(in_ms(11.1))]}),
        *pushes(),
        a_line(5.0, "out", {"op": "ping"}),
    ]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_stats_know_counts_rates_and_latencies(known: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Latency by the exchange's clock, which is ten seconds ahead here."""
    assert main(["stats", known, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    topic = told["topics"]["order.linear"]
    assert (told["seconds"], told["frames"], told["gaps"]) == (5.0, {"in": 13, "out": 4}, [])
    assert told["clock_offset"] == pytest.approx(10.0, abs=0.001)
    assert told["round_trip"]["p50"] == pytest.approx(0.2)
    assert (topic["pushes"], topic["rows"], topic["mean_per_second"], topic["peak_per_second"]) == (10, 20, 2.0, 10)
    assert topic["latency"] == pytest.approx({"p50": 0.5, "p90": 0.9, "p99": 1.0, "max": 1.0}, abs=0.002)


def test_stats_fit_on_a_terminal(known: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In 80 columns, but for the file's name."""
    assert main(["stats", known]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{known}: 2026-01-31 12:00:00 to 2026-01-31 12:00:05 UTC, 5.0 s, 1 file")
    assert "order.linear             10       20    2.00     10 500 ms 900 ms  1.0 s  1.0 s" in lines
    assert max(map(len, lines[1:])) <= 80


def test_stats_explain_latencies_below_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line below the table, as wide as a terminal."""
    push = {"topic": "order.linear", "creationTime": in_ms(2.0), "data": []}
    (tmp_path / "r.jsonl").write_text(a_line(1.0, "in", push) + "\n")
    assert main(["stats", str(tmp_path / "r.jsonl")]) == 0
    lines = capsys.readouterr().out.splitlines()
    (explained,) = (line for line in lines if line.startswith("1 below 0: "))
    assert len(explained) <= 80


def test_stats_tell_gaps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two recordings in the same file: updates may be missing between the two."""
    path = tmp_path / "r.jsonl"
    for _ in range(2):
        assert main(["record", str(path), "orders", "--simulate", "--seconds", "0.2"]) == 0
    capsys.readouterr()
    assert main(["stats", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(gap["stream"], gap["reason"]) for gap in told["gaps"]] == [("orders", "DISCONNECTED")]
    assert told["connections_ended"] == 2


@pytest.mark.parametrize(("name", "beginning"), [("p.png", b"\x89PNG"), ("p.svg", b"<?xml")])
def test_a_plot_is_a_picture(known: str, tmp_path: Path, name: str, beginning: bytes) -> None:
    """Of the kind that its name says."""
    pytest.importorskip("matplotlib")
    picture = tmp_path / name
    assert main(["stats", known, "--plot", str(picture)]) == 0
    assert picture.read_bytes().startswith(beginning)


def test_a_recording_without_anything_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is counted, and nothing divided by it."""
    (tmp_path / "r.jsonl").write_text("")
    assert main(["stats", str(tmp_path / "r.jsonl")]) == 0
    assert "0 gaps" in capsys.readouterr().out


def test_a_percentile_is_one_of_the_values() -> None:
    """None of nothing."""
    assert [percentile([1.0, 2.0, 3.0, 4.0], percent) for percent in (0, 50, 51, 100)] == [1.0, 2.0, 3.0, 4.0]
    assert percentile([], 50) is None


def test_a_reader_of_a_replay_may_leave(recording: Path) -> None:
    """As in ``bybit-sync replay today.jsonl | head -n 1``."""
    process = start("replay", str(recording), "--speed", "1")
    leave(process)


# --- where a recording is ---


@pytest.mark.parametrize(("place", "why"), [("gone/r.jsonl", "No such file or directory"), ("", "Is a directory")])
def test_a_place_that_cannot_be_written_to_is_told_before_anything_is_dialled(place: str, why: str, tmp_path: Path) -> None:
    """With 5 and the system's word, though there is neither a key nor an exchange."""
    code, out, err = call("record", str(tmp_path / place), "--environment", "wss://127.0.0.1:1")
    assert (code, out, err) == (5, "", f"bybit-sync: {tmp_path / place}: {why}\n")


def test_a_file_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    """Before anything is dialled: nothing is appended to it."""
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n")
    code, _, err = call("record", str(path), "--environment", "wss://127.0.0.1:1")
    assert (code, path.read_text()) == (5, "my notes\n")
    assert "something else than a recording" in err


@pytest.mark.parametrize("command", [["stats"], ["replay", "--plain"]])
@pytest.mark.parametrize("packed", [False, True])
def test_a_recording_is_read_packed_and_from_the_standard_input(
    command: list[str], *, packed: bool, recording: Path, tmp_path: Path
) -> None:
    """The output is the same, whichever way it comes."""
    text = recording.read_bytes()
    path = tmp_path / "r.jsonl"
    path.write_bytes(gzip.compress(text) if packed else text)
    expected = call(command[0], str(recording), *command[1:])[1].replace(str(recording), "")
    named = call(command[0], str(path), *command[1:])
    given = call(command[0], "-", *command[1:], stdin=str(path))
    assert (named[0], named[2], given[0], given[2]) == (0, "", 0, "")
    assert sizeless(named[1].replace(str(path), "")) == sizeless(given[1].removeprefix("-")) == sizeless(expected)


def sizeless(out: str) -> str:
    """Return *out* without the size of the file, which differs when it is packed."""
    return re.sub(r"1 file, [0-9.]+ .?B", "1 file", out)


OTHERS = {
    "text": b"my notes\n",
    "json": b'{"a": 1}\n',
    "picture": b"\x89PNG\r\n\x1a\n",
    "packed": gzip.compress(b"my notes\n"),
    "packed and cut": gzip.compress(b"my notes\n" + b"x" * 100_000)[:-8],
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("command", ["stats", "replay"])
def test_a_file_that_is_no_recording_is_called_so(command: str, content: bytes, tmp_path: Path) -> None:
    """It is not taken for a damaged one, nor for an empty one."""
    path = tmp_path / "file"
    path.write_bytes(content)
    code, out, err = call(command, str(path))
    assert (code, out, f"{path} is not a recording: line 1 of it is none" in err) == (5, "", True), err


def test_a_packed_recording_that_breaks_off_is_read_up_to_there(recording: Path, tmp_path: Path) -> None:
    """As one that is not packed."""
    path = tmp_path / "r.jsonl.gz"
    path.write_bytes(gzip.compress(recording.read_bytes())[:-200])
    code, out, err = call("replay", str(path), "--plain")
    assert (code, "breaks off" in err, bool(out)) == (5, True, True)


def test_only_the_newest_files_are_kept(tmp_path: Path) -> None:
    """Those and the one that is written to; what they hold is a recording."""
    path = tmp_path / "r.jsonl"
    busy = "--simulate", "--scenario", "busy", "--rotate", "2k", "--keep", "3"
    code, _, err = call_until(lambda event: event.index > 50, "record", str(path), *busy)
    assert code == 0, err
    numbers = sorted(int(file.suffix[1:]) for file in tmp_path.glob("r.jsonl.*"))
    assert (len(numbers), numbers[0] > 1, numbers[1] - numbers[0]) == (2, True, 1)
    assert call("stats", str(path))[0] == 0
    assert call("record", str(path), "--keep", "3")[0] == 2
