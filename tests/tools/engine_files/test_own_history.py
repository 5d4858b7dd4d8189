"""A file that `fee-ledger history` wrote agrees with the ledger, adjustments and all, in every format."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import serving
from tests.server.calls import send
from tests.server.orders import credit, withdraw
from tests.tools import running
from tests.tools.reconciled import Books, Told
from tests.tools.test_history import live

SCHEMA = "test_own_history"
FORMATS = ("csv", "jsonl", "parquet")


@pytest.fixture(scope="module")
def exports(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The history of alice in each format: a rebate, a token payment, two currencies, adjustments by an evaluation.

    And a credit by hand, and its end: these are of no fill, and none of a reconciliation's.
    """
    folder = tmp_path_factory.mktemp("history")
    with serving(dsn, SCHEMA) as ledger:
        live(ledger)
        send(ledger, withdraw(send(ledger, credit()).receipt.position))
        asked = [word for name in FORMATS for word in (f"--{name}", folder / f"alice.{name}")]
        told = running.run("history", "alice", *asked, "--address", ledger.address)
        assert told.code == 0, told
        yield folder


def reconciled(dsn: str, *arguments: object) -> Told:
    return Books(dsn, SCHEMA).reconcile(*arguments)


@pytest.mark.parametrize("name", FORMATS)
def test_a_history_agrees_with_the_ledger_that_wrote_it(dsn: str, exports: Path, name: str) -> None:
    rows = list(csv.DictReader((exports / "alice.csv").read_text().splitlines()))
    assert {row["kind"] for row in rows} == {"FILL", "ADJUSTMENT", "CREDIT", "CREDIT_WITHDRAWN"}
    found = reconciled(dsn, exports / f"alice.{name}")
    assert (found.code, found.err, found.kinds) == (0, "", {})
    summary = json.loads(found.out)["summary"]
    assert summary["engine_fills"] == summary["ledger_fills"] == sum(row["kind"] == "FILL" for row in rows)
    not_compared = " ".join(summary["not_compared"])
    assert not any(name in not_compared for name in ("fee_rate", "fee_amount", "fee_currency", "notional", "last_px"))


def test_a_history_that_was_changed_does_not_agree(dsn: str, exports: Path, tmp_path: Path) -> None:
    rows = list(csv.DictReader((exports / "alice.csv").read_text().splitlines()))
    (adjustment, *_) = (row for row in rows if row["kind"] == "ADJUSTMENT")
    file = tmp_path / "alice.csv"

    def write(changed: list[dict[str, str]]) -> Path:
        with file.open("w") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(changed)
        return file

    without = [row for row in rows if row is not adjustment]
    found = reconciled(dsn, write(without))
    assert found.code == 1
    assert found.kinds["FEE"] == 1
    orphan = [
        row for row in rows
        if (row["position"], row["line"]) != (adjustment["adjusted_position"], adjustment["adjusted_line"])
    ]  # fmt: skip
    fault = reconciled(dsn, write(orphan)).fault
    assert fault.startswith(f"{file}:")
    assert fault.endswith("adjusts a fill that the file lacks: export the whole UTC day of the fill")
    fault = reconciled(dsn, write([{**rows[0], "kind": "BUST"}])).fault
    assert "kind is none of FILL, ADJUSTMENT, CREDIT, CREDIT_WITHDRAWN" in fault
