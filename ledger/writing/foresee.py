"""Works out what commits after a preview's own would post: its repricings, and the shared facts that it releases.

The writer hands back what it would record, and has no part in the rest. Whoever answers the caller works that out part
by part, by the functions that restate lines when the command is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ledger.domain.events import CurrencyNet, Envelope, FactReleased, Recorded, RepriceStarted
from ledger.domain.state.repricings import Cursor, Repricing, Repricings, evolve_repricings
from ledger.domain.state.shared_facts import Underway
from ledger.domain.state.volume_cells import FEE_SCALE, exact
from ledger.domain.streams import account_stream, day_key, kind_and_subject, repricing_stream
from ledger.fills import mend
from ledger.fills.account_day import AccountDay
from ledger.fills.adjust import adjustments
from ledger.fills.mend import Mending
from ledger.fills.reprice import Part, next_part
from ledger.fills.targets import add_nets
from ledger.store.codec.events import decode_row
from ledger.store.log import Log
from ledger.writing.messages import Preview
from ledger.writing.states_ahead import StatesAhead

ACCOUNTS_TOLD: Final = 1_000  # whose nets are told, each by itself


@dataclass(slots=True)
class Foreseen:
    """The postings of later commits: `lines` restated of `accounts`, and by how much these cost more or less (nets).

    Each account is worked out wholly or not at all; if `complete`, all are. Nets are by currency, at FEE_SCALE; those
    of the first accounts also by account. `lines_later` would be looked at for the accounts that are not worked out,
    as far as they were counted.
    """

    lines: int = 0
    accounts: int = 0
    nets: Mapping[str, int] = field(default_factory=dict)
    by_account: dict[str, Mapping[str, int]] = field(default_factory=dict)
    lines_later: int = 0
    complete: bool = False

    def add(self, account_id: str, repriced: Sequence[Repricing]) -> None:
        """Add what the repricings of an account come to, which have ended."""
        lines, nets = sum(each.lines for each in repriced), dict[str, int]()
        for each in repriced:
            nets = add_nets(nets, _by_currency(each.nets))
        if lines:
            self.lines += lines
            self.accounts += 1
            self.nets = add_nets(self.nets, nets)
            if self.accounts <= ACCOUNTS_TOLD:
                self.by_account[account_id] = nets


class Foresight:
    """Works out what commits after a preview's own would post."""

    def __init__(self, preview: Preview) -> None:
        self._known_at = preview.known_at
        self._events = list(map(decode_row, preview.rows))
        # The releases that commits after its own restate, by account; and those of facts of many accounts.
        self._started: dict[str, int] = {}
        for recorded in self._events:
            if isinstance(event := recorded.event, RepriceStarted):
                self._started[event.account_id] = self._started.get(event.account_id, 0) + event.lines_reached
        self._shared = [
            recorded
            for recorded in self._events
            if isinstance(recorded.event, FactReleased) and kind_and_subject(recorded.stream)[0] == "programme"
        ]
        self.found = Foreseen(lines_later=sum(self._started.values()))

    @property
    def is_needed(self) -> bool:
        """Return whether any commit would come after the preview's own."""
        return bool(self._started or self._shared)

    def parts(self, log: Log) -> Iterator[None]:
        """Work it out over the log, yielding before each part; `found` grows by whole accounts.

        A part looks at as many lines as a commit restates, or as decide what becomes of a shared fact in an account.
        """
        states, is_whole = StatesAhead(log, self._known_at, self._events), True
        for account_id, lines in self._started.items():
            yield from self._restate(states, account_id, states.repricings(account_id).open)
            self.found.lines_later -= lines
            states.leave(account_id)
        for release in self._shared:
            first, *others = states.releases_underway()
            if others or first.release.position != release.position:
                is_whole = False  # another fact comes to the accounts before it
            else:
                yield from self._bring(states, first)
        self.found.complete = is_whole and not self.found.lines_later

    def _restate(self, states: StatesAhead, account_id: str, pending: Sequence[Repricing]) -> Iterator[None]:
        """Restate the lines of an account by some repricings, and add up those of this preview.

        Several go together day by day, each day in their order: so the adjustments of one day are all that is held.
        """
        found, mends = list(pending), [Mending(states) for _ in pending]
        for until in _ends_of_days(mends, pending) if len(pending) > 1 else [None]:
            for place, mending in enumerate(mends):
                while _is_before(found[place], until):
                    yield
                    part = next_part(mending, found[place], lines_max=mend.LINES_AT_ONCE, until=until)
                    if place + 1 < len(found):
                        _post(states, part, found[place].event)
                    found[place] = _advanced(found[place], part)
            if until is not None:
                states.leave_days(account_id, until.day)
        self.found.add(account_id, [each for each in found if each.started.position > self._known_at])

    def _bring(self, states: StatesAhead, underway: Underway) -> Iterator[None]:
        """Bring a shared fact that is released to one account after the other."""
        while accounts := states.accounts_next(underway):
            for account_id, trades in accounts:
                yield
                if trades:
                    yield from self._bring_to(states, underway, account_id)
                    states.leave(account_id)
                underway = underway._replace(after_account_id=account_id)

    def _bring_to(self, states: StatesAhead, underway: Underway, account_id: str) -> Iterator[None]:
        """Bring it to the next account, and restate its lines."""
        if states.repricings(account_id).open:  # what becomes of it is decided once these have ended
            self.found.lines_later += sum(states.fee_lines(account_id, underway.fact.event.valid_from_ns).values())
            return
        mending, started = Mending(states), []
        for _, event in mending.brought(underway, account_id):
            outcome = states.record(account_stream(account_id), event)
            if isinstance(event, FactReleased):
                begun = mending.started(account_id, outcome)
                started.append(Repricing(states.record(repricing_stream(account_id), begun)))
        yield from self._restate(states, account_id, started)


def _ends_of_days(mends: Sequence[Mending], pending: Sequence[Repricing]) -> list[Cursor]:
    """Return the first place after each UTC day on which repricings of an account may restate lines, ascending."""
    days = {
        day_key(stream)[1]
        for mending, each in zip(mends, pending, strict=True)
        for stream in mending.release(each.event.account_id, each.event.release_position).lines
    }
    return [Cursor(day + 1, 0, 0) for day in sorted(days)]


def _is_before(repricing: Repricing, until: Cursor | None) -> bool:
    """Return True if a repricing has lines left to look at before a place (None: any)."""
    return repricing.next is not None and (until is None or repricing.next < until)


def _advanced(repricing: Repricing, part: Part) -> Repricing:
    """Return a repricing after its next part."""
    recorded = Recorded(0, "", 0, Envelope(0, 0, 0), part.advanced)
    (found,) = evolve_repricings(Repricings((repricing,)), recorded).open
    return found


def _post(states: StatesAhead, part: Part, started: RepriceStarted) -> None:
    """Have the lines of a part count as restated for what comes after it."""
    for stream, restated in part.restated:
        day = AccountDay(last=states.last_fees(stream))
        cause = (started.cause, started.fact_position)
        for event in adjustments(day, restated, cause, started.release_position, states.next_position):
            states.record(stream, event)


def _by_currency(nets: Sequence[CurrencyNet]) -> Mapping[str, int]:
    return {each.currency: exact(each.net, FEE_SCALE) for each in nets}
