"""From the tables of a programme file to a `Programme`: which key holds what, and what it is when it is not there."""

from __future__ import annotations

import re
from typing import Any, Final
from zoneinfo import ZoneInfo

from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.domain.state.programme import (
    ADJUST,
    CREDIT_ONLY,
    KEEP,
    PRODUCTS,
    PROPOSE,
    Adjust,
    Band,
    PairRates,
    Programme,
    Rates,
    TokenDiscount,
    Trial,
)
from ledger.programmes.bounds import RATES_MAX
from ledger.programmes.faults import Fault, ProgrammeError
from ledger.programmes.table import Table

# Every switch with its values; the first is the default (A1-A33).
CHOICES: Final = {
    "boundary_policy": ("table", "terms"),
    "above_top": ("keep", "manual_review"),
    "close_day": ("fill_day", "evaluation_day"),
    "partial_day_close": ("previous", "wait"),
    "late_grant": ("adjust", "from_record"),
    "grant_resolution": ("highest_active", "latest_evaluation_wins"),
    "deactivation": ("at_grant_end", "immediate"),
    "once_per": ("owner", "account"),
    "match_volume": ("sum", "max", "spot_only"),
    "exclusion": ("while_vip", "trial_only", "permanent_after_trial"),
    "sla_start": ("received", "verified"),
    "rate_scope": ("account", "api_only"),
    "rate_time": ("exec", "order"),
    "fee_currency": ("QUOTE", "RECEIVED"),
    "rounding": ("ROUND_HALF_EVEN", "ROUND_CEILING"),
}

ADJUSTS: Final = (ADJUST, CREDIT_ONLY, PROPOSE, KEEP)

_TERM: Final = re.compile(r"P[1-9][0-9]{0,3}D|next_calendar_month")
_100_000: Final = 100_000 * 10**36


def read_programme(top: Table, *, strictly: bool) -> Programme:
    """Return the programme that the top table of a file describes; of no use if `top.faults` has grown.

    Strictly, a key that nothing reads is a fault. Raises ProgrammeError for a table of rates that is too large to read.
    What is asked of `top` is what a file may hold: `schema` lets it be asked, and writes it down.
    """
    tiers, classes = top.list_of_names("tiers"), top.list_of_names("pair_classes")
    if strictly and len(tiers) * len(classes) > RATES_MAX:
        raise ProgrammeError([Fault("VALUE_OUT_OF_RANGE", "tiers", f"times pair_classes are over {RATES_MAX:,} rates")])
    sections = {name: top.table(name) for name in _OPTIONAL}
    volume, evaluation = top.table("volume", required=True), top.table("evaluation", required=True)
    base, rates = top.table("base_rates", required=True), top.table("rates", required=True)
    switches = sections["switches"]
    named: dict[str, Any] = _choices(switches, "rate_scope", "rate_time", "fee_currency", "rounding")
    programme = Programme(
        programme_id=top.name("id"),
        version=top.name("version"),
        title=top.text("title", ""),
        venues=top.list_of_names("venues"),
        products=frozenset(PRODUCTS[name] for name in top.list_of_choices("products", tuple(PRODUCTS))),
        pair_classes=classes,
        tiers=tiers,
        base_rates=(public := _rates(base)),
        class_base_rates=_class_base_rates(base, classes, public),
        base_rates_are_fixture=base.flag("fixture", False),
        rates=_rate_table(rates, tiers, classes),
        overrides=_overrides(sections["overrides"], classes),
        trial=_trial(sections["trial"], tiers) if top.has("trial") else None,
        token_discount=_token_discount(sections["token_discount"]) if top.has("token_discount") else None,
        **_period(sections["period"]),
        **_volume(volume, tiers),
        **_evaluation(evaluation),
        **_match(sections["match"]),
        adjust=_adjust(sections, evaluation, given=top.has("adjust")),
        **_members(sections),
        ban_days_min=sections["ban"].whole("days_min", 1, least=1),
        ban_days_max=sections["ban"].whole("days_max", 7, least=1),
        entitlements=_entitlements(sections["entitlements"], tiers),
        approval=frozenset(sections["approval"].list_of_names("commands", ())),
        never_worse_than_base=switches.flag("never_worse_than_base", True),
        self_trade_rebate=switches.flag("self_trade_rebate", False),
        **named,
    )
    if strictly:
        for table in (top, volume, evaluation, base, *sections.values()):
            table.end()
    return programme


_OPTIONAL: Final = (
    *("period", "overrides", "trial", "match", "token_discount", "ban", "applications", "promotions", "flags"),
    *("adjust", "entitlements", "approval", "switches"),
)


def _adjust(sections: dict[str, Table], evaluation: Table, *, given: bool) -> Adjust:
    """Read what late facts do. A file without the table is older than it: of what nobody could say then, nothing.

    The keys of before are read where the table lacks theirs: late_grant, and clawback of flags.
    """
    table = sections["adjust"]
    grants = KEEP if evaluation.choice("late_grant", CHOICES["late_grant"]) == "from_record" else ADJUST
    flags = PROPOSE if sections["flags"].flag("clawback", False) else KEEP
    flags = table.one_of("flags", ADJUSTS, flags)
    return Adjust(
        grants=table.one_of("grants", ADJUSTS, grants),
        revocations=table.one_of("revocations", ADJUSTS, PROPOSE if given else KEEP),
        flags=flags,
        unflags=table.one_of("unflags", ADJUSTS, flags),
        volume=table.one_of("volume", ADJUSTS, ADJUST if given else KEEP),
        classes=table.one_of("classes", ADJUSTS, PROPOSE if given else KEEP),
        owners=table.one_of("owners", ADJUSTS, PROPOSE if given else KEEP),
    )


def _rates(row: Table) -> Rates:
    return Rates(row.rate("maker"), row.rate("taker"))


def _class_base_rates(table: Table, classes: tuple[str, ...], public: Rates) -> dict[str, Rates]:
    """Public rates of single classes; a side that is not given is as everywhere."""
    found = {}
    for name, row in table.tables_beside_keys().items():
        if name not in classes:
            table.note("CLASS_UNKNOWN", name, f"is none of the pair classes {', '.join(classes)}")
            continue
        sides = [row.rate(side) if row.has(side) else None for side in ("maker", "taker")]
        if sides == [None, None]:
            table.note("KEY_MISSING", name, "has neither maker nor taker")
        row.end()
        found[name] = Rates(*(said if ppm is None else ppm for ppm, said in zip(sides, public, strict=True)))
    return found


def _rate_table(table: Table, tiers: tuple[str, ...], classes: tuple[str, ...]) -> dict[tuple[str, str], Rates]:
    found = {}
    for tier, row in table.tables().items():
        known = _known_tier(table, tier, tiers)
        for name, cell in row.tables().items():
            if name not in classes:
                row.note("CLASS_UNKNOWN", name, f"is none of the pair classes {', '.join(classes)}")
            elif known:
                faults_before = len(cell.faults)
                rates = _rates(cell)
                cell.end()
                if len(cell.faults) == faults_before:  # otherwise it reads as missing, and is compared with nothing
                    found[tier, name] = rates
    return found


def _known_tier(table: Table, tier: str, tiers: tuple[str, ...]) -> bool:
    if tier not in tiers:
        table.note("TIER_UNKNOWN", tier, f"is none of the tiers {', '.join(tiers)}")
    return tier in tiers


def _overrides(table: Table, classes: tuple[str, ...]) -> dict[str, PairRates]:
    found = {}
    for symbol, row in table.tables().items():
        maker_ppm, taker_ppm = (row.rate(side) if row.has(side) else None for side in ("maker", "taker"))
        pair_class = row.name("pair_class", "")
        if pair_class and pair_class not in classes:
            row.note("CLASS_UNKNOWN", "pair_class", f"= {pair_class!r} is none of {', '.join(classes)}")
        if maker_ppm is None and taker_ppm is None:
            table.note("KEY_MISSING", symbol, "has neither maker nor taker")
        found[symbol] = PairRates(maker_ppm, taker_ppm, pair_class)
        row.end()
    return found


def _period(table: Table) -> dict[str, Any]:
    return {"period_from_ns": table.instant("from"), "period_until_ns": table.instant("until")}


def _volume(table: Table, tiers: tuple[str, ...]) -> dict[str, Any]:
    least, terms = table.table("from", required=True), table.table("terms")
    lower, above = terms.table("from"), terms.table("above")
    bands = {tier: least.volume(tier) for tier in least.names() if _known_tier(least, tier, tiers)}
    found = {
        "volume_currency": table.name("currency"),
        "volume_bands": tuple((tier, bands[tier]) for tier in tiers if tier in bands),
        "volume_top": table.volume("below", None),
        "terms_bands": tuple(
            Band(tier, row.volume(tier), row is above)
            for row in (lower, above)
            for tier in row.names()
            if _known_tier(row, tier, tiers)
        ),
        "aggregate_subaccounts": table.flag("aggregate_subaccounts", False),
        "ban_count_volume": table.flag("ban_count_volume", False),
        **_choices(table, "boundary_policy", "above_top", "close_day", "partial_day_close"),
    }
    terms.end()
    return found


def _evaluation(table: Table) -> dict[str, Any]:
    return {
        "evaluation_days": table.days_of_month("days_of_month"),
        "window_days": table.whole("window_days", 30, least=1, most=366),
        "timezone": _timezone(table),
        "silent_after_ns": _silent_after_ns(table),
        "grant_term": table.matching("grant_term", _TERM, "P30D", "neither next_calendar_month nor days such as P30D"),
        "effective_delay_ns": table.whole("effective_delay_s", 0, most=366 * 86_400) * SECOND_NS,
        **_choices(table, "late_grant", "grant_resolution", "deactivation"),
    }


def _timezone(table: Table) -> str:
    name = table.text("timezone", "UTC")
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # each of them, for one kind of bad name or another
        table.note("VALUE_UNKNOWN", "timezone", f"= {name!r} is no IANA time zone")
    return name


def _silent_after_ns(table: Table) -> int:
    """0 without the key: before it existed a source was waited for, however long it was silent."""
    if not table.has("silent_after_hours"):
        return 0
    return table.whole("silent_after_hours", least=1, most=366 * 24) * 3_600 * SECOND_NS


def _trial(table: Table, tiers: tuple[str, ...]) -> Trial:
    tier, last_day = table.name("tier"), table.day("last_day")
    if tier not in tiers:
        table.note("TIER_UNKNOWN", "tier", f"= {tier!r} is none of the tiers {', '.join(tiers)}")
    return Trial(
        tier=tier,
        days=table.whole("days", least=1, most=3660),
        once_per=table.choice("once_per", CHOICES["once_per"]),
        closes_at_ns=None if last_day is None else (last_day + 1) * DAY_NS,
        further_days=table.whole("further_days", 30, least=1, most=3660),
        requires_verified_api_user=table.flag("requires_verified_api_user", False),
    )


def _match(table: Table) -> dict[str, Any]:
    return {
        "match_volume": table.choice("match_volume", CHOICES["match_volume"]),
        "match_volume_min": table.volume("volume_min", _100_000),
        "match_lookback_days": table.whole("lookback_days", 90, most=3660),
        "match_days": table.whole("days", 30, least=1, most=3660),
        "match_period_end_tolerance_days": table.whole("period_end_tolerance_days", 7, most=366),
        "match_pending_days": table.whole("pending_days", least=1, most=3660) if table.has("pending_days") else None,
        "trial_counts_as_membership": table.flag("trial_counts_as_membership", True),
    }


def _members(sections: dict[str, Table]) -> dict[str, Any]:
    applications, promotions = sections["applications"], sections["promotions"]
    return {
        "application_business_days": applications.whole("business_days", 10, least=1, most=366),
        "sla_start": applications.choice("sla_start", CHOICES["sla_start"]),
        "holidays": applications.days("holidays"),
        "promotion_types": promotions.list_of_names("types") if promotions.has("types") else None,
        "promotions_denied": promotions.list_of_names("denied", ("NET_BUY", "BUY_SELL")),
        "clawback": sections["flags"].flag("clawback", False),
    }


def _token_discount(table: Table) -> TokenDiscount:
    return TokenDiscount(table.name("token"), table.rate("discount"), table.choice("exclusion", CHOICES["exclusion"]))


def _entitlements(table: Table, tiers: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {tier: table.list_of_names(tier) for tier in table.names() if _known_tier(table, tier, tiers)}


def _choices(table: Table, *names: str) -> dict[str, str]:
    return {name: table.choice(name, CHOICES[name]) for name in names}
