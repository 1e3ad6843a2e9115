"""What the faults share: their pace, the wire they run over, the harness, and the tally of the rows."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
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
from tests.faults.rows import COUNT, FIGURE, NET, QUICK, ROW, Tally
from tests.faults.scene import Net, Scene
from tests.searching import wants

Play = Callable[..., Scene]


# --- the pace ---


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of the rows, and set the pace."""
    config.addinivalue_line("markers", "row(number, kills): the row of the catalogue, and the mutant that the test kills")
    config.addinivalue_line("markers", "quick: a test of one of the twenty rows that take least time")
    pace.set_pace(pace.REAL if wants(config, "realtime") else pace.FAST)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let ``-m realtime`` mean every row; leave out what runs for minutes unless ``-m soak`` asks for it."""
    for item in items:
        row = item.get_closest_marker(ROW)
        if row and wants(config, "realtime"):
            item.add_marker(pytest.mark.realtime)
            item.add_marker(pytest.mark.timeout(600))
        if row and row.args[0] in QUICK:
            item.add_marker(pytest.mark.quick)
    if not wants(config, "soak"):
        long = [item for item in items if item.get_closest_marker(ROW) and item.get_closest_marker("soak")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)


# --- the rows ---


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Put the row's number into the test's id, in front of what else it is parametrised with."""
    mark = metafunc.definition.get_closest_marker(ROW)
    if mark is not None:
        metafunc.parametrize("_row", mark.args, indirect=True, ids=[f"row{mark.args[0]}"])


@pytest.fixture(autouse=True)
def _row(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    """Put the row's number into the test's report."""
    if hasattr(request, "param"):
        record_property(ROW, request.param)


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


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell which rows were survived, and what was measured."""
    tally = Tally()
    tally.add(terminalreporter.stats.get("passed", ()), passed=True)
    tally.add([r for kind in ("failed", "error") for r in terminalreporter.stats.get(kind, ())], passed=False)
    if tally.survived or tally.failed:
        terminalreporter.section(f"faults (a second takes {pace.FACTOR:g} s)")
        for line in tally.lines():
            terminalreporter.line(line)


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
