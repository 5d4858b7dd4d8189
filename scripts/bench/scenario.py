"""Loads as an exchange has them: members who trade, at a steady pace or as fast as the ledger takes it.

One StreamFills of one source, column by column; `scripts/bench/stream.py` says how its messages are paced and timed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ledger.config import Config
from scripts.bench.fills import ZIPF_EXPONENT
from scripts.bench.load import ACCOUNTS, FILLS_PER_MESSAGE, stream_load
from scripts.bench.members import CHANGING, MINUTE_NS, SCHEMA, members_store, verify_tiers
from scripts.bench.service import ledger
from scripts.bench.store import Store
from scripts.bench.stream import stream
from scripts.bench.tables import verify_tables, wait_for_tables
from scripts.bench.use import COUNTED, used
from scripts.bench.verify import verify_answers, verify_log

Afterwards: TypeAlias = Callable[[Store, str, int], Mapping[str, float]]  # store, schema, fills: values by figure


@dataclass(frozen=True)
class Mix:
    """How fills come, and how they fall on members, by the name it has in the figures.

    `fills_per_s` is the pace, None: as fast as they are taken. `members` None: as many as --members says.
    """

    name: str
    members: int | None = ACCOUNTS
    zipf: bool = False
    fills_per_s: int | None = None
    fills_per_message: int = FILLS_PER_MESSAGE


MIXES: Final = (
    Mix("ingest.1k_uniform"),
    Mix("members.zipf", None, zipf=True),
    Mix("members.uniform", None),
    Mix("members.paced", None, fills_per_s=20_000, fills_per_message=200),
    Mix("steady.50k", fills_per_s=50_000, fills_per_message=500),
    Mix("steady.5k", fills_per_s=5_000, fills_per_message=50),
    Mix("steady.singles", fills_per_s=1_000, fills_per_message=1),
)


class Scenario:
    """A mix of fills over a ledger that knows its members, with all that it takes."""

    def __init__(self, mix: Mix, options: argparse.Namespace, afterwards: Sequence[Afterwards] = ()) -> None:
        """`options` say how many fills are sent where the mix has no pace, else for how many seconds.

        `afterwards` measures more over each ledger that was written, when its service has ended.
        """
        self._mix = mix
        fills = mix.fills_per_s * options.paced_seconds if mix.fills_per_s else options.fills
        self._fills = max(round(fills), 1)
        self._members = mix.members or options.members
        self._afterwards = afterwards
        self.settings: Mapping[str, object] = {
            f"{mix.name}_members": self._members,
            f"{mix.name}_fills": self._fills,
            f"{mix.name}_fills_per_message": mix.fills_per_message,
            f"{mix.name}_pace": "as taken" if mix.fills_per_s is None else f"{mix.fills_per_s}/s, open loop",
            **({"zipf_exponent": ZIPF_EXPONENT} if mix.zipf else {}),
            "tiers_that_change": CHANGING,
            "cpu_and_bytes_counted": COUNTED,
            "messages_in_flight": Config().stream_requests_max,
            "streams": 1,
        }

    def run(self, store: Store, _: str) -> dict[str, float]:
        """One round on a copy of the ledger with the members."""
        mix = self._mix
        load = stream_load(
            self._fills,
            accounts=self._members,
            fills_per_message=mix.fills_per_message,
            zipf=mix.zipf,
            span_ns=MINUTE_NS,
        )
        between_s = mix.fills_per_message / mix.fills_per_s if mix.fills_per_s else None
        with members_store(store, self._members) as own:
            with ledger(own, SCHEMA) as served:
                wait_for_tables(own, SCHEMA)
                own.checkpoint()
                with used(own, SCHEMA, served) as use:
                    sent = stream(served.channel, load.lanes[0].messages, between_s)
                verify_answers(served.channel, load, [sent.answers])
                verify_tiers(served.channel, self._members)
            verify_tables(own, SCHEMA, load)
            verify_log(own, SCHEMA, load)
            values = {**sent.figures(self._fills), **use.per_fill(self._fills)}
            found = {f"{mix.name}.{name}": value for name, value in values.items()}
            for measure in self._afterwards:
                found.update(measure(own, SCHEMA, self._fills))
        return found
