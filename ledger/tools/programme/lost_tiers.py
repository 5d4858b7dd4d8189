"""The losses that a new version brings: tiers that it no longer has, and the accounts that hold one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from ledger import programmes
from ledger.cli.screens import many
from ledger.client import Client, LedgerError
from ledger.domain.refusal import Reason
from ledger.domain.state.programme import Programme

_NAMED_MAX: Final = 20  # accounts; of the others only how many they are


def lost_tiers(was: Programme, becomes: Programme) -> list[str]:
    """Return the tiers that a version has and the next one has not, worst first."""
    return [tier for tier in was.tiers if not becomes.rank(tier)]


def packaged_before(becomes: Programme) -> Programme | None:
    """Return the packaged version of a programme; None: it has none."""
    packaged = (programmes.parse(programmes.packaged(name)) for name in programmes.packaged_names())
    return next((programme for programme in packaged if programme.programme_id == becomes.programme_id), None)


def of_ledger(ledger: Client, becomes: Programme, as_of: int | None) -> Programme | None:
    """Return the version that a ledger has in force at an instant; None: the programme is new to it."""
    try:
        answer = ledger.get_programme(becomes.programme_id, as_of=as_of)
    except LedgerError as error:
        if error.reason == Reason.PROGRAMME_UNKNOWN:
            return None
        raise
    return programmes.parse(answer.programme.content)


def warnings(was: Programme | None, becomes: Programme) -> list[str]:
    """Return a line for the tiers that are lost, if any are."""
    lost = [] if was is None else lost_tiers(was, becomes)
    if was is None or not lost:
        return []
    before = f"{was.programme_id} {was.version}"
    after = "who has one falls to another grant or to the base rate"
    return [f"warning: TIERS_LOST: {', '.join(lost)} of {before} not there: nobody gets them any more, and {after}"]


def holders(ledger: Client, was: Programme | None, becomes: Programme, as_of: int | None) -> Iterator[str]:
    """Yield lines that name the accounts of a ledger that lose their tier: how many, and the first ones."""
    for tier in [] if was is None else lost_tiers(was, becomes):
        found = ledger.list_accounts(tier=tier, programme_id=becomes.programme_id, as_of=as_of)
        named = [account.account_id for account in islice(found, _NAMED_MAX)]
        others = sum(1 for _ in found)
        names = ", ".join(named) + (f" and {others} more" if others else "")
        yield f"warning: {tier}: {many(len(named) + others, 'account')} would lose it: {names or 'none'}"


def unknown_symbols(ledger: Client, becomes: Programme) -> Iterator[programmes.Fault]:
    """Yield a fault for each override of a symbol that the ledger does not know."""
    if becomes.overrides:
        pages = ledger.pair_pages(of_any(ledger))
        known = {pair.symbol for page in pages for pair in page.pairs}
        for symbol in sorted(becomes.overrides.keys() - known):
            yield programmes.Fault(
                "SYMBOL_UNKNOWN", f"overrides.{symbol}", "is no symbol that the ledger has registered"
            )


def of_any(ledger: Client) -> str:
    """Return the id of some programme of a ledger: symbols are the same in all of them."""
    pages = ledger.programme_pages("")
    return next((one.programme_id for page in islice(pages, 1) for one in page.programmes), "")
