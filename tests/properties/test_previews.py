"""Over random histories, a preview says what the command then records and moves, and nobody else notices it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from ledger.domain.events import FeeAdjusted
from ledger.fills import mend
from ledger.server.preview import preview_message
from ledger.store.codec.events import decode_row
from ledger.v1.command_pb2 import Preview
from ledger.writing.foresee import Foresight
from ledger.writing.messages import Accepted, DecideCommand, GoOnRepricing, Refused
from projections.repricings import open_repricings
from tests.previewing import foretold, foretold_later, posted, unsalted
from tests.properties.test_replay import History
from tests.replaying import deviations
from tests.write_side import Writing


class Previewing(Writing):
    """The write side, where each command is previewed before it is sent."""

    def __init__(self, writing: Writing) -> None:
        """It goes on where `writing` is."""
        self.__dict__ = writing.__dict__
        self.seen: Counter[str] = Counter()  # answers, and events that were foreseen

    def step(self, *inputs: Any) -> list[Any]:
        return [answer for job in inputs for answer in self._sent(job)]

    def _sent(self, job: Any) -> list[Any]:
        if not isinstance(job, DecideCommand):
            return super().step(job)
        before = self.log.head()
        (foreseen,) = super().step(replace(job, validate_only=True))
        assert (self.log.head(), self.log.requests([job.request.request_id])) == (before, {})
        (answer,) = super().step(job)
        assert type(foreseen) is type(answer), (foreseen, answer)
        if isinstance(answer, Refused):
            assert foreseen == replace(answer, position=0)
        else:
            assert isinstance(foreseen, Accepted)
            assert foreseen.preview is not None
            assert foreseen.preview.known_at == before.position
            told = list(map(decode_row, foreseen.preview.rows))
            recorded = self.events(before.position)
            assert list(map(unsalted, told)) == list(map(unsalted, recorded))
            self.seen.update(type(each.event).__name__ for each in told)
            assert foretold(preview_message(foreseen.preview, None)) == posted(recorded)
            foresight = Foresight(foreseen.preview)
            if foresight.is_needed:
                self._finish()
                for _ in foresight.parts(self.log):  # of all that came since it reads nothing
                    pass
                self._compare_later(preview_message(foreseen.preview, foresight.found), recorded[-1].position)
        self.seen[type(answer).__name__] += 1
        return [answer]

    def _finish(self) -> None:
        """Restate all that is to be restated."""
        lines = accounts = 1
        while lines or accounts:
            names = [each.event.account_id for each in open_repricings(self.log, self.log.head().position)]
            (answer,) = super().step(GoOnRepricing(names))
            lines, accounts = answer.lines, answer.accounts

    def _compare_later(self, message: Preview, last: int) -> None:
        """Compare what a preview told of later commits with what they posted; `last` is the command's last position."""
        known_at = message.known_at_position
        after = (each for each in self.events(last) if isinstance(each.event, FeeAdjusted))
        lines, amounts = posted(each for each in after if each.event.release_position > known_at)
        if message.later.complete:
            assert foretold_later(message) == (lines, amounts)
            self.seen["lines of later commits"] += lines
        else:
            told = {one.account_id for one in message.later.differences}
            expected = {key: amount for key, amount in amounts.items() if key[0] in told}
            differences = message.later.differences
            assert {(one.account_id, one.currency): Fraction(one.amount) for one in differences} == expected
            assert not message.later.net
        self.seen["complete" if message.later.complete else "incomplete"] += 1


@pytest.mark.parametrize(("seed", "at_once"), [(2, 10_000), (5, 2)])
def test_what_is_previewed_is_what_is_recorded_whatever_happened_before(
    writing: Writing, seed: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mend, "LINES_AT_ONCE", at_once)
    asking = Previewing(writing)
    History(asking, seed).run(steps=120)
    assert deviations(writing.events()) == [], "nothing of a preview stayed in the states that decided later"
    assert asking.seen["Accepted"] > 50
    assert asking.seen["Refused"] > 20
    assert asking.seen["FeeAdjusted"] > 5 or asking.seen["lines of later commits"] > 20
