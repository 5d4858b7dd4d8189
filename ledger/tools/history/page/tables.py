"""The tables of the page: what the pictures show, in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from ledger.domain.instants import day_text
from ledger.domain.state.programme import Programme
from ledger.domain.state.volume_cells import FEE_SCALE, NOTIONAL_SCALE
from ledger.tools.history.page.days import Days
from ledger.tools.history.page.drawing import moment
from ledger.tools.history.page.life import SOURCES, Life, span
from ledger.tools.history.page.words import decimals, percent

RATE_SOURCES: Final = {
    "TIER": "the tier's",
    "PAIR": "the pair's own",
    "BASE": "base rate",
    "BASE_LOWER": "base rate, which is lower",
    "REBATE_SUPPRESSED": "no rebate on a self-trade",
}


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a head with ">" before it is of numbers."""
    css = [' class="n"' if head.startswith(">") else "" for head in heads]
    top = "".join(f"<th{style}>{escape(head.lstrip('>'))}</th>" for style, head in zip(css, heads, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{style}>{escape(cell)}</td>" for style, cell in zip(css, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def folded(summary: str, content: str) -> str:
    """What is shown on a click."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def kinds_table(days: Days) -> str:
    """What fees rest on, the most volume first."""
    ordered = sorted(days.kinds.items(), key=lambda each: (each[0].currency, -each[1][1]))
    rows = [
        (
            kind.tier if kind.tier != "NONE" else "no tier",
            kind.pair_class or "none",
            kind.role,
            percent(kind.rate),
            RATE_SOURCES.get(kind.rate_source, kind.rate_source),
            percent(kind.discount) if kind.discount not in {"", "0"} else "-",
            f"{fills:,}",
            decimals(volume, NOTIONAL_SCALE),
            decimals(fee, FEE_SCALE),
            kind.currency,
        )
        for kind, (fills, volume, fee) in ordered
        if fills
    ]
    heads = ("tier", "class", "as", ">rate", "which is", "discount", ">fills", ">volume", ">fees", "in")
    return table(heads, rows)


def grants_table(life: Life) -> str:
    """Every grant that is known, past and future."""
    rows = [
        (
            grant.grant_id,
            grant.tier,
            SOURCES.get(grant.source, grant.source),
            *_interval(grant.valid_from_ns, grant.valid_until_ns),
            moment(grant.revoked_time_ns) if grant.revoked_time_ns < grant.valid_until_ns else "-",
        )
        for grant in life.account.grants
    ]
    return table(("grant", "tier", "source", "from", "until", "revoked"), rows)


def bans_table(life: Life) -> str:
    """Flags and bans."""
    rows = [
        (flag.flag_id, f"flagged {flag.kind}", *_interval(flag.flagged_time_ns, flag.unflagged_time_ns))
        for flag in life.account.flags
    ]
    rows += [
        (ban.ban_id, f"banned {ban.reason_code}", *_interval(ban.start_time_ns, ban.end_time_ns))
        for ban in life.account.bans
    ]
    return table(("id", "what", "from", "until"), rows)


def evaluations_table(life: Life) -> str:
    """Every evaluation of its volume."""
    rows = [
        (
            moment(event.evaluated_time_ns),
            "trial" if event.kind == "POST_TRIAL" else "30 days",
            f"{moment(event.window_from_ns)} until {moment(event.window_until_ns)}",
            f"{event.volume} {event.volume_currency}",
            event.tier,
            event.grant_id or "-",
        )
        for event in life.evaluations
    ]
    return table(("as of", "of", "window", ">volume", "gives", "grant"), rows)


def days_table(days: Days, rolled: dict[int, int], programme: Programme) -> str:
    """Fees of each day that has any, and the volume of its window."""
    rows = [
        (
            day_text(day),
            currency,
            *(decimals(amount, FEE_SCALE) for amount in (up, down, up + down)),
            decimals(rolled.get(day, 0), NOTIONAL_SCALE),
        )
        for currency, fees in sorted(days.fees.items())
        for day, (up, down) in sorted(fees.items())
    ]
    window = f">volume of {programme.window_days} days, {programme.volume_currency}"
    return table(("day", "currency", ">charged", ">paid back", ">net", window), rows)


def _interval(from_ns: int, until_ns: int) -> tuple[str, str]:
    begin, _, end = span(from_ns, until_ns).partition(" until ")
    return begin, end
