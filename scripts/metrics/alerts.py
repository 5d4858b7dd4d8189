"""The alerts: what is asked of Prometheus, how long it must be so, and how urgent it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

RUNBOOK: Final = "../alerts.md"

PAGE: Final = "page"  # somebody is called
TICKET: Final = "ticket"  # somebody looks at it on the same day


class Alert(NamedTuple):
    """One alert. Its entry in docs/operations/alerts.md has its name as heading."""

    name: str
    expr: str
    holds_for: str  # as Prometheus writes it, for example 5m
    severity: str
    summary: str  # a sentence, in which Prometheus fills in labels

    @property
    def anchor(self) -> str:
        """The link to its entry, from the file of rules."""
        return f"{RUNBOOK}#{self.name.lower()}"


_RISES: Final = "sum by (job, instance, {by}) (increase({metric}[15m])) > 0"

ALERTS: Final = (
    Alert("LedgerDown", 'up{job="fee-ledger"} == 0', "1m", PAGE, "{{ $labels.instance }} answers no scrape."),
    Alert("LedgerNobodyWrites", "max by (job) (fee_ledger_writing) == 0", "1m", PAGE, "No process writes the ledger."),
    Alert(
        "LedgerStoreDown", "fee_ledger_store_up == 0", "1m", PAGE, "PostgreSQL does not answer {{ $labels.instance }}."
    ),
    Alert(
        "LedgerClockLeaps",
        "fee_ledger_clock_leap_seconds != 0",
        "0m",
        PAGE,
        "The clock of {{ $labels.instance }} is wrong by {{ $value }} s: nothing is recorded.",
    ),
    Alert(
        "LedgerDefect",
        _RISES.format(by="method", metric='fee_ledger_refusals_total{reason="INTERNAL"}'),
        "0m",
        PAGE,
        "{{ $labels.method }} failed with a defect of the ledger.",
    ),
    Alert(
        "LedgerSourceSilent",
        "fee_ledger_source_silent_seconds > 300",
        "1m",
        PAGE,
        "Source {{ $labels.source }} has sent neither a fill nor a heartbeat for {{ $value }} s.",
    ),
    Alert(
        "LedgerQueueWaits",
        "fee_ledger_queue_oldest_seconds > 5",
        "1m",
        PAGE,
        "What is sent to {{ $labels.instance }} waits for {{ $value }} s before it is decided.",
    ),
    Alert(
        "LedgerRefusesForLoad",
        _RISES.format(by="method", metric='fee_ledger_refusals_total{reason="QUEUE_FULL"}'),
        "5m",
        TICKET,
        "{{ $labels.instance }} refuses {{ $labels.method }} for want of room.",
    ),
    Alert(
        "LedgerCommitsSlow",
        "rate(fee_ledger_commit_seconds_sum[5m]) / rate(fee_ledger_commit_seconds_count[5m]) > 1",
        "5m",
        TICKET,
        "A commit takes {{ $value }} s.",
    ),
    Alert(
        "LedgerCommitLost",
        "increase(fee_ledger_commits_lost_total[15m]) > 0",
        "0m",
        TICKET,
        "PostgreSQL did not say whether a commit is stored.",
    ),
    Alert(
        "LedgerStoreFails",
        _RISES.format(by="kind", metric="fee_ledger_store_failures_total"),
        "0m",
        TICKET,
        "The writer could not use PostgreSQL, or what it keeps: {{ $labels.kind }}.",
    ),
    Alert(
        "LedgerTookOver",
        "increase(fee_ledger_take_overs_total[15m]) > 0",
        "0m",
        TICKET,
        "{{ $labels.instance }} took the pen over from another process.",
    ),
    Alert(
        "LedgerDiskFillsUp",
        "fee_ledger_disk_free_bytes < 2147483648",
        "1m",
        TICKET,
        "Only {{ $value | humanize1024 }}B are free on the disk of PostgreSQL.",
    ),
    Alert(
        "LedgerMemoryHigh",
        "process_resident_memory_bytes > 0.9 * fee_ledger_memory_bound_bytes",
        "10m",
        TICKET,
        "{{ $labels.instance }} has {{ $value | humanize1024 }}B of memory, near or beyond its bound.",
    ),
    Alert(
        "LedgerTablesBehind",
        "fee_ledger_tables_lag_seconds > 60",
        "5m",
        TICKET,
        "The tables of the read side lack commits of the last {{ $value }} s.",
    ),
    Alert(
        "LedgerFillConflicts",
        'increase(fee_ledger_fill_refusals_total{reason="FILL_CONFLICT"}[15m]) > 0',
        "0m",
        TICKET,
        "An engine sent a known fill with other content.",
    ),
    Alert(
        "LedgerEvaluationMissed",
        "fee_ledger_evaluation_overdue_seconds > 86400",
        "10m",
        TICKET,
        "An evaluation of {{ $labels.programme }} is due for {{ $value | humanizeDuration }} and has not run.",
    ),
    Alert(
        "LedgerClosesMissing",
        "fee_ledger_evaluations_without_closes > 0",
        "1h",
        TICKET,
        "{{ $value }} evaluations of {{ $labels.programme }} left out accounts for want of closes.",
    ),
    Alert(
        "LedgerReadingsMissing",
        "fee_ledger_readings_up == 0",
        "5m",
        TICKET,
        "Metrics of the log, of sources and evaluations are missing at {{ $labels.instance }}.",
    ),
)


def rules() -> str:
    """Return the file of rules for Prometheus."""
    return "\n".join(_lines()) + "\n"


def metrics_in(expression: str) -> set[str]:
    """Return the names of metrics in an expression, without the endings that a histogram adds."""
    names = re.findall(r"\b(?:fee_ledger|process)_\w+", expression)
    return {re.sub("_(bucket|sum|count)$", "", name) for name in names}


def _lines() -> Iterator[str]:
    yield "# Alert rules for Prometheus. Made from scripts/metrics/alerts.py: .venv/bin/python -m scripts.metrics"
    yield "# What each means, and what to do: ../alerts.md. Check them with `promtool check rules alerts.yml`."
    yield "groups:"
    yield "  - name: fee-ledger"
    yield "    rules:"
    for alert in ALERTS:
        yield f"      - alert: {alert.name}"
        yield f"        expr: {alert.expr}"
        yield f"        for: {alert.holds_for}"
        yield f"        labels: {{severity: {alert.severity}}}"
        yield "        annotations:"
        yield f'          summary: "{alert.summary}"'
        yield f'          runbook_url: "{alert.anchor}"'
