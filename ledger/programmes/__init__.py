"""Programme files: text in, `Programme` out. The first start publishes the packaged one; then only the log counts."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from ledger.domain.instants import DAY_NS, day_number
from ledger.domain.money import mantissa
from ledger.domain.programme import PRODUCTS, Programme, Rates, TokenDiscount, Trial
from ledger.domain.totals import NOTIONAL_SCALE

DEFAULT: Final = "bitmart-api-vip-3.0.toml"

_RATE: Final = re.compile(r"(-?)([0-9]{1,6})(?:\.([0-9]{1,8}))?(%|bps|ppm)")
_PPM_OF_UNIT: Final = {"%": 10_000, "bps": 100, "ppm": 1}
_CHOICES: Final = {
    "once_per": ("owner", "account"),
    "exclusion": ("while_vip", "trial_only", "permanent_after_trial"),
    "rate_scope": ("account", "api_only"),
    "fee_currency": ("QUOTE", "RECEIVED"),
    "rounding": ("ROUND_HALF_EVEN", "ROUND_CEILING"),
}


class ProgrammeError(ValueError):
    """One line: which key of the file, and what is wrong with it."""


def packaged(name: str = DEFAULT) -> str:
    """Content of a programme file shipped with the ledger."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


@lru_cache(maxsize=64)
def parse(content: str) -> Programme:
    """The programme a file describes. Raises ProgrammeError naming the key at fault."""
    try:
        file = tomllib.loads(content)
        return _programme(file)
    except tomllib.TOMLDecodeError as error:
        raise ProgrammeError(f"FILE_UNREADABLE: {error}") from error
    except KeyError as error:
        raise ProgrammeError(f"KEY_MISSING: {error.args[0]}") from error


def rate_ppm(text: str, key: str) -> int:
    """A rate with its unit as signed ppm; a bare number is refused, so is one finer than a ppm."""
    match = _RATE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ProgrammeError(f"RATE_UNIT_AMBIGUOUS: {key} = {text!r} needs a unit: %, bps or ppm")
    sign, whole, fraction, unit = match.groups()
    fraction = fraction or ""
    ppm: int
    ppm, rest = divmod(int(whole + fraction) * _PPM_OF_UNIT[unit], 10 ** len(fraction))
    if rest:
        raise ProgrammeError(f"RATE_TOO_FINE: {key} = {text!r} is finer than 1 ppm")
    return -ppm if sign else ppm


def _programme(file: dict[str, Any]) -> Programme:
    switches, trial, ban = file["switches"], file["trial"], file["ban"]
    tiers, classes = tuple(file["tiers"]), tuple(file["pair_classes"])
    if trial["tier"] not in tiers:
        raise ProgrammeError(f"TIER_UNKNOWN: trial.tier = {trial['tier']!r} is not one of the tiers")
    return Programme(
        programme_id=file["id"],
        version=file["version"],
        venues=tuple(file["venues"]),
        products=frozenset(PRODUCTS[name] for name in file["products"]),
        pair_classes=classes,
        tiers=tiers,
        base_rates=_rates(file["base_rates"], "base_rates"),
        rates={
            (tier, name): _rates(file["rates"][tier][name], f"rates.{tier}.{name}")
            for tier in tiers
            for name in classes
            if name in file["rates"][tier]
        },
        trial=_trial(trial),
        token_discount=_token_discount(file),
        volume_currency=file["volume"]["currency"],
        volume_bands=_bands(file, tiers),
        evaluation_days=_evaluation_days(file["evaluation"]["days_of_month"]),
        window_days=int(file["evaluation"]["window_days"]),
        ban_days_min=int(ban["days_min"]),
        ban_days_max=int(ban["days_max"]),
        never_worse_than_base=bool(switches["never_worse_than_base"]),
        self_trade_rebate=bool(switches["self_trade_rebate"]),
        rate_scope=_choice(switches, "switches", "rate_scope"),
        fee_currency=_choice(switches, "switches", "fee_currency"),
        rounding=_choice(switches, "switches", "rounding"),
        approval=frozenset(file.get("approval", {}).get("commands", ())),
    )


def _rates(row: dict[str, str], key: str) -> Rates:
    return Rates(rate_ppm(row["maker"], f"{key}.maker"), rate_ppm(row["taker"], f"{key}.taker"))


def _bands(file: dict[str, Any], tiers: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    least = [(tier, mantissa(str(file["volume"]["from"][tier]), NOTIONAL_SCALE)) for tier in tiers]
    bands = tuple((tier, volume) for tier, volume in least if volume is not None)
    if [volume for _, volume in bands] != sorted({volume for _, volume in bands}):
        raise ProgrammeError("BANDS_NOT_RISING: volume.from must rise from tier to tier")
    return bands


def _evaluation_days(days: list[int]) -> frozenset[int]:
    if not days or not set(days) <= set(range(1, 29)):
        raise ProgrammeError("DAYS_OUT_OF_RANGE: evaluation.days_of_month are days 1 to 28, which every month has")
    return frozenset(days)


def _trial(row: dict[str, Any]) -> Trial:
    closes_at_ns = None
    if "last_day" in row:
        closes_at_ns = (day_number(str(row["last_day"])) + 1) * DAY_NS
    return Trial(row["tier"], int(row["days"]), _choice(row, "trial", "once_per"), closes_at_ns)


def _token_discount(file: dict[str, Any]) -> TokenDiscount | None:
    if "token_discount" not in file:
        return None
    row = file["token_discount"]
    discount_ppm = rate_ppm(row["discount"], "token_discount.discount")
    return TokenDiscount(row["token"], discount_ppm, _choice(row, "token_discount", "exclusion"))


def _choice(table: dict[str, Any], name: str, key: str) -> str:
    value = table[key]
    if value not in _CHOICES[key]:
        raise ProgrammeError(f"VALUE_UNKNOWN: {name}.{key} = {value!r}, one of {', '.join(_CHOICES[key])}")
    return str(value)
