"""`fee-ledger rebuild` and `fee-ledger check` beside a service of its own process, killed where it hurts."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ledger.client import Client
from ledger.store.postgres.embedded import reading
from projections.tables.rebuild import next_schema, take_rebuild_lock
from tests.e2e.served import WAIT_S_MAX, Served, started
from tests.samples import fill
from tests.tools import running
from tests.tools.running import Ran

SCHEMA = "ledger"
ACCOUNTS = 2_000


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A service with many accounts."""
    with started() as service:
        with Client(service.address, timeout_s=WAIT_S_MAX) as ledger:
            ledger.register_symbol(
                "XRP_USDT", base_currency="XRP", quote_currency="USDT", price_scale=8, quantity_scale=4, pair_class="A"
            )
            ledger.record_fills(fill(account_id=f"account{number:04}") for number in range(ACCOUNTS))
            list(ledger.list_accounts(min_position=ledger.position, page_size=1_000))
        yield service


@pytest.fixture
def sql(served: Served) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with reading(served.folder, "a test") as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def run(name: str, served: Served, *arguments: str) -> Ran:
    return running.run(name, "--data", served.folder, *arguments)


def start(name: str, served: Served, *arguments: str) -> subprocess.Popen[str]:
    """The tool as a process of its own, which can be killed."""
    command = [sys.executable, "-m", "ledger", name, "--data", str(served.folder), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_check_of_a_running_ledger_says_how_many_rows_it_saw(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "found.jsonl"
    code, out, err = run("check", served, "--table", "accounts", "fee_days", "--json", str(file))
    assert (code, err) == (0, "")
    assert out.splitlines()[1:] == ["accounts  2,000         0", "fee_days  2,000         0", "0 findings"]
    documents = [json.loads(line) for line in file.read_text().splitlines()]
    assert documents == [{"table": name, "rows": ACCOUNTS, "findings": 0} for name in ("accounts", "fee_days")]


def test_what_a_check_finds_a_rebuild_makes_right(
    served: Served, sql: psycopg.Connection[tuple[object, ...]], tmp_path: Path
) -> None:
    sql.execute("UPDATE ledger_read.fee_days SET charges = charges + 1 WHERE account_id = 'account0007'")
    sql.execute("DELETE FROM ledger_read.accounts WHERE account_id >= 'account1975'")
    file = tmp_path / "found.jsonl"
    code, out, err = run("check", served, "--json", str(file))
    assert (code, err) == (1, "")
    assert (
        "FEE_DAYS_DIFFERS account_id=account0007 day=2024-10-04 currency=USDT charges: stored 1.0125, expected 0.0125"
    ) in out.splitlines()
    assert "... 5 more findings in accounts: --rows N shows more, --json FILE has all" in out
    assert out.endswith("26 findings\n")
    documents = [json.loads(line) for line in file.read_text().splitlines()]
    assert sum("code" in document for document in documents) == 26
    code, out, err = run("rebuild", served)
    assert (code, err) == (1, "")
    assert [line.split()[:5] for line in out.splitlines() if line.startswith(("accounts", "fee_days"))] == [
        ["accounts", "2,000", "25", "0", "0"],
        ["fee_days", "2,000", "0", "0", "1"],
    ]
    assert "2 of them differed" in out


def test_a_rebuild_killed_in_the_middle_goes_on_while_fills_arrive(
    served: Served, sql: psycopg.Connection[tuple[object, ...]]
) -> None:
    with Client(served.address, timeout_s=WAIT_S_MAX) as ledger:
        kill_in_the_middle(served, sql)
        ledger.record_fills([fill(account_id="late"), fill(account_id="account0001")])
        kill_in_the_middle(served, sql, "--rows", "100")
        rebuild = start("rebuild", served)
        while rebuild.poll() is None:
            ledger.record_fills([fill(account_id="meanwhile")])
        out, err = rebuild.communicate()
        assert (rebuild.returncode, err) == (0, "fee-ledger: going on with the tables in ledger_read_next\n"), out
        assert "the live ones were the same" in out
        list(ledger.list_accounts(min_position=ledger.position))
    code, out, _ = run("check", served)
    assert code == 0, out


def kill_in_the_middle(served: Served, sql: psycopg.Connection[tuple[object, ...]], *arguments: str) -> None:
    """Start a rebuild, or go on with it, and kill it as soon as it has stored more than it found."""
    began = stored(sql)
    process = start("rebuild", served, "--rows", "100", *arguments)
    deadline = time.monotonic() + WAIT_S_MAX
    while stored(sql) in ("", began):
        assert time.monotonic() < deadline
        assert process.poll() is None, "it was over before it could be killed"
    process.kill()
    process.communicate()
    assert began < stored(sql) < f"account{ACCOUNTS - 1}", "it was over before it could be killed"


def stored(sql: psycopg.Connection[tuple[object, ...]]) -> str:
    """The last account that a rebuild has stored; empty: none."""
    found = sql.execute("SELECT to_regclass(%s)", (f"{next_schema(SCHEMA)}.rebuild",)).fetchone()
    if found is None or found[0] is None:
        return ""
    row = sql.execute(f"SELECT account_id FROM {next_schema(SCHEMA)}.rebuild").fetchone()  # type: ignore[arg-type]
    return str(row[0]) if row else ""


def test_a_second_rebuild_is_refused_and_told_who_the_first_is(
    served: Served, sql: psycopg.Connection[tuple[object, ...]]
) -> None:
    sql.execute("SET application_name = 'the first'")
    assert take_rebuild_lock(sql, SCHEMA) == ""
    code, out, err = run("rebuild", served)
    assert (code, out) == (2, "")
    assert err.startswith("fee-ledger: another rebuild runs (the first, since 20")
    assert err.endswith("): wait for it, or end it\n")


@pytest.mark.parametrize("name", ["rebuild", "check"])
def test_without_a_ledger_it_says_so_in_a_line(served: Served, name: str) -> None:
    code, out, err = run(name, served, "--schema", "other")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("fee-ledger: there is no ledger in ")


def test_a_ledger_that_does_not_run_is_checked_and_rebuilt_too(served: Served) -> None:
    served.stop()
    assert run("rebuild", served)[0] == 0
    assert run("check", served)[0] == 0
