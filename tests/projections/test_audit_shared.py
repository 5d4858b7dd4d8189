"""How a class came to many accounts is decided again: whoever audits all of it, a part of it, or one account of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256

import pytest

from ledger import programmes
from ledger.domain import commands as asked
from ledger.domain.events import FactReleased, Recorded, ReleaseAdvanced
from ledger.domain.instants import DAY_NS
from ledger.fills import mend
from ledger.writing.messages import GoOnRepricing
from projections.audit import audit as audit_module
from tests.domain.worked import fills
from tests.projections.audited import Copy, audit
from tests.write_side import NOON_NS, Writing, ask, opened, record

SCHEMA = "test_audit_shared"
MEMBERS = ("a", "a-b", "b", "c")  # in the order of their ids: two commits bring the class to two of them each
TRADED_NS = NOON_NS - 2 * DAY_NS

Forge = Callable[[Copy, dict[str, Recorded], list[Recorded]], object]


@pytest.fixture(scope="module")
def shared(dsn: str) -> Iterator[Writing]:
    """A class that came to all members; another account traded other pairs. The tests leave it as it is."""
    with opened(dsn, SCHEMA) as writing, pytest.MonkeyPatch.context() as patch:
        patch.setattr(mend, "ACCOUNTS_AT_ONCE", 2)
        content = programmes.packaged().replace('version = "3.0"', 'version = "3.1"')
        content = content.replace('classes = "propose"', 'classes = "adjust"')
        digest = sha256(content.encode()).digest()
        writing.step(ask(asked.PublishProgramme(programmes.parse(content), content, digest, NOON_NS)))
        writing.step(ask(asked.RegisterSymbol("T", "XRP", "USDT", 1, 8, 8)))
        rows = [(name, "T") for name in MEMBERS] + [("other", "S"), ("c", "S")]
        trades = [{"account_id": name, "symbol": symbol, "transact_time_ns": TRADED_NS} for name, symbol in rows]
        writing.step(record(fills(*trades)))
        writing.step(ask(asked.ChangeTier("other", "VIP4", NOON_NS, None)))
        writing.step(ask(asked.AssignPairClass("T", "A", TRADED_NS - DAY_NS)))
        while writing.step(GoOnRepricing(()))[0].accounts:
            pass
        yield writing


@pytest.fixture
def outcomes(shared: Writing) -> dict[str, Recorded]:
    """What the class became in each account."""
    found = [each for each in shared.events() if isinstance(each.event, FactReleased)]
    return {each.stream.removeprefix("account/"): each for each in found if each.stream.startswith("account/")}


@pytest.fixture
def advances(shared: Writing) -> list[Recorded]:
    return [each for each in shared.events() if isinstance(each.event, ReleaseAdvanced)]


@pytest.mark.parametrize("jobs", [1, 3])
def test_what_nobody_tampered_with_is_clean(
    dsn: str, shared: Writing, outcomes: dict[str, Recorded], jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tuple(outcomes) == MEMBERS
    assert audit(dsn, SCHEMA, jobs=jobs)[0] == []
    monkeypatch.setattr(audit_module, "EVENTS_PER_STRETCH", 3)
    assert audit(dsn, SCHEMA, jobs=jobs)[0] == []


@pytest.mark.parametrize("account_id", [*MEMBERS, "other"])
def test_each_account_by_itself_is_clean(dsn: str, shared: Writing, account_id: str) -> None:
    found, events, _ = audit(dsn, SCHEMA, accounts=frozenset([account_id]))
    assert (found, events > 0) == ([], True)


@pytest.mark.parametrize(
    ("from_ns", "until_ns"), [(NOON_NS - DAY_NS, None), (None, NOON_NS - DAY_NS), (NOON_NS, NOON_NS + 1)]
)
def test_a_part_of_the_time_is_clean(dsn: str, shared: Writing, from_ns: int | None, until_ns: int | None) -> None:
    assert audit(dsn, SCHEMA, from_ns=from_ns, until_ns=until_ns)[0] == []


def move(copy: Copy, recorded: Recorded, stream: str) -> None:
    """Have an event lie in another stream, as the last one there."""
    copy.sql(
        "UPDATE LEDGER.events SET originator_id = %(stream)s, originator_version = (SELECT 1 +"
        " coalesce(max(originator_version), 0) FROM LEDGER.events WHERE originator_id = %(stream)s)"
        " WHERE notification_id = %(position)s",
        stream=stream,
        position=recorded.position,
    )


def swap(copy: Copy, one: Recorded, other: Recorded) -> None:
    for stream, position in (("aside", one.position), (one.stream, other.position), (other.stream, one.position)):
        copy.sql(
            "UPDATE LEDGER.events SET originator_id = %(stream)s WHERE notification_id = %(position)s",
            stream=stream,
            position=position,
        )


def remove(copy: Copy, recorded: Recorded) -> None:
    copy.sql("DELETE FROM LEDGER.events WHERE notification_id = %(position)s", position=recorded.position)


def reaching(account_id: str) -> Callable[[ReleaseAdvanced], ReleaseAdvanced]:
    return lambda event: replace(event, until_account_id=account_id)


FORGED: dict[str, tuple[Forge, str]] = {
    "another switch": (
        lambda copy, of, _: copy.edit(of["b"], lambda event: replace(event, switch="propose")),
        "switch is 'propose', expected 'adjust'",
    ),
    "another instant": (
        lambda copy, of, _: copy.edit(of["b"], lambda event: replace(event, from_ns=event.from_ns + 1)),
        "from_ns is ",
    ),
    "an account without such a fill": (
        lambda copy, of, _: move(copy, of["b"], "account/other"),
        "was expected before it, in account/b",
    ),
    "an account left out": (lambda copy, of, _: remove(copy, of["b"]), "was expected before it, in account/b"),
    "the last account left out": (lambda copy, of, _: remove(copy, of["c"]), "should follow it"),
    "an account twice": (
        lambda copy, of, _: move(copy, of["c"], "account/b"),
        "was expected before it, in account/c",
    ),
    "another order": (
        lambda copy, of, _: swap(copy, of["a-b"], of["a"]),
        "was expected before it, in account/a",
    ),
    "an advance that skips an account": (
        lambda copy, _, advances: copy.edit(advances[0], reaching("b")),
        "should follow it",
    ),
    "an advance that goes back": (
        lambda copy, _, advances: copy.edit(advances[1], reaching("a")),
        "accounts up to a-b have it already",
    ),
    "an advance of a release that is over": (
        lambda copy, _, advances: copy.edit(advances[1], reaching("")),
        "no release of a fact of many accounts is to be brought to any",
    ),
    "an advance of another release": (
        lambda copy, of, advances: copy.edit(
            advances[0], lambda event: replace(event, release_position=of["b"].position)
        ),
        "no release of a fact of many accounts is to be brought to any",
    ),
}


@pytest.mark.parametrize(("forge", "told"), FORGED.values(), ids=FORGED)
def test_what_is_forged_is_found(
    dsn: str,
    shared: Writing,
    outcomes: dict[str, Recorded],
    advances: list[Recorded],
    forge: Forge,
    told: str,
) -> None:
    copy = Copy(dsn, SCHEMA)
    forge(copy, outcomes, advances)
    found = [str(each) for each in copy.audit()]
    assert any(told in each for each in found), found
    by_itself = {name for name in (*MEMBERS, "other") if copy.audit(accounts=frozenset([name]))}
    named = set(re.findall(r"account/([a-z-]+)", " ".join(found)))
    assert by_itself <= named, "of others nothing is said"
    assert by_itself or not named, "what is wrong in an account, its own audit finds"


def test_several_processes_find_it_too_each_in_its_own_accounts(
    dsn: str, shared: Writing, outcomes: dict[str, Recorded], advances: list[Recorded]
) -> None:
    copy = Copy(dsn, SCHEMA)
    copy.edit(advances[1], reaching(""))
    for name in MEMBERS:
        remove(copy, outcomes[name])
    found = [str(each) for each in copy.audit(jobs=3)]
    for told in ("is to be brought to any", *(f"should follow it, in account/{name}" for name in MEMBERS)):
        assert any(told in each for each in found), found


def test_an_audit_of_one_account_finds_what_is_forged_there_and_nothing_of_others(
    dsn: str, shared: Writing, outcomes: dict[str, Recorded]
) -> None:
    copy = Copy(dsn, SCHEMA)
    copy.edit(outcomes["b"], lambda event: replace(event, switch="propose"))
    found = {name: copy.audit(accounts=frozenset([name])) for name in MEMBERS}
    assert [name for name in MEMBERS if found[name]] == ["b"]
