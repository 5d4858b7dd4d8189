"""The closed words of answers: each text has an enum beside it that says the same, for every word the code can say."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from ledger.contract import values_by_word
from ledger.domain import explanation
from ledger.domain.decide import facts
from ledger.domain.decide.evaluation import movement
from ledger.domain.pricing import plan
from ledger.domain.refusal import Reason
from ledger.domain.rules.cumulative_trading_volume import excluded_because
from ledger.domain.rules.exclusive_fee_rate import fee_rate
from ledger.domain.state import matches_and_applications
from ledger.domain.state.shared_facts import SHARED_CAUSES
from ledger.tools.cases.words import SOURCES
from ledger.v1 import (
    command_pb2,
    control_service_pb2,
    evaluation_service_pb2,
    events_pb2,
    member_query_service_pb2,
    query_service_pb2,
)
from ledger.v1.refusal_pb2 import DESCRIPTOR as REFUSALS
from ledger.wire.enums import set_words
from projections.answers import fee_history, window_volume
from projections.evaluation import answers
from projections.evaluation.plan import BLOCKED
from tests.server.good_requests import RPCS

PROTO: Final = Path(__file__).parents[2] / "proto"
WORD: Final = re.compile(r"[A-Z][A-Z_]+")
# Texts with words in their comments that are no closed set: names of tiers stand beside them.
OPEN: Final = {"tier", "projected_tier", "tier_before", "tier_after"}


def said_by(*places: Callable[..., Any] | ModuleType) -> set[str]:
    """Words that functions or modules say: their texts in capitals, but for those they look up or compare with."""
    return {word for place in places for word in _said(ast.parse(inspect.getsource(place)))}


def _said(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and WORD.fullmatch(node.value):
        yield node.value
    looked_up = isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load)
    for name, child in ast.iter_fields(node):
        if not isinstance(node, ast.Compare) and name != ("slice" if looked_up else "pattern"):
            for each in child if isinstance(child, list) else [child]:
                if isinstance(each, ast.AST):
                    yield from _said(each)


def _folder(package: ModuleType) -> set[str]:
    files = (path for folder in package.__path__ for path in Path(folder).glob("*.py"))
    return {word for path in files for word in _said(ast.parse(path.read_text()))}


# What the code can say, by the enum beside it.
WORDS: Final[dict[EnumDescriptor, set[str]]] = {
    command_pb2.GrantSource.DESCRIPTOR: set(SOURCES),
    query_service_pb2.FeeType.DESCRIPTOR: {fee_history.fee_type(fee) for fee in (-1, 0, 1)},
    query_service_pb2.FeeLineKind.DESCRIPTOR: said_by(
        fee_history.fee_line, fee_history._adjustment_line, fee_history._credit_line
    ),
    control_service_pb2.WithheldReason.DESCRIPTOR: {
        facts.BY_SWITCH,
        facts.BY_DEBIT,
        facts.BY_FLAG,
        facts.BY_SIZE,
    },
    query_service_pb2.AdjustmentCause.DESCRIPTOR: {
        facts.GRANT,
        facts.REVOCATION,
        facts.FLAG,
        facts.UNFLAG,
        facts.BAN,
        facts.BAN_LIFT,
        facts.OWNER,
        *SHARED_CAUSES,
    },
    query_service_pb2.RateSource.DESCRIPTOR: said_by(fee_rate, plan._plan),
    query_service_pb2.ExclusionReason.DESCRIPTOR: said_by(excluded_because, window_volume),
    query_service_pb2.SentenceCode.DESCRIPTOR: _folder(explanation),
    evaluation_service_pb2.TierMovement.DESCRIPTOR: {*said_by(movement), BLOCKED},
    evaluation_service_pb2.EvaluationStatus.DESCRIPTOR: said_by(answers),
    member_query_service_pb2.MatchStatus.DESCRIPTOR: said_by(matches_and_applications),
    REFUSALS.enum_types_by_name["Reason"]: {reason.name for reason in Reason},
}


def reached(roots: list[Descriptor]) -> list[Descriptor]:
    """Messages of the contract that others hold, and these themselves."""
    found: dict[str, Descriptor] = {}
    left = list(roots)
    while left:
        message = left.pop()
        is_ours = message.full_name.startswith("ledger.") and not message.GetOptions().map_entry
        if is_ours and message.full_name not in found:
            found[message.full_name] = message
            left += [field.message_type for field in message.fields if field.message_type]
    return list(found.values())


ANSWERS: Final = reached([rpc.output_type for rpc in RPCS])
RECORDED: Final = reached([*(rpc.input_type for rpc in RPCS), *events_pb2.DESCRIPTOR.message_types_by_name.values()])
BESIDE: Final = [field for message in ANSWERS for field in message.fields if field.name.endswith("_enum")]


def comment_of(field: FieldDescriptor) -> str:
    text = (PROTO / field.file.name).read_text()
    message = text[text.index(f"message {field.containing_type.name} {{") :]
    (comment,) = re.findall(
        rf"((?:  //.*\n)+)  \w[\w. ]* {field.name} = {field.number}\b", message[: message.index("\n}")]
    )
    return re.sub(r"\s*//\s*", " ", comment)


@pytest.mark.parametrize("enum", WORDS, ids=lambda enum: str(enum.name))
def test_every_word_that_the_code_can_say_has_a_value_and_every_value_its_word(enum: EnumDescriptor) -> None:
    assert set(values_by_word(enum)) == WORDS[enum]


def test_every_enum_beside_a_text_is_walked_and_the_text_names_it() -> None:
    assert {field.enum_type for field in BESIDE} == set(WORDS)
    for field in BESIDE:
        text = field.containing_type.fields_by_name[field.name.removesuffix("_enum")]
        assert text.type == FieldDescriptor.TYPE_STRING
        assert f"{field.name} says the same" in comment_of(text), text.full_name


def test_every_text_of_an_answer_whose_comment_lists_words_has_an_enum_beside_it() -> None:
    without = [
        field.full_name
        for message in ANSWERS
        for field in message.fields
        if field.type == FieldDescriptor.TYPE_STRING and field.name not in OPEN
        if len(re.findall(r"\b[A-Z][A-Z_]{3,}\b", (comment := comment_of(field)))) > 1 and "or example" not in comment
        if f"{field.name}_enum" not in message.fields_by_name
    ]
    assert without == []


def test_requests_and_events_have_none_so_their_bytes_are_as_they_were() -> None:
    assert [field.full_name for message in RECORDED for field in message.fields if field.name.endswith("_enum")] == []


def test_a_word_is_set_with_its_value_and_one_of_a_later_release_is_unspecified() -> None:
    line = query_service_pb2.FeeLine()
    set_words(line, fee_type="REBATE", kind="ADJUSTMENT")
    assert (line.fee_type, line.fee_type_enum) == ("REBATE", query_service_pb2.FEE_TYPE_REBATE)
    assert (line.kind, line.kind_enum) == ("ADJUSTMENT", query_service_pb2.FEE_LINE_KIND_ADJUSTMENT)
    set_words(line, fee_type="", kind="LATER")
    assert (line.fee_type_enum, line.kind, line.kind_enum) == (0, "LATER", 0)
