"""The accounts of the load: members, each with an owner and a grant, of whom a third change their tier as they trade.

All fills of a load trade within one minute. The grants that begin or end in it were given before, so no command is sent
while anything is measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final

import grpc

from ledger.domain.instants import DAY_NS, LATEST_NS, SECOND_NS
from ledger.domain.state.programme import NO_TIER
from ledger.server.command_rpc import request_of
from ledger.store.log import Log
from ledger.store.postgres.database import open_datastore
from ledger.store.recorder import LedgerRecorder
from ledger.v1 import query_service_pb2, query_service_pb2_grpc
from ledger.v1.command_pb2 import Authority
from ledger.v1.command_service_pb2 import ChangeTierRequest, RegisterAccountRequest
from ledger.wire.commands.rpcs import COMMANDS
from ledger.wire.fields import Shape
from ledger.wire.status import timestamp
from ledger.writing.messages import Accepted, DecideCommand
from scripts.bench.fills import START_NS, account_id, register_requests
from scripts.bench.service import CALL_SECONDS_MAX, Served, ledger
from scripts.bench.store import Store, check
from scripts.bench.tables import bring_up, wait_for_tables
from scripts.bench.write_side import writing

SCHEMA: Final = "ledger"  # of the databases with members
MINUTE_NS: Final = 60 * SECOND_NS
CHANGING: Final = "a third, by grants that begin or end within the minute in which all fills trade"
_AUTHORITY: Final = Authority(actor="bench", approver="bench-2", reason="measuring")
_COMMANDS_AT_ONCE: Final = 2_000
_INSTANTS: Final = 997  # at which grants begin or end, spread over the minute
_LOOKED_AT: Final = 12  # members whose lines are compared with their tiers
_PAGE_LINES: Final = 1_000
_STEADY: Final = ("VIP1", "VIP1", "VIP2", "VIP2")
_ENDS, _BEGINS = len(_STEADY), len(_STEADY) + 1  # the other two of six members
_CHANGING_TIER: Final = "VIP3"


def grant_of(number: int) -> tuple[str, int, int]:
    """Return tier, first instant and end of the grant of a member."""
    kind, place = number % (_BEGINS + 1), number // (_BEGINS + 1)
    from_ns, until_ns = START_NS - DAY_NS, START_NS + 30 * DAY_NS
    if kind < len(_STEADY):
        return _STEADY[kind], from_ns, until_ns
    change_ns = START_NS + MINUTE_NS * (1 + place % _INSTANTS) // (_INSTANTS + 1)
    return (_CHANGING_TIER, from_ns, change_ns) if kind == _ENDS else (_CHANGING_TIER, change_ns, until_ns)


def tier_at(number: int, time_ns: int) -> str:
    """Return the tier of a member at an instant of the load."""
    tier, from_ns, until_ns = grant_of(number)
    return tier if from_ns <= time_ns < until_ns else NO_TIER


@contextmanager
def members_store(store: Store, members: int) -> Iterator[Store]:
    """Give a database with a ledger, in SCHEMA, that knows so many members, all symbols and no fill.

    It is made once, and copied for each round.
    """
    name = f"members_{members}"
    store.made_once(name, lambda made: _make(made, members))
    with store.copied(f"{name}_copy", of=name) as copy:
        yield copy


@contextmanager
def members_ledger(store: Store, members: int) -> Iterator[tuple[Store, Served]]:
    """Serve such a ledger, until the block ends; nothing is left to be written."""
    with members_store(store, members) as own, ledger(own, SCHEMA) as served:
        wait_for_tables(own, SCHEMA)
        own.checkpoint()
        yield own, served


def _make(store: Store, members: int) -> None:
    """Record symbols and members in this process: for few of them, starting the service would take longer than that."""
    requests = [*register_requests(), *_requests(members)]
    with closing(open_datastore(store.dsn, SCHEMA, connections=2)) as datastore, store.connect() as connection:
        LedgerRecorder(datastore).create_table()
        _record(store, requests)
        bring_up(Log(datastore), SCHEMA, connection)
        connection.execute(b"VACUUM ANALYZE")  # or autovacuum would come while something is measured


def _record(store: Store, requests: Sequence[Any]) -> None:
    with writing(store, SCHEMA) as term:
        for first in range(0, len(requests), _COMMANDS_AT_ONCE):
            answers = term.step(list(map(_job, requests[first : first + _COMMANDS_AT_ONCE])), time.time_ns())
            check(all(isinstance(answer, Accepted) for answer in answers), "a symbol or a member was refused")


def _requests(members: int) -> Iterator[Any]:
    """Yield what makes each account a member."""
    for number in range(members):
        name, (tier, from_ns, until_ns) = account_id(number), grant_of(number)
        common = {"authority": _AUTHORITY, "account_id": name}
        yield RegisterAccountRequest(
            request_id=f"open-{name}",
            owner_id=f"O{number:09}",
            registered_time=timestamp(START_NS - 30 * DAY_NS),
            **common,
        )
        yield ChangeTierRequest(
            request_id=f"tier-{name}",
            tier=tier,
            valid_from=timestamp(from_ns),
            valid_until=timestamp(until_ns),
            **common,
        )


def _job(request: Any) -> DecideCommand:
    """Return a request as the service reads it."""
    rpc = COMMANDS[request.DESCRIPTOR.name.removesuffix("Request")]
    with Shape() as shape:
        return DecideCommand(request_of(shape, request), rpc.read(shape, request, LATEST_NS))


def verify_tiers(channel: grpc.Channel, members: int) -> None:
    """Lines of some members, of each kind, have the tier that their member had when they traded."""
    stub: Any = query_service_pb2_grpc.QueryServiceStub(channel)
    for number in range(min(members, _LOOKED_AT)):
        name = account_id(number)
        request = query_service_pb2.ListFeeHistoryRequest(account_id=name, page_size=_PAGE_LINES)
        for line in stub.ListFeeHistory(request, timeout=CALL_SECONDS_MAX).lines:
            was, found = tier_at(number, line.transact_time.ToNanoseconds()), line.basis.tier
            check(found == was, f"{name} {line.fill_ref.exec_id} was priced as {found}, its member was {was}")
