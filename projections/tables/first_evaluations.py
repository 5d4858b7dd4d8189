"""Rows of accounts whose only event is an evaluation: they are alike but for name and position, so few are made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from ledger.domain.events import VolumeEvaluated
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.streams import account_stream, subject_of
from ledger.store.codec.evaluated_many import without_amounts
from ledger.store.codec.events import decode
from ledger.store.log import FirstEvaluation
from projections.tables.rows import Row, decision_rows

# These stand for name and position of each account: nothing that a row says has such a character, or such digits.
_NAME: Final = "\x1a"
_POSITION: Final = -(2**62)


class Lines(NamedTuple):
    """Lines of COPY for `accounts` and `vip_intervals`; no other table says anything of an evaluation alone."""

    accounts: list[str]
    intervals: list[str]


class FirstEvaluations:
    """Makes lines of COPY for accounts, by the rules of one rulebook.

    Nothing in a line has to be escaped: names, tiers and sources have neither tabs nor backslashes.
    """

    def __init__(self, book: Rulebook) -> None:
        self._book = book
        self._alike: dict[bytes, Lines] = {}  # by what the events say but for their amounts

    def lines(self, found: Iterable[FirstEvaluation]) -> Lines:
        """Return the lines of some accounts."""
        made = Lines([], [])
        for position, stream, state in found:
            said, account_id, at = without_amounts(state), subject_of(stream), str(position)
            if said not in self._alike:
                self._alike[said] = self._made(state)
            alike = self._alike[said]
            made.accounts.extend([line.replace(_NAME, account_id) for line in alike.accounts])
            made.intervals.extend([line.replace(_AT, at).replace(_NAME, account_id) for line in alike.intervals])
        return made

    def _made(self, state: bytes) -> Lines:
        event = decode(_POSITION, account_stream(_NAME), 1, VolumeEvaluated.__name__, state)
        rows = decision_rows(self._book, _NAME, [event])
        assert {table for table, values in rows.items() if values} <= {"accounts", "vip_intervals"}, rows
        return Lines([*map(_line, rows["accounts"])], [*map(_line, rows["vip_intervals"])])


def _line(row: Row) -> str:
    return "\t".join(map(_text, row)) + "\n"


def _text(value: Any) -> str:
    """Return a value as COPY reads it."""
    return "\\N" if value is None else str(value)


_AT: Final = _text(_POSITION)
