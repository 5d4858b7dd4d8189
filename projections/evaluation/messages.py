"""Evaluations as the contract shows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ledger.domain.events import PERIODIC, EvaluationCompleted, EvaluationStarted
from ledger.domain.instants import day_text
from ledger.domain.money import decimal_text
from ledger.domain.rules.cumulative_trading_volume import excluded_because
from ledger.domain.rules.end_day_close import Close, Missing
from ledger.domain.state.programme import Programme
from ledger.domain.state.volume_cells import NOTIONAL_SCALE
from ledger.v1 import evaluation_service_pb2 as pb
from ledger.v1 import query_service_pb2
from ledger.wire.enums import set_words
from ledger.wire.status import timestamp
from projections.evaluation.plan import Planned
from projections.evaluation.volumes import Cells


def planned_message(planned: Planned) -> pb.PlannedAccount:
    """Return what an evaluation gives an account, as the contract shows it."""
    programme, case, found = planned.run.programme, planned.case, planned.found
    message = pb.PlannedAccount(
        account_id=case.account_id,
        evaluated_time=timestamp(case.evaluated_ns),
        window_from=timestamp(case.window[0]),
        window_until=timestamp(case.window[1]),
        volume_currency=programme.volume_currency,
        volumes=_volumes(planned.cells, programme),
        tier_before=planned.tier_before,
    )
    set_words(message, movement=planned.movement)
    if isinstance(found, Missing):
        message.missing_closes.extend(missing_closes(found.closes))
    else:
        message.volume, message.tier_after = decimal_text(found.volume, NOTIONAL_SCALE), found.tier
    return message


def evaluation_message(started: EvaluationStarted) -> pb.Evaluation:
    """Return an evaluation, as a run of it began."""
    periodic = started.kind == PERIODIC
    message = pb.Evaluation(
        programme_id=started.programme_id,
        programme_version=started.programme_version,
        kind=pb.EVALUATION_KIND_PERIODIC if periodic else pb.EVALUATION_KIND_POST_TRIAL,
        instant=timestamp(started.instant_ns),
        read_position=started.read_position,
    )
    if periodic:
        message.window_from.CopyFrom(timestamp(started.window_from_ns))
        message.window_until.CopyFrom(timestamp(started.window_until_ns))
    return message


def counts_message(completed: EvaluationCompleted) -> pb.EvaluationCounts:
    """Return how many accounts moved where."""
    return pb.EvaluationCounts(
        evaluated=completed.evaluated,
        gained=completed.gained,
        up=completed.up,
        stayed=completed.stayed,
        down=completed.down,
        lost=completed.lost,
        none=completed.none,
        review=completed.review,
        granted=completed.granted,
        blocked=completed.blocked,
        missing_closes=missing_closes((one.asset, one.day) for one in completed.missing),
    )


def missing_closes(closes: Iterable[Close]) -> Iterator[query_service_pb2.MissingClose]:
    """Yield closes that nobody has recorded."""
    return (query_service_pb2.MissingClose(asset=asset, day=day_text(day)) for asset, day in closes)


def _volumes(cells: Cells, programme: Programme) -> Iterator[pb.QuotedVolume]:
    sums: dict[tuple[str, str], int] = {}
    for by_cell in cells.values():
        for key, notional in by_cell.items():
            kind = (excluded_because(key, programme), key.quote_currency)
            sums[kind] = sums.get(kind, 0) + notional
    for (reason, quote), notional in sorted(sums.items()):
        message = pb.QuotedVolume(quote_currency=quote, notional=decimal_text(notional, NOTIONAL_SCALE))
        set_words(message, reason=reason)
        yield message


def progress_message(
    started: EvaluationStarted,
    *,
    looked_at: int,
    total: int,
    blocked: Sequence[Planned],
    completed: EvaluationCompleted | None,
) -> pb.RunEvaluationResponse:
    """Tell how far a run is, but for its receipt and its position."""
    message = pb.RunEvaluationResponse(
        evaluation=evaluation_message(started),
        looked_at=looked_at,
        total=total,
        blocked=[planned_message(one) for one in blocked],
    )
    if completed is not None:
        message.counts.CopyFrom(counts_message(completed))
    return message
