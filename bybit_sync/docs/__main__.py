"""Build the site: ``python -m bybit_sync.docs FOLDER``. Needs the extra ``docs``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> None:
    """Build the site into the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bybit_sync.docs", description="Build the documentation site.")
    parser.add_argument("folder", type=Path, help="the folder to write the pages to")
    folder = parser.parse_args().folder
    try:
        from bybit_sync.docs.site import build  # noqa: PLC0415 - comes with an extra

        build(folder)
    except ModuleNotFoundError as error:
        sys.exit(f"{error.name} is not installed: pip install '.[docs]', in a copy of the source")


if __name__ == "__main__":
    main()
