"""Which facts of an account can be withdrawn, and what the account is without them."""

from __future__ import annotations

from itertools import permutations

import pytest

from ledger.domain.commands import WithdrawFact
from ledger.domain.decide.decided import Decided
from ledger.domain.decide.facts import BAN, GRANT, REVOCATION, AccountFacts
from ledger.domain.decide.withdrawal import decide_withdrawal
from ledger.domain.events import (
    AccountBanned,
    AccountFlagged,
    AccountRegistered,
    ApiIdentityVerified,
    ApplicationSettled,
    ApplicationSubmitted,
    BanLifted,
    BehaviourMetricRecorded,
    CommandRefused,
    Event,
    FactDeclined,
    FactReleased,
    FactWithdrawn,
    FactWithheld,
    KamAssigned,
    MatchClaim,
    MatchRejected,
    MatchRequested,
    OwnerNamed,
    TierChanged,
    TierRevoked,
    TrialStarted,
)
from ledger.domain.refusal import Refusal
from tests.domain.test_explanation import evaluation
from tests.domain.worked import NOON_NS, recorded

CLAIM = MatchClaim(("okx",), "VIP2", 0, 30, "500000", "0", bytes(32))
GIVEN = TierChanged("g1", "p", "VIP4", "MANUAL", 20, None)
BANNED = AccountBanned("b1", 20, 90, "ORDER_SPAM", (1,))


def facts(*events: Event) -> AccountFacts:
    return AccountFacts("alice", [recorded(event, position) for position, event in enumerate(events, 1)])


def decided(position: int, *events: Event) -> FactWithdrawn | str:
    """What is recorded, or the reason of the refusal."""
    found = decide_withdrawal(facts(*events), WithdrawFact("alice", position), NOON_NS)
    if isinstance(found, Refusal):
        return found.reason.name
    assert isinstance(found, Decided)
    ((stream, event),) = found.events
    assert (stream, found.effective_time_ns) == ("account/alice", NOON_NS)
    assert isinstance(event, FactWithdrawn)
    return event


def test_a_withdrawal_says_what_the_fact_says_of_lines() -> None:
    assert decided(1, GIVEN) == FactWithdrawn(1, GRANT, 20, "p")
    assert decided(2, GIVEN, TierRevoked("g1", 30)) == FactWithdrawn(2, REVOCATION, 30, "p")
    assert decided(1, AccountBanned("b1", 20, 90, "ORDER_SPAM")) == FactWithdrawn(1, BAN, 20, "")


@pytest.mark.parametrize(
    "event",
    [
        MatchRequested("m1", "p", 5, "VIP2", CLAIM),
        MatchRejected("m1", "p", 5, reason=230, claim=CLAIM),
        ApplicationSubmitted("p1", "p", 5, True, True, True, True),
        ApiIdentityVerified(5),
        KamAssigned("kam", 5),
        BehaviourMetricRecorded("LOW_FILL_RATIO", "0.1", 1, 5),
    ],
)
def test_a_decision_that_prices_no_fill_is_withdrawn_without_a_cause(event: Event) -> None:
    assert decided(1, event) == FactWithdrawn(1, "", 0, "")


@pytest.mark.parametrize(
    "event",
    [
        AccountRegistered("alice", "acme", "", 5),
        OwnerNamed("acme"),
        evaluation("PERIODIC"),
        FactReleased(7, GRANT, "adjust"),
        FactWithheld(7, GRANT, "propose", "SWITCH"),
        FactDeclined(7),
        FactWithdrawn(7, GRANT, 5, "p"),
    ],
)
def test_some_events_are_withdrawn_by_nobody(event: Event) -> None:
    assert decided(1, event) == "FACT_NOT_WITHDRAWABLE"


def test_a_fact_is_withdrawn_once_and_only_where_there_is_one() -> None:
    assert decided(1, GIVEN, FactWithdrawn(1, GRANT, 20, "p")) == "FACT_ALREADY_WITHDRAWN"
    assert decided(2, GIVEN) == decided(1, CommandRefused("LiftBan", 1, "", "no")) == "FACT_UNKNOWN"


@pytest.mark.parametrize(
    ("named", "naming"),
    [
        (MatchRequested("m1", "p", 5, "VIP2", CLAIM), MatchRejected("m1", "p", 9, reason_code="NO_PROOF")),
        (MatchRequested("m1", "p", 5, "VIP2", CLAIM), TierChanged("g1", "p", "VIP2", "MATCH", 9, 90, "m1")),
        (ApplicationSubmitted("p1", "p", 5, True, True, True, True), ApplicationSettled("p1", "GRANTED", 9)),
        (BehaviourMetricRecorded("LOW_FILL_RATIO", "0.1", 1, 5), BANNED),
    ],
)
def test_what_another_fact_rests_on_is_withdrawn_after_that(named: Event, naming: Event) -> None:
    assert decided(1, named, naming) == "FACT_IN_USE"
    cause = decided(2, named, naming)
    assert isinstance(cause, FactWithdrawn)
    assert isinstance(decided(1, named, naming, cause), FactWithdrawn)


def test_what_ended_a_withdrawn_fact_may_stay_and_ends_nothing() -> None:
    assert isinstance(decided(1, GIVEN, TierRevoked("g1", 30)), FactWithdrawn)
    assert isinstance(decided(1, BANNED, BanLifted(30)), FactWithdrawn)


def tier_of(known: AccountFacts, known_at: int) -> str:
    return "".join(grant.tier for grant in known.account_for(known_at, "p", "USDT").grants)


def test_a_line_counts_by_a_withdrawal_as_by_any_fact() -> None:
    given, withdrawn = GIVEN, FactWithdrawn(3, GRANT, 20, "p")
    held = facts(CommandRefused("LiftBan", 1, "", "no"), CommandRefused("LiftBan", 1, "", "no"), given, withdrawn)
    assert [tier_of(held, known_at) for known_at in (2, 3, 4)] == ["", "VIP4", ""], "before it, between, after it"
    released = held.with_release(FactReleased(4, GRANT, "adjust"))
    assert [tier_of(released, known_at) for known_at in (2, 3, 4)] == ["", "", ""]
    dollars = held.with_release(FactReleased(4, GRANT, "credit_only", currencies=("USDT",)))
    assert [grant.tier for grant in dollars.account_for(3, "p", "BMX").grants] == ["VIP4"]


def test_a_line_from_before_a_released_fact_counts_by_it_until_the_withdrawal_is_released() -> None:
    known = facts(CommandRefused("LiftBan", 1, "", "no"), GIVEN, FactReleased(2, GRANT, "adjust"))
    assert tier_of(known, 1) == "VIP4"
    withdrawn = facts(*(each.event for each in known.events), FactWithdrawn(2, GRANT, 20, "p"))
    assert tier_of(withdrawn, 1) == "VIP4"
    assert tier_of(withdrawn.with_release(FactReleased(4, GRANT, "adjust")), 1) == ""


def test_the_order_of_releases_does_not_matter() -> None:
    base = [CommandRefused("LiftBan", 1, "", "no"), GIVEN, TierRevoked("g1", 50), FactWithdrawn(2, GRANT, 20, "p")]
    releases = [FactReleased(2, GRANT, "adjust"), FactReleased(3, REVOCATION, "adjust"), FactReleased(4, GRANT, "")]
    for some in (releases[:2], releases[1:], releases[::2], releases):
        found = {facts(*base, *order).account_for(1, "p", "USDT").grants for order in permutations(some)}
        assert len(found) == 1, some


def test_a_line_that_counts_by_a_withdrawn_end_and_a_later_one_has_the_earlier_until_the_withdrawal_is_released() -> (
    None
):
    """The grant is given, ended at 30, not ended after all, and ended at 50. The line came after the first end."""
    withdrawn = FactWithdrawn(2, REVOCATION, 30, "p")
    known = facts(GIVEN, TierRevoked("g1", 30), withdrawn, TierRevoked("g1", 50), FactReleased(4, REVOCATION, ""))
    of_line = [
        each.account_for(2, "p", "USDT") for each in (known, known.with_release(FactReleased(3, REVOCATION, "")))
    ]
    assert [grant.ends_at_ns for account in of_line for grant in account.grants] == [30, 50]


def test_nothing_waits_of_a_fact_that_was_withdrawn() -> None:
    events = (GIVEN, FactWithheld(1, GRANT, "propose", "SWITCH"), FactWithdrawn(1, GRANT, 20, "p"))
    assert facts(*events[:2]).withheld.keys() == {1}
    assert facts(*events).withheld == {}


def test_only_a_grant_that_is_given_waits_for_the_end_of_a_flag() -> None:
    known = facts(GIVEN, FactWithdrawn(1, GRANT, 20, "p"))
    assert [known.facts[position].is_grant for position in (1, 2)] == [True, False]


def test_a_withdrawn_flag_ends_as_one_that_is_lifted_and_a_withdrawn_lift_does_not() -> None:
    known = facts(AccountFlagged("f1", "FAKE", 5), FactWithdrawn(1, "FLAG", 5, ""), FactWithdrawn(9, "UNFLAG", 5, ""))
    assert [known.facts[position].ends_flag for position in (1, 2, 3)] == [False, True, False]


def test_a_trial_that_was_withdrawn_was_never_had() -> None:
    known = facts(TrialStarted("g1", "p", "VIP3", 10, 40), FactWithdrawn(1, GRANT, 10, "p"))
    account = known.account_for(2, "p", "USDT")
    assert (account.trial_used, account.grants, account.next_grant_id) == (False, (), "g2")
