"""A file of cases: read to the letter, asked of the rules, compared key by key."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from ledger.domain.state.programme import Programme
from ledger.tools.cases import fee_ops, member_ops, tier_ops
from ledger.tools.cases.config import read_programme
from ledger.tools.cases.fields import Fields, UnreadableError
from ledger.tools.cases.history import read_history
from ledger.tools.cases.ingest_op import ingest_fill
from ledger.tools.cases.volume_op import volume_30d


class Op(NamedTuple):
    """A rule asked: `given`, `when` and the programme under the case's config go in; `answers` are all its keys."""

    ask: Callable[[Fields, Fields, Programme], dict[str, Any]]
    answers: str


OPS: Final[Mapping[str, Op]] = {
    "compute_fee": Op(fee_ops.compute_fee, "notional rate discount fee_exact fee fee_currency kind"),
    "parse_rate": Op(fee_ops.parse_rate, "maker taker error"),
    "validate_schedule": Op(fee_ops.validate_schedule, "ok worst_pair_net min_maker min_taker error"),
    "tier_for_volume": Op(tier_ops.tier_of_volume, "tier error"),
    "start_trial": Op(tier_ops.start_trial, "valid_from valid_to error"),
    "post_trial_evaluate": Op(tier_ops.post_trial_evaluate, "tier valid_from valid_to error"),
    "next_evaluation": Op(tier_ops.next_evaluation, "at"),
    "evaluation_window": Op(tier_ops.window_of_evaluation, "from to"),
    "evaluate": Op(tier_ops.evaluate, "tier valid_from valid_to error"),
    "effective_tier_at": Op(tier_ops.effective_tier_at, "tier source banned evaluation_inputs_changed"),
    "volume_30d": Op(volume_30d, "volume_usdt error missing"),
    "apply_match": Op(member_ops.apply_match, "eligible reason tier valid_from valid_to"),
    "impose_ban": Op(member_ops.impose_ban, "from to error"),
    "application_deadline": Op(member_ops.application_deadline, "deadline_date"),
    "promotion_eligibility": Op(member_ops.promotion_eligibility, "eligible"),
    "bounty_eligibility": Op(member_ops.bounty_eligibility, "eligible"),
    "ingest_fill": Op(ingest_fill, "result events_appended error"),
    "bust_fill": Op(fee_ops.bust_fill, "reversal_fee net"),
}


@dataclass(frozen=True)
class Verdict:
    """A case and what came of it: the keys that differ, as (key, expected, found); none: it passed."""

    case_id: str
    op: str
    differences: tuple[tuple[str, str, str], ...]


def check_file(path: Path) -> list[Verdict]:
    """Every case of a file. Raises UnreadableError as soon as one leaves the format."""
    try:
        cases = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_object, parse_constant=_no_number)
    except OSError as error:
        raise UnreadableError(error.strerror or "cannot be read") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"is no JSON: {error}") from error
    if not isinstance(cases, list):
        raise UnreadableError("is no JSON list of cases")
    return [check_case(case, f"[{place}]") for place, case in enumerate(cases)]


def check_case(values: Any, path: str) -> Verdict:
    """One case, asked of the rules."""
    case = Fields(values, path)
    case.path = case.text("id") or path  # whoever wrote the file finds it by this
    for ignored in ("rule", "note"):
        case.read(ignored, lambda value: value, None)
    given, when, expect = case.fields("given"), case.fields("when"), case.fields("expect")
    case.end()
    op = OPS[when.choice("op", tuple(OPS))]
    for key in expect.values:
        if key not in op.answers.split():
            raise UnreadableError(f"{expect.path}.{key} is no key of its answers: {op.answers}")
    programme = read_programme(given)
    try:
        read_history(given, programme)  # every op may be given events; most look at none
        found = op.ask(given, when, programme)
    except OverflowError as error:
        raise UnreadableError(f"{case.path} leaves the calendar: {error}") from error
    given.end()
    when.end()
    differences = (
        (key, _json(wanted), _json(found[key]) if key in found else "nothing")
        for key, wanted in expect.values.items()
        if key not in found or not _same(found[key], wanted)
    )
    return Verdict(case.path, when.text("op"), tuple(differences))


def _same(found: Any, wanted: Any) -> bool:
    """Equal, and of the same JSON type: true is not 1."""
    return _json(found) == _json(wanted)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"an object names a key twice: {', '.join(key for key, _ in pairs)}")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")
