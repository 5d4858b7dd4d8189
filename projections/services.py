"""Every RPC that reads, with the function that answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from projections.answers.accounts import list_accounts
from projections.answers.applications import list_applications
from projections.answers.events import list_events
from projections.answers.fills import get_fill, list_fee_history
from projections.answers.findings import Findings, list_controls
from projections.answers.ledger_info import get_ledger_info
from projections.answers.membership import check_match_eligibility, get_entitlements, get_membership
from projections.answers.programmes import get_programme, list_pairs, list_programmes
from projections.answers.quote import quote_fee
from projections.answers.rates import get_rates
from projections.answers.rewards import check_promotion_eligibility, list_bounty_rounds, list_months_without_promotion
from projections.answers.solo_actions import list_solo_actions
from projections.answers.vip_state import get_vip_state
from projections.answers.withheld import list_withheld
from projections.as_of import Reader
from projections.evaluation.answers import get_evaluation, plan_evaluation
from projections.evaluation.closes import list_closes
from projections.searches import Found, Page


def read_answers(
    reader: Reader, schema: str, findings: Callable[[Page], list[Found]]
) -> Mapping[str, Callable[[Any], Any]]:
    """Return the answer of each RPC that reads, by the name of the RPC; PlanEvaluation answers with many messages."""
    return {
        "CheckMatchEligibility": partial(check_match_eligibility, reader),
        "CheckPromotionEligibility": partial(check_promotion_eligibility, reader),
        "GetEntitlements": partial(get_entitlements, reader),
        "GetEvaluation": partial(get_evaluation, reader),
        "GetFill": partial(get_fill, reader),
        "GetLedgerInfo": partial(get_ledger_info, reader, schema),
        "GetMembership": partial(get_membership, reader),
        "GetProgramme": partial(get_programme, reader),
        "GetRates": partial(get_rates, reader),
        "GetVipState": partial(get_vip_state, reader),
        "ListAccounts": partial(list_accounts, reader, schema),
        "ListApplications": partial(list_applications, reader, schema),
        "ListBountyRounds": partial(list_bounty_rounds, reader),
        "ListCloses": partial(list_closes, reader),
        "ListControls": list_controls,
        "ListEvents": partial(list_events, reader),
        "ListFeeHistory": partial(list_fee_history, reader),
        "ListFindings": Findings(reader, schema, findings).page,
        "ListMonthsWithoutPromotion": partial(list_months_without_promotion, reader),
        "ListPairs": partial(list_pairs, reader),
        "ListProgrammes": partial(list_programmes, reader),
        "ListSoloActions": partial(list_solo_actions, reader),
        "ListWithheld": partial(list_withheld, reader, schema),
        "PlanEvaluation": partial(plan_evaluation, reader, schema),
        "QuoteFee": partial(quote_fee, reader),
    }
