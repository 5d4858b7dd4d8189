"""The reckoner of late facts itself: amounts worked out by hand, and sums that do not hang on the order of facts.

LEDGER_LATE_ORDERS says how many accounts are noted down in three orders each: 300 unless it is set.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any, Final

import pytest

from tests.properties.late_facts import CLASSES, FLAGS, GRANTS, OWNERS, PACKAGED, REVOCATIONS, VOLUME, Fact
from tests.properties.late_orders import DAYS, Step, merged, owners_of, shared_subjects, subjects, switches_of
from tests.properties.notebook import DAY_NS, FOR_EVER, Noted
from tests.properties.paper import EVALUATED_NS, HOUR_NS, NAME, Paper, sums
from tests.properties.reckoner import SYMBOLS

TRADED_NS: Final = EVALUATED_NS + 10 * HOUR_NS
ORDERS: Final = int(os.environ.get("LEDGER_LATE_ORDERS", "300"))
SEED: Final = 20_261_130


class Story:
    """600,000 before the evaluation, and steps that a test names: what they say about a fill of 1,000 after it."""

    def __init__(self, switches: dict[str, str]) -> None:
        self.paper = Paper(switches)
        self.paper.trade(EVALUATED_NS - DAY_NS, 1_200_000)
        self.revoked: Fact | None = None

    def trade(self) -> None:
        self.line = self.paper.trade(TRADED_NS, 2_000)

    def run(self) -> None:
        self.paper.run()

    def vip4(self) -> None:
        self.paper.grant("VIP4", EVALUATED_NS)

    def trial(self) -> None:
        self.paper.grant("VIP3", EVALUATED_NS, source="TRIAL")

    def match(self) -> None:
        self.paper.grant("VIP4", EVALUATED_NS, source="MATCH")

    def revoke(self) -> None:
        self.revoked = self.paper.note("revoke", number=0, at_ns=EVALUATED_NS)

    def release(self) -> None:
        assert self.revoked in self.paper.account.undecided(FOR_EVER)
        self.paper.release(self.revoked)

    def decline(self) -> None:
        assert self.revoked in self.paper.account.undecided(FOR_EVER)
        self.paper.decline(self.revoked)


@pytest.mark.parametrize(
    ("steps", "fee"),
    [
        ("trade run", "0.4"),
        ("trade run vip4", "0.25"),
        ("trade vip4 run", "0.25"),
        ("vip4 trade run", "0.25"),
        ("trade trial run", "0.3"),
        ("trade run trial", "0.3"),
        ("trial trade run", "0.3"),
        ("trade match run", "0.25"),
        ("trade run match", "0.25"),
        ("match trade run", "0.25"),
        ("vip4 trade revoke run", "0.25"),
        ("vip4 trade run revoke", "0.25"),
        ("vip4 trade revoke release run", "0.4"),
        ("vip4 trade revoke run release", "0.4"),
        ("vip4 trade run revoke release", "0.4"),
        ("vip4 trade revoke decline run", "0.25"),
        ("vip4 trade run revoke decline", "0.25"),
        ("vip4 revoke trade run", "0.4"),
        ("vip4 revoke trade", "2.5"),
        ("trade vip4 revoke run", "0.25"),
        ("trade vip4 revoke release run", "0.4"),
    ],
)
def test_f4_a_fill_costs_what_is_known_and_released_whatever_was_recorded_first(steps: str, fee: str) -> None:
    story = Story(PACKAGED)
    for name in steps.split():
        getattr(story, name)()
    assert story.paper.fee(story.line) == fee


def entries(paper: Paper, noted: Noted) -> list[str]:
    """What was posted for a line later."""
    return [f"{after.amount - before.amount:f}" for _, before, after in paper.line(noted).adjusted]


def test_what_is_posted_is_the_difference_to_what_was_posted_and_not_to_what_was_charged() -> None:
    story = Story({**PACKAGED, REVOCATIONS: "adjust"})
    for name in ("trade", "run", "vip4"):
        getattr(story, name)()
    assert entries(story.paper, story.line) == ["-2.10000000", "-0.15000000"]
    story.paper.note("revoke", number=1, at_ns=EVALUATED_NS)
    assert entries(story.paper, story.line) == ["-2.10000000", "-0.15000000", "0.15000000"]
    assert story.paper.fee(story.line) == "0.4"


@pytest.mark.parametrize(
    ("switch", "fee"), [("keep", "0.25"), ("propose", "0.25"), ("credit_only", "0.25"), ("adjust", "2.5")]
)
def test_a_flag_takes_back_what_was_saved_before_it_where_the_switch_says_so(switch: str, fee: str) -> None:
    paper = Paper({**PACKAGED, FLAGS: switch})
    paper.grant("VIP4", EVALUATED_NS)
    line = paper.trade(TRADED_NS, 2_000)
    flag = paper.note("flag", from_ns=EVALUATED_NS, kind="FAKE")
    assert paper.fee(line) == fee
    assert paper.account.undecided(FOR_EVER) == ([flag] if switch in {"propose", "credit_only"} else [])
    assert paper.fee(paper.trade(TRADED_NS, 2_000)) == "2.5", "a line recorded after the flag follows from it"


@pytest.mark.parametrize(("lines", "fees"), [((2_000,), ["0.25"]), ((2_000, 2_000), ["0.25", "0.25"])])
def test_credit_only_posts_what_favours_the_member(lines: tuple[int, ...], fees: list[str]) -> None:
    paper = Paper({**PACKAGED, GRANTS: "credit_only"})
    noted = [paper.trade(TRADED_NS, quantity) for quantity in lines]
    fact = paper.grant("VIP4", EVALUATED_NS)
    assert [paper.fee(line) for line in noted] == fees
    assert paper.account.undecided(FOR_EVER) == []
    assert [(at, of) for (at, _), of in fact.released] == [(fact.position, "USDT")]


def test_credit_only_is_decided_by_currency_on_the_net() -> None:
    """A revocation costs the member in USDT; a line in the token, after the grant, is not concerned."""
    paper = Paper({**PACKAGED, REVOCATIONS: "credit_only"})
    token = paper.trade(EVALUATED_NS - HOUR_NS, 2_000, token_price="0.25")
    paper.grant("VIP4", EVALUATED_NS)
    line = paper.trade(TRADED_NS, 2_000)
    fact = paper.note("revoke", number=0, at_ns=EVALUATED_NS)
    assert paper.account.nets(fact, FOR_EVER) == {"USDT": Decimal("2.25")}
    assert (paper.fee(token), paper.fee(line)) == ("7.5 BMX", "0.25")
    assert paper.account.undecided(FOR_EVER) == [fact]


def test_a_line_stays_in_its_currency_at_its_own_price_of_the_token() -> None:
    paper = Paper({**PACKAGED, REVOCATIONS: "adjust"})
    token = paper.trade(TRADED_NS, 2_000, token_price="0.25")
    paper.grant("VIP4", EVALUATED_NS)
    quote = paper.trade(TRADED_NS, 2_000, token_price="0.25")
    assert (paper.fee(token), paper.fee(quote)) == ("1 BMX", "0.25")
    paper.note("revoke", number=0, at_ns=EVALUATED_NS)
    assert (paper.fee(token), paper.fee(quote)) == ("7.5 BMX", "1.875")
    assert entries(paper, token) == ["-6.50000000", "6.50000000"]


def test_two_facts_may_move_a_fee_that_neither_moves_alone() -> None:
    """The second of two facts is withheld, though by itself it would change nothing."""
    paper = Paper(PACKAGED)
    paper.grant("VIP4", EVALUATED_NS)
    paper.grant("VIP4", EVALUATED_NS, days=20)
    line = paper.trade(TRADED_NS, 2_000)
    revocations = [paper.note("revoke", number=number, at_ns=EVALUATED_NS) for number in range(2)]
    assert paper.account.undecided(FOR_EVER) == [revocations[0]], "the line would be charged by the other grant"
    paper.release(revocations[0])
    assert (paper.fee(line), paper.account.undecided(FOR_EVER)) == ("0.25", [revocations[1]])
    paper.release(revocations[1])
    assert paper.fee(line) == "2.5"


def test_a_line_names_a_grant_that_ended_after_it_until_that_one_gives_nothing_any_more() -> None:
    paper = Paper({**PACKAGED, REVOCATIONS: "adjust"})
    for days in (10, 20):
        paper.grant("VIP4", EVALUATED_NS, days=days)
    line, named = paper.trade(TRADED_NS, 2_000), []
    for revoked_ns in (TRADED_NS + 1, EVALUATED_NS):
        named.append(paper.line(line).rests.grant)
        paper.note("revoke", number=1, at_ns=revoked_ns)
        paper.grant("VIP1", EVALUATED_NS)
    assert [*named, paper.line(line).rests.grant] == [1, 1, 0]
    assert entries(paper, line) == ["0.00000000"]


def test_a_backdated_ban_and_its_lift_move_volume_at_a_fee_difference_of_nothing() -> None:
    paper = Paper(PACKAGED)
    line = paper.trade(EVALUATED_NS - DAY_NS, 2_000_000)
    paper.note("ban", from_ns=EVALUATED_NS - 2 * DAY_NS, until_ns=EVALUATED_NS + DAY_NS)
    assert (paper.line(line).excluded(), entries(paper, line)) == ("BANNED", ["0.00000000"])
    before = paper.account.facts[-1].position - 1
    assert paper.line(line, before).excluded() == "", "what was known before stays"
    paper.note("lift", at_ns=EVALUATED_NS - 2 * DAY_NS + HOUR_NS)
    assert (paper.line(line).excluded(), len(entries(paper, line))) == ("", 2)
    paper.run()
    assert [fact.values["tier"] for fact in paper.account.facts if fact.what == "grant"] == ["VIP2"]


def test_a_ban_that_is_withheld_moves_no_volume_of_lines_before_it() -> None:
    paper = Paper({**PACKAGED, VOLUME: "propose"})
    line = paper.trade(EVALUATED_NS - DAY_NS, 2_000_000)
    ban = paper.note("ban", from_ns=EVALUATED_NS - 2 * DAY_NS, until_ns=EVALUATED_NS)
    later = paper.trade(EVALUATED_NS - DAY_NS, 2_000)
    assert [paper.line(each).excluded() for each in (line, later)] == ["", "BANNED"]
    assert paper.account.undecided(FOR_EVER) == [ban]
    paper.release(ban)
    assert [paper.line(each).excluded() for each in (line, later)] == ["BANNED", "BANNED"]


def test_what_a_run_grants_under_a_flag_waits_for_the_un_flag_and_gives_nothing_for_fills_under_it() -> None:
    paper = Paper(PACKAGED)
    paper.trade(EVALUATED_NS - DAY_NS, 1_200_000)
    line = paper.trade(EVALUATED_NS + HOUR_NS, 2_000)
    paper.note("flag", from_ns=EVALUATED_NS + 2 * HOUR_NS, kind="FAKE")
    under = paper.trade(EVALUATED_NS + 3 * HOUR_NS, 2_000)
    paper.run()
    assert [paper.fee(each) for each in (line, under)] == ["2.5", "2.5"]
    paper.note("unflag", at_ns=EVALUATED_NS + 5 * HOUR_NS)
    assert [paper.fee(each) for each in (line, under)] == ["0.4", "2.5"]


def test_a_switch_is_that_of_the_version_in_force_when_the_fact_is_recorded() -> None:
    paper = Paper({**PACKAGED, GRANTS: "keep"})
    line = paper.trade(TRADED_NS, 2_000)
    paper.reckoner.switches.append((paper.reckoner.now_ns + 1, PACKAGED))
    paper.grant("VIP3", EVALUATED_NS)
    assert paper.fee(line) == "2.5"
    paper.reckoner.now_ns += 1
    paper.grant("VIP2", EVALUATED_NS)
    assert paper.fee(line) == "0.4", "the better grant is kept"


@pytest.mark.parametrize(("switch", "fee"), [("adjust", "2.5"), ("propose", "0.25"), ("keep", "0.25")])
def test_a_fact_that_is_withdrawn_never_was_for_lines_after_it_and_for_others_once_that_is_released(
    switch: str, fee: str
) -> None:
    paper = Paper({**PACKAGED, GRANTS: switch})
    grant = paper.grant("VIP4", EVALUATED_NS)
    line = paper.trade(TRADED_NS, 2_000)
    withdrawal = paper.note("withdraw", fact=grant)
    assert (paper.fee(line), paper.fee(paper.trade(TRADED_NS, 2_000))) == (fee, "2.5")
    assert paper.account.undecided(FOR_EVER) == ([withdrawal] if switch == "propose" else [])
    if switch == "propose":
        paper.release(withdrawal)
        assert paper.fee(line) == "2.5"


def test_a_grant_that_is_withdrawn_leaves_its_number_and_nobody_is_asked_about_it_any_more() -> None:
    paper = Paper({**PACKAGED, GRANTS: "propose"})
    line = paper.trade(TRADED_NS, 2_000)
    grant = paper.grant("VIP4", EVALUATED_NS)
    assert paper.account.undecided(FOR_EVER) == [grant]
    paper.note("withdraw", fact=grant)
    assert (paper.fee(line), paper.account.undecided(FOR_EVER)) == ("2.5", [])
    paper.grant("VIP3", EVALUATED_NS)
    assert paper.account.past(FOR_EVER).number(TRADED_NS) == 1


def test_a_flag_that_is_withdrawn_lets_what_it_held_back_go() -> None:
    paper = Paper({**PACKAGED, FLAGS: "adjust"})
    line = paper.trade(TRADED_NS, 2_000)
    flag = paper.note("flag", from_ns=EVALUATED_NS + HOUR_NS, kind="FAKE")
    paper.grant("VIP4", EVALUATED_NS)
    assert paper.fee(line) == "2.5"
    paper.note("withdraw", fact=flag)
    assert paper.fee(line) == "0.25"


def test_a_ban_that_is_withdrawn_moves_its_volume_back() -> None:
    paper = Paper(PACKAGED)
    line = paper.trade(EVALUATED_NS - DAY_NS, 2_000)
    ban = paper.note("ban", from_ns=EVALUATED_NS - 2 * DAY_NS, until_ns=EVALUATED_NS)
    assert paper.line(line).excluded() == "BANNED"
    paper.note("withdraw", fact=ban)
    assert (paper.line(line).excluded(), len(entries(paper, line))) == ("", 2)


def test_a_credit_is_of_no_line_and_stays_whatever_is_decided_until_it_is_taken_back() -> None:
    paper = Paper({**PACKAGED, FLAGS: "adjust"})
    paper.trade(TRADED_NS, 2_000)
    day = TRADED_NS // DAY_NS
    paper.say("credit", day=day, currency="USDT", amount=Decimal("1.5"))
    (credit,), known = paper.account.credits, paper.account.credits[0].position
    assert sums(paper.account)["fee", day, "USDT"] == Decimal("1")
    paper.note("flag", from_ns=EVALUATED_NS, kind="FAKE")
    assert sums(paper.account)["fee", day, "USDT"] == Decimal("1")
    paper.say("uncredit", credit=credit)
    assert sums(paper.account)["fee", day, "USDT"] == Decimal("2.5")
    assert (credit.stands(known), credit.stands(FOR_EVER)) == (True, False)


# -- pairs and owners -------------------------------------------------------------------------------------------------


def note_class(paper: Paper, name: str = "LTC_USDT", pair_class: str = "A") -> Fact:
    return paper.note("class", **{"symbol": name, "from_ns": EVALUATED_NS, "is": pair_class})


def note_rates(paper: Paper, maker: str = "", taker: str = "", from_ns: int = EVALUATED_NS) -> Fact:
    return paper.note("rates", **{"symbol": "XRP_USDT", "from_ns": from_ns, "is": (maker, taker)})


@pytest.mark.parametrize(("switch", "fee"), [("keep", "2.5"), ("propose", "2.5"), ("adjust", "0.25")])
def test_a_class_that_comes_late_is_one_from_its_own_instant_on(switch: str, fee: str) -> None:
    paper = Paper({**PACKAGED, CLASSES: switch})
    paper.grant("VIP4", EVALUATED_NS - DAY_NS)
    before, line = (paper.trade(at_ns, 2_000, symbol="LTC_USDT") for at_ns in (EVALUATED_NS - 1, TRADED_NS))
    fact = note_class(paper)
    assert [paper.fee(each) for each in (before, line)] == ["2.5", fee]
    assert paper.fee(paper.trade(TRADED_NS, 2_000, symbol="LTC_USDT")) == "0.25", "it came after the class"
    assert [one.position for one in paper.reckoner.undecided(FOR_EVER)] == [fact.position] * (switch == "propose")
    paper.release(fact)
    assert (paper.fee(line), paper.reckoner.undecided(FOR_EVER)) == ("0.25", [])


def test_a_class_changes_what_a_line_rests_on_also_where_it_costs_the_same() -> None:
    paper = Paper({**PACKAGED, CLASSES: "adjust"})
    line = paper.trade(TRADED_NS, 2_000, symbol="LTC_USDT")
    note_class(paper)
    assert entries(paper, line) == ["0.00000000"]


def test_everybody_pays_the_rates_of_a_pair_and_on_the_other_side_what_tier_and_class_say() -> None:
    paper = Paper({**PACKAGED, CLASSES: "adjust"})
    paper.grant("VIP4", EVALUATED_NS)
    taker, maker = (paper.trade(TRADED_NS, 2_000, maker=maker) for maker in (False, True))
    note_rates(paper, taker="0.0006")
    assert [paper.fee(each) for each in (taker, maker)] == ["0.6", "-0.01"]
    note_rates(paper, from_ns=TRADED_NS + 1)
    assert paper.fee(taker) == "0.6", "they are taken away for what trades later"
    note_rates(paper, from_ns=TRADED_NS)
    assert paper.fee(taker) == "0.25"


def test_of_two_words_about_a_pair_the_one_that_begins_last_counts_whichever_came_first() -> None:
    for starts in ((1, 2), (2, 1)):
        paper = Paper({**PACKAGED, CLASSES: "adjust"})
        line = paper.trade(TRADED_NS, 2_000)
        for start in starts:
            note_rates(paper, taker=f"0.000{start}", from_ns=EVALUATED_NS + start)
        assert paper.fee(line) == "0.2"


def test_credit_only_is_decided_of_a_shared_fact_by_the_net_of_each_account() -> None:
    paper = Paper({**PACKAGED, CLASSES: "credit_only"})
    line = paper.trade(TRADED_NS, 2_000)
    dearer = note_rates(paper, taker="0.004")
    assert (paper.fee(line), paper.account.undecided(FOR_EVER)) == ("2.5", [dearer])
    assert paper.reckoner.undecided(FOR_EVER) == [], "nobody is asked about all accounts"
    note_rates(paper, taker="0.001", from_ns=TRADED_NS)
    assert paper.fee(line) == "1"
    paper.release(dearer)
    assert paper.fee(line) == "1", "the other rates begin later"


@pytest.mark.parametrize(("switch", "fees"), [("propose", ["-0.01", "0"]), ("adjust", ["0", "-0.01"])])
def test_an_owner_who_comes_late_makes_self_trades_of_some_lines_and_of_others_none(
    switch: str, fees: list[str]
) -> None:
    paper = Paper({**PACKAGED, OWNERS: switch})
    paper.grant("VIP4", EVALUATED_NS)
    with_owner, with_itself = (paper.trade(TRADED_NS, 2_000, maker=True, counterparty=name) for name in ("acme", NAME))
    named = paper.trade(TRADED_NS, 2_000, maker=True, counterparty="acme", owner="zeta")
    fact = paper.note("owner", owner="acme", until_then=NAME, from_ns=0)
    assert [paper.fee(each) for each in (with_owner, with_itself)] == fees
    assert paper.fee(named) == "-0.01", "the fill says who owns the account"
    if switch == "propose":
        assert paper.account.undecided(FOR_EVER) == [fact]
        paper.release(fact)
    assert [paper.line(each).excluded() for each in (with_owner, with_itself)] == ["SELF_TRADE", ""]


# -- orders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("switches", ["adjust", "drawn"])
def test_sums_do_not_hang_on_the_order_of_facts_on_different_subjects(switches: str) -> None:
    """Where the last run is after all of them, and the same commands are accepted."""
    random, compared, adjusted = Random(f"{SEED} {switches}"), 0, 0
    for number in range(ORDERS):
        drawn, from_ns = switches_of(random, switches), EVALUATED_NS - DAYS * DAY_NS
        facts = subjects(random, from_ns) + shared_subjects(random, from_ns, from_ns, EVALUATED_NS)
        trades = random.choices(range(DAYS * 24), k=6)
        written = [noted_down(drawn, trades, merged(random, facts), random) for _ in range(3)]
        first = written[0]
        for other in written[1:]:
            if other.written.taken.keys() == first.written.taken.keys():
                compared += 1
                assert sums(other.account) == sums(first.account), (SEED, switches, number, drawn, facts)
        adjusted += any(first.line(noted).adjusted for noted in first.account.trades)
    assert compared > ORDERS
    assert adjusted > ORDERS // 2


def traded_at(hour: int) -> dict[str, Any]:
    """The pair, the side and the owner of the other side of a fill, by its hour."""
    names = [name for name, (_, quote) in SYMBOLS.items() if quote == "USDT"]
    counterparty = ("", NAME, owners_of(NAME)[0])[hour % 3]
    return {"symbol": names[hour // 3 % len(names)], "maker": hour % 4 < 2, "counterparty": counterparty}


def noted_down(switches: dict[str, str], hours: list[int], order: list[Step], random: Random) -> Paper:
    """Lines and facts in an order, what is said of those that are withheld in any order, and the run.

    Where every cause is on `adjust`, lines without a token come anywhere among the facts, else before them: a fact that
    is withheld prices what comes after it. The currency of a line is that of what was known when it came.
    """
    paper = Paper(switches)
    steps: list[Step | int] = list(order)
    for number in range(len(hours)):
        anywhere = set(switches.values()) == {"adjust"} and not number % 2
        steps.insert(random.randint(0, len(steps)) if anywhere else 0, number)
    taken: list[Step] = []
    for step in steps:
        if isinstance(step, int):
            at_ns, token_price = EVALUATED_NS - hours[step] * HOUR_NS, "0.25" if step % 2 else ""
            paper.trade(at_ns, 10 ** (step + 2), token_price=token_price, **traded_at(hours[step]))
        elif paper.take(step):
            taken.append(step)
    says: dict[str, Callable[[Fact], Any]] = {"release": paper.release, "decline": paper.decline}
    for step in random.sample(taken, len(taken)):
        fact = paper.account.facts[paper.written.taken[step.name]]
        if fact.switch == "propose" and not fact.withdrawal and step.verdict:
            says[step.verdict](fact)
    paper.run()
    return paper
