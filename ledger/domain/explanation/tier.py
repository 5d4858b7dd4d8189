"""Why the account had its tier, or none: the grant, the event that gave it, and what stood against it."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.domain.events import POST_TRIAL, Recorded, TierChanged, TrialStarted, VolumeEvaluated
from ledger.domain.explanation.facts import Facts
from ledger.domain.explanation.sentence import Sentence, say
from ledger.domain.grant_sources import MATCH
from ledger.domain.instants import instant_text

_WITHOUT_END = "further notice"


def explain_tier(facts: Facts) -> Iterator[Sentence]:
    """Tell the tier in effect and its grant (R4-R6, R14, R25); or that a flag runs (R21), or that there is none."""
    basis = facts.known.basis
    if basis.grant_id:
        yield from _granted(facts)
        return
    flag = facts.flag
    if flag is not None:
        since = instant_text(flag.flagged_time_ns)
        text = "The account was flagged as {kind} since {since}: while a flag runs no grant counts."
        yield say("FLAGGED", "R21", text, kind=flag.kind, since=since, flag_id=flag.flag_id)
        return
    yield say("NO_TIER", "R5", "No grant was in effect, so the account had no tier.", tier=basis.tier)


def _granted(facts: Facts) -> Iterator[Sentence]:
    basis, recorded = facts.known.basis, facts.grant
    named = {"tier": basis.tier, "grant_id": basis.grant_id, "source": basis.grant_source}
    if recorded is None:
        yield say("GRANT_NOT_FOUND", "", "The tier was {tier} by grant {grant_id} ({source}), which is not in the log"
            " of this account: audit the ledger.", **named)  # fmt: skip
        return
    event, named = recorded.event, {**named, "position": str(recorded.position)}
    if isinstance(event, TrialStarted):
        text = "The tier was {tier} by grant {grant_id}, a new member's trial, from {valid_from} until {valid_until}."
        yield say("TRIAL", "R4", text, **named, **_interval(event))
    elif isinstance(event, VolumeEvaluated):
        yield from _evaluated(event, named)
    elif isinstance(event, TierChanged):
        yield _changed(recorded, event, named)


def _changed(recorded: Recorded, event: TierChanged, named: dict[str, str]) -> Sentence:
    """Tell of a match, whose actor is who approved it, or of a tier given by hand."""
    envelope, interval = recorded.envelope, _interval(event)
    actor, approver = envelope.actor or "nobody named", envelope.approver or "nobody"
    if event.source == MATCH:
        text = (
            "The tier was {tier} by grant {grant_id}, the match {match_id} of a tier on another exchange, approved by"
            " {approver}, from {valid_from} until {valid_until}."
        )
        return say("MATCH", "R6", text, **named, **interval, match_id=event.evidence, approver=actor)
    text = (
        "The tier was {tier} by grant {grant_id}, given by hand by {actor} and approved by {approver}, from"
        " {valid_from} until {valid_until}."
    )
    return say("MANUAL", "R25", text, **named, **interval, actor=actor, approver=approver)


def _evaluated(event: VolumeEvaluated, named: dict[str, str]) -> Iterator[Sentence]:
    """Tell the grant of an evaluation, then what was evaluated."""
    after_trial = event.kind == POST_TRIAL
    code, clause, what = ("POST_TRIAL", "R14", "the trial") if after_trial else ("EVALUATION", "R5", "30-day volume")
    text = (
        f"The tier was {{tier}} by grant {{grant_id}}, of the evaluation of {what} as of {{evaluated}}, from"
        " {valid_from} until {valid_until}."
    )
    if event.kept_tier:
        text += " It is the one that the account had, kept until a person or a later evaluation decides."
    evaluated = instant_text(event.evaluated_time_ns)
    yield say(code, clause, text, **named, **_interval(event), evaluated=evaluated)
    yield say(
        "VOLUME",
        "R3",
        "The volume that counted from {window_from} until {window_until} was {volume} {currency}, which gives {tier};"
        " it was read at position {read_position}.",
        window_from=instant_text(event.window_from_ns),
        window_until=instant_text(event.window_until_ns),
        volume=event.volume,
        currency=event.volume_currency,
        tier=event.tier,
        read_position=str(event.read_position),
    )


def _interval(event: TrialStarted | TierChanged | VolumeEvaluated) -> dict[str, str]:
    until_ns = event.valid_until_ns
    until = instant_text(until_ns) if until_ns else _WITHOUT_END
    return {"valid_from": instant_text(event.valid_from_ns), "valid_until": until}
