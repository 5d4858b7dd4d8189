"""The scope of a control, and its findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from ledger.arrays.columns import Ints, starts_of
from ledger.domain.events import FeeAdjusted, KnownLine, VolumeRecorded
from ledger.domain.instants import CLOCK_LEAP_NS, DAY_NS, day_text
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.streams import account_of
from ledger.fills.account_day import adjusted
from ledger.fills.adjusted_lines import AdjustedLines
from ledger.fills.lines import known_lines
from ledger.store.log import Log
from projections.tables.position import table_rows

_ROWS_PER_READ: Final = 1_000
_LAST_ACCOUNT: Final = "\x7f"  # comes after every name


@dataclass(frozen=True, slots=True)
class Scope:
    """The question to a control: one programme at an instant, and so many days before it or after it."""

    log: Log
    schema: str
    book: Rulebook
    programme: Programme
    as_of_ns: int
    within_days: int
    now_ns: int  # the wall clock
    from_account: str = ""  # where a control finds by account: from this one on,
    wanted: int = 1  # and about so many findings are taken

    @property
    def since_ns(self) -> int:
        """Return the first instant of the days looked back to."""
        return self.as_of_ns - self.within_days * DAY_NS

    @property
    def until_ns(self) -> int:
        """Return the last instant of the days looked ahead to."""
        return self.as_of_ns + self.within_days * DAY_NS

    @property
    def life_since_ns(self) -> int:
        """Return `since_ns`, but not before the ledger began: what was not done before it is not found."""
        return max(self.since_ns, self.began_ns)

    @property
    def began_ns(self) -> int:
        """Return when the ledger's first event was recorded."""
        return self.log.at(1).envelope.recorded_time_ns

    @property
    def known_position(self) -> int:
        """Return the last position that was known at the instant.

        Where that is now, commits that a wrong clock put later than now are known too.
        """
        head = self.log.head()
        if head.recorded_time_ns > self.now_ns + CLOCK_LEAP_NS >= self.as_of_ns >= self.now_ns - CLOCK_LEAP_NS:
            return head.position
        return self.log.head_at_time(self.as_of_ns).position

    def rows(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Return rows of the tables, which are `{read}` in the statement; `at`, `since` and `until` are given."""
        known = {
            "programme": self.programme.programme_id,
            "at": self.as_of_ns,
            "since": self.since_ns,
            "until": self.until_ns,
            "since_day": day_text(self.since_ns // DAY_NS),
            "at_day": day_text(self.as_of_ns // DAY_NS),
        }
        return table_rows(self.log, self.schema, statement, {**known, **parameters})

    def rows_by_account(self, statement: str, **parameters: Any) -> Iterator[tuple[Any, ...]]:
        """Yield rows of the tables in the order of accounts, read as they are taken; the account is their first column.

        The statement takes those of accounts from `%(first)s` to `%(last)s`, at most `%(most)s`, fewer of one account.
        """
        for account_id in beginnings(self.from_account):
            yield from self.rows(statement, first=account_id, last=account_id, most=_ROWS_PER_READ, **parameters)
        first, most = self.from_account, max(self.wanted, _ROWS_PER_READ)
        while True:
            rows = self.rows(statement, first=first, last=_LAST_ACCOUNT, most=most, **parameters)
            if len(rows) < most:
                yield from rows
                return
            first = rows[-1][0]  # which may have more
            yield from (row for row in rows if row[0] != first)

    def fills(self) -> Iterator[tuple[str, str, KnownLine]]:
        """Yield (account, venue, line) of every fill of the days looked back to, day by day; fees are as now.

        Fills of a day come in log order, so both sides of a trade are close together.
        """
        head = self.log.head().position
        restated = self._restated(head)
        for recorded in self.log.runs(from_ns=self.since_ns, as_of_ns=self.as_of_ns, until=head):
            assert isinstance(recorded.event, VolumeRecorded), recorded
            account_id = account_of(recorded.stream)
            for known in _lines_now(recorded.event, restated.get(recorded.position, ())):
                if self.since_ns <= known.line.transact_time_ns <= self.as_of_ns:
                    yield account_id, recorded.event.venue, known

    def _restated(self, head: int) -> dict[int, list[_Restated]]:
        """Return what adjustments restate, oldest first, by position of the run; they may be as many as the fills."""
        found: dict[int, list[_Restated]] = {}
        for recorded in self.log.adjustments(from_ns=self.since_ns, as_of_ns=self.as_of_ns, until=head):
            event = recorded.event
            assert isinstance(event, FeeAdjusted), recorded
            lines = AdjustedLines.of(event.lines)
            order = np.argsort(lines.position, kind="stable")
            for places in np.split(order, starts_of(lines.position[order])[1:]):
                found.setdefault(int(lines.position[places[0]]), []).append(_Restated(event, lines, places))
        return found


class _Restated(NamedTuple):
    """The lines of one run that an adjustment restates: `places` in its `lines`, columns until the run is read."""

    event: FeeAdjusted
    lines: AdjustedLines
    places: Ints


def _lines_now(run: VolumeRecorded, restated: Iterable[_Restated]) -> list[KnownLine]:
    """Return the fills of a run as they are after what restates them, oldest first."""
    found = known_lines(run)
    for event, lines, places in restated:
        for line in lines.at(places):
            found[line.line] = adjusted(found[line.line], event, line)
    return found


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should look at. `subject` is unique within its control, and the same for ever."""

    subject: str
    message: str
    account_id: str = ""
    time_ns: int | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Control:
    """A named search for findings."""

    name: str
    description: str
    find: Callable[[Scope], Iterable[Finding]]
    oldest_first: bool = False  # its findings wait to be done, and are listed by time; else by subject
    by_account: bool = False  # it finds by account, from the scope's on, as long as they are taken: there may be many


def beginnings(account_id: str) -> list[str]:
    """Return the names with which a name begins and that, followed by a slash, come after it: of `a.b-1` a and a.b."""
    return [account_id[:end] for end, character in enumerate(account_id) if end and character < "/"]


def instant_text(time_ns: int) -> str:
    """Return an instant for a person, in UTC and whole seconds."""
    seconds = time_ns % DAY_NS // 1_000_000_000
    hours, minutes = divmod(seconds // 60, 60)
    return f"{day_text(time_ns // DAY_NS)}T{hours:02}:{minutes:02}:{seconds % 60:02}Z"
