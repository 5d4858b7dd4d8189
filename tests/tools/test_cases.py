"""Worked cases against the real rules: the format to the letter, and the same functions as the service."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.pricing import plan
from ledger.tools.cases.cases import check_case
from ledger.v1 import query_service_pb2 as pb
from tests.conftest import Ledger
from tests.samples import symbol
from tests.tools import running

ROOT = Path(__file__).parents[2]
CASES = sorted((ROOT / "tests" / "cases").glob("*.json"))
GOOD: dict[str, Any] = {
    "id": "G1",
    "rule": "R3",
    "note": "",
    "given": {"volume_usdt": "500000", "config": {}, "events": []},
    "when": {"op": "tier_for_volume"},
    "expect": {"tier": "VIP2"},
}
FEE: dict[str, Any] = {
    "id": "G2",
    "given": {"tier": "VIP1", "pair_class": "A", "liquidity": "TAKER", "price": "1", "qty": "1", "quote": "USDT"},
    "when": {"op": "compute_fee"},
    "expect": {"fee": "0.0005"},
}
LEAVES: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("op", lambda case: case["when"].update(op="no_such_op")),
    ("key of a case", lambda case: case.update(giben={})),
    ("key of given", lambda case: case["given"].update(volume="1")),
    ("key of when", lambda case: case["when"].update(at="2026-01-01T00:00:00Z")),
    ("key of the answer", lambda case: case["expect"].update(teir="VIP2")),
    ("key of config", lambda case: case["given"]["config"].update(above="keep")),
    ("value of config", lambda case: case["given"]["config"].update(above_top="kept")),
    ("flag as text", lambda case: case["given"]["config"].update(never_worse_than_base="true")),
    ("flag as number", lambda case: case["given"]["config"].update(aggregate_subaccounts=1)),
    ("seconds as text", lambda case: case["given"]["config"].update(effective_delay_s="0")),
    ("seconds below 0", lambda case: case["given"]["config"].update(effective_delay_s=-1)),
    ("zone", lambda case: case["given"]["config"].update(timezone="Mars/Olympus")),
    ("holiday", lambda case: case["given"]["config"].update(holidays=["2026-02-30"])),
    ("start", lambda case: case["given"]["config"].update(program_start="2026-01-01")),
    ("event", lambda case: case["given"].update(events=[{"type": "TrialEnded", "at": "2026-01-01T00:00:00Z"}])),
    ("key of an event", lambda case: case["given"].update(events=[{"type": "TrialStarted", "when": 1}])),
    ("exponent", lambda case: case["given"].update(volume_usdt="5e5")),
    ("number", lambda case: case["given"].update(volume_usdt=500000)),
    ("trailing zeros", lambda case: case["given"].update(volume_usdt="500000.0")),
    ("leading zeros", lambda case: case["given"].update(volume_usdt="0500000")),
    ("negative zero", lambda case: case["given"].update(volume_usdt="-0")),
    ("missing key", lambda case: case["given"].pop("volume_usdt")),
    ("missing id", lambda case: case.pop("id")),
]


def check(folder: Path, *files: Any) -> tuple[int, list[str], list[str]]:
    """Exit code, and the lines of output and error."""
    paths = []
    for number, content in enumerate(files):
        paths.append(folder / f"{number}.json")
        paths[-1].write_text(content if isinstance(content, str) else json.dumps(content))
    return run(*paths)


def run(*paths: Path) -> tuple[int, list[str], list[str]]:
    done = running.run("cases", *paths)
    return done.code, done.out.splitlines(), done.err.splitlines()


def changed(case: dict[str, Any], change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    case = deepcopy(case)
    change(case)
    return case


def test_every_worked_case_passes() -> None:
    total = sum(len(json.loads(path.read_text())) for path in CASES)
    assert total >= 131 + 60
    assert run(*CASES) == (0, [f"{total} passed, 0 failed"], [])


def test_a_failure_is_printed_as_a_diff_and_counted(tmp_path: Path) -> None:
    wrong = changed(GOOD, lambda case: case.update(id="W1", expect={"tier": "VIP1", "error": "NEGATIVE_VOLUME"}))
    code, out, err = check(tmp_path, [GOOD, wrong])
    assert (code, err) == (1, [])
    assert out == [
        f"{tmp_path / '0.json'}: W1 (tier_for_volume)",
        '  - tier: "VIP1"',
        '  + tier: "VIP2"',
        '  - error: "NEGATIVE_VOLUME"',
        "  + error: nothing",
        "1 passed, 1 failed",
    ]


@pytest.mark.parametrize(("wanted", "code"), [(True, 0), (1, 1), ("true", 1)])
def test_a_value_of_another_json_type_is_another_value(tmp_path: Path, wanted: Any, code: int) -> None:
    given = {"tier": "VIP1"}
    case = {"id": "B", "given": given, "when": {"op": "bounty_eligibility"}, "expect": {"eligible": wanted}}
    assert check(tmp_path, [case])[0] == code


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in LEAVES])
def test_what_the_format_does_not_have_makes_the_file_unreadable(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    code, out, err = check(tmp_path, [GOOD], [GOOD, changed(GOOD, change)])
    assert (code, out, len(err)) == (2, [], 1)
    assert err[0].startswith(f"fee-ledger: {tmp_path / '1.json'}: ")


@pytest.mark.parametrize(
    "change",
    [
        {"tier": "NONE"},
        {"pair_class": "D"},
        {"flagged": "FAKE"},
        {"channel": "WEB", "config": {"rate_scope": "api_only"}},
        {"config": {"fee_currency": "RECEIVED"}},
        {"config": {"fee_currency": "RECEIVED"}, "side": "BUY"},
        {"pay_with_bmx": True, "bmx_price_usdt": "0"},
        {"liquidity": "BOTH"},
    ],
)
def test_a_fee_needs_what_it_rests_on(tmp_path: Path, change: dict[str, Any]) -> None:
    assert check(tmp_path, [FEE])[0] == 0
    assert check(tmp_path, [changed(FEE, lambda case: case["given"].update(change))])[0] == 2


@pytest.mark.parametrize("content", ["", "{}", "[1]", "[{", '[{"id": "A", "id": "B"}]', "[NaN]", "[" * 100_000])
def test_a_file_that_is_no_list_of_cases_is_unreadable(tmp_path: Path, content: str) -> None:
    code, out, err = check(tmp_path, content)
    assert (code, out, len(err)) == (2, [], 1)


def test_a_file_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    code, out, err = run(tmp_path / "nowhere.json")
    assert (code, out) == (2, [])
    assert err == [f"fee-ledger: {tmp_path / 'nowhere.json'}: No such file or directory"]


def test_a_rule_that_is_broken_fails_its_cases_and_the_service_alike(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = plan.fee_rate
    ledger.commands.RegisterSymbol(symbol())
    quote = pb.QuoteFeeRequest(
        account_id="alice", symbol="XRP_USDT", side=1, liquidity=2, last_px="0.5", last_qty="10", channel=1
    )

    def agree() -> tuple[bool, str]:
        base = changed(FEE, lambda case: case["given"].update(tier="NONE", base_rate={"maker": "0", "taker": "0.0025"}))
        base["expect"] = {"fee": "0.0025"}
        return not check_case(base, "").differences, ledger.queries.QuoteFee(quote).fee_amount

    assert agree() == (True, "0.0125")
    monkeypatch.setattr(plan, "fee_rate", lambda *one, **more: (right(*one, **more)[0] + 1, "TIER"))
    ledger.commands.RegisterSymbol(symbol("XRP_BTC"))  # what was worked out for the old rulebook is forgotten
    assert agree() == (False, "0.012505")
