"""The package itself: its public names, loaded when the first of them is asked for."""

from __future__ import annotations

import base64
import inspect
import pickle
import re
import subprocess
import sys
import typing
from importlib import import_module

import pytest

import bybit_sync
from bybit_sync.model.record import Record


def run(code: str) -> str:
    """Return what a Python of its own prints when it runs *code*."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


HEAVY = ("ssl", "socket", "websocket", "cattrs", "python_socks", "urllib3", "bybit_sync.recording", "bybit_sync.engine.engine")
UNASKED = ("bybit_sync.recording.replay", "bybit_sync.recovery.mender", "bybit_sync.account.reducer", "bybit_sync.rest.reader")


def loaded(code: str, names: tuple[str, ...]) -> str:
    """Return which of the modules *names* a Python loads when it runs *code*, as it prints them."""
    before = f"import sys; names = [name for name in {names} if name not in sys.modules]"
    return run(f"{before}; {code}; print([name for name in names if name in sys.modules])")


def test_importing_the_package_loads_nothing_of_it() -> None:
    """Nor what it is made with; a client loads both."""
    assert loaded("import bybit_sync", (*HEAVY, "bybit_sync.client", "bybit_sync.model")) == "[]"
    assert "'websocket', 'cattrs'" in loaded("import bybit_sync; bybit_sync.Client", HEAVY)


def test_what_a_user_receives_comes_without_a_connection() -> None:
    """A module that handles updates and errors waits for no ssl."""
    assert loaded("from bybit_sync import BybitSyncError, OrderUpdate, Event, Side, to_dict, State", HEAVY) == "[]"


def test_a_client_loads_only_what_it_was_asked_for() -> None:
    """Recovery, the account view and the replay are half of the library."""
    made = "from bybit_sync import Client; client = Client('KEY', 'SECRET')"
    assert loaded(made, UNASKED) == "[]"
    assert loaded("from bybit_sync import Client; Client('KEY', 'SECRET', recover=True)", UNASKED) != "[]"


def test_gevent_may_patch_after_the_import() -> None:
    """It warns when ssl was imported before it."""
    pytest.importorskip("gevent")
    assert run("import bybit_sync, gevent.monkey, warnings; warnings.simplefilter('error'); gevent.monkey.patch_all()") == ""


def test_everything_public_can_be_imported_at_once() -> None:
    """And nothing else is shown."""
    code = "from bybit_sync import *; import bybit_sync; print(set(bybit_sync.__all__) - globals().keys())"
    assert run(code) == "set()"
    assert dir(bybit_sync) == sorted(bybit_sync.__all__)


def test_every_public_name_is_what_its_module_calls_so() -> None:
    """One object, whichever way it is imported."""
    homes = [import_module(home) for home in bybit_sync._HOMES]  # type: ignore[attr-defined]
    for name in set(bybit_sync.__all__) - {"__version__"}:
        found = [getattr(home, name) for home in homes if name in home.__all__]
        assert found, name
        assert all(thing is getattr(bybit_sync, name) for thing in found), name


def test_a_name_that_is_none_is_refused_as_by_any_module() -> None:
    """With the error that `hasattr` and ``import`` understand."""
    assert not hasattr(bybit_sync, "nope")
    with pytest.raises(ImportError, match="cannot import name 'nope' from 'bybit_sync'"):
        exec("from bybit_sync import nope", {})


# --- the module that public classes name ---

# An event with an order of an unknown status, and a gap with an error, pickled when their classes had other modules.
OLD = """
gASVGAMAAAAAAACMEmJ5Yml0X3N5bmMudXBkYXRlc5SMCl9tYWRlX2Zyb22Uk5RoAIwFRXZlbnSUk5R9lCiMBnN0cmVhbZRoAIwGU3RyZWFtlJ
OUjAZvcmRlcnOUhZRSlIwFdG9waWOUjAxvcmRlci5saW5lYXKUjARkYXRhlGgCaACMC09yZGVyVXBkYXRllJOUfZQojAhjYXRlZ29yeZSMEGJ5
Yml0X3N5bmMuZW51bXOUjAhDYXRlZ29yeZSTlIwGbGluZWFylIWUUpSMBnN5bWJvbJSMB0JUQ1VTRFSUjAhvcmRlcl9pZJSMATGUjARzaWRllG
gTjARTaWRllJOUjANCdXmUhZRSlIwMb3JkZXJfc3RhdHVzlGgTjAtPcmRlclN0YXR1c5STlIwHVW5oZWFyZJSFlFKUjANxdHmUjAdkZWNpbWFs
lIwHRGVjaW1hbJSTlIwEMC41MJSFlFKUjA5jdW1fZmVlX2RldGFpbJR9lIwFZXh0cmGUfZSMBHdpcmWUfZRoKYwEMC41MJRzdYaUUpSFlIwLcm
VjZWl2ZWRfYXSUjAhkYXRldGltZZSMCGRhdGV0aW1llJOUQwoH6gEfDAAAAAAAlGg7jAh0aW1lem9uZZSTlGg7jAl0aW1lZGVsdGGUk5RLAEsA
SwCHlFKUhZRSlIaUUpSMC3JlY2VpdmVkX25zlEsBjANyYXeUQwCUjAZjbGllbnSUjACUjAVlcG9jaJRLAIwFaW5kZXiUSwB1hpRSlGgCaAR9lC
hoBmgLaAxoTWgOKYwDZ2FwlGgCaACMA0dhcJSTlH2UKIwGcmVhc29ulGgAjAlHYXBSZWFzb26Uk5SMDERJU0NPTk5FQ1RFRJSFlFKUjAVzaW5j
ZZRoSIwFdW50aWyUaEiMBmRldGFpbJRoTYwFZXJyb3KUjBFieWJpdF9zeW5jLmVycm9yc5SMDkNvbm5lY3Rpb25Mb3N0lJOUjARnb25llIWUUp
R9lCiMBGNvZGWUTe4DaFeMA2J5ZZR1YnWGlFKUaDpoSGhJSwFoSmhLaExoTWhOSwBoT0sAdYaUUpSGlC4=
"""
# A gap, pickled by the last version that knew neither `Event.source` nor `Gap.recovering`.
UNRECOVERED = """
gASVkgEAAAAAAACMCGJ1aWx0aW5zlIwHZ2V0YXR0cpSTlIwKYnliaXRfc3luY5SMBUV2ZW50lJOUjApfbWFkZV9mcm9tlIaUUpR9lCiMBnN0cm
VhbZRoA4wGU3RyZWFtlJOUjAZvcmRlcnOUhZRSlIwFdG9waWOUjAVvcmRlcpSMBGRhdGGUKYwDZ2FwlGgCaAOMA0dhcJSTlGgGhpRSlH2UKIwG
cmVhc29ulGgDjAlHYXBSZWFzb26Uk5SMCE9WRVJGTE9XlIWUUpSMBXNpbmNllIwIZGF0ZXRpbWWUjAhkYXRldGltZZSTlEMKB+oDAQwAAAAAAJ
RoIIwIdGltZXpvbmWUk5RoIIwJdGltZWRlbHRhlJOUSwBLAEsAh5RSlIWUUpSGlFKUjAV1bnRpbJRoLYwGbWlzc2VklEsCjAZkZXRhaWyUjACU
dYWUUpSMC3JlY2VpdmVkX2F0lGgtjAtyZWNlaXZlZF9uc5RLAYwDcmF3lEMAlIwGY2xpZW50lGgxjAVlcG9jaJRLAIwFaW5kZXiUSwB1hZRSlC
4=
"""
# What a client tells of itself and is told, pickled when their classes had other modules.
OLD_STATUS = """
gASVKgQAAAAAAAAojBFieWJpdF9zeW5jLnN0YXR1c5SMDFN0YXR1c0NoYW5nZZSTlCmBlH2UKIwIcHJldmlvdXOUaACMBVN0YXRllJOUjApDT05ORU
NUSU5HlIWUUpSMBXN0YXRllGgHjARMSVZFlIWUUpSMAmF0lIwIZGF0ZXRpbWWUjAhkYXRldGltZZSTlEMKB+oDAQwAAAAAAJRoEIwIdGltZXpvbmWU
k5RoEIwJdGltZWRlbHRhlJOUSwBLAEsAh5RSlIWUUpSGlFKUjAVlcnJvcpROjAhkb3dudGltZZRHP/gAAAAAAACMDHN1YnNjcmlwdGlvbpROdWJoAI
wGSGVhbHRolJOUKYGUfZQoaAtoDowFc2luY2WUaB2MDGNvbm5lY3RlZF9hdJRoHYwFZXBvY2iUSwOMCnJlY29ubmVjdHOUSwCMCmxhc3RfZXJyb3KU
TowObGFzdF9mcmFtZV9hZ2WUSwCMCHBpbmdfcnR0lEsAjAxjbG9ja19vZmZzZXSUSwCMC2ZyZXNoX2FzX29mlEsAjA1zdWJzY3JpcHRpb25zlIwXYn
liaXRfc3luYy5zdWJzY3JpcHRpb26UjBJTdWJzY3JpcHRpb25IZWFsdGiUk5QpgZR9lCiMBnN0cmVhbZSMEmJ5Yml0X3N5bmMudXBkYXRlc5SMBlN0
cmVhbZSTlIwGb3JkZXJzlIWUUpRoC2gvjBFTdWJzY3JpcHRpb25TdGF0ZZSTlGgMhZRSlIwJZGVsaXZlcmVklEsAjAZxdWV1ZWSUSwCMB2Ryb3BwZW
SUSwCMC3VuZGVjb2RhYmxllEsAjA5oYW5kbGVyX2Vycm9yc5RLAIwNbGFzdF9wdXNoX2FnZZROjA1sYXN0X3B1c2hfbGFnlE51YoWUdWKMEWJ5Yml0
X3N5bmMucGFjaW5nlIwHQmFja29mZpSTlCmBlH2UKIwHaW5pdGlhbJRHP9AAAAAAAACMBmZhY3RvcpRHQAAAAAAAAACMB21heGltdW2UR0AUAAAAAA
AAdWJoR4wMQ29ubmVjdExpbWl0lJOUKYGUfZQojAZyZWZpbGyUS1CMBnBlcmlvZJRHQHLAAAAAAACMBWJ1cnN0lEsUdWKMF2J5Yml0X3N5bmMuZW52
aXJvbm1lbnRzlIwLRW52aXJvbm1lbnSUk5QpgZR9lCiMBG5hbWWUjAd0ZXN0bmV0lIwDdXJslIwed3NzOi8vc3RyZWFtLXRlc3RuZXQuYnliaXQuY2
9tlIwGc291cmNllIwzaHR0cHM6Ly9ieWJpdC1leGNoYW5nZS5naXRodWIuaW8vZG9jcy92NS93cy9jb25uZWN0lIwEaG9zdJSMGHN0cmVhbS10ZXN0
bmV0LmJ5Yml0LmNvbZSMBHBvcnSUTbsBjAN0bHOUiIwLaXNfbG9vcGJhY2uUiXVidJQu
"""
CLASSES = [cls for name in bybit_sync.__all__ if isinstance(cls := getattr(bybit_sync, name), type)]
NAMED = [cls for cls in CLASSES if issubclass(cls, (Exception, str, Record))]


def test_a_pickle_of_an_older_version_loads() -> None:
    """In a process that has imported nothing, though the modules that it names are gone."""
    load = f"import base64, pickle; event, gap = pickle.loads(base64.b64decode({OLD!r})); error = gap.gap.error; "
    show = "print(event.data[0].order_status, event.data[0].wire['qty'], gap.gap.reason, error.code, type(error))"
    assert run(load + show) == "Unheard 0.50 DISCONNECTED 1006 <class 'bybit_sync.ConnectionLost'>"


def test_a_pickle_of_an_older_version_s_status_loads() -> None:
    """Also what a client is made with."""
    load = f"import base64, pickle; change, health, *given = pickle.loads(base64.b64decode({OLD_STATUS!r})); "
    show = "print(change.state, change.downtime, health.subscriptions[0].state, *(type(one).__name__ for one in given))"
    assert run(load + show) == "LIVE 1.5 LIVE Backoff ConnectLimit Environment"


@pytest.mark.parametrize("module", ["status", "subscription"])
def test_a_module_that_had_other_names_refuses_what_it_never_had(module: str) -> None:
    """As any module does."""
    assert not hasattr(import_module(f"bybit_sync.{module}"), "nope")


def test_a_pickle_made_before_recovery_loads_as_a_push() -> None:
    """What it does not know has the value that says nothing."""
    event = pickle.loads(base64.b64decode(UNRECOVERED))
    assert (event.source, event.snapshot, event.recovered, event.unresolved) == ("STREAM", False, None, ())
    assert (event.gap.missed, event.gap.recovering) == (2, False)


def test_a_pickle_names_no_module_but_the_package() -> None:
    """So that it loads wherever the modules lie later."""
    events = pickle.loads(base64.b64decode(OLD))
    text = b"".join(pickle.dumps(events, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1))
    assert set(re.findall(rb"bybit_sync[.a-z_]*", text)) == {b"bybit_sync"}


def test_errors_updates_and_words_name_the_package() -> None:
    """Tracebacks and `help` show the name that a user imports."""
    assert {cls.__module__ for cls in NAMED} == {"bybit_sync"}
    assert len(NAMED) > 50


def test_no_class_shows_the_source_of_another() -> None:
    """Its module is not the file that it stands in: no source is better than a wrong one."""
    for cls in NAMED:
        with pytest.raises(OSError, match="source|definition"):
            pytest.fail(f"{cls.__name__} shows {inspect.getsource(cls)}")


HELP = """
import pydoc
import bybit_sync

(channel, *_) = bybit_sync.V5.channels(bybit_sync.Stream.POSITIONS, ("linear",))
channel.decode([{"symbol": "BTCUSDT", "positionIdx": 0, "size": "1"}])
for name in bybit_sync.__all__:
    if isinstance(cls := getattr(bybit_sync, name), type):
        shown = pydoc.render_doc(cls, renderer=pydoc.plaintext)
        if shown.count((cls.__doc__ or "").splitlines()[0]) != 1:
            print(name)
"""


def test_help_shows_a_docstring_once() -> None:
    """Nothing that a class is made with repeats it, also after rows were decoded.

    In a process of its own: Hypothesis resolves the types of what it builds, and attrs notes that in the class.
    """
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_the_annotations_of_a_public_class_can_be_read() -> None:
    """Also those that the package itself does not hold: nothing is raised for a name that is not found."""
    for cls in CLASSES:
        assert typing.get_type_hints(cls).keys() >= vars(cls).get("__annotations__", {}).keys(), cls
