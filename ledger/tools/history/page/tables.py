"""The tables of the page: what the pictures show, in numbers that add up to those of the cards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ledger.cli.screens.fills import credit_word
from ledger.domain.decide.facts import (
    BAN,
    BAN_LIFT,
    BY_DEBIT,
    BY_FLAG,
    BY_SIZE,
    BY_SWITCH,
    FLAG,
    GRANT,
    OWNER,
    REVOCATION,
    UNFLAG,
)
from ledger.domain.events import POST_TRIAL, CellKey, VolumeEvaluated
from ledger.domain.instants import day_text
from ledger.domain.rules.cumulative_trading_volume import excluded_because
from ledger.domain.state.programme import Programme
from ledger.domain.state.shared_facts import PAIR_CLASS, PAIR_RATES
from ledger.domain.state.volume_cells import FEE_SCALE, NOTIONAL_SCALE, exact
from ledger.tools.history.entries import credited
from ledger.tools.history.page.days import ByDay, Kind, Parts, Worth
from ledger.tools.history.page.life import SOURCES, Held, Life, span
from ledger.tools.pages.parts import Table
from ledger.tools.pages.words import decimals, moment, percent
from ledger.v1.query_service_pb2 import FeeLine

NONE: Final = "-"
_RATE_SOURCES: Final = {
    "TIER": "the tier's",
    "PAIR": "the pair's own",
    "BASE": "base rate",
    "BASE_LOWER": "base rate, which is lower",
    "REBATE_SUPPRESSED": "no rebate on a self-trade",
}
_REASONS: Final = {
    "NOT_SPOT": "not spot",
    "NOT_API": "not through the API",
    "SELF_TRADE": "with oneself",
    "BANNED": "while banned",
    "OUTSIDE_PROGRAMME": "outside the programme's time",
}

_FACTS: Final = {
    GRANT: "grant",
    REVOCATION: "revocation",
    FLAG: "flag",
    UNFLAG: "un-flag",
    BAN: "ban",
    BAN_LIFT: "lift of a ban",
    OWNER: "owner",
    PAIR_CLASS: "class of a pair",
    PAIR_RATES: "rates of a pair",
}
_WITHHELD: Final = {
    BY_SWITCH: "the programme says {switch}: two persons may release it",
    BY_DEBIT: "the programme says {switch}, and the account would not pay less: two persons may release it",
    BY_FLAG: "a flag runs",
    BY_SIZE: "the sum of so many fills, or of fills that were being restated, was not told: two persons may release it",
}


def kinds_table(kinds: Mapping[Kind, Sequence[int]]) -> Table:
    """Show what fees rest on, the most volume first; the fees of a sum are all in its currency."""
    rows = [
        (
            kind.tier if kind.tier != "NONE" else "no tier",
            kind.pair_class or "none",
            kind.role,
            percent(kind.rate),
            _RATE_SOURCES.get(kind.rate_source, kind.rate_source),
            percent(kind.discount) if kind.discount not in {"", "0"} else NONE,
            f"{fills:,}",
            f"{decimals(volume, NOTIONAL_SCALE)} {kind.quote}",
            f"{decimals(fee, FEE_SCALE)} {kind.currency}",
        )
        for kind, (fills, volume, fee) in sorted(kinds.items(), key=lambda each: (each[0].quote, -each[1][1]))
        if fills
    ]
    heads = ("tier", "class", "as", ">rate", "~which is", "discount", ">fills", ">volume", ">fees")
    return Table("What the fees rest on", heads, rows, _kind_sums(kinds))


def _kind_sums(kinds: Mapping[Kind, Sequence[int]]) -> Iterator[Sequence[str]]:
    currencies = {kind.quote for kind in kinds} | {kind.currency for kind in kinds}
    for currency in sorted(currencies):
        fills, volume = (sum(sums[place] for kind, sums in kinds.items() if kind.quote == currency) for place in (0, 1))
        fee = sum(sums[2] for kind, sums in kinds.items() if kind.currency == currency)
        traded = (f"{fills:,}", f"{decimals(volume, NOTIONAL_SCALE)} {currency}") if fills else (NONE, NONE)
        yield f"sum in {currency}", *[""] * 5, *traded, f"{decimals(fee, FEE_SCALE)} {currency}"


def fees_table(currency: str, fees: ByDay) -> Table:
    """Show what was charged and paid back on each day, in one currency."""
    rows = [(day_text(day), *_charged(up, down)) for day, (up, down) in sorted(fees.items())]
    up, down = (sum(sums[place] for sums in fees.values()) for place in (0, 1))
    heads = ("@day", ">charged", ">paid back", ">net")
    return Table(f"Fees by day, in {currency}", heads, rows, [(f"sum in {currency}", *_charged(up, down))])


def credits_table(lines: Sequence[FeeLine]) -> Table:
    """Show what was credited by hand and withdrawn: who did it, and why."""
    rows = [
        (
            line.fill_ref.day,
            credit_word(line),
            f"{decimals(credited(line), FEE_SCALE)} {line.fee_currency}",
            line.credit.reason_code,
            line.credit.asked_by,
            line.credit.approved_by,
            str(line.credit.credit_position),
            moment(line.recorded_time.ToNanoseconds()),
        )
        for line in lines
    ]
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.fee_currency] = sums.get(line.fee_currency, 0) + credited(line)
    heads = ("@day", "what", ">amount", "~why", "asked by", "approved by", ">credit", "@recorded")
    ends = [
        (f"sum in {currency}", "", f"{decimals(amount, FEE_SCALE)} {currency}", *[""] * 5)
        for currency, amount in sorted(sums.items())
    ]
    return Table("Credits by hand", heads, rows, ends)


def _charged(up: int, down: int) -> Iterator[str]:
    return (decimals(amount, FEE_SCALE) for amount in (up, down, up + down))


def volumes_table(volumes: Mapping[int, Parts], worth: Worth, rolled: Mapping[int, int], programme: Programme) -> Table:
    """Show what was traded on each day, what of it counts, why the rest does not, and the volume of its window."""
    rows, sums = [], dict[str, Parts]()
    for day, parts in sorted(volumes.items()):
        for place, quote in enumerate(sorted({quote for quote, _ in parts})):
            of_quote = {part: amount for part, amount in parts.items() if part[0] == quote}
            of_sum = sums.setdefault(quote, {})
            for part, amount in of_quote.items():
                of_sum[part] = of_sum.get(part, 0) + amount
            value = worth.by_day.get(day, {}).get(quote, 0)
            window = decimals(rolled.get(day, 0), NOTIONAL_SCALE) if not place else ""
            lacking = of_quote.get((quote, "")) and quote not in worth.by_day.get(day, {})
            shown = f"no close of {quote}" if lacking else decimals(value, NOTIONAL_SCALE)
            rows.append((day_text(day), *_counted(quote, of_quote), shown, window))
    total = {quote: sum(by_quote.get(quote, 0) for by_quote in worth.by_day.values()) for quote in sums}
    ends = [
        (f"sum in {quote}", *_counted(quote, parts), decimals(total[quote], NOTIONAL_SCALE), "")
        for quote, parts in sorted(sums.items())
    ]
    currency, days = programme.volume_currency, programme.window_days
    heads = ("@day", ">traded", ">counts", "~what does not", f">worth, {currency}", f">{days} days, {currency}")
    return Table("Volume by day", heads, rows, ends)


def _counted(quote: str, parts: Parts) -> tuple[str, str, str]:
    counts, excluded = parts.get((quote, ""), 0), {reason: amount for (_, reason), amount in parts.items() if reason}
    traded = counts + sum(excluded.values())
    return f"{decimals(traded, NOTIONAL_SCALE)} {quote}", decimals(counts, NOTIONAL_SCALE), _reasons(excluded) or NONE


def _reasons(excluded: Mapping[str, int]) -> str:
    told = ((decimals(amount, NOTIONAL_SCALE), _REASONS.get(reason, reason)) for reason, amount in excluded.items())
    return ", ".join(f"{amount} {reason}" for amount, reason in sorted(told, key=lambda each: each[1]))


def evaluations_table(held: Held, life: Life, since: Mapping[int, Mapping[str, int]]) -> Table:
    """Show each evaluation: what it read, what counted, and why its volume is not what was traded."""
    rows = [
        (
            moment(event.evaluated_time_ns),
            "trial" if event.kind == POST_TRIAL else "30 days",
            moment(event.window_from_ns),
            moment(event.window_until_ns),
            *_evaluated(event, life.programme(event.evaluated_time_ns), since.get(event.evaluated_time_ns, {})),
            event.tier,
            event.grant_id or NONE,
        )
        for event in held.evaluations
    ]
    heads = ("@as of", "of", "@from", "@until", ">traded", ">evaluated", "~why they differ", "gives", "grant")
    return Table("Evaluations", heads, rows)


def _evaluated(event: VolumeEvaluated, programme: Programme, since: Mapping[str, int]) -> tuple[str, str, str]:
    """(traded in the volume currency, evaluated, what lies between them): the first and the last make the second."""
    currency = event.volume_currency
    traded, others, excluded = 0, list[str](), dict[str, int]()
    for cell in event.cells:
        reason = excluded_because(CellKey(cell.quote_currency, cell.product, cell.channel, cell.self_trade,
                                          cell.banned, zero_fee=False), programme)  # fmt: skip
        amount = exact(cell.notional, NOTIONAL_SCALE)
        if cell.quote_currency == currency:
            traded += amount
            excluded[reason] = excluded.get(reason, 0) - amount
        elif not reason:
            others.append(f"{decimals(amount, NOTIONAL_SCALE)} {cell.quote_currency}")
    excluded.pop("", None)
    valued = exact(event.volume, NOTIONAL_SCALE) - traded - sum(excluded.values())
    told = [_reasons(excluded)] if excluded else []
    if valued:
        told.append(f"{decimals(valued, NOTIONAL_SCALE)} for {' and '.join(others)} at daily closes")
    if since:
        late = ", ".join(f"{decimals(amount, NOTIONAL_SCALE)} {quote}" for quote, amount in sorted(since.items()))
        told.append(f"changed since, and not in it: {late}")
    volume = f"{decimals(exact(event.volume, NOTIONAL_SCALE), NOTIONAL_SCALE)} {currency}"
    return f"{decimals(traded, NOTIONAL_SCALE)} {currency}", volume, "; ".join(told) or NONE


def grants_table(held: Held) -> Table:
    """Show the grants that touch the period."""
    rows = [
        (
            grant.grant_id,
            grant.tier,
            SOURCES.get(grant.source, grant.source),
            *_interval(grant.valid_from_ns, grant.valid_until_ns),
            moment(grant.revoked_time_ns) if grant.revoked_time_ns < grant.valid_until_ns else NONE,
        )
        for grant in held.grants
    ]
    return Table("Grants", ("grant", "tier", "source", "@from", "@until", "@revoked"), rows)


def bans_table(held: Held) -> Table:
    """Show the flags and bans that touch the period."""
    rows = [
        (flag.flag_id, f"flagged {flag.kind}", *_interval(flag.flagged_time_ns, flag.unflagged_time_ns))
        for flag in held.flags
    ]
    rows += [
        (ban.ban_id, f"banned {ban.reason_code}", *_interval(ban.start_time_ns, ban.end_time_ns)) for ban in held.bans
    ]
    return Table("Flags and bans", ("id", "~what", "@from", "@until"), rows)


def withheld_table(held: Held) -> Table:
    """Show the late facts that fills of the period do not count by."""
    rows = [
        (
            str(fact.position),
            f"{'withdrawal of a ' if fact.withdrawn_position else ''}{_FACTS.get(fact.cause, fact.cause)}",
            moment(fact.from_ns),
            " ".join([*one.programme_ids, *one.currencies]) or "all",
            _WITHHELD.get(one.reason, one.reason).format(switch=one.switch),
        )
        for fact, one in held.withheld
    ]
    return Table("Withheld facts", (">position", "fact", "@from", "fills of", "~why they do not count by it"), rows)


def _interval(from_ns: int, until_ns: int) -> tuple[str, str]:
    begin, _, end = span(from_ns, until_ns).partition(" until ")
    return begin, end
