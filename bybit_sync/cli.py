"""The command line: ``bybit-sync``."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import queue
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bybit_sync import AnyEvent, Client, Stream, to_dict
from bybit_sync._version import __version__

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

__all__ = ["main"]

Show = Callable[[AnyEvent], None]

OK, MISSING, WRONG, INTERRUPTED = 0, 1, 2, 130
EXTRAS = ("rich", "websockets", "trustme")
# Of the simulator, which is not there without its extra.
SCENARIOS = ("story", "busy", "outages", "liquidation")
# How long the last pushes of a story may take to arrive.
AFTERGLOW = 0.3

EXAMPLES = """\
examples:
  bybit-sync demo                       a simulated exchange and a real client, until Ctrl-C
  bybit-sync demo --seconds 10          the same for ten seconds
  bybit-sync demo --dialect v3          in the words of the V3 streams
  bybit-sync demo --json | jq .stream   one JSON object per event and line
  bybit-sync simulate                   an exchange for clients of any language, until Ctrl-C
  bybit-sync simulate --port 8080 --scenario outages

exit codes: 0 done, 1 something is not installed, 2 wrong arguments, 130 Ctrl-C
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that *argv* (by default the process's own) names, and return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read has read enough. What Python still holds must not be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRAS:
            raise
        what = missing if missing == "trustme" else "'bybit-sync[cli]'"
        print(f"bybit-sync: {missing} is not installed: pip install {what}", file=sys.stderr)
        return MISSING


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="bybit-sync",
        description="Bybit's private contract streams, from the command line.",
        epilog=EXAMPLES,
        formatter_class=formatter,
    )
    parser.add_argument("--version", action="version", version=f"bybit-sync {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    demo = commands.add_parser(
        "demo",
        help="show all four streams of a simulated account",
        description="Start a simulated exchange in this process, run the real client against it over a real socket, and show\n"
        "balances, orders, positions and user trades as they arrive. No account and no network needed.",
        epilog=EXAMPLES,
        formatter_class=formatter,
    )
    demo.add_argument("--seconds", type=_above_zero, metavar="N", help="stop after N seconds (default: at Ctrl-C)")
    demo.add_argument("--dialect", choices=("v3", "v5"), default="v5", help="which of the exchange's dialects (default: v5)")
    demo.add_argument("--json", action="store_true", help="one JSON object per event and line")
    demo.set_defaults(run=_demo)
    _add_simulate(
        commands.add_parser("simulate", help="run the simulated exchange for other clients", formatter_class=formatter)
    )
    return parser


def _add_simulate(simulate: argparse.ArgumentParser) -> None:
    simulate.description = (
        "Run the simulated exchange until Ctrl-C, and print where it is and which key logs in.\n\n"
        f"scenarios: {', '.join(SCENARIOS)}; or a JSON file of timed steps,\n"
        "as python -m pydoc bybit_sync.simulator.script describes it."
    )
    simulate.epilog = EXAMPLES
    simulate.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default: this machine only)")
    simulate.add_argument("--port", type=_port, default=0, metavar="N", help="which port (default: a free one)")
    simulate.add_argument("--tls", action="store_true", help="speak TLS, with a throw-away authority that is written to a file")
    simulate.add_argument("--scenario", default="story", metavar="NAME|FILE", help="what happens (default: story)")
    simulate.add_argument("--rate", type=_above_zero, metavar="N", help="N steps a second, instead of the scenario's own pace")
    simulate.set_defaults(run=_simulate)


def _above_zero(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (number := float(text)) < math.inf:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) < 2**16:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port from 0 to 65535")


# --- demo ---


def _demo(arguments: argparse.Namespace) -> int:
    """Show what a simulated account does, as the real client tells it."""
    from bybit_sync.simulator import Exchange  # noqa: PLC0415 - comes with an extra
    from bybit_sync.simulator.story import story  # noqa: PLC0415

    with Exchange() as exchange:
        account = exchange.account("DEMO-KEY", "DEMO-SECRET", balances={"USDT": 10_000})
        with (
            Client("DEMO-KEY", "DEMO-SECRET", environment=exchange.url, dialect=arguments.dialect, name="demo") as client,
            _view(arguments) as show,
        ):
            inbox: queue.Queue[AnyEvent] = queue.Queue()
            for subscribe in (
                client.subscribe_orders,
                client.subscribe_user_trades,
                client.subscribe_positions,
                client.subscribe_balances,
            ):
                subscribe(inbox)
            end = time.monotonic() + (arguments.seconds or math.inf)
            for pause in story(account):
                _show_until(min(time.monotonic() + pause, end), inbox, show)
                if time.monotonic() >= end:
                    break
            _show_until(time.monotonic() + AFTERGLOW, inbox, show)
    return OK


def _show_until(deadline: float, inbox: queue.Queue[AnyEvent], show: Show) -> None:
    """Show what arrives until *deadline* (``time.monotonic()``)."""
    with contextlib.suppress(queue.Empty):
        while True:
            show(inbox.get(timeout=max(0.0, deadline - time.monotonic())))


# --- simulate ---


def _simulate(arguments: argparse.Namespace) -> int:
    """Let the simulated exchange run for whoever comes."""
    from bybit_sync.simulator.shell import simulate  # noqa: PLC0415 - comes with an extra

    options = ("host", "port", "tls", "scenario", "rate")
    wrong = simulate(**{name: getattr(arguments, name) for name in options})
    print(f"bybit-sync: {wrong}", file=sys.stderr)
    return WRONG


# --- three ways to show ---


@contextlib.contextmanager
def _view(arguments: argparse.Namespace) -> Iterator[Show]:
    """Choose by what is asked for and what is there: JSON, tables on a terminal, else lines."""
    if arguments.json:
        yield _show_json
    elif sys.stdout.isatty():
        with _tables(f"simulated exchange, {arguments.dialect}; Ctrl-C ends") as show:
            yield show
    else:
        yield _show_lines


def _show_json(event: AnyEvent) -> None:
    """Print one object on one line, numbers as texts."""
    whole = to_dict(event)
    told = {key: whole[key] for key in ("stream", "topic", "created_at", "data")}
    gap = whole["gap"] and {key: whole["gap"][key] for key in ("reason", "since", "until", "missed", "detail")}
    print(json.dumps({**told, "gap": gap}), flush=True)


def _show_lines(event: AnyEvent) -> None:
    """Print a line per row."""
    moment = f"{event.created_at or event.received_at:%H:%M:%S.%f}"[:-3]
    for line in [f"gap: {event.gap}"] if event.gap else [_line(event.stream, row) for row in _rows(event)]:
        print(f"{moment} {event.stream.value:<11} {line}", flush=True)


def _line(stream: Stream, row: Any) -> str:
    (_, first), *others = _COLUMNS[stream]
    return " ".join([first(row), *(f"{header}={cell(row)}" for header, cell in others)])


@contextlib.contextmanager
def _tables(footer: str) -> Iterator[Show]:
    """Keep four tables on the terminal up to date."""
    from rich.live import Live  # noqa: PLC0415 - comes with an extra

    shown: dict[Stream, dict[str, Any]] = {stream: {} for stream in _COLUMNS}
    with Live(auto_refresh=False) as live:

        def show(event: AnyEvent) -> None:
            nonlocal footer
            if event.gap:
                footer = f"{event.stream.value}: updates may be missing ({event.gap.reason})"
            rows, most = shown[event.stream], _ROWS_SHOWN[event.stream]
            for row in _rows(event):
                # What changed last stands last, and the oldest goes.
                rows.pop(key := _KEYS[event.stream](row), None)
                rows[key] = row
            shown[event.stream] = dict(list(rows.items())[-most:])
            live.update(_screen(shown, footer), refresh=True)

        yield show


def _screen(shown: Mapping[Stream, Mapping[str, Any]], footer: str) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415

    tables = [part for stream in _COLUMNS for part in (_table(stream, shown[stream].values()), "")]
    return Group(*tables, f"[dim]{footer}[/dim]")


def _table(stream: Stream, rows: Iterable[Any]) -> Table:
    """Return one stream as a table without lines, narrow enough that four of them fit on 80 by 24."""
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    (_, _), *columns = _COLUMNS[stream]
    table.add_column(f"[bold]{stream.value.replace('_', ' ')}[/bold]", width=11, no_wrap=True)
    for header, _ in columns:
        table.add_column(header, justify="left" if header in _WORDS else "right", min_width=11, no_wrap=True)
    for row in rows:
        table.add_row(*(_coloured(header, cell(row)) for header, cell in _COLUMNS[stream]))
    return table


def _coloured(header: str, text: str) -> str:
    """Return *text* in rich's markup: green for bought and gained, red for sold and lost."""
    if header in ("unrealised", "realised") and text not in ("-", "0"):
        colour = "red" if text.startswith("-") else "green"
        return f"[{colour}]{text}[/{colour}]"
    colour = _SIDE_COLOURS.get(text, "")
    return f"[{colour}]{text}[/{colour}]" if colour else text


# --- what is shown of each stream ---


def _rows(event: AnyEvent) -> Iterable[Any]:
    """Return what is shown as a row: of a balance, each coin."""
    return [row for update in event for row in getattr(update, "coins", (update,))]


def _cell(name: str, missing: str = "-") -> Callable[[Any], str]:
    """Return how an attribute is shown: numbers plainly, words as they are."""

    def cell(row: Any) -> str:
        value = getattr(row, name)
        if value is None:
            return missing
        return format(value, "f") if isinstance(value, Decimal) else str(value)

    return cell


_COLUMNS: Mapping[Stream, Sequence[tuple[str, Callable[[Any], str]]]] = {
    Stream.POSITIONS: (
        ("symbol", _cell("symbol")),
        ("side", _cell("side", "flat")),
        ("size", _cell("size")),
        ("entry", _cell("entry_price")),
        ("unrealised", _cell("unrealised_pnl")),
        ("realised", _cell("cum_realised_pnl")),
    ),
    Stream.ORDERS: (
        ("symbol", _cell("symbol")),
        ("side", _cell("side")),
        ("qty", _cell("qty")),
        ("price", _cell("price")),
        ("filled", _cell("cum_exec_qty")),
        ("status", _cell("order_status")),
    ),
    Stream.USER_TRADES: (
        ("symbol", _cell("symbol")),
        ("side", _cell("side")),
        ("qty", _cell("exec_qty")),
        ("price", _cell("exec_price")),
        ("fee", _cell("exec_fee")),
        ("closed", _cell("closed_size")),
    ),
    Stream.BALANCES: (
        ("coin", _cell("coin")),
        ("wallet", _cell("wallet_balance")),
        ("equity", _cell("equity")),
        ("unrealised", _cell("unrealised_pnl")),
        ("realised", _cell("cum_realised_pnl")),
    ),
}
_KEYS: Mapping[Stream, Callable[[Any], str]] = {
    Stream.POSITIONS: lambda row: f"{row.symbol} {row.position_idx}",
    Stream.ORDERS: _cell("order_id"),
    Stream.USER_TRADES: _cell("exec_id"),
    Stream.BALANCES: _cell("coin"),
}
_ROWS_SHOWN = {Stream.POSITIONS: 2, Stream.ORDERS: 4, Stream.USER_TRADES: 4, Stream.BALANCES: 2}
_WORDS = ("side", "status")
_SIDE_COLOURS = {"Buy": "green", "Sell": "red"}
