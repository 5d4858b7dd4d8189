"""The part of a log that is audited, and the share of it that one of several processes takes."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger.domain.events import AccountLinked, FeeEvent, Recorded
from ledger.domain.instants import DAY_NS
from ledger.domain.streams import account_of, day_key, is_fee_stream, kind_and_subject

KINDS_OF_ACCOUNTS: Final = ("account", "fees", "repricing")


@dataclass(frozen=True, slots=True)
class Scope:
    """Positions up to `known`; some accounts, or all; decisions of [from, until), and fees of the UTC days it touches.

    Of all of it process `share` of `shares` takes its accounts; the first one takes also what is of no account.
    `frame`: that of the whole log is looked at, too, where some accounts are named; else it always is.
    """

    known: int
    accounts: frozenset[str] = frozenset()
    from_ns: int | None = None
    until_ns: int | None = None
    frame: bool = False
    share: int = 0
    shares: int = 1

    @property
    def is_whole(self) -> bool:
        """Return True if every event is decided again."""
        return not self.accounts and self.from_ns is None and self.until_ns is None

    @property
    def has_frame(self) -> bool:
        """Return True if the frame of the whole log is looked at."""
        return self.frame or not self.accounts

    @property
    def first_day_ns(self) -> int | None:
        """Return the beginning of the first UTC day whose fees are audited; None: it is the first of all."""
        return None if self.from_ns is None else self.from_ns // DAY_NS * DAY_NS

    @property
    def end_day_ns(self) -> int | None:
        """Return the end of the last UTC day whose fees are audited; None: it is the last of all."""
        return None if self.until_ns is None else -(-self.until_ns // DAY_NS) * DAY_NS

    def reads(self, account_id: str) -> bool:
        """Return True if the events of an account are given to this process."""
        if self.accounts and account_id not in self.accounts:
            return False
        return self.shares == 1 or share_of(account_id, self.shares) == self.share

    def takes(self, stream: str) -> bool:
        """Return True if the events of a stream are read and go along with what this process decides.

        Where some accounts are named, fewer streams of no account do: `AccountRows` says which.
        """
        if kind_and_subject(stream)[0] not in KINDS_OF_ACCOUNTS:
            return True
        return self.reads(account_of(stream)) and (not is_fee_stream(stream) or self.has_day(stream))

    def decides(self, recorded: Recorded) -> bool:
        """Return True if this process decides an event again; others may rest on one that it does not decide."""
        kind, _ = kind_and_subject(recorded.stream)
        if not isinstance(recorded.event, FeeEvent) and not self._in_period(recorded.envelope.effective_time_ns):
            return False
        if isinstance(recorded.event, AccountLinked):
            return self.reads(recorded.event.account_id)
        if kind in KINDS_OF_ACCOUNTS:
            return self.reads(account_of(recorded.stream))
        return self.share == 0 and not self.accounts

    def has_day(self, stream: str) -> bool:
        """Return True if the events of a fee stream are given to whoever audits its account."""
        _, day = day_key(stream)
        after = self.first_day_ns is None or day * DAY_NS >= self.first_day_ns
        return after and (self.end_day_ns is None or day * DAY_NS < self.end_day_ns)

    def _in_period(self, time_ns: int) -> bool:
        after = self.from_ns is None or time_ns >= self.from_ns
        return after and (self.until_ns is None or time_ns < self.until_ns)


def share_of(account_id: str, shares: int) -> int:
    """Return the process that takes an account; the statement that reads its events says the same in SQL."""
    return sha256(account_id.encode()).digest()[0] % shares
