"""A small ledger in which every table has rows: accounts of every kind, for what is made from the log and compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger.domain import commands
from ledger.domain.decide.evaluation import Assessment, Case, EvaluationRun, assess
from ledger.domain.events import PERIODIC, POST_TRIAL, Envelope, EvaluationStarted, MatchClaim, Recorded
from ledger.domain.instants import DAY_NS
from ledger.programmes import packaged, parse
from ledger.writing.messages import Accepted, EvaluateAccounts
from projections.answers.fee_history import AccountSpan, day_sums
from tests.domain.worked import fills
from tests.write_side import NOON_NS, Writing, ask, record

STEPS: Final = ("account_opened", "api_key_created", "community_joined", "form_submitted")
FIRST_NS: Final = NOON_NS - 40 * DAY_NS  # when the trials begin
# One name is the beginning of another, and the next character sorts before '/', which ends names in streams.
TRADERS: Final = ("alice", "alice-2", "alice.x", "bob")


def write_history(writing: Writing) -> None:
    """Every kind of row of every table, in a few commits each."""
    decide(writing, commands.RegisterAccount("alice-2", "alice", "alice", FIRST_NS), ticket="T-1")
    for day in range(3):
        rows = [
            {"account_id": name, "exec_id": f"{day}-{n}", "transact_time_ns": FIRST_NS + day * DAY_NS, "quantity": "7"}
            for n, name in enumerate(TRADERS)
        ]
        writing.step(record(fills(*rows)))
    for source in ("engine-1", "engine-2"):
        row = {"account_id": "carol", "exec_id": source, "quantity": "900000.5", "cl_ord_id": f"mine-{source}"}
        writing.step(record(fills(row, source=source)))
    for name in ("alice", "dave", "erin"):
        decide(writing, commands.StartTrial(name, FIRST_NS))
    decide(writing, commands.ChangeTier("alice", "VIP4", NOON_NS - DAY_NS, None))
    decide(writing, commands.ChangeTier("bob", "VIP2", NOON_NS - 9 * DAY_NS, NOON_NS))
    decide(writing, commands.RevokeTier("bob", "g1", NOON_NS - DAY_NS))
    for name in ("alice", "frank"):
        decide(writing, commands.BanAccount(name, 3, NOON_NS - 2 * DAY_NS, "ORDER_SPAM"))
    for name in ("bob", "gina"):
        decide(writing, commands.FlagAccount(name, "FAKE", NOON_NS - 5 * DAY_NS, b""))
    decide(writing, commands.UnflagAccount("bob", NOON_NS - 4 * DAY_NS))
    _apply(writing)
    claim = MatchClaim(("okx",), "VIP2", NOON_NS - 30 * DAY_NS, NOON_NS, "500000", "0", bytes(32))
    for name in ("ivy", "jack"):
        decide(writing, commands.RequestMatch(name, claim, NOON_NS))
    decide(writing, commands.RejectMatch("jack", "m1", "EVIDENCE_FALSE", NOON_NS))
    evaluate(writing, POST_TRIAL, "alice", FIRST_NS + 30 * DAY_NS)
    evaluate(writing, PERIODIC, "carol", NOON_NS - DAY_NS)  # carol's fills of today cost less now
    for name in ("alice-2", "alice.x"):  # a late grant is withheld while a flag runs
        decide(writing, commands.FlagAccount(name, "FAKE", NOON_NS - 5 * DAY_NS, b""))
        decide(writing, commands.ChangeTier(name, "VIP1", FIRST_NS, FIRST_NS + 9 * DAY_NS))
    decide(writing, commands.UnflagAccount("alice.x", NOON_NS - 4 * DAY_NS))


def decide(writing: Writing, command: commands.Command, **by: str) -> None:
    """A command that must be accepted; `by` are fields of its authority."""
    (answer,) = writing.step(ask(command, **by))
    assert isinstance(answer, Accepted), answer


def evaluate(writing: Writing, kind: str, account_id: str, at_ns: int) -> None:
    """What the past 30 days give to one account."""
    head, window = writing.log.head().position, (at_ns - 30 * DAY_NS, at_ns)
    run = EvaluationRun(parse(packaged()), kind, head)
    days = day_sums(writing.log, AccountSpan(account_id, *window, head))
    cells = {day: {key: cell.notional for key, cell in sums.items()} for day, sums in days.items()}
    found = assess(run.programme, Case(account_id, at_ns, window), cells, {})
    assert isinstance(found, Assessment)
    started = EvaluationStarted(run.programme.programme_id, "3.0", kind, at_ns, *window, head)
    writing.step(EvaluateAccounts(Recorded(1, "evaluation", 1, Envelope(at_ns, at_ns, 1), started), run, [found]))


def _apply(writing: Writing, names: Sequence[str] = ("alice", "henry")) -> None:
    for name in names:
        decide(writing, commands.SubmitApplication(name, NOON_NS - 3 * DAY_NS, dict.fromkeys(STEPS, True)))
    decide(writing, commands.VerifyApiIdentity("alice", NOON_NS - 2 * DAY_NS))
    decide(writing, commands.SettleApplication("alice", "p1", "GRANTED", NOON_NS - DAY_NS))
