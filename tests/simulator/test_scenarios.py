"""Scenarios: scripts of timed steps, those that come along, and recordings that are played again."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bybit_sync import Client, GapReason
from bybit_sync.errors import RecordingError
from bybit_sync.simulator import Account, Exchange, RestFaults, script
from bybit_sync.simulator.scenarios import SCENARIOS
from bybit_sync.simulator.scheduling import on_time, paused
from bybit_sync.simulator.script import VERBS, Script, ScriptError
from bybit_sync.simulator.server_command import plan
from tests.conftest import KEY, SECRET
from tests.simulator.peers import Listener, Peer

ROOT = Path(__file__).parents[2]
PLACE = {"do": "place_order", "as": "mine", "symbol": "BTCUSDT", "side": "Buy", "qty": "0.5", "price": "20000"}


def statuses(listener: Listener) -> list[str]:
    """Return what happened to orders."""
    return [push["data"][0]["orderStatus"] for push in listener.heard() if push["topic"] == "order"]


# --- scripts ---


def test_a_script_trades(v5: Listener, exchange: Exchange) -> None:
    """Steps call the account's methods; an order is known by the name that its step gave it."""
    exchange.play([PLACE, {"do": "fill", "order": "mine", "qty": "0.2"}, {"do": "cancel", "order": "mine"}])
    assert statuses(v5) == ["New", "PartiallyFilled", "Cancelled"]


def test_a_script_goes_wrong_and_a_client_is_told(
    make_client: Callable[..., Client], exchange: Exchange, account: Account
) -> None:
    """Steps call the exchange's faults too: a bug report can carry what happened."""
    orders = make_client().subscribe_orders()
    exchange.play(
        [
            PLACE,
            {"do": "refuse_upgrade", "status": 503, "times": 1},
            {"do": "drop", "reset": True},
            {"do": "wait_for_topics", "topics": ["order.linear", "order.inverse"]},
            {"do": "amend", "order": "mine", "price": "20001"},
            {"do": "send_garbage", "name": "no json"},
            {"do": "cancel", "order": "mine"},
        ]
    )
    told = [orders.get(timeout=10) for _ in range(5)]
    reasons = [event.gap and event.gap.reason for event in told]
    assert reasons == [None, GapReason.DISCONNECTED, None, GapReason.UNDECODABLE, None]


def test_a_position_s_stops_have_names_of_their_own(v5: Listener, exchange: Exchange, account: Account) -> None:
    """No step has placed them."""
    exchange.play(
        [
            {**PLACE, "stop_loss": "19000"},
            {"do": "fill", "order": "mine"},
            {"do": "trigger", "order": "StopLoss", "as": "stop"},
            {"do": "fill", "order": "stop", "price": "18990"},
        ]
    )
    assert account.position("BTCUSDT").size == 0


def test_operations_are_a_list(v5: Listener, exchange: Exchange) -> None:
    """With the arguments before them by name, as all are."""
    exchange.play([{"do": "delay_answers", "seconds": 0.05, "operations": ["ping"]}])
    before = time.monotonic()
    assert v5.peer.hears_nothing()
    assert time.monotonic() - before >= 0.05


def test_a_step_is_done_when_it_is_due(exchange: Exchange, account: Account) -> None:
    """``at`` counts from the start, ``after`` from the step before; faster on demand."""
    steps = [{"do": "mark", "symbol": "BTCUSDT", "price": "1"} for _ in range(3)]
    due = list(
        Script.read([{**steps[0], "at": 1.0}, {**steps[1], "after": 0.5}, {**steps[2], "at": 4}]).play(exchange, {"": account})
    )
    assert due == [1.0, 1.5, 4.0]
    before = time.monotonic()
    exchange.play([{**steps[0], "at": 60.0}], speed=300)
    assert 0.2 <= time.monotonic() - before < 30


def test_a_script_is_repeated(exchange: Exchange, account: Account) -> None:
    """As often as it says, one after the other; null is for ever."""
    step = {"do": "transfer", "coin": "USDT", "amount": "1", "after": 1}
    assert list(Script.read({"steps": [step], "repeat": 3}).play(exchange, {"": account})) == [1, 2, 3]
    assert account.balance("USDT").wallet == 10003
    assert len(list(itertools.islice(Script.read({"steps": [step], "repeat": None}).play(exchange, {"": account}), 50))) == 50


def test_a_script_comes_from_a_file_with_its_accounts(exchange: Exchange, tmp_path: Path) -> None:
    """Each step is of the account that it names, else of the first."""
    accounts = [{"key": "A", "secret": "x", "balances": {"USDT": "5"}}, {"key": "B", "secret": "y", "kind": "CONTRACT"}]
    steps = [
        {"do": "transfer", "coin": "USDT", "amount": "1"},
        {"do": "transfer", "coin": "USDT", "amount": "2", "account": "B"},
    ]
    (tmp_path / "bug.json").write_text(json.dumps({"accounts": accounts, "steps": steps}))
    exchange.play(tmp_path / "bug.json")
    opened = {account["key"]: exchange._accounts[str(account["key"])] for account in accounts}
    assert (opened["A"].balance("USDT").wallet, opened["B"].balance("USDT").wallet) == (6, 10002)


def test_closing_the_exchange_ends_a_script(exchange: Exchange, account: Account) -> None:
    """It does not wait for what would have come."""
    player = threading.Thread(target=exchange.play, args=([{"do": "heal", "at": 600}],), daemon=True)
    player.start()
    exchange.close()
    player.join(5)
    assert not player.is_alive()


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ([], "steps: there is none"),
        ([{"do": "dance"}], "step 1: do: 'dance' is none of accept_all"),
        ([PLACE, {"do": "outage"}], r"step 2: outage: missing a required argument: 'seconds'"),
        ([{"do": "outage", "minutes": 3}], "step 1: outage: missing a required|unexpected"),
        ([{"do": "heal", "at": "soon"}], "step 1: at: 'soon' is no number of seconds"),
        ([{"do": "heal", "after": -1}], "step 1: after: -1 is no number of seconds"),
        ([7], "step 1: 7 is no object"),
        ({"step": []}, "'step' is none of accounts, steps, repeat"),
    ],
)
def test_a_script_that_cannot_be_played_says_so_before_its_first_step(
    exchange: Exchange, account: Account, script: Any, text: str
) -> None:
    """Which step, and what is wrong with it."""
    with pytest.raises(ScriptError, match=text):
        exchange.play(script)
    assert account.orders() == ()


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([{"do": "fill", "order": "mine"}], "step 1: order: no step before it gave an order the name 'mine'"),
        ([PLACE, {"do": "fill", "order": "mine", "qty": "7"}], r"step 2: fill: qty: 7 of an order that leaves 0\.5"),
        ([{**PLACE, "account": "NOBODY"}], "step 1: account: there is none with the key 'NOBODY'"),
        ([{"do": "wait_for_topics", "timeout": 0.01}], "step 1: wait_for_topics: not within"),
        ([{**PLACE, "price": 0.1}], "step 1: place_order: price: 0.1 is a float"),
    ],
)
def test_a_step_that_the_exchange_refuses_says_which_it_was(
    exchange: Exchange, account: Account, steps: Any, text: str
) -> None:
    """With the exchange's own reason."""
    with pytest.raises(ScriptError, match=text):
        exchange.play(steps)


def test_a_file_that_is_no_json_says_so(exchange: Exchange, tmp_path: Path) -> None:
    """With its name."""
    (tmp_path / "bug.json").write_text("{")
    with pytest.raises(ScriptError, match=r"bug\.json is no JSON"):
        exchange.play(tmp_path / "bug.json")


def test_the_documented_script_plays(exchange: Exchange) -> None:
    """Word for word, as the module shows it."""
    documented = json.loads((script.__doc__ or "").partition("```json")[2].partition("```")[0])
    exchange.account("KEY", "SECRET")
    with Peer(exchange) as peer:
        peer.log_in("KEY", "SECRET")
        peer.subscribe("order")
        exchange.play(documented, speed=100)
        assert [peer.hear()["data"][0]["orderStatus"] for _ in range(2)] == ["New", "PartiallyFilled"]


def test_the_example_plays(make_client: Callable[..., Client], exchange: Exchange) -> None:
    """A stop that fires while nobody is told: the client knows that it missed something, and the account what."""
    account = exchange.account("KEY", "SECRET")
    client = make_client("KEY", "SECRET")
    orders, positions = client.subscribe_orders(), client.subscribe_positions()
    exchange.play(ROOT / "examples" / "outage.json", speed=20)
    while not positions.get(timeout=10).gap:
        pass
    assert account.position("BTCUSDT").size == 0
    assert [row.order_status for _ in range(3) for row in orders.get(timeout=10)] == ["New", "PartiallyFilled", "Untriggered"]


def test_every_verb_is_a_method_that_is_documented() -> None:
    """Of the exchange or of an account, and what a script is told of it is what Python says."""
    for verb, owner in VERBS.items():
        owners = {"exchange": Exchange, "account": Account, "rest": RestFaults}
        assert getattr(owners[owner], verb.removeprefix("rest.")).__doc__, verb


# --- when things are due ---


def test_pauses_become_moments() -> None:
    """Each counts from the one before; at a rate all are alike."""
    assert list(paused([1.0, 0.5])) == [1.0, 1.5]
    assert list(paused([1.0, 9.0], rate=4)) == [0.25, 0.5]


def test_what_the_shell_plays_is_due_when_it_says(exchange: Exchange, tmp_path: Path) -> None:
    """A file keeps its own moments; at a rate everything comes as often, files and scenarios alike."""
    (tmp_path / "bug.json").write_text(json.dumps([{"do": "mark", "symbol": "BTCUSDT", "price": "1", "after": 1}] * 3))
    for rate, due in ((None, [1.0, 2.0, 3.0]), (4.0, [0.25, 0.5, 0.75])):
        with Exchange() as other:
            assert list(plan(other, str(tmp_path / "bug.json"), rate)[1]) == due
    assert list(itertools.islice(plan(exchange, "story", 2.0)[1], 2)) == [0.5, 1.0]


def test_a_step_that_is_late_does_not_make_the_next_one_late() -> None:
    """What is due is counted from the start."""
    before = time.monotonic()
    assert on_time((time.sleep(0.15) or due for due in (0.1, 0.2)), threading.Event())  # type: ignore[func-returns-value]
    assert time.monotonic() - before < 5


# --- the scenarios that come along ---


def played(name: str, exchange: Exchange, account: Account, steps: int) -> float:
    """Play *steps* of a scenario without waiting; return how many seconds they would have taken."""
    return sum(itertools.islice(SCENARIOS[name](exchange, account), steps))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_goes_on_and_its_account_adds_up(exchange: Exchange, account: Account, name: str) -> None:
    """Nothing is refused, and what is left open is what its steps say."""
    played(name, exchange, account, 300)
    assert len(account.orders()) <= 2
    assert account.balance("USDT").wallet > 0
    assert account.position("BTCUSDT").seq


def test_the_busy_scenario_is_hundreds_of_orders_a_second(exchange: Exchange, account: Account) -> None:
    """As planned, and as fast as this machine writes them to a client."""
    assert played("busy", exchange, account, 1200) < 4.0
    with Peer(exchange) as peer:
        listener = Listener(peer)
        before = time.monotonic()
        played("busy", exchange, account, 400)
        assert len(statuses(listener)) == 400
        assert time.monotonic() - before < 20


def test_the_books_of_a_busy_account_do_not_grow(exchange: Exchange, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest final orders are forgotten, the unfinished ones never."""
    monkeypatch.setattr("bybit_sync.simulator.books.tables.FINAL_KEPT", 100)
    kept = account.place_order("BTCUSDT", "Buy", qty=1, price=1)
    first = account.cancel(account.place_order("BTCUSDT", "Buy", qty=1, price=1))
    played("busy", exchange, account, 400)
    assert account.order(kept).is_open
    with pytest.raises(KeyError):
        account.order(first)


def test_the_liquidation_scenario_liquidates(exchange: Exchange, account: Account) -> None:
    """Again and again, with new money each time."""
    with Peer(exchange) as peer:
        listener = Listener(peer)
        played("liquidation", exchange, account, 28)
        kinds = [push["data"][0]["execType"] for push in listener.heard() if push["topic"] == "execution"]
    assert (kinds.count("BustTrade"), kinds.count("Trade")) == (2, 3)
    assert kinds.count("Funding") == 4


def test_the_outages_scenario_is_survived_by_a_client(
    make_client: Callable[..., Client], exchange: Exchange, account: Account
) -> None:
    """One fault after the other; in the end the client is live, and was told of gaps."""
    client = make_client()
    orders = client.subscribe_orders()
    steps = itertools.islice(SCENARIOS["outages"](exchange, account), 300)
    assert on_time(paused(steps), threading.Event(), speed=80)
    exchange.heal()
    assert client.wait_live(30)
    assert client.health().reconnects >= 3
    assert orders.state.name == "LIVE"


# --- replay ---


def line(ms: int, says: object, direction: str = "in") -> str:
    """Return a line of a recording."""
    frame = says if isinstance(says, str) else json.dumps(says)
    return json.dumps(
        {"recv_ns": 10**12 + ms * 10**6, "recv_utc": "2026-01-01T00:00:00Z", "direction": direction, "frame": frame}
    )


def pushed(ms: int, number: str, topic: str = "order") -> str:
    """Return the line of a recorded push."""
    return line(ms, {"topic": topic, "id": "x", "creationTime": ms, "data": [{"orderId": number}]})


RECORDING = [
    line(0, {"op": "auth", "args": ["***"]}, "out"),
    line(1, {"success": True, "op": "auth", "ret_msg": "", "conn_id": "1"}),
    pushed(100, "1"),
    line(120, "a bare ping", "out"),
    line(150, {"op": "pong", "args": ["1"]}),
    pushed(200, "2"),
    pushed(250, "elsewhere", "order.linear"),
    line(300, "{ garbage"),
]


def test_a_recording_is_played_to_who_subscribed(v5: Listener, exchange: Exchange) -> None:
    """Frames as they were, to their topics; what was answered then is not sent again; what cannot be read comes too."""
    assert exchange.replay(RECORDING, speed=None) == 4
    heard = [v5.peer.socket.recv(5) for _ in range(3)]
    assert heard == [json.loads(RECORDING[number])["frame"] for number in (2, 5, 7)]
    assert v5.peer.hears_nothing()


def test_a_recording_keeps_its_time_or_is_faster(exchange: Exchange) -> None:
    """Counted from its first frame."""
    before = time.monotonic()
    exchange.replay(RECORDING)
    assert time.monotonic() - before >= 0.3
    before = time.monotonic()
    exchange.replay([*RECORDING, pushed(60_000, "a minute later")], speed=300)
    assert 0.2 <= time.monotonic() - before < 30


def test_a_recording_is_played_step_by_step(v5: Listener, exchange: Exchange, tmp_path: Path) -> None:
    """Nothing comes before it is asked for."""
    (tmp_path / "session.jsonl").write_text("\n".join(RECORDING))
    steps = exchange.replay_steps(tmp_path / "session.jsonl")
    first = next(steps)
    assert (first.topic, round(first.at, 3)) == ("order", 0.1)
    assert len(v5.heard()) == 1
    assert [frame.topic for frame in steps] == ["order", "order.linear", None]


def test_a_recording_of_a_session_is_the_same_to_a_client(
    make_client: Callable[..., Client], exchange: Exchange, account: Account
) -> None:
    """What it received the first time it receives again, to the byte."""
    client = make_client()
    orders = client.subscribe_orders()
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    events = [orders.get(timeout=5) for _ in range(2)]
    lines = [line(number, event.raw.decode()) for number, event in enumerate(events)]
    exchange.replay(lines)
    again = [orders.get(timeout=5) for _ in range(2)]
    assert [event.raw for event in again] == [event.raw for event in events]
    assert [event.data for event in again] == [event.data for event in events]
    assert next(iter(again[1])).cum_exec_qty == Decimal("0.5")


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ("{", "line 2 .*not JSON"),
        ('{"recv_ns": 1}', "line 2 .*recv_utc"),
        (line(5, "x", "up"), "line 2 .*in, out"),
    ],
)
def test_a_damaged_recording_plays_what_is_whole(v5: Listener, exchange: Exchange, broken: str, text: str) -> None:
    """And then says which line is none."""
    with pytest.raises(RecordingError, match=text):
        exchange.replay([pushed(0, "1"), broken], speed=None)
    assert len(v5.heard()) == 1


def test_a_recorded_frame_does_not_tell_the_account(exchange: Exchange) -> None:
    """Its repr may be logged."""
    assert "x" not in repr(next(exchange.replay_steps([pushed(0, "1")]))).replace("Frame", "")


def test_an_account_is_opened_for_a_replay(exchange: Exchange) -> None:
    """Any will do: a recording does not say whose it is."""
    exchange.account(KEY, SECRET)
    with Peer(exchange) as peer:
        listener = Listener(peer)
        exchange.replay([pushed(0, "1")])
        assert len(listener.heard()) == 1
