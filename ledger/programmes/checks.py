"""Check a programme as a whole before it is published. A version that is in the log is not asked again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ledger.domain.money import rate_text
from ledger.domain.rules.maker_rebate import least_net_ppm
from ledger.domain.state.programme import Programme
from ledger.programmes.faults import Fault


def check_programme(programme: Programme, *, top_said: bool, base_said: bool) -> Iterator[Fault]:
    """Faults between values: whether the file says what happens above its table, and the rates of non-members."""
    yield from _bands(programme)
    yield from _top(programme, top_said)
    yield from _rows(programme)
    yield from _descending(programme)
    if base_said:
        yield from _money_pump(programme)
    types = programme.promotion_types
    for name in programme.promotions_denied if types is not None else ():
        if name not in (types or ()):
            yield Fault("VALUE_UNKNOWN", "promotions.denied", f"= {name!r} is none of promotions.types")
    if not programme.venues:
        yield Fault("VALUE_MALFORMED", "venues", "names no venue: the programme would govern nothing")
    if programme.ban_days_min > programme.ban_days_max:
        yield Fault("VALUE_OUT_OF_RANGE", "ban.days_min", "is more than ban.days_max")
    start_ns, end_ns = programme.period_from_ns, programme.period_until_ns
    if start_ns is not None and end_ns is not None and end_ns <= start_ns:
        yield Fault("VALUE_OUT_OF_RANGE", "period.until", "is not after period.from")


def warnings_of(programme: Programme) -> Iterator[Fault]:
    """Yield what may be meant and should be looked at: it does not stand in the way of a publication."""
    by_volume = {tier for tier, _ in programme.volume_bands}
    if programme.boundary_policy == "terms":
        by_volume = {band.tier for band in programme.terms_bands}
    for tier in programme.tiers:
        if tier not in by_volume:
            yield Fault("TIER_UNREACHABLE", f"tiers.{tier}", "comes of no volume: only a trial or a hand gives it")
    pay = "so members pay that" if programme.never_worse_than_base else "so members pay more than others"
    for (tier, name), row in programme.rates.items():
        for side, ppm, public_ppm in zip(("maker", "taker"), row, programme.public_rates(name), strict=True):
            if ppm > public_ppm:
                detail = f"= {rate_text(ppm)} is above the public rate of the class, {rate_text(public_ppm)}, {pay}"
                yield Fault("TIER_ABOVE_PUBLIC", f"rates.{tier}.{name}.{side}", detail)


def _bands(programme: Programme) -> Iterator[Fault]:
    bands = dict(programme.volume_bands)
    for tier in programme.tiers:
        if tier not in bands:
            yield Fault("BANDS_GAP", f"volume.from.{tier}", "is not there: no volume would give this tier")
    for (lower, least), (tier, next_least) in pairwise(programme.volume_bands):
        if next_least <= least:
            yield Fault("BANDS_NOT_RISING", f"volume.from.{tier}", f"is not above that of {lower}, the tier below")
    if not programme.terms_bands and programme.boundary_policy == "terms":
        yield Fault("KEY_MISSING", "volume.terms", "is not there, and boundary_policy says that the terms count")


def _top(programme: Programme, top_said: bool) -> Iterator[Fault]:
    top = programme.volume_top
    if top is None and (programme.above_top == "manual_review" or not top_said):
        yield Fault("TOP_OPEN", "volume.below", "is not there: say where the table ends, or above_top = keep")
    elif top is not None and any(least >= top for _, least in programme.volume_bands):
        yield Fault("BANDS_NOT_RISING", "volume.below", "is not above the last band")


def _rows(programme: Programme) -> Iterator[Fault]:
    for tier in programme.tiers:
        for name in programme.pair_classes:
            if (tier, name) not in programme.rates:
                yield Fault("KEY_MISSING", f"rates.{tier}.{name}", "is not there: each tier needs a row for each class")


def _descending(programme: Programme) -> Iterator[Fault]:
    """A better tier never pays more."""
    for name in programme.pair_classes:
        rows = [(tier, programme.rates[tier, name]) for tier in programme.tiers if (tier, name) in programme.rates]
        for (lower, worse), (tier, better) in pairwise(rows):
            for side, was_ppm, is_ppm in zip(("maker", "taker"), worse, better, strict=True):
                if is_ppm > was_ppm:
                    detail = f"= {rate_text(is_ppm)} is more than {rate_text(was_ppm)} of {lower}, the tier below"
                    yield Fault("DESCENDING", f"rates.{tier}.{name}.{side}", detail)


def _money_pump(programme: Programme) -> Iterator[Fault]:
    """The least maker and the least taker rate, base rates included, must not add up to less than nothing."""
    nets = {"base_rates": sum(programme.base_rates)}
    nets.update({f"base_rates.{name}": sum(rates) for name, rates in programme.class_base_rates.items()})
    for name in programme.pair_classes:
        nets[f"rates.*.{name}"] = least_net_ppm(programme, pair_class=name)
    for symbol, override in programme.overrides.items():
        nets[f"overrides.{symbol}"] = least_net_ppm(programme, pair_class=override.pair_class, override=override)
    for key, net_ppm in nets.items():
        if net_ppm < 0:
            detail = f"gives {rate_text(net_ppm)} for the two legs of a trade: two accounts could pump money out"
            yield Fault("NEGATIVE_NET_PAIR", key, detail)
