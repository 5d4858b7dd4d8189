"""Requests of commands, as a client would send them: the reverse of what `ledger.wire.commands` reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Final

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.commands import Command
from ledger.domain.instants import BEGINNING_NS, day_text
from ledger.domain.money import decimal_text
from ledger.v1.command_pb2 import Authority
from ledger.wire.commands.rpcs import COMMANDS

_PPM_SCALE: Final = 6


def message_of(command: Command, request_id: str, **by: str) -> Any:
    """The request of a command; `by` are fields of its authority."""
    request: Any = COMMANDS[_rpc_of(command)].request(request_id=request_id, authority=Authority(**by))
    for field in fields(command):
        _set(request, field.name, getattr(command, field.name))
    return request


def _rpc_of(command: Command) -> str:
    """The RPC of a command: one on a shared fact is asked without an account."""
    return type(command).__name__.replace("SharedFact", "Fact")


def actor_of(command: Command) -> str:
    """Who must ask for a command."""
    return getattr(command, "approved_by", "") or getattr(command, "actor", "") or "ops-1"


def _set(request: Message, name: str, value: Any) -> None:
    if value is None or name in _NOT_SAID:
        return
    if name in _OTHERS:
        _OTHERS[name](request, value)
    elif name.endswith("_ns"):
        if value != BEGINNING_NS:
            getattr(request, name.removesuffix("_ns")).CopyFrom(_instant(value))
    elif request.DESCRIPTOR.fields_by_name[name].is_repeated:
        getattr(request, name).extend(value)
    elif isinstance(value, str) and (enum := request.DESCRIPTOR.fields_by_name[name].enum_type):
        setattr(request, name, next(each.number for each in enum.values if each.name.endswith(f"_{value}")))
    else:
        setattr(request, name, value)


def _instant(at_ns: int) -> Timestamp:
    return Timestamp(seconds=at_ns // 10**9, nanos=at_ns % 10**9)


def _claim(request: Any, claim: Any) -> None:
    request.venues.extend(claim.venues)
    request.external_tier = claim.external_tier
    request.period_from.CopyFrom(_instant(claim.period_from_ns))
    request.period_until.CopyFrom(_instant(claim.period_until_ns))
    request.external_volume.spot = claim.spot_volume
    request.external_volume.futures = claim.futures_volume
    request.evidence_sha256 = claim.evidence_sha256


def _steps(request: Any, steps: Mapping[str, bool]) -> None:
    for name, done in steps.items():
        setattr(request, name, done)


def _rate(name: str) -> Callable[[Any, int], None]:
    return lambda request, ppm: setattr(request, name, decimal_text(ppm, _PPM_SCALE))


_NOT_SAID: Final = ("approved_by", "actor", "approver", "automatic", "programme", "content_sha256")  # it follows
_OTHERS: Final[Mapping[str, Callable[[Any, Any], None]]] = {
    "claim": _claim,
    "steps": _steps,
    "maker_ppm": _rate("maker_rate"),
    "taker_ppm": _rate("taker_rate"),
    "day": lambda request, day: setattr(request, "day", day_text(day)),
}
