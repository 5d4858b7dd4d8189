"""Every decision of a log made again, from the state that the events before it give: the audit of the ledger's rules.

What it does not tell: whether all that was asked was recorded (refused commands leave only their name), and whether
an evaluation read the right volume. It takes the volume of an evaluation as recorded where closes were needed to value
it, and asks only what follows from it; `projections.evaluation_plan` adds it up again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeVar

from ledger.domain.account import Decided, decide_account
from ledger.domain.account_day import AccountDay, DayKey, by_account_day, suspects
from ledger.domain.adjustment import Restated, adjust, lines_now, restated_by_grants
from ledger.domain.approval import check_approval
from ledger.domain.bounty import Round, decide_bounty, evolve_round
from ledger.domain.closes import Closes, decide_close, evolve_closes
from ledger.domain.columns import digests, texts
from ledger.domain.commands import (
    AccountCommand,
    BountyCommand,
    Command,
    ProgrammeCommand,
    PromotionCommand,
    RecordDailyClose,
    RegisterCommand,
    Request,
    RunEvaluation,
)
from ledger.domain.evaluation import Assessment, Case, Run, assess, changes_from_ns, decide_evaluated
from ledger.domain.evaluation_run import EvaluationState, decide_run, evolve_evaluation
from ledger.domain.events import (
    AccountLinked,
    CellKey,
    CellVolume,
    CommandRefused,
    EvaluationCompleted,
    Event,
    FeeAdjusted,
    FeeEvent,
    KnownLine,
    LedgerCreated,
    PairClassAssigned,
    Recorded,
    SourceAdvanced,
    SymbolRegistered,
    VolumeEvaluated,
    VolumeRecorded,
    WriterStarted,
)
from ledger.domain.fills import decide_fills
from ledger.domain.instants import DAY_NS, day_number
from ledger.domain.money import decimal_text
from ledger.domain.programme import Programme
from ledger.domain.programmes import decide_programme
from ledger.domain.promotions import Promotions, decide_promotion, evolve_promotions
from ledger.domain.recorded_commands import batch_behind, commands_behind, registration
from ledger.domain.refusal import Refusal
from ledger.domain.registers import decide_register
from ledger.domain.rulebook import Rulebook, evolve_rulebook
from ledger.domain.rules.monthly_trading_volume import tier_for_volume
from ledger.domain.state import (
    AccountState,
    OwnerState,
    SourceState,
    evolve_account,
    evolve_owner,
    evolve_source,
    fold_account,
)
from ledger.domain.streams import account_stream, fee_stream, owner_stream
from ledger.domain.totals import NOTIONAL_SCALE, add_totals, exact

NOT_DECIDED: Final[dict[type[Event], str]] = {
    LedgerCreated: "it names the ledger: the operator chose the name",
    WriterStarted: "a process took the pen: no rule is asked",
    CommandRefused: "the log has the command's name and hash, not the command",
    EvaluationCompleted: "a count of what a run found, which a new plan of the same evaluation gives again",
}

Earlier = Callable[[str, int], Iterable[Recorded]]  # the events of a stream before a position, in order

_HELD_MAX: Final = 20_000  # states of a kind in memory; those used least recently are folded anew when needed

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Deviation:
    """A decision that comes out otherwise now: where it lies, what differs, and what was expected.

    `expected` is None where there should be no such event, or where there is none to name.
    """

    position: int
    stream: str
    differs: tuple[str, ...]
    expected: Event | Refusal | None = None

    def __str__(self) -> str:
        return f"position {self.position}, {self.stream}: {'; '.join(self.differs)}"


def replay(events: Iterable[Recorded], parse: Callable[[str], Programme], earlier: Earlier) -> Iterator[Deviation]:
    """Deviations of a whole log, in position order. `parse` reads the file of a programme.

    Each event is decided from the events before it as they are recorded, so one that is wrong is named once, not with
    all that follows from it.
    """
    again = Replay(parse, earlier)
    for recorded in events:
        yield from again.take(recorded)
    yield from again.end()


@dataclass(slots=True)
class _Late:
    """An account as it was before an evaluation said what it pays from an instant in the past on."""

    evaluated: Recorded
    before: AccountState
    from_ns: int
    adjusted: set[str] = field(default_factory=set)


class _Symbols(NamedTuple):
    """The last terms of a symbol that were registered, and the rulebook before them."""

    recorded: Recorded
    book: Rulebook


class _Held(OrderedDict[K, V]):
    """States in memory, the least recently used first; they can be had from the log again."""

    def hold(self, key: K, state: V) -> V:
        self[key] = state
        self.move_to_end(key)
        if len(self) > _HELD_MAX:
            self.popitem(last=False)
        return state


class Replay:
    """The states after the events so far. Feed it a log from its first event on, then call `end`."""

    def __init__(self, parse: Callable[[str], Programme], earlier: Earlier) -> None:
        self._earlier = earlier
        self._book = Rulebook(parse)
        self._accounts: _Held[str, AccountState] = _Held()
        self._days: _Held[DayKey, AccountDay] = _Held()
        self._owners: _Held[str, OwnerState] = _Held()
        self._sources: dict[str, SourceState] = {}
        self._promotions = Promotions()
        self._rounds: dict[str, Round] = {}
        self._closes: dict[str, Closes] = {}
        self._evaluations: dict[str, EvaluationState] = {}
        self._next = 1  # the states are those before this position
        self._recorded_time_ns = 0
        self._late: dict[int, _Late] = {}  # by position, of the commit at hand
        self._lines: dict[str, int] = {}  # of the commit at hand, by source
        self._linked: tuple[str, Event] | None = None  # what must follow at once
        self._symbol: _Symbols | None = None

    def take(self, recorded: Recorded) -> list[Deviation]:
        """What of one more event deviates."""
        found = []
        if recorded.envelope.recorded_time_ns != self._recorded_time_ns:
            found += self.end()
        self._recorded_time_ns = recorded.envelope.recorded_time_ns
        if recorded.position != self._next:
            found.append(_deviation(recorded, f"position {self._next} was expected here"))
        self._next = recorded.position
        found += self._decide_again(recorded)
        self._evolve(recorded)
        self._next += 1
        return found

    def end(self) -> list[Deviation]:
        """What the last commit should have held and does not."""
        found = [deviation for late in self._late.values() for deviation in self._not_adjusted(late)]
        self._late.clear()
        self._lines.clear()
        return found

    # -- decisions ----------------------------------------------------------------------------------------------------

    def _decide_again(self, recorded: Recorded) -> list[Deviation]:
        event, linked = recorded.event, self._linked
        self._linked = None
        if linked != ((recorded.stream, event) if isinstance(event, AccountLinked) else None):
            return [_deviation(recorded, f"an owner's account is linked as it is registered: {linked!r} was expected")]
        match event:
            case VolumeRecorded():
                return self._decide_fills(recorded, event)
            case FeeAdjusted():
                return self._decide_adjusted(recorded, event)
            case VolumeEvaluated():
                return _compared(recorded, self._evaluated(recorded, event), event.evaluated_time_ns)
            case SourceAdvanced():
                return _compared(recorded, self._advanced(recorded, event), recorded.envelope.recorded_time_ns)
            case AccountLinked():
                return []
        if type(event) in NOT_DECIDED:
            return []
        return self._decide_command(recorded)

    def _decide_command(self, recorded: Recorded) -> list[Deviation]:
        """A command behind the event must decide it, and somebody else approve it where that is asked for."""
        found: list[Deviation] = []
        for command, book in self._commands(recorded):
            decided = self._decide(command, book, recorded)
            deviations = _compared_with_decision(recorded, decided)
            unapproved = check_approval(book, command, _request(recorded), recorded.envelope.recorded_time_ns)
            if unapproved and recorded.envelope.request_id:
                deviations.append(_deviation(recorded, f"refused now: {unapproved.reason.name}", unapproved))
            if not deviations:
                self._linked = _linked(decided)
                return []
            found = found or deviations
        return found or [_deviation(recorded, f"no command is known that records {type(recorded.event).__name__}")]

    def _commands(self, recorded: Recorded) -> Iterator[tuple[Command, Rulebook]]:
        """What may have been asked, and of which rulebook. The class of a pair may come with the pair itself."""
        event, symbol = recorded.event, self._symbol
        if isinstance(event, PairClassAssigned) and symbol and _together(symbol.recorded, recorded):
            assert isinstance(symbol.recorded.event, SymbolRegistered)
            yield registration(symbol.recorded.event, event), symbol.book
            return
        for command in commands_behind(recorded, self._book):
            yield command, self._book

    def _decide(self, command: Command, book: Rulebook, recorded: Recorded) -> Decided | Refusal:
        now_ns = recorded.envelope.recorded_time_ns
        if isinstance(command, RegisterCommand):
            return decide_register(book, command)
        if isinstance(command, ProgrammeCommand):
            return decide_programme(book, command, now_ns)
        if isinstance(command, PromotionCommand):
            return decide_promotion(self._promotions, command, self._account, book, now_ns)
        if isinstance(command, BountyCommand):
            week = recorded.stream.partition("/")[2]
            return decide_bounty(self._rounds.get(week, Round(week)), command, self._account, book, now_ns)
        if isinstance(command, RecordDailyClose):
            return decide_close(self._closes.get(command.asset, Closes(command.asset)), command, book, now_ns)
        if isinstance(command, RunEvaluation):
            state_of, last = self._evaluation, recorded.position - 1
            return decide_run(command, book, state_of, now_ns=now_ns, last_position=last)[1]
        assert isinstance(command, AccountCommand), command
        account = self._account(command.account_id)
        return decide_account(account, command, family=self._family(account), book=book, now_ns=now_ns)

    def _evaluated(self, recorded: Recorded, event: VolumeEvaluated) -> VolumeEvaluated:
        """What the volume of the event gives; the volume itself only where no close was needed to value it."""
        account_id = recorded.stream.partition("/")[2]
        versions = (version for _, version in self._book.programmes[event.programme_id])
        programme = next(version for version in versions if version.version == event.programme_version)
        case = Case(account_id, event.evaluated_time_ns, (event.window_from_ns, event.window_until_ns))
        cells = {_cell(cell): exact(cell.notional, NOTIONAL_SCALE) for cell in event.cells}
        found = assess(programme, case, {0: cells}, {})
        if not isinstance(found, Assessment):
            volume = exact(event.volume, NOTIONAL_SCALE)
            found = Assessment(case, event.cells, event.closes, volume, tier_for_volume(programme, volume))
        run = Run(programme, event.kind, event.read_position)
        account = self._account(account_id)
        now_ns = recorded.envelope.recorded_time_ns
        if changes_from_ns(event) <= now_ns and programme.late_grant == "adjust":
            self._late[recorded.position] = _Late(recorded, account, changes_from_ns(event))
        return decide_evaluated(account, run, found, now_ns)

    def _advanced(self, recorded: Recorded, event: SourceAdvanced) -> SourceAdvanced:
        """It goes on where it stood, and counts the lines of the commit and every number that it took."""
        source = recorded.stream.partition("/")[2]
        state = self._sources.get(source, SourceState(source))
        recorded_lines = self._lines.get(source, 0)
        first = state.last_sequence + 1
        return replace(
            event,
            first_sequence=first,
            last_sequence=first + recorded_lines + event.replayed + len(event.refused) - 1,
            recorded=recorded_lines,
            latest_time_ns=max(event.latest_time_ns, state.latest_time_ns),
        )

    # -- fees ---------------------------------------------------------------------------------------------------------

    def _decide_fills(self, recorded: Recorded, event: VolumeRecorded) -> list[Deviation]:
        """The same fills again, each priced by what holds at its instant as known at this position."""
        key = _day_key(recorded.stream)
        batch = batch_behind(key[0], event)
        groups = by_account_day(batch)
        if groups.keys != [key]:
            return [_deviation(recorded, "lines of another day lie in this stream")]
        days = {key: self._day(key)}
        if suspects(batch, groups, [days[key]]):
            for before in self._earlier(recorded.stream, self._next):
                assert isinstance(before.event, FeeEvent), before
                days[key].remember(before.event)
        accounts = {key[0]: self._account(key[0])}
        outcome = decide_fills(batch, groups, accounts, days, self._book, with_fees=False)
        days[key].known = None
        differs = [f"line {place}: {batch.name(place)} was recorded before" for place in outcome.replayed]
        differs += [f"line {place}: refused now, {refusal.reason.name}" for place, refusal in outcome.refused]
        expected = outcome.runs[0][1] if outcome.runs else None
        if expected is not None and not differs:
            differs = [*_differing(event, expected)]
        if recorded.envelope.effective_time_ns != event.time_min_ns:
            differs.append("it takes effect at another instant than its first line")
        return [Deviation(recorded.position, recorded.stream, tuple(differs), expected)] if differs else []

    def _decide_adjusted(self, recorded: Recorded, event: FeeAdjusted) -> list[Deviation]:
        late = self._late.get(event.cause_position)
        key = _day_key(recorded.stream)
        if late is None or late.before.account_id != key[0]:
            return [_deviation(recorded, f"position {event.cause_position} changes no fee of this account")]
        late.adjusted.add(recorded.stream)
        restated = self._restated(late, recorded.stream)
        if not restated:
            return [_deviation(recorded, "no line of the day costs anything else now")]
        expected = adjust(self._day(key), restated, event.cause_position)
        return _compared(recorded, expected, event.time_min_ns)

    def _not_adjusted(self, late: _Late) -> Iterator[Deviation]:
        """Days with lines that an evaluation made cost something else, and that nobody adjusted."""
        last_day = (self._recorded_time_ns + DAY_NS) // DAY_NS
        for day in range(late.from_ns // DAY_NS, last_day + 1):
            stream = fee_stream(late.before.account_id, day)
            if stream not in late.adjusted and self._restated(late, stream):
                yield _deviation(late.evaluated, f"fees of {stream} should have been adjusted")

    def _restated(self, late: _Late, stream: str) -> list[Restated]:
        lines = lines_now(self._earlier(stream, self._next)).values()
        return list(restated_by_grants(lines, late.before, self._account(late.before.account_id), self._book))

    # -- states -------------------------------------------------------------------------------------------------------

    def _evolve(self, recorded: Recorded) -> None:
        kind, _, name = recorded.stream.partition("/")
        event = recorded.event
        match kind:
            case "account":
                self._accounts.hold(name, evolve_account(self._account(name), recorded))
            case "owner":
                self._owners.hold(name, evolve_owner(self._owner(name), recorded))
            case "fees":
                assert isinstance(event, FeeEvent), recorded
                self._evolve_day(recorded, event)
            case "source":
                self._sources[name] = evolve_source(self._sources.get(name, SourceState(name)), recorded)
            case "closes":
                self._closes[name] = evolve_closes(self._closes.get(name, Closes(name)), recorded)
            case "evaluation":
                state = self._evaluation(recorded.stream)
                self._evaluations[recorded.stream] = evolve_evaluation(state, recorded)
            case "bounty":
                self._rounds[name] = evolve_round(self._rounds.get(name, Round(name)), recorded)
            case "promotions":
                self._promotions = evolve_promotions(self._promotions, recorded)
            case "registers" | "programme":
                before, self._book = self._book, evolve_rulebook(self._book, recorded)
                self._symbol = _Symbols(recorded, before) if isinstance(event, SymbolRegistered) else None

    def _evolve_day(self, recorded: Recorded, event: FeeEvent) -> None:
        """The day goes on with the totals that the log says, whatever was expected."""
        day = self._day(_day_key(recorded.stream))
        day.sums.clear()
        add_totals(day.sums, event.totals)
        day.time_max_so_far_ns = event.time_max_so_far_ns
        if isinstance(event, VolumeRecorded):
            day.digests.update(_digests(event))
            for line in event.lines:
                source = event.sources[line.source_index].source
                self._lines[source] = self._lines.get(source, 0) + 1

    def _account(self, account_id: str) -> AccountState:
        known = self._accounts.get(account_id)
        if known is None:
            known = fold_account(account_id, self._earlier(account_stream(account_id), self._next))
        return self._accounts.hold(account_id, known)

    def _owner(self, owner_id: str) -> OwnerState:
        known = self._owners.get(owner_id)
        if known is None:
            known = OwnerState(owner_id)
            for recorded in self._earlier(owner_stream(owner_id), self._next):
                known = evolve_owner(known, recorded)
        return self._owners.hold(owner_id, known)

    def _family(self, account: AccountState) -> Sequence[AccountState]:
        """The other accounts of the owner, by id."""
        names = {account.owner_id, *self._owner(account.owner_id).account_ids} - {account.account_id}
        members = (self._account(name) for name in sorted(names))
        return [member for member in members if member.owner_id == account.owner_id]

    def _day(self, key: DayKey) -> AccountDay:
        known = self._days.get(key)
        if known is None:
            known, last, ids = AccountDay(), None, set[int]()
            for recorded in self._earlier(fee_stream(*key), self._next):
                assert isinstance(recorded.event, FeeEvent), recorded
                last = recorded.event
                ids |= _digests(last) if isinstance(last, VolumeRecorded) else set()
            known.load(ids, last)
        return self._days.hold(key, known)

    def _evaluation(self, stream: str) -> EvaluationState:
        return self._evaluations.get(stream, EvaluationState())


def _compared(recorded: Recorded, expected: Event, effective_ns: int) -> list[Deviation]:
    """Field by field."""
    names = getattr(type(recorded.event), "__dataclass_fields__", {})
    differs = [
        f"{name} is {was!r}, expected {now!r}"
        for name in names
        if (was := getattr(recorded.event, name)) != (now := getattr(expected, name))
    ]
    if recorded.envelope.effective_time_ns != effective_ns:
        differs.append(f"it takes effect at {recorded.envelope.effective_time_ns}, expected {effective_ns}")
    return [Deviation(recorded.position, recorded.stream, tuple(differs), expected)] if differs else []


def _compared_with_decision(recorded: Recorded, decided: Decided | Refusal) -> list[Deviation]:
    """An event that a term begins with was not asked for, and takes effect when it is recorded."""
    if isinstance(decided, Refusal):
        return [_deviation(recorded, f"refused now: {decided.reason.name}, {decided.detail}", decided)]
    envelope = recorded.envelope
    effective_ns = decided.effective_time_ns if envelope.request_id else envelope.recorded_time_ns
    expected = {type(event): (stream, event) for stream, event in decided.events}.get(type(recorded.event))
    if expected is None:
        return [_deviation(recorded, f"expected {type(decided.events[0][1]).__name__}", decided.events[0][1])]
    stream, event = expected
    if stream != recorded.stream:
        return [_deviation(recorded, f"expected in stream {stream}", event)]
    return _compared(recorded, event, effective_ns)


def _linked(decided: Decided | Refusal) -> tuple[str, Event] | None:
    """The event of an owner's stream that goes with a registration."""
    events = () if isinstance(decided, Refusal) else decided.events
    return next((entry for entry in events if isinstance(entry[1], AccountLinked)), None)


def _differing(event: VolumeRecorded, expected: VolumeRecorded) -> Iterator[str]:
    """How a run of fills differs. How its values are packed and numbered is no part of what it says."""
    for name in ("venue", "sources", "time_min_ns", "time_max_ns", "time_max_so_far_ns"):
        was, now = getattr(event, name), getattr(expected, name)
        if was != now:
            yield f"{name} is {was!r}, expected {now!r}"
    for number, (was, now) in enumerate(zip(event.known_lines(), expected.known_lines(), strict=True)):
        if was.line.fee != now.line.fee:
            yield f"line {number} ({was.line.exec_id}): fee is {_fee(was)}, expected {_fee(now)}"
        for name, one, other in (("terms", was.terms, now.terms), ("basis", was.basis, now.basis)):
            if one != other:
                yield f"line {number} ({was.line.exec_id}): {name} is {one!r}, expected {other!r}"
        if _content(was) != _content(now):
            yield f"line {number} ({was.line.exec_id}): it is {was.line!r}, expected {now.line!r}"
    if event.totals != expected.totals:
        yield f"totals are {event.totals!r}, expected {expected.totals!r}"


def _content(known: KnownLine) -> tuple[object, ...]:
    """A line but for its fee, and for the places of its terms and basis in their lists."""
    return tuple(known.line._replace(symbol_index=0, basis_index=0, fee=0))


def _fee(known: KnownLine) -> str:
    return f"{decimal_text(known.line.fee, known.basis.fee_decimals)} {known.basis.fee_currency}"


def _deviation(recorded: Recorded, differs: str, expected: Event | Refusal | None = None) -> Deviation:
    return Deviation(recorded.position, recorded.stream, (differs,), expected)


def _request(recorded: Recorded) -> Request:
    """Who stood behind an event. That a reason was given is known by its hash."""
    envelope = recorded.envelope
    reason = envelope.reason_sha256.hex()
    by = (envelope.actor, envelope.approver, envelope.ticket)
    return Request(envelope.request_id, envelope.request_sha256, *by, reason=reason)


def _together(first: Recorded, second: Recorded) -> bool:
    """Whether one request recorded both."""
    return first.envelope.request_id == second.envelope.request_id != ""


def _cell(cell: CellVolume) -> CellKey:
    """Fees play no part in what counts."""
    traits = (cell.channel, cell.self_trade, cell.banned)
    return CellKey(cell.quote_currency, cell.product, *traits, zero_fee=False)


def _digests(event: VolumeRecorded) -> set[int]:
    return set(digests(texts(event.texts("exec_id"))).tolist())


def _day_key(stream: str) -> DayKey:
    _, account_id, day = stream.split("/")
    return account_id, day_number(day)
