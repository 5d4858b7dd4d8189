"""Names of the streams of the log, made and read: `<kind>/<subject>`, or a kind alone for the whole ledger."""

from __future__ import annotations

from typing import Final

from ledger.domain.events import POST_TRIAL
from ledger.domain.instants import day_number, day_text, instant_of_text, instant_text

LEDGER: Final = "ledger"
REGISTERS: Final = "registers"
PROGRAMME_PREFIX: Final = "programme/"
PROMOTIONS: Final = "promotions"
BOUNTY_PREFIX: Final = "bounty/"
CLOSES_PREFIX: Final = "closes/"
SOURCE_PREFIX: Final = "source/"
EVALUATION_PREFIX: Final = "evaluation/"
REPRICING_PREFIX: Final = "repricing/"
RELEASE_PREFIX: Final = "release/"
FEES_PREFIX: Final = "fees/"

DayKey = tuple[str, int]  # an account and a UTC day (its number since 1970), to which a fee stream belongs


def kind_and_subject(stream: str) -> tuple[str, str]:
    """Split a name at its first slash: "source/a/b" -> ("source", "a/b"), "ledger" -> ("ledger", "")."""
    kind, _, subject = stream.partition("/")
    return kind, subject


def subject_of(stream: str) -> str:
    """Return the name without its kind: "source/a/b" -> "a/b"."""
    return stream.partition("/")[2]


def account_of(stream: str) -> str:
    """Return the account that a stream of its decisions, fees or repricings belongs to."""
    return subject_of(stream).partition("/")[0]


def is_fee_stream(stream: str) -> bool:
    """Return True for the stream of an account-day."""
    return stream.startswith(FEES_PREFIX)


def account_stream(account_id: str) -> str:
    """Name the decisions on one account; versions 1, 2, 3."""
    return f"account/{account_id}"


def owner_stream(owner_id: str) -> str:
    """Name the links of one beneficial owner to accounts."""
    return f"owner/{owner_id}"


def repricing_stream(account_id: str) -> str:
    """Name the repricings of one account that take more than one commit."""
    return f"{REPRICING_PREFIX}{account_id}"


def release_stream(programme_id: str) -> str:
    """Name how far the shared facts of one programme that are released have come among the accounts."""
    return f"{RELEASE_PREFIX}{programme_id}"


def fee_stream(account_id: str, day: int) -> str:
    """Name the fills of one account on one UTC day (number since 1970); version = position."""
    return f"{FEES_PREFIX}{account_id}/{day_text(day)}"


def account_and_day(stream: str) -> tuple[str, str]:
    """Read the name of a fee stream: "fees/alice/2024-10-01" -> ("alice", "2024-10-01")."""
    _, account_id, day = stream.split("/")
    return account_id, day


def day_key(stream: str) -> DayKey:
    """Read the name of a fee stream: "fees/alice/1970-01-02" -> ("alice", 1)."""
    account_id, day = account_and_day(stream)
    return account_id, day_number(day)


def is_account_day(stream: str) -> bool:
    """Return True for a name that `fee_stream` writes; False for "fees/alice" and "fees/alice/today"."""
    try:
        return is_fee_stream(stream) and bool(day_key(stream))
    except ValueError:
        return False


def fee_range(account_id: str) -> tuple[str, str]:
    """Return a half-open range of names that holds every fee stream of an account, in byte order."""
    prefix = f"{FEES_PREFIX}{account_id}/"
    return prefix, end_of(prefix)


def end_of(prefix: str) -> str:
    """Return the first text in byte order after all that begin with a prefix: "bounty/" -> "bounty0"."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def programme_stream(programme_id: str) -> str:
    """Name the versions and pair classes of one programme."""
    return f"{PROGRAMME_PREFIX}{programme_id}"


def source_stream(source: str) -> str:
    """Name the advances of one engine."""
    return f"{SOURCE_PREFIX}{source}"


def bounty_stream(week: str) -> str:
    """Name the reports and bounties of one ISO week, for example 2024-W40."""
    return f"{BOUNTY_PREFIX}{week}"


def closes_stream(asset: str) -> str:
    """Name the daily closes of one asset."""
    return f"{CLOSES_PREFIX}{asset}"


def evaluation_stream(programme_id: str, kind: str, instant_ns: int) -> str:
    """Name the runs of one evaluation: of volume at an instant, or of the trials that ended up to one."""
    before = "post-trial." if kind == POST_TRIAL else ""
    return f"{EVALUATION_PREFIX}{programme_id}/{before}{instant_text(instant_ns)}"


def evaluated_ns(stream: str) -> int | None:
    """Read the instant of an evaluation out of the name of its stream; None for a stream of another kind."""
    if not stream.startswith(EVALUATION_PREFIX):
        return None
    return instant_of_text(stream.rpartition("/")[2].removeprefix("post-trial."))
