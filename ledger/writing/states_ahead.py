"""The states after a commit that is not made: the log up to a position, and the events that would come after it.

Whoever answers a caller reads them, beside the writer, which records meanwhile: so every read ends at that position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from ledger import programmes
from ledger.domain.decide.shared_states import SharedStates
from ledger.domain.events import Envelope, Event, FeeAdjusted, FeeEvent, Recorded
from ledger.domain.instants import LATEST_NS, day_number, utc_day
from ledger.domain.state.rulebook import Rulebook, fold_rulebook
from ledger.domain.state.shared_facts import Underway
from ledger.domain.streams import (
    PROGRAMME_PREFIX,
    REGISTERS,
    account_stream,
    day_key,
    fee_stream,
    is_fee_stream,
    repricing_stream,
)
from ledger.fills.mend import LINES_READ_AT_ONCE, AccountSpan
from ledger.store.log import Log

_STATES_MAX: Final = 1_000  # of streams that no single account has, in memory

T = TypeVar("T")


class StatesAhead(SharedStates):
    """The states that mending reads. What it reads of an account is in memory until `leave` is told of the account."""

    def __init__(self, log: Log, known_at: int, events: Iterable[Recorded]) -> None:
        """`events` would come after the position `known_at`, in one commit."""
        rules = log.rulebook(known_at)
        book = fold_rulebook(programmes.parse, rules)
        super().__init__(book, self._events, self._fold_book, [each.position for each in rules])
        self._log = log
        self._known_at = known_at
        self.next_position = known_at + 1
        self._ahead: dict[str, list[Recorded]] = {}  # events that would come, by stream
        self._in_log: dict[tuple[str, ...], Any] = {}  # what was read of an account
        for recorded in events:
            self._take(recorded)

    def record(self, stream: str, event: Event) -> Recorded:
        """Take in one more event that would come after all others, with an envelope that says nothing."""
        recorded = Recorded(self.next_position, stream, 0, Envelope(0, 0, 0), event)
        self._take(recorded)
        return recorded

    def leave(self, account_id: str) -> None:
        """Let go of what was read of an account, and of what would come in it."""
        self._in_log.clear()
        self.leave_days(account_id, utc_day(LATEST_NS))
        for stream in (account_stream(account_id), repricing_stream(account_id)):
            self._ahead.pop(stream, None)
        self._shared.shrink(_STATES_MAX)

    def leave_days(self, account_id: str, end_day: int) -> None:
        """Let go of what would come on the UTC days of an account before one."""
        for stream in [name for name in self._ahead if is_fee_stream(name)]:
            name, day = day_key(stream)
            if name == account_id and day < end_day:
                del self._ahead[stream]

    def account_events(self, account_id: str) -> list[Recorded]:
        """Return the events of an account, in order."""
        stream = account_stream(account_id)
        in_log = self._once(("events", stream), lambda: self._log.streams([stream], self._known_at))
        return [*in_log, *self._ahead.get(stream, ())]

    def accounts_trading(self, span: AccountSpan, from_ns: int, before: int, limit: int) -> list[str]:
        """Return accounts of a span that have fills since the UTC day of an instant, recorded before a position."""
        before = min(before, self._known_at + 1)
        return self._log.accounts_trading(*span, utc_day(from_ns), before, limit)

    def accounts_next(self, underway: Underway) -> list[tuple[str, bool]]:
        """Return some accounts that a shared fact was not brought to, in order, each with whether it may change lines.

        None are left where there are none.
        """
        from_ns, before = underway.fact.event.valid_from_ns, underway.fact.recorded.position
        first_day = utc_day(from_ns)
        return self._log.accounts_with_fees(underway.after_account_id, "", first_day, min(before, self._known_at + 1))

    def fee_lines(self, account_id: str, from_ns: int) -> Mapping[str, int]:
        """Return how many lines each fee stream of an account has, if any, from the UTC day of an instant on."""
        first_day = utc_day(from_ns)
        return self._once(("lines", account_id, str(first_day)), lambda: self._count_lines(account_id, first_day))

    def _count_lines(self, account_id: str, first_day: int) -> Mapping[str, int]:
        days = self._log.totals_of_account(account_id, first_day, utc_day(LATEST_NS), self._known_at)
        lines = {fee_stream(account_id, day_number(day.day)): sum(cell.lines for cell in day.totals) for day in days}
        return {stream: count for stream, count in lines.items() if count}

    def latest_ns(self, stream: str) -> int:
        """Return when the latest line of a fee stream traded; 0: it has none."""
        last = self.last_fees(stream)
        return last.event.time_max_so_far_ns if last and isinstance(last.event, FeeEvent) else 0

    def last_fees(self, stream: str) -> Recorded | None:
        """Return the last event of a fee stream, if it has any."""
        ahead = self._ahead.get(stream)
        return ahead[-1] if ahead else self._log.last_of_day(stream, self._known_at)

    def fee_runs(self, stream: str, first: int, end: int, lines: int) -> Iterator[Recorded]:
        """Yield the fill runs of a fee stream at positions in [first, end), in order, read as they are taken."""
        end = min(end, self._known_at + 1)
        return self._log.runs_between(stream, first, end, at_once=lines <= LINES_READ_AT_ONCE)

    def adjustments(self, stream: str) -> list[Recorded]:
        """Return the adjustments of a fee stream, in order."""
        ahead = (each for each in self._ahead.get(stream, ()) if isinstance(each.event, FeeAdjusted))
        return [*self._log.adjustments_of([stream], 0, self._known_at), *ahead]

    def _take(self, recorded: Recorded) -> None:
        self._ahead.setdefault(recorded.stream, []).append(recorded)
        self.next_position = recorded.position + 1
        if recorded.stream == REGISTERS or recorded.stream.startswith(PROGRAMME_PREFIX):
            self.evolve(recorded)

    def _events(self, stream: str) -> list[Recorded]:
        return [*self._log.streams([stream], self._known_at), *self._ahead.get(stream, ())]

    def _fold_book(self, position: int) -> Rulebook:
        return fold_rulebook(programmes.parse, self._log.rulebook(position))

    def _once(self, asked: tuple[str, ...], read: Callable[[], T]) -> T:
        if asked not in self._in_log:
            self._in_log[asked] = read()
        found: T = self._in_log[asked]
        return found
