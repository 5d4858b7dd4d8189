"""Which questions are asked of the story: every reading RPC, at many pairs of clocks, all of them closed.

A closed known_at means that what is recorded later changes no answer. Questions out of the materialised tables have no
known_at: they are asked with as_of, and nothing that happens to a kept log after its end is about accounts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any, Final

from tests.kept.kept import Asking, Question, request_of, to_json
from tests.kept.narrator import DAY_NS, Moment, Narrator, ns, stamp
from tests.kept.scenes import BITMART
from tests.kept.story import HITBTC, OUTSIDERS, PERIODIC, POST_TRIAL
from tests.kept.trading import ACCOUNTS, MARKETS

Asked = tuple[str, dict[str, Any]]
Clocks = tuple[int, int]  # as_of in ns, known_at as a position

PROGRAMMES: Final = (BITMART, HITBTC)
BEFORE_NS: Final = ns("2024-06-01")
AFTER_NS: Final = ns("2024-10-01")
EVENTS_PER_PAGE: Final = 100
STREAMS: Final = (
    *("ledger", "registers", "promotions", "closes/ETH", "source/engine-2", "bounty/2024-W27", "programme/hitbtc-spot"),
    *("account/bob", "owner/owner-alice", "fees/bob/2024-07-08", "account/none"),
    *("repricing/carol", f"release/{BITMART}", "account/gina", "account/hugo", "fees/carol/2024-07-22"),
)
RUNS: Final = (
    (BITMART, PERIODIC, "2024-07-08"),
    (BITMART, PERIODIC, "2024-07-18"),
    (BITMART, PERIODIC, "2024-07-28"),  # nobody ran it
    (BITMART, POST_TRIAL, "2024-08-01"),
    (HITBTC, PERIODIC, "2024-07-18"),
)


def questions_of(narrator: Narrator, asking: Asking) -> Iterator[Asked]:
    """(RPC, request as protobuf JSON) of every question."""
    asker = _Asker(narrator.moments, asking)
    yield from asker.of_accounts()
    yield from asker.of_quotes()
    yield from asker.of_programmes()
    yield from asker.of_evaluations()
    yield from asker.of_tables()
    yield from asker.of_the_log()
    yield from _of_fills(narrator)


class _Asker:
    def __init__(self, moments: list[Moment], asking: Asking) -> None:
        self._asking = asking
        self._last = last = moments[-1]
        self._then = moments[3]  # after the late evaluation
        self.few: list[Clocks] = [
            (last.time_ns, last.position),
            (self._then.time_ns, self._then.position),
            (moments[2].time_ns, last.position),  # the past as it is known now
            (AFTER_NS, moments[4].position),  # the future as it was known once
        ]
        now: list[Clocks] = [(moment.time_ns, moment.position) for moment in moments[:-1]]
        self.all: list[Clocks] = [*self.few, *now, (BEFORE_NS, last.position), (last.time_ns, 1)]

    def of_accounts(self) -> Iterator[Asked]:
        accounts = (*ACCOUNTS, *OUTSIDERS)
        for account, clocks in product(accounts, self.all):
            yield _asked("GetVipState", account_id=account, programme_id=BITMART, at=_at(clocks))
        for account, clocks, programme in product(accounts, self.few, PROGRAMMES):
            yield _asked("GetRates", account_id=account, programme_id=programme, at=_at(clocks))
        for account, clocks in product(accounts, self.few):
            values = {"account_id": account, "at": _at(clocks)}
            yield _asked("GetMembership", **values)
            volume = {"spot": "500000", "futures": "250000.5"}
            yield _asked("CheckMatchEligibility", external_volume=volume, programme_id=BITMART, **values)
        for account, clocks in product(accounts, self.few[:2]):
            values = {"account_id": account, "at": _at(clocks), "programme_id": BITMART}
            yield _asked("GetEntitlements", **values)
            for kind in ("API_EXCLUSIVE", "NET_BUY"):
                yield _asked("CheckPromotionEligibility", promotion_type=kind, **values)
            yield _asked("ListFeeHistory", account_id=account, at=_at(clocks), page_size=10_000)
        span = {"from_time": stamp(ns("2024-07-08")), "until_time": stamp(ns("2024-07-10"))}
        for clocks in self.all:
            yield _asked("ListFeeHistory", account_id="bob", at=_at(clocks), page_size=10_000, **span)

    def of_quotes(self) -> Iterator[Asked]:
        payment = {"token": "BMX", "price": "0.25"}
        for account, clocks, symbol in product(("alice", "bob", "frank", "zoe"), self.few, MARKETS):
            values = {"account_id": account, "symbol": symbol, "side": "SIDE_SELL", "venue": "bitmart"}
            amounts = {"last_px": "1.5", "last_qty": "33.3333", "channel": "CHANNEL_API", "at": _at(clocks)}
            yield _asked("QuoteFee", liquidity="LIQUIDITY_MAKER", **values, **amounts)
            yield _asked("QuoteFee", liquidity="LIQUIDITY_TAKER", token_payment=payment, **values, **amounts)

    def of_programmes(self) -> Iterator[Asked]:
        for clocks, programme in product(self.all, PROGRAMMES):
            yield _asked("ListPairs", programme_id=programme, at=_at(clocks))
        for clocks, programme in product(self.few, (*PROGRAMMES, "unknown")):
            yield _asked("GetProgramme", programme_id=programme, at=_at(clocks))
        for version in ("3.0", "3.1", "9"):
            yield _asked("GetProgramme", programme_id=BITMART, version=version, at=_at(self.few[1]))
        for clocks in self.few:
            yield _asked("ListProgrammes", at=_at(clocks), page_size=100)

    def of_evaluations(self) -> Iterator[Asked]:
        for (programme, kind, day), clocks in product(RUNS, self.few):
            run = {"programme_id": programme, "kind": kind, "instant": stamp(ns(day)), "at": _at(clocks)}
            yield _asked("GetEvaluation", **run)
            yield _asked("PlanEvaluation", **run)
        for clocks, restated in product(self.all, (False, True)):
            yield _asked("ListCloses", at=_at(clocks), asset="ETH", include_restated=restated, page_size=1_000)

    def of_tables(self) -> Iterator[Asked]:
        instants = [BEFORE_NS, AFTER_NS, *sorted({as_of_ns for as_of_ns, _ in self.few})]
        names = [control.name for control in self._asking.send("ListControls", request_of("ListControls"))[0].controls]
        for as_of_ns, programme, name in product(instants, PROGRAMMES, names):
            values = {"as_of": stamp(as_of_ns), "programme_id": programme, "page_size": 10_000}
            yield _asked("ListFindings", control=name, within_days=7, **values)
        conditions: tuple[dict[str, Any], ...] = ({}, {"tier": "VIP2"}, {"tier": "NONE"}, {"banned": True},
                                                  {"flagged": True}, {"owner_id": "owner-alice"})  # fmt: skip
        for as_of_ns, condition in product(instants, conditions):
            yield _asked("ListAccounts", as_of=stamp(as_of_ns), programme_id=BITMART, page_size=1_000, **condition)
        for as_of_ns, programme in product(instants, PROGRAMMES):
            yield _asked("ListApplications", as_of=stamp(as_of_ns), programme_id=programme, page_size=1_000)

    def of_the_log(self) -> Iterator[Asked]:
        yield _asked("GetLedgerInfo")
        yield _asked("ListControls")
        for source in ("engine-1", "engine-2", "engine-3", "unknown"):
            yield _asked("GetSourcePosition", source=source)
        for clocks in self.all:
            yield _asked("ListBountyRounds", at=_at(clocks))
            yield _asked("ListMonthsWithoutPromotion", at=_at(clocks))
        for account_id, clocks in product(("", "bob", "gina"), self.all):
            yield _asked("ListWithheld", account_id=account_id, at=_at(clocks), page_size=1_000)
        for actor in ("ops-1", "requester", "clerk"):
            span = {"from_time": stamp(BEFORE_NS), "until_time": stamp(AFTER_NS)}
            yield _asked("ListSoloActions", actor=actor, at=_at(self.few[0]), page_size=10_000, **span)
        for stream, clocks in product(STREAMS, self.few[1:2]):
            yield _asked("ListEvents", stream=stream, at=_at(clocks), page_size=10_000)
        for after in range(0, self._last.position, EVENTS_PER_PAGE):
            clocks = (self._last.time_ns, min(after + EVENTS_PER_PAGE, self._last.position))
            yield _asked("ListEvents", after_position=after, at=_at(clocks), page_size=EVENTS_PER_PAGE)


def _of_fills(narrator: Narrator) -> Iterator[Asked]:
    """Every fill as it is known in the end; those of who was evaluated also before and after that."""
    moments = narrator.moments
    positions = {"bob": moments[2:5], "alice": moments[-3:]}
    for (venue, _, _), fill in narrator.fills.items():
        day = stamp(fill.transact_time.seconds // (DAY_NS // 10**9) * DAY_NS).ToJsonString()[:10]
        ref = {"venue": venue, "account_id": fill.account_id, "day": day, "exec_id": fill.exec_id}
        for moment in sorted({moments[-1], *positions.get(fill.account_id, ())}):
            yield _asked("GetFill", fill_ref=ref, at=_at((moment.time_ns, moment.position)))


def _asked(rpc: str, **values: Any) -> Asked:
    return rpc, to_json(request_of(rpc, **values))


def _at(clocks: Clocks) -> dict[str, Any]:
    return {"as_of": stamp(clocks[0]), "known_at_position": clocks[1]}


def event_counts(kept: Iterable[Question]) -> Counter[str]:
    """How many events of each kind the kept pages of the whole log hold."""
    return Counter(event["topic"] for event in stored_events(kept))


def stored_events(kept: Iterable[Question]) -> Iterator[dict[str, Any]]:
    """Every event of the log, in order, out of the kept pages of all of it."""
    for one in kept:
        if one.rpc == "ListEvents" and "stream" not in one.request:
            yield from one.answer["events"]
