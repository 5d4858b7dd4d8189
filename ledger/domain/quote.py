"""What a fill would cost: the decision on fills, asked about one that is not recorded."""

from __future__ import annotations

from ledger.domain.events import KnownLine
from ledger.domain.fills import AccountDay, FillBatch, Recording, by_account_day
from ledger.domain.refusal import Refusal
from ledger.domain.rulebook import Rulebook
from ledger.domain.state import AccountState


def quote(fill: FillBatch, account: AccountState, book: Rulebook) -> KnownLine | Refusal:
    """The line that a batch of one fill would become; by the same code that records it, so the two cannot differ."""
    assert len(fill) == 1, fill
    groups = by_account_day(fill)
    days = {key: AccountDay() for key in groups}
    recording = Recording()
    outcome = recording.take(fill, groups, {account.account_id: account}, days, book, with_fees=False)
    if outcome.refused:
        return outcome.refused[0][1]
    known = recording.find(fill, 0, days)
    assert known is not None, fill
    return known
