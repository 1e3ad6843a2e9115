"""What the faults share: their pace, the wire they run over, and the harness."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import pytest
import trustme
import websocket

from tests.conftest import open_descriptors
from tests.faults import pace
from tests.faults.canaries import canaries_in
from tests.faults.exchange import Act
from tests.faults.partition import Partition
from tests.faults.rows import COUNT, FIGURE, NET, ROW
from tests.faults.scene import Net, Scene
from tests.recovery.conftest import recovering  # noqa: F401 - a fixture
from tests.searching import wants

HERE = Path(__file__).parent
Play = Callable[..., Scene]


# --- the pace ---


def pytest_configure(config: pytest.Config) -> None:
    """Set the pace."""
    pace.set_pace(pace.REAL if wants(config, "realtime") else pace.FAST)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let ``-m realtime`` mean every row that has a pace: those of this folder."""
    for item in items:
        if item.get_closest_marker(ROW) and item.path.parent == HERE and wants(config, "realtime"):
            item.add_marker(pytest.mark.realtime)
            item.add_marker(pytest.mark.timeout(600))


# --- the secrets ---


@pytest.fixture(autouse=True)
def _loggers_tell_all(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Have every logger, websocket-client's trace included, tell whatever it can."""
    caplog.set_level(logging.NOTSET)
    websocket.enableTrace(True, handler=logging.NullHandler())
    yield
    websocket.enableTrace(False)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Fail a test whose log, stdout or stderr tells a canary, in whatever phase."""
    outcome = yield
    report = outcome.get_result()
    captured = "".join(text for _, text in report.sections)
    found = canaries_in(captured)
    if report.when == "teardown":
        # Not with `record_property`: what a test left is complete only now.
        report.user_properties += [(COUNT + "characters logged", len(captured)), (COUNT + "secrets found", len(found))]
    if found and report.passed:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: what was captured tells {', '.join(found)}"


# --- the harness ---


@pytest.fixture
def measure(record_property: Callable[[str, object], None]) -> Callable[[str, float], None]:
    """Note a figure, in seconds of this run, for the report: ``measure("detection", seconds)``."""

    def note(what: str, seconds: float) -> None:
        record_property(FIGURE + what, round(seconds, 6))

    return note


@pytest.fixture(scope="session")
def tls() -> Net:
    """TLS between an exchange with a certificate and a client that trusts its authority."""
    authority = trustme.CA()
    net = Net(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    assert net.server is not None
    assert net.client is not None
    authority.issue_cert("127.0.0.1", "::1", Partition.host).configure_cert(net.server)
    authority.configure_trust(net.client)
    return net


@pytest.fixture
def net(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Net:
    """Plain TCP; TLS where a test asks for both (`tests.faults.rows.PLAIN_AND_TLS`); TLS over a cable (`OVER_CABLE`)."""
    kind = getattr(request, "param", "plain")
    record_property(NET, kind)
    if kind == "plain":
        return Net()
    tls: Net = request.getfixturevalue("tls")
    if kind == "tls":
        return tls
    cable: Partition = request.getfixturevalue("cable")
    return attrs.evolve(tls, host=cable.host, there=cable.there)


@pytest.fixture
def cable() -> Iterator[Partition]:
    """A cable between client and exchange that can be pulled."""
    with Partition() as cable:
        yield cable


@pytest.fixture
def silence_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients take an exchange that is silent for a second for dead; where a test is about something else they wait."""
    monkeypatch.setitem(pace.FLOORS, "pong_timeout", 1.0)


@pytest.fixture
def play(net: Net, measure: Callable[[str, float], None], record_property: Callable[[str, object], None]) -> Iterator[Play]:
    """Return how to set a scene: ``play(script, …, timings={…}, **arguments of the client)``.

    At the end every descriptor must be given back.
    """
    before = open_descriptors()
    scenes: list[Scene] = []

    def play(*scripts: Act, timings: dict[str, Any] | None = None, **arguments: Any) -> Scene:
        scenes.append(stack.enter_context(Scene(net, scripts, arguments, measure, timings)))
        return scenes[-1]

    try:
        with ExitStack() as stack:
            yield play
    finally:
        record_property(COUNT + "updates checked", sum(scene.checked for scene in scenes))
        record_property(COUNT + "updates lost", sum(scene.lost for scene in scenes))
    assert open_descriptors() <= before
