"""A client in Node that knows only the .proto files."""

from __future__ import annotations

import re

import pytest

from tests.conftest import Ledger
from tests.examples import Example, assert_printed
from tests.samples import history, state


@pytest.fixture
def example(node_client: Example) -> Example:
    return node_client


def test_the_first_run_prints_what_its_readme_shows_and_a_second_records_nothing(
    example: Example, ledger: Ledger
) -> None:
    first = example.run(ledger.address)
    assert (first.code, first.err) == (0, "")
    assert_printed(first.out, example.transcript())

    lines = history(ledger, "node-nora")
    assert [line.fee_amount for line in lines] == ["-0.03501", "0.26270253", "-0.01844", "4.61", "2.30671125"]
    assert [line.sequence for line in lines] == [1, 2, 3, 4, 5]
    assert [grant.source for grant in state(ledger, "node-nora").grants] == ["TRIAL"]

    head = ledger.log.head()
    second = example.run(ledger.address)
    assert (second.code, second.err) == (0, "")
    assert re.findall(r"(\d+) recorded, (\d+) replayed", second.out) == [("0", "5")] * 2
    assert "new, position" not in second.out
    assert ledger.log.head() == head, "a second run left something in the log"


def test_without_a_ledger_it_says_so_in_one_line(example: Example) -> None:
    ran = example.run("127.0.0.1:1")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("client.mjs: no ledger answers at 127.0.0.1:1:")
    assert ran.err.count("\n") == 1
