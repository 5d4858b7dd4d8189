"""Counts calls, for a microsecond of each: how many ended how, how long they took, and why they were refused."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Final

from ledger.domain.refusal import Reason
from ledger.metrics.histogram import NS_PER_S, Histogram
from ledger.metrics.page import Readings

_MS: Final = 1_000_000
_BOUNDS_NS: Final = tuple(ms * _MS for ms in (1, 5, 25, 100, 500, 2_500, 10_000))

# Refusals that alerts look for are at 0 from the beginning: so they are seen to rise, also by the first one.
_SEEN_TO_RISE: Final = (Reason.QUEUE_FULL, Reason.INTERNAL)


class CallCounts:
    """Counts by RPC."""

    def __init__(self) -> None:
        self._by_rpc: dict[str, RpcCounts] = {}

    def of(self, rpc: str) -> RpcCounts:
        """Return the counts of an RPC, for example of ledger.v1.QueryService/GetRates."""
        return self._by_rpc.setdefault(rpc, RpcCounts())

    def readings(self) -> Readings:
        """Return what was counted of the RPCs that were called."""
        called = {rpc: counts for rpc, counts in self._by_rpc.items() if counts.codes}
        return {
            "fee_ledger_calls_total": {
                (code, rpc): count for rpc, counts in called.items() for code, count in counts.by_code().items()
            },
            "fee_ledger_call_seconds": {(rpc,): counts.seconds for rpc, counts in called.items()},
            "fee_ledger_refusals_total": {
                (rpc, reason.name): count
                for rpc, counts in self._by_rpc.items()
                for reason, count in counts.by_reason().items()
            },
        }


class RpcCounts:
    """The counts of one RPC."""

    def __init__(self) -> None:
        self.seconds = Histogram(_BOUNDS_NS, NS_PER_S)
        self._refusals: Counter[Reason] = Counter(dict.fromkeys(_SEEN_TO_RISE, 0))
        self.codes: Counter[str] = Counter()
        self._mutex = threading.Lock()

    def end(self, took_ns: int, code: str, refused: Reason | None) -> None:
        """Count a call that has ended, and why, if it was refused."""
        with self._mutex:
            self.seconds.add(took_ns)
            self.codes[code] += 1
            if refused is not None:
                self._refusals[refused] += 1

    def by_code(self) -> Mapping[str, int]:
        """Return how many calls ended with each status."""
        with self._mutex:
            return dict(self.codes)

    def by_reason(self) -> Mapping[Reason, int]:
        """Return how many calls were refused for each reason."""
        with self._mutex:
            return dict(self._refusals)
