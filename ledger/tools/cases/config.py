"""`given.config`: the packaged programme with some of its switches set, by their flat names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final
from zoneinfo import ZoneInfo

from ledger import programmes
from ledger.domain.instants import SECOND_NS
from ledger.domain.state.programme import Programme
from ledger.tools.cases.fields import Fields, to_day, to_instant, to_list

CHOICES: Final = {
    "boundary_policy": ("table", "terms"),
    "above_top": ("keep", "manual_review"),
    "deactivation": ("at_grant_end", "immediate"),
    "grant_resolution": ("highest_active", "latest_evaluation_wins"),
    "grant_term": ("P30D", "next_calendar_month"),
    "btc_close": ("fill_day", "evaluation_day"),
    "match_volume": ("sum", "max", "spot_only"),
    "bmx_exclusion": ("while_vip", "trial_only", "permanent_after_trial"),
    "fee_currency": ("QUOTE", "RECEIVED"),
    "rate_scope": ("account", "api_only"),
    "rounding": ("ROUND_HALF_EVEN", "ROUND_CEILING"),
}
FLAGS: Final = {
    "aggregate_subaccounts": False,
    "trial_counts_as_membership": True,
    "never_worse_than_base": True,
}
_FIELDS: Final = {"btc_close": "close_day"}  # where the programme's word is another


def read_programme(given: Fields) -> Programme:
    """The programme under the switches of a case."""
    config = given.fields("config", {})
    changes: dict[str, Any] = {
        _FIELDS.get(name, name): config.choice(name, choices, choices[0]) for name, choices in CHOICES.items()
    }
    changes.update({name: config.flag(name, default) for name, default in FLAGS.items()})
    changes["effective_delay_ns"] = config.read("effective_delay_s", _seconds, 0) * SECOND_NS
    changes["timezone"] = config.read("timezone", _zone, "UTC")
    changes["period_from_ns"] = config.read("program_start", _start, None)
    changes["holidays"] = config.read("holidays", lambda value: frozenset(map(to_day, to_list(value))), frozenset())
    config.end()
    programme = programmes.parse(programmes.packaged())
    assert programme.token_discount is not None
    changes["token_discount"] = replace(programme.token_discount, exclusion=changes.pop("bmx_exclusion"))
    return replace(programme, **changes)


def _seconds(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("is no whole number of seconds")
    return value


def _zone(value: Any) -> str:
    take: Callable[[Any], Any] = ZoneInfo
    try:
        take(value)
    except (OSError, ValueError, KeyError, TypeError):  # each of them, for one kind of bad name or another
        raise ValueError("is no IANA time zone") from None
    return str(value)


def _start(value: Any) -> int | None:
    return None if value == "none" else to_instant(value)
