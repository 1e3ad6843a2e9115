"""What the fuzzers of `tests.fuzzing` found, and what their targets are good for. Needs no fuzzer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from bybit_sync.decoding import parsing
from bybit_sync.decoding.reader import Decoded, Reader
from bybit_sync.network import websocket as transport
from bybit_sync.network.wire import Head, Wire
from bybit_sync.session import session as protocol
from tests.fuzzing.__main__ import NAMES
from tests.fuzzing.targets import TARGETS

FOUND: Final = {
    # what it was: target, input
    "a pong from the year 9999": ("session", b'5yes\n{"op":"pong","args":["253402300799999"]}\nwait'),
    "a length that is cut in the middle": ("frames", b"\xf8\x7f\xff\xff4\xf7\xff\xff"),
}


@pytest.mark.parametrize("what", FOUND)
def test_what_was_found_once_stays_mended(what: str) -> None:
    """An input that a fuzzer found breaks no promise any more."""
    target, data = FOUND[what]
    TARGETS[target].run(data)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_takes_its_own_seeds(target: str) -> None:
    """What a fuzzer begins with is sound, or it would find nothing else."""
    for seed in TARGETS[target].seeds:
        TARGETS[target].run(seed)


def test_every_target_can_be_asked_for() -> None:
    """The command knows their names before it may import them."""
    assert tuple(TARGETS) == NAMES


def fails(*arguments: Any, **options: Any) -> Any:
    """Fail with what is documented nowhere."""
    raise LookupError


def says_text(transport: Any) -> Iterator[str]:
    """Yield a message of a type that no caller expects."""
    yield "text"


def loses_rows(*arguments: Any, **options: Any) -> Decoded:
    """Read no row."""
    return (), ()


BUGS: Final[dict[str, tuple[Any, str, Callable[..., Any]]]] = {
    # target: whose attribute becomes what
    "parsing": (parsing.PARSERS, "json", lambda frame: {}),
    "decoding": (Reader, "rows", loses_rows),
    "session": (protocol.Session, "tick", fails),
    "head": (Wire, "read_head", lambda wire: Head(99, "Odd", {}, b"")),
    "frames": (transport.Transport, "receive", says_text),
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_notices_a_bug(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that takes everything would find nothing."""
    where, name, bug = BUGS[target]
    put = monkeypatch.setitem if isinstance(where, dict) else monkeypatch.setattr
    put(where, name, bug)
    with pytest.raises((AssertionError, LookupError)):
        TARGETS[target].run(TARGETS[target].seeds[0])
