"""What is asked, in the imperative. A command passed the checks of shape; times are ns, None means now or no end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ledger.domain.instants import BEGINNING_NS
from ledger.domain.programme import Programme


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks, and the name of the request for ever. `sha256` is of its body; `reason` never enters the log."""

    request_id: str
    sha256: bytes
    actor: str = ""
    approver: str = ""
    ticket: str = ""
    reason: str = ""
    reason_salt: bytes = b""


@dataclass(frozen=True, slots=True)
class RegisterAccount:
    """Give an account its owner and parent."""

    account_id: str
    owner_id: str
    parent_account_id: str
    registered_time_ns: int | None


@dataclass(frozen=True, slots=True)
class RegisterSymbol:
    """Terms of a symbol from an instant on, and optionally its pair class."""

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
    """Decimals that fees in a currency are rounded to."""

    currency: str
    decimals: int


@dataclass(frozen=True, slots=True)
class PublishProgramme:
    """R1: a version of a programme from an instant on. `programme` is what `content` says."""

    programme: Programme
    content: str
    content_sha256: bytes
    valid_from_ns: int | None


@dataclass(frozen=True, slots=True)
class AssignPairClass:
    """A19: the class of a pair from an instant on."""

    symbol: str
    pair_class: str
    valid_from_ns: int | None
    programme_id: str = ""


@dataclass(frozen=True, slots=True)
class SetPairRates:
    """Rates of a pair's own from an instant on, in ppm; without any it has none of its own."""

    symbol: str
    maker_ppm: int | None
    taker_ppm: int | None
    valid_from_ns: int | None
    programme_id: str = ""


@dataclass(frozen=True, slots=True)
class StartTrial:
    """R4."""

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


@dataclass(frozen=True, slots=True)
class LiftBan:
    """End the running ban early."""

    account_id: str
    lift_time_ns: int | None


AccountCommand: TypeAlias = RegisterAccount | StartTrial | ChangeTier | RevokeTier | BanAccount | LiftBan
RegisterCommand: TypeAlias = RegisterSymbol | RegisterCurrency
ProgrammeCommand: TypeAlias = PublishProgramme | AssignPairClass | SetPairRates
Command: TypeAlias = AccountCommand | RegisterCommand | ProgrammeCommand
