"""A preview of a command: just what it records, or its refusal, and no trace of it anywhere."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any, Final

import grpc
import psycopg
from google.api.field_behavior_pb2 import OPTIONAL, field_behavior

from ledger.domain.events import AccountBanned, Event, Recorded, TierChanged, TrialStarted
from ledger.domain.instants import DAY_NS
from ledger.store.codec.events import decode
from ledger.v1.command_pb2 import Authority, FeeDifference
from ledger.v1.control_service_pb2 import ListWithheldRequest
from ledger.v1.fill_pb2 import TokenPayment
from ledger.v1.query_service_pb2 import ListFeeHistoryRequest
from ledger.wire.commands.kept import kept
from ledger.wire.commands.rpcs import COMMANDS
from tests.conftest import NOON_NS, Ledger, StartLedger, at
from tests.e2e.test_backdated_grants import EVALUATED_NS, HOUR_NS, run, trade
from tests.previewing import foretold, posted, unsalted
from tests.samples import batch, fill, symbol
from tests.server.calls import await_tables, head, refused, send
from tests.server.good_requests import METHODS, begun, good
from tests.server.orders import ban, flag, lift, publish, release_fact, revoke, tier, unflag

NUMBER: Final = 15  # of the field, in every request
# The facts of alice that such a command is about.
FACTS: Final = {"ReleaseFact": TrialStarted, "DeclineFact": TierChanged, "WithdrawFact": AccountBanned}


def preview_of(request: Any) -> Any:
    """The same request, to be previewed."""
    asked = type(request)()
    asked.CopyFrom(request)
    asked.validate_only = True
    return asked


def previewed(ledger: Ledger, request: Any) -> list[Recorded]:
    """The events of a preview."""
    receipt = send(ledger, preview_of(request)).receipt
    assert (receipt.position, receipt.HasField("recorded_time"), receipt.replayed) == (0, False, False)
    assert (receipt.ledger_id, receipt.preview.known_at_position) == (ledger.ledger_id, head(ledger))
    assert receipt.preview.event_count == len(receipt.preview.events)
    return [
        unsalted(decode(one.position, one.stream, one.version, one.topic, one.state)) for one in receipt.preview.events
    ]


def everything(dsn: str, schema: str) -> dict[str, str]:
    """A digest of every table of a ledger and of its read side; not of `position`, which says when that last looked."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables WHERE starts_with(schemaname, %s)"
            " AND tablename <> 'position'",
            [schema],
        ).fetchall()
        text = "SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {} t"
        return {name: str(connection.execute(text.format(name)).fetchone()) for (name,) in tables}  # type: ignore[arg-type]


def how_refused(ledger: Ledger, request: Any) -> tuple[Any, ...]:
    found = refused(ledger, request)
    return found.code, found.reason, found.field, found.message


def test_every_command_is_previewed_as_it_is_recorded_and_a_preview_leaves_no_trace(
    ledger: Ledger, dsn: str, schema: str
) -> None:
    send(ledger, symbol("BTC_USDT"))
    refusals = dict[str, set[str]]()
    for method in COMMANDS:
        values = begun(method, partial(send, ledger))
        if method in FACTS:
            values["fact_position"] = position_of(ledger, FACTS[method])
        alone = good(method, {**values, "authority": Authority(actor="operator")})
        for request in (alone, good(method, values)):
            await_tables(ledger)
            before, position = everything(dsn, schema), head(ledger)
            try:
                foreseen: Any = previewed(ledger, request)
            except grpc.RpcError:
                foreseen = how_refused(ledger, preview_of(request))
            assert everything(dsn, schema) == before, method
            if isinstance(foreseen, tuple):
                assert how_refused(ledger, request) == foreseen, method
                refusals.setdefault(method, set()).add(foreseen[1])
                continue
            if request is alone:  # nothing of it stayed, so what follows is the first of its kind
                continue
            answer = send(ledger, request)
            assert not answer.receipt.replayed
            found = [unsalted(ledger.log.at(place)) for place in range(position + 1, position + 1 + len(foreseen))]
            assert found == foreseen, method
            again = send(ledger, preview_of(request))
            assert again.receipt.replayed, "the answer of the command, once it is recorded"
            assert again.receipt == replace_replayed(answer.receipt)
    assert set.union(*refusals.values()) == {"APPROVER_REQUIRED"}
    assert len(refusals) > 10


def position_of(ledger: Ledger, kind: type[Event]) -> int:
    """The position of the only event of a kind."""
    (position,) = (place for place in range(1, head(ledger) + 1) if isinstance(ledger.log.at(place).event, kind))
    return position


def replace_replayed(receipt: Any) -> Any:
    found = type(receipt)()
    found.CopyFrom(receipt)
    found.replayed = True
    return found


def test_a_preview_of_what_the_state_refuses_is_that_refusal_which_only_the_command_records(ledger: Ledger) -> None:
    request, before = lift("alice"), head(ledger)
    first = refused(ledger, preview_of(request))
    assert (first.reason, first.field, first.metadata) == ("NOT_BANNED", "lift_time", {})
    assert head(ledger) == before
    assert how_refused(ledger, request) == (first.code, first.reason, first.field, first.message)
    again = refused(ledger, preview_of(request))
    assert again == replace(first, metadata={"position": str(before + 1), "replayed": "true"})


def test_a_preview_of_a_request_id_of_another_request_is_refused_as_that_request(ledger: Ledger) -> None:
    first = tier("alice", "VIP1")
    send(ledger, first)
    other = type(first).FromString(first.SerializeToString())
    other.tier = "VIP2"
    assert how_refused(ledger, preview_of(other)) == how_refused(ledger, other)
    assert how_refused(ledger, other)[1] == "REQUEST_ID_REUSED"


def test_a_preview_says_which_fees_would_move(ledger: Ledger) -> None:
    """2.5 of a taker's fill at the base rate, 0.4 of the tier that an evaluation gave while a flag ran."""
    ledger.commands.RegisterSymbol(symbol("XRP_USDT"))
    ledger.fills.RecordFills(batch(fill(last_px="0.5", last_qty="1200000")))
    ledger.clock.now_ns = EVALUATED_NS + 12 * HOUR_NS
    trade(ledger)
    send(ledger, flag("alice"))
    run(ledger)
    request = unflag("alice")
    preview = send(ledger, preview_of(request)).receipt.preview
    assert [each.topic for each in preview.events] == ["AccountUnflagged", "FactReleased", "FeeAdjusted"]
    assert list(preview.differences) == [FeeDifference(account_id="alice", currency="USDT", amount="-2.1")]
    assert list(preview.net) == [FeeDifference(currency="USDT", amount="-2.1")]
    assert preview.lines == 1
    foreseen = previewed(ledger, request)
    position = send(ledger, request).receipt.position
    assert head(ledger) == position + 2
    assert [unsalted(ledger.log.at(position + place)) for place in range(3)] == foreseen


def moved(ledger: Ledger, request: Any) -> tuple[int, dict[str, Fraction]]:
    """Preview a command and send it; return (lines restated, more to pay by currency).

    The preview, the adjustments that the command posts, and the member's fees before and after must say the same.
    """
    before, events = charged(ledger), previewed(ledger, request)
    told = foretold(send(ledger, preview_of(request)).receipt.preview)
    assert charged(ledger) == before
    position = send(ledger, request).receipt.position
    recorded = [ledger.log.at(place) for place in range(position, head(ledger) + 1)]
    assert [unsalted(each) for each in recorded] == events
    assert told == posted(recorded)
    lines, amounts = told
    after = {currency: amount + amounts.get(("alice", currency), Fraction()) for currency, amount in before.items()}
    assert charged(ledger) == after
    return lines, {currency: amount for (_, currency), amount in amounts.items()}


def charged(ledger: Ledger) -> dict[str, Fraction]:
    """All that alice pays, by currency."""
    totals = send(ledger, ListFeeHistoryRequest(account_id="alice")).totals
    return {one.currency: Fraction(one.charges) - Fraction(one.rebates) for one in totals}


def test_a_preview_of_what_restates_fills_says_the_amounts_that_the_command_posts(ledger: Ledger) -> None:
    """Fills of 500 by a taker: 1.25 at the base rate, 0.9375 where a token pays it, and 0.125 each with VIP4."""
    send(ledger, symbol())
    ledger.clock.now_ns += HOUR_NS
    for changes in ({}, {}, {"token_payment": TokenPayment(token="BMX", price="1")}):
        ledger.fills.RecordFills(batch(fill(last_qty="1000", **changes)))
    from_then, less = at(NOON_NS), {"BMX": Fraction("-0.8125"), "USDT": Fraction("-2.25")}
    more, zero = ({currency: -part * amount for currency, amount in less.items()} for part in (1, 0))
    assert moved(ledger, tier("alice", "VIP4", valid_from=from_then)) == (3, less)
    assert moved(ledger, revoke("alice", "g1", revoke_time=from_then)) == (0, {}), "it is withheld"
    (withheld,) = send(ledger, ListWithheldRequest(account_id="alice")).facts
    assert moved(ledger, release_fact(withheld.fact_position)) == (3, more)
    assert moved(ledger, tier("alice", "VIP4", valid_from=from_then)) == (3, less)
    send(ledger, publish("3.1", ('revocations = "propose"', 'revocations = "adjust"')))
    assert moved(ledger, revoke("alice", "g2", revoke_time=from_then)) == (3, more)
    assert moved(ledger, ban("alice", start_time=from_then)) == (3, zero), "volume alone"


def test_of_fills_and_previews_that_are_sent_at_once_the_fills_alone_are_recorded(ledger: Ledger) -> None:
    ledger.commands.RegisterSymbol(symbol("XRP_USDT"))
    before = head(ledger)
    sent = [ledger.fills.RecordFills.future(batch(fill())) for _ in range(20)]
    asked = [ledger.commands.ChangeTier.future(preview_of(tier("alice"))) for _ in range(20)]
    assert all(each.result().recorded == 1 for each in sent)
    assert {each.result().receipt.preview.event_count for each in asked} == {1}
    kinds = {type(ledger.log.at(position).event).__name__ for position in range(before + 1, head(ledger) + 1)}
    assert kinds == {"VolumeRecorded"}


def test_a_preview_of_a_run_says_whether_it_would_begin_and_later_how_it_ended(ledger: Ledger) -> None:
    ledger.commands.RegisterSymbol(symbol("XRP_USDT"))
    ledger.fills.RecordFills(batch(fill(last_px="0.5", last_qty="1200000")))
    ledger.clock.now_ns = EVALUATED_NS + 12 * HOUR_NS
    await_tables(ledger)
    request = good("RunEvaluation", {"instant": at(EVALUATED_NS), "read_position": 0})
    request.ClearField("complete_sources")
    before = head(ledger)
    (message,) = list(ledger.evaluations.RunEvaluation(preview_of(request)))
    assert [each.topic for each in message.receipt.preview.events] == ["EvaluationStarted"]
    assert (message.evaluation.instant, message.HasField("counts"), message.position) == (at(EVALUATED_NS), False, 0)
    assert head(ledger) == before
    last = send(ledger, request)
    (again,) = list(ledger.evaluations.RunEvaluation(preview_of(request)))
    assert (again.receipt.replayed, again.counts, again.position) == (True, last.counts, last.position)
    too_early = good("RunEvaluation", {"instant": at(EVALUATED_NS + 10 * DAY_NS)})
    assert how_refused(ledger, preview_of(too_early)) == how_refused(ledger, too_early)


def test_a_standby_previews_nothing(start_ledger: StartLedger) -> None:
    start_ledger()
    found = refused(start_ledger(), preview_of(tier("alice")))
    assert found.reason == "NOT_THE_WRITER"


def test_every_command_takes_it_under_the_same_number_and_keeps_nothing_of_it() -> None:
    for name, method in METHODS.items():
        field = method.input_type.fields_by_name.get("validate_only")
        assert (field is not None) == (name in COMMANDS), name
        if field is not None:
            assert (field.number, list(field.GetOptions().Extensions[field_behavior])) == (NUMBER, [OPTIONAL])
            request = good(name)
            assert kept(preview_of(request)) == kept(request)
