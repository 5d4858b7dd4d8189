"""The readings of a service out of its memory: taken when somebody scrapes, and at no other time."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.clock import WallClock
from ledger.config import Config
from ledger.metrics.histogram import NS_PER_S
from ledger.metrics.page import Readings
from ledger.server.app import App
from ledger.server.call_pool import CallPool
from ledger.server.memory_bound import memory_bound
from ledger.server.probe import Probe
from ledger.store.lease import Lease
from ledger.store.postgres.keeper import Keeper
from ledger.writing.writer_thread import WriterThread


def app_readings(config: Config, app: App) -> Readings:
    """Return what the server knows: calls, lanes, requests under way, health."""
    calls = app.calls
    lanes = calls.lanes.by_name
    return {
        **calls.counts.readings(),
        "fee_ledger_lane_calls": {
            (name, state): count for name, lane in lanes.items() for state, count in _by_state(lane.pool).items()
        },
        "fee_ledger_lane_calls_max": {(name,): lane.calls_max for name, lane in lanes.items()},
        "fee_ledger_lane_refusals_total": {(name,): lane.refused for name, lane in lanes.items()},
        "fee_ledger_request_bytes": calls.decoding.under_way.bytes,
        "fee_ledger_request_bytes_max": config.request_bytes_max,
        "fee_ledger_memory_bound_bytes": sum(memory_bound(config).values()),
        "fee_ledger_health": {(name,): serving for name, serving in app.health.serving.items()},
    }


def _by_state(pool: CallPool) -> Mapping[str, int]:
    working, aside = pool.working, pool.aside
    return {"working": working, "aside": aside, "waiting": max(pool.held - working - aside, 0)}


def writer_readings(config: Config, thread: WriterThread, lease: Lease) -> Readings:
    """Return what the writer has done, what waits for it, and its pen."""
    counts, standing = thread.counts, thread.standing
    fills = {"recorded": counts.recorded, "replayed": counts.replayed, "refused": counts.refused}
    return {
        "fee_ledger_fills_total": {(outcome,): count for outcome, count in fills.items()},
        "fee_ledger_fill_refusals_total": {(reason.name,): count for reason, count in sorted(counts.reasons.items())},
        "fee_ledger_commit_seconds": counts.commit_ns,
        "fee_ledger_commit_fills": counts.commit_fills,
        "fee_ledger_commits_in_flight": standing.is_in_flight,
        "fee_ledger_commits_lost_total": counts.lost,
        "fee_ledger_commits_unsettled": standing.is_unsettled,
        "fee_ledger_queue_fills": standing.fills,
        "fee_ledger_queue_fills_max": config.queue_fills_max,
        "fee_ledger_queue_oldest_seconds": standing.oldest_s,
        "fee_ledger_writing": thread.writing,
        "fee_ledger_writer_term": counts.term,
        "fee_ledger_terms_total": counts.terms,
        "fee_ledger_take_overs_total": counts.take_overs,
        "fee_ledger_lease_left_seconds": lease.left_ns / NS_PER_S,
        "fee_ledger_store_failures_total": {(kind,): count for kind, count in sorted(counts.failures.items())},
    }


def machine_readings(clock: WallClock, probing: Probe, keeper: Keeper) -> Readings:
    """Return what is known of the clock, and of PostgreSQL without asking it."""
    free_bytes = keeper.free_bytes()
    return {
        "fee_ledger_clock_leap_seconds": clock.read().leap_ns / NS_PER_S,
        "fee_ledger_store_up": not probing.fault,
        **({"fee_ledger_disk_free_bytes": free_bytes} if free_bytes is not None else {}),
    }
