"""Subcommands that ask, for people and as JSON."""

from __future__ import annotations

import json
from importlib.metadata import version

import pytest

from ledger.cli.documents import line
from ledger.client import Client
from ledger.domain.instants import DAY_NS
from ledger.v1.query_service_pb2 import StoredEvent
from tests.cli.running import Run, table
from tests.conftest import NOON_NS, Ledger


@pytest.mark.usefixtures("traded")
def test_fees_are_a_table_aligned_on_the_decimal_points_with_totals(run: Run) -> None:
    code, out, err = run("fees", "alice", "--as-of", "2024-10-04T12:00:00.5Z")
    assert (code, err) == (0, "")
    assert out == table("""
    alice: 2 fills, in LEDGER
    as of 2024-10-04 12:00:00.500 UTC, as known now (position 8)

    time (UTC)           exec_id  symbol    trade       qty  price       fee  in    rate %  tier
    2024-10-04 11:59:59  E1       XRP_USDT  buy taker    10  0.625  0.001875  USDT    0.03  VIP3
    2024-10-04 12:00:00  E2       XRP_USDT  buy taker  1000  0.5    1.25      USDT    0.25  NONE

    total   charges  rebates       net  fills
    USDT   1.251875        0  1.251875      2
    """)


@pytest.mark.usefixtures("traded")
def test_fees_of_a_span_and_the_first_of_them(run: Run) -> None:
    _, out, _ = run("fees", "alice", "--from", "2024-10-04T12:00", "--until", "2024-10-05")
    assert "alice: 1 fill, in LEDGER" in out
    assert "E1" not in out
    _, out, _ = run("fees", "alice", "--limit", "1")
    assert "alice: 2 fills (here the first 1), in LEDGER" in out
    assert "E2" not in out
    _, out, _ = run("fees", "nobody")
    assert out.splitlines()[0] == "nobody: 0 fills, in LEDGER"
    assert out.splitlines()[-1] == "none"


@pytest.mark.usefixtures("traded")
def test_fees_as_json_are_one_line_each_with_zero_values(run: Run) -> None:
    code, out, _ = run("fees", "alice", "--json")
    first, second = map(json.loads, out.splitlines())
    assert code == 0
    assert (first["fill_ref"]["exec_id"], first["fee_amount"], first["transact_time"]) == (
        "E1", "0.001875", "2024-10-04T11:59:59Z",
    )  # fmt: skip
    assert (second["banned"], second["sequence"], second["line_ref"]) == (False, "0", {"position": "8", "line": 0})


@pytest.mark.usefixtures("traded")
def test_state_says_as_of_when_and_known_at_which_position(run: Run) -> None:
    code, out, _ = run("state", "alice", "--as-of", "2024-10-04T11:59:59.999999999Z", "--known-at", "6")
    assert code == 0
    assert out == table("""
    alice: VIP3 (TRIAL g1) until 2024-10-04 12:00:00, in LEDGER
    as of 2024-10-04 11:59:59.999999999 UTC, known at position 6 (2024-10-04 12:00:00.000000002 UTC)
      owner      alice
      trial      used
      programme  bitmart-api-vip 3.0

    class  maker %  taker %
    A       -0.001     0.03
    B        0.02      0.06
    C        0.06      0.1
    none     0.25      0.25

    grant  tier  source  from                 until                revoked
    g1     VIP3  TRIAL   2024-09-04 12:00:00  2024-10-04 12:00:00  -
    """)


@pytest.mark.usefixtures("traded")
def test_state_as_json_is_one_document(run: Run) -> None:
    _, out, _ = run("state", "alice", "--as-of", "2024-10-04T12:00:00Z", "--known-at", "2024-10-05", "--json")
    found = json.loads(out)
    assert (found["tier"], found["banned"], found["bans"]) == ("NONE", False, [])
    assert found["basis"]["known_at_open"] is True
    assert found["grants"][0]["valid_until"] == "2024-10-04T12:00:00Z"


def test_a_state_of_nobody_before_everything_is_an_answer_too(run: Run) -> None:
    code, out, _ = run("state", "nobody", "--known-at", "0")
    assert code == 0
    assert "the ledger had never heard of this account" in out


@pytest.mark.usefixtures("traded")
def test_rates_tell_the_next_evaluation_and_the_volume(run: Run) -> None:
    code, out, _ = run("rates", "alice")
    assert code == 0
    assert out.startswith("alice: NONE, in LEDGER\n")
    assert "next evaluation     2024-10-08 00:00:00" in out
    assert "counts  506.25  USDT          2" in out
    assert json.loads(run("rates", "alice", "--json")[1])["projected_tier"] == "NONE"


@pytest.mark.usefixtures("traded")
def test_a_quote_says_what_the_fee_rests_on(run: Run) -> None:
    trade = ("quote", "alice", "XRP_USDT", "buy", "maker", "--quantity", "1000", "--price", "0.6")
    code, out, _ = run(*trade, "--as-of", "2024-10-01", "--known-at", "8")
    assert code == 0
    assert out == table("""
    alice, buy 1000 XRP_USDT at 0.6 as maker: fee -0.006 USDT (REBATE), in LEDGER
    as of 2024-10-01 00:00:00 UTC, known at position 8 (2024-10-04 12:00:00.000000004 UTC)
      notional    600
      rate        -0.001 % (TIER)
      tier        VIP3 (grant g1, TRIAL)
      pair class  A
      programme   bitmart-api-vip 3.0
    """)
    assert json.loads(run(*trade, "--channel", "web", "--json")[1])["fee_amount"] == "1.5"


@pytest.mark.usefixtures("traded")
def test_a_fill_is_found_by_its_name(run: Run) -> None:
    code, out, _ = run("fill", "alice", "2024-10-04", "E1", "--known-at", "8")
    assert code == 0
    assert out == table("""
    alice 2024-10-04 E1: fee 0.001875 USDT (CHARGE), in LEDGER
    known at position 8 (2024-10-04 12:00:00.000000004 UTC)
      time              2024-10-04 11:59:59 UTC
      recorded          2024-10-04 12:00:00.000000003 UTC
      place in the log  position 7, line 0
      venue             bitmart
      symbol            XRP_USDT
      trade             buy as taker
      quantity          10
      price             0.625
      notional          6.25 USDT
      rate              0.03 % (TIER)
      tier              VIP3 (grant g1, TRIAL)
      pair class        A
      programme         bitmart-api-vip 3.0
      product           spot
      channel           api

    why
      A32  The rates are those of bitmart-api-vip 3.0, in force on bitmart at 2024-10-04T11:59:59Z.
      R4   The tier was VIP3 by grant g1, a new member's trial, from 2024-09-04T12:00:00Z until
           2024-10-04T12:00:00Z.
      R1   VIP3 pays 0.03 % as the taker in pair class A.
      R20  The fill does not ask to pay in a token, so there is no discount.
      A26  The fee is 6.25 x 0.0003 = 0.001875 USDT, exactly.
      A31  The fee has not been adjusted since it was recorded.
    """)
    assert json.loads(run("fill", "alice", "2024-10-04", "E2", "--json")[1])["line"]["fee_amount"] == "1.25"


def test_accounts_are_chosen_by_tier_ban_and_owner(ledger: Ledger, run: Run) -> None:
    with Client(ledger.address) as client:
        client.change_tier(
            "alice", tier="VIP4", valid_from=NOON_NS - DAY_NS, valid_until=NOON_NS + DAY_NS,
            actor="ops-1", approver="ops-2", reason="agreed",
        )  # fmt: skip
        client.ban_account("bob", days=2, reason_code="ORDER_SPAM", start_time=NOON_NS)
        client.register_account("bob-2", owner_id="bob", parent_account_id="bob")
        wait = client.list_accounts()
        assert [one.account_id for one in wait] == ["alice", "bob", "bob-2"]
    code, out, _ = run("accounts", "--as-of", "2024-10-04T12:00:01")
    assert code == 0
    assert out.partition("\n\n")[2] == table("""
    account  owner  parent  tier  source  tier ends            banned until
    alice    alice  -       VIP4  MANUAL  2024-10-05 12:00:00  -
    bob      bob    -       NONE  -       -                    2024-10-06 12:00:00
    bob-2    bob    bob     NONE  -       -                    -
    """)
    assert out.startswith("accounts, in LEDGER\nas of 2024-10-04 12:00:01 UTC, position ")
    for conditions, expected in (
        (("--banned",), ["bob"]),
        (("--no-banned", "--owner", "bob"), ["bob-2"]),
        (("--tier", "VIP4", "--ending-before", "2024-10-08"), ["alice"]),
        (("--limit", "2"), ["alice", "bob"]),
    ):
        _, out, _ = run("accounts", "--json", *conditions, "--as-of", "2024-10-04T12:00:01")
        assert [json.loads(line)["account_id"] for line in out.splitlines()] == expected


@pytest.mark.usefixtures("traded")
def test_events_are_listed_by_stream_and_position(run: Run) -> None:
    code, out, _ = run("events", "--after", "4", "--known-at", "7")
    assert code == 0
    assert out == table("""
    the whole log, in LEDGER
    known at position 7 (2024-10-04 12:00:00.000000003 UTC)

    position  recorded (UTC)                 stream                     event              actor
           5  2024-10-04 12:00:00.000000001  programme/bitmart-api-vip  PairClassAssigned  -
           6  2024-10-04 12:00:00.000000002  account/alice              TrialStarted       ops-7
           7  2024-10-04 12:00:00.000000003  fees/alice/2024-10-04      VolumeRecorded     -
    """)
    assert "TrialStarted" not in run("events", "account/bob")[1]


@pytest.mark.usefixtures("traded")
def test_events_as_json_are_decoded_by_their_topic(run: Run) -> None:
    _, out, _ = run("events", "--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert [event["position"] for event in found] == [str(number) for number in range(1, 9)]
    trial, volume = found[5]["state"], found[6]["state"]
    assert (trial["tier"], trial["valid_until_ns"], trial["envelope"]["actor"]) == ("VIP3", str(NOON_NS), "ops-7")
    assert (volume["exec_ids"], volume["symbol_indexes"], volume["totals"][0]["banned"]) == (["E1"], [0], False)
    assert "trade_ids" not in volume


def test_an_event_this_release_does_not_know_stays_as_it_is_stored() -> None:
    assert json.loads(line(StoredEvent(topic="Unheard", state=b"\x01")))["state"] == "AQ=="
    assert json.loads(line(StoredEvent(topic="TrialStarted", state=b"\xff")))["state"] == "/w=="


def test_info_says_how_far_the_ledger_and_its_tables_are(ledger: Ledger, run: Run) -> None:
    with Client(ledger.address) as client:
        list(client.list_accounts(min_position=3))
    code, out, _ = run("info")
    assert code == 0
    assert out == table(f"""
    ledger LEDGER at position 3 (2024-10-04 12:00:00 UTC)
      writer  term 1, version {version("fee-ledger")}
      tables  at position 3, up to date

    programme        version  venues   tiers                     pair classes
    bitmart-api-vip  3.0      bitmart  VIP1 VIP2 VIP3 VIP4 VIP5  A B C
    """)
    assert json.loads(run("info", "--json")[1])["position"] == "3"
