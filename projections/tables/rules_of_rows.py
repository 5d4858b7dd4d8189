"""The rules that rows of accounts depend on, so that a version that changes none of them moves no row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, TypeAlias

from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import Dated, Rulebook

Said: TypeAlias = tuple[Any, ...]


def rules_of_rows(book: Rulebook) -> Mapping[str, list[tuple[int, Said]]]:
    """Return for each programme (from when on, what it says that rows depend on), a line for each change of that.

    Rates are no part of it: {"bitmart-api-vip": [(1704067200000000000, (Ranking(...), "received", ...))]}.
    """
    return {name: list(_changes(versions)) for name, versions in book.programmes.items()}


def _changes(versions: Dated[Programme]) -> Iterator[tuple[int, Said]]:
    for said, same in groupby(versions, key=lambda version: _said(version[1])):
        yield next(same)[0], said


def _said(programme: Programme) -> Said:
    of_deadlines = (programme.sla_start, programme.holidays, programme.application_business_days)
    return (programme.ranking, *of_deadlines)
