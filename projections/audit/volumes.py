"""Adds up again what an account traded in the window of an evaluation, from the log as it was read then."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final

from ledger.domain.decide.daily_close import KnownClose
from ledger.domain.events import AccountRegistered, CellKey, VolumeEvaluated
from ledger.domain.rules.end_day_close import Close
from ledger.domain.state.account import AccountState
from ledger.domain.state.programme import Programme
from ledger.replay.evaluations import Volume
from ledger.store.codec.events import decode
from ledger.store.log import Log
from ledger.store.reads import ROW
from projections.answers.fee_history import AccountSpan, day_sums
from projections.audit.queries import Queries
from projections.evaluation.plan import known_closes

_REGISTERED: Final = f"SELECT {ROW} FROM {{events}} WHERE topic = 'AccountRegistered' ORDER BY notification_id"


class EvaluatedVolumes(Queries):
    """Reads the fee streams themselves: about a millisecond for an account."""

    def __init__(self, log: Log, *, by_key: bool = False) -> None:
        """`by_key`: few accounts are asked for, so only the closes that each needs are read."""
        super().__init__(log)
        self._by_key = by_key
        self._closes: tuple[tuple[Programme, int], dict[Close, KnownClose]] | None = None

    def __call__(self, account: AccountState, programme: Programme, event: VolumeEvaluated) -> Volume:
        """Return the volume by UTC day and cell, with that of sub-accounts where it counts; and the closes known."""
        members = self._children.get(account.account_id, ()) if programme.aggregate_subaccounts else ()
        known = [child for child, position in members if position <= event.read_position]
        found: dict[int, dict[CellKey, int]] = {}
        for account_id in (account.account_id, *known):
            span = AccountSpan(account_id, event.window_from_ns, event.window_until_ns, event.read_position)
            for day, sums in day_sums(self._log, span).items():
                cells = found.setdefault(day, {})
                for key, cell in sums.items():
                    counted = key._replace(zero_fee=False)  # fees play no part in what counts
                    cells[counted] = cells.get(counted, 0) + cell.notional
        if self._by_key:
            assets = {key.quote_currency for cells in found.values() for key in cells} - {programme.volume_currency}
            return found, known_closes(self._log, programme, event.read_position, assets)
        return found, self._closes_known(programme, event.read_position)

    def _closes_known(self, programme: Programme, position: int) -> dict[Close, KnownClose]:
        """Return the closes, which are the same for all accounts of a run."""
        if self._closes is None or self._closes[0] != (programme, position):
            self._closes = ((programme, position), known_closes(self._log, programme, position))
        return self._closes[1]

    @cached_property
    def _children(self) -> Mapping[str, list[tuple[str, int]]]:
        """Return sub-accounts by parent, with the position that each is known from."""
        found: dict[str, list[tuple[str, int]]] = {}
        for row in self._query(_REGISTERED):
            event = decode(*row).event
            if isinstance(event, AccountRegistered) and event.parent_account_id:
                found.setdefault(event.parent_account_id, []).append((event.account_id, row[0]))
        return found
