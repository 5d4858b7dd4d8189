"""Engines that are silent, and evaluations that were due and are not done."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from ledger import programmes
from ledger.domain.events import POSITION_MAX
from ledger.domain.instants import SECOND_NS, instant_text
from ledger.domain.state.programme import Programme
from ledger.domain.state.rulebook import fold_rulebook
from ledger.tools.doctor.finding import Finding, note, ok, unseen, warning
from ledger.tools.doctor.site import Site
from ledger.tools.doctor.tables import tables_are
from ledger.tools.doctor.words import MINUTE_NS, span
from ledger.wire.status import RefusedError
from projections.controls import evaluations_open, scope, trials_open
from projections.evaluation.sources import reached, signs

_TOLD: Final = 5  # of each kind; `fee-ledger controls` has all
_WITHIN_DAYS: Final = 30
_STATUS: Final = "status"


def silent(site: Site) -> Iterator[Finding]:
    """Find sources that gave no sign of life for longer than `--silent-minutes`."""
    now_ns, most_ns = site.now_ns, site.silent_minutes * MINUTE_NS
    found = signs(site.log, site.head.position)
    quiet = [sign for sign in found if now_ns - sign.signed_ns > most_ns]
    for sign in quiet:
        ago_ns = now_ns - sign.signed_ns
        until = instant_text(now_ns // SECOND_NS * SECOND_NS)
        yield warning(
            f"source {sign.source} has given no sign for {span(ago_ns)}, and {reached(sign)}: start its engine, or say"
            " that it has no fills up to now, if that is so",
            site.asks(f"record-fills --source {sign.source} --complete-until {until}"),
            source=sign.source,
            silent_s=ago_ns // SECOND_NS,
        )
    if not found:
        yield ok("no source has sent anything yet", sources=0)
    elif not quiet:
        last_ns = max(now_ns - sign.signed_ns for sign in found)
        yield ok(f"sources: {len(found)}, the quietest of which gave a sign {span(max(last_ns, 0))} ago",
                 sources=len(found))  # fmt: skip


def missed(site: Site) -> Iterator[Finding]:
    """Find evaluations that were due since the ledger began, and were not run, or wait for closes."""
    found = 0
    for one in _scopes(site):
        open_ = (each for each in evaluations_open.CONTROL.find(one) if each.details[_STATUS] != evaluations_open.LATE)
        for each in islice(open_, _TOLD):
            found += 1
            yield warning(each.message, _evaluate(site, one, each), **each.details)
        found += sum(1 for _ in open_)
    if found:
        yield note(f"evaluations that are not done: {found:,}", site.asks("controls evaluations-open"), found=found)
    else:
        yield ok("every evaluation that was due is done, or none was")


def trials(site: Site) -> Iterator[Finding]:
    """Find trials that have ended and were not evaluated, as far as the tables are."""
    found = 0
    if not tables_are(site).version:
        yield unseen("there are no tables of the read side yet")
        return
    try:
        for one in _scopes(site):
            found += sum(1 for _ in trials_open.CONTROL.find(one))
    except RefusedError as error:
        yield unseen(error.refusal.detail)
        return
    if found:
        yield warning(f"trials that have ended and were not evaluated: {found:,}",
                      site.asks("evaluate --kind post-trial --actor ME --approver ANOTHER"), found=found)  # fmt: skip
    else:
        yield ok("every trial that has ended is evaluated, or none has")


def _scopes(site: Site) -> Iterator[scope.Scope]:
    """Yield the scope of a control for each programme that is in force."""
    now_ns = site.now_ns
    book = fold_rulebook(programmes.parse, site.log.rulebook(POSITION_MAX))
    for programme in book.in_force(now_ns) if site.head.position else ():
        assert isinstance(programme, Programme)
        yield scope.Scope(site.log, site.schema, book, programme, now_ns, _WITHIN_DAYS, now_ns)


def _evaluate(site: Site, one: scope.Scope, found: scope.Finding) -> str:
    """Return what does the evaluation; where it waits for closes, what records the first of them."""
    if closes := found.details.get("closes"):
        asset, day = closes.split(", ")[0].split()
        return site.asks(f"record-close {asset} {day} PRICE --source ID --evidence SHA256")
    assert found.time_ns is not None
    programme, instant = one.programme.programme_id, instant_text(found.time_ns)
    return site.asks(f"evaluate --programme {programme} --instant {instant} --actor ME --approver ANOTHER")
