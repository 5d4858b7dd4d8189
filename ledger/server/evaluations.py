"""RunEvaluation: a command whose answer is a stream, of how far the run is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ledger.domain.events import EvaluationStarted
from ledger.server.command_rpc import CommandRpcs
from ledger.server.evaluation_runner import EvaluationRunner
from ledger.v1 import evaluation_service_pb2 as pb
from ledger.wire.commands.rpcs import COMMANDS


def run_evaluation(
    commands: CommandRpcs,
    runner: EvaluationRunner,
    message_of: Callable[..., pb.RunEvaluationResponse],
    request: pb.RunEvaluationRequest,
) -> Iterator[pb.RunEvaluationResponse]:
    """Begin a run, or go on with one, and yield how far it is.

    `message_of` makes a response of a progress, but for the receipt and the position.
    """
    for progress in runner.run(commands.read(COMMANDS["RunEvaluation"], request)):
        started = progress.started.recorded.event
        assert isinstance(started, EvaluationStarted), started
        message = message_of(
            started,
            looked_at=progress.looked_at,
            total=progress.total,
            blocked=progress.blocked,
            completed=progress.completed,
        )
        message.receipt.CopyFrom(commands.receipt(progress.started))
        message.position = progress.position
        yield message
