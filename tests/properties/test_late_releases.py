"""Facts that are recorded late, under switches that change, with releases and declines: a ledger against a reckoner.

LEDGER_LATE_HISTORIES says of how many accounts, 50 unless it is set; LEDGER_LATE_SEED where the seeds begin, so that a
long run goes on where one was ended. A seed is that of a ledger of 50, and stands in the name of its test. With
--log-cli-level=INFO a line for each tells what was compared.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random
from typing import Any, Final

import pytest

from ledger.fills import mend
from tests.conftest import Ledger, StartLedger
from tests.properties import late_boundary as boundary
from tests.properties.late_answers import Asked, differences, grant_id, last, question
from tests.properties.late_facts import LateAccount
from tests.properties.late_lives import BEGIN_NS, HOUR_NS, LateLives, Order
from tests.properties.late_orders import DAYS, Step, Written, merged, subjects, switches_of
from tests.properties.late_rulings import Rulings, any_switches, begun
from tests.properties.notebook import DAY_NS, FOR_EVER, Trade
from tests.properties.paper import sums
from tests.properties.reckoner import PERIODIC
from tests.tools import running

PER_LEDGER: Final = 50
LEDGERS: Final = max(int(os.environ.get("LEDGER_LATE_HISTORIES", PER_LEDGER)) // PER_LEDGER, 1)
SEED: Final = int(os.environ.get("LEDGER_LATE_SEED", "20261130"))
SEEDS: Final = range(SEED, SEED + LEDGERS)
QUESTIONS: Final = 2  # asked of each account
CALLERS: Final = 4
ORDERS: Final = 3  # in which the facts of an account are recorded


@pytest.mark.parametrize("seed", SEEDS)
def test_a_ledger_charges_counts_and_withholds_what_the_reckoner_says(
    start_ledger: StartLedger, dsn: str, schema: str, seed: int
) -> None:
    random = Random(seed)
    names = [f"late{number:02}" for number in range(PER_LEDGER)]
    lives = begun(start_ledger(read_wait_ms_max=20_000), seed, names, any_switches(random))
    rulings = Rulings(random)
    lives.live(rulings)
    found, lines, adjusted = list(lives.differences), 0, 0
    questions = []
    for account in lives.reckoner.accounts.values():
        lines += len(account.trades)
        adjusted += sum(bool(noted.adjusted) for noted in account.inside(0, FOR_EVER, lives.settled[-1]))
        asked = [last(lives, account), *(question(lives, account, random) for _ in range(QUESTIONS))]
        questions += [(account, one, Random(random.random())) for one in asked]
    with ThreadPoolExecutor(CALLERS) as pool:
        for told in pool.map(lambda one: all_differences(lives.ledger, *one), questions):
            found += told
    assert found == [], f"seed {seed}"
    agree = "seed %s: %s lines of %s accounts agree, %s of them adjusted; %s rulings of which refused: %s; %s versions"
    logging.getLogger(__name__).info(
        agree, seed, lines, PER_LEDGER, adjusted, rulings.ruled, rulings.refused, rulings.version
    )
    assert adjusted > PER_LEDGER // 5
    assert all(lives.outcomes[what, ""] for what in ("withdraw", "credit")), lives.outcomes
    assert set(rulings.refused) <= {"ACCOUNT_FLAGGED"}
    assert_whole(dsn, schema)


def assert_whole(dsn: str, schema: str) -> None:
    """The log decides and folds again to the same."""
    for tool in ("audit", "check"):
        ran = running.run(tool, "--schema", schema, "--dsn", dsn)
        assert ran.code == 0, (tool, ran.out, ran.err)


def all_differences(ledger: Ledger, account: LateAccount, asked: Asked, random: Random) -> list[tuple[Any, ...]]:
    """Where answers about an account differ from the reckoner's."""
    found = differences(ledger, account, asked) + fill_differences(ledger, account, asked, random)
    return found + withheld_differences(ledger, account, asked.known)


def fill_differences(ledger: Ledger, account: LateAccount, asked: Asked, random: Random) -> list[tuple[Any, ...]]:
    """Where GetFill says otherwise of a line as it is known: fee, ban, and the fact that each adjustment is for."""
    lines = account.inside(0, asked.as_of_ns + 1, asked.known)
    if not lines:
        return []
    noted = random.choice(lines)
    told = boundary.fill(ledger, account.account_id, noted.trade, asked.at)
    fee = noted.fee_at(FOR_EVER)
    expected = (fee.amount, fee.currency, fee.rate, fee.discount, fee.tier, grant_id(noted.grant), noted.banned)
    found = [] if told.now == expected else [(asked, f"GetFill of {noted.trade.exec_id}", expected, told.now)]
    causes = [account.causes(position) for position, *_ in noted.adjusted]
    pairs = zip(causes, told.causes, strict=False)
    of = [any(fact.since < position <= fact.position for fact in facts) for facts, position in pairs]
    if not all(of) or len(told.causes) != len(causes):
        found.append((asked, f"causes of {noted.trade.exec_id}", causes, told.causes))
    return found


def withheld_differences(ledger: Ledger, account: LateAccount, known: int) -> list[tuple[Any, ...]]:
    """Facts that would restate a line and are not listed; listed ones that nobody is to decide about."""
    listed = boundary.withheld(ledger, account.account_id, known)
    missing = [fact for fact in account.undecided(known) if not any(fact.since < at <= fact.position for at in listed)]
    wrong = [at for at in listed if not ((fact := account.fact(at)) and fact.is_undecided(known))]
    return [(account.account_id, f"withheld known at {known}", missing, wrong)] if missing or wrong else []


# -- any order --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("switches", "at_once"), [("adjust", mend.LINES_AT_ONCE), ("adjust", 2), ("drawn", 2)])
@pytest.mark.parametrize("seed", SEEDS)
def test_sums_do_not_hang_on_the_order_of_facts_on_different_subjects(
    start_ledger: StartLedger,
    dsn: str,
    schema: str,
    seed: int,
    switches: str,
    at_once: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor on whether one commit restates the lines of a fact, or many, `at_once` lines in each."""
    monkeypatch.setattr(mend, "LINES_AT_ONCE", at_once)
    random = Random(f"{seed} {switches}")
    groups = [[f"group{group:02}-{order}" for order in range(ORDERS)] for group in range(PER_LEDGER // ORDERS)]
    names = [name for group in groups for name in group]
    lives = begun(start_ledger(read_wait_ms_max=20_000), seed, names, switches_of(random, switches))
    lives.move_to(BEGIN_NS + 25 * DAY_NS)
    lives.close()
    written = {name: Written(account) for name, account in lives.reckoner.accounts.items()}
    record(lives, written, groups, anywhere=switches == "adjust")
    boundary.await_repricings(lives.ledger)
    lives.run(PERIODIC, BEGIN_NS + 23 * DAY_NS)
    boundary.await_repricings(lives.ledger)
    lives.settle()
    # A preview of lines that are too many for one commit says that they are to be restated, and not what that comes to.
    compared, found = 0, [each for each in lives.differences if at_once > 2 or each[1] != "preview"]
    for group in groups:
        first, *others = (written[name] for name in group)
        same = [other for other in others if other.taken.keys() == first.taken.keys()]
        compared += len(same)
        found += [(group, sums(first.account), sums(other.account)) for other in same if not alike(first, other)]
    for account in lives.reckoner.accounts.values():
        found += differences(lives.ledger, account, last(lives, account))
    assert found == [], f"seed {seed}"
    assert compared > len(groups) // 2
    assert_whole(dsn, schema)


def alike(one: Written, other: Written) -> bool:
    """Whether two orders ended in the same."""
    return sums(one.account) == sums(other.account)


def record(lives: LateLives, written: dict[str, Written], groups: list[list[str]], *, anywhere: bool) -> None:
    """The lines of each group and its facts, in an order of each account's own; then rulings.

    Some lines come `anywhere` among the facts, the others before them. The currency of a line is that of what was known
    when it came, so these have no token.
    """
    first_ns = BEGIN_NS + 3 * DAY_NS
    orders: dict[str, list[Step]] = {}
    among: dict[int, list[tuple[str, Trade]]] = {}  # by the number of the turn
    for group in groups:
        facts = subjects(lives.random, first_ns)
        orders |= {name: merged(lives.random, facts) for name in group}
        for hour in lives.random.choices(range(DAYS * 24), k=6):
            trade = replace(lives.any_trade(group[0]), at_ns=first_ns + hour * HOUR_NS)
            for name in group:
                turn = lives.random.randrange(len(orders[name]) + 1) if anywhere and not trade.token_price else 0
                among.setdefault(turn, []).append((name, trade))
    for number in range(max(map(len, orders.values())) + 1):
        lives.send(among.get(number, []))
        take(lives, [(written[name], steps[number]) for name, steps in orders.items() if number < len(steps)])
    for name, steps in orders.items():
        for step in lives.random.sample(steps, len(steps)):
            if step.name in written[name].taken:
                rule(lives, written[name], step)


def take(lives: LateLives, turn: Sequence[tuple[Written, Step]]) -> None:
    """A step of each account, all at once."""
    said = [(of, step, values) for of, step in turn if (values := of.values(step)) is not None]
    taken = lives.order([(of.account, order_of(lives, of.account, step, values)) for of, step, values in said])
    for (of, step, _), done in zip(said, taken, strict=True):
        if done:
            of.took(step)


def order_of(lives: LateLives, account: LateAccount, step: Step, values: dict[str, Any]) -> Order:
    """A step as a command."""
    match step.what:
        case "grant" if values["source"] == "TRIAL":
            return lives.trial(account, values["from_ns"])
        case "grant":
            return lives.given(account, values["tier"], values["from_ns"], values["until_ns"])
        case "revoke":
            return lives.revoked(account, values["number"], values["at_ns"])
        case "ban":
            return lives.banned(account, values["from_ns"], values["days"])
        case "lift":
            return lives.lift(account, values["at_ns"])
        case "flag":
            return lives.flagged(account, values["from_ns"], values["kind"])
        case "withdraw":
            return lives.withdrawn(account, values["fact"])
    return lives.unflag(account, values["at_ns"])


def rule(lives: LateLives, written: Written, step: Step) -> None:
    """What somebody says of a fact, if it is withheld: the same in every order."""
    account, fact = written.account, written.account.facts[written.taken[step.name]]
    if fact.switch != "propose" or fact.withdrawal or not step.verdict:
        return
    if step.verdict == "release":
        account.release(boundary.release(lives.ledger, account.account_id, fact.position), fact)
    else:
        fact.declined = boundary.decline(lives.ledger, account.account_id, fact.position)
