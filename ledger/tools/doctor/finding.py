"""The lines of the doctor: how bad a thing is, what was looked at with its figure, and the command that heals it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

Figures: TypeAlias = Mapping[str, int | str]


class Level(StrEnum):
    """The weight of a finding. The last two make the exit code 1."""

    OK = "OK"
    UNSEEN = "not looked at"
    NOTE = "NOTE"
    WARNING = "WARNING"
    FAULT = "FAULT"


FOUND: Final = (Level.WARNING, Level.FAULT)


class Finding(NamedTuple):
    """A line: `says` is a sentence without its full stop; `remedy` a command, or what to do where there is none.

    `figures` are the numbers in it for a program, by names that end in their unit, for example lag_positions.
    """

    level: Level
    says: str
    remedy: str = ""
    figures: Figures = MappingProxyType({})


def ok(says: str, **figures: int | str) -> Finding:
    """Return a line about what is as it should be."""
    return Finding(Level.OK, says, "", figures)


def unseen(why: str) -> Finding:
    """Return a line about what could not be looked at, and why."""
    return Finding(Level.UNSEEN, why)


def note(says: str, remedy: str = "", **figures: int | str) -> Finding:
    """Return a line about what is to be known, though nothing is wrong."""
    return Finding(Level.NOTE, says, remedy, figures)


def warning(says: str, remedy: str, **figures: int | str) -> Finding:
    """Return a line about what works, and should not stay so."""
    return Finding(Level.WARNING, says, remedy, figures)


def fault(says: str, remedy: str, **figures: int | str) -> Finding:
    """Return a line about what does not work, or loses what is recorded."""
    return Finding(Level.FAULT, says, remedy, figures)
