"""One commit of the service, without threads and wire: what is decided in which order, and what survives a failure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import psycopg
import pytest

from ledger.config import Config
from ledger.domain import commands
from ledger.domain.decide.evaluation import Assessment, Case, EvaluationRun
from ledger.domain.events import (
    PERIODIC,
    CommandRefused,
    Envelope,
    EvaluationStarted,
    FactReleased,
    FactWithheld,
    FeeAdjusted,
    Recorded,
    TierChanged,
    TierRevoked,
    VolumeEvaluated,
    VolumeRecorded,
)
from ledger.domain.instants import DAY_NS
from ledger.domain.money import decimal_text
from ledger.domain.refusal import Reason
from ledger.domain.state.held import account_bytes
from ledger.fills.adjust import differences, lines_now
from ledger.fills.batch import BatchPart
from ledger.fills.lines import lines_of
from ledger.store.writer import WriterLost
from ledger.writing.messages import (
    Accepted,
    DecideCommand,
    EvaluateAccounts,
    Evaluated,
    FillsTaken,
    RecordFills,
    Refused,
)
from tests.conftest import NOON_NS
from tests.domain.worked import fills, programme
from tests.write_side import Writing, ask, record


def grant(tier: str, account_id: str = "alice") -> DecideCommand:
    return ask(commands.ChangeTier(account_id, tier, NOON_NS - 1, None))


def tiers(answer: FillsTaken) -> list[str]:
    return [basis.tier for _, (_, basis) in sorted(answer.fees.items())]


def test_two_fills_in_one_commit_with_a_tier_change_between_pay_what_was_known_at_each(writing: Writing) -> None:
    before = writing.log.head().position
    first, changed, second = writing.step(
        record(fills({"exec_id": "A"}), with_fees=True), grant("VIP5"), record(fills({"exec_id": "B"}), with_fees=True)
    )
    assert (tiers(first), tiers(second)) == (["NONE"], ["VIP5"])
    assert isinstance(changed, Accepted)
    kinds = [type(recorded.event) for recorded in writing.events(before)]
    assert kinds == [VolumeRecorded, TierChanged, FactReleased, FeeAdjusted, VolumeRecorded]
    assert len({recorded.envelope.recorded_time_ns for recorded in writing.events(before)}) == 1
    assert fees(writing) == [("0.001", "VIP5")] * 2, "the grant is restated to the fill before it, in the same commit"
    (totals,) = writing.events()[-1].event.totals
    assert (totals.lines, totals.fees[0].charges) == (2, "0.002")


def test_two_fills_in_one_commit_with_an_end_of_the_tier_between_pay_what_was_known_at_each(writing: Writing) -> None:
    writing.step(grant("VIP5"))
    before = writing.log.head().position
    first, _, second = writing.step(
        record(fills({"exec_id": "A"}), with_fees=True),
        ask(commands.RevokeTier("alice", "g1", NOON_NS)),
        record(fills({"exec_id": "B"}), with_fees=True),
    )
    assert (tiers(first), tiers(second)) == (["VIP5"], ["NONE"])
    kinds = [type(recorded.event) for recorded in writing.events(before)]
    assert kinds == [VolumeRecorded, TierRevoked, FactWithheld, VolumeRecorded]
    assert fees(writing) == [("0.001", "VIP5"), ("0.0125", "NONE")], "until two persons release it"


def test_a_grant_that_begins_after_the_fill_before_it_changes_nothing_of_that(writing: Writing) -> None:
    before = writing.log.head().position
    writing.step(
        record(fills({"exec_id": "A", "transact_time_ns": NOON_NS - 2})), grant("VIP5"), record(fills({"exec_id": "B"}))
    )
    kinds = [type(recorded.event) for recorded in writing.events(before)]
    assert kinds == [VolumeRecorded, TierChanged, VolumeRecorded]
    assert fees(writing) == [("0.0125", "NONE"), ("0.001", "VIP5")]


def test_fills_of_one_account_and_day_share_an_event_where_no_decision_lies_between(writing: Writing) -> None:
    before = writing.log.head().position
    writing.step(record(fills({"exec_id": "A"})), grant("VIP1", "bob"), record(fills({"exec_id": "B"})))
    runs = [recorded.event for recorded in writing.events(before) if isinstance(recorded.event, VolumeRecorded)]
    assert [[line.exec_id for line in lines_of(run)] for run in runs] == [["A", "B"]]


def test_a_preview_does_not_cut_the_run_of_the_fills_around_it(writing: Writing) -> None:
    before = writing.log.head().position
    foreseen = replace(grant("VIP5"), validate_only=True)
    writing.step(record(fills({"exec_id": "A"})), foreseen, record(fills({"exec_id": "B"})))
    (run,) = [recorded.event for recorded in writing.events(before)]
    assert [line.exec_id for line in lines_of(run)] == ["A", "B"]


def test_new_registers_break_the_runs_that_were_priced_by_the_old_ones(writing: Writing) -> None:
    before = writing.log.head().position
    writing.step(
        record(fills({"exec_id": "A"})),
        ask(commands.RegisterCurrency("USDT", 2)),
        record(fills({"exec_id": "B"}), with_fees=True),
    )
    runs = [recorded.event for recorded in writing.events(before) if isinstance(recorded.event, VolumeRecorded)]
    assert [(run.bases[0].fee_decimals, lines_of(run)[0].fee) for run in runs] == [(8, 1_250_000), (2, 1)]
    (totals,) = runs[-1].totals
    assert [fees.charges for fees in totals.fees] == ["0.0225"]


def test_a_fill_resent_in_the_same_commit_is_a_replay_even_across_a_decision(writing: Writing) -> None:
    batch = fills({"exec_id": "A"})
    writing.step(record(fills({"exec_id": "Z"})))
    first, _, second, third = writing.step(record(batch), grant("VIP5"), record(batch), record(fills({"exec_id": "Z"})))
    found = [(answer.recorded, answer.replayed) for answer in (first, second, third)]
    assert found == [(1, 0), (0, 1), (0, 1)]


def test_a_replay_is_found_however_often_and_late_it_comes(writing: Writing) -> None:
    for number in range(3):
        writing.step(record(fills({"exec_id": f"E{number}"})))
        for known in range(number + 1):
            (answer,) = writing.step(record(fills({"exec_id": f"E{known}"}), with_fees=True))
            assert (answer.recorded, answer.replayed, tiers(answer)) == (0, 1, ["NONE"])


def test_a_replay_is_found_after_memory_was_lost(writing: Writing) -> None:
    writing.step(record(fills({"exec_id": "A"}, {"exec_id": "B"})))
    writing.new_term()
    (answer,) = writing.step(record(fills({"exec_id": "A"}, {"exec_id": "C"})))
    assert (answer.recorded, answer.replayed) == (1, 1)


def test_a_conflict_is_refused_and_recorded(writing: Writing) -> None:
    writing.step(record(fills({"exec_id": "A"})))
    before = writing.log.head().position
    (answer,) = writing.step(record(fills({"exec_id": "A", "quantity": "11"}, {"exec_id": "B"})))
    assert [(index, refusal.reason) for index, refusal in answer.refused] == [(0, Reason.FILL_CONFLICT)]
    refused = [recorded.event for recorded in writing.events(before) if isinstance(recorded.event, CommandRefused)]
    assert [(event.command, event.reason, event.fill_sha256) for event in refused] == [("RecordFills", 101, b"\x00")]


def test_a_source_goes_on_where_it_was_and_resends_are_trimmed(writing: Writing) -> None:
    batch = fills(*({"exec_id": f"E{number}"} for number in range(4)), source="engine")
    first, again = writing.step(record(batch), record(batch, with_fees=True))
    assert (first.recorded, first.source_sequence) == (4, 4)
    assert (again.recorded, again.replayed, again.source_sequence) == (0, 4, 4)
    writing.new_term()
    (late,) = writing.step(record(batch, with_fees=True))
    assert (late.replayed, tiers(late)) == (4, ["NONE"] * 4)


def test_requests_that_were_read_together_are_answered_each_for_itself(writing: Writing) -> None:
    writing.step(record(fills({"exec_id": "known"}, source="a")), record(fills({"exec_id": "old"})))
    names = ["known", "A", "B", "old", "C", "C", "D"]
    whole = replace(
        fills(*({"exec_id": name, "price": "0.123456789" if name == "B" else "0.5"} for name in names)),
        venue="",
        sources=("a", ""),
        source=np.array([0, 0, 0, 1, 1, 1, 1]),
        index=np.array([0, 1, 2, 0, 1, 2, 0]),
        sequence=np.array([1, 2, 3, 0, 0, 0, 0]),
    )
    alike = [(0, 3, "a", 1), (3, 6, "", 0), (6, 7, "", 0)]
    first, second, third = writing.step(
        *(
            RecordFills(BatchPart(whole, start, end), "", source, sequence, end - start, lambda _: b"", with_fees=True)
            for start, end, source, sequence in alike
        )
    )
    assert [(answer.recorded, answer.replayed) for answer in (first, second, third)] == [(1, 1), (1, 2), (1, 0)]
    assert [(index, refusal.field) for index, refusal in first.refused] == [(2, "last_px")]
    assert [sorted(answer.fees) for answer in (first, second, third)] == [[0, 1], [0, 1, 2], [0]]
    assert (first.source_sequence, second.source_sequence) == (3, 0)
    runs = [recorded.event for recorded in writing.events() if isinstance(recorded.event, VolumeRecorded)]
    assert {run.venue for run in runs} == {"bitmart"}


def test_a_gap_of_a_source_is_refused_with_the_number_expected(writing: Writing) -> None:
    before = writing.log.head()
    batch = fills({"exec_id": "A"}, source="engine")
    (answer,) = writing.step(RecordFills(batch, "bitmart", "engine", 2, 1, lambda _: b""))
    assert isinstance(answer, Refused)
    assert (answer.refusal.reason, answer.refusal.metadata) == (Reason.SEQUENCE_GAP, {"expected_sequence": "1"})
    assert writing.log.head() == before


def test_a_request_sent_twice_in_one_commit_is_recorded_once(writing: Writing) -> None:
    command, another = commands.StartTrial("alice", NOON_NS), commands.StartTrial("alice", NOON_NS - 1)
    first, again, other = writing.step(ask(command, "same"), ask(command, "same"), ask(another, "same"))
    assert isinstance(first, Accepted)
    assert isinstance(again, Accepted)
    assert (again.recorded.position, again.replayed) == (first.recorded.position, True)
    assert isinstance(other, Refused)
    assert other.refusal.reason == Reason.REQUEST_ID_REUSED


def test_positions_are_contiguous_and_versions_count_up_in_every_stream(writing: Writing) -> None:
    for number in range(3):
        writing.step(record(fills({"exec_id": f"E{number}"}, source=f"engine{number}")), grant("VIP1"))
    writing.new_term()
    events = writing.events()
    assert [recorded.position for recorded in events] == list(range(1, len(events) + 1))
    for stream in {recorded.stream for recorded in events}:
        versions = [recorded.version for recorded in events if recorded.stream == stream]
        positions = [recorded.position for recorded in events if recorded.stream == stream]
        assert versions == (positions if stream.startswith("fees/") else list(range(1, len(versions) + 1)))


def test_recorded_time_rises_from_commit_to_commit_though_the_clock_stands_still(writing: Writing) -> None:
    heads = []
    for number in range(3):
        writing.step(record(fills({"exec_id": f"E{number}"})))
        heads.append(writing.log.head().recorded_time_ns)
    assert heads[0] < heads[1] < heads[2]


def test_a_commit_that_fails_leaves_nothing_and_takes_the_states_with_it(
    writing: Writing, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing.step(record(fills({"exec_id": "A"})))
    before = writing.log.head()
    with psycopg.connect(dsn, autocommit=True) as other:
        name = "fee-ledger writer"
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [name])
    with pytest.raises(WriterLost):
        writing.step(record(fills({"exec_id": "B"})))
    assert writing.service.pipeline.in_flight is not None
    assert writing.log.head() == before
    lost = writing.service.pipeline.in_flight.commit
    writing.new_term()
    assert not writing.writer.committed(lost)
    (answer,) = writing.step(record(fills({"exec_id": "B"})))
    assert answer.recorded == 1


def test_a_defect_half_way_through_a_commit_leaves_no_state_behind(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Defect(Exception):
        pass

    def fail(*_: Any, **__: Any) -> None:
        raise Defect

    with monkeypatch.context() as patch:
        patch.setattr("ledger.domain.decide.dispatch.decide_account", fail)
        with pytest.raises(Defect):
            writing.step(record(fills({"exec_id": "A"})), grant("VIP1"))
    (answer,) = writing.step(record(fills({"exec_id": "A"})))
    assert answer.recorded == 1


def test_memory_is_bounded_and_what_was_forgotten_is_read_again(writing: Writing) -> None:
    writing.config = Config(schema=writing.config.schema, account_day_bytes_max=3_000, account_state_bytes_max=4_000)
    writing.writer.close()
    writing.new_term()
    for number in range(9):
        writing.step(record(fills({"exec_id": "A", "account_id": f"account{number}"})))
    for number in range(9):
        (answer,) = writing.step(record(fills({"exec_id": "A", "account_id": f"account{number}"})))
        assert (answer.recorded, answer.replayed) == (0, 1)
    assert len(writing.service._states.days) <= 2
    for number in range(9):
        writing.step(grant("VIP1", f"account{number}"))
    held = writing.service._states.accounts
    assert 0 < len(held) < 3
    assert held.size == sum(map(account_bytes, held.values())) <= 4_000
    assert len(writing.service._states._standings) < 9
    (answer,) = writing.step(record(fills({"exec_id": "B", "account_id": "account0"})))
    assert answer.recorded == 1


def test_what_somebody_asks_with_in_vain_is_not_kept(writing: Writing) -> None:
    for number in range(9):
        (answer,) = writing.step(replace(record(fills({"exec_id": "A"})), source=f"engine{number}", first_sequence=7))
        assert isinstance(answer, Refused)
        writing.service._states.closes(f"asset{number}")
        writing.service._states.round("2024-W40")
        writing.service._states.evaluation(f"evaluation/{number}")
    states = writing.service._states
    assert (states.sources, states._shared) == ({}, {})


def evaluated(writing: Writing, tier: str, account_id: str = "alice", **changes: Any) -> EvaluateAccounts:
    """An evaluation a day before noon that gives a tier."""
    at_ns = NOON_NS - DAY_NS
    run = EvaluationRun(programme(**changes), PERIODIC, writing.log.head().position)
    started = EvaluationStarted(run.programme.programme_id, "3.0", PERIODIC, at_ns, 0, at_ns, run.read_position)
    found = Assessment(Case(account_id, at_ns, (0, at_ns)), (), (), 0, tier)
    return EvaluateAccounts(Recorded(1, "evaluation", 1, Envelope(at_ns, at_ns, 1, "ops-1"), started), run, [found])


def fees(writing: Writing, stream: str = "fees/alice/2024-10-04") -> list[tuple[str, str]]:
    """(fee, tier) of each fill of a day, as they are now."""
    lines = [placed.known for placed in lines_now(writing.log.streams([stream], 2**63 - 1)).values()]
    return [(decimal_text(line.fee, basis.fee_decimals), basis.tier) for line, _, basis in lines]


def test_fills_in_the_commit_of_an_evaluation_are_adjusted_too(writing: Writing) -> None:
    writing.step(record(fills({"exec_id": "A"})))
    before = writing.log.head().position
    writing.step(
        record(fills({"exec_id": "B"})), evaluated(writing, "VIP2"), record(fills({"exec_id": "C"}), with_fees=True)
    )
    kinds = [type(recorded.event) for recorded in writing.events(before)]
    assert kinds == [VolumeRecorded, VolumeEvaluated, FactReleased, FeeAdjusted, VolumeRecorded]
    assert fees(writing) == [("0.002", "VIP2")] * 3
    (totals,) = writing.events()[-1].event.totals
    assert (totals.notional, totals.lines, totals.fees[0].charges) == ("15", 3, "0.006")


def test_an_account_that_was_evaluated_is_left_out(writing: Writing) -> None:
    assert writing.step(evaluated(writing, "VIP2"), evaluated(writing, "VIP5")) == [Evaluated(1), Evaluated(1)]
    states = [recorded.event for recorded in writing.events() if isinstance(recorded.event, VolumeEvaluated)]
    assert [state.tier for state in states] == ["VIP2"]


def test_a_day_goes_on_from_its_adjustment_after_the_memory_of_it_is_lost(writing: Writing) -> None:
    writing.step(record(fills({"exec_id": "A"})))
    writing.step(evaluated(writing, "VIP2"))
    writing.new_term()
    answer, _ = writing.step(
        record(fills({"exec_id": "A"}), with_fees=True), record(fills({"exec_id": "B"}), with_fees=True)
    )
    assert (answer.replayed, answer.fees[0][0]) == (1, 200_000), "a replay is told the fee as it is now"
    (totals,) = writing.events()[-1].event.totals
    assert (totals.notional, totals.lines, totals.fees[0].charges) == ("10", 2, "0.004")


def test_what_costs_the_same_by_another_grant_says_so_at_a_difference_of_0(writing: Writing) -> None:
    writing.step(ask(commands.ChangeTier("alice", "VIP2", NOON_NS - DAY_NS, NOON_NS + 1)))
    writing.step(record(fills({"exec_id": "A"})))
    before = writing.events()[-1].event.totals
    writing.step(evaluated(writing, "VIP2"))
    adjusted = writing.events()[-1].event
    assert isinstance(adjusted, FeeAdjusted)
    assert [(difference.amount, difference.currency) for difference in differences(adjusted)] == [(0, "USDT")]
    (line,) = adjusted.lines
    bases = [adjusted.bases[values.basis_index] for values in (line.before, line.after)]
    assert [(basis.tier, basis.grant_id, basis.grant_source) for basis in bases] == [
        ("VIP2", "g1", "MANUAL"),
        ("VIP2", "g2", "EVALUATION"),
    ], "of two grants of one tier the one that ends later is in effect"
    assert adjusted.totals == before
    assert fees(writing) == [("0.002", "VIP2")]


def test_what_rests_on_the_same_grant_after_an_evaluation_is_not_adjusted(writing: Writing) -> None:
    writing.step(ask(commands.ChangeTier("alice", "VIP2", NOON_NS - DAY_NS, None)))
    before = writing.log.head().position
    writing.step(record(fills({"exec_id": "A"})))
    writing.step(evaluated(writing, "VIP1"))
    kinds = [type(recorded.event) for recorded in writing.events(before)]
    assert kinds == [VolumeRecorded, VolumeEvaluated, FactReleased], "it is released, and VIP2 is the better tier"
    writing.step(evaluated(writing, "VIP1", "bob"))
    assert type(writing.events()[-1].event) is VolumeEvaluated, "of bob no fill is recorded"
    assert fees(writing) == [("0.002", "VIP2")]


def test_an_adjustment_says_who_asked_for_the_evaluation(writing: Writing) -> None:
    writing.step(record(fills({"exec_id": "A"})))
    writing.step(evaluated(writing, "VIP2"))
    last = writing.events()[-1]
    assert isinstance(last.event, FeeAdjusted)
    assert (last.envelope.actor, last.envelope.effective_time_ns) == ("ops-1", NOON_NS)
    assert writing.log.at(last.event.cause_position).stream == "account/alice"
