"""Previews: what a command would record, decided as the command is, on states that are dropped afterwards."""

from __future__ import annotations

from dataclasses import replace

from ledger.writing.commands import answer_command
from ledger.writing.draft import Draft
from ledger.writing.messages import Accepted, DecideCommand, Preview, Refused


def preview_command(draft: Draft, job: DecideCommand) -> Accepted | Refused:
    """Decide a command in a commit that is not made, and answer with all that this would hold.

    A command that was recorded before, or whose request_id was another one's, is answered as the command itself would
    be. What the state refuses would be recorded as refused; the position of that is nobody's, so it is not told.
    """
    answer = answer_command(draft, job)
    if isinstance(answer, Refused):
        return answer if answer.position < draft.first_position else replace(answer, position=0)
    if answer.replayed:
        return answer
    return replace(answer, preview=Preview(draft.first_position - 1, tuple(draft.rows)))
