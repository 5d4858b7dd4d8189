"""Screens about closes and evaluations."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.cli.screens.layout import NONE, given, headline, instant, many, name, pairs, table
from ledger.v1 import evaluation_service_pb2 as pb


def closes(found: Iterable[pb.Close]) -> list[str]:
    """Daily closes."""
    rows = [
        (one.asset, one.day, one.price, one.currency, one.source, str(one.position), _replaced(one)) for one in found
    ]
    return table(("asset", "day", ".close", "in", "source", ">position", "restated by"), rows)


def _replaced(close: pb.Close) -> str:
    return str(close.restated_by) if close.restated_by else NONE


def evaluation(found: pb.GetEvaluationResponse) -> list[str]:
    """An evaluation and its runs."""
    one = found.evaluation
    kind = name(pb.EvaluationKind, one.kind).replace("_", "-")
    subject = f"{kind} evaluation of {one.programme_id} {one.programme_version} at {instant(one.instant)} UTC"
    window = f"{given(one, 'window_from')} until {given(one, 'window_until')}" if one.HasField("window_from") else ""
    lines = headline(f"{subject}: {found.status}", found.basis)
    lines += pairs([
        ("volume of", window or "each account's own window"),
        ("read at position", str(one.read_position)),
    ])  # fmt: skip
    for run in found.runs:
        lines += ["", *_run(run)]
    return lines


def _run(run: pb.EvaluationRun) -> list[str]:
    ended = f"ended {instant(run.completed_time)} UTC" if run.HasField("completed_time") else "has not ended"
    approver = f", approved by {run.approver}" if run.approver else ""
    return [
        f"run at position {run.position}: began {instant(run.started_time)} UTC, {ended}",
        *pairs([
            ("asked for by", f"{run.actor or 'the ledger itself'}{approver}"),
            ("read at position", str(run.read_position)),
            ("said to be complete", ", ".join(run.complete_sources)),
            *(_counts(run.counts) if run.HasField("completed_time") else []),
        ]),
    ]  # fmt: skip


def _counts(counts: pb.EvaluationCounts) -> list[tuple[str, str]]:
    """How many accounts went where."""
    moved = [
        ("gained a tier", counts.gained), ("up", counts.up), ("stayed", counts.stayed), ("down", counts.down),
        ("lost their tier", counts.lost), ("no tier before and after", counts.none), ("to review", counts.review),
    ]  # fmt: skip
    missing = ", ".join(f"{close.asset} {close.day}" for close in counts.missing_closes)
    return [
        ("evaluated", many(counts.evaluated, "account")),
        *((f"- {what}", f"{number:,}") for what, number in moved if number),
        ("wait for closes", f"{counts.blocked:,}" if counts.blocked else ""),
        ("closes they lack", missing),
    ]
