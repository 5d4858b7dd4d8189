"""The events, in past tense. Field names are those of the messages in proto/ledger/v1/events.proto.

Times end in `_ns`, rates in `_ppm`; tuples are in the order in which things were recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from ledger.domain.instants import BEGINNING_NS
from ledger.domain.traits import TRAIT_BANNED, TRAIT_SELF_TRADE, channel_of, liquidity_of, side_of

POSITION_MAX: Final = 2**63 - 1  # of a bigint: reading up to it is reading all


@dataclass(frozen=True, slots=True)
class Envelope:
    """The part that every event carries: its times, its actors, its request."""

    effective_time_ns: int
    recorded_time_ns: int
    writer_term: int
    actor: str = ""
    actor_verified: bool = False
    approver: str = ""
    ticket: str = ""
    reason_sha256: bytes = b""
    request_id: str = ""
    request_sha256: bytes = b""
    request_message: str = ""  # of the first event of a request: the name of its message
    request_body: bytes = b""  # and that message, without what may be erased
    erasable_sha256: bytes = b""  # of the ticket and of clients' order ids, with a nonce; empty: it has none of them

    @property
    def asker(self) -> tuple[str | bytes | bool, ...]:
        """The request, its actor and its approver, as every event of the request says them."""
        by = (self.actor, self.actor_verified, self.approver, self.ticket)
        return (self.request_id, self.request_sha256, *by)


@dataclass(frozen=True, slots=True)
class LedgerCreated:
    """Stream `ledger`: the first event names the ledger for ever."""

    ledger_id: str


@dataclass(frozen=True, slots=True)
class WriterStarted:
    """Stream `ledger`: a process took the pen. Terms count from 1."""

    term: int
    software_version: str
    rules_version: int = 0  # 0: written by 0.1.0, which did not say it
    keeps_requests: bool = False  # the first event of each request of the term holds the request
    links_fees: bool = False  # each event of a fee stream names the one before it, from the term on

    @property
    def rules(self) -> int:
        """The number of the set of rules that the term is decided by."""
        return self.rules_version or 1


@dataclass(frozen=True, slots=True)
class MigrationFile:
    """A file of SQL that brought the schema of a ledger on, by its name."""

    name: str
    sha256: bytes


@dataclass(frozen=True, slots=True)
class MigrationApplied:
    """Stream `ledger`: the schema of a ledger that held events was brought on. It is the only event of its commit.

    Of a ledger that was restored from a backup it names the last part in place of files.

    The digests are of all events up to `until_position`, which is the one before this event.
    """

    files: tuple[MigrationFile, ...]
    software_version: str
    until_position: int
    digest_before: bytes
    digest_after: bytes


@dataclass(frozen=True, slots=True)
class ProgrammePublished:
    """Stream `programme/<id>`: a version of a programme, byte for byte."""

    programme_id: str
    version: str
    valid_from_ns: int
    content: str
    content_sha256: bytes


@dataclass(frozen=True, slots=True)
class PairClassAssigned:
    """Stream `programme/<id>`: the class of a pair from an instant on (A19)."""

    programme_id: str
    symbol: str
    pair_class: str
    valid_from_ns: int = BEGINNING_NS


@dataclass(frozen=True, slots=True)
class PairRatesSet:
    """Stream `programme/<id>`: rates of a pair's own from an instant on; None leaves a side to tier and class."""

    programme_id: str
    symbol: str
    maker_ppm: int | None
    taker_ppm: int | None
    valid_from_ns: int


@dataclass(frozen=True, slots=True)
class SymbolRegistered:
    """Stream `registers`: terms of a symbol from an instant on."""

    symbol: str
    base_currency: str
    quote_currency: str
    product: int
    price_scale: int
    quantity_scale: int
    valid_from_ns: int = BEGINNING_NS


@dataclass(frozen=True, slots=True)
class CurrencyRegistered:
    """Stream `registers`: the decimals fees in a currency are rounded to."""

    currency: str
    decimals: int


@dataclass(frozen=True, slots=True)
class AccountRegistered:
    """Stream `account/<id>`: an account with its owner and parent from an instant on."""

    account_id: str
    owner_id: str
    parent_account_id: str
    registered_time_ns: int


@dataclass(frozen=True, slots=True)
class AccountLinked:
    """Stream `owner/<id>`: finds the accounts of an owner. It follows AccountRegistered or OwnerNamed at once."""

    account_id: str


@dataclass(frozen=True, slots=True)
class OwnerNamed:
    """Stream `account/<id>`: fills name an owner other than that of the account, for the first time (R4, R7).

    It lies in the commit of these fills, and takes effect with the first of them.
    """

    owner_id: str


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """Stream `account/<id>`: a grant of source TRIAL (R4)."""

    grant_id: str
    programme_id: str
    tier: str
    valid_from_ns: int
    valid_until_ns: int


@dataclass(frozen=True, slots=True)
class TierChanged:
    """Stream `account/<id>`: a grant from `source`; without `valid_until_ns` it has no end.

    `evidence` is the match_id of the match that it rests on.
    """

    grant_id: str
    programme_id: str
    tier: str
    source: str
    valid_from_ns: int
    valid_until_ns: int | None
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class TierRevoked:
    """Stream `account/<id>`: a grant is void from `revoked_time_ns` on."""

    grant_id: str
    revoked_time_ns: int


@dataclass(frozen=True, slots=True)
class AccountBanned:
    """Stream `account/<id>`: API trading is banned in [start, end) (R22). Metrics are the evidence (R23)."""

    ban_id: str
    start_time_ns: int
    end_time_ns: int
    reason_code: str
    evidence_positions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class BanLifted:
    """Stream `account/<id>`: no ban runs from `lifted_time_ns` on."""

    lifted_time_ns: int


@dataclass(frozen=True, slots=True)
class AccountFlagged:
    """Stream `account/<id>`: it is flagged as FAKE, or as made by a ROBOT (R21). No grant counts while a flag runs."""

    flag_id: str
    kind: str
    flagged_time_ns: int
    evidence_sha256: bytes = b""


@dataclass(frozen=True, slots=True)
class AccountUnflagged:
    """Stream `account/<id>`: no flag runs from `unflagged_time_ns` on (A33)."""

    unflagged_time_ns: int


@dataclass(frozen=True, slots=True)
class MatchClaim:
    """Trading elsewhere, as somebody claims it (R6); volumes are canonical decimals in the volume currency."""

    venues: tuple[str, ...]
    external_tier: str
    period_from_ns: int
    period_until_ns: int
    spot_volume: str
    futures_volume: str
    evidence_sha256: bytes


@dataclass(frozen=True, slots=True)
class MatchRequested:
    """Stream `account/<id>`: a match is eligible and waits for approval; `tier` is what its volume is worth."""

    match_id: str
    programme_id: str
    requested_time_ns: int
    tier: str
    claim: MatchClaim


@dataclass(frozen=True, slots=True)
class MatchRejected:
    """Stream `account/<id>`: a rule rejected a match at once (`reason`, with the claim), or a person (reason_code)."""

    match_id: str
    programme_id: str
    rejected_time_ns: int
    reason: int = 0
    reason_code: str = ""
    claim: MatchClaim | None = None


@dataclass(frozen=True, slots=True)
class ApplicationSubmitted:
    """Stream `account/<id>`: the steps of an application (R12). Nobody can verify who joined the community."""

    application_id: str
    programme_id: str
    received_time_ns: int
    account_opened: bool
    api_key_created: bool
    community_joined: bool
    form_submitted: bool


@dataclass(frozen=True, slots=True)
class ApiIdentityVerified:
    """Stream `account/<id>`: the identity of the API user is verified (R12)."""

    verified_time_ns: int


@dataclass(frozen=True, slots=True)
class ApplicationSettled:
    """Stream `account/<id>`: an application came to GRANTED or DECLINED, which ends its deadline (R13)."""

    application_id: str
    outcome: str
    settled_time_ns: int


@dataclass(frozen=True, slots=True)
class KamAssigned:
    """Stream `account/<id>`: the account has a key account manager from an instant on (R11)."""

    manager_id: str
    assigned_time_ns: int


@dataclass(frozen=True, slots=True)
class BehaviourMetricRecorded:
    """Stream `account/<id>`: its behaviour in [from, until) was measured, for example LOW_FILL_RATIO (R23)."""

    code: str
    value: str
    window_from_ns: int
    window_until_ns: int


@dataclass(frozen=True, slots=True)
class FeedbackReported:
    """Stream `bounty/<ISO week>`: a member's bug, feedback or improvement (R9)."""

    report_id: str
    account_id: str
    kind: str
    channel: str
    reported_time_ns: int


@dataclass(frozen=True, slots=True)
class BountyAwarded:
    """Stream `bounty/<ISO week>`: a report's bonus; `tier` is that of the account when it reported (R9)."""

    report_id: str
    account_id: str
    amount: str
    currency: str
    tier: str


@dataclass(frozen=True, slots=True)
class BountyRoundClosed:
    """Stream `bounty/<ISO week>`: the bonuses of the week are announced; none comes after (R9)."""

    week: str
    closed_time_ns: int


@dataclass(frozen=True, slots=True)
class PromotionAnnounced:
    """Stream `promotions`: a promotion in [start, end) (R10)."""

    promotion_id: str
    promotion_type: str
    start_time_ns: int
    end_time_ns: int


@dataclass(frozen=True, slots=True)
class BonusAwarded:
    """Stream `promotions`: a share of a bonus; `overridden`: an approver let in who is not eligible (R24)."""

    promotion_id: str
    account_id: str
    amount: str
    currency: str
    awarded_time_ns: int
    tier: str
    overridden: bool


@dataclass(frozen=True, slots=True)
class DailyCloseRecorded:
    """Stream `closes/<asset>`: its price at the end of a UTC day since 1970; `restates` is a position, or 0 (R17)."""

    asset: str
    currency: str
    day: int
    price: str
    source: str
    source_sha256: bytes
    restates: int = 0


PERIODIC: Final = "PERIODIC"  # kind of an evaluation (R18): of all accounts, at one instant
POST_TRIAL: Final = "POST_TRIAL"  # another one (R14): of each account at the end of its trial


@dataclass(frozen=True, slots=True)
class EvaluationStarted:
    """Stream `evaluation/<programme>/<instant>`: a run begins, or goes on at the `read_position` it began with.

    In a POST_TRIAL each account has its own window; `instant_ns` is then the latest end of a trial.
    """

    programme_id: str
    programme_version: str
    kind: str
    instant_ns: int
    window_from_ns: int
    window_until_ns: int
    read_position: int
    complete_sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CellVolume:
    """The volume of a window in one cell, whatever the fees were."""

    quote_currency: str
    product: int
    channel: int
    self_trade: bool
    banned: bool
    notional: str


@dataclass(frozen=True, slots=True)
class CloseUsed:
    """A close that volume was valued at, in the volume currency."""

    asset: str
    day: int
    price: str
    position: int


@dataclass(frozen=True, slots=True)
class VolumeEvaluated:
    """Stream `account/<id>`: the grant that the volume of a window gives (R5, R14), and those that end with it (R19).

    Without a `grant_id` it gives none; then its interval is empty. With a `kept_tier` the grant is of that tier, which
    the account had, and holds while a person looks at the volume; without an end `valid_until_ns` is 0.
    """

    programme_id: str
    programme_version: str
    kind: str
    evaluated_time_ns: int
    window_from_ns: int
    window_until_ns: int
    read_position: int
    cells: tuple[CellVolume, ...]
    closes: tuple[CloseUsed, ...]
    volume: str
    volume_currency: str
    tier: str
    grant_id: str = ""
    valid_from_ns: int = 0
    valid_until_ns: int = 0
    ended_grant_ids: tuple[str, ...] = ()
    ended_time_ns: int = 0
    kept_tier: str = ""
    run: int = 1
    supersedes: int = 0  # the position of an earlier run's result; 0: none


@dataclass(frozen=True, slots=True)
class CloseMissing:
    """A close that nobody had recorded."""

    asset: str
    day: int


@dataclass(frozen=True, slots=True)
class EvaluationCompleted:
    """Stream `evaluation/<programme>/<instant>`: a run has looked at every account.

    evaluated = gained + up + stayed + down + lost + none + review; those `blocked` wait for the closes in `missing`.
    """

    read_position: int
    evaluated: int
    granted: int
    gained: int
    up: int
    stayed: int
    down: int
    lost: int
    none: int
    blocked: int
    missing: tuple[CloseMissing, ...] = ()
    review: int = 0


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """The state of the ledger did not allow a command. The event lies in the stream that the command was for."""

    command: str
    reason: int
    field: str
    detail: str
    fill_sha256: bytes = b""


@dataclass(frozen=True, slots=True)
class RefusedSequence:
    """A number of a source that was refused."""

    sequence: int
    reason: int
    fill_sha256: bytes
    field: str = ""


@dataclass(frozen=True, slots=True)
class SequenceConflict:
    """A fill that came under a number of its source which had named another."""

    sequence: int
    fill_sha256: bytes


@dataclass(frozen=True, slots=True)
class SourceAdvanced:
    """Stream `source/<name>`: the numbers of a source that a commit took, recorded, replayed or refused.

    `latest_time_ns` is the time of the latest fill it has sent so far; 0: not known. `conflicts` came under older
    numbers, with `conflicts_left_out` more; where nothing else came, `first_sequence` is the number after
    `last_sequence`. `replayed_sequences` are pairs (first, last); `conflicts_before` is the version of the last event
    with conflicts. The source has sent all fills up to `complete_until_ns`, as it last said; 0: it never did.
    `late_from_ns` is when the earliest fill of this commit traded that came in spite of that; 0: there is none.
    `late_version_before` is the version of the last event with such a fill. A heartbeat alone takes no number.
    """

    first_sequence: int
    last_sequence: int
    recorded: int
    replayed: int
    refused: tuple[RefusedSequence, ...]
    latest_time_ns: int = 0
    conflicts: tuple[SequenceConflict, ...] = ()
    conflicts_left_out: int = 0
    replayed_sequences: tuple[int, ...] = ()
    conflicts_before: int = 0
    complete_until_ns: int = 0
    late_from_ns: int = 0
    late_version_before: int = 0

    def replayed_ranges(self) -> list[tuple[int, int]]:
        """Return the numbers replayed, as far as they are said, as (first, last)."""
        return list(zip(self.replayed_sequences[::2], self.replayed_sequences[1::2], strict=True))

    @property
    def has_numbers(self) -> bool:
        """Return True if it took any number."""
        return self.first_sequence <= self.last_sequence


class SymbolTerms(NamedTuple):
    """The terms of a symbol as a fill run uses them."""

    symbol: str
    quote_currency: str
    product: int
    price_scale: int
    quantity_scale: int


class Basis(NamedTuple):
    """The basis that a fee rests on. `rate_ppm` is before the discount; `grant_id` is empty for the base rate."""

    rate_ppm: int
    discount_ppm: int
    tier: str
    grant_id: str
    grant_source: str
    programme_id: str
    programme_version: str
    pair_class: str
    rate_source: str
    fee_currency: str
    fee_decimals: int


class CellKey(NamedTuple):
    """A volume cell: the facts that decide whether volume counts, never the decision itself."""

    quote_currency: str
    product: int
    channel: int
    self_trade: bool
    banned: bool
    zero_fee: bool


class FeeSum(NamedTuple):
    """The sums of fees in one currency, as canonical decimals; rebates are zero or negative."""

    currency: str
    charges: str
    rebates: str
    lines: int


class CellTotals(NamedTuple):
    """The running totals of an account-day in one cell, as canonical decimals."""

    key: CellKey
    notional: str
    lines: int
    fees: tuple[FeeSum, ...]


class Line(NamedTuple):
    """One fill as recorded. Mantissas are at the scales of its symbol, the fee at the decimals of its basis.

    `traits` is the byte that `ledger.domain.traits` packs. The order is that of the columns in the log.
    """

    exec_id: str
    transact_time_ns: int
    symbol_index: int
    traits: int
    price: int
    quantity: int
    fee: int
    basis_index: int
    source_index: int = 0
    sequence: int = 0
    trade_id: str = ""
    order_id: str = ""
    cl_ord_id: str = ""
    order_time_ns: int = 0
    owner_id: str = ""
    counterparty_owner_id: str = ""
    token: str = ""
    token_price: str = ""
    token_price_source: str = ""
    charged_amount: str = ""
    charged_currency: str = ""
    charged_rate: str = ""

    @property
    def side(self) -> int:
        """The number of the enum Side."""
        return side_of(self.traits)

    @property
    def liquidity(self) -> int:
        """The number of the enum Liquidity."""
        return liquidity_of(self.traits)

    @property
    def channel(self) -> int:
        """The number of the enum Channel."""
        return channel_of(self.traits)

    @property
    def self_trade(self) -> bool:
        """Return True if the account traded with its own owner (R16)."""
        return bool(self.traits & TRAIT_SELF_TRADE)

    @property
    def banned(self) -> bool:
        """Return True if the account was banned when it traded (A13)."""
        return bool(self.traits & TRAIT_BANNED)


class KnownLine(NamedTuple):
    """A line of the log with what is needed to read it alone."""

    line: Line
    terms: SymbolTerms
    basis: Basis


class SourceSpan(NamedTuple):
    """A source of a fill run, and the lowest and highest of its numbers there; 0 where it has none."""

    source: str
    first_sequence: int
    last_sequence: int


class Columns(NamedTuple):
    """The lines of a fill run, packed column by column as the log holds them; `fills.lines` unpacks them.

    The fields are those of `Line`, with these differences. Times count from the earliest of the run, numbers from the
    first of their source. Ids are numbers where every one is written as a positive int64 is printed. If `wide`, amounts
    are decimal texts, as one of them needs more than int64. A column is empty where no line says anything.
    """

    exec_id: bytes
    time_offset_ns: bytes
    symbol_index: bytes
    traits: bytes
    price: bytes
    quantity: bytes
    fee: bytes
    basis_index: bytes
    source_index: bytes = b""
    sequence_offset: bytes = b""
    trade_number: bytes = b""
    trade_id: bytes = b""
    order_number: bytes = b""
    order_id: bytes = b""
    cl_ord_id: bytes = b""
    order_time_ns: bytes = b""
    owner_id: bytes = b""
    counterparty_owner_id: bytes = b""
    token: bytes = b""
    token_price: bytes = b""
    token_price_source: bytes = b""
    charged_amount: bytes = b""
    charged_currency: bytes = b""
    charged_rate: bytes = b""
    wide: bool = False


@dataclass(frozen=True, slots=True)
class VolumeRecorded:
    """Stream `fees/<account>/<day>`: a fill run, one account's fills of one day, venue and actor in one commit.

    Lines are in the order in which they came. `time_max_so_far_ns` and `totals` include this event and all before it
    in its stream. `previous_position` is that of the event before it in the stream, as in every event of a fee stream;
    0: it is the first, or was recorded in a term that did not say it.
    """

    venue: str
    sources: tuple[SourceSpan, ...]
    time_min_ns: int
    time_max_ns: int
    time_max_so_far_ns: int
    symbols: tuple[SymbolTerms, ...]
    bases: tuple[Basis, ...]
    columns: Columns
    totals: tuple[CellTotals, ...]
    previous_position: int = 0

    def __len__(self) -> int:
        return len(self.columns.traits)


@dataclass(frozen=True, slots=True)
class FactReleased:
    """Stream `account/<id>`: lines recorded before the fact at `fact_position` count by it from here on.

    `switch` is what [adjust] said as the fact was recorded; empty: the fact is older. Without `programme_ids` or
    `currencies` it is released for the lines of all; a line is in the currency that it was first charged in.
    `from_ns` is when a shared fact takes effect; 0: the fact lies in the same stream.

    Stream `programme/<id>`: a shared fact is released to all accounts.
    """

    fact_position: int
    cause: str
    switch: str
    programme_ids: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()
    from_ns: int = 0


@dataclass(frozen=True, slots=True)
class FactWithheld:
    """Stream `account/<id>`: lines recorded before a fact do not count by it, until somebody releases it.

    Stream `programme/<id>`: no lines do, of whatever account. `from_ns` is as in FactReleased.

    `reason` is SWITCH, DEBIT (of credit_only), FLAG (until the flag ends) or SIZE (credit_only, and no net can be told:
    the lines are too many for one commit, or lines of the account are being restated).
    """

    fact_position: int
    cause: str
    switch: str
    reason: str
    programme_ids: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()
    from_ns: int = 0


@dataclass(frozen=True, slots=True)
class FactDeclined:
    """Streams `account/<id>` and `programme/<id>`: a withheld fact stays withheld for ever."""

    fact_position: int


@dataclass(frozen=True, slots=True)
class FactWithdrawn:
    """Stream `account/<id>`: a fact of the account never was, but for the ids and numbers that it took.

    `cause`, `from_ns` and `programme_id` are those of the fact, as a release of it would say them; without a cause it
    prices no fill.
    """

    fact_position: int
    cause: str
    from_ns: int
    programme_id: str


class LineValues(NamedTuple):
    """The values of a line that an adjustment may change: mantissas, as those of a `Line` are."""

    symbol_index: int
    traits: int
    price: int
    quantity: int
    fee: int
    basis_index: int


class AdjustedLine(NamedTuple):
    """A line, named by position and number, that is restated: all its values before and after."""

    position: int
    line: int
    venue: str
    exec_id: str
    transact_time_ns: int
    before: LineValues
    after: LineValues


@dataclass(frozen=True, slots=True)
class FeeAdjusted:
    """Stream `fees/<account>/<day>`: lines of the day are restated; `totals` are those after it.

    `cause` says what the fact at `cause_position` is: LATE_GRANT (A31), REVOCATION, FLAG, UNFLAG, BAN, BAN_LIFT, OWNER,
    PAIR_CLASS or PAIR_RATES. An adjustment takes effect at the time of its line. `release_position` is that of the
    FactReleased; 0: none is named, because an earlier release of the software adjusted.
    """

    cause: str
    cause_position: int
    time_min_ns: int
    time_max_ns: int
    time_max_so_far_ns: int
    symbols: tuple[SymbolTerms, ...]
    bases: tuple[Basis, ...]
    lines: Sequence[AdjustedLine]
    totals: tuple[CellTotals, ...]
    release_position: int = 0
    previous_position: int = 0


@dataclass(frozen=True, slots=True)
class FeeCredited:
    """Stream `fees/<account>/<day>`: the account is credited on the day by hand, without a line and without volume.

    It takes effect as the day begins, so that an instant never cuts it. `totals` are those after it.
    """

    amount: str
    currency: str
    reason_code: str
    time_min_ns: int
    time_max_so_far_ns: int = 0
    totals: tuple[CellTotals, ...] = ()
    previous_position: int = 0

    @property
    def time_max_ns(self) -> int:
        """The instant at which it takes effect."""
        return self.time_min_ns


@dataclass(frozen=True, slots=True)
class CreditWithdrawn:
    """Stream `fees/<account>/<day>`: the credit at a position is taken back, from the beginning of the day on."""

    credit_position: int
    amount: str
    currency: str
    reason_code: str
    time_min_ns: int
    time_max_so_far_ns: int = 0
    totals: tuple[CellTotals, ...] = ()
    previous_position: int = 0

    @property
    def time_max_ns(self) -> int:
        """The instant at which it takes effect."""
        return self.time_min_ns


@dataclass(frozen=True, slots=True)
class CurrencyNet:
    """The amount by which lines cost more than before in one currency: a decimal, negative where they cost less."""

    currency: str
    net: str


@dataclass(frozen=True, slots=True)
class RepriceStarted:
    """Stream `repricing/<account>`: commits to come restate the lines of a release, which are too many for its own.

    `lines_reached` are on the account-days that the fact reaches. Of an account the first release comes first.
    """

    release_position: int
    fact_position: int
    cause: str
    account_id: str
    lines_reached: int


@dataclass(frozen=True, slots=True)
class RepriceAdvanced:
    """Stream `repricing/<account>`: one more part was looked at; the lines of it that change follow in its commit.

    The next part begins at line `next_line` of the run at `next_position`, or of the first one after that, on the UTC
    day `next_day`; where all three are 0 there is none. The counts are of all parts so far.
    """

    release_position: int
    next_day: int
    next_position: int
    next_line: int
    looked_at: int
    lines: int
    nets: tuple[CurrencyNet, ...] = ()


@dataclass(frozen=True, slots=True)
class RepriceCompleted:
    """Stream `repricing/<account>`: all lines of a release are restated."""

    release_position: int
    lines: int
    nets: tuple[CurrencyNet, ...] = ()


@dataclass(frozen=True, slots=True)
class ReleaseAdvanced:
    """Stream `release/<programme>`: a shared fact that is released was brought to accounts up to one, or to all.

    What became of it in each of these that it reaches follows in its commit, in the order of their ids. Without
    `until_account_id` no account is left.
    """

    release_position: int
    until_account_id: str


CreditEvent: TypeAlias = FeeCredited | CreditWithdrawn
FeeEvent: TypeAlias = VolumeRecorded | FeeAdjusted | FeeCredited | CreditWithdrawn  # what lies in fee streams

Event: TypeAlias = (
    LedgerCreated
    | WriterStarted
    | MigrationApplied
    | ProgrammePublished
    | PairClassAssigned
    | PairRatesSet
    | SymbolRegistered
    | CurrencyRegistered
    | AccountRegistered
    | AccountLinked
    | OwnerNamed
    | TrialStarted
    | TierChanged
    | TierRevoked
    | AccountBanned
    | BanLifted
    | AccountFlagged
    | AccountUnflagged
    | FactReleased
    | FactWithheld
    | FactDeclined
    | MatchRequested
    | MatchRejected
    | ApplicationSubmitted
    | ApiIdentityVerified
    | ApplicationSettled
    | KamAssigned
    | BehaviourMetricRecorded
    | FeedbackReported
    | BountyAwarded
    | BountyRoundClosed
    | PromotionAnnounced
    | BonusAwarded
    | DailyCloseRecorded
    | EvaluationStarted
    | VolumeEvaluated
    | EvaluationCompleted
    | CommandRefused
    | SourceAdvanced
    | VolumeRecorded
    | FeeAdjusted
    | FeeCredited
    | CreditWithdrawn
    | FactWithdrawn
    | RepriceStarted
    | RepriceAdvanced
    | RepriceCompleted
    | ReleaseAdvanced
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event where it lies in the log: the n-th of the ledger, the `version`-th of its stream."""

    position: int
    stream: str
    version: int
    envelope: Envelope
    event: Event
