"""Every knob of the service: name, default, unit, limits, what it is and what it costs (docs/configuration.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final, NamedTuple

from ledger.knobs.knob import Group, Knob
from ledger.processors import CHOICES
from ledger.wire.fields import ID

_MIB: Final = 1024 * 1024

_PLACE: Final = Group("where the ledger is", is_common=True)
_START: Final = Group("how it starts and works", is_common=True)
_REQUESTS: Final = Group("how much comes in at once")
_COMMITS: Final = Group("commits, and who waits for them")
_PEN: Final = Group("who writes; alike in all processes of a ledger")
_STORE: Final = Group("waiting for PostgreSQL")
_LANES: Final = Group("lanes: threads for each kind of call")
_STREAMS: Final = Group("streams of fills")
_READS: Final = Group("memory and pages")
_TOLD: Final = Group("logs and traces")
_METRICS: Final = Group("metrics", is_common=True)
_END: Final = Group("how it stops")


@dataclass(frozen=True, slots=True)
class Config:
    """The value of every knob."""

    # fmt: off
    listen: str = _PLACE.text("127.0.0.1:50051", "HOST:PORT", r"\S+:[0-9]{1,5}",
        "Where to listen; port 0 takes a free one.",
        "Whoever reaches it may ask and order everything: leave loopback for a network that you trust alone.")
    data: Path | None = _PLACE.place("FOLDER",  # noqa: RUF009 - a field
        "The folder of the embedded PostgreSQL; without it that of the user.",
        "It holds the ledger: keep it on a disk that survives. Not together with dsn or dsn_file.")
    dsn: str = _PLACE.text("", "a connection string of libpq", r"[^\0]*",
        "Your own PostgreSQL 15 to 19 instead of the embedded one; a password is for dsn_file, PGPASSFILE, PGSERVICE,"
        " PGPASSWORD or ~/.pgpass.",
        "Every user of a machine can read a password on its command lines.", is_secret=True)
    dsn_file: Path | None = _PLACE.place("FILE",  # noqa: RUF009 - a field
        "A file that holds the dsn, alone on its first line.",
        "It may hold a password, so it is refused where others can read it: chmod 600.")
    schema: str = _PLACE.text("ledger", "a name that matches [a-z_][a-z0-9_]{0,40}", "[a-z_][a-z0-9_]{0,40}",
        "The schema of the ledger in its PostgreSQL: one schema is one ledger.",
        "Another name is another ledger.")
    ledger_id: str = _PLACE.text("", f"a name that matches {ID.pattern}", ID.pattern,
        "The name of a new ledger, for ever; without it a random one.",
        "A ledger that has another name is not served.")

    evaluate: str = _START.choice("manual", ("manual", "automatic"),
        "Whether the service evaluates volume itself on the days of the programme; otherwise RunEvaluation does.",
        "Nobody looks at the plan of an automatic one first.")
    evaluate_poll_ms: int = _START.whole(10_000, "ms", 10, 3_600_000,
        "How often it looks whether an automatic evaluation is due.",
        "A look is one small read; an evaluation begins later by up to this.")
    processors: str = _START.choice("auto", CHOICES,
        "How many processors the threads of the service share; auto: one where there are at most four.",
        "Python computes in one thread at a time: to wake another processor often takes longer than the work.")
    accept_clock: bool = _START.switch(False,
        "Begin though the last commit is later than the clock: you have looked, and the clock is right now.",
        "With it a wrong clock is believed: for one start, by its flag. With dsn the clock of PostgreSQL must agree.")
    projections: bool = _START.switch(True,
        "Keep the tables of the read side in this process; otherwise `python -m projections` does.",
        "Four connections to PostgreSQL, and CPU beside the writer's.")

    fills_per_batch_max: int = _REQUESTS.whole(10_000, "fills", 1, 100_000,
        "Fills in one request.",
        "A large one takes memory and holds up those that share its commit.")
    message_bytes_max: int = _REQUESTS.whole(16 * _MIB, "bytes", 64 * 1024, 256 * _MIB,
        "The size of one message of gRPC, in and out.",
        "Memory: this times receiving_max and streams_max together.")
    lookahead_bytes: int = _REQUESTS.whole(128 * 1024, "bytes", 16 * 1024, 256 * _MIB,
        "What gRPC receives of one call before anybody takes it.",
        "Memory: this for each call that waits, about 1,250 with the defaults. Less slows large messages.")
    receiving_max: int = _REQUESTS.whole(12, "calls", 2, 256,
        "How many calls have their message come in at once, two thirds of them reads; streams come besides.",
        "Memory: message_bytes_max for each. With few, slow senders hold up others for up to 5 s.")
    request_bytes_max: int = _REQUESTS.whole(64 * _MIB, "bytes", 64 * 1024, 4096 * _MIB,
        "The size of all requests that arrived and are not answered; beyond it QUEUE_FULL.",
        "Memory: twice this, as what is decoded of them counts as much.")
    queue_fills_max: int = _REQUESTS.whole(200_000, "fills", 1_000, 10_000_000,
        "Fills that wait for the writer, where a command counts as one; beyond it QUEUE_FULL.",
        "A long queue is a long wait: a source that is alone may fill half of it.")
    clock_skew_ms_max: int = _REQUESTS.whole(60_000, "ms", 0, 600_000,
        "How far in the future a fill or command may say that it happened.",
        "What says so is priced by rules that may still change until then.")

    commit_fills_max: int = _COMMITS.whole(50_000, "fills", 1, 1_000_000,
        "Fills in one transaction.",
        "More are stored faster, and a single fill waits longer for its turn.")
    commit_shared_fills_max: int = _COMMITS.whole(16_000, "fills", 1, 1_000_000,
        "The same while several sources wait: the commit is what the others wait for.",
        "As commit_fills_max.")
    gather_ms_max: int = _COMMITS.whole(100, "ms", 0, 1_000,
        "How long a commit waits for more fills while streams bring many and no other call waits; 0: never.",
        "Answers on streams come later by up to this. Less: shorter fill runs, up to twice the bytes and more CPU.")
    gather_fills_per_s: int = _COMMITS.whole(2_000, "fills/s", 1, 1_000_000,
        "From how many fills a second on it does.",
        "Below it every commit begins at once, however few fills it has.")
    commit_wait_ms_max: int = _COMMITS.whole(30_000, "ms", 100, 600_000,
        "How long a caller waits for its commit, if its own deadline is not sooner.",
        "A thread for each that waits; less answers OUTCOME_UNKNOWN for what is recorded a little later.")
    reconnect_ms_max: int = _COMMITS.whole(20_000, "ms", 1_000, 600_000,
        "How long an unsettled commit is looked up before its callers are told OUTCOME_UNKNOWN.",
        "They wait for so long when PostgreSQL is gone.")

    standby_poll_ms: int = _PEN.whole(100, "ms", 10, 10_000,
        "How often a standby tries to become the writer.",
        "A statement each time; a writer that ended is replaced later by up to this.")
    writer_check_ms: int = _PEN.whole(200, "ms", 10, 10_000,
        "How often a writer that does nothing shows PostgreSQL that it lives.",
        "A statement each time.")
    lease_ms: int = _PEN.whole(750, "ms", 50, 60_000,
        "How long after the beginning of its last round trip a writer speaks for the present.",
        "A standby that takes over waits for so long first. Short ones end where PostgreSQL is slow for a moment.")
    writer_silent_ms_max: int = _PEN.whole(6_000, "ms", 500, 600_000,
        "A standby ends the session of a writer that shows no life for so long.",
        "A writer that hangs is replaced later; with little, one that is only slow is replaced, too.")

    commit_statement_ms_max: int = _STORE.whole(30_000, "ms", 1_000, 600_000,
        "How long one statement of the writer may take; then the term ends.",
        "A PostgreSQL that stands still is noticed later.")
    read_statement_ms_max: int = _STORE.whole(30_000, "ms", 100, 3_600_000,
        "How long one statement of a reader may take.",
        "A slow one holds its connection for so long.")
    lock_ms_max: int = _STORE.whole(10_000, "ms", 10, 600_000,
        "How long either of them waits for one lock of PostgreSQL.",
        "Maintenance that locks tables for longer fails calls.")
    read_wait_ms_max: int = _STORE.whole(5_000, "ms", 0, 600_000,
        "How long a reader waits for its min_position, if its own deadline is not sooner.",
        "A place of waiting_reads_max or waiting_pages_max for each that waits.")
    read_connections: int = _STORE.whole(8, "connections", 1, 1_000,
        "Connections to PostgreSQL for reads, beside the writer's own; pages and plans hold one each.",
        "A session of PostgreSQL for each: its max_connections must leave room for them.")

    fills_threads: int = _LANES.whole(64, "threads", 1, 1_024,
        "How many RecordFills at once; a caller holds one while it waits for its commit.",
        "Memory, and lookahead_bytes, for each.")
    command_threads: int = _LANES.whole(16, "threads", 1, 1_024,
        "How many commands at once; a caller holds one while it waits for its commit.",
        "As fills_threads.")
    waiting_previews_max: int = _LANES.whole(4, "calls", 1, 1_024,
        "How many previews work out what commits after their own would post: one of them, the others wait for it.",
        "A thread for each; further ones do not tell it. It computes beside fills, and rests while they wait.")
    preview_ms_max: int = _LANES.whole(60_000, "ms", 0, 600_000,
        "How long a preview works that out, if its caller's deadline is not sooner.",
        "With little, previews of late facts that reach many fills tell how many, and not by how much.")
    read_threads: int = _LANES.whole(16, "threads", 1, 1_024,
        "How many reads of few rows at once.",
        "More than there are read_connections wait for one.")
    waiting_reads_max: int = _LANES.whole(32, "calls", 1, 1_024,
        "How many reads more wait for their min_position; beyond it they are refused at once.",
        "A thread for each.")
    page_threads: int = _LANES.whole(2, "threads", 1, 64,
        "How many pages, listings and explanations at once.",
        "Each computes, and Python in one thread at a time: more of them slow fills down. A connection for each.")
    waiting_pages_max: int = _LANES.whole(8, "calls", 1, 1_024,
        "How many pages more wait for their min_position; beyond it they are refused at once.",
        "A thread for each.")
    plan_threads: int = _LANES.whole(2, "threads", 1, 64,
        "How many PlanEvaluation at once.",
        "Each is read at the pace of its caller, and holds a connection for so long.")
    lane_queue_max: int = _LANES.whole(128, "calls", 0, 10_000,
        "How many calls of a lane wait for a thread; beyond it they are refused at once.",
        "Memory: lookahead_bytes for each, in each of eight lanes.")

    streams_max: int = _STREAMS.whole(16, "streams", 1, 1_024,
        "How many StreamFills may be open at once.",
        "A thread and message_bytes_max for each.")
    stream_requests_max: int = _STREAMS.whole(256, "requests", 1, 10_000,
        "Requests of a stream that are taken ahead of their answers.",
        "Memory; with few, one engine alone records more slowly.")
    stream_idle_ms_max: int = _STREAMS.whole(600_000, "ms", 1_000, 86_400_000,
        "A stream on which nothing comes for so long is ended; its engine opens it again.",
        "An engine that is gone holds its place for so long.")
    stream_grace_ms: int = _STREAMS.whole(2_000, "ms", 1, 600_000,
        "Where all are open, the longest idle one makes room if it is idle for longer than this.",
        "With little, engines that pause for a moment end each other's streams.")

    account_day_bytes_max: int = _READS.whole(192 * _MIB, "bytes", 16 * _MIB, 64 * 1024 * _MIB,
        "Account-days in memory.",
        "Memory: up to 1.75 times this. Days beyond it are read again from the log, some 20 us for each run of one.")
    account_state_bytes_max: int = _READS.whole(128 * _MIB, "bytes", 4 * _MIB, 64 * 1024 * _MIB,
        "States of accounts in memory, of the writer and of reads each; half of the writer's are standings in columns.",
        "Memory: twice this. States beyond it are read again from the log.")
    control_bytes_max: int = _READS.whole(512 * _MIB, "bytes", 256 * _MIB, 1024**4,
        "Memory of the process in which controls run.",
        "A control that needs more ends with an error, and so does the page that asked for it.")
    page_size: int = _READS.whole(1_000, "lines", 1, 100_000,
        "Lines of a page, if the caller does not say.",
        "As page_size_max.")
    page_size_max: int = _READS.whole(10_000, "lines", 1, 100_000,
        "Lines of a page at most.",
        "A long page takes memory and time that fills wait for, and must fit into message_bytes_max.")

    log_format: str = _TOLD.choice("text", ("text", "json"),
        "How the log on stderr is written: lines for people, or a JSON object on each line.",
        "JSON is for programs; docs/operations/logs.md has its fields.")
    log_level: str = _TOLD.choice("info", ("debug", "info", "warning", "error"),
        "What is logged: this and all that is graver.",
        "With warning the turns of start, stop and health are left out; debug is for defects.")
    traces_endpoint: str = _TOLD.text("", "the URL of an OTLP collector", r"https?://\S+",
        "Where traces are sent as OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces; without it there are none.",
        "The extra traces; docs/operations/traces.md says how much time.")
    traces_per_million: int = _TOLD.whole(10_000, "calls", 0, 1_000_000,
        "How many calls, and messages on streams, of a million are traced of those whose callers do not say.",
        "With all of them, some 0.1 ms for each; what is sent and kept.")

    metrics_listen: str = _METRICS.text("127.0.0.1:9464", "HOST:PORT or off", r"off|\S+:[0-9]{1,5}",
        "Where to serve metrics for Prometheus, on /metrics; port 0 takes a free one.",
        "Whoever reaches it sees names of sources and programmes. Where it is not said, a taken port is only told.")

    drain_ms: int = _END.whole(2_000, "ms", 0, 600_000,
        "Health says NOT_SERVING for so long before calls end.",
        "A stop takes longer; load balancers need longer than they take to look.")
    stop_grace_ms: int = _END.whole(10_000, "ms", 0, 600_000,
        "Running calls may finish within; from the signal on, PostgreSQL is waited for so long.",
        "A stop takes longer by up to this; let the supervisor wait for this, drain_ms and 5 s more.")
    # fmt: on


KNOBS: Final[Mapping[str, Knob]] = {
    field.name: replace(field.metadata["knob"], name=field.name, default=field.default) for field in fields(Config)
}


class Relation(NamedTuple):
    """One knob, or several together, that must stay below another, or may at most be as much."""

    low: tuple[str, ...]
    high: str
    may_be_equal: bool
    why: str

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.low, self.high)

    def holds(self, config: Config) -> bool:
        """Return whether it is so."""
        low: int = sum(getattr(config, name) for name in self.low)
        high: int = getattr(config, self.high)
        return low <= high if self.may_be_equal else low < high

    def __str__(self) -> str:
        below = "may at most be as much as" if self.may_be_equal else "must be below"
        return f"{' + '.join(self.low)} {below} {self.high}: {self.why}"


RELATIONS: Final = (
    Relation(("writer_check_ms",), "lease_ms", False, "an idle writer renews its lease before it ends"),
    Relation(("lease_ms",), "writer_silent_ms_max", False, "a writer whose lease runs is not taken for dead"),
    Relation(("commit_shared_fills_max",), "commit_fills_max", True, "it is the smaller commit, of who waits together"),
    Relation(("lookahead_bytes",), "message_bytes_max", True, "it is a part of a message"),
    Relation(("message_bytes_max",), "request_bytes_max", True, "else the largest message is never taken"),
    Relation(("page_threads", "plan_threads"), "read_connections", False, "a connection is left for reads of few rows"),
    Relation(("page_size",), "page_size_max", True, "it is the page of who does not say how long"),
)
