"""Facts that are recorded late, under switches that change, with releases and declines: a ledger against a reckoner.

LEDGER_LATE_HISTORIES says of how many accounts, 50 unless it is set; LEDGER_LATE_SEED where the seeds begin, so that a
long run goes on where one was ended. A seed is that of a ledger of 50, and stands in the name of its test. With
--log-cli-level=INFO a line for each tells what was compared.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any, Final

import pytest

from ledger.fills import mend
from tests.conftest import Ledger, StartLedger
from tests.properties import late_boundary as boundary
from tests.properties import late_shared as pairs
from tests.properties.late_answers import Asked, differences, last, question, rests_noted
from tests.properties.late_facts import LateAccount, SharedFact
from tests.properties.late_lives import BEGIN_NS, HOUR_NS, LateLives, Order
from tests.properties.late_orders import DAYS, Step, Written, merged, shared_subjects, subjects, switches_of
from tests.properties.late_past import LateTrade
from tests.properties.late_rulings import Rulings, any_switches, begun
from tests.properties.late_shared import MINUTE_NS
from tests.properties.notebook import DAY_NS, FOR_EVER, Trade
from tests.properties.paper import sums
from tests.properties.reckoner import PACKAGED as PACKAGED_TERMS
from tests.properties.reckoner import PERIODIC, SYMBOLS
from tests.tools import running

PER_LEDGER: Final = 50
LEDGERS: Final = max(int(os.environ.get("LEDGER_LATE_HISTORIES", PER_LEDGER)) // PER_LEDGER, 1)
SEED: Final = int(os.environ.get("LEDGER_LATE_SEED", "20261130"))
SEEDS: Final = range(SEED, SEED + LEDGERS)
QUESTIONS: Final = 2  # asked of each account
SHARED_QUESTIONS: Final = 5  # of facts of all accounts
CALLERS: Final = 4
ORDERS: Final = 3  # in which the facts of an account are recorded
GROUPS: Final = 12  # of so many accounts


@pytest.mark.parametrize("seed", SEEDS)
def test_a_ledger_charges_counts_and_withholds_what_the_reckoner_says(
    start_ledger: StartLedger, dsn: str, schema: str, seed: int
) -> None:
    random = Random(seed)
    names = [f"late{number:02}" for number in range(PER_LEDGER)]
    lives = begun(start_ledger(read_wait_ms_max=20_000), seed, names, any_switches(random))
    rulings = Rulings(random)
    lives.live(rulings, pairs.share, pairs.rule_any)
    found, lines, adjusted = list(lives.differences), 0, 0
    questions = []
    causes: Counter[str] = Counter()  # of adjustments
    for account in lives.reckoner.accounts.values():
        lines += len(account.trades)
        inside = account.inside(0, FOR_EVER, lives.settled[-1])
        adjusted += sum(bool(noted.adjusted) for noted in inside)
        causes.update(account.causes(at)[0].what for noted in inside for at, *_ in noted.adjusted)
        asked = [last(lives, account), *(question(lives, account, random) for _ in range(QUESTIONS))]
        questions += [(account, one, Random(random.random())) for one in asked]
    for known in {lives.settled[-1], *random.sample(lives.settled, SHARED_QUESTIONS)}:
        found += shared_differences(lives, known)
    found += pairs.preview_differences(lives)
    with ThreadPoolExecutor(CALLERS) as pool:
        for told in pool.map(lambda one: all_differences(lives.ledger, *one), questions):
            found += told
    assert found == [], f"seed {seed}"
    agree = (
        "seed %s: %s lines of %s accounts agree in %s questions, %s of them adjusted;"
        " adjustments: %s; shared facts: %s; %s rulings of which refused: %s; %s versions"
    )
    shared = Counter(f"{one.switch}{'' if one.released is None else ' released'}" for one in lives.reckoner.shared)
    told = (dict(causes), dict(shared), rulings.ruled, rulings.refused, rulings.version)
    logging.getLogger(__name__).info(agree, seed, lines, PER_LEDGER, len(questions), adjusted, *told)
    assert adjusted > PER_LEDGER // 5
    assert all(lives.outcomes[what, ""] for what in ("withdraw", "credit", "owner")), lives.outcomes
    assert lives.reckoner.shared
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
    found += quote_differences(ledger, account, asked, random)
    return found + withheld_differences(ledger, account, asked.known)


def quote_differences(ledger: Ledger, account: LateAccount, asked: Asked, random: Random) -> list[tuple[Any, ...]]:
    """Where QuoteFee says otherwise of a trade of any pair: it goes by all that was known, released or not."""
    values = (random.choice(sorted(SYMBOLS)), random.random() < 0.5, True, False, "", Decimal("0.5"), Decimal(1_000))
    trade, past = LateTrade("quoted", asked.as_of_ns, *values), account.past(asked.known)
    fee, rests = account.reckoner.fee(trade, past, asked.known), past.rests(trade, PACKAGED_TERMS)
    expected = (fee.amount, fee.currency, fee.rate, fee.discount, fee.tier, *rests_noted(rests))
    told = boundary.quote(ledger, account.account_id, trade, asked.at)
    return [] if told == expected else [(asked, f"QuoteFee of {trade.symbol}", expected, told)]


def fill_differences(ledger: Ledger, account: LateAccount, asked: Asked, random: Random) -> list[tuple[Any, ...]]:
    """Where GetFill says otherwise of a line as it is known: fee, ban, and the fact that each adjustment is for."""
    lines = account.inside(0, asked.as_of_ns + 1, asked.known)
    if not lines:
        return []
    noted = random.choice(lines)
    told = boundary.fill(ledger, account.account_id, noted.trade, asked.at)
    fee = noted.fee_at(FOR_EVER)
    expected = (fee.amount, fee.currency, fee.rate, fee.discount, fee.tier, *rests_noted(noted.rests))
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


def shared_differences(lives: LateLives, known: int) -> list[tuple[Any, ...]]:
    """Facts of many accounts that would restate a line and are not listed; listed ones that are decided."""
    listed, shared = boundary.withheld_from_all(lives.ledger, known), lives.reckoner.shared
    missing = [one.position for one in lives.reckoner.undecided(known) if one.position not in listed]
    wrong = listed - {one.position for one in shared if one.is_undecided(known)}
    return [("", f"withheld from all known at {known}", missing, wrong)] if missing or wrong else []


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
    groups = [[f"group{group:02}-{order}" for order in range(ORDERS)] for group in range(GROUPS)]
    names = [name for group in groups for name in group]
    ledger = start_ledger(read_wait_ms_max=20_000, waiting_previews_max=len(names))
    lives = begun(ledger, seed, names, switches_of(random, switches))
    lives.move_to(BEGIN_NS + 25 * DAY_NS)
    lives.close()
    written = {name: Written(account) for name, account in lives.reckoner.accounts.items()}
    record(lives, written, groups, anywhere=switches == "adjust")
    boundary.await_repricings(lives.ledger)
    lives.run(PERIODIC, BEGIN_NS + 23 * DAY_NS)
    boundary.await_repricings(lives.ledger)
    lives.settle()
    compared, found = 0, lives.differences + pairs.preview_differences(lives)
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
    """The lines of each group and its facts, in an order of each account's own, and facts of pairs; then rulings.

    Some lines come `anywhere` among the facts, the others before them. The currency of a line is that of what was known
    when it came, so these have no token.
    """
    random, first_ns, now_ns = lives.random, BEGIN_NS + 3 * DAY_NS, lives.now_ns
    orders: dict[str, list[Step]] = {}
    among: dict[int, list[tuple[str, Trade]]] = {}  # by the number of the turn
    for group in groups:
        facts = subjects(random, first_ns)
        orders |= {name: merged(random, facts) for name in group}
        times = [first_ns + hour * HOUR_NS for hour in random.choices(range(DAYS * 24), k=6)]
        for at_ns in (*times, now_ns - random.randrange(MINUTE_NS)):
            trade = lives.any_trade(group[0], at_ns=at_ns, owner="")
            for name in group:
                turn = random.randrange(len(orders[name]) + 1) if anywhere and not trade.token_price else 0
                among.setdefault(turn, []).append((name, with_whom(trade, group[0], name)))
    turns = max(map(len, orders.values())) + 1
    sharing = merged(random, shared_subjects(random, first_ns, now_ns - MINUTE_NS, now_ns))
    shared_at = sorted(random.randrange(turns) for _ in sharing)
    shared: list[tuple[SharedFact | None, Step]] = []
    for number in range(turns):
        lives.send(among.get(number, []))
        now = [step for step, turn in zip(sharing, shared_at, strict=True) if turn == number]
        shared += [(pairs.take(lives, step), step) for step in now]
        take(lives, [(written[name], steps[number]) for name, steps in orders.items() if number < len(steps)])
    rulings = [
        partial(pairs.rule, lives, fact, releases=step.verdict == "release")
        for fact, step in shared
        if fact is not None and step.verdict and fact.is_undecided(FOR_EVER)
    ]
    for name, steps in orders.items():
        rulings += [partial(rule, lives, written[name], step) for step in steps if step.name in written[name].taken]
    for ruling in random.sample(rulings, len(rulings)):
        ruling()


def with_whom(trade: LateTrade, first: str, account_id: str) -> LateTrade:
    """A trade of the first account of a group as another one of the group makes it."""
    return replace(trade, counterparty=trade.counterparty.replace(first, account_id))


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
        case "owner":
            return lives.registered(account, values["owner"], lives.now_ns)
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
