"""The dashboard for Grafana: rows of panels, each with its queries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from scripts.metrics.alerts import ALERTS

_SOURCE: Final = {"type": "prometheus", "uid": "${prometheus}"}
_COLUMNS: Final = 24
_WIDTH: Final = 8
_HEIGHT: Final = 7
_RANGE: Final = "[$__rate_interval]"


class Panel(NamedTuple):
    """A panel: its title, the unit as Grafana names it, and queries by legend."""

    title: str
    unit: str
    queries: dict[str, str]
    says: str = ""


class Row(NamedTuple):
    """Panels under one heading."""

    heading: str
    panels: tuple[Panel, ...]


def _rate(metric: str, by: str = "") -> str:
    rate = f"rate({metric}{_RANGE})"
    return f"sum by ({by}) ({rate})" if by else f"sum({rate})"


def _quantile(quantile: str, metric: str) -> str:
    return f"histogram_quantile({quantile}, {_rate(f'{metric}_bucket', 'le')})"


ROWS: Final = (
    Row("Is it well?", (
        Panel("Who writes", "short", {"{{instance}}": "fee_ledger_writing"}, "1: this process has the pen."),
        Panel("PostgreSQL answers", "short", {"{{instance}}": "fee_ledger_store_up"}),
        Panel("Services that are not SERVING", "short", {"{{service}}": "fee_ledger_health == 0"},
              "A standby serves none that writes."),
        Panel("Clock", "s", {"{{instance}}": "fee_ledger_clock_leap_seconds"}),
        Panel("Memory", "bytes",
              {"resident {{instance}}": "process_resident_memory_bytes and fee_ledger_memory_bound_bytes",
               "bound {{instance}}": "fee_ledger_memory_bound_bytes"}),
        Panel("Release", "short", {"{{version}} rules {{rules}}": "fee_ledger_build_info"}),
    )),
    Row("Fills", (
        Panel("Fills by outcome", "ops", {"{{outcome}}": _rate("fee_ledger_fills_total", "outcome")}),
        Panel("Fills refused one by one", "ops", {"{{reason}}": _rate("fee_ledger_fill_refusals_total", "reason")}),
        Panel("Messages and bytes", "short", {"messages/s": _rate("fee_ledger_fill_messages_total"),
                                              "bytes/s": _rate("fee_ledger_fill_bytes_total")}),
        Panel("Silence of sources", "s", {"{{source}}": "fee_ledger_source_silent_seconds"}),
        Panel("Last numbers of sources", "short", {"{{source}}": "fee_ledger_source_sequence"}),
        Panel("Streams", "short", {"open": "fee_ledger_fill_streams", "may be": "fee_ledger_fill_streams_max"}),
    )),
    Row("The writer", (
        Panel("Commits", "ops", {"commits/s": _rate("fee_ledger_commit_seconds_count")}),
        Panel("Time of a commit", "s", {"median": _quantile("0.5", "fee_ledger_commit_seconds"),
                                        "99 %": _quantile("0.99", "fee_ledger_commit_seconds")}),
        Panel("Fills of a commit", "short", {"median": _quantile("0.5", "fee_ledger_commit_fills")}),
        Panel("Queue", "short", {"waiting": "fee_ledger_queue_fills", "may wait": "fee_ledger_queue_fills_max"}),
        Panel("Oldest job that waits", "s", {"{{instance}}": "fee_ledger_queue_oldest_seconds"}),
        Panel("Requests under way", "bytes", {"bytes": "fee_ledger_request_bytes",
                                              "may be": "fee_ledger_request_bytes_max"}),
        Panel("Commits in flight, unsettled, lost", "short", {
            "in flight": "fee_ledger_commits_in_flight",
            "unsettled": "fee_ledger_commits_unsettled",
            "lost": "increase(fee_ledger_commits_lost_total[15m])"}),
        Panel("Terms and take-overs", "short", {"term {{instance}}": "fee_ledger_writer_term",
                                                "begun": "increase(fee_ledger_terms_total[15m])",
                                                "taken over": "increase(fee_ledger_take_overs_total[15m])"}),
        Panel("Lease left", "s", {"{{instance}}": "fee_ledger_lease_left_seconds"}),
    )),
    Row("Calls", (
        Panel("Calls by RPC", "ops", {"{{method}}": _rate("fee_ledger_calls_total", "method")}),
        Panel("Calls by status", "ops", {"{{code}}": _rate("fee_ledger_calls_total", "code")}),
        Panel("99 % of calls take at most", "s", {
            "{{method}}": f"histogram_quantile(0.99, {_rate('fee_ledger_call_seconds_bucket', 'method, le')})"}),
        Panel("Refusals", "ops", {"{{reason}}": _rate("fee_ledger_refusals_total", "reason")}),
        Panel("Lanes", "short", {"{{lane}} {{state}}": "fee_ledger_lane_calls"}),
        Panel("Lanes, part in use", "percentunit", {
            "{{lane}}": "sum by (lane) (fee_ledger_lane_calls) / sum by (lane) (fee_ledger_lane_calls_max)"}),
        Panel("No room in a lane", "ops", {"{{lane}}": _rate("fee_ledger_lane_refusals_total", "lane")}),
    )),
    Row("Reading and evaluating", (
        Panel("Positions", "short", {"log": "fee_ledger_log_position", "tables": "fee_ledger_tables_position"}),
        Panel("Tables behind the log", "s", {"{{instance}}": "fee_ledger_tables_lag_seconds"}),
        Panel("Memory behind the log", "short", {"{{instance}}": "fee_ledger_live_lag_positions"}),
        Panel("Since the last commit", "s", {"{{instance}}": "fee_ledger_last_commit_age_seconds"}),
        Panel("Evaluations due", "short", {"{{programme}}": "fee_ledger_evaluations_due",
                                           "{{programme}}, closes lack": "fee_ledger_evaluations_without_closes"}),
        Panel("Oldest evaluation due", "s", {"{{programme}}": "fee_ledger_evaluation_overdue_seconds"}),
    )),
    Row("PostgreSQL and the machine", (
        Panel("Failures", "short", {"{{kind}}": "increase(fee_ledger_store_failures_total[15m])"}),
        Panel("Database", "bytes", {"size": "fee_ledger_database_bytes"}),
        Panel("Disk", "bytes", {"free": "fee_ledger_disk_free_bytes"}),
        Panel("Processor", "percentunit", {"{{instance}}": f"rate(process_cpu_seconds_total{_RANGE})"}),
        Panel("Metrics that PostgreSQL is asked for", "short", {"{{instance}}": "fee_ledger_readings_up"}),
        Panel("Open files", "short", {"open": "process_open_fds", "may be": "process_max_fds"}),
    )),
)  # fmt: skip


def dashboard() -> str:
    """Return the dashboard as a file that Grafana imports."""
    return json.dumps(
        {
            "title": "Fee ledger",
            "uid": "fee-ledger",
            "description": f"Made by python -m scripts.metrics. Its {len(ALERTS)} alerts are in alerts.yml beside it.",
            "tags": ["fee-ledger"],
            "schemaVersion": 39,
            "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"},
            "templating": {"list": [{"name": "prometheus", "type": "datasource", "query": "prometheus"}]},
            "panels": list(_panels()),
        },
        indent=1,
    ) + "\n"  # fmt: skip


def _panels() -> Iterator[dict[str, Any]]:
    number = top = 0
    for row in ROWS:
        number += 1
        place = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": row.heading, "gridPos": place, "collapsed": False, "panels": []}
        top += 1
        for at, panel in enumerate(row.panels):
            number += 1
            left, down = at * _WIDTH % _COLUMNS, at * _WIDTH // _COLUMNS * _HEIGHT
            yield _panel(number, panel, {"x": left, "y": top + down, "w": _WIDTH, "h": _HEIGHT})
        top += -(-len(row.panels) * _WIDTH // _COLUMNS) * _HEIGHT


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.says,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + at), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for at, (legend, query) in enumerate(panel.queries.items())
        ],
    }
