"""The bytes of the log: what each event is stored as, for ever."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args

import pytest

from ledger.arrays.columns import digests, texts
from ledger.domain.events import (
    AccountBanned,
    AccountFlagged,
    AccountLinked,
    AccountRegistered,
    AccountUnflagged,
    AdjustedLine,
    ApiIdentityVerified,
    ApplicationSettled,
    ApplicationSubmitted,
    BanLifted,
    Basis,
    BehaviourMetricRecorded,
    BonusAwarded,
    BountyAwarded,
    BountyRoundClosed,
    CellKey,
    CellTotals,
    CellVolume,
    CloseMissing,
    CloseUsed,
    CommandRefused,
    CreditWithdrawn,
    CurrencyNet,
    CurrencyRegistered,
    DailyCloseRecorded,
    Envelope,
    EvaluationCompleted,
    EvaluationStarted,
    Event,
    FactReleased,
    FactWithheld,
    FeeAdjusted,
    FeeCredited,
    FeedbackReported,
    FeeEvent,
    FeeSum,
    KamAssigned,
    LedgerCreated,
    Line,
    LineValues,
    MatchClaim,
    MatchRejected,
    MatchRequested,
    MigrationApplied,
    MigrationFile,
    OwnerNamed,
    PairClassAssigned,
    PairRatesSet,
    ProgrammePublished,
    PromotionAnnounced,
    RefusedSequence,
    RepriceAdvanced,
    RepriceCompleted,
    RepriceStarted,
    SequenceConflict,
    SourceAdvanced,
    SourceSpan,
    SymbolRegistered,
    SymbolTerms,
    TierChanged,
    TierRevoked,
    TrialStarted,
    VolumeEvaluated,
    VolumeRecorded,
    WriterStarted,
)
from ledger.domain.state.volume_cells import CREDITS
from ledger.fills.adjusted_lines import AdjustedLines
from ledger.fills.lines import lines_of
from ledger.store.codec.events import decode, encode
from ledger.store.codec.fills import decode_totals, exec_id_digests
from ledger.v1 import events_pb2
from tests.made_up import made_up
from tests.store.runs import columns

GOLDEN = Path(__file__).parent / "golden"
T = 1_728_043_200_000_000_000  # 2024-10-04 12:00:00 UTC
ENVELOPE = Envelope(T, T + 1, 2, "ops-7", True, "ops-8", "T-1", b"\x01" * 32, "r1", b"\x02" * 32)
BASIS = Basis(-10, 0, "VIP3", "g1", "TRIAL", "bitmart-api-vip", "3.0", "A", "TIER", "USDT", 8)
BASE = Basis(2500, 250_000, "NONE", "", "", "bitmart-api-vip", "3.0", "", "BASE", "BMX", 8)


TERMS = (SymbolTerms("XRP_USDT", "USDT", 1, 5, 2), SymbolTerms("PEPE_BTC", "BTC", 1, 18, 18))
TOTALS = (
    CellTotals(CellKey("BTC", 1, 0, True, True, True), "0.5", 1, (FeeSum("BTC", "0", "0", 1),)),
    CellTotals(CellKey("USDT", 1, 1, False, False, False), "1200.0001", 2, (FeeSum("USDT", "0.3", "-0.006", 2),)),
)
CREDITED = CellTotals(CREDITS, "0", 0, (FeeSum("BMX", "0", "0", 0), FeeSum("USDT", "0", "-12.5", 0)))
LINES = (
    Line("E1", T, 0, 0b0001_0101, 60_000, 100_000, -600_000, 0, 0, 7, "12", "9"),
    Line("E2", T + 5, 0, 0b1101_1010, 60_000, 1, 0, 1, 1, 900, "13", "10"),
)
ENGINES = (SourceSpan("engine", 7, 7), SourceSpan("other", 900, 900))
NO_SOURCE = (SourceSpan("", 0, 0),)
RUN = VolumeRecorded("bitmart", ENGINES, T, T + 5, T + 9, TERMS, (BASIS, BASE), columns(ENGINES, *LINES), TOTALS)
FULL = Line(
    *("E3", T, 1, 0b0001_0101, 2**70, 2**64, -(2**80), 1, 0, 0, "007", "a", "mine", T - 1, "acme", "other", "BMX"),
    *("0.25", "close", "-0.1", "USDT", "0.0025"),
)

CLAIM = MatchClaim(("binance", "okx"), "VIP2", T - 9, T, "150000.5", "0", b"\x06" * 32)


def adjusted_line(
    number: int, exec_id: str, values: tuple[int, int, int, int], before: tuple[int, int], after: tuple[int, int]
) -> AdjustedLine:
    """A line of position 40 of which only (fee, basis) changes."""
    at = (40, number, "bitmart", exec_id, T + 5 * number)
    return AdjustedLine(*at, LineValues(*values, *before), LineValues(*values, *after))


SAMPLES: dict[str, Event] = {
    "LedgerCreated": LedgerCreated("ledger-1"),
    "WriterStarted": WriterStarted(2, "0.1.0"),
    "WriterStarted with its rules": WriterStarted(3, "0.2.0", 2),
    "WriterStarted that keeps requests": WriterStarted(4, "0.2.0", 3, keeps_requests=True),
    "WriterStarted that links fees": WriterStarted(5, "0.3.0", 4, keeps_requests=True, links_fees=True),
    "MigrationApplied": MigrationApplied(
        (MigrationFile("0003_guard.sql", b"\x07" * 32), MigrationFile("0004_more.sql", b"\x08" * 32)),
        *("0.2.0", 41, b"\x09" * 32, b"\x0a" * 32),
    ),
    "ProgrammePublished": ProgrammePublished("p", "3.0", 0, 'id = "p"\n', b"\x03" * 32),
    "PairClassAssigned": PairClassAssigned("p", "XRP_USDT", "A", T),
    "PairRatesSet": PairRatesSet("p", "XRP_USDT", -10, 0, T),
    "PairRatesSet of one side": PairRatesSet("p", "XRP_USDT", None, 300, T),
    "PairRatesSet without rates": PairRatesSet("p", "XRP_USDT", None, None, T),
    "SymbolRegistered": SymbolRegistered("XRP_USDT", "XRP", "USDT", 1, 5, 2, T),
    "CurrencyRegistered": CurrencyRegistered("USDT", 0),
    "AccountRegistered": AccountRegistered("alice", "acme", "main", T),
    "AccountLinked": AccountLinked("alice"),
    "OwnerNamed": OwnerNamed("acme"),
    "TrialStarted": TrialStarted("g1", "p", "VIP3", T, T + 5),
    "TierChanged": TierChanged("g2", "p", "VIP5", "MANUAL", T, T + 5),
    "TierChanged without an end": TierChanged("g2", "p", "VIP5", "MANUAL", T, None),
    "TierChanged by a match": TierChanged("g2", "p", "VIP5", "MATCH", T, T + 5, "m1"),
    "TierRevoked": TierRevoked("g2", T),
    "AccountBanned": AccountBanned("b1", T, T + 5, "ORDER_SPAM"),
    "AccountBanned with evidence": AccountBanned("b1", T, T + 5, "ORDER_SPAM", (7, 900)),
    "BanLifted": BanLifted(T),
    "AccountFlagged": AccountFlagged("f1", "ROBOT", T, b"\x06" * 32),
    "AccountUnflagged": AccountUnflagged(T),
    "MatchRequested": MatchRequested("m1", "p", T, "VIP1", CLAIM),
    "MatchRejected": MatchRejected("m1", "p", T, 221, "", CLAIM),
    "MatchRejected by a person": MatchRejected("m1", "p", T, 0, "EVIDENCE_FALSE"),
    "ApplicationSubmitted": ApplicationSubmitted("p1", "p", T, True, True, False, True),
    "ApiIdentityVerified": ApiIdentityVerified(T),
    "ApplicationSettled": ApplicationSettled("p1", "GRANTED", T),
    "KamAssigned": KamAssigned("kam-1", T),
    "BehaviourMetricRecorded": BehaviourMetricRecorded("LOW_FILL_RATIO", "0.001", T - 9, T),
    "FeedbackReported": FeedbackReported("r1", "alice", "BUG", "DISCORD", T),
    "BountyAwarded": BountyAwarded("r1", "alice", "50.5", "USDT", "VIP3"),
    "BountyRoundClosed": BountyRoundClosed("2024-W40", T),
    "PromotionAnnounced": PromotionAnnounced("october", "API_EXCLUSIVE", T, T + 5),
    "BonusAwarded": BonusAwarded("october", "alice", "10", "USDT", T, "NONE", True),
    "DailyCloseRecorded": DailyCloseRecorded("BTC", "USDT", 19_999, "60000.5", "binance-1d", b"\x07" * 32),
    "DailyCloseRecorded that restates": DailyCloseRecorded("BTC", "USDT", 19_999, "1", "okx-1d", b"\x08" * 32, 7),
    "EvaluationStarted": EvaluationStarted("p", "3.0", "PERIODIC", T, T - 9, T, 41, ("engine",)),
    "VolumeEvaluated": VolumeEvaluated(
        *("p", "3.0", "PERIODIC", T, T - 9, T, 41, (CellVolume("BTC", 1, 1, True, True, "0.5"),)),
        *((CloseUsed("BTC", 19_999, "60000.5", 40),), "30000.25", "USDT", "VIP1", "g3", T, T + 9, ("g1", "g2"), T),
    ),
    "VolumeEvaluated without a grant": VolumeEvaluated(
        "p", "3.0", "POST_TRIAL", T, T - 9, T, 41, (), (), "0", "USDT", "NONE"
    ),
    "VolumeEvaluated that keeps a tier": VolumeEvaluated(
        "p", "3.0", "PERIODIC", T, T - 9, T, 41, (), (), "50000000", "USDT", "MANUAL_REVIEW", "g2", T, kept_tier="VIP3"
    ),
    "VolumeEvaluated by a later run": VolumeEvaluated(
        *("p", "3.0", "PERIODIC", T, T - 9, T, 41, (), (), "0", "USDT", "NONE"), run=2, supersedes=40
    ),
    "EvaluationCompleted": EvaluationCompleted(41, 36, 17, 1, 2, 3, 4, 5, 6, 7, (CloseMissing("BTC", 19_999),), 15),
    "SourceAdvanced with a time": SourceAdvanced(5, 5, 1, 0, (), T),
    "SourceAdvanced with a heartbeat": SourceAdvanced(5, 4, 0, 0, (), T, complete_until_ns=T + 9),
    "SourceAdvanced with a fill after it": SourceAdvanced(
        5, 5, 1, 0, (), T, complete_until_ns=T + 9, late_from_ns=T - 1, late_version_before=3
    ),
    "SourceAdvanced with conflicts": SourceAdvanced(
        10,
        14,
        2,
        3,
        (),
        T,
        (SequenceConflict(7, b"\x05" * 32), SequenceConflict(9, b"\x06" * 32)),
        0,
        (10, 10, 12, 13),
        4,
    ),
    "SourceAdvanced of conflicts alone": SourceAdvanced(
        10, 9, 0, 0, (), T, conflicts=(SequenceConflict(7, b"\x05" * 32),), conflicts_left_out=9
    ),
    "FeeAdjusted": FeeAdjusted(
        *("LATE_GRANT", 42, T, T + 5, T + 9, TERMS, (BASE, BASIS)),
        (
            adjusted_line(0, "E1", (0, 0b0001_0101, 60_000, 100_000), (150_000_000, 0), (-600_000, 1)),
            adjusted_line(1, "E2", (1, 0b1101_1010, 5 * 10**17, 10**18), (10_000_000, 0), (0, 1)),
        ),
        TOTALS,
    ),
    "FeeAdjusted that restates whole lines": FeeAdjusted(
        *("BAN", 42, T, T + 5, T + 9, TERMS, (BASE, BASIS)),
        (
            AdjustedLine(
                *(40, 0, "bitmart", "E1", T),
                LineValues(0, 0b0001_0101, 60_000, 100_000, -600_000, 1),
                LineValues(0, 0b1001_0101, 60_000, 100_000, -600_000, 1),
            ),
            AdjustedLine(
                *(900, 300, "other", "E22", T + 5),
                LineValues(0, 0b0001_0101, 60_000, 100_000, 2**65, 0),
                LineValues(1, 0b0001_1010, 2**70, 2**64, -(2**80), 1),
            ),
        ),
        TOTALS,
        43,
    ),
    "FeeCredited": FeeCredited("12.5", "USDT", "OUTAGE", T, T + 9, (CREDITED, *TOTALS)),
    "CreditWithdrawn": CreditWithdrawn(44, "12.5", "USDT", "MISTAKE", T, T + 9, TOTALS),
    "CommandRefused": CommandRefused("StartTrial", 209, "account_id", "alice has had a trial", b"\x04" * 32),
    "SourceAdvanced": SourceAdvanced(5, 9, 3, 1, (RefusedSequence(7, 4, b"\x05" * 32, "last_px"),)),
    "VolumeRecorded": RUN,
    "VolumeRecorded without a source": replace(
        RUN,
        sources=NO_SOURCE,
        columns=columns(NO_SOURCE, LINES[0]._replace(sequence=0), LINES[1]._replace(source_index=0, sequence=0)),
    ),
    "VolumeRecorded with amounts beyond int64 and every field": replace(
        RUN, sources=NO_SOURCE, columns=columns(NO_SOURCE, FULL)
    ),
}


_AFTER = " after another event"  # as terms that link fees write them
SAMPLES |= {
    f"{name}{_AFTER}": replace(SAMPLES[name], previous_position=position)  # type: ignore[call-arg]
    for name, position in {
        "VolumeRecorded": 40,
        "VolumeRecorded with amounts beyond int64 and every field": 2**40,
        "FeeAdjusted": 41,
        "FeeAdjusted that restates whole lines": 2**62,
        "FeeCredited": 42,
        "CreditWithdrawn": 44,
    }.items()
}
SAMPLES |= {
    "RepriceStarted": RepriceStarted(43, 42, "BAN", "alice", 150_000),
    "RepriceAdvanced": RepriceAdvanced(
        43, 20_000, 41, 7, 10_000, 9_000, (CurrencyNet("BMX", "-0.5"), CurrencyNet("USDT", "0"))
    ),
    "RepriceAdvanced to the end": RepriceAdvanced(43, 0, 0, 0, 150_000, 0),
    "FactReleased in an account, of many": FactReleased(42, "PAIR_CLASS", "adjust", ("p",), ("USDT",), T),
    "FactReleased": made_up(FactReleased, T),
    "FactWithheld in an account, of many": FactWithheld(42, "PAIR_RATES", "credit_only", "DEBIT", ("p",), (), T),
    "FactWithheld": made_up(FactWithheld, T),
    "RepriceCompleted": RepriceCompleted(43, 140_000, (CurrencyNet("USDT", "12.25"),)),
}
_BY_HAND = {type(event) for event in SAMPLES.values()}
SAMPLES |= {kind.__name__: made_up(kind, T) for kind in get_args(Event) if kind not in _BY_HAND}


def golden(name: str) -> Path:
    """The file with the bytes of a sample, which `make golden` writes once."""
    return GOLDEN / f"{name.replace(' ', '_')}.hex"


def test_every_event_of_the_domain_has_a_sample() -> None:
    assert {type(event) for event in SAMPLES.values()} == set(get_args(Event))


@pytest.mark.parametrize("name", SAMPLES)
def test_the_bytes_of_an_event_never_change(name: str) -> None:
    """A golden file that must change means: ledgers out there cannot be read any more. Add fields instead."""
    topic, state = encode(ENVELOPE, SAMPLES[name])
    assert topic == type(SAMPLES[name]).__name__
    assert state.hex() == golden(name).read_text().strip()


@pytest.mark.parametrize("name", SAMPLES)
def test_an_event_comes_back_from_its_golden_bytes(name: str) -> None:
    state = bytes.fromhex(golden(name).read_text())
    event = SAMPLES[name]
    recorded = decode(7, "stream", 3, type(event).__name__, state)
    assert (recorded.position, recorded.stream, recorded.version) == (7, "stream", 3)
    assert recorded.envelope == ENVELOPE
    assert plain(recorded.event) == plain(event)


def test_an_event_keeps_the_request_that_it_is_the_first_of() -> None:
    envelope = replace(ENVELOPE, request_message="ledger.v1.LiftBanRequest", request_body=b"\x0a\x02r1")
    topic, state = encode(envelope, SAMPLES["BanLifted"])
    assert state.hex() == (GOLDEN / "BanLifted_with_its_request.hex").read_text().strip()
    assert decode(7, "stream", 3, topic, state).envelope == envelope


def test_the_first_run_of_an_evaluation_is_written_as_unset() -> None:
    """So that an evaluation has the bytes that it had before its run was said, and old ones are of run 1."""
    _, state = encode(ENVELOPE, SAMPLES["VolumeEvaluated"])
    assert events_pb2.VolumeEvaluated.FromString(state).run == 0
    found = decode(7, "stream", 3, "VolumeEvaluated", state).event
    assert isinstance(found, VolumeEvaluated)
    assert (found.run, found.supersedes) == (1, 0)


def plain(value: Any) -> Any:
    """Values without the difference between a repeated field and a tuple."""
    if isinstance(value, VolumeRecorded):
        rest = {field.name: getattr(value, field.name) for field in fields(value) if field.name != "columns"}
        return plain((lines_of(value), *rest.values()))
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return tuple(map(plain, value)) if isinstance(value, list | tuple | AdjustedLines) else value


@pytest.mark.parametrize("name", [name for name in SAMPLES if name.endswith(_AFTER)])
def test_the_event_before_takes_8_bytes_at_most_and_changes_no_other(name: str) -> None:
    event = SAMPLES[name]
    assert isinstance(event, FeeEvent)
    alone, after = (bytes.fromhex(golden(each).read_text()) for each in (name.removesuffix(_AFTER), name))
    place = next(at for at, (one, other) in enumerate(zip(alone + b"\0", after, strict=False)) if one != other)
    added = len(after) - len(alone)
    assert after[:place] + after[place + added :] == alone
    assert added <= 8 or event.previous_position >= 2**42


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, event in SAMPLES.items()
        if isinstance(event, VolumeRecorded) and not event.previous_position  # as no unpacked run did
    ],
)
@pytest.mark.parametrize("written", ["unpacked", "aligned"])
def test_a_run_comes_back_from_bytes_written_before_columns_were_packed_and_packed_closely(
    written: str, name: str
) -> None:
    state = bytes.fromhex((GOLDEN / written / f"{name.replace(' ', '_')}.hex").read_text())
    assert plain(decode(7, "stream", 3, "VolumeRecorded", state).event) == plain(SAMPLES[name])


def test_totals_and_ids_are_read_without_the_rest() -> None:
    _, state = encode(ENVELOPE, RUN)
    assert decode_totals(state) == TOTALS
    longer = encode(ENVELOPE, replace(RUN, columns=RUN.columns._replace(exec_id=b"E\0" + b"F9")))[1]
    found = [each.tolist() for each in exec_id_digests([state, longer, state])]
    assert found[0] == found[2] == digests(texts(["E1", "E2"])).tolist()
    assert found[1] == digests(texts(["E", "F9"])).tolist()
    assert exec_id_digests([]) == []


@pytest.mark.parametrize(
    ("ids", "as_numbers"),
    [
        (("1", "9223372036854775807"), True),
        (("1", "9223372036854775808"), False),
        (("1", "007"), False),
        (("1", "0"), False),
        (("1", "1_0"), False),
        (("1", "-5"), False),
        (("1", ""), False),
        (("1", "A"), False),
    ],
)
def test_ids_are_stored_as_numbers_only_where_nothing_is_lost(ids: tuple[str, str], as_numbers: bool) -> None:
    lines = tuple(line._replace(trade_id=name) for line, name in zip(LINES, ids, strict=True))
    _, state = encode(ENVELOPE, replace(RUN, columns=columns(ENGINES, *lines)))
    found = decode(1, "s", 1, "VolumeRecorded", state).event
    assert isinstance(found, VolumeRecorded)
    assert tuple(line.trade_id for line in lines_of(found)) == ids
    assert bool(events_pb2.VolumeRecorded.FromString(state).trade_numbers) is as_numbers


def test_a_topic_that_this_release_does_not_know_is_not_guessed() -> None:
    with pytest.raises(KeyError):
        decode(1, "s", 1, "SomethingNew", b"")
