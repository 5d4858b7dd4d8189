"""Owners that fills name, as the writer records them: once for an account, beside the fills that say so first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from ledger.domain import commands
from ledger.domain.events import AccountLinked, Event, OwnerNamed, TrialStarted, VolumeRecorded
from ledger.domain.refusal import Reason
from ledger.domain.state.owners import NAMED_MAX
from ledger.writing.messages import Accepted, DecideCommand, Refused
from tests.conftest import NOON_NS
from tests.domain.worked import fills
from tests.projections.audited import audit
from tests.write_side import Writing, ask, record


def naming(account_id: str, owner_id: str, **changes: Any) -> Any:
    """A batch of one fill."""
    row = {"account_id": account_id, "owner_id": owner_id, "exec_id": f"{account_id}-{owner_id}", **changes}
    return record(fills(row))


def trial(account_id: str) -> DecideCommand:
    return ask(commands.StartTrial(account_id, NOON_NS))


def register(account_id: str, owner_id: str) -> DecideCommand:
    return ask(commands.RegisterAccount(account_id, owner_id, "", None))


def named(writing: Writing, after: int = 0) -> list[tuple[str, Event]]:
    """(stream, event) of all that has to do with owners, in order."""
    kinds = (OwnerNamed, AccountLinked)
    return [(each.stream, each.event) for each in writing.events(after) if isinstance(each.event, kinds)]


def pair(account_id: str, owner_id: str) -> list[tuple[str, Event]]:
    return [(f"account/{account_id}", OwnerNamed(owner_id)), (f"owner/{owner_id}", AccountLinked(account_id))]


def reason(answer: Any) -> Reason:
    assert isinstance(answer, Refused), answer
    return answer.refusal.reason


def test_an_owner_is_recorded_in_the_commit_of_the_fills_that_name_it_and_takes_effect_with_the_first(
    writing: Writing,
) -> None:
    before = writing.log.head().position
    rows = [{"owner_id": "acme", "exec_id": f"E{number}", "transact_time_ns": NOON_NS - number} for number in (3, 2, 1)]
    writing.step(replace_actor(record(fills(*rows)), "engine-7"))
    run, owner, link = writing.events(before)
    assert (type(run.event), owner.event, link.event) == (VolumeRecorded, OwnerNamed("acme"), AccountLinked("alice"))
    assert (owner.stream, owner.version, link.stream, link.version) == ("account/alice", 1, "owner/acme", 1)
    assert {each.envelope.recorded_time_ns for each in (run, owner, link)} == {run.envelope.recorded_time_ns}
    assert {each.envelope.effective_time_ns for each in (owner, link)} == {NOON_NS - 3}
    assert {each.envelope.actor for each in (run, owner, link)} == {"engine-7"}


def replace_actor(item: Any, actor: str) -> Any:
    return replace(item, batch=replace(item.batch, whole=replace(item.batch.whole, actor=actor)))


def test_a_pair_is_recorded_once_for_life_whoever_sends_it_again_and_after_a_new_term(writing: Writing) -> None:
    first = naming("alice", "acme")
    writing.step(first)
    expected = pair("alice", "acme")
    assert named(writing) == expected
    writing.step(first)
    writing.step(naming("alice", "acme", exec_id="E2"), naming("alice", "acme", exec_id="E3"))
    writing.new_term()
    writing.step(first, naming("alice", "acme", exec_id="E4"))
    assert named(writing) == expected
    writing.step(naming("bob", "acme"))
    assert named(writing) == [*expected, *pair("bob", "acme")]
    assert writing.events()[-1].version == 2


def test_the_accounts_own_owner_is_no_news_registered_or_not(writing: Writing) -> None:
    writing.step(naming("alice", "alice"))
    writing.step(register("bob", "acme"))
    after = writing.log.head().position
    writing.step(naming("bob", "acme"))
    assert named(writing, after) == []
    writing.step(naming("bob", "zeta"))
    assert named(writing, after) == pair("bob", "zeta")


def test_fills_that_are_refused_or_known_with_other_content_name_nobody(writing: Writing) -> None:
    writing.step(naming("alice", "", exec_id="E1"))
    writing.step(
        naming("alice", "acme", exec_id="E1"),
        naming("bob", "acme", symbol="NONE"),
        naming("carol", "acme", price="0.123456789"),
    )
    assert named(writing) == []
    writing.step(record(fills({"exec_id": "E2"}, {"exec_id": "E2", "owner_id": "acme"})))
    assert named(writing) == [], "the second one is a conflict within its batch"


def test_a_source_that_sends_again_adds_nothing(writing: Writing) -> None:
    rows = [{"exec_id": f"E{number}", "owner_id": "acme"} for number in range(3)]
    batch = record(fills(*rows, source="engine"))
    writing.step(batch)
    before = writing.log.head().position
    writing.step(batch)
    writing.new_term()
    writing.step(batch)
    assert named(writing, before) == []


@pytest.mark.parametrize("order", list(permutations(("acme", "zeta", "beta"))), ids="-".join)
def test_the_order_of_the_fills_is_that_of_the_owners(writing: Writing, order: Iterable[str]) -> None:
    writing.step(*(naming("alice", owner_id) for owner_id in order))
    assert named(writing) == [entry for owner_id in order for entry in pair("alice", owner_id)]


def test_an_account_keeps_no_more_owners_than_it_may_and_its_fills_are_recorded_all_the_same(
    writing: Writing, dsn: str, schema: str
) -> None:
    rows = [{"exec_id": f"E{number}", "owner_id": f"o{number}"} for number in range(NAMED_MAX + 2)]
    (taken,) = writing.step(record(fills(*rows)))
    assert taken.recorded == len(rows)
    writing.step(naming("alice", "one-more"))
    owners = [event.owner_id for _, event in named(writing) if isinstance(event, OwnerNamed)]
    assert owners == [f"o{number}" for number in range(NAMED_MAX)]
    assert audit(dsn, schema)[0] == []


def test_an_owner_has_one_trial_whichever_fills_name_it(writing: Writing, dsn: str, schema: str) -> None:
    writing.step(naming("alice", "acme"), naming("bob", "acme"), naming("carol", "zeta"))
    first, second, other = writing.step(trial("alice"), trial("bob"), trial("carol"))
    assert isinstance(first, Accepted)
    assert reason(second) == Reason.TRIAL_ALREADY_USED
    assert isinstance(other, Accepted)
    writing.step(register("dave", "acme"))
    assert reason(writing.step(trial("dave"))[0]) == Reason.TRIAL_ALREADY_USED
    assert reason(writing.step(trial("acme"))[0]) == Reason.TRIAL_ALREADY_USED, "it bears the owner's name"
    writing.new_term()
    assert reason(writing.step(naming("erin", "acme"), trial("erin"))[1]) == Reason.TRIAL_ALREADY_USED
    assert audit(dsn, schema)[0] == []


def test_fills_that_came_before_a_command_in_its_commit_count_for_it(writing: Writing, dsn: str, schema: str) -> None:
    writing.step(register("alice", "acme"), trial("alice"))
    _, refused, _ = writing.step(naming("bob", "acme"), trial("bob"), naming("carol", "acme"))
    assert reason(refused) == Reason.TRIAL_ALREADY_USED
    writing.step(trial("dave"))
    before = writing.log.head().position
    _, other = writing.step(naming("dave", "zeta"), trial("zeta"))
    assert reason(other) == Reason.TRIAL_ALREADY_USED, "whose fills name the account that asks"
    assert not any(isinstance(each.event, TrialStarted) for each in writing.events(before))
    assert audit(dsn, schema)[0] == []


def test_two_venues_and_days_of_one_commit_name_an_owner_once(writing: Writing, dsn: str, schema: str) -> None:
    rows = [
        {"exec_id": f"E{day}", "owner_id": owner, "transact_time_ns": NOON_NS - day * 86_400 * 10**9}
        for day, owner in ((0, "acme"), (1, "zeta"), (2, "acme"))
    ]
    writing.step(record(fills(*rows)), replace_actor(naming("alice", "zeta", exec_id="E9"), "other"))
    assert named(writing) == [*pair("alice", "acme"), *pair("alice", "zeta")]
    assert audit(dsn, schema)[0] == []
