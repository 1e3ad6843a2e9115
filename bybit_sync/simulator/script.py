"""A scenario as data: timed steps, from Python or from a JSON file.

```json
{
  "accounts": [{"key": "KEY", "secret": "SECRET", "balances": {"USDT": "10000"}}],
  "steps": [
    {"do": "wait_for_topics", "topics": ["order"]},
    {"do": "place_order", "as": "mine", "symbol": "BTCUSDT", "side": "Buy", "qty": "0.5", "price": "20000"},
    {"after": 0.5, "do": "fill", "order": "mine", "qty": "0.2"},
    {"after": 0.5, "do": "outage", "seconds": 3},
    {"at": 5.0, "do": "cancel", "order": "mine"}
  ],
  "repeat": 1
}
```

``do`` is a method of the exchange, of the account or, behind ``rest.``, of its REST
faults, out of `VERBS`; the other keys are its arguments by name, ``operations`` and
``endpoints`` as a list. ``at`` is seconds since the start, ``after`` seconds since the
step before; without either a step follows at once.

``as`` gives the order that a step returns a name for later steps' ``order``; a
position's own stops are called ``TakeProfit`` and ``StopLoss``. ``account`` names an
account by its key when there are several; those in ``accounts`` are opened unless they
are open. A bare list is ``steps``. ``repeat`` is how often all of it is played, null
for ever.
"""

from __future__ import annotations

import inspect
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs

from bybit_sync.simulator.books.account import Account
from bybit_sync.simulator.books.orders import Order
from bybit_sync.simulator.rest.faults import RestFaults

__all__ = ["VERBS", "Script", "ScriptError"]

Step = Mapping[str, Any]
_OF_THE_EXCHANGE = (
    "accept_all",
    "delay_answers",
    "drop",
    "duplicate_pushes",
    "freeze",
    "half_open",
    "heal",
    "hold_acks",
    "leave_pushes_alone",
    "listen",
    "lose_answers",
    "lose_pushes",
    "outage",
    "refuse_login",
    "refuse_topic",
    "refuse_upgrade",
    "release_acks",
    "reorder_pushes",
    "rewrite",
    "send_garbage",
    "set_clock",
    "stop_listening",
    "thaw",
    "wait_for_topics",
)
_OF_AN_ACCOUNT = (
    "amend",
    "cancel",
    "cancel_too_late",
    "fill",
    "flood",
    "fund",
    "liquidate",
    "mark",
    "move",
    "place_order",
    "push",
    "reject",
    "set_trading_stop",
    "sweep",
    "transfer",
    "trigger",
)
_OF_REST = (
    "rest.ban",
    "rest.cursors",
    "rest.cut",
    "rest.exhaust",
    "rest.heal",
    "rest.hide_conditional_orders",
    "rest.lag",
    "rest.limit",
    "rest.listen",
    "rest.refuse",
    "rest.respond",
    "rest.reverse",
    "rest.rewrite",
    "rest.slow",
    "rest.spell",
    "rest.stop_listening",
)
# The verbs of steps, and the owner of each method.
VERBS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(_OF_THE_EXCHANGE, "exchange"),
        **dict.fromkeys(_OF_AN_ACCOUNT, "account"),
        **dict.fromkeys(_OF_REST, "rest"),
    }
)
_OWN_KEYS = ("do", "at", "after", "as", "account")
_KEYS = ("accounts", "steps", "repeat")


class ScriptError(ValueError):
    """An error in a script; it names the step and the mistake."""


@attrs.frozen
class Script:
    """A script that was read and checked as far as is possible without playing it.

    *steps*, *accounts* and *repeat* are as in the file.
    """

    steps: Sequence[Step]
    accounts: Sequence[Mapping[str, Any]] = ()
    repeat: int | None = 1

    @classmethod
    def read(cls, source: Script | str | Path | Mapping[str, Any] | Iterable[Step]) -> Script:
        """Return the script in *source*: a path to a JSON file, or its content.

        Raises `ScriptError` for a script that cannot be played, and ``OSError`` for a
        file that cannot be read.
        """
        if isinstance(source, Script):
            return source
        told = _from_file(Path(source)) if isinstance(source, (str, Path)) else source
        whole: dict[str, Any] = dict(told) if isinstance(told, Mapping) else {"steps": told}
        if unknown := set(whole) - set(_KEYS):
            raise ScriptError(f"{', '.join(map(repr, sorted(unknown)))} is none of {', '.join(_KEYS)}")
        script = cls(tuple(whole.get("steps", ())), tuple(whole.get("accounts", ())), whole.get("repeat", 1))
        if not script.steps:
            raise ScriptError("steps: there is none")
        for number, step in enumerate(script.steps, start=1):
            _check(number, step)
        return script

    def play(self, exchange: object, accounts: Mapping[str, Account]) -> Iterator[float]:
        """Return an iterator that runs the steps on *exchange*.

        It yields before each step when it is due: seconds after the start.

        *accounts* are by key; a step that names none is the first one's. Raises
        `ScriptError` at once for a step whose arguments its method does not take, and
        while playing for one that is refused.
        """
        owners: Mapping[str, type] = {"exchange": type(exchange), "account": Account, "rest": RestFaults}
        for number, step in enumerate(self.steps, start=1):
            _check_arguments(number, step, owners[VERBS[step["do"]]])
        return self._play(exchange, accounts)

    def _play(self, exchange: object, accounts: Mapping[str, Account]) -> Iterator[float]:
        start = 0.0
        for _ in itertools.count() if self.repeat is None else range(self.repeat):
            names: dict[str, Order] = {}
            due = start
            for number, step in enumerate(self.steps, start=1):
                due = max(due, start + step["at"]) if "at" in step else due + step.get("after", 0.0)
                yield due
                _do(number, step, exchange, accounts, names)
            start = due


def _from_file(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ScriptError(f"{path} is no JSON: {error}") from None


def _check(number: int, step: object) -> None:
    """Raise `ScriptError` for a step with an unknown verb or a wrong time."""
    if not isinstance(step, Mapping):
        raise ScriptError(f"step {number}: {step!r} is no object")
    verb = str(step.get("do"))
    if verb not in VERBS:
        raise ScriptError(f"step {number}: do: {verb!r} is none of {', '.join(sorted(VERBS))}")
    for key in ("at", "after"):
        if not isinstance(step.get(key, 0.0), (int, float)) or step.get(key, 0.0) < 0:
            raise ScriptError(f"step {number}: {key}: {step[key]!r} is no number of seconds")


def _check_arguments(number: int, step: Step, owner: type) -> None:
    verb = step["do"]
    signature = inspect.signature(getattr(owner, _method(verb)))
    positional, named = _arguments(signature, step)
    try:
        signature.bind(None, *positional, **named)
    except TypeError as error:
        raise ScriptError(f"step {number}: {verb}: {error}") from None


def _arguments(signature: inspect.Signature, step: Step) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of *step*: positional ones, and those by name.

    Positional are those of a ``*args`` list, and those before it.
    """
    named = {key: value for key, value in step.items() if key not in _OWN_KEYS}
    rest = [name for name, parameter in signature.parameters.items() if parameter.kind is parameter.VAR_POSITIONAL]
    if not rest or rest[0] not in named:
        return [], named
    before = list(signature.parameters)[1 : list(signature.parameters).index(rest[0])]
    return [named.pop(name) for name in before if name in named] + list(named.pop(rest[0])), named


def _do(number: int, step: Step, exchange: object, accounts: Mapping[str, Account], names: dict[str, Order]) -> None:
    verb = step["do"]
    owner = _owner(number, step, exchange, accounts)
    method = getattr(owner, _method(verb))
    positional, named = _arguments(inspect.signature(getattr(type(owner), _method(verb))), step)
    if "order" in named:
        named["order"] = _order(number, named["order"], owner, names)
    try:
        result = method(*positional, **named)
    except (ValueError, TypeError, KeyError, TimeoutError) as error:
        raise ScriptError(f"step {number}: {verb}: {error}") from error
    if "as" in step:
        names[step["as"]] = result


def _method(verb: str) -> str:
    return verb.removeprefix("rest.")


def _owner(number: int, step: Step, exchange: Any, accounts: Mapping[str, Account]) -> Any:
    owner = VERBS[step["do"]]
    if owner == "account":
        return _account(number, step, accounts)
    return exchange.rest if owner == "rest" else exchange


def _account(number: int, step: Step, accounts: Mapping[str, Account]) -> Account:
    key = step.get("account", next(iter(accounts), None))
    if key not in accounts:
        raise ScriptError(f"step {number}: account: there is none with the key {key!r}")
    return accounts[key]


def _order(number: int, name: str, account: Account, names: Mapping[str, Order]) -> Order:
    """Return the order called *name*.

    A step gave it the name, or it is a position's stop of that kind.
    """
    stops = {order.stop_type: order for order in account.orders() if order.is_position_stop}
    order = names.get(name) or stops.get(name)
    if order is None:
        raise ScriptError(f"step {number}: order: no step before it gave an order the name {name!r}")
    return order
