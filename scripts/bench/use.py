"""The use that a load makes of a machine: CPU, bytes on the disk, WAL, memory; and how far the tables lag."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from scripts.bench.calls import percentile
from scripts.bench.proc import family_cpu_s, peak_rss_mb, process
from scripts.bench.service import Served
from scripts.bench.store import Store
from scripts.bench.tables import LagSampler

COUNTED: Final = "until the tables of the read side have all of it"


class Use:
    """The totals of a load, once its block has ended: CPU in seconds, sizes in bytes."""

    service_cpu_s = postgres_cpu_s = rss_mb = lag_ms_p99 = 0.0
    behind_s = 0.0  # how long it took after the block until the tables had all of it
    bytes_on_disk = wal_bytes = 0

    def per_fill(self, fills: int) -> dict[str, float]:
        """Return them by the last part of the names of figures."""
        return {
            "cpu_us": self.service_cpu_s * 1e6 / fills,
            "postgres_cpu_us": self.postgres_cpu_s * 1e6 / fills,
            "bytes_per_fill": self.bytes_on_disk / fills,
            "wal_bytes_per_fill": self.wal_bytes / fills,
            "lag_ms_p99": self.lag_ms_p99,
            "rss_mb": self.rss_mb,
        }


@contextmanager
def used(store: Store, schema: str, served: Served) -> Iterator[Use]:
    """Measure what a block and all that follows from it takes, until the tables of the read side have all of it.

    Whoever samples the lag is not counted. The client is a process of its own, and is not counted either.
    """
    found, bytes_before = Use(), store.bytes_on_disk(schema)
    with LagSampler(store, schema) as sampler:
        postmaster = process(sampler.pid).parent
        wal, service = store.wal_bytes(), process(served.pid).cpu_s
        postgres = family_cpu_s(postmaster, without=sampler.pid)
        yield found
        ended_s = time.perf_counter()
        sampler.wait_for_tables()
        found.behind_s = time.perf_counter() - ended_s
        found.service_cpu_s = process(served.pid).cpu_s - service
        found.postgres_cpu_s = family_cpu_s(postmaster, without=sampler.pid) - postgres
        found.wal_bytes = store.wal_bytes() - wal
    found.lag_ms_p99 = percentile(sampler.lags_ms, 99)
    found.rss_mb = peak_rss_mb(served.pid)
    found.bytes_on_disk = store.bytes_on_disk(schema) - bytes_before
