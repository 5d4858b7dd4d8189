"""How much memory the service ever holds while fills of 100,000 accounts stream in: it cannot keep all of them."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.bench.fills import reference_fills
from scripts.bench.load import FILLS_PER_MESSAGE, Lane, Load, stream_messages
from scripts.bench.proc import peak_rss_mb
from scripts.bench.service import trading_ledger
from scripts.bench.store import Store
from scripts.bench.stream import UNIFORM, stream
from scripts.bench.verify import verify_answers, verify_log


class Memory:
    """One stream; each message is made when it is asked for, so that the client does not hold them all either."""

    def __init__(self, fills: int) -> None:
        self._fills = fills
        self.settings: Mapping[str, object] = {"rss_fills": fills, "rss_accounts": UNIFORM.accounts}

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """One round on a fresh schema."""
        load = Load([Lane("engine")])
        messages = stream_messages(load, reference_fills(self._fills, UNIFORM.accounts), FILLS_PER_MESSAGE)
        with trading_ledger(store, schema) as served:
            _, answers = stream(served.channel, messages)
            verify_answers(served.channel, load, [answers])
            peak = peak_rss_mb(served.pid)
        verify_log(store, schema, load)
        return {"ingest.server_rss_mb": peak}
