"""Decides again which owners fills name: each is recorded once for an account, in the commit that names it first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from ledger.domain.events import AccountLinked, Event, OwnerNamed, Recorded, VolumeRecorded
from ledger.domain.state.owners import newly_named
from ledger.domain.streams import account_of, owner_stream
from ledger.fills.owners import owners_said
from ledger.replay.compare import UNDECIDABLE, Deviation, compared, said
from ledger.replay.states import States

_TOLD_MAX: Final = 100_000  # (account, owner) that are not told of again; then they are


class _Due(NamedTuple):
    """A run that names an owner for the first time, and when the first fill that does traded."""

    run: Recorded
    time_ns: int


class OwnersAgain:
    """Expects an OwnerNamed for each new owner that runs name; `named` meets it, `overdue` tells what is missing."""

    def __init__(self, states: States) -> None:
        self._states = states
        self._due: dict[str, dict[str, _Due]] = {}  # by account and owner, in the order in which they are named
        self._told: set[tuple[str, str]] = set()  # missing ones: the next fills name them again

    def expect(self, runs: Sequence[Recorded]) -> list[Deviation]:
        """Take in runs in order, from the states before the first of them; returns what they show to be missing."""
        naming = [each for each in runs if isinstance(each.event, VolumeRecorded) and each.event.columns.owner_id]
        accounts = self._states.accounts(account_of(recorded.stream) for recorded in naming) if naming else {}
        found: list[Deviation] = []
        for recorded in naming:
            assert isinstance(recorded.event, VolumeRecorded), recorded
            account_id = account_of(recorded.stream)
            found += self._missing(account_id, recorded.envelope.recorded_time_ns)
            due = self._due.get(account_id, {})
            account = accounts[account_id]
            with_due = replace(account, named_owners=(*account.named_owners, *due))
            try:
                new = newly_named(with_due, owners_said(recorded.event))
            except UNDECIDABLE:
                continue  # that the run cannot be read is told with it
            if new:
                self._due[account_id] = due | {owner_id: _Due(recorded, at_ns) for owner_id, at_ns in new}
        return found

    def named(self, recorded: Recorded, event: OwnerNamed) -> tuple[list[Deviation], tuple[str, Event]]:
        """Return (what deviates; the event of an owner's stream that must follow at once)."""
        account_id = account_of(recorded.stream)
        due = self._due.get(account_id)
        if not due:
            surplus = said(recorded, f"no fill of this commit is the first to name {event.owner_id}")
            return [surplus], (owner_stream(event.owner_id), AccountLinked(account_id))
        owner_id = next(iter(due))
        one = due.pop(owner_id)
        if not due:
            del self._due[account_id]
        link = (owner_stream(owner_id), AccountLinked(account_id))
        return compared(recorded, OwnerNamed(owner_id), one.time_ns, ruled=False), link

    def overdue(self, time_ns: int) -> list[Deviation]:
        """Return the owners that commits before `time_ns` name and do not record, once for an account and owner."""
        return [missing for account_id in list(self._due) for missing in self._missing(account_id, time_ns)]

    def _missing(self, account_id: str, time_ns: int) -> list[Deviation]:
        """Return the missing owners of one account, which are all of one commit."""
        due = self._due.get(account_id, {})
        found = []
        for owner_id, (run, _) in due.items():
            if run.envelope.recorded_time_ns >= time_ns:
                return []
            if (account_id, owner_id) not in self._told:
                found.append(said(run, f"it is the first to name {owner_id}, and no OwnerNamed follows", ruled=True))
            if len(self._told) >= _TOLD_MAX:
                self._told.clear()
            self._told.add((account_id, owner_id))
        self._due.pop(account_id, None)
        return found

    def new_term(self) -> None:
        """Tell again what is missing: a new term may go by other rules."""
        self._told.clear()
