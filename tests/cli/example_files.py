"""The files that the examples of the help name, as a stranger would have them."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Final

from ledger.programmes import packaged
from tests.cli.running import ROOT
from tests.tools import tapes
from tests.tools.engine_files import write_csv, write_json_list, write_parquet

FILL: Final = {
    "account_id": "alice", "exec_id": "E1", "symbol": "XRP_USDT", "side": "BUY", "liquidity": "TAKER",
    "last_px": "0.5", "last_qty": "10", "channel": "API", "transact_time": "2024-09-30T12:00:00Z",
}  # fmt: skip
_ROWS: Final = """\
command,account,tier,grant,match,reason
change-tier,erin,VIP1,,,agreed
revoke-tier,erin,,g1,,
lift-ban,erin,,,,
unflag,erin,,,,
approve-match,erin,,,m1,
"""


def write_files(folder: Path) -> None:
    """Write every one of them."""
    (folder / "fills.jsonl").write_text(f"{json.dumps(FILL)}\n")
    (folder / "ledger.toml").write_text("lease_ms = 700\n")
    (folder / "old.toml").write_text(packaged())
    (folder / "programme.toml").write_text(packaged().replace('version = "3.0"', 'version = "3.1"'))
    (folder / "rows.csv").write_text(_ROWS)
    (folder / "backups").mkdir()
    (folder / "erased.txt").write_text(f"{'0' * 64}\n")
    shutil.copy(ROOT / "tests" / "cases" / "cases.json", folder)
    _write_engine_files(folder)
    tape = tapes.tape(trades=3)
    (folder / "trades.json.gz").write_bytes(gzip.compress(tapes.as_json(tape)))
    (folder / "trades.csv").write_bytes(tapes.as_csv(tape))


def _write_engine_files(folder: Path) -> None:
    """The fill as engines export it, for `reconcile`."""
    fill = {name: value for name, value in FILL.items() if name != "channel"}
    for name in ("fills.csv", "fills-2024-09-30.csv"):
        write_csv(folder / name, [fill])
    write_parquet(folder / "fills.parquet", [fill])
    write_csv(folder / "engine.csv", [{"id": "E1", "user": "alice", "ts": "1727697600000", "price": "0.5"}])
    write_json_list(folder / "trades.json", [{"id": "E1", "timestamp": "1727697600000"}])
