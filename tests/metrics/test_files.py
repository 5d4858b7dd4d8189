"""The table, the page, the alerts, their runbook and the dashboard say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ledger.metrics.table import METRICS
from scripts.metrics.__main__ import files
from scripts.metrics.alerts import ALERTS, PAGE, TICKET, Alert, metrics_in
from scripts.metrics.dashboard import ROWS
from tests.docs.pages import ROOT, code
from tests.docs.test_links import anchors

OPERATIONS = ROOT / "docs" / "operations"
RUNBOOK = OPERATIONS / "alerts.md"
QUERIES = [query for row in ROWS for panel in row.panels for query in panel.queries.values()]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_a_file_is_that_of_the_table(path: Path) -> None:
    assert path.read_text() == files()[path], "run .venv/bin/python -m scripts.metrics"


def test_every_metric_has_a_unit_at_its_end_where_its_name_has_one_and_a_sentence() -> None:
    for name, metric in METRICS.items():
        assert re.fullmatch("[a-z_]+", name)
        assert name.endswith("_total") is (metric.kind == "counter")
        assert name.endswith("_info") is (metric.kind == "info")
        assert re.fullmatch(r"[A-Z0-9].*\.", metric.says), name
        assert list(metric.labels) == sorted(metric.labels)
        assert "account" not in " ".join(metric.labels)
        for word, unit in (("_seconds", "s"), ("_bytes", "bytes")):
            assert not name.removesuffix("_total").endswith(word) or metric.unit == unit


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_asks_for_metrics_of_the_table_and_has_an_entry_that_says_what_to_do(alert: Alert) -> None:
    assert alert.severity in (PAGE, TICKET)
    assert metrics_in(alert.expr) <= METRICS.keys()
    page, _, anchor = alert.anchor.partition("#")
    runbook = (OPERATIONS / "prometheus" / page).resolve()
    assert runbook == RUNBOOK
    assert anchor in anchors(runbook)
    entry = RUNBOOK.read_text().partition(f"## {alert.name}\n")[2].partition("\n## ")[0]
    assert entry.lstrip().startswith(f"**Means** ({alert.severity}) ")
    assert [word for word in ("**Look**", "**Do**", "**Ends**") if word not in entry] == []


def test_the_runbook_has_no_other_entries_in_the_same_order_and_names_no_metric_that_is_not_there() -> None:
    text = RUNBOOK.read_text()
    assert re.findall("^## (.*)$", text, re.MULTILINE) == [alert.name for alert in ALERTS]
    assert {name for name in code(text) if re.fullmatch("(fee_ledger|process)_[a-z_]+", name)} <= METRICS.keys()


def test_the_dashboard_shows_every_metric_and_no_other_one() -> None:
    shown = set().union(*(metrics_in(query) for query in QUERIES))
    not_shown = {
        "process_virtual_memory_bytes",
        "process_start_time_seconds",
        "fee_ledger_sources",
        "fee_ledger_tables_lag_positions",
        "fee_ledger_tables_version",
        "fee_ledger_tables_version_wanted",
        "fee_ledger_tables_rebuilding",
        "fee_ledger_tables_restarts_total",
    }
    assert shown == METRICS.keys() - not_shown


def test_panels_of_the_dashboard_lie_beside_each_other_and_have_numbers_of_their_own() -> None:
    panels = json.loads((OPERATIONS / "prometheus" / "grafana.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set[tuple[int, int]]()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells
