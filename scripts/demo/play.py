"""Plays the demo's story to a ledger: one step after the other, each at its instant on the ledger's clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

from ledger.client import Client


class TwoPersons(TypedDict):
    """The arguments of a command that needs two persons, beside its actor."""

    approver: str
    reason: str


EVERYONE: Final = "all"  # who a step is about that is about no one account
SOURCE: Final = "demo-engine"
ACTOR: Final = "back-office"
APPROVER: Final = "head-of-fees"
REVIEWER: Final = "risk"  # approves a match, which another person requested
FOUR_EYES: Final[TwoPersons] = {"approver": APPROVER, "reason": "agreed with the account's manager"}


class UnexpectedError(Exception):
    """The ledger answered what the story does not know: one line."""


@dataclass(frozen=True, slots=True)
class RanEvaluation:
    """An evaluation that has run: what was planned, and then done. `again`: of accounts that had lacked a close."""

    kind: str
    instant_ns: int
    read_position: int
    accounts: Sequence[Any]  # of PlannedAccount
    again: bool = False

    @property
    def blocked(self) -> set[str]:
        """The accounts that lack a close."""
        return {one.account_id for one in self.accounts if one.movement == "BLOCKED"}


@dataclass(slots=True)
class Played:
    """The outcome of the steps."""

    recorded: int = 0
    story: list[tuple[int, str, str]] = field(default_factory=list)  # (instant, account, what happened)
    answers: dict[str, Any] = field(default_factory=dict)  # of commands that later ones rest on
    evaluations: list[RanEvaluation] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Step:
    """A thing that the ledger is told at an instant; `act` returns it in words for the story, or none."""

    at_ns: int
    who: str
    act: Callable[[Client, Played], str]


def play(
    steps: Iterable[Step], ledger: Client, set_clock: Callable[[int], None], show: Callable[[int, int], None]
) -> Played:
    """Tell the ledger every step at its instant; `show` hears (instant, fills so far).

    Raises UnexpectedError and LedgerError.
    """
    played = Played()
    for step in sorted(steps, key=lambda step: step.at_ns):
        set_clock(step.at_ns)
        told = step.act(ledger, played)
        if told:
            played.story.append((step.at_ns, step.who, told))
        show(step.at_ns, played.recorded)
    return played
