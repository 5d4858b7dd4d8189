"""A preview of a command beside what the command then records: events, and the amounts reckoned from their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction

from ledger.domain.events import CreditEvent, FeeAdjusted, FeeCredited, Recorded
from ledger.domain.streams import account_of
from ledger.store.codec.erasable import apart
from ledger.v1.command_pb2 import LaterCommits, Preview

Moved = Mapping[tuple[str, str], Fraction]  # by account and currency


def unsalted(recorded: Recorded) -> Recorded:
    """Return an event without the hashes of its reason and of its erasable part, whose salts are drawn anew."""
    kept, _ = apart(recorded)
    return replace(kept, envelope=replace(kept.envelope, reason_sha256=b"", erasable_sha256=b""))


def posted(events: Iterable[Recorded]) -> tuple[int, Moved]:
    """Return (how many lines were restated, by how much more they cost), with credits and what is withdrawn of them."""
    lines, found = 0, dict[tuple[str, str], Fraction]()
    for recorded in events:
        event = recorded.event
        if isinstance(event, CreditEvent):
            key = account_of(recorded.stream), event.currency
            back = Fraction(event.amount)
            found[key] = found.get(key, Fraction()) + (-back if isinstance(event, FeeCredited) else back)
        if not isinstance(event, FeeAdjusted):
            continue
        lines += len(event.lines)
        for line in event.lines:
            for values, sign in ((line.before, -1), (line.after, 1)):
                basis = event.bases[values.basis_index]
                key = account_of(recorded.stream), basis.fee_currency
                found[key] = found.get(key, Fraction()) + Fraction(sign * values.fee, 10**basis.fee_decimals)
    return lines, found


def foretold(preview: Preview) -> tuple[int, Moved]:
    """Return the same as a preview says it. Its net is that of its accounts."""
    return _moved(preview)


def foretold_later(preview: Preview) -> tuple[int, Moved]:
    """Return the same of what commits after the preview's own would post, which it tells wholly."""
    assert (preview.later.complete, preview.lines_later) == (True, 0)
    assert preview.later.accounts == len({one.account_id for one in preview.later.differences})
    return _moved(preview.later)


def _moved(told: Preview | LaterCommits) -> tuple[int, Moved]:
    found = {(one.account_id, one.currency): Fraction(one.amount) for one in told.differences}
    net = dict[tuple[str, str], Fraction]()
    for (_, currency), amount in found.items():
        net["", currency] = net.get(("", currency), Fraction()) + amount
    assert {(one.account_id, one.currency): Fraction(one.amount) for one in told.net} == net
    return told.lines, found
