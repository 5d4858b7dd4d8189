"""The lists of a back office on a tiny ledger: that they are asked for and told; never how fast they are."""

from __future__ import annotations

import pytest

from scripts.bench.lists import main


def test_every_list_that_is_wanted_is_asked_for_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = "accounts that are banned,solo actions,withheld,findings near"
    assert main(["--accounts", "6000", "--calls", "2", "--only", wanted]) == 0
    told = capsys.readouterr().out.splitlines()
    entries = {line[:52].strip(): line.rpartition("calls, ")[2].strip() for line in told if " entries" in line}
    assert int(entries.pop("findings near-a-tier").split()[0].replace(",", "")) > 0
    assert entries == {
        "accounts that are banned": "2 entries",
        "accounts that are banned, a day ago": "2 entries",
        "solo actions": "1,000 entries",
        "solo actions of 100": "100 entries",
        "solo actions of nobody": "0 entries",
        "withheld": "2 entries",
    }


@pytest.mark.parametrize("value", ["0", "-1", "many", "100000000"])
def test_a_number_that_is_none_is_told_in_one_line(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--accounts", value])
    said = capsys.readouterr().err
    assert (ended.value.code, said.count("\n")) == (2, 1)
    assert "whole number from 1 to 99,999,999" in said
