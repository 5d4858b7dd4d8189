"""`fee-ledger reconcile` on small ledgers: each kind of break planted and found, and only those."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.tools.reconcile import command
from ledger.v1 import fill_pb2
from tests.cli.running import ROOT
from tests.conftest import NOON_NS, Ledger, StartLedger, at
from tests.e2e.rules import evaluating
from tests.samples import batch, fill, history, symbol
from tests.server.calls import send
from tests.tools import running
from tests.tools.engine_files import Row, row_of, write_csv, write_json_lines, write_json_list, write_parquet
from tests.tools.reconciled import Books, Told

ENGINE = ROOT / "examples" / "engine-file" / "write_fills.py"
INEXACT = "9007199254740993.1"  # no double holds it: the next one is 9007199254740992 or ...994
FORMATS = {
    "fills.csv": write_csv,
    "fills.csv.gz": write_csv,
    "fills.jsonl": write_json_lines,
    "fills.json": write_json_list,
    "fills.parquet": write_parquet,
}

Run = Callable[..., Told]


@pytest.fixture
def run(dsn: str, schema: str) -> Run:
    """Runs it over the ledger of the test; JSON, if nothing else is asked for."""
    return Books(dsn, schema).reconcile


def trade(number: int, *, price: str = "0.5", quantity: str = "10", **changes: Any) -> list[fill_pb2.Fill]:
    """Both legs of a trade of ADA_USDT, `alice` making and `bob` taking, a second after the last one."""
    common = {
        "last_px": price,
        "last_qty": quantity,
        "trade_id": str(number),
        "transact_time": at(NOON_NS - DAY_NS + number * SECOND_NS + 7),
    }
    legs = (
        {"account_id": "alice", "side": fill_pb2.SIDE_SELL, "liquidity": fill_pb2.LIQUIDITY_MAKER},
        {"account_id": "bob", "side": fill_pb2.SIDE_BUY, "liquidity": fill_pb2.LIQUIDITY_TAKER},
    )
    others = (
        {"exec_id": f"E{number}M", "counterparty_owner_id": "bob"},
        {"exec_id": f"E{number}T", "counterparty_owner_id": "alice"},
    )
    return [
        fill(**{**common, **leg, **other, "order_id": f"O{number}", **changes})
        for leg, other in zip(legs, others, strict=True)
    ]


def rows_of(ledger: Ledger) -> list[Row]:
    """Return what an engine that agrees would export."""
    return [row_of(line) for account in ("alice", "bob") for line in history(ledger, account) if line.kind == "FILL"]


@pytest.fixture
def traded(ledger: Ledger) -> Ledger:
    """Five trades, one of an amount that no double holds."""
    send(ledger, symbol(quantity_scale=4, price_scale=8))
    fills = [leg for number in range(1, 5) for leg in trade(number)] + trade(5, quantity=INEXACT)
    assert not send(ledger, batch(*fills)).refusals
    return ledger


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_to_the_last_digit_also_of_an_amount_that_no_double_holds(
    traded: Ledger, run: Run, tmp_path: Path, name: str
) -> None:
    rows, write = rows_of(traded), FORMATS[name]
    found = run(write(tmp_path / name, rows))
    assert (found.code, found.err, found.kinds) == (0, "", {})
    summary = json.loads(found.out)["summary"]
    assert (summary["engine_fills"], summary["ledger_fills"], summary["not_compared"]) == (10, 10, [])

    assert float(INEXACT) == float("9007199254740993.4")
    (row,) = (row for row in rows if row["exec_id"] == "E5T")
    row["last_qty"] = "9007199254740993.4"
    found = run(write(tmp_path / name, rows))
    assert (found.code, found.kinds) == (1, {"QUANTITY": 1})
    (told,) = found.breaks
    assert (told["engine"], told["ledger"], told["difference"]) == ("9007199254740993.4", INEXACT, "0.3")


def test_of_all_that_an_engine_can_have_wrong_each_is_found_once_and_nothing_else(
    start_ledger: StartLedger, run: Run, tmp_path: Path
) -> None:
    ledger = start_ledger()
    planted, file = tmp_path / "planted.json", tmp_path / "fills.csv"
    engine = [sys.executable, ENGINE, "--trades", "2000", "--accounts", "20", "--out", file, "--plant", planted]
    subprocess.run([*engine, "--send", ledger.address], check=True, capture_output=True, timeout=60)
    found = run(file)
    assert found.code == 1
    expected = json.loads(planted.read_text())
    assert Counter(one["kind"] for one in expected) == found.kinds
    for one in expected:
        name = "trade_id" if one["kind"].startswith("LEG_") else "exec_id"
        if one["kind"] != "REUSED_EXEC_ID":  # it has the name of another fill now
            assert any((row["kind"], row[name]) == (one["kind"], one[name]) for row in found.breaks), one


def test_a_break_has_one_id_for_ever_and_the_next_run_says_what_is_new_known_and_resolved(
    traded: Ledger, run: Run, tmp_path: Path
) -> None:
    state, file = tmp_path / "state.jsonl", tmp_path / "fills.csv"
    rows = rows_of(traded)
    right, wrong = dict(rows[0]), {**rows[0], "last_px": "0.51"}
    first = run(write_csv(file, [wrong, *rows[1:]]), "--state", state)
    assert [row["status"] for row in first.breaks] == ["NEW"]
    again = run(file, "--state", state)
    assert [(row["id"], row["status"], row["first_seen"]) for row in again.breaks] == [
        (first.breaks[0]["id"], "KNOWN", first.breaks[0]["first_seen"])
    ]
    other = run(write_csv(file, [right, *rows[2:]]), "--state", state)
    assert [(row["kind"], row["status"]) for row in other.breaks] == [("MISSING_IN_ENGINE", "NEW")]
    assert [row["id"] for row in json.loads(other.out)["resolved"]] == [first.breaks[0]["id"]]
    last = run(write_csv(file, rows), "--state", state)
    assert (last.code, len(json.loads(last.out)["resolved"]), state.read_text()) == (0, 1, "")


def test_a_break_of_a_day_that_is_not_looked_at_is_not_resolved(traded: Ledger, run: Run, tmp_path: Path) -> None:
    state, rows = tmp_path / "state.jsonl", rows_of(traded)
    file = write_csv(tmp_path / "fills.csv", [{**rows[0], "last_px": "0.51"}, *rows[1:]])
    run(file, "--state", state)
    before = state.read_text()
    elsewhere = run(file, "--state", state, "--from", "2024-01-01", "--until", "2024-01-02")
    assert (elsewhere.code, elsewhere.kinds, json.loads(elsewhere.out)["resolved"]) == (1, {}, [])
    assert state.read_text() == before


def test_a_fee_may_differ_by_its_tolerance_and_no_more(traded: Ledger, run: Run, tmp_path: Path) -> None:
    rows = rows_of(traded)
    rows[0]["fee_amount"] = str(Decimal(rows[0]["fee_amount"]) + Decimal("0.01"))
    rows[1]["notional"] = str(Decimal(rows[1]["notional"]) - Decimal("0.01"))
    file = write_csv(tmp_path / "fills.csv", rows)
    assert run(file).kinds == {"NOTIONAL": 1, "FEE": 1}
    assert run(file, "--tolerance", "USDT=0.01").kinds == {}
    assert run(file, "--tolerance", "USDT=0.009999999999999999").kinds == {"NOTIONAL": 1, "FEE": 1}
    assert run(file, "--tolerance", "BTC=0.01").kinds == {"NOTIONAL": 1, "FEE": 1}


def test_a_price_has_no_tolerance(traded: Ledger, run: Run, tmp_path: Path) -> None:
    rows = rows_of(traded)
    rows[0]["last_px"] = "0.50000001"
    assert run(write_csv(tmp_path / "fills.csv", rows), "--tolerance", "USDT=1").kinds == {"PRICE": 1}


def test_columns_are_named_by_presets_and_pairs_and_read_in_the_unit_they_say(
    traded: Ledger, run: Run, tmp_path: Path
) -> None:
    trades = [
        {
            "id": row["exec_id"],
            "timestamp": _ms(row["transact_time"]),
            "symbol": "XRP/USDT",
            "side": row["side"],
            "takerOrMaker": row["liquidity"],
            "price": _raw(row["last_px"]),
            "amount": _raw(row["last_qty"]),
            "cost": _raw(row["notional"]),
            "order": row["order_id"],
            "fee": {"cost": _raw(row["fee_amount"]), "currency": "USDT", "rate": _raw(row["fee_rate"])},
            "info": {"user": row["account_id"]},
        }
        for row in rows_of(traded)
    ]
    file = tmp_path / "trades.json"
    file.write_text(_printed(trades))
    found = run(file, "--columns", "ccxt,account_id=info.user")
    assert (found.code, found.kinds, found.err) == (0, {}, "")
    assert json.loads(found.out)["summary"]["not_compared"] == [
        "counterparty: the engine never says it",
        "trade_id: the engine never says it",
    ]
    of_alice = [trade for trade in trades if trade["info"]["user"] == "alice"]
    file.write_text(_printed(of_alice))
    assert run(file, "--columns", "ccxt", "--account", "alice").kinds == {}
    of_alice[0]["timestamp"] += 1
    file.write_text(_printed(of_alice))
    assert run(file, "--columns", "ccxt", "--account", "alice").kinds == {"TIMING": 1}


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text[:23] + "+00:00").timestamp() * 1000)


def _raw(text: str) -> str:
    """A number to be printed as it stands, in the way of floats."""
    return f"<{Decimal(text):E}>"


def _printed(trades: list[dict[str, Any]]) -> str:
    return json.dumps(trades).replace('"<', "").replace('>"', "")


def test_empty_cells_are_not_compared_and_the_report_says_so(traded: Ledger, run: Run, tmp_path: Path) -> None:
    rows = [
        {**row, "order_id": "", "fee_rate": "" if place else row["fee_rate"]}
        for place, row in enumerate(rows_of(traded))
    ]
    found = run(write_csv(tmp_path / "fills.csv", rows))
    assert found.code == 0
    assert json.loads(found.out)["summary"]["not_compared"] == [
        "rate of 9 fills: the engine says nothing there",
        "order_id: the engine never says it",
    ]


def test_a_rebate_below_zero_is_a_charge_to_an_engine_that_writes_it_so(
    traded: Ledger, run: Run, tmp_path: Path
) -> None:
    rows = [
        {**row, "fee_amount": f"-{row['fee_amount']}", "fee_rate": f"-{row['fee_rate']}"} for row in rows_of(traded)
    ]
    file = write_csv(tmp_path / "fills.csv", rows)
    assert run(file).kinds == {"RATE": 10, "FEE": 10}
    assert run(file, "--negate-fees").kinds == {}


def test_times_have_an_offset_and_are_compared_in_the_unit_that_is_asked_for(
    traded: Ledger, run: Run, tmp_path: Path
) -> None:
    rows = rows_of(traded)
    for row in rows:
        hour = int(row["transact_time"][11:13])
        row["transact_time"] = f"{row['transact_time'][:11]}{hour + 2:02}{row['transact_time'][13:23]}+02:00"
    file = write_csv(tmp_path / "fills.csv", rows)
    assert run(file).kinds == {"TIMING": 10}
    assert run(file, "--time-unit", "ms").kinds == {}


def test_fills_beside_the_period_are_no_breaks_but_one_that_moved_over_its_edge_is(
    traded: Ledger, run: Run, tmp_path: Path
) -> None:
    rows = rows_of(traded)
    edge = rows[2]["transact_time"]  # the third fill of alice, and of bob, is the first inside
    until = "2024-12-31"
    file = write_csv(tmp_path / "fills.csv", rows)
    found = run(file, "--from", edge, "--until", until)
    assert (found.kinds, json.loads(found.out)["summary"]["ledger_fills"]) == ({}, 6)
    rows[2]["transact_time"] = rows[1]["transact_time"]
    assert run(write_csv(file, rows), "--from", edge, "--until", until).kinds == {"TIMING": 1}


def test_the_same_exec_id_on_two_accounts_is_reused_unless_they_are_the_legs_of_one_trade(
    ledger: Ledger, run: Run, tmp_path: Path
) -> None:
    send(ledger, symbol())
    legs = [leg for number in (1, 2) for leg in trade(number, exec_id=f"E{number}")]
    send(ledger, batch(*legs))
    file = tmp_path / "fills.csv"
    assert run(write_csv(file, rows_of(ledger))).kinds == {}
    send(ledger, batch(*trade(3, exec_id="E1")[:1], *trade(3)[1:]))
    # alice has E1 already on that day: hers is refused, and the trade has one leg
    assert run(write_csv(file, rows_of(ledger))).kinds == {"LEG_MISSING": 1}
    send(ledger, batch(fill(account_id="carol", exec_id="E2", transact_time=at(NOON_NS - DAY_NS))))
    rows = [*rows_of(ledger), *(row_of(line) for line in history(ledger, "carol"))]
    assert run(write_csv(file, rows)).kinds == {"REUSED_EXEC_ID": 1, "LEG_MISSING": 1}


def test_no_legs_are_compared_when_that_is_asked_for(traded: Ledger, run: Run, tmp_path: Path) -> None:
    send(traded, batch(trade(6)[0]))
    file = write_csv(tmp_path / "fills.csv", rows_of(traded))
    assert run(file).kinds == {"LEG_MISSING": 1}
    assert run(file, "--no-legs").kinds == {}


def test_fees_are_those_known_at_the_position_asked_for_adjustments_included(
    ledger: Ledger, run: Run, tmp_path: Path
) -> None:
    send(ledger, symbol(price_scale=2, quantity_scale=2))
    evaluating.trade(ledger, "500000")  # what VIP2 takes
    ledger.clock.now_ns = evaluating.DUE_NS + DAY_NS
    send(ledger, batch(fill(last_px="1", exec_id="L1", transact_time=at(evaluating.DUE_NS))))
    charged = next(row_of(line) for line in history(ledger) if line.fill_ref.exec_id == "L1")
    before = evaluating.run(ledger)[0].receipt.position  # a day late: the fee is adjusted
    now = {**charged, "fee_amount": "0.004", "fee_rate": "0.0004"}
    file = write_csv(tmp_path / "fills.csv", [charged])
    assert run(file, "--known-at", before).kinds == {}
    assert run(file).kinds == {"RATE": 1, "FEE": 1}
    write_csv(file, [now])
    assert run(file, "--known-at", before).kinds == {"RATE": 1, "FEE": 1}
    assert run(file).kinds == {}


def test_an_empty_file_and_an_empty_ledger_are_nothing_that_was_compared(
    ledger: Ledger, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "fills.csv"
    file.write_text("exec_id,account_id,transact_time\n")
    page = tmp_path / "page.html"
    found = run(file, "--html", page)
    assert (found.code, found.kinds) == (1, {})
    assert "Nothing was compared: neither side has a fill in the period" in page.read_text()
    lines = tmp_path / "fills.jsonl"
    lines.write_text("")
    assert run(lines).code == 1


def test_an_empty_file_of_a_full_ledger_lacks_everything(traded: Ledger, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "fills.csv"
    file.write_text("exec_id,account_id,transact_time\n")
    assert run(file).kinds == {"MISSING_IN_ENGINE": 10}


def test_a_ledger_that_lacks_everything_is_told_of_each_fill(traded: Ledger, run: Run, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "fills.csv", rows_of(traded))
    assert run(file, "--known-at", "0").kinds == {"MISSING_IN_LEDGER": 10}


def test_of_one_source_only_its_fills_are_looked_at(ledger: Ledger, run: Run, tmp_path: Path) -> None:
    send(ledger, symbol())
    send(ledger, batch(*trade(1), source="engine-1", first_sequence=1))
    rows = rows_of(ledger)
    send(ledger, batch(*trade(2), source="engine-2", first_sequence=1))
    file = write_csv(tmp_path / "fills.csv", rows)
    assert run(file).kinds == {"MISSING_IN_ENGINE": 2}
    assert run(file, "--source", "engine-1").kinds == {}
    assert run(file, "--source", "engine-1", "--source", "engine-2").kinds == {"MISSING_IN_ENGINE": 2}


def test_several_files_are_one_side(traded: Ledger, run: Run, tmp_path: Path) -> None:
    rows = rows_of(traded)
    files = write_csv(tmp_path / "a.csv", rows[:4]), write_json_lines(tmp_path / "b.jsonl", rows[4:])
    assert run(*files).kinds == {}
    assert run(*files, files[0]).kinds == {"DUPLICATE": 4}


def test_the_table_the_csv_and_the_page_tell_the_same_breaks(traded: Ledger, run: Run, tmp_path: Path) -> None:
    rows = rows_of(traded)
    rows[0]["last_px"] = "0.51"
    file, page = write_csv(tmp_path / "fills.csv", rows), tmp_path / "page.html"
    (found,) = run(file, "--html", page).breaks
    table, as_csv = run(file, "--out", "table").out, run(file, "--out", "csv").out
    assert "PRICE: 1 (the engine says another price)" in table
    assert "0.51    0.5     0.01" in table
    assert table.endswith("1 break\n")
    assert as_csv.splitlines()[1].startswith(f"{found['id']},PRICE,NEW,")
    html = page.read_text()
    assert found["id"].rpartition("-")[2] in html
    assert "http" not in html.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "fills.csv:1: no header: the first line names the columns"),
        ("exec_id,transact_time\n", "fills.csv: no column account_id, and without account_id no fill is known"),
        ("exec_id,account_id\n", "fills.csv: no column transact_time: say which with --columns"),
        (
            "exec_id,account_id,transact_time,transact_time_ms\n",
            "fills.csv: transact_time and transact_time_ms are both",
        ),
        ("exec_id,account_id,transact_time\nE1,alice\n", "fills.csv: line 2: Expected Number of Columns: 3 Found: 2"),
        (
            "exec_id,account_id,transact_time\nE1,alice,soon\n",
            "fills.csv:2: column transact_time: 'soon' is not a time",
        ),
        (
            "exec_id,account_id,transact_time,last_px\nE1,a,2024-10-04,1\nE2,a,2024-10-04,1.2.3\n",
            "fills.csv:3: column last_px: '1.2.3' is not a decimal number",
        ),
        (
            "exec_id,account_id,transact_time,fee_amount\nE1,a,2024-10-04,1e-99\n",
            "fills.csv:2: column fee_amount: '1e-99' is not a decimal number of at most 36 decimals",
        ),
        ("exec_id,account_id,transact_time\n,alice,2024-10-04\n", "fills.csv:2: column exec_id: is empty"),
        (
            "exec_id,account_id,transact_time,side\nE1,a,2024-10-04,long\n",
            "fills.csv:2: column side: 'long' is not buy or sell",
        ),
    ],
    ids=["no header", "account", "no time", "two times", "cells", "time", "number", "too fine", "no id", "side"],
)
def test_a_file_that_cannot_be_read_is_one_line_with_its_place(
    ledger: Ledger, run: Run, tmp_path: Path, content: str, why: str
) -> None:
    file = tmp_path / "fills.csv"
    file.write_text(content)
    found = run(file)
    assert (found.code, found.out, found.err.count("\n")) == (2, "", 1)
    assert found.err.startswith(f"fee-ledger: {tmp_path}/{why}")


def test_what_is_no_file_of_fills_is_one_line(ledger: Ledger, run: Run, tmp_path: Path) -> None:
    broken, listed, floats = tmp_path / "a.jsonl", tmp_path / "b.json", tmp_path / "c.parquet"
    broken.write_text('{"exec_id": "E1"}\n{"exec_id": \n')
    listed.write_text('[{"exec_id": "E1"}, 7]')
    with duckdb.connect() as connection:
        chosen = "'E1' AS exec_id, 'a' AS account_id, now()::TIMESTAMP AS transact_time, 0.5::DOUBLE AS last_px"
        connection.execute(f"COPY (SELECT {chosen}) TO '{floats}' (FORMAT parquet)")
    for file, why in (
        (tmp_path / "none.csv", "there is no such file"),
        (tmp_path / "none.xlsx", "there is no such file"),
        (broken, ":2: no JSON: "),
        (listed, "b.json:2: is no JSON object"),
        (floats, "column last_px is DOUBLE, which holds no exact amount"),
    ):
        found = run(file)
        assert (found.code, found.err.count("\n")) == (2, 1), found
        assert why in found.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--columns", "price=px"), "--columns: 'price' is none of our columns: they are venue, account_id"),
        (("--columns", "bitfinex"), "--columns: no preset 'bitfinex': there are ledger, ccxt"),
        (("--columns", "last_px=px"), "no column px for last_px: it has exec_id, account_id"),
        (("--tolerance", "USDT"), "'USDT' is not CURRENCY=AMOUNT"),
        (("--known-at", "999999"), "--known-at 999999: the ledger is at position "),
        (("--from", "2024-10-05", "--until", "2024-10-05"), "no period: 2024-10-05T00:00:00Z is not before"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_unusable_arguments_are_one_line(
    traded: Ledger, run: Run, tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    found = run(write_csv(tmp_path / "fills.csv", rows_of(traded)), *arguments)
    assert (found.code, found.out, found.err.count("\n")) == (2, "", 1)
    assert why in found.err


@pytest.mark.parametrize("option", ["--html", "--state"])
def test_a_file_that_cannot_be_written_is_one_line(ledger: Ledger, run: Run, tmp_path: Path, option: str) -> None:
    file, nowhere = tmp_path / "fills.csv", tmp_path / "nowhere" / "file"
    file.write_text("exec_id,account_id,transact_time\n")
    code, _, err = run(file, option, nowhere)
    assert (code, err.count("\n")) == (2, 1)
    assert f"argument {option}: '{nowhere}' " in err, "told before the work begins"


def test_ctrl_c_leaves_the_state_as_it_was(
    traded: Ledger, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "add_totals", interrupted)
    state = tmp_path / "state.jsonl"
    found = run(write_csv(tmp_path / "fills.csv", rows_of(traded)), "--state", state)
    assert (found.code, found.out) == (130, "")
    assert found.err == "fee-ledger: interrupted: nothing is kept, and --state is as it was\n"
    assert not state.exists()


def test_without_a_ledger_it_says_where_it_looked(tmp_path: Path) -> None:
    code, out, err = running.run("reconcile", "fills.csv", "--data", tmp_path / "nothing")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "there is no ledger in" in err


def test_without_the_extra_tools_it_says_how_they_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    monkeypatch.delitem(sys.modules, "ledger.tools.reconcile.command")
    told = "fee-ledger: this needs the extra tools: pip install 'fee-ledger[tools]'\n"
    assert running.run("reconcile", "fills.csv") == (2, "", told)
