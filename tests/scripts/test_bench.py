"""The benchmark on tiny sizes: that it measures, verifies and tells; never how fast anything is."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ledger import programmes
from tests.conftest import Ledger

ROOT = Path(__file__).resolve().parent.parent.parent
INGEST = ["ingest.1k_uniform.fills_per_s", "ingest.bytes_per_fill"]
COPY = "limit.copy_row_per_fill_per_s"
RATIO = ["ratio.ingest_1k_uniform_to_copy_row", "ingest.rows.fills_per_s", "ratio.ingest_rows_to_copy_row"]
ECHO = ["limit.echo_rps", "limit.echo_ms_p50"]
READS = ["quote.rps", "state.now_ms_p50", "ratio.quote_rps_to_echo_rps", "ratio.state_now_ms_to_echo_ms"]
REBUILD = ["rebuild.fills_per_s", "ratio.rebuild_to_ingest_1k_uniform"]
REPLAY = ["replay.fills_per_s", "ratio.replay_to_ingest"]
LAG = ["lag.ms_p50", "lag.ms_p99"]
EVALUATION = ["evaluation.accounts_per_s", "limit.group_by_accounts_per_s", "ratio.evaluation_to_group_by"]
PAST = ["asof.state_ms_p99", "asof.fees_page_ms_p99", "asof.day_end.state_ms_p99", "asof.day_end.fees_page_ms_p99"]
PAST_RATIOS = [f"ratio.asof_{place}_{kind}" for place in ("inside", "day_end") for kind in ("state", "fees_page")]
ALL = [*INGEST, COPY, *RATIO, *ECHO, *READS, *REBUILD, *REPLAY, *LAG, *EVALUATION, *PAST, *PAST_RATIOS]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script to its end."""
    command = [sys.executable, str(ROOT / "scripts" / "bench.py"), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)


def figures(folder: Path, *arguments: str) -> tuple[str, list[dict[str, Any]]]:
    """The table and the JSON of a tiny run that must succeed."""
    file = folder / "figures.json"
    done = bench(
        "--fills", "2500", "--lanes", "2", "--seconds", "0.05", "--accounts", "3000", "--json", str(file), *arguments
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(file.read_text())


def test_all_figures_are_measured_and_say_under_which_settings(tmp_path: Path) -> None:
    table, found = figures(tmp_path, "--rounds", "2")
    assert [figure["name"] for figure in found] == ALL
    for figure in found:
        assert set(figure) == {"name", "value", "unit", "settings"}
        settings = figure["settings"]
        assert settings["min"] > 0 or figure["name"] in LAG  # tables may be up with the log
        assert 0 <= settings["min"] <= figure["value"] <= settings["max"]
        assert {settings[name] for name in ("fsync", "synchronous_commit", "full_page_writes")} == {"on"}
        assert (settings["fills"], settings["rounds"]) == (2500, 2)
        assert settings["server_version"].startswith("18.")
        assert settings["cores"] > 0
        assert figure["name"] in table
    ingest, copy = found[0]["settings"], found[2]["settings"]
    assert (ingest["fills_per_message"], ingest["messages_in_flight"], ingest["sources"]) == (1000, 2, 2)
    reads = found[8]["settings"]
    assert (reads["quoted_accounts"], reads["quoted_symbols"], reads["turns_per_round"]) == (200, 50, 5)
    assert (copy["rows_per_commit"], copy["state_bytes"]) == (5000, 161)


def test_only_picks_figures_by_the_first_part_of_their_names(tmp_path: Path) -> None:
    table, found = figures(tmp_path, "--rounds", "1", "--only", "limit.copy,limit.copy_row")
    assert [figure["name"] for figure in found] == [COPY]
    assert not any(name in table for name in ALL if name != COPY)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--only", "speed"], "no figure begins with speed"),
        (["--rounds", "0"], "--rounds"),
        (["--fills", "many"], "--fills"),
        (["--seconds", "0"], "--seconds"),
        (["--json", "no/such/folder/file.json"], "no/such/folder"),
    ],
    ids=["an unknown name", "no round", "no number", "no time", "nowhere to write"],
)
def test_unusable_arguments_exit_2_before_anything_is_measured(arguments: list[str], says: str) -> None:
    done = bench(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert says in line


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a module of the scripts."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module


@pytest.mark.parametrize("columns", [False, True])
def test_a_sum_that_was_not_sent_stops_the_benchmark(
    scripts: Callable[[str], ModuleType], ledger: Ledger, dsn: str, schema: str, columns: bool
) -> None:
    fills, ingest, store = scripts("bench_fills"), scripts("bench_ingest"), scripts("bench_store")
    for request in fills.register_requests():
        ledger.commands.RegisterSymbol(request)
    load = fills.make_load(250, accounts=10, fills_per_message=100, lanes=2, columns=columns)
    _, answers = ingest.send(ledger.channel, load.lanes)
    ingest.verify_answers(ledger.channel, load, answers)
    ingest.verify_log(store.Store(dsn), schema, load)
    load.volume.add("USDT", 0, 1)
    with pytest.raises(store.Failed, match="notional"):
        ingest.verify_log(store.Store(dsn), schema, load)


def test_a_row_that_was_lost_stops_the_benchmark(scripts: Callable[[str], ModuleType], dsn: str, schema: str) -> None:
    measurement, store = scripts("bench_copy").CopyRowPerFill(10), scripts("bench_store")
    server = store.Store(dsn)
    with server.fresh_schema(schema), server.connect() as connection:
        measurement.run(server, schema)
        connection.execute(f"DELETE FROM {schema}.events WHERE notification_id = 5".encode())
        with pytest.raises(store.Failed, match="COPY stored"):
            measurement.verify(server, schema)


def test_a_wrong_fee_or_tier_stops_the_benchmark(scripts: Callable[[str], ModuleType], ledger: Ledger) -> None:
    reads, failed = scripts("bench_reads"), scripts("bench_store").Failed
    programme = programmes.parse(programmes.packaged())
    tiers = {"A0": "NONE", "A1": "VIP1", "A2": "VIP5"}
    reads.set_up(ledger.channel, tiers)
    for method, asked, verify, says in (
        ("QuoteFee", reads.quote_requests(programme, tiers), reads.verify_quotes, "a quote"),
        ("GetVipState", reads.state_requests(tiers), reads.verify_states, "VIP9"),
    ):
        call = ledger.channel.unary_unary(f"/ledger.v1.QueryService/{method}")
        answers = [(one, call(one.message)) for one in asked]
        verify(answers)
        wrong = Decimal(7) if method == "QuoteFee" else "VIP9"
        with pytest.raises(failed, match=says):
            verify([(one._replace(expected=wrong), answer) for one, answer in answers])


def test_help_names_every_figure() -> None:
    done = bench("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in ALL)
