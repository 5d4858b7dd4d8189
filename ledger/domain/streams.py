"""Names of the streams of the log."""

from __future__ import annotations

from typing import Final

from ledger.domain.instants import day_number, day_text, instant_of_text, instant_text

LEDGER: Final = "ledger"
REGISTERS: Final = "registers"
PROGRAMME_PREFIX: Final = "programme/"
PROMOTIONS: Final = "promotions"
BOUNTY_PREFIX: Final = "bounty/"
CLOSES_PREFIX: Final = "closes/"
SOURCE_PREFIX: Final = "source/"
EVALUATION_PREFIX: Final = "evaluation/"

DayKey = tuple[str, int]  # an account and a UTC day (its number since 1970): what a fee stream is of


def account_stream(account_id: str) -> str:
    """Decisions on one account; versions 1, 2, 3."""
    return f"account/{account_id}"


def owner_stream(owner_id: str) -> str:
    """Accounts of one beneficial owner."""
    return f"owner/{owner_id}"


def fee_stream(account_id: str, day: int) -> str:
    """Fills of one account on one UTC day (number since 1970); version = position."""
    return f"fees/{account_id}/{day_text(day)}"


def day_key(stream: str) -> DayKey:
    """The account and UTC day of a fee stream."""
    _, account_id, day = stream.split("/")
    return account_id, day_number(day)


def programme_stream(programme_id: str) -> str:
    """Versions and pair classes of one programme."""
    return f"{PROGRAMME_PREFIX}{programme_id}"


def source_stream(source: str) -> str:
    """What one engine has sent."""
    return f"{SOURCE_PREFIX}{source}"


def bounty_stream(week: str) -> str:
    """Reports and bounties of one ISO week, for example 2024-W40."""
    return f"{BOUNTY_PREFIX}{week}"


def closes_stream(asset: str) -> str:
    """Daily closes of one asset."""
    return f"{CLOSES_PREFIX}{asset}"


def evaluation_stream(programme_id: str, kind: str, instant_ns: int) -> str:
    """Runs of one evaluation; those of trials that ended up to an instant lie beside those of volume at it."""
    before = "post-trial." if kind == "POST_TRIAL" else ""
    return f"{EVALUATION_PREFIX}{programme_id}/{before}{instant_text(instant_ns)}"


def evaluated_ns(stream: str) -> int | None:
    """The instant of an evaluation, by its stream; None: it is the stream of none."""
    if not stream.startswith(EVALUATION_PREFIX):
        return None
    return instant_of_text(stream.rpartition("/")[2].removeprefix("post-trial."))
