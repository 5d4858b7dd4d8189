"""How long reads of the past take: an account with very many fills beside one with a hundred, asked the same."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import numpy as np

from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.v1 import command_service_pb2, command_service_pb2_grpc
from ledger.v1 import query_service_pb2 as pb
from ledger.v1.command_pb2 import Authority
from ledger.v1.query_service_pb2_grpc import QueryServiceStub
from ledger.v1.read_pb2 import ReadAt
from scripts.bench.asof_load import (
    DAYS,
    FILLS_PER_MESSAGE,
    FIRST_DAY,
    LANES,
    LARGE,
    OTHERS,
    SMALL,
    AsOfLoad,
    make_asof_load,
)
from scripts.bench.rows import send
from scripts.bench.service import CALL_SECONDS_MAX, ledger, register
from scripts.bench.store import Failed, Store, check
from scripts.bench.verify import verify_recorded

PAGE_LINES: Final = 100
_SEED: Final = 20_261_125
_WARM: Final = 5  # questions of each kind that are asked before any is timed
_CHECK_EACH: Final = 7  # of the questions, one in so many has its answers compared
_KINDS: Final = ("state", "fees_page")
_PLACES: Final = ("day_end", "inside")


@dataclass(frozen=True)
class Question:
    """Two clocks, and how far back a page goes: to the beginning, or about PAGE_LINES lines."""

    as_of_ns: int
    known: int  # a position at which a commit ended
    is_day_end: bool
    is_recent: bool

    @property
    def at(self) -> ReadAt:
        """As a request says it."""
        read = ReadAt(known_at_position=self.known)
        read.as_of.seconds, read.as_of.nanos = divmod(self.as_of_ns, SECOND_NS)
        return read

    def from_ns(self, fills: int) -> int:
        """Where the page of an account with so many fills begins."""
        first_ns = FIRST_DAY * DAY_NS
        if not self.is_recent:
            return first_ns
        from_ns = max(self.as_of_ns + 1 - DAYS * DAY_NS * PAGE_LINES // fills, first_ns)
        return from_ns // DAY_NS * DAY_NS if self.is_day_end else from_ns


@dataclass
class Timed:
    """How long each call took, by (account, kind), in milliseconds."""

    call_ms: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def p99(self, account_id: str, kind: str) -> float:
        """The value that one call in a hundred exceeds."""
        return float(np.percentile(self.call_ms[account_id, kind], 99))


class AsOf:
    """Both accounts in one ledger, made through the API; their reads take turns, each question asked of both."""

    def __init__(self, fills: int, seconds: float) -> None:
        self._load = make_asof_load(fills)
        self._fills = {name: len(self._load.places(name)) for name in (LARGE, SMALL)}
        self._seconds = seconds
        self.settings: Mapping[str, object] = {
            "asof_fills": f"{self._fills[LARGE]:,} against {self._fills[SMALL]}",
            "asof_days": DAYS,
            "asof_other_accounts": OTHERS,
            "asof_fills_per_message": FILLS_PER_MESSAGE,
            "asof_messages_in_flight": LANES,
            "asof_page_lines": PAGE_LINES,
            "asof_seconds_per_place": seconds,
        }

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """One round on a fresh schema."""
        with ledger(store, schema) as served:
            positions = record(served.channel, self._load)
            with store.connect() as connection:  # as autovacuum has done to any ledger that is older than a minute
                connection.execute(f"VACUUM ANALYZE {schema}.events".encode())
            store.checkpoint()
            chance = random.Random(_SEED)  # noqa: S311 - questions, not a secret
            found: dict[str, float] = {}
            for place in _PLACES:
                timed = self._ask(served.channel, lambda place=place: _question(chance, positions, place), positions)
                found.update(_figures(place, timed))
            return found

    def _ask(self, channel: grpc.Channel, draw: Callable[[], Question], positions: Sequence[int]) -> Timed:
        """Ask for some seconds. Who goes first alternates, so that nobody always meets the warmer cache."""
        queries, timed, number = QueryServiceStub(channel), Timed(), -_WARM
        until_s = time.perf_counter() + self._seconds
        while number < _WARM or time.perf_counter() < until_s:
            if number == 0:
                until_s = time.perf_counter() + self._seconds
            question = draw()
            for account_id in (LARGE, SMALL)[:: 1 if number % 2 else -1]:
                page = self._ask_one(queries, question, account_id, timed if number >= 0 else Timed())
                if number % _CHECK_EACH == 0:
                    self._verify(page, question, account_id, positions)
            number += 1
        return timed

    def _ask_one(self, queries: Any, question: Question, account_id: str, timed: Timed) -> pb.ListFeeHistoryResponse:
        """State, rates and a page; the page comes back."""
        page = pb.ListFeeHistoryRequest(account_id=account_id, at=question.at, page_size=PAGE_LINES)
        from_ns = question.from_ns(self._fills[account_id])
        page.from_time.seconds, page.from_time.nanos = divmod(from_ns, SECOND_NS)
        _timed(queries.GetVipState, pb.GetVipStateRequest(account_id=account_id, at=question.at), timed, "state")
        _timed(queries.GetRates, pb.GetRatesRequest(account_id=account_id, at=question.at), timed, "state")
        answer: pb.ListFeeHistoryResponse = _timed(queries.ListFeeHistory, page, timed, "fees_page")
        return answer

    def _verify(
        self, page: pb.ListFeeHistoryResponse, question: Question, account_id: str, positions: Sequence[int]
    ) -> None:
        """The page's totals count the fills that were sent by then, and traded by then."""
        places, load = self._load.places(account_id), self._load
        known = np.array(positions)[load.message[places]] <= question.known
        times_ns = load.time_ns[places]
        inside = (times_ns >= question.from_ns(self._fills[account_id])) & (times_ns <= question.as_of_ns)
        sent, found = int((known & inside).sum()), sum(total.lines for total in page.totals)
        check(found == sent, f"{account_id} has {found} fills at {question}, sent were {sent}")
        check(len(page.lines) == min(sent, PAGE_LINES), f"a page of {len(page.lines)} lines where {sent} are")


def _figures(place: str, timed: Timed) -> dict[str, float]:
    found = {}
    for kind in _KINDS:
        large, small = timed.p99(LARGE, kind), timed.p99(SMALL, kind)
        name = f"{kind}_ms_p99" if place == "inside" else f"{place}.{kind}_ms_p99"
        found[f"asof.{name}"] = large
        found[f"ratio.asof_{place}_{kind}"] = large / small
    return found


def _question(chance: random.Random, positions: Sequence[int], place: str) -> Question:
    """An as_of at the end of any of the days, or anywhere in them; a known_at anywhere."""
    as_of_ns = FIRST_DAY * DAY_NS + chance.randrange(DAYS * DAY_NS)
    if place == "day_end":
        as_of_ns = (as_of_ns // DAY_NS + 1) * DAY_NS - 1
    return Question(as_of_ns, chance.choice(positions), place == "day_end", chance.random() < 1 / 2)


def _timed(call: Callable[..., Any], request: Any, timed: Timed, kind: str) -> Any:
    began = time.perf_counter()
    try:
        answer = call(request, timeout=CALL_SECONDS_MAX)
    except grpc.RpcError as error:
        raise Failed(f"a read ended with {error.code().name}: {error.details()}") from error
    timed.call_ms.setdefault((request.account_id, kind), []).append((time.perf_counter() - began) * 1_000)
    return answer


def record(channel: grpc.Channel, load: AsOfLoad) -> list[int]:
    """Make the ledger through the API; of each message the position it was acknowledged at."""
    commands = command_service_pb2_grpc.CommandServiceStub(channel)
    register(channel)
    for account_id in (LARGE, SMALL):
        authority = Authority(actor="bench", approver="bench-2", reason="measuring")
        named = {"request_id": f"bench-{account_id}", "authority": authority, "account_id": account_id}
        tier = command_service_pb2.ChangeTierRequest(**named, tier="VIP2")
        tier.valid_from.seconds = FIRST_DAY * DAY_NS // SECOND_NS
        commands.ChangeTier(tier, timeout=CALL_SECONDS_MAX)
    _, answers = send(channel, load.lanes)
    positions = [0] * sum(len(lane.messages) for lane in load.lanes)
    for number, (lane, of_lane) in enumerate(zip(load.lanes, answers, strict=True)):
        for place, (size, found) in enumerate(zip(lane.sizes, of_lane, strict=True)):
            verify_recorded(size, found)
            positions[number + place * len(load.lanes)] = found.position
    return positions
