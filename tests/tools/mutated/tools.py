"""Every subcommand that reads a file: valid ones, how it is called, and what it may tell beside the one line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

from ledger import programmes
from ledger.tools.audit.resume import Findings, Found, save
from tests.conftest import Ledger
from tests.samples import history
from tests.tools import running, tapes
from tests.tools.engine_files import row_of, write_csv, write_json_lines, write_json_list, write_parquet
from tests.tools.engine_files.conftest import INPUTS
from tests.tools.engine_files.test_presets import EXPORTS

FILE: Final = "{file}"  # in a command line: the path of the mutated file
TEXT: Final = "{text}"  # its content, for what is no file but typed
FRESH: Final = b"@"  # in the content of a file from which something new is to be recorded in each try
_CASES: Final = Path(__file__).parents[2] / "cases"


class Valid(NamedTuple):
    """A file that is read, and what is typed to have it read."""

    name: str
    content: bytes
    command: tuple[str, ...]
    fresh: bool = False  # FRESH in the content is another number in each try


@dataclass(frozen=True)
class Site:
    """Where the tools work: a ledger that is only read, one that is written to, a folder."""

    read: Ledger
    written: Ledger
    folder: Path
    schema: str  # of the first

    def reconcile(self, *files: str, more: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return a command line of `reconcile`."""
        where = ("--schema", self.schema, "--threads", "1", "--memory", "300")
        return ("reconcile", *files, *more, *where, "--work", str(self.folder))

    def asking(self, *command: str) -> tuple[str, ...]:
        """Return a command line that asks the ledger that is only read."""
        return (*command, "--address", self.read.address)

    def sending(self, *command: str) -> tuple[str, ...]:
        """Return a command line that sends to the ledger that is written to."""
        return (*command, "--address", self.written.address)


@dataclass(frozen=True)
class Tool:
    """A subcommand. Of 100 tries it gets `share`."""

    name: str
    share: int
    valid: Callable[[Site], list[Valid]]
    tells: str = field(default="(?!)")  # a pattern of the lines on stderr that are no fault of the file


def _engine(site: Site) -> list[Valid]:
    folder = site.folder
    lines = history(site.read, "trader")
    rows = [row_of(line) for line in lines]
    files: list[tuple[Path, tuple[str, ...]]] = [
        (write_csv(folder / "fills.csv", rows), ()),
        (write_csv(folder / "fills.csv.gz", rows), ()),
        (write_json_lines(folder / "fills.jsonl", rows), ()),
        (write_json_list(folder / "fills.json", rows), ()),
        (write_parquet(folder / "fills.parquet", rows), ()),
        *((path, ("--account", "r1", "--columns", "ccxt" if "ccxt" in path.name else "ledger"))
          for path in INPUTS.iterdir() if "tape" not in path.name),
    ]  # fmt: skip
    for name, (preset, export) in EXPORTS.items():
        (folder / name).write_text(export(lines, Decimal(0)))
        files.append((folder / name, ("--account", "trader", "--columns", preset)))
    for name in ("csv", "jsonl", "parquet"):
        path = folder / f"history.{name}"
        told = running.run("history", "trader", f"--{name}", path, "--address", site.read.address)
        assert told.code == 0, told
        files.append((path, ()))
    return [Valid(path.name, path.read_bytes(), site.reconcile(FILE, more=more)) for path, more in files]


def _state(site: Site) -> list[Valid]:
    rows = [row_of(line) for line in history(site.read, "trader")]
    csv = write_csv(site.folder / "said.csv", [{**rows[0], "fee_amount": "9", "last_px": "1"}, *rows[1:]])
    state = site.folder / "breaks.jsonl"
    command = site.reconcile(str(csv), more=("--state", FILE))
    told = running.run(*(str(state) if part == FILE else part for part in command))
    assert told.code == 1, told
    return [Valid(state.name, state.read_bytes(), command)]


def _columns(site: Site) -> list[Valid]:
    rows = [row_of(line) for line in history(site.read, "trader")]
    csv = write_csv(site.folder / "mapped.csv", rows)
    texts = (
        *("ledger", "ledger,notional=,exec_id=exec_id,fills=data.list", "ccxt,account_id=info.uid"),
        "exec_id=trade_id,last_px=notional,transact_time_ms=last_px,is_buyer=side,side=",
    )
    return [Valid("columns", text.encode(), site.reconcile(str(csv), more=(f"--columns={TEXT}",))) for text in texts]


def _tapes(*command: str) -> list[Valid]:
    tape = tapes.tape(5)
    files = {
        "tape.json": tapes.as_json(tape),
        "tape.csv": tapes.as_csv(tape),
        "tape.gz": gzip.compress(tapes.as_json(tape)),
    }
    typed = ("import", FILE, "--symbol", tapes.SYMBOL, *command)
    return [Valid(name, content, typed) for name, content in files.items()]


_ROWS: Final = b"""\
command,account,tier,grant,match,from,until,at,ticket,reason,programme
change-tier,a@,VIP4,,,,2025-01-01,,T-17,asked by mail,
change-tier,b@,VIP1,,,2024-11-01,2024-12-01,,T-18,,bitmart-api-vip
lift-ban,a@,,,,,,2024-11-01T00:00:00Z,,,
revoke-tier,b@,,g1,,,,,,"over, and 'out'",
unflag,c@,,,,,,,,,
approve-match,c@,,,m1,,,,,,
"""


def _bulk(*command: str) -> list[Valid]:
    two = ("--actor", "ops-1", "--approver", "ops-2", "--reason", "agreed")
    tiers = b"\xef\xbb\xbf" + b"".join(_ROWS.splitlines(keepends=True)[:3])
    return [Valid(name, rows, (*command, *two), fresh=True) for name, rows in (("rows.csv", _ROWS), ("bom.csv", tiers))]


def _programmes(*command: str) -> list[Valid]:
    return [Valid(name, programmes.packaged(name).encode(), command) for name in programmes.packaged_names()]


def _publish(site: Site) -> list[Valid]:
    two = ("--actor", "ops-1", "--approver", "ops-2", "--reason", "agreed", "--valid-from", "2099-01-01")
    content = programmes.packaged().replace('version = "3.0"', 'version = "4.@"').encode()
    return [Valid("published.toml", content, site.sending("programme", "publish", FILE, *two), fresh=True)]


def _fills(*command: str) -> list[Valid]:
    fill = {
        "account_id": "f@", "exec_id": "E1", "symbol": "XRP_USDT", "side": "BUY", "liquidity": "TAKER",
        "last_px": "0.5", "last_qty": "10", "channel": "API", "transact_time": "2024-09-29T12:00:00Z",
        "order_id": "O1", "trade_id": "T1", "counterparty_owner_id": "g@",
    }  # fmt: skip
    other = {"account_id": "g@", "side": "SELL", "liquidity": "MAKER", "counterparty_owner_id": "f@"}
    lines = [fill, {**fill, **other}, {**fill, "exec_id": "E2", "last_qty": "0.25"}]
    content = "".join(f"{json.dumps(line)}\n" for line in lines)
    return [Valid("sent.jsonl", content.encode(), command, fresh=True)]


def _cases(_: Site) -> list[Valid]:
    by_op: dict[str, list[object]] = {}
    for path in sorted(_CASES.glob("*.json")):
        for case in json.loads(path.read_text()):
            by_op.setdefault(case["when"]["op"], []).append(case)
    return [
        Valid("cases.json", json.dumps(cases[start : start + 4], indent=1).encode(), ("cases", FILE))
        for cases in by_op.values()
        for start in range(0, len(cases), 4)
    ]


def _audit(site: Site) -> list[Valid]:
    state, known = site.folder / "audit.state", site.read.log.head().position
    command = ("audit", "--resume", FILE, "--jobs", "1", "--schema", site.schema)
    assert running.run(*(str(state) if part == FILE else part for part in command), "--known-at", known - 1).code == 0
    document = json.loads(state.read_text())["found"]
    begun = Found(document["audit"], known)
    save(site.folder / "begun.state", begun)
    finding = {"position": 2, "stream": "registers", "field": "a", "recorded": "1", "expected": "2"}
    save(site.folder / "found.state", replace(begun, findings=Findings(1, [finding])))
    return [Valid(name, (site.folder / name).read_bytes(), command)
            for name in ("audit.state", "begun.state", "found.state")]  # fmt: skip


TOOLS: Final = (
    Tool("reconcile", 5, _engine),
    Tool("reconcile --state", 5, _state),
    Tool("reconcile --columns", 5, _columns),
    Tool("import --dry-run", 12, lambda _: _tapes("--dry-run")),
    Tool("import", 5, lambda site: _tapes(*site.sending()), "fee-ledger: XRP_ETH is registered already"),
    Tool("bulk", 5, lambda site: _bulk(*site.asking("bulk", FILE))),
    Tool("bulk --apply", 5, lambda site: _bulk(*site.sending("bulk", FILE, "--apply"))),
    Tool("programme validate", 12, lambda _: _programmes("programme", "validate", FILE)),
    Tool("programme validate --address", 5, lambda site: _programmes(*site.asking("programme", "validate", FILE))),
    Tool("programme diff", 8, lambda site: _programmes("programme", "diff", _programme(site), FILE)),
    Tool("programme show", 5, lambda site: _programmes(*site.asking("programme", "show", FILE))),
    Tool("record-fills", 5, lambda site: _fills(*site.sending("record-fills", FILE)), "line [0-9]+: [A-Z_]+: "),
    Tool("record-fills --source", 5,
         lambda site: _fills(*site.sending("record-fills", FILE, "--source", "engine-1")), "line [0-9]+: [A-Z_]+: "),
    Tool("cases", 8, _cases),
    Tool("audit --resume", 5, _audit),
    Tool("programme publish", 5, _publish, ".*: warning: |[A-Z_]+: "),
)  # fmt: skip


def _programme(site: Site) -> str:
    path = site.folder / "was.toml"
    path.write_text(programmes.packaged())
    return str(path)
