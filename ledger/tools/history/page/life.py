"""The life of an account as the log tells it: grants, flags, bans and evaluations, and the tier they make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Any, Final, NamedTuple

from ledger.domain.decide.facts import AccountFacts, Fact
from ledger.domain.decide.tier_stretches import tier_stretches
from ledger.domain.events import FactWithheld, VolumeEvaluated
from ledger.domain.grant_sources import EVALUATION, MANUAL, MATCH, TRIAL
from ledger.domain.instants import DAY_NS, NEVER_NS
from ledger.domain.state.account import AccountState, Ban, Flag, Grant, fold_account
from ledger.domain.state.programme import NO_TIER, Programme
from ledger.domain.state.rulebook import Dated
from ledger.domain.state.volume_cells import NOTIONAL_SCALE, exact
from ledger.store.codec.events import decode
from ledger.tools.history.page.charts import Period, VolumePoint, tier_css, volume_text
from ledger.tools.pages.drawing import Chart, Frame, Mark, box, text
from ledger.tools.pages.time_axis import time_axis
from ledger.tools.pages.words import moment

SOURCES: Final = {TRIAL: "trial", EVALUATION: "evaluated", MATCH: "match", MANUAL: "by hand"}
_LANE: Final = 26  # pixels
_CHARACTER: Final = 8


class Bar(NamedTuple):
    """An interval as a lane shows it; `words` stand in it if they have room."""

    from_ns: int
    until_ns: int
    css: str
    words: str
    tip: str


class Held(NamedTuple):
    """The parts of a life that touch an interval."""

    grants: list[Grant]
    flags: list[Flag]
    bans: list[Ban]
    evaluations: list[VolumeEvaluated]
    withheld: list[tuple[Fact, FactWithheld]]


class Life:
    """The decisions on one account, and the versions of its programme."""

    def __init__(self, account_id: str, events: Iterable[Any], programmes: Dated[Programme]) -> None:
        """`events` are those of its stream, as ListEvents gives them."""
        stored = [decode(one.position, one.stream, one.version, one.topic, one.state) for one in events]
        self.account: AccountState = fold_account(account_id, stored)
        self.evaluations = [one.event for one in stored if isinstance(one.event, VolumeEvaluated)]
        self._facts = AccountFacts(account_id, stored)
        self._programmes = programmes

    def programme(self, at_ns: int) -> Programme:
        """The version in force; before the first one, that one."""
        return next((one for since, one in reversed(self._programmes) if since <= at_ns), self._programmes[0][1])

    def tiers(self, period: Period) -> list[tuple[int, int, str]]:
        """(from, until, tier in effect), without gaps."""
        begin, end = period.first * DAY_NS, period.end * DAY_NS
        stretches = takewhile(lambda one: one.from_ns < end, tier_stretches(self.account, self._programmes, begin))
        return [(one.from_ns, min(one.until_ns, end), one.tier) for one in stretches]

    def instants(self) -> Iterator[int]:
        """When anything of it began or ended."""
        yield from self.account.change_instants
        yield from (event.evaluated_time_ns for event in self.evaluations)

    def within(self, begin_ns: int, end_ns: int) -> Held:
        """Return what touches [begin, end)."""

        def touches(from_ns: int, until_ns: int) -> bool:
            return from_ns < end_ns and (until_ns > begin_ns or from_ns >= begin_ns)

        account = self.account
        return Held(
            [one for one in account.grants if touches(one.valid_from_ns, one.ends_at_ns)],
            [one for one in account.flags if touches(one.flagged_time_ns, one.unflagged_time_ns)],
            [one for one in account.bans if touches(one.start_time_ns, one.end_time_ns)],
            [one for one in self.evaluations if begin_ns <= one.evaluated_time_ns < end_ns],
            [(fact, one) for fact, one in self._withheld() if fact.from_ns < end_ns],
        )

    def _withheld(self) -> Iterator[tuple[Fact, FactWithheld]]:
        for position, waiting in self._facts.withheld.items():
            for one in waiting:
                if (fact := self._facts.fact(position)) is not None:
                    yield fact, one

    def evaluated(self, period: Period) -> list[VolumePoint]:
        """Return the volumes that were evaluated at instants of a period."""
        return [
            VolumePoint(
                event.evaluated_time_ns,
                exact(event.volume, NOTIONAL_SCALE),
                f"{moment(event.evaluated_time_ns)}: evaluated {volume_text(exact(event.volume, NOTIONAL_SCALE))}"
                f" {event.volume_currency}, which gives {event.tier}",
            )
            for event in self.evaluations
            if period.holds(event.evaluated_time_ns)
        ]


def life_chart(period: Period, life: Life, width: int) -> Chart:
    """Draw the tier in effect, and below it where tiers came from and what stood against them."""
    lanes = list(_lanes(period, life))
    frame = period.frame(width, 8 + _LANE * len(lanes) + 44, left=84, top=8)
    marks = list(time_axis(frame))
    for place, (name, bars) in enumerate(lanes):
        y = frame.top + place * _LANE
        marks.append(text(4, y + 17, name, "lane"))
        marks += [drawn for bar in bars for drawn in _bar(frame, bar, y)]
    return frame.chart("Tier, grants, flags and bans over time", marks)


def _bar(frame: Frame, bar: Bar, y: float) -> Iterator[Mark]:
    left, right = frame.x(bar.from_ns), frame.x(bar.until_ns)
    yield box(left, y + 3, right - left - 1, _LANE - 6, f"bar {bar.css}", bar.tip, round_px=3)
    if len(bar.words) * _CHARACTER + 8 <= right - left:
        yield text((left + right) / 2, y + 17, bar.words, f"word {bar.css}", "middle")


def _lanes(period: Period, life: Life) -> Iterator[tuple[str, list[Bar]]]:
    """(name, bars that do not overlap); a source with overlapping grants has several lanes."""
    yield "tier", [_tier_bar(life, *each) for each in life.tiers(period) if each[2] != NO_TIER]
    for source, name in SOURCES.items():
        grants = [_grant_bar(life, grant) for grant in life.account.grants if grant.source == source]
        yield from _stacked(name, _within(period, grants))
    flags = [
        Bar(flag.flagged_time_ns, flag.unflagged_time_ns, "flag", flag.kind.lower(), f"flag {flag.flag_id},"
            f" {flag.kind}: {span(flag.flagged_time_ns, flag.unflagged_time_ns)}")
        for flag in life.account.flags
    ]  # fmt: skip
    yield from _stacked("flagged", _within(period, flags))
    bans = [
        Bar(ban.start_time_ns, ban.end_time_ns, "ban", "", f"ban {ban.ban_id}, {ban.reason_code}:"
            f" {span(ban.start_time_ns, ban.end_time_ns)}")
        for ban in life.account.bans
    ]  # fmt: skip
    yield from _stacked("banned", _within(period, bans))


def _within(period: Period, bars: Iterable[Bar]) -> list[Bar]:
    begin, end = period.first * DAY_NS, period.end * DAY_NS
    return [bar for bar in bars if bar.from_ns < end and bar.until_ns > begin and bar.from_ns < bar.until_ns]


def _stacked(name: str, bars: Sequence[Bar]) -> Iterator[tuple[str, list[Bar]]]:
    lanes: list[list[Bar]] = []
    for bar in sorted(bars):
        free = next((lane for lane in lanes if lane[-1].until_ns <= bar.from_ns), None)
        if free is None:
            lanes.append([bar])
        else:
            free.append(bar)
    for place, lane in enumerate(lanes):
        yield ("" if place else name), lane


def _tier_bar(life: Life, since: int, until: int, tier: str) -> Bar:
    return Bar(since, until, tier_css(life.programme(since), tier), tier, f"{tier}: {span(since, until)}")


def _grant_bar(life: Life, grant: Grant) -> Bar:
    css = f"grant {tier_css(life.programme(grant.valid_from_ns), grant.tier)}"
    revoked = f", revoked {moment(grant.revoked_time_ns)}" if grant.revoked_time_ns < grant.valid_until_ns else ""
    tip = f"grant {grant.grant_id}, {grant.tier}, {SOURCES.get(grant.source, grant.source)}:"
    tip = f"{tip} {span(grant.valid_from_ns, grant.valid_until_ns)}{revoked}"
    return Bar(grant.valid_from_ns, grant.ends_at_ns, css, f"{grant.tier} {grant.grant_id}", tip)


def span(from_ns: int, until_ns: int) -> str:
    """An interval in words."""
    return f"{moment(from_ns)} until {'further notice' if until_ns == NEVER_NS else moment(until_ns)}"
