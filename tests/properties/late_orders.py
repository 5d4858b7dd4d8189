"""Facts about an account and about pairs by subject, and the orders in which they may be recorded.

The facts of one subject keep their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.properties.late_facts import CAUSES, LateAccount
from tests.properties.notebook import DAY_NS, FOR_EVER, TIERS, ends
from tests.properties.reckoner import CLASSLESS, SYMBOLS

DAYS = 20  # from the first instant that a fact is about to the last
MAKER_RATES = ("", "0", "-0.0001", "0.0003", "0.0011")  # of pairs of their own; empty: what tier and class say
TAKER_RATES = ("", "0.0002", "0.0006", "0.004")


@dataclass(frozen=True)
class Step:
    """A fact of a subject; `verdict` is what somebody says of it where it is withheld: release, decline or nothing."""

    subject: int
    number: int  # within its subject
    what: str
    values: tuple[tuple[str, Any], ...]
    verdict: str

    @property
    def name(self) -> tuple[int, int]:
        """The same in every order."""
        return self.subject, self.number


def subjects(random: Random, from_ns: int) -> list[list[Step]]:
    """Two to five, all about times that are over: grants and what takes them back, bans with lifts, flags that end.

    `of` of a withdrawal is the number of the fact within its subject.
    """
    made = [_grant, *random.choices((_grant, _trial, _bans, _flags, _owner), k=random.randint(1, 4))]
    kinds = [make for number, make in enumerate(made) if make is _grant or make not in made[:number]]
    return [_steps(random, subject, make(random, from_ns)) for subject, make in enumerate(kinds)]


def shared_subjects(random: Random, from_ns: int, minute_ns: int, until_ns: int) -> list[list[Step]]:
    """First classes of some pairs, of any time; rates of some, and further classes, since a minute ago."""
    found: list[list[tuple[str, dict[str, Any]]]] = []
    for name in random.sample(sorted(CLASSLESS), 2):
        found.append([_of_pair("class", name, _any_ns(random, from_ns), random.choice("ABC"))])
        if random.random() < 0.5:
            found[-1].append(_of_pair("class", name, random.randrange(minute_ns, until_ns), random.choice("ABC")))
    for name in random.sample(sorted(SYMBOLS), random.randint(1, 2)):
        rates = [(random.choice(MAKER_RATES), random.choice(TAKER_RATES)) for _ in range(random.randint(1, 2))]
        found.append([_of_pair("rates", name, random.randrange(minute_ns, until_ns), each) for each in rates])
    return [_steps(random, -1 - number, facts) for number, facts in enumerate(found)]


def _of_pair(what: str, name: str, from_ns: int, said: Any) -> tuple[str, dict[str, Any]]:
    return what, {"symbol": name, "from_ns": from_ns, "is": said}


def _steps(random: Random, subject: int, facts: Sequence[tuple[str, dict[str, Any]]]) -> list[Step]:
    verdicts = random.choices(("release", "release", "decline", ""), k=len(facts))
    return [
        Step(subject, number, what, tuple(values.items()), verdict)
        for number, ((what, values), verdict) in enumerate(zip(facts, verdicts, strict=True))
    ]


def switches_of(random: Random, named: str) -> dict[str, str]:
    """`adjust` for every cause, or any that does not hang on the order: credit_only is decided on what is posted."""
    return {cause: "adjust" if named == "adjust" else random.choice(("adjust", "propose", "keep")) for cause in CAUSES}


def merged(random: Random, of: Sequence[Sequence[Step]]) -> list[Step]:
    """All steps in any order that keeps that of each subject."""
    turns = [subject for subject, steps in enumerate(of) for _ in steps]
    random.shuffle(turns)
    left = [iter(steps) for steps in of]
    return [next(left[subject]) for subject in turns]


class Written:
    """One order as it is recorded about an account: which steps were taken, and which grant is of which subject."""

    def __init__(self, account: LateAccount) -> None:
        self.account = account
        self.taken: dict[tuple[int, int], int] = {}  # position in the account's facts, by name of the step
        self._grants: dict[int, int] = {}  # number of the grant, by subject

    def values(self, step: Step) -> dict[str, Any] | None:
        """What a step says; None: its grant was refused, so there is nothing that it could be about."""
        values = dict(step.values)
        if step.what == "owner":
            return {"owner": owners_of(self.account.account_id)[0], "until_then": self.account.account_id, "from_ns": 0}
        if step.what == "withdraw":
            place = self.taken.get((step.subject, values["of"]))
            return None if place is None else {"fact": self.account.facts[place]}
        if step.what != "revoke":
            return values
        return {"number": self._grants[step.subject], **values} if step.subject in self._grants else None

    def took(self, step: Step) -> None:
        """Note that a step was recorded: it is the last of the account's facts."""
        self.taken[step.name] = len(self.account.facts) - 1
        if step.what == "grant":
            self._grants[step.subject] = len(self.account.past(FOR_EVER).grants) - 1

    def refuses(self, step: Step, values: dict[str, Any]) -> bool:
        """Whether the rules refuse a step now."""
        past = self.account.past(FOR_EVER)
        match step.what:
            case "revoke":
                return bool(values["at_ns"] >= ends(past.grants[values["number"]]))
            case "lift":
                return not past.banned(values["at_ns"])
            case "unflag":
                return not past.flagged(values["at_ns"])
            case "flag":
                kind, at_ns = values["kind"], values["from_ns"]
                return any(start <= at_ns < until and of == kind for start, until, of in past.flags)
            case "grant" if values["source"] == "TRIAL":
                reckoner = self.account.reckoner
                return bool(reckoner.refuses_trial(self.account.account_id, values["from_ns"]))
        return False


def owners_of(account_id: str) -> tuple[str, str]:
    """Who may own an account, and no other one: otherwise it would depend on the others who may have a trial."""
    return f"{account_id}:one", f"{account_id}:two"


def _grant(random: Random, from_ns: int) -> list[tuple[str, dict[str, Any]]]:
    start_ns = _any_ns(random, from_ns)
    until_ns = start_ns + random.randint(1, DAYS) * DAY_NS
    tier = random.choice(TIERS[1:])
    return _perhaps_revoked(random, {"tier": tier, "source": "MANUAL", "from_ns": start_ns, "until_ns": until_ns})


def _trial(random: Random, from_ns: int) -> list[tuple[str, dict[str, Any]]]:
    start_ns = _any_ns(random, from_ns)
    values = {"tier": "VIP3", "source": "TRIAL", "from_ns": start_ns, "until_ns": start_ns + 30 * DAY_NS}
    return _perhaps_revoked(random, values)


def _perhaps_revoked(random: Random, grant: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    start_ns = grant["from_ns"]
    revoked = ("revoke", {"at_ns": start_ns + random.choice((-1, 0, DAY_NS // 2, 3 * DAY_NS))})
    follows = random.choice(([], [revoked], [revoked], [("withdraw", {"of": 0})], [revoked, ("withdraw", {"of": 1})]))
    return [("grant", grant), *follows]


def _bans(random: Random, from_ns: int) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for _ in range(random.randint(1, 2)):
        start_ns, days = _any_ns(random, from_ns), random.randint(1, 7)
        found.append(("ban", {"from_ns": start_ns, "days": days}))
        if random.random() < 0.5:
            found.append(("lift", {"at_ns": start_ns + random.randrange(min(days, 2) * DAY_NS)}))
        if random.random() < 0.3:
            found.append(("withdraw", {"of": len(found) - 1}))
    return found


def _flags(random: Random, from_ns: int) -> list[tuple[str, dict[str, Any]]]:
    """Each is over by now: while one runs, grants wait, and which ones is a matter of the order."""
    found: list[tuple[str, dict[str, Any]]] = []
    for _ in range(random.randint(1, 2)):
        start_ns, kind = _any_ns(random, from_ns), random.choice(("FAKE", "ROBOT"))
        found.append(("flag", {"from_ns": start_ns, "kind": kind}))
        unflagged = ("unflag", {"at_ns": start_ns + random.randint(1, DAY_NS // 4)})
        found.append(random.choice((unflagged, unflagged, ("withdraw", {"of": len(found) - 1}))))
    return found


def _owner(_: Random, __: int) -> list[tuple[str, dict[str, Any]]]:
    return [("owner", {})]


def _any_ns(random: Random, from_ns: int) -> int:
    return from_ns + random.randrange(DAYS * 4) * DAY_NS // 4
