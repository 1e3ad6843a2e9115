"""What the adversary may do: steps, each of which means something in every situation, so that any list of them is a history.

Their reprs are the code that makes them: the steps of a failure can be pasted into an ``@example``.
"""

from __future__ import annotations

import attrs
from hypothesis import strategies as st

STREAMS = ("orders", "positions", "balances", "user_trades")
ALL = 99

# --- who reads ---


@attrs.frozen
class Iterating:
    """No sink: taken from by `Take` and `Drain`."""

    maxsize: int = 1000
    overflow: str = "drop_oldest"


@attrs.frozen
class Calling:
    """A callback. *gated*: each call lasts until a `Take` lets it go. *raises*: every so many calls; 0 for never.

    *closes*: the call of that number closes its own subscription; 0 for none.
    """

    maxsize: int = 1000
    overflow: str = "drop_oldest"
    gated: bool = False
    raises: int = 0
    closes: int = 0


@attrs.frozen
class Inlined:
    """A callback on the connection thread. *raises* and *closes* as for `Calling`."""

    raises: int = 0
    closes: int = 0


@attrs.frozen
class Queueing:
    """A queue of the user's with room for *maxsize* events."""

    maxsize: int = 1000
    overflow: str = "drop_newest"


@attrs.frozen
class Sharing:
    """The one queue that several streams share; it has room for everything."""


@attrs.frozen
class Breaking:
    """A queue that raises something strange at put number *at*, and ever after."""

    at: int = 1


Reader = Iterating | Calling | Inlined | Queueing | Sharing | Breaking

# --- what is pushed ---


@attrs.frozen
class Push:
    """A message for one topic of *stream*, that of its *leg*: a number for each True in *rows*, and a bad row for each False.

    *again* sends the numbers of the topic's last message once more. *shape* is how the frame is made: "text", "binary" or
    "fragments".
    """

    stream: str = "orders"
    leg: int = 0
    rows: tuple[bool, ...] = (True,)
    again: bool = False
    shape: str = "text"


@attrs.frozen
class Spoilt:
    """A message for one topic whose data is no list."""

    stream: str = "orders"
    leg: int = 0


@attrs.frozen
class Garbage:
    """A message that nobody can tell anything about."""

    text: str = "{"


@attrs.frozen
class Stray:
    """A push for a topic that nobody asked for."""


Message = Push | Spoilt | Garbage | Stray

# --- the steps ---


@attrs.frozen
class Subscribe:
    """Subscribe. *wait*: from a thread that waits for the confirmation. *hurried*: go on before the client has obeyed."""

    stream: str
    reader: Reader = Iterating()
    wait: bool = False
    hurried: bool = False


@attrs.frozen
class Serve:
    """Do the next *count* things that the client waits for: an upgrade, the answer to a login, an answer to a subscribe."""

    count: int = ALL


@attrs.frozen
class Refuse:
    """Say no to the next *times* logins or subscribes, and yes to all that comes before each."""

    times: int = 1


@attrs.frozen
class TurnAway:
    """Answer the next upgrade with 503."""


@attrs.frozen
class Write:
    """Write *messages* in one segment; *cut* then ends the connection, at once and in the same segment where that is possible.

    Numbers that cannot be written because there is nobody, or who is there did not subscribe, are missed.
    """

    messages: tuple[Message, ...] = ()
    cut: str | None = None
    hurried: bool = False


@attrs.frozen
class Take:
    """Have reader *which* take *count* events, as far as there are any."""

    which: int
    count: int


@attrs.frozen
class Drain:
    """Have reader *which* take all there is."""

    which: int


@attrs.frozen
class Close:
    """Close subscription *which*. *patient*: waiting for its callback; else what is buffered for one is discarded."""

    which: int
    patient: bool = True
    hurried: bool = False


@attrs.frozen
class Reconnect:
    """Call `client.reconnect()`."""

    hurried: bool = False


Step = Subscribe | Serve | Refuse | TurnAway | Write | Take | Drain | Close | Reconnect


@attrs.frozen
class Plot:
    """A whole history.

    *numbered* says whether the exchange's answers carry the number of their request, *pongs* whether it answers pings.
    *end*: "settled" lets everything come to rest first, "closed" closes the client in the middle of it all and waits for the
    callbacks, "left" does not wait.
    """

    dialect: str
    steps: tuple[Step, ...]
    numbered: bool = True
    pongs: bool = False
    end: str = "settled"


# --- drawing them ---

_ORDERS_MOST = st.sampled_from(("orders", "orders", *STREAMS))
_SMALL = st.sampled_from((1, 2, 3, 1000))
_POLICY = st.sampled_from(("drop_oldest", "drop_newest", "fail"))
_RARELY = st.sampled_from((False, False, False, True))

READERS = st.one_of(
    st.builds(Iterating, _SMALL, _POLICY),
    st.builds(Iterating, _SMALL, _POLICY),
    st.builds(Calling, _SMALL, _POLICY, st.booleans(), st.sampled_from((0, 0, 1, 2)), st.sampled_from((0, 0, 0, 1, 3))),
    st.builds(Inlined, st.sampled_from((0, 0, 1, 2)), st.sampled_from((0, 0, 0, 1, 3))),
    st.builds(Queueing, st.sampled_from((1, 2, 3, 1000)), st.sampled_from(("drop_newest", "fail"))),
    st.just(Sharing()),
    st.builds(Breaking, st.integers(1, 3)),
)

_ROWS = st.sampled_from(((True,), (True,), (True,), (True, True), (True, False), (False, True), (False,), (False, False), ()))
_LEG = st.integers(0, 1)
MESSAGES = st.one_of(
    st.builds(Push, _ORDERS_MOST, _LEG, _ROWS, _RARELY, st.sampled_from(("text", "text", "binary", "fragments"))),
    st.builds(Push, _ORDERS_MOST, _LEG),
    st.builds(Push, _ORDERS_MOST, _LEG),
    st.builds(Push, _ORDERS_MOST, _LEG),
    st.builds(Spoilt, _ORDERS_MOST, _LEG),
    st.builds(Garbage, st.sampled_from(("{", "", "[1]", "nonsense"))),
    st.just(Stray()),
)

_CUTS = st.sampled_from(("fin", "rst", "close", "half-fin", "half-rst"))
_WHICH = st.integers(0, 5)
_WRITES = st.builds(Write, st.lists(MESSAGES, min_size=1, max_size=5).map(tuple), st.none(), _RARELY)
_CUT_OFF = st.builds(Write, st.lists(MESSAGES, max_size=4).map(tuple), _CUTS, _RARELY)
_SERVES = st.builds(Serve, st.sampled_from((ALL, ALL, ALL, 1, 2, 3, 4, 5)))
SUBSCRIBES = st.builds(Subscribe, _ORDERS_MOST, READERS, _RARELY, _RARELY)

STEPS = st.one_of(
    _WRITES,
    _WRITES,
    _WRITES,
    _CUT_OFF,
    _CUT_OFF,
    _SERVES,
    _SERVES,
    _SERVES,
    SUBSCRIBES,
    st.builds(Take, _WHICH, st.integers(1, 4)),
    st.builds(Drain, _WHICH),
    st.builds(Close, _WHICH, st.booleans(), _RARELY),
    st.builds(Reconnect, _RARELY),
    st.one_of(st.builds(Refuse, st.sampled_from((1, 1, 2, 4))), st.just(TurnAway())),
)


def plots(dialect: str) -> st.SearchStrategy[Plot]:
    """Return plots in *dialect*; most begin with somebody who is subscribed."""
    begins = st.lists(SUBSCRIBES, min_size=1, max_size=3)
    opened = st.sampled_from(((Serve(),), (Serve(),), (Serve(),), ()))
    steps = st.tuples(begins, opened, st.lists(STEPS, max_size=14)).map(lambda parts: tuple(s for part in parts for s in part))
    return st.builds(
        Plot, st.just(dialect), steps, st.booleans(), st.booleans(), st.sampled_from(("settled", "settled", "closed", "left"))
    )
