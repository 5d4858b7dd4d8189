"""`fee-ledger config`: each knob with its value and who sets it, no password, and whether a file can be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.config import KNOBS
from ledger.knobs import settings
from tests.knobs.ways import written
from tests.tools.running import Ran, run

SECRET = "hunter2"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file, and an environment that contradicts it."""
    monkeypatch.setattr(settings, "default_config", lambda: None)
    monkeypatch.setenv("FEE_LEDGER_LEASE_MS", "720")
    monkeypatch.setenv("FEE_LEDGER_DSN", f"postgresql://me:{SECRET}@db/ledger")
    monkeypatch.chdir(tmp_path)
    return written(
        {"lease_ms": 710, "page_size": 7, "page_threads": 1, "lane_queue_max": 0, "dsn": f"host=db password={SECRET}"},
        Path(),
    )


def show(file: Path, *words: str) -> Ran:
    collector = f"https://me:{SECRET}@collector:4318/v1/traces"
    ran = run("config", "show", "--config", file, "--drain-ms", "5", "--traces-endpoint", collector, *words)
    assert (ran.code, ran.err) == (0, "")
    assert SECRET not in ran.out
    return ran


def test_the_table_has_each_knob_with_its_value_unit_and_origin(file: Path) -> None:
    heads, *lines = show(file).out.splitlines()
    assert heads.split() == ["knob", "set", "by", "value"]
    rows = {name: " ".join(cells) for name, *cells in map(str.split, lines) if name in KNOBS}
    assert list(rows) == list(KNOBS)
    assert rows["listen"] == "default 127.0.0.1:50051"
    assert rows["data"] == "default -"
    assert rows["projections"] == "default true"
    assert rows["drain_ms"] == "flag 5 ms"
    assert rows["page_threads"] == f"file 1 threads ({file}:3)"
    assert rows["lane_queue_max"] == f"file 0 calls ({file}:4)"
    assert rows["page_size"] == f"file 7 lines ({file}:2)"
    assert rows["lease_ms"] == f"environment 720 ms, instead of 710 ({file}:1)"
    assert rows["dsn"].startswith("environment user=me password=*** dbname=ledger host=db, instead of")


def test_the_document_has_the_same(file: Path) -> None:
    found = json.loads(show(file, "--json").out)
    assert found["file"] == str(file)
    knobs = {knob.pop("name"): knob for knob in found["knobs"]}
    assert list(knobs) == list(KNOBS)
    assert knobs["lease_ms"] == {
        "value": 720,
        "origin": "environment",
        "place": "FEE_LEDGER_LEASE_MS",
        "unit": "ms",
        "overridden": [{"value": 710, "origin": "file", "place": f"{file}:1"}],
    }
    assert knobs["projections"]["value"] is True
    assert knobs["data"]["value"] is None
    assert knobs["dsn"]["value"] == "user=me password=*** dbname=ledger host=db"


def test_a_file_is_checked_without_the_environment(file: Path) -> None:
    ran = run("config", "check", file)
    assert (ran.code, ran.out) == (0, f"{file} can be used: it sets 5 knobs\n")
    assert ran.err.startswith(f"fee-ledger: warning: whoever reads {file}:5 reads the password in it")
    written({"lease_ms": 8_000}, file.parent)
    ran = run("config", "check", file)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "fee-ledger: lease_ms must be below writer_silent_ms_max: a writer whose lease runs is not taken for dead;"
        f" lease_ms is 8000 ({file}:1), writer_silent_ms_max is 6000 (default)\n"
    )


def test_the_help_of_serve_has_the_common_knobs_and_with_help_all_every_one() -> None:
    common, whole = (run("config", "show", option).out for option in ("--help", "--help-all"))
    for name, knob in KNOBS.items():
        assert (f"  {knob.flag}" in common) == knob.is_common, name
        assert f"  {knob.flag}" in whole, name
    assert len(common.splitlines()) < 60
    assert max(map(len, whole.splitlines())) <= 100
