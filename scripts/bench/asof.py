"""How long reads of the past take: an account with very many fills beside one with a hundred, asked the same.

The same again where late facts have adjusted a tenth of the many fills.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import numpy as np

from ledger.arrays.columns import Ints
from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.v1 import command_service_pb2, command_service_pb2_grpc
from ledger.v1 import query_service_pb2 as pb
from ledger.v1.command_pb2 import Authority
from ledger.v1.query_service_pb2_grpc import QueryServiceStub
from ledger.v1.read_pb2 import ReadAt
from scripts.bench.asof_load import (
    ADJUSTED_DAYS,
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
_LOOK_S: Final = 0.02
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

    def __init__(self, fills: int, seconds: float, *, adjusted: bool = False) -> None:
        """`adjusted`: late facts adjust LARGE's fills of some days, and each question is about what is known since."""
        self._adjusted = adjusted
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
            **({"asof_adjusted_days": len(ADJUSTED_DAYS)} if adjusted else {}),
        }

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """One round on a fresh schema."""
        with ledger(store, schema) as served:
            positions = record(served.channel, self._load, adjusted=self._adjusted)
            asked = positions[self._load.messages_before_facts if self._adjusted else 0 :]
            with store.connect() as connection:  # as autovacuum has done to any ledger that is older than a minute
                connection.execute(f"VACUUM ANALYZE {schema}.events".encode())
            store.checkpoint()
            chance = random.Random(_SEED)  # noqa: S311 - questions, not a secret
            found: dict[str, float] = {}
            for place in _PLACES:
                timed = self._ask(served.channel, lambda place=place: _question(chance, asked, place), positions)
                found.update(_figures(place, timed, "adjusted" if self._adjusted else ""))
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
        """The page's totals count the fills that were sent by then, and traded by then; adjustments are lines of it."""
        places, load = self._load.places(account_id), self._load
        known = np.array(positions)[load.message[places]] <= question.known
        times_ns = load.time_ns[places]
        inside = (times_ns >= question.from_ns(self._fills[account_id])) & (times_ns <= question.as_of_ns)
        sent, found = int((known & inside).sum()), sum(total.lines for total in page.totals)
        check(found == sent, f"{account_id} has {found} fills at {question}, sent were {sent}")
        entries = sent + int((known & inside & self._is_adjusted(account_id)).sum())
        check(len(page.lines) == min(entries, PAGE_LINES), f"a page of {len(page.lines)} lines where {entries} are")

    def _is_adjusted(self, account_id: str) -> Ints:
        """Which fills of an account a late fact adjusts."""
        places, load = self._load.places(account_id), self._load
        if account_id != LARGE or not self._adjusted:
            return np.zeros(len(places), dtype=bool)
        of_day = np.isin(load.time_ns[places] // DAY_NS - FIRST_DAY, ADJUSTED_DAYS)
        found: Ints = of_day & (load.message[places] < load.messages_before_facts)
        return found


def _figures(place: str, timed: Timed, about: str) -> dict[str, float]:
    """The figures of a place by name; `about` stands in their names, too."""
    found = {}
    for kind in _KINDS:
        large, small = timed.p99(LARGE, kind), timed.p99(SMALL, kind)
        name = [about, "" if place == "inside" else place, f"{kind}_ms_p99"]
        found[".".join(["asof", *filter(None, name)])] = large
        found["_".join(["ratio.asof", *filter(None, [about, place, kind])])] = large / small
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


def record(channel: grpc.Channel, load: AsOfLoad, *, adjusted: bool = False) -> list[int]:
    """Make the ledger through the API; of each message the position it was acknowledged at."""
    register(channel)
    for account_id in (LARGE, SMALL):
        _change_tier(channel, account_id, "VIP2", FIRST_DAY)
    if not adjusted:
        return _send(channel, load, 0, load.messages)
    before = load.messages_before_facts
    positions = _send(channel, load, 0, before)
    for day in ADJUSTED_DAYS:
        _change_tier(channel, LARGE, "VIP3", FIRST_DAY + day, FIRST_DAY + day + 1)
        wait_until_restated(channel, LARGE)
    return positions + _send(channel, load, before, load.messages)


def _change_tier(channel: grpc.Channel, account_id: str, tier: str, first_day: int, end_day: int | None = None) -> None:
    """Give a tier by hand, from a UTC day on and up to another one."""
    request = command_service_pb2.ChangeTierRequest(
        request_id=f"bench-{account_id}-{tier}-{first_day}",
        authority=Authority(actor="bench", approver="bench-2", reason="measuring"),
        account_id=account_id,
        tier=tier,
    )
    request.valid_from.seconds = first_day * DAY_NS // SECOND_NS
    if end_day is not None:
        request.valid_until.seconds = end_day * DAY_NS // SECOND_NS
    command_service_pb2_grpc.CommandServiceStub(channel).ChangeTier(request, timeout=CALL_SECONDS_MAX)


def wait_until_restated(channel: grpc.Channel, account_id: str) -> None:
    """Wait until no line of an account is still to be restated."""
    queries, until_s = QueryServiceStub(channel), time.monotonic() + CALL_SECONDS_MAX
    request = pb.GetVipStateRequest(account_id=account_id)
    while queries.GetVipState(request, timeout=CALL_SECONDS_MAX).reprice_in_progress:
        check(time.monotonic() < until_s, f"the lines of {account_id} are not restated in {CALL_SECONDS_MAX:.0f} s")
        time.sleep(_LOOK_S)


def _send(channel: grpc.Channel, load: AsOfLoad, first: int, end: int) -> list[int]:
    """Send the messages [first, end); of each the position it was acknowledged at."""
    lanes = load.lanes_of(first, end)
    _, answers = send(channel, lanes)
    for lane, of_lane in zip(lanes, answers, strict=True):
        for size, found in zip(lane.sizes, of_lane, strict=True):
            verify_recorded(size, found)
    in_turn = [iter(of_lane) for of_lane in answers]
    return [next(in_turn[number % len(lanes)]).position for number in range(first, end)]
