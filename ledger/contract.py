"""The contract as its descriptors tell it: the RPCs of package ledger.v1, which of them command, the words of enums."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Final

from google.protobuf.descriptor import EnumDescriptor, MethodDescriptor, ServiceDescriptor

from ledger import v1

SERVICES: Final[tuple[ServiceDescriptor, ...]] = tuple(
    service
    for name in (found.name for found in pkgutil.iter_modules(v1.__path__) if found.name.endswith("_service_pb2"))
    for service in import_module(f"{v1.__name__}.{name}").DESCRIPTOR.services_by_name.values()
)
# By name: no two services have an RPC of the same one.
RPCS: Final[Mapping[str, MethodDescriptor]] = {rpc.name: rpc for service in SERVICES for rpc in service.methods}


def is_command(rpc: MethodDescriptor) -> bool:
    """Return True if an RPC commands: its request says who asks, and who approves."""
    return "authority" in rpc.input_type.fields_by_name


def snake_case(rpc: str) -> str:
    """Return the name of an RPC as functions have it: ban_account for BanAccount."""
    return re.sub("(?<!^)(?=[A-Z])", "_", rpc).lower()


def values_by_word(enum: EnumDescriptor) -> Mapping[str, int]:
    """Return the numbers of an enum by the names of its values without their prefix: {"CHARGE": 1, "REBATE": 2}."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {value.name.removeprefix(prefix): value.number for value in enum.values if value.number}
