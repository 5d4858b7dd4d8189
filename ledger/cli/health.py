"""`fee-ledger health`: whether a ledger serves reads and writes, for people, containers and scripts."""

from __future__ import annotations

import json
from typing import Final

import grpc
from google.protobuf.wrappers_pb2 import StringValue, UInt32Value

from ledger.cli.arguments import common
from ledger.cli.queries import ASK
from ledger.cli.subcommands import CONNECT_S_MAX, Options, argument
from ledger.client.calls import Calls

# The messages of grpc.health.v1 are a text and a number: these two have the same bytes, and come with protobuf.
_CHECK: Final = "/grpc.health.v1.Health/Check"
_ASKED: Final = {"reads": "", "writes": "ledger.v1.FillService"}  # names of health
_SERVING: Final = 1


@ASK.add(
    "health",
    "whether the ledger serves reads, and writes",
    "health",
    "health --writes --timeout 5",
    arguments=(argument("--writes", action="store_true", help="a standby, which serves reads alone, is not enough"),),
    parents=(common,),
    notes="exit code 0: reads are served, with --writes also writes; 1: they are not; 2: nobody answers",
    refused=2,
)
def _health(options: Options) -> int:
    call = Calls(options.timeout, CONNECT_S_MAX)
    with grpc.insecure_channel(options.address) as channel:
        check = channel.unary_unary(_CHECK, StringValue.SerializeToString, UInt32Value.FromString)
        serves = {what: call(check, StringValue(value=name), None).value == _SERVING for what, name in _ASKED.items()}
    if options.json:
        print(json.dumps(serves))
    else:
        print("\n".join(f"{what:<6}  {'served' if served else 'not served'}" for what, served in serves.items()))
    return 0 if serves["writes" if options.writes else "reads"] else 1
