"""An evaluation that the ledger runs by itself, and that waits, is told of once, and again when the reason changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from eventsourcing.persistence import PersistenceError

from ledger.config import Config
from ledger.domain.commands import RunEvaluation
from ledger.domain.refusal import Reason, Refusal
from ledger.server.evaluation_runner import DueEvaluations, RunProgress
from ledger.wire.status import RefusedError
from tests.waiting import wait_for


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


def test_a_store_that_does_not_answer_is_told_of_in_a_line_and_is_no_defect(caplog: pytest.LogCaptureFixture) -> None:
    reads = Mock(due=Mock(side_effect=PersistenceError("the connection\nis lost")))
    due = DueEvaluations(Mock(config=Config(evaluate_poll_ms=1), writing=True), Mock(), reads)
    due.start()
    try:
        wait_for(lambda: reads.due.call_count >= 2)
    finally:
        due.stop()
    told = [(record.levelname, record.getMessage(), record.exc_info) for record in caplog.records]
    assert told == [("WARNING", "evaluations wait for the store: the connection is lost", None)]
