"""Maps FeeCredited and CreditWithdrawn to bytes and back. The envelope says when the day begins."""

from __future__ import annotations

from ledger.domain.events import CreditEvent, CreditWithdrawn, FeeCredited
from ledger.store.codec.parts import totals_message, totals_of
from ledger.v1 import events_pb2


def encode_credit(envelope: events_pb2.Envelope, event: CreditEvent) -> bytes:
    """Return the bytes of a credit, or of its withdrawal."""
    assert envelope.effective_time_ns == event.time_min_ns, (envelope.effective_time_ns, event.time_min_ns)
    message: events_pb2.FeeCredited | events_pb2.CreditWithdrawn = (
        events_pb2.FeeCredited()
        if isinstance(event, FeeCredited)
        else events_pb2.CreditWithdrawn(credit_position=event.credit_position)
    )
    message.envelope.CopyFrom(envelope)
    message.amount, message.currency, message.reason_code = event.amount, event.currency, event.reason_code
    message.time_max_so_far_ns = event.time_max_so_far_ns
    message.totals.extend(map(totals_message, event.totals))
    message.previous_position = event.previous_position
    return message.SerializeToString(deterministic=True)


def decode_credit(state: bytes) -> tuple[events_pb2.Envelope, FeeCredited]:
    """Return the envelope and the credit that bytes hold."""
    message = events_pb2.FeeCredited.FromString(state)
    event = FeeCredited(
        message.amount,
        message.currency,
        message.reason_code,
        message.envelope.effective_time_ns,
        message.time_max_so_far_ns,
        tuple(map(totals_of, message.totals)),
        message.previous_position,
    )
    return message.envelope, event


def decode_withdrawal(state: bytes) -> tuple[events_pb2.Envelope, CreditWithdrawn]:
    """Return the envelope and the withdrawal of a credit that bytes hold."""
    message = events_pb2.CreditWithdrawn.FromString(state)
    event = CreditWithdrawn(
        message.credit_position,
        message.amount,
        message.currency,
        message.reason_code,
        message.envelope.effective_time_ns,
        message.time_max_so_far_ns,
        tuple(map(totals_of, message.totals)),
        message.previous_position,
    )
    return message.envelope, event
