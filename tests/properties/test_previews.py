"""Over random histories, a preview says what the command then records and moves, and nobody else notices it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from ledger.server.preview import preview_message
from ledger.store.codec.events import decode
from ledger.writing.messages import Accepted, DecideCommand, Refused
from tests.previewing import foretold, posted, unsalted
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
            told = [
                decode(row.position, row.stream, row.version, row.topic, row.state) for row in foreseen.preview.rows
            ]
            recorded = self.events(before.position)
            assert list(map(unsalted, told)) == list(map(unsalted, recorded))
            assert foretold(preview_message(foreseen.preview)) == posted(recorded)
            self.seen.update(type(each.event).__name__ for each in told)
        self.seen[type(answer).__name__] += 1
        return [answer]


@pytest.mark.parametrize("seed", [2, 5])
def test_what_is_previewed_is_what_is_recorded_whatever_happened_before(writing: Writing, seed: int) -> None:
    asking = Previewing(writing)
    History(asking, seed).run(steps=120)
    assert deviations(writing.events()) == [], "nothing of a preview stayed in the states that decided later"
    assert asking.seen["Accepted"] > 50
    assert asking.seen["Refused"] > 20
    assert asking.seen["FeeAdjusted"] > 5
