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

    projections: bool = True  # keep the materialised tables here; otherwise `python -m projections` does

    fills_per_batch_max: int = 10_000  # fills in one RecordFills
    message_bytes_max: int = 16 * 1024 * 1024  # of one gRPC message
    lookahead_bytes: int = 4 * 1024 * 1024  # of one call, received before anybody takes it
    commit_fills_max: int = 50_000  # fills in one transaction
    queue_fills_max: int = 200_000  # fills waiting for the writer; a command counts as one
    clock_skew_ms_max: int = 60_000  # how far in the future a fill or command may say it happened
    commit_wait_ms_max: int = 30_000  # a caller waits for its commit, if its own deadline is not sooner
    read_wait_ms_max: int = 5_000  # a reader waits for its min_position
    standby_poll_ms: int = 500  # how often a standby tries to become the writer
    writer_check_ms: int = 1_000  # how often a writer with nothing to do looks whether PostgreSQL is still there
    reconnect_ms_max: int = 20_000  # how long an unsettled commit is looked up before its callers are told
    drain_ms: int = 2_000  # health says NOT_SERVING for so long before calls end
    stop_grace_ms: int = 10_000  # running calls may finish within

    streams_max: int = 16  # StreamFills open at once; each holds a handler
    stream_requests_max: int = 256  # of a stream taken ahead of their answers
    threads: int = 64  # handlers; a caller holds one while it waits for its commit
    read_connections: int = 8  # to PostgreSQL, beside the writer's own
    account_day_bytes_max: int = 400 * 1024 * 1024  # account-days in memory
    accounts_max: int = 1_000_000  # accounts in memory
    page_size: int = 1_000  # lines of a page, if the caller does not say
    page_size_max: int = 10_000  # lines of a page
