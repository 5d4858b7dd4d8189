"""Make another dictionary of fill runs. One that logs are compressed with is kept for ever, so it is never made anew.

.venv/bin/python -m scripts.dictionary ledger/store/codec/dictionaries/2.zdict
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from typing import Final

from zstandard import train_dictionary

from ledger.tools.files import output
from scripts.dictionary.runs import synthetic_runs

_EXCHANGES: Final = 400
_BYTES: Final = 16 * 1024  # 8 kB lose 1 to 2 % more of a run, 32 kB gain none
_RUN_BYTES_MAX: Final = 1_500  # longer runs have enough in themselves to refer to


def trained() -> bytes:
    """Return a dictionary; with one release of zstd it is always the same."""
    return train_dictionary(_BYTES, [run for run in synthetic_runs(_EXCHANGES) if len(run) < _RUN_BYTES_MAX]).as_bytes()


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a dictionary, and tell its SHA-256, which `ledger.store.codec.compression` names."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.dictionary",
        description="Train a dictionary on synthetic fill runs, and tell its SHA-256.",
        epilog="example: python -m scripts.dictionary ledger/store/codec/dictionaries/2.zdict",
    )
    parser.add_argument("file", type=output, help="a new file")
    options = parser.parse_args(arguments)
    if options.file.exists():
        parser.error(f"{options.file} is there already: logs are compressed with it, so name a new file")
    content = trained()
    options.file.write_bytes(content)
    print(f"{options.file}: {len(content):,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
