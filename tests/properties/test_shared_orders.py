"""Classes and rates of pairs, and owners, on `adjust`: in any order, facts on different subjects end in the same."""

from __future__ import annotations

from hashlib import sha256
from random import Random
from typing import Any, Final

import pytest

from ledger import programmes
from ledger.domain import commands as asked
from ledger.domain.commands import Command
from ledger.domain.instants import DAY_NS
from ledger.domain.traits import TRAIT_BANNED, TRAIT_SELF_TRADE
from ledger.fills import mend
from ledger.fills.adjust import lines_now
from ledger.writing.messages import Accepted, GoOnRepricing
from tests.domain.worked import fills
from tests.replaying import deviations
from tests.write_side import NOON_NS, Writing, ask, opened, record

ORDERS: Final = 5
ACCOUNTS: Final = ("a", "b")
DAYS_AGO: Final = (9.5, 8.5, 7.5, 6.5, 5, 3.5, 1, 0.0003)


def ago(days: float) -> int:
    return NOON_NS - int(days * DAY_NS)


FACTS: Final[list[Command]] = [
    asked.AssignPairClass("T", "A", ago(8)),
    asked.AssignPairClass("U", "C", ago(6)),
    asked.SetPairRates("S", 0, 700, ago(0.0004)),  # no more than a minute ago
    asked.ChangeTier("a", "VIP4", ago(9), None),
    asked.ChangeTier("b", "VIP5", ago(7), ago(3)),
    asked.ChangeTier("b", "VIP1", ago(5), None),
    asked.BanAccount("a", 2, ago(6), "ORDER_SPAM"),
    asked.RegisterAccount("a", "own", "", ago(7)),
    asked.RegisterAccount("b", "own2", "", ago(10)),
]


def adjusting(writing: Writing) -> None:
    content = programmes.packaged().replace('version = "3.0"', 'version = "3.1"')
    content = content.replace(' = "propose"', ' = "adjust"')
    published = asked.PublishProgramme(programmes.parse(content), content, sha256(content.encode()).digest(), NOON_NS)
    (answer,) = writing.step(ask(published))
    assert isinstance(answer, Accepted), answer


def trades() -> list[dict[str, Any]]:
    """Fills of both accounts in pairs without a class and with one; of some the other side has the account's owner."""
    rows = [(account, symbol, days) for account in ACCOUNTS for symbol in "TUS" for days in DAYS_AGO]
    return [
        {
            "account_id": account,
            "symbol": symbol,
            "exec_id": f"E{number}",
            "quantity": "1000",
            "liquidity": 1 + number % 2,
            "transact_time_ns": ago(days),
            "counterparty_owner_id": ("own", "own2", "x")[number % 3],
        }
        for number, (account, symbol, days) in enumerate(rows)
    ]


def told(writing: Writing, random: Random) -> None:
    """All facts in some order, with the fills in between."""
    steps: list[Any] = [ask(fact) for fact in random.sample(FACTS, len(FACTS))]
    for part in range(3):
        steps.insert(random.randint(0, len(steps)), record(fills(*trades()[part::3])))
    for step in steps:
        (answer,) = writing.step(step)
        assert not hasattr(answer, "refusal"), answer
        if random.random() < 0.5:
            writing.step(GoOnRepricing(ACCOUNTS))
    while any(answer.lines or answer.accounts for answer in writing.step(GoOnRepricing(ACCOUNTS))):
        pass


def lines(writing: Writing) -> dict[str, tuple[Any, ...]]:
    """What each fill is now, by its id: but for the number of its grant, which is that of the order."""
    streams = {each.stream for each in writing.events() if each.stream.startswith("fees/")}
    now = [placed.known for stream in streams for placed in lines_now(writing.log.streams([stream], 2**62)).values()]
    return {known.line.exec_id: (known.line.fee, known.line.traits, known.basis._replace(grant_id="")) for known in now}


def ended(dsn: str, schema: str, seed: int) -> dict[str, tuple[Any, ...]]:
    """Return what the fills are after one order of the facts, in a ledger of its own, whose log is decided again."""
    with opened(dsn, schema) as writing:
        adjusting(writing)
        for symbol in "TU":
            writing.step(ask(asked.RegisterSymbol(symbol, "XRP", "USDT", 1, 8, 8)))
        told(writing, Random(seed))
        assert deviations(writing.events()) == [], f"seed {seed}"
        return lines(writing)


def test_any_order_ends_in_the_same_fees(dsn: str, schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mend, "LINES_AT_ONCE", 3)
    monkeypatch.setattr(mend, "ACCOUNTS_AT_ONCE", 1)
    found, *others = (ended(dsn, f"{schema}_{seed}", seed) for seed in range(ORDERS))
    for seed, other in enumerate(others, 1):
        assert other == found, f"seed {seed}"
    assert {basis.pair_class for _, _, basis in found.values()} == {"A", "C", ""}
    assert {basis.rate_source for _, _, basis in found.values()} >= {"TIER", "BASE", "PAIR"}
    for trait in (TRAIT_SELF_TRADE, TRAIT_BANNED):
        assert {bool(traits & trait) for _, traits, _ in found.values()} == {True, False}
