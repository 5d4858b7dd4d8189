"""docs/glossary.md has 35 words, each once and in order, with a sentence and a file that uses it."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import pytest

from tests.docs.pages import ROOT, code, rows


class Word(NamedTuple):
    """A row of the table."""

    word: str
    says: str
    file: str
    instead_of: list[str]


WORDS: Final = [
    Word(cells[0], cells[1], code(cells[2])[0], cells[3].split(", "))
    for cells in rows("docs/glossary.md", "(?!word$)[a-z][a-z -]+")
]


def test_there_are_thirty_five_words_in_order() -> None:
    assert len(WORDS) == 35
    assert [each.word for each in WORDS] == sorted({each.word for each in WORDS})


@pytest.mark.parametrize("each", WORDS, ids=lambda each: each.word)
def test_a_word_is_used_where_it_lives(each: Word) -> None:
    """By any part of it that names something there: `known_at`, `KnownPrefix`, `AccountDay`, "commit"."""
    text = re.sub("[_-]", " ", (ROOT / each.file).read_text()).lower()
    assert any(word in text for word in (each.word.replace("-", " "), each.word.replace("-", ""), each.word.split()[0]))


@pytest.mark.parametrize("each", WORDS, ids=lambda each: each.word)
def test_a_word_has_a_sentence_and_is_not_among_those_not_to_use_for_it(each: Word) -> None:
    assert each.says[0].isupper()
    assert each.says.endswith((".", ".)"))
    assert each.word not in each.instead_of
    assert all(re.fullmatch("[a-z]+( [a-z]+)*", other) for other in each.instead_of)
