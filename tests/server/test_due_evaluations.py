"""An evaluation that the ledger runs by itself, and that waits, is told of once, and again when the reason changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest

from ledger.domain.commands import RunEvaluation
from ledger.domain.refusal import Reason, Refusal
from ledger.server.evaluation_runner import DueEvaluations, RunProgress
from ledger.wire.status import RefusedError


class Runner:
    """Runs what is due, unless it is to wait."""

    def __init__(self) -> None:
        self.waits_for = ""

    def run(self, _: object) -> Iterator[RunProgress]:
        if self.waits_for:
            raise RefusedError(Refusal(Reason.EVALUATION_WAITING, "", self.waits_for))
        return iter(())


def test_what_an_evaluation_waits_for_is_told_once_however_often_it_is_looked_at(
    caplog: pytest.LogCaptureFixture,
) -> None:
    command = RunEvaluation("spot", "PERIODIC", 1_700_000_000 * 10**9)
    runner: Any = Runner()
    due = DueEvaluations(Mock(), runner, Mock(due=lambda: iter([command])))
    for waits_for in ("a close", "a close", "engine-1", "engine-1", "", "engine-1"):
        runner.waits_for = waits_for
        due._run_all_due()
    begins = "the PERIODIC evaluation of spot waits: EVALUATION_WAITING: "
    told = [(record.levelname, record.getMessage().removeprefix(begins)) for record in caplog.records]
    assert told == [("WARNING", each) for each in ("a close", "engine-1", "engine-1")]
