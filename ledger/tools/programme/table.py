"""A programme as a business owner wants to look at it: a table of rates, and every number and switch by its key."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.cli.screens import table
from ledger.domain.instants import DAY_NS, SECOND_NS, day_text
from ledger.domain.money import decimal_text
from ledger.domain.state.programme import PRODUCTS, Band, Programme, Rates
from ledger.domain.state.volume_cells import NOTIONAL_SCALE
from ledger.programmes.table import EVERY_DAY

_SAME = (  # fields that a file calls by the same name, by its section
    ("volume", "boundary_policy above_top close_day partial_day_close aggregate_subaccounts ban_count_volume"),
    ("evaluation", "window_days timezone grant_term late_grant grant_resolution deactivation"),
    ("match", "match_volume trial_counts_as_membership"),
    ("applications", "sla_start"),
    ("flags", "clawback"),
    ("switches", "never_worse_than_base self_trade_rebate rate_scope rate_time fee_currency rounding"),
)


def percent(rate_ppm: int) -> str:
    """A rate as the business writes it."""
    return f"{decimal_text(rate_ppm, 4)}%"


def rate_table(programme: Programme) -> list[str]:
    """One line per tier: from which volume on, and maker / taker of each pair class."""
    bands = dict(programme.volume_bands)
    head = ["tier", f"from {programme.volume_currency}", *(f"{name} maker / taker" for name in programme.pair_classes)]
    public = {name: programme.public_rates(name) for name in programme.pair_classes}
    rows = [["NONE", "0", *map(_both, public.values())]]
    for tier in programme.tiers:
        cells = (_both(programme.rates.get((tier, name), public[name])) for name in programme.pair_classes)
        rows.append([tier, _volume(bands[tier]) if tier in bands else "-", *cells])
    return table(head, rows)


def _both(rates: Rates) -> str:
    return f"{percent(rates.maker_ppm)} / {percent(rates.taker_ppm)}"


def statements(programme: Programme) -> dict[str, str]:
    """All that a programme says, by the key of its file; what the file leaves out has its default."""
    return {
        **_names(programme),
        **_rates(programme),
        **_volumes(programme),
        **{f"{section}.{name}": _plain(getattr(programme, name)) for section, names in _SAME for name in names.split()},
        **{f"adjust.{cause}": switch for cause, switch in programme.adjust._asdict().items()},
        **_terms(programme),
    }


def _names(programme: Programme) -> dict[str, str]:
    products = (name for name, number in PRODUCTS.items() if number in programme.products)
    return {
        "id": programme.programme_id,
        "version": programme.version,
        "title": programme.title,
        "venues": ", ".join(programme.venues),
        "products": ", ".join(products),
        "pair_classes": ", ".join(programme.pair_classes),
        "tiers": ", ".join(programme.tiers),
        "period.from": _instant(programme.period_from_ns),
        "period.until": _instant(programme.period_until_ns),
    }


def _rates(programme: Programme) -> dict[str, str]:
    found = dict(zip(("base_rates.maker", "base_rates.taker"), map(percent, programme.base_rates), strict=True))
    found["base_rates.fixture"] = _plain(programme.base_rates_are_fixture)
    for name, rates in programme.class_base_rates.items():
        found[f"base_rates.{name}.maker"] = percent(rates.maker_ppm)
        found[f"base_rates.{name}.taker"] = percent(rates.taker_ppm)
    for (tier, name), rates in programme.rates.items():
        found[f"rates.{tier}.{name}.maker"] = percent(rates.maker_ppm)
        found[f"rates.{tier}.{name}.taker"] = percent(rates.taker_ppm)
    for symbol, pair in programme.overrides.items():
        for side, rate_ppm in (("maker", pair.maker_ppm), ("taker", pair.taker_ppm)):
            if rate_ppm is not None:
                found[f"overrides.{symbol}.{side}"] = percent(rate_ppm)
        found[f"overrides.{symbol}.pair_class"] = pair.pair_class or "every class"
    return found


def _volumes(programme: Programme) -> dict[str, str]:
    found = {"volume.currency": programme.volume_currency}
    found.update({f"volume.from.{tier}": _volume(least) for tier, least in programme.volume_bands})
    found["volume.below"] = "none" if programme.volume_top is None else _volume(programme.volume_top)
    for tier, volume, above in map(Band._make, programme.terms_bands):
        found[f"volume.terms.{'above' if above else 'from'}.{tier}"] = _volume(volume)
    return found


def _terms(programme: Programme) -> dict[str, str]:
    days, silent_hours = programme.evaluation_days, programme.silent_after_ns // (3_600 * SECOND_NS)
    found = {
        "evaluation.days_of_month": "every" if days == EVERY_DAY else ", ".join(map(str, sorted(days))),
        "evaluation.effective_delay_s": str(programme.effective_delay_ns // SECOND_NS),
        "evaluation.silent_after_hours": str(silent_hours or "none"),
        "match.volume_min": _volume(programme.match_volume_min),
        "match.lookback_days": str(programme.match_lookback_days),
        "match.days": str(programme.match_days),
        "match.period_end_tolerance_days": str(programme.match_period_end_tolerance_days),
        "match.pending_days": "no end" if programme.match_pending_days is None else str(programme.match_pending_days),
        "ban.days_min": str(programme.ban_days_min),
        "ban.days_max": str(programme.ban_days_max),
        "applications.business_days": str(programme.application_business_days),
        "applications.holidays": ", ".join(map(day_text, sorted(programme.holidays))) or "none",
        "promotions.types": "any" if programme.promotion_types is None else _listed(programme.promotion_types),
        "promotions.denied": _listed(programme.promotions_denied),
        "approval.commands": _listed(sorted(programme.approval)),
    }
    found.update({f"entitlements.{tier}": _listed(names) for tier, names in programme.entitlements.items()})
    if (trial := programme.trial) is not None:
        found["trial.tier"], found["trial.days"] = trial.tier, str(trial.days)
        found["trial.once_per"], found["trial.further_days"] = trial.once_per, str(trial.further_days)
        found["trial.requires_verified_api_user"] = _plain(trial.requires_verified_api_user)
        closes_at_ns = trial.closes_at_ns
        found["trial.last_day"] = "none" if closes_at_ns is None else day_text(closes_at_ns // DAY_NS - 1)
    if (offer := programme.token_discount) is not None:
        found["token_discount.token"], found["token_discount.exclusion"] = offer.token, offer.exclusion
        found["token_discount.discount"] = percent(offer.discount_ppm)
    return found


def _volume(mantissa: int) -> str:
    return decimal_text(mantissa, NOTIONAL_SCALE)


def _instant(at_ns: int | None) -> str:
    if at_ns is None:
        return "none"
    second = at_ns // SECOND_NS % 86_400
    return f"{day_text(at_ns // DAY_NS)}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)  # as TOML writes it
