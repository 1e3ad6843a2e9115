"""``python -m tests.fuzzing TARGET [--seconds 60]``: look for an input that breaks a promise, guided by coverage.

Needs the extra ``fuzz``. One process, which ends with the first input found and prints it in base64: it then belongs into
tests/fuzzing/test_found.py. An input that takes longer than 5 s, or memory beyond 1 GB, is one, too.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

NAMES = ("parsing", "decoding", "session", "head", "frames")


def arguments() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description="Fuzz a pure part, guided by coverage.")
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--seconds", type=int, default=60, help="for how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations; 0 for any (default)")
    parser.add_argument("--corpus", type=Path, help="folder that keeps what reached something new, for the next run")
    return parser.parse_args()


def prepared(atheris: Any, name: str) -> Any:
    """Return the target, with everything that it runs through instrumented."""
    with atheris.instrument_imports(include=["bybit_sync", "websocket"]):
        targets = importlib.import_module("tests.fuzzing.targets")
    # What is written for a shape of row is not: there is no end of shapes, and of places to count there is.
    return targets.TARGETS[name]


def lay_out(target: Any, corpus: Path, words: Path) -> None:
    """Write the seeds and the dictionary of *target*."""
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    words.write_text("".join(f'"{quoted(word)}"\n' for word in target.words))


def quoted(word: bytes) -> str:
    """Return *word* as a dictionary holds it."""
    return "".join(f"\\x{byte:02x}" for byte in word)


def main() -> None:
    """Fuzz until the time is over or something is found."""
    asked = arguments()
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.exit("This needs atheris: pip install -e '.[test,fuzz]'")
    target = prepared(atheris, asked.target)
    logging.getLogger("bybit_sync").addHandler(logging.NullHandler())
    scratch = Path(tempfile.mkdtemp(prefix="fuzzing-"))
    corpus = asked.corpus or scratch / "corpus"
    lay_out(target, corpus, scratch / "words")
    options = {
        "max_total_time": asked.seconds,
        "seed": asked.seed,
        "dict": scratch / "words",
        "artifact_prefix": f"{scratch}{os.sep}",
        "timeout": 5,
        "rss_limit_mb": 1024,
        "max_len": 4096,
        "print_final_stats": 1,
    }
    atheris.Setup([sys.argv[0], *(f"-{name}={value}" for name, value in options.items()), str(corpus)], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
