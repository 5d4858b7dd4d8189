"""Fills that a source sends again, commit by commit: what is known of them in the same one, and in the next term."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from ledger.domain.commands import ChangeTier
from ledger.domain.events import Recorded, SequenceConflict, SourceAdvanced
from ledger.domain.instants import DAY_NS
from ledger.domain.refusal import Reason
from ledger.fills.batch import FillBatch
from ledger.writing.messages import FillsTaken, RecordFills
from tests.domain.worked import fills
from tests.replaying import deviations
from tests.write_side import NOON_NS, Writing, ask, record


def batch_of(*names: str, first: int = 1, source: str = "engine", **changes: str) -> FillBatch:
    batch = fills(*({"exec_id": name, **changes} for name in names), source=source)
    return replace(batch, sequence=batch.sequence + first - 1)


def sent(*names: str, first: int = 1, source: str = "engine", **changes: str) -> RecordFills:
    batch = batch_of(*names, first=first, source=source, **changes)
    return replace(record(batch, with_fees=True), fill_sha256=lambda index: names[index].encode())


def told(answer: FillsTaken) -> tuple[int, int, list[int]]:
    """(recorded, replayed, indexes of conflicts); fees are those of all others."""
    assert {refusal.reason for _, refusal in answer.refused} <= {Reason.FILL_CONFLICT}
    refused = [index for index, _ in answer.refused]
    size = answer.recorded + answer.replayed + len(refused)
    assert sorted(answer.fees) == [index for index in range(size) if index not in refused]
    return answer.recorded, answer.replayed, refused


def advances(writing: Writing) -> list[SourceAdvanced]:
    return [event for recorded in writing.events() if isinstance(event := recorded.event, SourceAdvanced)]


def test_what_came_earlier_in_the_same_commit_is_compared_too(writing: Writing) -> None:
    answers = writing.step(
        sent("A", "B", "C"), sent("A", "X", "C", "D"), sent("A", "B", "C", "D", "E"), sent("D", "Y", first=4)
    )
    assert [told(answer) for answer in answers] == [(3, 0, []), (1, 2, [1]), (1, 4, []), (0, 1, [1])]
    (event,) = advances(writing)
    assert (event.first_sequence, event.last_sequence, event.recorded, event.replayed) == (1, 5, 5, 0)
    assert [one.sequence for one in event.conflicts] == [2, 5]


def test_conflicts_and_new_fills_of_one_commit_share_an_event(writing: Writing) -> None:
    writing.step(sent("A", "B"))
    answers = writing.step(sent("X", "Y"), sent("C", first=3))
    assert [told(answer) for answer in answers] == [(0, 0, [0, 1]), (1, 0, [])]
    event = advances(writing)[-1]
    assert (event.first_sequence, event.last_sequence, event.recorded) == (3, 3, 1)
    assert [one.sequence for one in event.conflicts] == [1, 2]


def test_numbers_are_found_among_commits_that_took_none(writing: Writing) -> None:
    for number, name in enumerate("ABCDEFG", 1):
        writing.step(sent(name, first=number))
        writing.step(sent(f"{name}-other", first=number))
    writing.new_term()
    (answer,) = writing.step(sent(*"ABXDEFG"))
    assert told(answer) == (0, 6, [2])
    (answer,) = writing.step(sent(*"DYF", first=4))
    assert told(answer) == (0, 2, [1])
    assert [event.conflicts_before for event in advances(writing)][:6] == [0, 0, 2, 2, 4, 4]


def test_all_is_known_again_in_the_next_term(writing: Writing) -> None:
    writing.step(record(fills({"exec_id": "E1"})))
    writing.step(sent("E1", "E2", "E3"))
    conflicting = sent("S2", "S3", "S4", first=2)
    (first,) = writing.step(conflicting)
    assert told(first) == (1, 0, [0, 1])
    writing.new_term()
    before = writing.log.head().position
    (again,) = writing.step(conflicting)
    assert (told(again), again.refused) == ((0, 1, [0, 1]), first.refused)
    (again,) = writing.step(sent("E1", "E2", "E3"))
    assert told(again) == (0, 3, [])
    assert writing.log.head().position == before
    (shifted,) = writing.step(sent("E1", "E2", "S4", first=2))
    assert told(shifted) == (0, 1, [0, 1])
    assert writing.log.head().position == before + 1


def test_where_a_commit_does_not_say_which_numbers_were_replays_a_known_fill_is_one(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So did release 0.1.0, and so does a commit with more ranges of them than it may name."""
    monkeypatch.setattr("ledger.writing.draft.RANGES_MAX", 0)
    writing.step(record(fills({"exec_id": "K"})))
    writing.step(sent("A", "K", "B"))
    assert (advances(writing)[-1].replayed, advances(writing)[-1].replayed_sequences) == (1, ())
    writing.new_term()
    (again,) = writing.step(sent("A", "K", "B"))
    assert told(again) == (0, 3, [])
    (other,) = writing.step(sent("A", "L", "B"))
    assert told(other) == (0, 2, [1])


def test_of_many_conflicts_a_thousand_are_recorded_and_the_others_counted(writing: Writing) -> None:
    writing.step(sent(*(f"E{number}" for number in range(1_200))))
    others = sent(*(f"O{number}" for number in range(1_200)))
    for numbers, left_out in ((range(1, 1_001), 200), (range(1_001, 1_201), 0)):
        (answer,) = writing.step(others)
        assert told(answer) == (0, 0, list(range(1_200)))
        event = advances(writing)[-1]
        assert ([one.sequence for one in event.conflicts], event.conflicts_left_out) == (list(numbers), left_out)


def test_fees_of_replays_are_those_after_adjustments(writing: Writing) -> None:
    (first,) = writing.step(sent("A", "B", quantity="1000"))
    (again,) = writing.step(sent("A", "B", quantity="1000"))
    assert again.fees == first.fees
    writing.step(sent("C", first=3, quantity="1000"))
    writing.step(ask(ChangeTier("alice", "VIP4", NOON_NS - DAY_NS, None)))
    (after,) = writing.step(sent("A", "B", quantity="1000"))
    fees = [[(fee, basis.tier) for fee, basis in answer.fees.values()] for answer in (again, after)]
    assert fees == [[(125_000_000, "NONE")] * 2, [(12_500_000, "VIP4")] * 2]


def test_numbers_beyond_those_that_arrays_compute_with_are_compared(writing: Writing) -> None:
    far = 2**63 - 9
    writing.service._states.sources["engine"] = replace(writing.service._states.source("engine"), last_sequence=far - 1)
    batch = batch_of("A", "B", "C", "D")
    numbers = replace(batch, sequence=batch.sequence.astype(object) + (far - 1))
    (first,) = writing.step(record(numbers, with_fees=True))
    assert told(first) == (4, 0, [])
    (again,) = writing.step(record(replace(numbers, exec_id=batch_of("A", "X", "C", "D").exec_id), with_fees=True))
    assert told(again) == (0, 3, [1])


def audited(log: Sequence[Recorded]) -> list[str]:
    return list(map(str, deviations(log)))


CONFLICT = SequenceConflict(1, b"other")
EDITS: Final[Sequence[tuple[Mapping[str, Any], str]]] = [
    ({"conflicts_before": 0}, "conflicts_before is "),
    ({"conflicts": (CONFLICT, CONFLICT)}, "a conflict stands there twice"),
    ({"conflicts": (SequenceConflict(8, b""),)}, "a conflict has a number that was not taken"),
    ({"conflicts": (SequenceConflict(0, b""),)}, "a conflict has a number that was not taken"),
    ({"conflicts_left_out": 1}, "conflicts named 1, left out 1"),
    ({"replayed_sequences": (5,)}, "replayed_sequences are no pairs"),
    ({"replayed_sequences": (3, 5)}, "do not rise within the numbers taken"),
    ({"replayed_sequences": (5, 5, 8, 8)}, "do not rise within the numbers taken"),
    ({"replayed_sequences": (7, 5)}, "end before they begin"),
    ({"replayed_sequences": (6, 6)}, "numbers in replayed_sequences 1, replayed 2"),
    ({"replayed_sequences": (6, 7)}, "one is another"),
]


@pytest.mark.parametrize(("change", "says"), EDITS, ids=[f"{dict(change)}" for change, _ in EDITS])
def test_the_audit_finds_what_was_changed_of_conflicts_and_replays(
    writing: Writing, change: Mapping[str, Any], says: str
) -> None:
    writing.step(record(fills({"exec_id": "K"}, {"exec_id": "L"})))
    writing.step(sent("A", "B", "C"))
    writing.step(sent("X"))
    writing.step(sent("Y", first=3), sent("D", "K", "L", "E", first=4))
    log = writing.events()
    assert audited(log) == []
    last = log[-1]
    assert last.event.replayed_sequences == (5, 6)
    found = audited([*log[:-1], replace(last, event=replace(last.event, **change))])
    assert any(says in each for each in found), found
