"""The requests of a log: who asked and approved, for what, and what a hand that edits the log cannot hide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any, Final

import pytest

from ledger.domain import commands as asked
from ledger.domain import events as told
from ledger.domain.commands import request_sha256
from ledger.domain.events import Envelope, Event, Recorded
from ledger.wire.commands.kept import kept
from ledger.wire.commands.rpcs import COMMANDS
from projections.audit import terms
from tests.projections.audited import Copy, last, rich_ledger
from tests.replaying import deviations
from tests.write_side import Writing, ask

FURTHER: Final = (
    told.AccountLinked,
    told.VolumeEvaluated,
    told.EvaluationCompleted,
    told.FactReleased,
    told.FactWithheld,
    told.FeeAdjusted,
)


@pytest.fixture(scope="module")
def rich(dsn: str) -> Iterator[Writing]:
    """A rich ledger; its last two commands have a ticket, and one of them records two events."""
    with rich_ledger(dsn, "audited_requests", steps=45) as writing:
        writing.step(ask(asked.RegisterAccount("zoe", "zed", "", None), ticket="T-1"))
        writing.step(ask(asked.BanAccount("zoe", 2, None, "ORDER_SPAM"), ticket="T-2"))
        yield writing


def at(copy: Copy, recorded: Recorded) -> list[str]:
    """What an audit finds, all of which must be where an edit was made."""
    found = copy.audit()
    assert {deviation.position for deviation in found} <= {recorded.position}, list(map(str, found))
    copy.audit_each(found)
    return [difference.field for deviation in found for difference in deviation.differs]


def last_refused(log: list[Recorded]) -> Recorded:
    """The last refusal of a command, whose request is kept: of fills none is."""
    return last([one for one in log if one.envelope.request_message], told.CommandRefused)


def further(log: list[Recorded], kind: type[Event]) -> list[Recorded]:
    """The events of a kind that are not the first of their request."""
    of_requests = [one for one in log if one.envelope.request_id and not one.envelope.request_message]
    return [one for one in of_requests if isinstance(one.event, kind)]


def forged(recorded: Recorded, **values: Any) -> Recorded:
    return replace(recorded, envelope=replace(recorded.envelope, **values))


def bodied(envelope: Envelope, change: Callable[[Any], None]) -> bytes:
    """Another body: the message of an event after a change."""
    request = COMMANDS[envelope.request_message.removeprefix("ledger.v1.").removesuffix("Request")].request()
    request.ParseFromString(envelope.request_body)
    change(request)
    return kept(request)


NOBODY: Final = {
    "request_id": "",
    "request_sha256": b"",
    "request_message": "",
    "request_body": b"",
    "actor": "",
    "approver": "",
    "reason_sha256": b"",
}
FORGED: Final[list[tuple[dict[str, Any], str]]] = [
    ({"approver": "ops-9"}, "approver"),
    ({"approver": ""}, "approver"),
    ({"actor": "ops-9"}, "actor"),
    ({"actor_verified": True}, "actor_verified"),
    ({"request_id": "r-other"}, "request_id"),
    ({"request_sha256": bytes(32)}, "request_sha256"),
    ({"request_message": "ledger.v1.LiftBanRequest"}, "its request cannot be read"),
    ({"request_body": b""}, "its request cannot be read"),
    ({"request_message": "", "request_body": b""}, "its request is not kept"),
    (NOBODY, "it has no request"),
]


@pytest.mark.parametrize(("values", "names"), FORGED, ids=[f"{', '.join(values)}: {what}" for values, what in FORGED])
def test_who_asked_cannot_be_forged(copy: Copy, log: list[Recorded], values: dict[str, Any], names: str) -> None:
    ban = last(log, told.AccountBanned)
    copy.put(forged(ban, **values))
    assert any(field.startswith(names) for field in at(copy, ban))


@pytest.mark.parametrize("field", ["request_id", "request_sha256", "actor", "actor_verified", "approver", "ticket"])
@pytest.mark.parametrize("kind", [*FURTHER, told.PairClassAssigned], ids=lambda kind: kind.__name__)
def test_what_a_request_records_beyond_its_first_event_says_the_same_of_who_asked(
    rich: Writing, log: list[Recorded], kind: type[Event], field: str
) -> None:
    """In memory: an audit of the same log on PostgreSQL finds the same, as the tests beside this one show."""
    log = list(rich.log.with_erasable(log))
    first, *_ = further(log, kind)
    other = {"request_sha256": bytes(32), "actor_verified": True}.get(field, "other")
    edited = forged(first, **{field: other})
    found = deviations([edited if one is first else one for one in log])
    assert {one.position for one in found} == {first.position}, list(map(str, found))


@pytest.mark.parametrize("kind", FURTHER, ids=lambda kind: kind.__name__)
def test_an_approver_of_an_event_beyond_the_first_is_compared_by_every_process(
    copy: Copy, log: list[Recorded], kind: type[Event]
) -> None:
    *_, of_last = further(log, kind)
    copy.put(forged(of_last, approver="ops-9"))
    found = copy.audit(jobs=2)
    assert [(one.position, one.differs[0].field) for one in found] == [(of_last.position, "approver")]


@pytest.mark.parametrize("name", ["", "never-sent", "r\0", "r1"])
def test_an_evaluation_on_the_request_of_something_else_is_found(copy: Copy, log: list[Recorded], name: str) -> None:
    evaluated = last(log, told.VolumeEvaluated)
    copy.put(forged(evaluated, request_id=name))
    assert f"nothing before it was recorded for request {name!r}" in at(copy, evaluated)


def test_no_field_that_a_request_set_can_be_changed_unseen(log: list[Recorded]) -> None:
    """One event of each kind that commands record, each field of it changed alone."""
    firsts = {type(one.event): one for one in log if one.envelope.request_message}
    assert len(firsts) > 20
    unseen = []
    for kind, recorded in firsts.items():
        for field in fields(kind):
            event = replace(recorded.event, **{field.name: another(getattr(recorded.event, field.name))})
            edited = replace(recorded, event=event)
            before = [one for one in log if one.position < recorded.position]
            if recorded.position not in {one.position for one in deviations([*before, edited])}:
                unseen.append((kind.__name__, field.name))
    assert unseen == []


def another(value: Any) -> Any:
    """A value near by."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value + "0"
    if isinstance(value, bytes):
        return bytes(32) if value != bytes(32) else b"\x01" * 32
    if isinstance(value, tuple):
        return value[1:] or (7,)
    return replace(value, external_tier="VIP9") if isinstance(value, told.MatchClaim) else 1


def test_a_request_of_which_a_byte_is_another_is_found(copy: Copy, log: list[Recorded]) -> None:
    ban = last(log, told.AccountBanned)

    def longer(request: Any) -> None:
        request.days = 7

    copy.put(forged(ban, request_body=bodied(ban.envelope, longer)))
    assert set(at(copy, ban)) == {"request_sha256", "end_time_ns"}


def test_what_was_refused_is_decided_again_too(copy: Copy, log: list[Recorded]) -> None:
    refused = last_refused(log)
    event = refused.event
    assert isinstance(event, told.CommandRefused)
    copy.put(replace(refused, event=replace(event, reason=event.reason + 1)))
    assert at(copy, refused) == ["reason"]


def test_the_words_of_a_refusal_are_held_against_those_of_the_release_that_wrote_them_and_of_no_other(
    copy: Copy, log: list[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = last_refused(log)
    event = refused.event
    assert isinstance(event, told.CommandRefused)
    copy.put(replace(refused, event=replace(event, detail="no, in other words")))
    assert at(copy, refused) == ["detail"]
    monkeypatch.setattr(terms, "RELEASE", "the next one")
    assert copy.audit() == []
    copy.put(replace(refused, event=replace(event, field="another", detail="no, in other words")))
    assert at(copy, refused) == ["field"]


def test_a_ticket_is_compared_with_its_hash_and_with_that_of_the_same_request(copy: Copy, log: list[Recorded]) -> None:
    alone, of_two = last(log, told.AccountBanned), last(log, told.AccountRegistered)
    for recorded in (alone, of_two):
        copy.sql(
            "UPDATE LEDGER.erasable_parts SET content = content || '\\x0a00' WHERE position = %(at)s",
            at=recorded.position,
        )
        (found,) = copy.audit()
        assert (found.position, found.differs[0].field) == (recorded.position, "SHA-256 of its erasable part")
        copy.sql("DELETE FROM LEDGER.erasable_parts WHERE position = %(at)s", at=recorded.position)
        assert copy.audit() == [], "an erased one is not compared"
    copy.put(forged(alone, ticket="T-99"))
    assert at(copy, alone) == ["its bytes hold what its erasable part is for"]
    copy.put(forged(alone, ticket="T-99", erasable_sha256=b""))  # as earlier releases recorded it
    assert copy.audit() == []
    copy.put(forged(of_two, ticket="T-99", erasable_sha256=b""))
    (found,) = copy.audit()
    assert (found.position, found.differs[0].field) == (of_two.position + 1, "ticket")


def test_event_request_and_hash_changed_alike_are_open_until_the_log_is_sealed(copy: Copy, log: list[Recorded]) -> None:
    ban = last(log, told.AccountBanned)

    def blamed(request: Any) -> None:
        request.authority.approver = "ops-9"

    body = bodied(ban.envelope, blamed)
    sha256 = request_sha256(ban.envelope.request_message, body)
    copy.put(forged(ban, request_body=body, request_sha256=sha256, approver="ops-9"))
    copy.sql(
        "UPDATE LEDGER.requests SET sha256 = %(sha256)s WHERE request_id = %(name)s",
        sha256=sha256,
        name=ban.envelope.request_id,
    )
    assert copy.audit() == []


def test_a_term_that_keeps_no_requests_after_one_that_did_is_found(copy: Copy, log: list[Recorded]) -> None:
    began = last(log, told.WriterStarted)
    assert isinstance(began.event, told.WriterStarted)
    copy.put(replace(began, event=replace(began.event, keeps_requests=False)))
    found = {deviation.position: str(deviation) for deviation in copy.audit()}
    assert "a term before it kept them" in found.pop(began.position)
    assert found, "what came after it"
    assert all("in a term that kept none" in line for line in found.values())
