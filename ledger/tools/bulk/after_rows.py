"""Rows of accounts that an earlier row of the file would change: what would become of them after that row.

A ledger previews a command alone. So the events of earlier previews are folded here, and the domain decides on them.
"""

from __future__ import annotations

from functools import cached_property

from ledger import programmes
from ledger.client import Client
from ledger.domain.commands import Request
from ledger.domain.decide.account import decide_account
from ledger.domain.decide.approval import check_approval
from ledger.domain.events import Envelope, Recorded
from ledger.domain.refusal import Refusal
from ledger.domain.state.account import AccountState, evolve_account, fold_account
from ledger.domain.state.rulebook import Rulebook, fold_rulebook
from ledger.domain.streams import REGISTERS, account_stream, programme_stream
from ledger.store.codec.events import decode
from ledger.tools.bulk.rows import Row
from ledger.v1.command_pb2 import Preview


class AfterRows:
    """The accounts that rows so far would change; `in` says whether they would change one."""

    def __init__(self, ledger: Client, approver: str, reason: str) -> None:
        """`reason` is that of rows without one of their own."""
        self._ledger = ledger
        self._approver = approver
        self._reason = reason
        self._previews: dict[str, Preview] = {}  # of the first row of each account
        self._accounts: dict[str, AccountState] = {}  # of those with another row
        self._now_ns = 0

    def __contains__(self, account_id: str) -> bool:
        return account_id in self._previews

    def take(self, row: Row, preview: Preview) -> None:
        """Take in what the first row of an account would record."""
        self._previews[row.account_id] = preview

    def verdict(self, row: Row) -> tuple[str, str]:
        """Return what would become of a row of a changed account, and why; the account is then as it would leave it."""
        account = self._account(row.account_id)
        command, actor, reason = row.command, row.values["actor"], row.values["reason"] or self._reason
        request = Request(row.request_id, b"", actor, self._approver, row.values["ticket"], reason)
        decided = decide_account(account, command, family=(), book=self._book, now_ns=self._now_ns)
        unapproved = check_approval(self._book, command, request, self._now_ns)
        refusals = [no for no in (decided, unapproved) if isinstance(no, Refusal)]
        if refusals or isinstance(decided, Refusal):
            no = min(refusals, key=lambda one: one.reason)
            return "refused", f"{no.reason.name}: {no.detail}" + (f" ({no.field})" if no.field else "")
        envelope = Envelope(decided.effective_time_ns, self._now_ns, 0, actor, approver=self._approver)
        for stream, event in decided.events:
            if stream == account_stream(row.account_id):
                evolved = evolve_account(account, Recorded(0, stream, account.version + 1, envelope, event))
                assert evolved is not None, event  # no row withdraws a fact
                account = evolved
        self._accounts[row.account_id] = account
        return "would be recorded", type(decided.events[0][1]).__name__

    def _account(self, account_id: str) -> AccountState:
        """Return an account as the rows so far would leave it."""
        if account_id not in self._accounts:
            preview, stream = self._previews[account_id], account_stream(account_id)
            foreseen = [decode(one.position, one.stream, one.version, one.topic, one.state) for one in preview.events]
            self._now_ns = max(self._now_ns, foreseen[0].envelope.recorded_time_ns)
            events = [*self._events(stream, preview.known_at_position), *foreseen]
            self._accounts[account_id] = fold_account(account_id, (one for one in events if one.stream == stream))
        return self._accounts[account_id]

    @cached_property
    def _book(self) -> Rulebook:
        """The rules that the ledger has now."""
        pages = list(self._ledger.programme_pages())
        position = pages[0].basis.known_at_position
        names = dict.fromkeys(version.programme_id for page in pages for version in page.programmes)
        streams = [REGISTERS, *map(programme_stream, names)]
        events = [one for stream in streams for one in self._events(stream, position)]
        return fold_rulebook(programmes.parse, sorted(events, key=lambda one: one.position))

    def _events(self, stream: str, position: int) -> list[Recorded]:
        found = self._ledger.list_events(stream, known_at_position=position)
        return [decode(one.position, one.stream, one.version, one.topic, one.state) for one in found]
