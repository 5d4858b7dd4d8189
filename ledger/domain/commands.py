"""The commands, in the imperative. They passed the checks of shape; times are ns, None means now or no end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TypeAlias

from ledger.domain.events import MatchClaim
from ledger.domain.instants import BEGINNING_NS
from ledger.domain.state.programme import Programme


@dataclass(frozen=True, slots=True)
class Request:
    """A request: who asks, and its name for ever; `reason` never enters the log.

    `message` is the name of the message that asks, `body` its bytes without what may be erased: the first event of the
    request keeps both, and `sha256` is of them. `sha256_of_all` is what releases recorded that kept no requests.
    """

    request_id: str
    sha256: bytes
    actor: str = ""
    approver: str = ""
    ticket: str = ""
    reason: str = ""
    reason_salt: bytes = b""
    message: str = ""
    body: bytes = b""
    sha256_of_all: bytes = b""

    @property
    def kept_before(self) -> Request:
        """The request as its further events carry it: the first one keeps it."""
        return replace(self, message="", body=b"")


def request_sha256(message: str, body: bytes) -> bytes:
    """Return the SHA-256 of a request, by the full name of its message and the bytes of it."""
    return sha256(message.encode() + b"\0" + body).digest()


@dataclass(frozen=True, slots=True)
class RegisterAccount:
    """Give an account its owner and parent."""

    account_id: str
    owner_id: str
    parent_account_id: str
    registered_time_ns: int | None


@dataclass(frozen=True, slots=True)
class RegisterSymbol:
    """Register the terms of a symbol from an instant on, and optionally its pair class."""

    symbol: str
    base_currency: str
    quote_currency: str
    product: int
    price_scale: int
    quantity_scale: int
    valid_from_ns: int = BEGINNING_NS
    pair_class: str = ""
    programme_id: str = ""


@dataclass(frozen=True, slots=True)
class RegisterCurrency:
    """Register the decimals that fees in a currency are rounded to."""

    currency: str
    decimals: int


@dataclass(frozen=True, slots=True)
class PublishProgramme:
    """R1: publish a version of a programme from an instant on. `programme` is `content`, parsed."""

    programme: Programme
    content: str
    content_sha256: bytes
    valid_from_ns: int | None


@dataclass(frozen=True, slots=True)
class AssignPairClass:
    """A19: give a pair a class from an instant on."""

    symbol: str
    pair_class: str
    valid_from_ns: int | None
    programme_id: str = ""


@dataclass(frozen=True, slots=True)
class SetPairRates:
    """Set rates of a pair's own from an instant on, in ppm; without any it has none of its own."""

    symbol: str
    maker_ppm: int | None
    taker_ppm: int | None
    valid_from_ns: int | None
    programme_id: str = ""


@dataclass(frozen=True, slots=True)
class StartTrial:
    """R4: start the trial of a new member."""

    account_id: str
    start_time_ns: int | None
    programme_id: str = ""


@dataclass(frozen=True, slots=True)
class ChangeTier:
    """R25: grant a tier by hand."""

    account_id: str
    tier: str
    valid_from_ns: int | None
    valid_until_ns: int | None
    programme_id: str = ""


@dataclass(frozen=True, slots=True)
class RevokeTier:
    """End a grant early."""

    account_id: str
    grant_id: str
    revoke_time_ns: int | None


@dataclass(frozen=True, slots=True)
class BanAccount:
    """R22: ban API trading for whole days."""

    account_id: str
    days: int
    start_time_ns: int | None
    reason_code: str
    evidence_positions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LiftBan:
    """End the running ban early."""

    account_id: str
    lift_time_ns: int | None


@dataclass(frozen=True, slots=True)
class CreditFee:
    """Credit an account on a UTC day since 1970 by hand."""

    account_id: str
    day: int
    amount: str
    currency: str
    reason_code: str


@dataclass(frozen=True, slots=True)
class WithdrawCredit:
    """Take a credit back."""

    account_id: str
    credit_position: int
    reason_code: str


@dataclass(frozen=True, slots=True)
class ReleaseFact:
    """Let lines recorded before a fact count by it."""

    account_id: str
    fact_position: int


@dataclass(frozen=True, slots=True)
class DeclineFact:
    """Leave lines recorded before a withheld fact as they are for ever."""

    account_id: str
    fact_position: int


@dataclass(frozen=True, slots=True)
class ReleaseSharedFact:
    """Let lines of all accounts that were recorded before a shared fact count by it: ReleaseFact without an account."""

    fact_position: int


@dataclass(frozen=True, slots=True)
class DeclineSharedFact:
    """Leave lines recorded before a shared fact as they are for ever: DeclineFact without an account."""

    fact_position: int


@dataclass(frozen=True, slots=True)
class WithdrawFact:
    """Take a fact of an account back, as if it had never been recorded."""

    account_id: str
    fact_position: int


@dataclass(frozen=True, slots=True)
class FlagAccount:
    """R21: flag an account as fake, or as created by a robot."""

    account_id: str
    kind: str
    flag_time_ns: int | None
    evidence_sha256: bytes


@dataclass(frozen=True, slots=True)
class UnflagAccount:
    """End every running flag."""

    account_id: str
    unflag_time_ns: int | None


@dataclass(frozen=True, slots=True)
class RequestMatch:
    """R6: match the fee rates of a VIP of other exchanges."""

    account_id: str
    claim: MatchClaim
    request_time_ns: int | None
    programme_id: str = ""


@dataclass(frozen=True, slots=True)
class ApproveMatch:
    """R6: approve a match. `approved_by` is another person than asked for it."""

    account_id: str
    match_id: str
    approved_by: str
    approve_time_ns: int | None


@dataclass(frozen=True, slots=True)
class RejectMatch:
    """R6: reject a match, by a person's decision."""

    account_id: str
    match_id: str
    reason_code: str
    reject_time_ns: int | None


@dataclass(frozen=True, slots=True)
class SubmitApplication:
    """R12: apply for membership. `steps` are those of the document by their field names, done or not."""

    account_id: str
    received_time_ns: int | None
    steps: Mapping[str, bool]
    programme_id: str = ""


@dataclass(frozen=True, slots=True)
class VerifyApiIdentity:
    """R12: record that the account's owner is known to be an API user."""

    account_id: str
    verified_time_ns: int | None


@dataclass(frozen=True, slots=True)
class SettleApplication:
    """R13: settle an application as GRANTED or DECLINED."""

    account_id: str
    application_id: str
    outcome: str
    settle_time_ns: int | None


@dataclass(frozen=True, slots=True)
class AssignKeyAccountManager:
    """R11: assign a key account manager from an instant on."""

    account_id: str
    manager_id: str
    assign_time_ns: int | None
    programme_id: str = ""


@dataclass(frozen=True, slots=True)
class RecordBehaviourMetric:
    """R23: record a measurement of an account's behaviour."""

    account_id: str
    code: str
    value: str
    window_from_ns: int
    window_until_ns: int


@dataclass(frozen=True, slots=True)
class ReportFeedback:
    """R9: report a bug, feedback or an improvement."""

    account_id: str
    kind: str
    channel: str
    report_time_ns: int | None


@dataclass(frozen=True, slots=True)
class AwardBounty:
    """R9: award the bonus of a report."""

    week: str
    report_id: str
    amount: str
    currency: str
    programme_id: str = ""


@dataclass(frozen=True, slots=True)
class CloseBountyRound:
    """R9: announce the bonuses of a week; none comes after."""

    week: str


@dataclass(frozen=True, slots=True)
class AnnouncePromotion:
    """R10: announce a promotion in [start, end)."""

    promotion_id: str
    promotion_type: str
    start_time_ns: int
    end_time_ns: int


@dataclass(frozen=True, slots=True)
class AwardBonus:
    """R10, R24: award a share of a promotion's bonus; with `override`, `approver` lets in who is not eligible."""

    promotion_id: str
    account_id: str
    amount: str
    currency: str
    award_time_ns: int | None
    override: bool
    actor: str
    approver: str
    programme_id: str = ""


@dataclass(frozen=True, slots=True)
class RecordDailyClose:
    """R17: record the close of a UTC day since 1970. With `restates` it replaces the close at that position."""

    asset: str
    currency: str
    day: int
    price: str
    source: str
    source_sha256: bytes
    restates: int = 0


@dataclass(frozen=True, slots=True)
class RunEvaluation:
    """R18, R14: evaluate volume at an instant, or the trials that ended up to one. `automatic`: the ledger itself asks.

    `read_position` 0 reads the log as far as it is; `complete_sources` are known to send no more of the window.
    """

    programme_id: str
    kind: str
    instant_ns: int | None
    read_position: int = 0
    complete_sources: tuple[str, ...] = ()
    automatic: bool = False


MemberCommand: TypeAlias = (
    FlagAccount
    | UnflagAccount
    | RequestMatch
    | ApproveMatch
    | RejectMatch
    | SubmitApplication
    | VerifyApiIdentity
    | SettleApplication
    | AssignKeyAccountManager
    | RecordBehaviourMetric
)
StandingCommand: TypeAlias = (
    RegisterAccount | StartTrial | ChangeTier | RevokeTier | BanAccount | LiftBan | MemberCommand
)
FactCommand: TypeAlias = ReleaseFact | DeclineFact | WithdrawFact
SharedFactCommand: TypeAlias = ReleaseSharedFact | DeclineSharedFact
CreditCommand: TypeAlias = CreditFee | WithdrawCredit
AccountCommand: TypeAlias = StandingCommand | FactCommand | CreditCommand
RegisterCommand: TypeAlias = RegisterSymbol | RegisterCurrency
ProgrammeCommand: TypeAlias = PublishProgramme | AssignPairClass | SetPairRates
BountyCommand: TypeAlias = ReportFeedback | AwardBounty | CloseBountyRound
PromotionCommand: TypeAlias = AnnouncePromotion | AwardBonus
Command: TypeAlias = (
    AccountCommand
    | RegisterCommand
    | BountyCommand
    | PromotionCommand
    | ProgrammeCommand
    | SharedFactCommand
    | RecordDailyClose
    | RunEvaluation
)


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A request as its first event keeps it: who asked, and the command.

    Where the message does not tell which of several commands was given, it has all of them.
    """

    request_id: str
    actor: str
    approver: str
    commands: tuple[Command, ...]
