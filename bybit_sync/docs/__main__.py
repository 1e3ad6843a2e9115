"""Build the site: ``python -m bybit_sync.docs FOLDER``. Needs the extra ``docs``."""

from __future__ import annotations

import argparse
from pathlib import Path

from bybit_sync.docs.site import build


def main() -> None:
    """Build the site into the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bybit_sync.docs", description="Build the documentation site.")
    parser.add_argument("folder", type=Path, help="the folder to write the pages to")
    build(parser.parse_args().folder)


if __name__ == "__main__":
    main()
