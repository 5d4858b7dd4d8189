"""Every knob of the service: name, unit, default and limit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Config:
    """Where the service listens and stores, and how much it holds at most."""

    listen: str = "127.0.0.1:50051"  # host:port; port 0 takes a free one
    data: Path | None = None  # folder of the embedded PostgreSQL; None: the default of the user
    dsn: str = ""  # your own PostgreSQL 15 to 18 instead of the embedded one
    schema: str = "ledger"  # one schema is one ledger
    ledger_id: str = ""  # name of a new ledger; empty: a random one

    evaluate: str = "manual"  # or automatic: the service runs evaluations itself when they are due
    evaluate_poll_ms: int = 10_000  # how often it looks whether one is

    processors: str = "auto"  # how many the service's threads share: one, all, or as few as are good for it

    accept_clock: bool = False  # begin though the last commit is later than the clock: the log is what is wrong

    projections: bool = True  # keep the materialised tables here; otherwise `python -m projections` does

    fills_per_batch_max: int = 10_000  # fills in one RecordFills
    message_bytes_max: int = 16 * 1024 * 1024  # of one gRPC message
    lookahead_bytes: int = 128 * 1024  # of one call, received before anybody takes it
    receiving_max: int = 8  # calls whose message comes in at once, half of them reads; streams come besides
    request_bytes_max: int = 64 * 1024 * 1024  # of all requests that arrived and are not answered
    commit_fills_max: int = 50_000  # fills in one transaction
    commit_shared_fills_max: int = 16_000  # the same while several sources wait: the commit is what the others wait for
    queue_fills_max: int = 200_000  # fills waiting for the writer; a command counts as one; a source has half at most
    clock_skew_ms_max: int = 60_000  # how far in the future a fill or command may say it happened
    commit_wait_ms_max: int = 30_000  # a caller waits for its commit, if its own deadline is not sooner
    standby_poll_ms: int = 100  # how often a standby tries to become the writer
    writer_check_ms: int = 200  # how often a writer that does nothing shows PostgreSQL that it lives; below lease_ms
    lease_ms: int = 750  # a writer speaks for the present so long after its last round trip began; alike everywhere
    writer_silent_ms_max: int = 6_000  # a standby ends the session of a writer that shows no life for so long
    commit_statement_ms_max: int = 30_000  # one statement of the writer; then the term ends
    read_statement_ms_max: int = 30_000  # one statement of a reader
    lock_ms_max: int = 10_000  # either of them waits for one lock of PostgreSQL
    read_wait_ms_max: int = 5_000  # a reader waits for its min_position, if its own deadline is not sooner
    reconnect_ms_max: int = 20_000  # how long a lost commit is looked up before its callers are told
    drain_ms: int = 2_000  # health says NOT_SERVING for so long before calls end
    stop_grace_ms: int = 10_000  # running calls may finish within; from the signal on, PostgreSQL is waited for so long

    # Lanes (server/lanes.py): threads of their own for each kind of call.
    fills_threads: int = 64  # RecordFills at once; a caller holds one while it waits for its commit
    command_threads: int = 16  # commands at once, as above
    read_threads: int = 16  # reads of few rows at once
    waiting_reads_max: int = 32  # more of them that wait for their min_position; beyond, they are refused at once
    page_threads: int = 2  # pages, listings and explanations at once: each computes, and Python in one thread at a time
    waiting_pages_max: int = 8  # more of them that wait for their min_position
    plan_threads: int = 2  # PlanEvaluation at once; each is read at its caller's pace
    lane_queue_max: int = 128  # calls of a lane that wait for a thread; beyond, they are refused at once

    streams_max: int = 16  # StreamFills open at once; each holds a thread
    stream_requests_max: int = 256  # of a stream taken ahead of their answers
    stream_idle_ms_max: int = 600_000  # a stream on which nothing comes for so long is ended; its engine opens it again
    stream_grace_ms: int = 2_000  # where all are open, the longest idle one makes room if it is idle for longer
    read_connections: int = 8  # to PostgreSQL, beside the writer's own; pages and plans hold one each
    account_day_bytes_max: int = 400 * 1024 * 1024  # account-days in memory
    account_state_bytes_max: int = 128 * 1024 * 1024  # states of accounts in memory, of the writer and of reads each
    page_size: int = 1_000  # lines of a page, if the caller does not say
    page_size_max: int = 10_000  # lines of a page
