"""The log of each release, opened by this one: it is read, answered, audited and gone on with as it was then."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, get_args

import psycopg
import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from ledger.domain.events import POSITION_MAX, Event, FeeEvent, WriterStarted
from ledger.domain.instants import utc_day
from ledger.domain.streams import fee_stream
from ledger.store.codec.events import decode, encode
from ledger.store.log import Log
from ledger.store.postgres.database import open_datastore
from ledger.v1.command_pb2 import GrantSource
from projections.check import Check
from projections.check.findings import Finding
from tests.kept.kept import (
    FOLDER,
    SECOND_NS,
    Asking,
    Question,
    differences,
    judged,
    kinds_of_events,
    load,
    opened,
    questions,
    read_lines,
    releases,
    request_of,
    to_json,
)
from tests.kept.questions import event_counts, stored_events
from tests.projections.audited import audit
from tests.server.good_requests import METHODS
from tests.tools import running

# F12. Until when a tier stays: the end of its last grant, not the next instant at which anything changes.
UNTIL_WHEN: Final = (
    158, 160, 161, 162, 169, 170, 173, 174, 176, 177, 178, 181, 182, 184, 185, 186, 190, 194, 200, 201, 202,
    209, 210, 216, 217, 218, 221, 222, 224, 225, 226, 233, 234, 241, 242, 249, 250, 885, 886, 890, 891, 892,
    896,
)  # fmt: skip

# F13. What waits to be done is found until it is done; a control is new, others say so.
OPEN_UNTIL_DONE: Final = (755, 757, 767, 769, 793, 817, 827, 829, 839, 841, 851, 853, 863, 865, 922)

# F15. Owner, parent, trial and the end of a flag are told as of the instant asked about.
AS_OF: Final = (12, 25, 38, 51, 64, 77, 90, 103, 116, 129, 305, 873, 875, 878)

# Questions that this release answers otherwise on purpose, by release and number, with the reason. An entry fails if
# its answer is the same.
_OWN_RATES: Final = "F9: rates of a pair are what everybody pays, also who has no tier"
_F2: Final = (
    "F2: as known at a position a plan waited for no source, for versions of its stream were taken for positions,"
    " and counted accounts of later; that its position is too early for a run is said now"
)
_F6: Final = "F6: the finding of an evaluation that was not run names the sources it waits for; some controls are new"
DIFFERENCES: Final[Mapping[tuple[str, int], str]] = {
    **{
        ("0.1.0", number): "F7: a membership of any account of the owner counts"
        for number in (262, 264, 266, 268)  # CheckMatchEligibility of alice-2, whose owner's other account had a trial
    },
    ("0.1.0", 952): "F17: months without a promotion count from the beginning of the ledger on, if it never had one",
    ("0.1.0", 922): "F7, F17: there are more controls",
    ("0.2.0", 1042): "there is a control of withheld facts",
    ("0.1.0", 834): "F9: without a tier the member would pay the pair's own rate, less the token discount",
    **{
        ("0.1.0", number): _OWN_RATES
        for number in (492, 493, 532, 533, 542, 543, 572, 573, 582, 583, 612, 613)  # QuoteFee of DOGE_USDT
    },
    **dict.fromkeys((("0.1.0", number) for number in UNTIL_WHEN), "F12: one answer to until when a tier stays"),
    **dict.fromkeys((("0.1.0", number) for number in OPEN_UNTIL_DONE), "F13: open until done, however old"),
    **dict.fromkeys((("0.1.0", number) for number in AS_OF), "F15: as of the instant asked about"),
    **dict.fromkeys((("0.1.0", number) for number in (781, 793, 817, 841, 922)), _F6),
    **dict.fromkeys((("0.1.0", number) for number in (666, 674, 678, 682, 686, 690, 694, 698, 702)), _F2),
}

# The same of commands and batches that are sent a second time, by release and number.
DIFFERENCES_AGAIN: Final[Mapping[tuple[str, int], str]] = {
    ("0.1.0", 13): "F51: a conflict that was sent again was answered the fee of the fill that it was not",
}

WITHOUT_ENUMS: Final = ("0.1.0",)  # releases whose answers have texts alone
KNOWN_BY_ALL_BYTES: Final = ("0.1.0",)  # releases that kept of a request the hash of its bytes and nothing else

SHOWN_MAX: Final = 10  # questions that are told of in one failure


@dataclass(frozen=True, slots=True)
class Opened:
    """A kept log with a service of this release over it."""

    release: str
    dsn: str
    schema: str
    asking: Asking


@cache
def asked(release: str) -> list[Question]:
    return questions(release)


@cache
def commands(release: str) -> list[dict[str, Any]]:
    """The kept commands and batches: each has its request as it was sent, its answer, and that to a second sending."""
    found = read_lines(FOLDER / release / "commands.jsonl.gz")
    for each in found:
        request = request_of(each["rpc"])
        request.ParseFromString(base64.b64decode(each["request"]))
        each["request"] = request
    return found


@pytest.fixture(scope="module")
def logs(dsn: str) -> Iterator[Callable[[str], Opened]]:
    """Opens the log of a release, once for this module: what its tests append lies after all that is asked about."""
    with ExitStack() as stack:

        @cache
        def opened_once(release: str) -> Opened:
            schema = f"kept_{release.replace('.', '_')}"
            now_ns = load(dsn, release, schema) + SECOND_NS
            return Opened(release, dsn, schema, stack.enter_context(opened(dsn, schema, now_ns, release)))

        yield opened_once


@pytest.fixture
def kept(logs: Callable[[str], Opened], release: str) -> Opened:
    """The log of a release."""
    return logs(release)


of_every_release = pytest.mark.parametrize("release", releases())


@pytest.mark.parametrize(
    ("release", "rpc"),
    [(release, rpc) for release in releases() for rpc in sorted({one.rpc for one in asked(release)})],
)
def test_every_kept_question_gets_the_answer_that_was_kept(kept: Opened, rpc: str) -> None:
    wrong = []
    for question in asked(kept.release):
        if question.rpc == rpc:
            now = kept.asking.ask(rpc, question.request)
            wrong.append(judged(question, now, DIFFERENCES.get((kept.release, question.number))))
    told = [each for each in wrong if each]
    assert not told, "\n".join([f"{len(told)} of {len(wrong)} answers:", *told[:SHOWN_MAX]])


def test_every_listed_difference_is_of_a_question_that_was_kept() -> None:
    numbers = {(release, one.number) for release in releases() for one in asked(release)}
    assert set(DIFFERENCES) <= numbers


@of_every_release
def test_it_holds_every_kind_of_event_that_its_release_knew(kept: Opened) -> None:
    counted = set(event_counts(asked(kept.release)))
    assert counted == kinds_of_events(kept.release)
    assert counted <= {event.__name__ for event in get_args(Event)}


@of_every_release
def test_every_event_of_it_is_written_again_to_the_same_byte(kept: Opened) -> None:
    for event in stored_events(asked(kept.release)):
        place = (int(event["position"]), event["stream"], int(event["version"]), event["topic"])
        state = base64.b64decode(event["state"])
        recorded = decode(*place, state)
        assert encode(recorded.envelope, recorded.event) == (event["topic"], state), place


@of_every_release
def test_what_was_asked_before_is_answered_as_then_and_recorded_no_second_time(kept: Opened) -> None:
    before, wrong = head(kept), []
    for number, command in enumerate(commands(kept.release)):
        first, again = command["answer"], command["again"]
        found = differences(again, kept.asking.answer(command["rpc"], command["request"]))
        if (kept.release, number) in DIFFERENCES_AGAIN:
            found = [] if found else ["listed as different, and it is not"]
        if "receipt" in first:
            found += differences({**first["receipt"], "replayed": True}, again["receipt"])
        wrong += [f"{command['rpc']}, {line}" for line in found]
    assert not wrong, "\n".join(wrong)
    assert head(kept) == before


@of_every_release
def test_who_sends_again_after_the_upgrade_reads_what_answers_have_gained(kept: Opened) -> None:
    trial = next(one for one in commands(kept.release) if one["rpc"] == "StartTrial" and "receipt" in one["answer"])
    answer = kept.asking.send("StartTrial", trial["request"])[0]
    assert answer.receipt.replayed
    assert (answer.grant.source, answer.grant.source_enum) == ("TRIAL", GrantSource.GRANT_SOURCE_TRIAL)


@pytest.mark.parametrize("release", [release for release in releases() if release not in WITHOUT_ENUMS])
def test_the_enums_of_kept_answers_say_what_the_texts_beside_them_say(release: str) -> None:
    pairs = {pair for one in asked(release) for answer in answers_of(one) for pair in words(answer)}
    assert {field for field, *_ in pairs} > {"FeeLine.kind", "Sentence.code", "Match.status", "PlannedAccount.movement"}
    assert [pair for pair in pairs if pair[2] != (f"{pair[3]}{pair[1]}" if pair[1] else f"{pair[3]}UNSPECIFIED")] == []


def answers_of(question: Question) -> list[Message]:
    """The messages of a kept answer; of a refusal none."""
    found = question.answer if isinstance(question.answer, list) else [question.answer]
    kind = GetMessageClass(METHODS[question.rpc].output_type)
    return [ParseDict(each, kind()) for each in found if "refused" not in each]


def words(message: Message) -> Iterator[tuple[str, str, str, str]]:
    """Yield (field, text, name of the enum's value, prefix of its names) of texts with an enum beside them."""
    for field in message.DESCRIPTOR.fields:
        beside = message.DESCRIPTOR.fields_by_name.get(f"{field.name}_enum")
        if beside is not None:
            values = beside.enum_type.values_by_number
            name, prefix = values[getattr(message, beside.name)].name, values[0].name.removesuffix("UNSPECIFIED")
            yield f"{message.DESCRIPTOR.name}.{field.name}", getattr(message, field.name), name, prefix
    for field, value in message.ListFields():
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for each in value if field.is_repeated else [value]:
                yield from words(each)


@of_every_release
def test_another_request_under_the_name_of_one_that_was_asked_before_is_a_conflict(kept: Opened) -> None:
    """What 0.1.0 recorded with a reason is known by all its bytes: another reason is another request there."""
    known = commands(kept.release)
    asked_before = [each for each in known if "authority" in each["request"].DESCRIPTOR.fields_by_name]
    assert len(asked_before) > 20
    before = head(kept)
    for command in asked_before:
        for field in ("actor", "reason"):
            other = request_of(command["rpc"])
            other.CopyFrom(command["request"])
            setattr(other.authority, field, "somebody-else")
            answer = kept.asking.answer(command["rpc"], other)
            by_all_bytes = kept.release in KNOWN_BY_ALL_BYTES and command["request"].authority.reason
            if field == "actor" or by_all_bytes:
                assert answer == {"refused": "ALREADY_EXISTS", "reason": "REQUEST_ID_REUSED"}, (command["rpc"], field)
            else:
                assert differences(command["again"], answer) == [], command["rpc"]
    assert head(kept) == before


@of_every_release
def test_the_audit_says_of_how_many_requests_it_holds_no_more_than_a_hash(kept: Opened) -> None:
    known = str(event_counts(asked(kept.release)).total())
    ran = running.run("audit", "--schema", kept.schema, "--dsn", kept.dsn, "--jobs", 1, "--known-at", known)
    with psycopg.connect(kept.dsn) as connection:
        statement = f"SELECT count(*) FROM {kept.schema}.requests WHERE position <= {known}"
        ((requests,),) = connection.execute(statement.encode()).fetchall()
    assert ran.code == 0, ran.out
    told = [line for line in ran.out.splitlines() if "recorded before requests were kept" in line]
    line = f"{requests} events were recorded before requests were kept: their hashes could not be worked out again"
    assert told == ([line] if kept.release in KNOWN_BY_ALL_BYTES else [])


@of_every_release
def test_a_fill_of_it_with_another_price_is_a_conflict(kept: Opened) -> None:
    batches = [each["request"] for each in commands(kept.release) if each["rpc"] == "RecordFills"]
    changed = request_of("RecordFills")
    changed.CopyFrom(next(batch for batch in batches if not batch.source))
    changed.fills[0].last_px = "7.25"
    answer = to_json(kept.asking.send("RecordFills", changed)[0])
    assert "recorded" not in answer
    assert [found["reason"] for found in answer["refusals"]] == ["REASON_FILL_CONFLICT"]


def head(kept: Opened) -> int:
    return int(kept.asking.send("GetLedgerInfo", request_of("GetLedgerInfo"))[0].position)


@of_every_release
def test_the_audit_decides_every_event_of_it_as_it_was_decided(kept: Opened) -> None:
    found, events, fills = audit(kept.dsn, kept.schema)
    assert [str(each) for each in found] == []
    assert events >= event_counts(asked(kept.release)).total() > 0
    assert fills > 0


@of_every_release
def test_it_goes_on_with_events_that_name_the_one_before_and_begins_with_the_last_that_named_none(kept: Opened) -> None:
    end = event_counts(asked(kept.release)).total()
    batches = [each for each in commands(kept.release) if each["rpc"] == "RecordFills" and "recorded" in each["answer"]]
    batch = next(each["request"] for each in batches if not each["request"].source)
    fill = batch.fills[0]
    stream = fee_stream(fill.account_id, utc_day(fill.transact_time.ToNanoseconds()))
    with open_datastore(kept.dsn, kept.schema, connections=1) as datastore:
        log = Log(datastore)
        before = log.last_of(stream)
        assert before is not None
        assert audit(kept.dsn, kept.schema, known=end)[0] == []
        for number in range(2):
            more = request_of("RecordFills", venue=batch.venue, fills=[fill])
            more.fills[0].exec_id = f"after-the-upgrade-{number}"
            assert kept.asking.send("RecordFills", more)[0].recorded == 1
        events = [each for each in log.streams([stream], POSITION_MAX) if isinstance(each.event, FeeEvent)]
        *_, second, third = [each.position for each in events]
        named = [each.event.previous_position for each in events if isinstance(each.event, FeeEvent)]
        assert named == [*[0] * (len(events) - 2), before.position, second]
        terms = [each.event for each in log.ledger() if isinstance(each.event, WriterStarted)]
    assert before.position <= end < second < third
    assert [each.links_fees for each in terms] == [*[False] * (len(terms) - 1), True]
    assert audit(kept.dsn, kept.schema)[0] == []


@of_every_release
def test_its_tables_are_what_follows_from_it(kept: Opened) -> None:
    kept.asking.await_tables()
    with psycopg.connect(kept.dsn, autocommit=True) as connection:
        found = [str(one) for one in Check(connection, kept.schema).findings() if isinstance(one, Finding)]
    assert found == []


def test_a_difference_is_told_by_its_place_and_both_values() -> None:
    was, now = {"grants": [{"tier": "VIP1"}], "banned": True}, {"grants": [{"tier": "VIP2"}, {}], "note": "x" * 200}
    assert differences(was, now) == [
        "grants[0].tier: kept VIP1, now VIP2",
        "grants[1]: kept nothing, now {}",
        "banned: kept true, now nothing",
        f"note: kept nothing, now {'x' * 100}...",
    ]
    assert differences(was, was) == []


def test_an_answer_that_is_listed_as_different_must_be() -> None:
    question = Question(7, "GetVipState", {"account_id": "alice"}, {"tier": "VIP1"})
    named = 'question 7, GetVipState {"account_id": "alice"}'
    assert judged(question, {"tier": "VIP2"}, None) == f"{named}\n  tier: kept VIP1, now VIP2"
    assert judged(question, {"tier": "VIP1"}, None) == judged(question, {"tier": "VIP2"}, "why") == ""
    assert judged(question, {"tier": "VIP1"}, "why") == f"{named}: listed as different (why), and it is not"
