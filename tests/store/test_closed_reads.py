"""A read up to a position is the same for ever, whatever is appended: every read of the log, and its plan.

LEDGER_READS says how many reads of each kind are asked: 20 unless it is set, so that a run of the suite stays short.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Any, Final

from ledger.domain.events import Recorded
from ledger.domain.instants import DAY_NS, day_text
from ledger.domain.streams import fee_stream
from ledger.store.fee_streams import DayCut
from ledger.store.log import Log
from tests.domain.worked import fills
from tests.properties.test_replay import OWNERS, History
from tests.write_side import NOON_NS, Writing, record

READS: Final = int(os.environ.get("LEDGER_READS", "20"))
SEED: Final = 20_261_129
SOURCES: Final = ("engine-1", "engine-2", "idle")
TODAY: Final = NOON_NS // DAY_NS
FIRST_NS, ALL_NS = NOON_NS - 60 * DAY_NS, NOON_NS + DAY_NS

Ask = Callable[[Log, int, Random], Any]


def account(random: Random) -> str:
    return random.choice(sorted(OWNERS))


def day(random: Random) -> int:
    return TODAY - random.randrange(45)


# Every method of the log that reads up to a position, with arguments at random.
ASKED: Final[dict[str, Ask]] = {
    "streams": lambda log, known, random: log.streams(
        [f"account/{account(random)}", "source/engine-1", fee_stream(account(random), day(random))], known
    ),
    "rulebook": lambda log, known, _: log.rulebook(known),
    "below": lambda log, known, random: log.below(random.choice(("closes/", "source/", "bounty/")), known),
    "repricings": lambda log, known, _: log.repricings(known),
    "last_below": lambda log, known, random: log.last_below(random.choice(("source/", "closes/", "account/")), known),
    "accounts_between": lambda log, known, _: log.accounts_between("account1", "account5", known),
    "account_events": lambda log, known, _: log.account_events(("VolumeEvaluated", "TrialStarted"), known),
    "stream_from": lambda log, known, random: log.stream_from(f"account/{account(random)}", 2, known),
    "accounts_with_several": lambda log, known, _: sorted(log.accounts_with_several(("VolumeEvaluated",), known)),
    "events_of_kinds": lambda log, known, random: log.events_of_kinds(
        [f"account/{account(random)}"], ("VolumeEvaluated", "TrialStarted"), known
    ),
    "has_account": lambda log, known, random: log.has_account(random.choice((account(random), "nobody")), known),
    "known_accounts": lambda log, known, random: log.known_accounts([account(random), "nobody"], known),
    "has_fees": lambda log, known, random: log.has_fees(account(random), day(random), TODAY + 1, known),
    "totals_of_days": lambda log, known, random: log.totals_of_days([(account(random), day(random))], known),
    "totals_of_account": lambda log, known, random: log.totals_of_account(account(random), day(random), TODAY, known),
    "day_cut": lambda log, known, random: log.day_cut(account(random), NOON_NS - random.randrange(45 * DAY_NS), known),
    "fees": lambda log, known, random: log.fees(
        account(random), after=(0, 0), from_ns=FIRST_NS, as_of_ns=ALL_NS, until=known, limit=1_000
    ),
    "fees_naming": lambda log, known, random: log.fees_naming(account(random), day(random), "E", known),
    "runs_between": lambda log, known, random: list(
        log.runs_between(f"fees/{account(random)}/{day_text(day(random))}", 0, known + 1)
    ),
    "runs": lambda log, known, _: list(log.runs(from_ns=FIRST_NS, as_of_ns=ALL_NS, until=known)),
    "adjustments": lambda log, known, _: list(log.adjustments(from_ns=FIRST_NS, as_of_ns=ALL_NS, until=known)),
    "charged": lambda log, known, _: list(log.charged(as_of_ns=ALL_NS, until=known)),
    "first_events_of_requests": lambda log, known, _: log.first_events_of_requests(0, known, 1_000),
    "last_events_between": lambda log, known, _: log.last_events_between(0, known),
    "decisions_between": lambda log, known, _: log.decisions_between(0, known),
    "stored": lambda log, known, random: log.stored(
        random.choice(("", "source/engine-1", fee_stream(account(random), day(random)))), 0, known, 1_000
    ),
    "day_totals_of": lambda log, known, random: log.day_totals_of([account(random)], known),
    "accounts_with_fees": lambda log, known, _: [
        name for name, trades in log.accounts_with_fees("", "", 0, known + 1) if trades
    ],
    "last_of_day": lambda log, known, random: log.last_of_day(fee_stream(account(random), day(random)), known),
    "fees_of": lambda log, known, random: log.fees_of([fee_stream(account(random), day(random))], known),
    "adjustments_of": lambda log, known, random: log.adjustments_of(
        [fee_stream(account(random), day(random))], 0, known
    ),
    "accounts_trading": lambda log, known, random: log.accounts_trading("", "", day(random), known + 1, 1_000),
    "rows_between": lambda log, known, _: list(log.rows_between(0, known, 100)),
    "first_evaluations": lambda log, known, _: list(log.first_evaluations(0, known, 100)),
    "head_at_position": lambda log, known, _: log.head_at_position(known),
    "end_of_commit": lambda log, known, _: log.end_of_commit(known),
    "digests": lambda log, known, _: log.digests([known // 2, known]),
}
NOT_OF_A_POSITION: Final = {
    "ledger",
    "ledger_id",
    "head",
    "head_at_time",
    "last_of",
    "version",
    "at",
    "requests",
    "existing",
}
NOT_OF_A_POSITION |= {
    "ledger_id",
    "last_versions",
    "last_versions_of_accounts",
    "accounts_and_days",
    "snapshots",
    "fronts_at",
    "day_totals_at",
    "accounts_after",
    "query",
    "rows_of",
    "erasable_parts",
    "with_erasable",
}
# What the writer reads of the present to compare what comes again, or to decide.
NOT_OF_A_POSITION |= {"versions", "days_with_fees", "runs_since", "runs_of_commits", "runs_of", "credits_with"}


def test_every_read_of_the_log_is_asked_or_reads_no_prefix_of_it() -> None:
    names = {name for name, _ in inspect.getmembers(Log, inspect.isfunction) if not name.startswith("_")}
    assert names == ASKED.keys() | NOT_OF_A_POSITION
    until = {name for name in names if "until" in inspect.signature(getattr(Log, name)).parameters}
    assert until <= ASKED.keys()


def test_what_is_read_up_to_a_position_is_never_changed_by_what_is_appended(writing: Writing) -> None:
    """Positions are those of commits and such inside them; sources go on, and some have sent nothing for long."""
    history = History(writing, SEED)
    history.run(15)
    sent = dict.fromkeys(SOURCES, 0)
    for number in range(12):
        advance(writing, sent, SOURCES if number < 2 else SOURCES[:2])
    random, head = Random(SEED), writing.log.head().position
    asked = [(name, random.randint(1, head), random.random()) for name in ASKED for _ in range(READS)]
    first = [answer(writing.log, *each) for each in asked]
    for _ in range(12):
        writing.step(history.input())
        advance(writing, sent, SOURCES)
    assert writing.log.head().position > head
    changed = [each[:2] for each, was in zip(asked, first, strict=True) if answer(writing.log, *each) != was]
    assert changed == []


def advance(writing: Writing, sent: dict[str, int], sources: Iterable[str]) -> None:
    """One fill of each source, in a commit of its own."""
    for source in sources:
        sent[source] += 1
        row = {"account_id": "account1", "exec_id": f"{source}-{sent[source]}", "transact_time_ns": NOON_NS}
        batch = fills(row, source=source)
        writing.step(record(replace(batch, sequence=batch.sequence + (sent[source] - 1))))


def answer(log: Log, name: str, known: int, seed: float) -> Any:
    """Return what a read gives, in a form that can be compared."""
    return plain(ASKED[name](log, known, Random(seed)))


def plain(found: Any) -> Any:
    """Events by their place and bytes: a run of fills holds arrays, which compare by element."""
    if isinstance(found, Recorded):
        return (found.position, found.stream, found.version, repr(found.envelope))
    if isinstance(found, DayCut):
        return (found.totals, found.moved, plain(found.events))
    return [plain(each) for each in found] if isinstance(found, list) else found
