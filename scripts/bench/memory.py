"""How much memory the service ever holds while fills of --members stream in: it cannot keep all of them."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.bench.fills import reference_fills
from scripts.bench.load import FILLS_PER_MESSAGE, Lane, Load, stream_messages
from scripts.bench.members import MINUTE_NS, SCHEMA, members_ledger
from scripts.bench.proc import peak_rss_mb
from scripts.bench.store import Store
from scripts.bench.stream import stream
from scripts.bench.verify import verify_answers, verify_log


class Memory:
    """One stream; each message is made when it is asked for, so that the client does not hold them all either."""

    def __init__(self, fills: int, members: int) -> None:
        self._fills = fills
        self._members = members
        self.settings: Mapping[str, object] = {"rss_fills": fills, "rss_members": members}

    def run(self, store: Store, _: str) -> dict[str, float]:
        """One round on a copy of the ledger with the members."""
        load = Load([Lane("engine")])
        fills = reference_fills(self._fills, self._members, span_ns=MINUTE_NS)
        with members_ledger(store, self._members) as (own, served):
            answers = stream(served.channel, stream_messages(load, fills, FILLS_PER_MESSAGE)).answers
            verify_answers(served.channel, load, [answers])
            peak = peak_rss_mb(served.pid)
            verify_log(own, SCHEMA, load)
        return {"ingest.server_rss_mb": peak}
