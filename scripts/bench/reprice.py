"""How fast late facts restate lines, and how fast fills are taken meanwhile."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import grpc
import psycopg

from ledger.domain.streams import REPRICING_PREFIX, end_of
from ledger.v1 import command_service_pb2, command_service_pb2_grpc, events_pb2
from ledger.v1.command_pb2 import Authority
from ledger.v1.fill_service_pb2 import StreamFillsResponse
from scripts.bench.fills import account_id
from scripts.bench.load import ACCOUNTS, FILLS_PER_MESSAGE, Lane, stream_load
from scripts.bench.paths import STREAM_FILLS
from scripts.bench.service import CALL_SECONDS_MAX, Served, trading_ledger
from scripts.bench.store import Failed, Store, check
from scripts.bench.stream import STREAM_SECONDS_MAX, stream
from scripts.bench.verify import verify_answers, verify_recorded

CALLERS: Final = 8  # that ask for tiers, with one request in flight each
TIERS: Final = ("VIP1", "VIP3")  # each is better than the one before: all lines are restated once more
_FILLS_EACH: Final = 100  # at least, of an account on average
_FROM_S: Final = 1_717_200_000  # 2024-06-01, before every fill
_LOOK_S: Final = 0.02

_OPEN: Final = (
    "SELECT count(*) FILTER (WHERE topic = 'RepriceStarted') > count(*) FILTER (WHERE topic = 'RepriceCompleted')"
    " FROM {schema}.events WHERE originator_id >= %s AND originator_id < %s"
)


class Reprice:
    """All fills of a ledger are restated; then once more, while as many fills of other accounts stream in."""

    def __init__(self, fills: int) -> None:
        self._fills = fills
        self._accounts = max(min(ACCOUNTS, fills // _FILLS_EACH), 1)
        self._load, self._beside = (
            stream_load(
                fills, accounts=self._accounts, fills_per_message=FILLS_PER_MESSAGE, source=source, name_of=name_of
            )
            for source, name_of in (("engine", account_id), ("engine-beside", "B{:010}".format))
        )
        self.settings: Mapping[str, object] = {"reprice_accounts": self._accounts, "reprice_connections": CALLERS}

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """One round on a fresh schema."""
        with trading_ledger(store, schema) as served, ThreadPoolExecutor(1) as pool:
            answers = stream(served.channel, self._load.lanes[0].messages).answers
            verify_answers(served.channel, self._load, [answers])
            store.checkpoint()
            alone_s = self._restate(served, store, schema, TIERS[0])
            beside = pool.submit(_acknowledged, served.channel, self._beside.lanes[0])
            began_s = time.perf_counter()
            until_s = began_s + self._restate(served, store, schema, TIERS[1])
            taken = beside.result()
        _verify_restated(store, schema, len(TIERS) * self._fills)
        until_s = min(until_s, taken[-1].at_s)
        meanwhile = sum(each.fills for each in taken if each.at_s <= until_s)
        check(meanwhile > 0, "no fill was acknowledged while lines were restated")
        return {
            "reprice.fills_per_s": self._fills / alone_s,
            "reprice.ingest_fills_per_s": meanwhile / (until_s - began_s),
        }

    def _restate(self, served: Served, store: Store, schema: str, tier: str) -> float:
        """Give every account a tier from before its first fill; seconds until all of their lines are restated."""
        commands = command_service_pb2_grpc.CommandServiceStub(served.channel)
        requests = [_tier(account_id(number), tier) for number in range(self._accounts)]
        began_s = time.perf_counter()
        with ThreadPoolExecutor(CALLERS) as pool:
            try:
                list(pool.map(lambda request: commands.ChangeTier(request, timeout=CALL_SECONDS_MAX), requests))
            except grpc.RpcError as error:
                raise Failed(f"ChangeTier ended with {error.code().name}: {error.details()}") from error
        while _is_open(store, schema):  # what was too much for the commit of its command
            time.sleep(_LOOK_S)
        return time.perf_counter() - began_s


def _tier(account: str, tier: str) -> command_service_pb2.ChangeTierRequest:
    request = command_service_pb2.ChangeTierRequest(
        request_id=f"bench-{account}-{tier}",
        authority=Authority(actor="bench", approver="bench-2", reason="measuring"),
        account_id=account,
        tier=tier,
    )
    request.valid_from.seconds = _FROM_S
    return request


def _is_open(store: Store, schema: str) -> bool:
    ((is_open,),) = store.rows(_OPEN.format(schema=schema), [REPRICING_PREFIX, end_of(REPRICING_PREFIX)])
    return bool(is_open)


class _Taken(NamedTuple):
    """When a message was acknowledged, and how many fills it had."""

    at_s: float
    fills: int


def _acknowledged(channel: grpc.Channel, lane: Lane) -> list[_Taken]:
    """Stream the messages of a lane; when each was acknowledged."""
    call: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(STREAM_FILLS)
    try:
        answers = [(time.perf_counter(), each) for each in call(iter(lane.messages), timeout=STREAM_SECONDS_MAX)]
    except grpc.RpcError as error:
        raise Failed(f"StreamFills ended with {error.code().name}: {error.details()}") from error
    for size, (_, answer) in zip(lane.sizes, answers, strict=True):
        verify_recorded(size, StreamFillsResponse.FromString(answer).batch)
    return [_Taken(at_s, size) for size, (at_s, _) in zip(lane.sizes, answers, strict=True)]


def _verify_restated(store: Store, schema: str, expected: int) -> None:
    """So many lines were restated, each time once."""
    query = f"SELECT state FROM {schema}.events WHERE topic = 'FeeAdjusted'"
    found = 0
    with psycopg.connect(store.dsn) as connection, connection.cursor("adjustments", binary=True) as cursor:
        cursor.itersize = 1_000
        for (state,) in cursor.execute(query.encode()):
            found += len(events_pb2.FeeAdjusted.FromString(state).traits_before)  # a byte per line
    check(found == expected, f"{found} lines were restated, not {expected}")
