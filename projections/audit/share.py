"""One process of an audit: it decides the events of its accounts again, stretch by stretch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ledger import programmes
from ledger.domain.events import Recorded, SourceAdvanced, VolumeRecorded
from ledger.domain.term_clock import TermClocks
from ledger.replay.back_links import BackLinks
from ledger.replay.compare import Deviation
from ledger.replay.replay import Replay
from ledger.replay.requests import RequestsAgain
from ledger.replay.sources import LinesBySource
from ledger.replay.states import States
from ledger.store.log import Log
from ledger.store.postgres.database import open_datastore
from ledger.wire.commands.kept import read_kept
from projections.audit.log_rows import chosen_rows
from projections.audit.requests import Requests
from projections.audit.rows import AuditReader
from projections.audit.scope import Scope
from projections.audit.volumes import EvaluatedVolumes


@dataclass(frozen=True, slots=True)
class StretchAnswer:
    """The answer of a process about a stretch: deviations, how much it decided, and the lines of sources it saw.

    `requests`: rows of the table of requests that belong to these events.
    """

    deviations: list[Deviation]
    events: int
    fills: int
    requests: int
    lines: LinesBySource
    advances: list[Recorded]
    unkept: int  # requests of which only a hash was kept


class Share:
    """A part of a log: its states go on from one stretch to the next."""

    def __init__(self, log: Log, scope: Scope, *, after: int = 0) -> None:
        """The first stretch begins after `after`; what was before is read from the log when it is needed."""
        self._rows = AuditReader(log)
        self._scope = scope
        self._chosen = chosen_rows(log, scope)
        states = States(
            programmes.parse,
            self._rows.earlier,
            recorded_at=lambda position: log.head_at_position(position).recorded_time_ns,
            decided_ns=TermClocks(self._rows.ledger).decided_ns,
            back_links=BackLinks(self._rows.ledger),
            fee_streams=self._chosen.fee_streams,
            last_fees=self._rows.last_fees,
            credits_with=self._rows.credits_with,
            accounts_trading=self._chosen.accounts_trading,
            fed=self._chosen.takes,
            whole=after == 0 and scope.from_ns is None and not scope.accounts,
        )
        for recorded in log.rulebook(after) if after else ():
            states.evolve(recorded)
        volumes = EvaluatedVolumes(log, by_key=bool(scope.accounts))
        self._kept = RequestsAgain(read_kept, self._rows.first_of)
        for recorded in self._rows.ledger:
            self._kept.begin(recorded)
        self._requests = Requests(log, None if scope.has_frame else scope.known)
        self._replay = Replay(states, self._kept, volumes, scope.decides, scope.has_day)

    def take(self, after: int, until: int) -> StretchAnswer:
        """Decide the events at positions in (after, until] again; a commit ends at the last."""
        found: list[Deviation] = []
        advances: list[Recorded] = []
        events = fills = 0
        unkept = self._kept.unkept
        for row in self._rows.between(after, until, self._chosen, uncommitted=not self._scope.has_frame):
            if isinstance(row, list):
                events += len(row)
                fills += sum([run.lines for run in row])
                self._requests.pass_by([run.position for run in row])
                self._replay.take_runs(row)
                continue
            if isinstance(row, Deviation):
                found.append(row)
                continue
            if self._scope.decides(row):
                events += 1
                self._requests.take(row)
                if isinstance(row.event, SourceAdvanced):
                    advances.append(row)
                elif isinstance(row.event, VolumeRecorded):
                    fills += len(row.event)
            self._replay.take(row)
        decided, lines = self._replay.end()
        requests = self._requests.rows
        found += self._requests.end()
        compared, unkept = self._requests.rows - requests, self._kept.unkept - unkept
        return StretchAnswer(found + decided, events, fills, compared, lines, advances, unkept)


@contextmanager
def opened(dsn: str, schema: str, scope: Scope, after: int) -> Iterator[Share]:
    """Give a share with a connection of its own."""
    with open_datastore(dsn, schema, connections=2, wait_ms_max=30_000) as datastore:
        yield Share(Log(datastore), scope, after=after)
