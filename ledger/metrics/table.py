"""Every metric: name, kind, labels, unit, what it says, and who tells it (docs/operations/metrics.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["counter", "gauge", "histogram", "info"]

SERVICE: Final = "service"
TABLES: Final = "tables"  # `python -m projections`


class Metric(NamedTuple):
    """One metric; a counter's name ends in _total and an info's in _info, as the page has them."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    unit: str
    says: str  # a sentence
    told_by: tuple[str, ...] = (SERVICE,)


class Topic(NamedTuple):
    """Metrics under one heading."""

    heading: str
    metrics: tuple[Metric, ...]


_BOTH: Final = (SERVICE, TABLES)

# fmt: off
TOPICS: Final = (
    Topic("The process", (
        Metric("fee_ledger_build_info", "info", ("ledger_id", "python", "rules", "version"), "",
            "Always 1: which ledger, release, version of its rules and Python this is.", _BOTH),
        Metric("process_resident_memory_bytes", "gauge", (), "bytes",
            "Memory that the process has resident (Linux).", _BOTH),
        Metric("fee_ledger_memory_bound_bytes", "gauge", (), "bytes",
            "The memory that it takes at most, by its knobs (docs/limits.md)."),
        Metric("process_cpu_seconds_total", "counter", (), "s", "Time of processors that it took (Linux).", _BOTH),
        Metric("process_start_time_seconds", "gauge", (), "s", "When it started, since 1970 UTC (Linux).", _BOTH),
        Metric("process_virtual_memory_bytes", "gauge", (), "bytes", "Its address space (Linux).", _BOTH),
        Metric("process_open_fds", "gauge", (), "files", "Files and sockets that it has open (Linux).", _BOTH),
        Metric("process_max_fds", "gauge", (), "files", "How many it may have open (Linux).", _BOTH),
        Metric("fee_ledger_clock_leap_seconds", "gauge", (), "s",
            "How far the wall clock is from what it should say; 0 while it is right within a minute."),
        Metric("fee_ledger_health", "gauge", ("service",), "",
            "1 while a service of gRPC is SERVING; the empty name is that of the whole."),
    )),
    Topic("Fills", (
        Metric("fee_ledger_fill_messages_total", "counter", (), "messages",
            "Requests of fills that the writer took up, alone or on a stream."),
        Metric("fee_ledger_fill_bytes_total", "counter", (), "bytes", "Their bytes."),
        Metric("fee_ledger_fills_total", "counter", ("outcome",), "fills",
            "Fills answered: `recorded`, `replayed` (sent again, and known), `refused` (one by one)."),
        Metric("fee_ledger_fill_refusals_total", "counter", ("reason",), "fills",
            "Fills refused one by one, by reason; the rest of their request was recorded."),
        Metric("fee_ledger_fill_streams", "gauge", (), "streams", "Streams of fills that are open."),
        Metric("fee_ledger_fill_streams_max", "gauge", (), "streams", "How many may be: `streams_max`."),
    )),
    Topic("Commits", (
        Metric("fee_ledger_commit_seconds", "histogram", (), "s",
            "Time that PostgreSQL took to store a commit; its count is that of commits."),
        Metric("fee_ledger_commit_fills", "histogram", (), "fills", "Fills recorded by a commit that recorded any."),
        Metric("fee_ledger_commits_in_flight", "gauge", (), "commits",
            "1 while PostgreSQL has not said whether a commit is stored."),
        Metric("fee_ledger_commits_lost_total", "counter", (), "commits",
            "Commits of which PostgreSQL did not say whether they are stored; the log is asked."),
        Metric("fee_ledger_commits_unsettled", "gauge", (), "commits", "1 while callers wait for what the log says."),
    )),
    Topic("The queue before the writer, and requests under way", (
        Metric("fee_ledger_queue_fills", "gauge", (), "fills", "Fills that wait; a command counts as one."),
        Metric("fee_ledger_queue_fills_max", "gauge", (), "fills", "How many may wait: `queue_fills_max`."),
        Metric("fee_ledger_queue_oldest_seconds", "gauge", (), "s", "How long the oldest job has waited."),
        Metric("fee_ledger_request_bytes", "gauge", (), "bytes",
            "Requests over 4 kB that arrived and that somebody still keeps, those in the queue among them."),
        Metric("fee_ledger_request_bytes_max", "gauge", (), "bytes", "How many may be: `request_bytes_max`."),
    )),
    Topic("The pen", (
        Metric("fee_ledger_writing", "gauge", (), "", "1 while this process writes the ledger; 0: it stands by."),
        Metric("fee_ledger_writer_term", "gauge", (), "", "Number of the term that this process began last."),
        Metric("fee_ledger_terms_total", "counter", (), "terms", "Terms that this process began."),
        Metric("fee_ledger_take_overs_total", "counter", (), "terms", "Those among them that took over from another."),
        Metric("fee_ledger_lease_left_seconds", "gauge", (), "s",
            "How long it may still speak for the present without asking PostgreSQL; 0: it must ask."),
    )),
    Topic("Calls", (
        Metric("fee_ledger_calls_total", "counter", ("code", "method"), "calls",
            "Calls that ended, by RPC and status; OTHER: the caller left, or gRPC itself ended it."),
        Metric("fee_ledger_call_seconds", "histogram", ("method",), "s",
            "Time from when gRPC handed a call over to its end; of a stream, as long as it was open."),
        Metric("fee_ledger_refusals_total", "counter", ("method", "reason"), "calls", "Calls refused, by reason."),
        Metric("fee_ledger_lane_calls", "gauge", ("lane", "state"), "calls",
            "Calls of a lane that have a thread (`working`), that wait for one (`waiting`), and that have stepped"
            " `aside` while they wait for a position."),
        Metric("fee_ledger_lane_calls_max", "gauge", ("lane",), "calls", "How many of all a lane holds."),
        Metric("fee_ledger_lane_refusals_total", "counter", ("lane",), "calls", "Calls for which it had no room."),
    )),
    Topic("The log, and those who follow it", (
        Metric("fee_ledger_log_position", "gauge", (), "positions", "The last position of the log.", _BOTH),
        Metric("fee_ledger_last_commit_age_seconds", "gauge", (), "s", "The time since the last commit.", _BOTH),
        Metric("fee_ledger_live_lag_positions", "gauge", (), "positions",
            "How far the present in memory is behind the log: of a standby, some commits."),
        Metric("fee_ledger_tables_position", "gauge", (), "positions", "How far the tables are.", _BOTH),
        Metric("fee_ledger_tables_lag_positions", "gauge", (), "positions", "How far behind the log.", _BOTH),
        Metric("fee_ledger_tables_lag_seconds", "gauge", (), "s", "Age of the oldest commit that they lack.", _BOTH),
        Metric("fee_ledger_tables_version", "gauge", (), "", "Version of the tables that are there.", _BOTH),
        Metric("fee_ledger_tables_version_wanted", "gauge", (), "", "Version that this release makes.", _BOTH),
        Metric("fee_ledger_tables_rebuilding", "gauge", (), "", "1 while new tables are made beside them.", _BOTH),
        Metric("fee_ledger_tables_restarts_total", "counter", (), "",
            "How often this process began to follow the log again, after something had ended that.", _BOTH),
    )),
    Topic("Sources", (
        Metric("fee_ledger_sources", "gauge", (), "sources", "Sources that the log knows."),
        Metric("fee_ledger_source_silent_seconds", "gauge", ("source",), "s",
            "The time since the last fill or heartbeat of a source was recorded: of 100 sources at most, the longest"
            " silent ones of those that programmes still wait for."),
        Metric("fee_ledger_source_sequence", "gauge", ("source",), "fills", "The last number of each of them."),
    )),
    Topic("Evaluations of volume", (
        Metric("fee_ledger_evaluations_due", "gauge", ("programme",), "evaluations",
            "Those that are due since the ledger began, and not done."),
        Metric("fee_ledger_evaluation_overdue_seconds", "gauge", ("programme",), "s",
            "The time since the oldest of them was due that has not run to its end."),
        Metric("fee_ledger_evaluations_without_closes", "gauge", ("programme",), "evaluations",
            "Those among them that ran, and left out accounts for want of closes."),
    )),
    Topic("PostgreSQL", (
        Metric("fee_ledger_store_up", "gauge", (), "", "1 while PostgreSQL answers: it is asked all the time."),
        Metric("fee_ledger_store_failures_total", "counter", ("kind",), "",
            "How often the writer could not use PostgreSQL: it was `busy`, `full`, `read_only`, `stopping` or"
            " `unreachable`, refused the `login` or a `permission`, lacked `connections` or other `resources`;"
            " or gave back a `damaged` snapshot."),
        Metric("fee_ledger_database_bytes", "gauge", (), "bytes", "The size of the ledger's database.", _BOTH),
        Metric("fee_ledger_disk_free_bytes", "gauge", (), "bytes",
            "What is free where an embedded PostgreSQL writes; the writer stops at 64 MB."),
        Metric("fee_ledger_readings_up", "gauge", (), "",
            "1 while PostgreSQL is asked in time for what this page tells of the log, of sources and evaluations; at 0"
            " these lines are missing.", _BOTH),
    )),
)
# fmt: on

METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for topic in TOPICS for metric in topic.metrics}
