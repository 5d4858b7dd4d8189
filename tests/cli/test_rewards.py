"""Subcommands about rewards."""

from __future__ import annotations

import json

import pytest

from tests.cli.running import FOUR_EYES, Run, table


@pytest.fixture(autouse=True)
def _member(run: Run) -> None:
    assert run("change-tier", "alice", "VIP4", "--from", "2024-09-01", *FOUR_EYES)[0] == 0


def test_a_bug_is_reported_awarded_and_its_round_is_closed(run: Run) -> None:
    code, out, err = run("report-feedback", "alice", "bug", "discord", "--at", "2024-09-25")
    assert (code, err, out.splitlines()[0]) == (0, "", "alice: report r1 of week 2024-W39")
    _, out, _ = run("award-bounty", "2024-W39", "r1", "50.5", "USDT", *FOUR_EYES)
    assert out.splitlines()[0] == "2024-W39: bounty awarded to alice, which was VIP4 when it reported"
    assert run("award-bounty", "2024-W39", "r1", "50.5", "USDT", *FOUR_EYES)[0] == 1
    _, out, _ = run("bounty-rounds", "--open")
    assert out.partition("\n\n")[2] == table("""
    week      reports  awarded  closed (UTC)
    2024-W39        1        1  open
    """)
    _, out, _ = run("close-bounty-round", "2024-W39")
    assert out.splitlines()[0] == "2024-W39: round closed at 2024-10-04 12:00:00.000000005 UTC"
    assert run("bounty-rounds", "--open")[1].splitlines()[-1] == "none"
    assert json.loads(run("bounty-rounds", "--json")[1])["rounds"][0]["week"] == "2024-W39"


def test_a_promotion_is_announced_and_its_bonus_is_for_those_who_may_have_it(run: Run) -> None:
    autumn = ("announce-promotion", "autumn", "API_EXCLUSIVE", "--from", "2024-08-10", "--until", "2024-11-01")
    assert run(*autumn)[1].startswith("autumn: announced\n")
    assert run("announce-promotion", "buy", "NET_BUY", "--from", "2024-09-10", "--until", "2024-11-01")[0] == 0
    assert run("award-bonus", "autumn", "alice", "25", "USDT", *FOUR_EYES)[1].startswith("alice: bonus awarded\n")
    code, _, err = run("award-bonus", "buy", "alice", "25", "USDT", *FOUR_EYES)
    assert (code, err.partition(":")[0]) == (1, "PROMOTION_NOT_ELIGIBLE")
    _, out, _ = run("award-bonus", "buy", "alice", "25", "USDT", "--override", *FOUR_EYES)
    assert out.startswith("alice: bonus awarded, although it is not eligible: an approver let it in\n")
    _, out, _ = run("check-promotion", "alice", "NET_BUY")
    assert out.startswith("alice in NET_BUY: not eligible, PROMOTION_NOT_ELIGIBLE, in LEDGER\n")
    assert run("check-promotion", "alice", "API_EXCLUSIVE")[1].startswith("alice in API_EXCLUSIVE: eligible, in LEDGER")
    _, out, _ = run("months-without-promotion", "--as-of", "2024-12-01")
    assert out.splitlines()[2:] == ["", "2024-09", "2024-10", "2024-11"]
    assert run("months-without-promotion", "--as-of", "2024-08-15")[1].splitlines()[-1] == "none"
