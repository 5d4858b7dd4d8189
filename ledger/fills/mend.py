"""Mending: what a fact that is recorded late does to the lines before it, and to which of them (A31).

The writer and the audit go this way alike, each with its own reading of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import numpy as np

from ledger.domain.decide.facts import AccountFacts, Fact, fact_of
from ledger.domain.decide.release import judge_held, judge_late
from ledger.domain.decide.shared_facts import fact_of_account, judge_in_account, judge_shared
from ledger.domain.events import (
    POSITION_MAX,
    AccountRegistered,
    Event,
    FactReleased,
    FactWithheld,
    Recorded,
    RepriceStarted,
    VolumeRecorded,
)
from ledger.domain.instants import utc_day
from ledger.domain.state.account import fold_account
from ledger.domain.state.repricings import Repricings
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.state.shared_facts import SharedFact, Underway
from ledger.domain.streams import fee_stream
from ledger.fills.posted import Stretch, posted_lines, whole
from ledger.fills.targets import Targets, add_nets, currencies_of, nets, targets

# That one commit restates for a command, a run or a part of a repricing: they take about a twentieth of a second. It is
# no rule: whoever decides again takes both ways.
LINES_AT_ONCE: Final = 10_000
# One commit brings a shared fact to so many accounts at most. It takes fewer if these have more account-days than the
# second number, but always one. No rule either.
ACCOUNTS_AT_ONCE: Final = 20
DAYS_AT_ONCE: Final = 60
LINES_READ_AT_ONCE: Final = 20_000  # of an account-day, by whoever reads runs: about a megabyte
ACCOUNTS_MAX: Final = 1 << 40  # as many as there are
NET_LINES_MAX: Final = 100_000  # of which a net is told in one commit, on the account-days that a fact reaches


class AccountSpan(NamedTuple):
    """The accounts after one (empty: from the first) up to another one (empty: to the last), by their fee streams."""

    after: str = ""
    until: str = ""


ALL_ACCOUNTS: Final = AccountSpan()


class Reading(Protocol):
    """The log as mending reads it, at the position at hand."""

    @property
    def book(self) -> Rulebook: ...

    def book_of_line(self, position: int, shared: Sequence[int], /) -> Rulebook:
        """Return the rules that were known at a position, with the shared facts at some later ones."""

    def accounts_trading(self, span: AccountSpan, from_ns: int, before: int, limit: int, /) -> list[str]:
        """Return accounts of a span, the first ones of the log, that traded from the UTC day of an instant on.

        They did so by fills recorded before a position.
        """

    def account_events(self, account_id: str, /) -> Sequence[Recorded]:
        """Return the events of an account, in order."""

    def repricings(self, account_id: str, /) -> Repricings:
        """Return the repricings of an account that are open."""

    def fee_lines(self, account_id: str, from_ns: int, /) -> Mapping[str, int]:
        """Return how many lines each fee stream of an account has, from the UTC day of an instant on."""

    def latest_ns(self, stream: str, /) -> int:
        """Return when the latest line of a fee stream traded; 0: it has none."""

    def fee_runs(self, stream: str, first: int, end: int, lines: int, /) -> Iterable[Recorded]:
        """Return the fill runs of a fee stream at positions in [first, end), in order, read as they are taken.

        The stream has so many lines.
        """

    def adjustments(self, stream: str, /) -> Sequence[Recorded]:
        """Return the adjustments of a fee stream, in order."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release with the facts of its account, without it and with it.

    `lines` are how many each fee stream has that it reaches. Adjustments are read once for a fee stream that is
    restated part by part.
    """

    fact: Fact
    before: AccountFacts
    after: AccountFacts
    lines: Mapping[str, int]
    adjusted: dict[str, Sequence[Recorded]] = field(default_factory=dict)


class Mending:
    """Decides what late facts do, and finds the lines that they change."""

    def __init__(self, reading: Reading, held: dict[int, Release] | None = None) -> None:
        """`held` keeps the last release, by its position, for whoever restates it part by part."""
        self._reading = reading
        self._held = {} if held is None else held

    def outcome(self, recorded: Recorded, account_id: str, now_ns: int) -> Iterator[FactReleased | FactWithheld]:
        """Yield what is recorded with an event of an account: of most events nothing. Each is recorded as it comes."""
        fact = fact_of(recorded, ())
        if fact is None:
            return
        lines = self._lines(account_id, fact)
        if not lines and not fact.ends_flag:
            return  # as nearly always, and the account needs not be read
        facts = AccountFacts(account_id, self._reading.account_events(account_id))
        account = fold_account(account_id, facts.events)

        def nets_of(released: FactReleased) -> Mapping[str, int] | None:
            return self._nets(account_id, facts.facts[released.fact_position], released)

        if lines and not self._changes_nothing(facts, fact, recorded.event, lines):
            late = facts.facts[recorded.position]
            yield from judge_late(late, account, self._reading.book, nets=nets_of, now_ns=now_ns)
        if fact.ends_flag:
            yield from judge_held(facts, account, nets=nets_of, now_ns=now_ns)

    def shared_outcome(self, recorded: Recorded, now_ns: int) -> Iterator[FactReleased | FactWithheld]:
        """Yield what is recorded with a shared fact: nothing where no line that was recorded before can count by it."""
        shared = self._reading.book.shared_facts[recorded.position]
        from_ns = shared.event.valid_from_ns
        if from_ns < now_ns and self._reading.accounts_trading(ALL_ACCOUNTS, from_ns, recorded.position, 1):
            yield judge_shared(shared, self._reading.book, now_ns)

    def brought(
        self, underway: Underway, until_account_id: str, mine: Callable[[str], bool] = lambda _: True
    ) -> Iterator[tuple[str, FactReleased | FactWithheld]]:
        """Yield (account, what becomes in it) of a shared fact, for `mine` of the accounts that are next, up to one.

        Each is recorded as it comes.
        """
        event, fact = underway.release.event, fact_of_account(underway.fact)
        assert isinstance(event, FactReleased), underway
        span = AccountSpan(underway.after_account_id, until_account_id)
        for account_id in self._reading.accounts_trading(span, fact.from_ns, fact.position, ACCOUNTS_MAX):
            if not mine(account_id) or not self._may_change(account_id, underway.fact, fact):
                continue

            def nets_of(released: FactReleased, account_id: str = account_id) -> Mapping[str, int] | None:
                return self._nets(account_id, fact, released)

            yield from ((account_id, each) for each in judge_in_account(fact, event.switch, nets_of))

    def _may_change(self, account_id: str, shared: SharedFact, fact: Fact) -> bool:
        """Return True if an account has a fill run with a line that may count by a shared fact.

        Where it has more lines than may be looked at, it is said to have one.
        """
        lines = self._lines(account_id, fact)
        if sum(lines.values()) > NET_LINES_MAX:
            return True
        runs = (
            run.event
            for stream in sorted(lines)
            for run in self._reading.fee_runs(stream, 0, fact.position, lines[stream])
        )
        return any(
            isinstance(run, VolumeRecorded)
            and run.time_max_ns >= fact.from_ns
            and any(terms.symbol == shared.event.symbol for terms in run.symbols)
            and any(basis.programme_id == fact.programme_id for basis in run.bases)
            for run in runs
        )

    def started(self, account_id: str, release: Recorded) -> RepriceStarted:
        """Return what begins the restating of a release by commits after its own."""
        event = release.event
        assert isinstance(event, FactReleased), release
        lines = sum(self.release(account_id, release.position).lines.values())
        return RepriceStarted(release.position, event.fact_position, event.cause, account_id, lines)

    def must_wait(self, started: RepriceStarted) -> bool:
        """Return True if lines of the account are being restated: a release that reaches some comes after those."""
        return started.lines_reached > 0 and bool(self._reading.repricings(started.account_id).open)

    def restated(self, account_id: str, release_position: int) -> Iterator[tuple[str, Targets]]:
        """Yield the fee streams with the lines that change by a FactReleased, which is recorded already."""
        release = self.release(account_id, release_position)
        for stream in sorted(release.lines):
            stretches = list(self.stretches(release, stream, 0))
            if stretches and len(found := self.targets(release, stream, stretches)):
                yield stream, found

    def release(self, account_id: str, position: int) -> Release:
        """Return a release by its position, with the facts that were known and released then."""
        if position not in self._held:
            events = [each for each in self._reading.account_events(account_id) if each.position <= position]
            *earlier, recorded = events
            event = recorded.event
            assert isinstance(event, FactReleased), recorded
            assert recorded.position == position, recorded
            before, after = AccountFacts(account_id, earlier), AccountFacts(account_id, events)
            fact = after.fact(event.fact_position)
            assert fact is not None, recorded
            self._held.clear()
            self._held[position] = Release(fact, before, after, self._lines(account_id, fact))
        return self._held[position]

    def stretches(self, release: Release, stream: str, first: int) -> Iterator[Stretch]:
        """Yield the lines of a fee stream at positions from one on: those that were recorded before the fact."""
        return whole(self._reading.fee_runs(stream, first, release.fact.position, release.lines[stream]))

    def targets(self, release: Release, stream: str, stretches: Sequence[Stretch]) -> Targets:
        """Return which of some lines of a fee stream, at least one, change by a release."""
        if stream not in release.adjusted:
            release.adjusted.clear()
            release.adjusted[stream] = self._reading.adjustments(stream)
        lines = posted_lines(stretches, release.adjusted[stream])
        return targets(lines, release.before, release.after, release.fact.from_ns, self._reading.book_of_line)

    def _lines(self, account_id: str, fact: Fact) -> Mapping[str, int]:
        """Return the fee streams that a fact reaches, with how many lines each has; none: it came before them all."""
        lines = self._reading.fee_lines(account_id, fact.from_ns)
        if not lines:
            return lines
        first = fee_stream(account_id, utc_day(fact.from_ns))
        is_late = any(stream != first for stream in lines) or self._reading.latest_ns(first) >= fact.from_ns
        return lines if is_late else {}

    def _changes_nothing(self, facts: AccountFacts, fact: Fact, event: Event, lines: Mapping[str, int]) -> bool:
        """Return True for a fact of which it is known that no line will ever change by it. It needs no release."""
        if isinstance(event, AccountRegistered):
            return self._makes_no_self_trade(event, lines)
        return self._takes_back_nothing(facts, fact, lines)

    def _makes_no_self_trade(self, event: AccountRegistered, lines: Mapping[str, int]) -> bool:
        """Return True if no line names the owner, or the account itself, as that of the other side.

        More lines than may be looked at are said to name one.
        """
        if sum(lines.values()) > NET_LINES_MAX:
            return False
        owners = [event.owner_id.encode(), event.account_id.encode()]
        for stream in lines:
            stretches = list(whole(self._reading.fee_runs(stream, 0, POSITION_MAX, lines[stream])))
            if stretches and np.isin(posted_lines(stretches, ()).counterparty, owners).any():
                return False
        return True

    def _takes_back_nothing(self, facts: AccountFacts, fact: Fact, lines: Mapping[str, int]) -> bool:
        """Return True for the withdrawal of a fact that no line counts by: all came before it, and it is not released.

        No line ever will, so nobody has to release the withdrawal. More lines than may be looked at are said to count.
        """
        withdrawn = fact.withdrawn_position
        if not withdrawn or facts.is_released(withdrawn) or sum(lines.values()) > NET_LINES_MAX:
            return False
        for stream in lines:
            if stretches := list(whole(self._reading.fee_runs(stream, 0, POSITION_MAX, lines[stream]))):
                posted = posted_lines(stretches, self._reading.adjustments(stream))
                if np.any((posted.known_at > withdrawn) & (posted.time_ns >= fact.from_ns)):
                    return False
        return True

    def _nets(self, account_id: str, fact: Fact, released: FactReleased) -> dict[str, int] | None:
        """Return how much more lines cost by a release to come; None: they are too many, or are being restated."""
        before = AccountFacts(account_id, self._reading.account_events(account_id))
        lines = self._lines(account_id, fact)
        if sum(lines.values()) > NET_LINES_MAX or self._reading.repricings(account_id).open:
            return None
        release = Release(fact, before, before.with_release(released), lines)
        found: dict[str, int] = {}
        for stream in sorted(lines):
            if stretches := list(whole(self._reading.fee_runs(stream, 0, POSITION_MAX, lines[stream]))):
                changed = self.targets(release, stream, stretches)
                currencies = currencies_of(changed.lines, fact.from_ns, released.programme_ids)
                found = add_nets(found, {**dict.fromkeys(currencies, 0), **nets(changed)})
        return found
