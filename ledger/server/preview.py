"""A preview as the contract shows it: the events that a command would record, and what they would charge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from ledger.domain.events import CreditEvent, FeeAdjusted, Recorded
from ledger.domain.money import decimal_text
from ledger.domain.state.volume_cells import FEE_SCALE, amount_of
from ledger.domain.streams import account_of
from ledger.fills.adjust import differences
from ledger.store.codec.events import decode_row
from ledger.store.rows import Row
from ledger.v1 import command_pb2 as pb
from ledger.wire.status import timestamp
from ledger.writing.foresee import Foreseen
from ledger.writing.messages import Preview

_EVENTS_BYTES_MAX: Final = 1 << 20  # further ones are only counted


def preview_message(preview: Preview, foreseen: Foreseen | None) -> pb.Preview:
    """Return a preview as the contract shows it, with what commits after its own would post; None: none would come."""
    message = pb.Preview(known_at_position=preview.known_at, event_count=len(preview.rows))
    if foreseen is not None:
        message.lines_later = foreseen.lines_later
        message.later.CopyFrom(_later(foreseen))
    by_account: Counter[tuple[str, str]] = Counter()
    size = 0
    for row in preview.rows:
        recorded = decode_row(row)
        size += len(row.state)
        if size <= _EVENTS_BYTES_MAX:
            message.events.append(_event(row, recorded))
        if isinstance(recorded.event, FeeAdjusted):
            message.lines += len(recorded.event.lines)
            for entry in differences(recorded.event):
                by_account[account_of(row.stream), entry.currency] += entry.amount
        elif isinstance(recorded.event, CreditEvent):
            by_account[account_of(row.stream), recorded.event.currency] += amount_of(recorded.event)
    net: Counter[tuple[str, str]] = Counter()
    for (_, currency), amount in by_account.items():
        net["", currency] += amount
    message.differences.extend(_differences(by_account))
    message.net.extend(_differences(net))
    return message


def _later(foreseen: Foreseen) -> pb.LaterCommits:
    by_account = {
        (account_id, currency): net
        for account_id, nets in foreseen.by_account.items()
        for currency, net in nets.items()
    }
    whole = {("", currency): net for currency, net in foreseen.nets.items()} if foreseen.complete else {}
    return pb.LaterCommits(
        complete=foreseen.complete,
        lines=foreseen.lines,
        accounts=foreseen.accounts,
        differences=_differences(by_account),
        net=_differences(whole),
    )


def _event(row: Row, recorded: Recorded) -> pb.PreviewedEvent:
    envelope = recorded.envelope
    return pb.PreviewedEvent(
        position=row.position,
        stream=row.stream,
        version=row.version,
        topic=row.topic,
        state=row.state,
        recorded_time=timestamp(envelope.recorded_time_ns),
        effective_time=timestamp(envelope.effective_time_ns),
        actor=envelope.actor,
        request_id=envelope.request_id,
    )


def _differences(found: Mapping[tuple[str, str], int]) -> list[pb.FeeDifference]:
    """Return sums by account and currency, with FEE_SCALE decimals, as the contract shows them."""
    return [
        pb.FeeDifference(account_id=account_id, currency=currency, amount=decimal_text(amount, FEE_SCALE))
        for (account_id, currency), amount in sorted(found.items())
    ]
