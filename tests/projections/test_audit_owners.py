"""Owners that fills name are decided again: one too many, one too few, another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from ledger.domain import commands
from ledger.domain.events import AccountLinked, OwnerNamed, Recorded, VolumeRecorded, WriterStarted
from ledger.domain.instants import DAY_NS
from ledger.domain.rules import RULES_VERSION
from ledger.domain.state.account import AccountState
from ledger.fills.fill_runs import FillRuns
from ledger.fills.owners import NamedOwner, newly_named_owners
from ledger.store.codec.events import encode
from ledger.writing import fills as writing_fills
from ledger.writing.messages import Accepted
from ledger.writing.states import States
from projections.audit.frame import Frame
from projections.audit.terms import Otherwise
from tests.domain.worked import fills
from tests.projections.audited import Copy, audit
from tests.write_side import NOON_NS, Writing, ask, record

FIRST_RULES = 3  # that record owners which fills name

Naming = Callable[[FillRuns, Mapping[str, AccountState]], list[NamedOwner]]


def trade(writing: Writing, account_id: str, owner_id: str, **changes: Any) -> None:
    row = {"account_id": account_id, "owner_id": owner_id, "exec_id": f"E{writing.log.head().position}", **changes}
    writing.step(record(fills(row)))


def live(writing: Writing) -> None:
    """Three accounts that share owners, over two days; one is registered."""
    trade(writing, "alice", "acme", transact_time_ns=NOON_NS - DAY_NS)
    trade(writing, "bob", "acme")
    writing.step(ask(commands.RegisterAccount("carol", "zeta", "", None)))
    trade(writing, "carol", "acme")
    trade(writing, "bob", "zeta")
    writing.step(ask(commands.StartTrial("bob", NOON_NS)))
    trade(writing, "alice", "acme")


@pytest.fixture
def lived(writing: Writing) -> Writing:
    live(writing)
    return writing


@pytest.fixture
def copy(lived: Writing, dsn: str, schema: str) -> Copy:
    return Copy(dsn, schema)


def owners(writing: Writing) -> list[Recorded]:
    return [each for each in writing.events() if isinstance(each.event, OwnerNamed)]


def decided_by(monkeypatch: pytest.MonkeyPatch, naming: Naming) -> None:
    """Have the writer record another choice of owners than the rules say: it chooses where it decides by columns."""
    monkeypatch.setattr(writing_fills, "FEW", 0)
    monkeypatch.setattr(writing_fills, "newly_named_owners", naming)


def test_a_life_with_owners_in_fills_is_decided_as_it_was_whatever_part_of_it_is_audited(
    lived: Writing, dsn: str, schema: str
) -> None:
    assert len(owners(lived)) == 4
    for scope in (
        {},
        {"jobs": 2},
        *({"accounts": frozenset([name])} for name in ("alice", "bob", "carol")),
        {"accounts": frozenset(["alice", "bob"]), "jobs": 2},
        {"from_ns": NOON_NS - 1},
        {"until_ns": NOON_NS},
        {"from_ns": NOON_NS - 2 * DAY_NS, "until_ns": NOON_NS - 1},
    ):
        assert audit(dsn, schema, **scope)[0] == [], scope
    frame = Frame(lived.log)
    ends = {frame.made_by(position) for position in range(1, frame.end())} - {0}
    assert len(ends) == len({each.envelope.recorded_time_ns for each in lived.events()}) - 1
    for known in ends:  # what is asked for in the middle of a commit is audited up to the commit before
        assert audit(dsn, schema, known=known)[0] == [], known


def test_an_owner_that_was_not_recorded_is_missed_once_at_the_fills_that_name_it_first(
    writing: Writing, dsn: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided_by(monkeypatch, lambda *_: [])
    for _ in range(3):
        trade(writing, "alice", "acme")
    first = next(each for each in writing.events() if isinstance(each.event, VolumeRecorded))
    (found,) = audit(dsn, schema)[0]
    assert str(found) == (
        f"position {first.position}, {first.stream}: it is the first to name acme, and no OwnerNamed follows"
    )
    monkeypatch.undo()
    trade(writing, "alice", "acme")
    assert len(owners(writing)) == 1
    assert audit(dsn, schema)[0] == [found], "what is recorded late is right where it stands"


def test_an_owner_that_no_fill_names_is_found_and_named_once(
    writing: Writing, dsn: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided_by(monkeypatch, lambda *runs: [*newly_named_owners(*runs), NamedOwner("alice", "forged", NOON_NS)])
    trade(writing, "alice", "acme")
    monkeypatch.undo()
    _, forged = owners(writing)
    (found,) = audit(dsn, schema)[0]
    assert audit(dsn, schema, accounts=frozenset(["alice"]))[0] == [found]
    assert (found.position, str(found).rpartition(": ")[2]) == (
        forged.position,
        "no fill of this commit is the first to name forged",
    )


def test_an_owner_that_was_recorded_before_is_found_when_it_is_recorded_again(
    writing: Writing, dsn: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided_by(monkeypatch, lambda *_: [NamedOwner("alice", "acme", NOON_NS)])
    trade(writing, "alice", "acme")
    trade(writing, "alice", "acme")
    (found,) = audit(dsn, schema)[0]
    assert found.position == owners(writing)[1].position


@pytest.mark.parametrize("forged", ["zeta", "nobody"])
def test_another_owner_in_its_place_is_found_at_its_position(copy: Copy, lived: Writing, forged: str) -> None:
    first, *_ = owners(lived)
    copy.edit(first, lambda event: replace(event, owner_id=forged))
    all_found = copy.audit()
    copy.audit_each(all_found)
    found = [str(each) for each in all_found if each.position == first.position]
    assert found == [f"position {first.position}, account/alice: owner_id is '{forged}', expected 'acme'"]


def test_an_account_that_is_linked_to_another_owner_is_found(copy: Copy, lived: Writing) -> None:
    link = lived.log.at(owners(lived)[1].position + 1)
    copy.edit(link, lambda _: AccountLinked("mallory"))
    assert [each.position for each in copy.audit()][:1] == [link.position]
    assert [each.position for each in copy.audit(accounts=frozenset(["bob"]))][:1] == [link.position]


def test_another_time_of_an_owner_is_found(copy: Copy, lived: Writing) -> None:
    first, *_ = owners(lived)
    envelope = replace(first.envelope, effective_time_ns=first.envelope.effective_time_ns + 1)
    copy.sql(
        "UPDATE LEDGER.events SET state = %(state)s WHERE notification_id = %(position)s",
        state=encode(envelope, first.event)[1],
        position=first.position,
    )
    assert [each.position for each in copy.audit() if "effective_time_ns is" in str(each)] == [first.position]


def test_a_second_trial_of_an_owner_that_fills_name_is_found(
    writing: Writing, dsn: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer forgets whom the fills named: the audit does not."""
    trade(writing, "alice", "acme")
    trade(writing, "bob", "acme")
    monkeypatch.setattr(States, "family", lambda *_: [])
    for account_id in ("alice", "bob"):
        (answer,) = writing.step(ask(commands.StartTrial(account_id, NOON_NS)))
        assert isinstance(answer, Accepted)
    for scope in ({"jobs": 1}, {"jobs": 2}, {"accounts": frozenset(["bob"])}):
        (found,) = audit(dsn, schema, **scope)[0]
        assert str(found).startswith(f"position {answer.recorded.position}, account/bob: refused now: TRIAL_ALREADY")


def test_fills_of_older_rules_that_name_owners_are_no_finding_and_those_of_a_new_term_are(
    writing: Writing, dsn: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert RULES_VERSION >= FIRST_RULES
    decided_by(monkeypatch, lambda *_: [])
    for _ in range(2):
        trade(writing, "alice", "acme")
    monkeypatch.undo()
    copy = Copy(dsn, schema)
    started = next(each for each in writing.events() if isinstance(each.event, WriterStarted))
    copy.edit(started, lambda event: replace(event, rules_version=FIRST_RULES - 1))
    otherwise: list[Otherwise] = []
    assert audit(dsn, copy.schema, otherwise=otherwise)[0] == []
    (one,) = otherwise
    assert (one.rules_version, "no OwnerNamed follows" in str(one.deviation)) == (FIRST_RULES - 1, True)


def test_a_new_term_records_what_fills_of_older_rules_named_as_soon_as_one_names_it_again(
    writing: Writing, dsn: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided_by(monkeypatch, lambda *_: [])
    trade(writing, "alice", "acme")
    trade(writing, "bob", "acme")
    writing.new_term()
    trade(writing, "bob", "acme")
    monkeypatch.undo()
    trade(writing, "alice", "acme")
    assert [each.stream for each in owners(writing)] == ["account/alice"]
    copy = Copy(dsn, schema)
    first, second = (each for each in writing.events() if isinstance(each.event, WriterStarted))
    copy.edit(first, lambda event: replace(event, rules_version=FIRST_RULES - 1))
    otherwise: list[Otherwise] = []
    (found,) = audit(dsn, copy.schema, otherwise=otherwise)[0]
    assert found.position > second.position, "bob's owner is missing in the new term"
    assert [one.deviation.stream.split("/")[1] for one in otherwise] == ["alice", "bob"]
