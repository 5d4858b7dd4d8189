"""Daily closes and evaluations of the demo: on their days, after trials, and again when a close was missing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any, Final

from ledger.client import Client
from ledger.domain.events import PERIODIC, POST_TRIAL
from ledger.domain.instants import DAY_NS, SECOND_NS
from scripts.demo.exchange import BEGIN_NS, HOUR_NS, Exchange
from scripts.demo.play import EVERYONE, FOUR_EYES, SOURCE, Played, RanEvaluation, Step, UnexpectedError

DAYS_OF_MONTH: Final = (8, 18, 28)
RUN_HOURS: Final = 8  # after the instant of an evaluation, when the engine has sent what came before it
TRIAL_NS: Final = 30 * DAY_NS
LACKING_DAYS: Final = 2  # how long an evaluation waits for the close that is missing
MOVES: Final = ("GAINED", "UP", "STAYED", "DOWN", "LOST", "NONE", "REVIEW", "BLOCKED")


def evaluating(exchange: Exchange, trials_ns: list[int]) -> Iterator[Step]:
    """Every close and every evaluation. One close is forgotten, and found after the evaluation that needs it."""
    begin_day = BEGIN_NS // DAY_NS
    days = [begin_day + day for day in range(exchange.days) if _date(begin_day + day).day in DAYS_OF_MONTH]
    in_time = [day for day in days if (day + LACKING_DAYS + 1) * DAY_NS <= exchange.end_ns]
    late = in_time[len(in_time) // 2]
    lacking, found_ns = late - 3, (late + LACKING_DAYS) * DAY_NS + 9 * HOUR_NS
    for day in exchange.closes():
        at_ns = found_ns if day == lacking else (day + 1) * DAY_NS + HOUR_NS
        yield Step(min(at_ns, exchange.end_ns), "BTC", _close(exchange, day, forgotten=day == lacking))
    for day in days:
        yield Step(day * DAY_NS + RUN_HOURS * HOUR_NS, EVERYONE, _evaluate(PERIODIC, day * DAY_NS))
    yield Step(found_ns + HOUR_NS, EVERYONE, _evaluate(PERIODIC, late * DAY_NS, again=True))
    for start_ns in trials_ns:
        if start_ns + TRIAL_NS + 2 * RUN_HOURS * HOUR_NS < exchange.end_ns:
            at_ns = start_ns + TRIAL_NS + RUN_HOURS * HOUR_NS
            yield Step(at_ns, EVERYONE, _evaluate(POST_TRIAL, start_ns + TRIAL_NS))


def _close(exchange: Exchange, day: int, *, forgotten: bool) -> Callable[[Client, Played], str]:
    def act(ledger: Client, _: Played) -> str:
        price, name = exchange.closes()[day], _date(day).isoformat()
        shown = hashlib.sha256(f"BTC {name} {price}".encode()).digest()
        ledger.record_daily_close("BTC", name, price, source="demo-1d", source_sha256=shown)
        return f"close of {name} is recorded at last: {price:,} USDT" if forgotten else ""

    return act


def _evaluate(kind: str, instant_ns: int, *, again: bool = False) -> Callable[[Client, Played], str]:
    """Plan, then do just what was planned, by two persons."""

    def act(ledger: Client, played: Played) -> str:
        before = next((one for one in played.evaluations if one.instant_ns == instant_ns), None)
        waiting = before.blocked if again and before else set()
        if again and not waiting:
            return ""  # nobody traded in BTC on the day of the missing close
        plan = list(ledger.plan_evaluation(kind=kind, instant=instant_ns))
        read = plan[0].basis.known_at_position
        *_, last = ledger.run_evaluation(
            kind=kind,
            instant=instant_ns,
            read_position=read,
            complete_sources=[SOURCE],  # a market so quiet that no fill has come since has sent its rounds all the same
            **FOUR_EYES,
        )
        accounts = [one for message in plan for one in message.accounts]
        if again:
            accounts = [one for one in accounts if one.account_id in waiting]
        counts = Counter(one.movement for one in accounts)
        if any(counts[move] != getattr(last.counts, move.lower()) for move in MOVES):
            raise UnexpectedError(f"the plan of {_date(instant_ns // DAY_NS)} was {counts}, the run gave {last.counts}")
        played.evaluations.append(RanEvaluation(kind, instant_ns, read, accounts, again))
        return _told(kind, instant_ns, counts, last.counts, again=again)

    return act


def _told(kind: str, instant_ns: int, counts: Counter[str], given: Any, *, again: bool) -> str:
    moves = ", ".join(f"{counts[move]} {move.lower()}" for move in MOVES if counts[move])
    which = "trials that have ended" if kind == POST_TRIAL else f"volume of {_date(instant_ns // DAY_NS)}"
    missing = ", ".join(f"{one.asset} {one.day}" for one in given.missing_closes)
    return f"{which}{', again' if again else ''}: {moves or 'nobody'}{f' (no close of {missing})' if missing else ''}"


def _date(day: int) -> date:
    return datetime.fromtimestamp(day * DAY_NS // SECOND_NS, tz=UTC).date()
