"""The command line against a real server: every subcommand for people and as JSON, and every way it says no."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from ledger.__main__ import main
from ledger.cli import commands
from ledger.cli.documents import line
from ledger.client import Client
from ledger.domain.instants import DAY_NS
from ledger.programmes import packaged
from ledger.v1.query_service_pb2 import StoredEvent
from tests.conftest import NOON_NS, Ledger
from tests.samples import batch, fill, symbol
from tests.server.calls import await_tables

ROOT = Path(__file__).parent.parent
COMMANDS = [
    "serve", "info", "state", "rates", "fees", "quote", "fill", "closes", "accounts", "events",
    "programmes", "programme", "pairs", "findings", "solo-actions", "register-account",
    "register-symbol", "register-currency", "start-trial", "change-tier", "revoke-tier", "ban", "lift-ban",
    "publish", "assign-class", "set-pair-rates", "record-close",
    "flag", "unflag", "request-match", "approve-match", "reject-match",
]  # fmt: skip
FOUR_EYES = ("--actor", "ops-1", "--approver", "ops-2", "--reason", "agreed")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line on the ledger: (exit code, printed, told on stderr), with the ledger's name as LEDGER."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main([*arguments, "--address", ledger.address])
        out, err = capsys.readouterr()
        return code, out.replace(ledger.ledger_id, "LEDGER"), err

    return run


@pytest.fixture
def traded(ledger: Ledger) -> None:
    """Alice's trial ends at noon; she trades a nanosecond before it, and at it."""
    ledger.commands.RegisterSymbol(symbol())
    with Client(ledger.address, actor="ops-7") as client:
        client.start_trial("alice", start_time=NOON_NS - 30 * DAY_NS)
    ledger.fills.RecordFills(
        batch(fill(exec_id="E1", last_px="0.625", transact_time={"seconds": NOON_NS // 10**9 - 1}))
    )
    ledger.fills.RecordFills(batch(fill(exec_id="E2", last_qty="1000")))


def table(text: str) -> str:
    """A screen as the tests write it: without the margin."""
    lines = text.strip("\n").splitlines()
    return "\n".join(line.removeprefix("    ") for line in lines).rstrip() + "\n"


# --- asking -----------------------------------------------------------------------------------------------------------


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
    alice: VIP3 (TRIAL g1), in LEDGER
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
    assert out == table("""
    ledger LEDGER at position 3 (2024-10-04 12:00:00 UTC)
      writer  term 1, version 0.1.0
      tables  at position 3, up to date

    programme        version  venues   tiers                     pair classes
    bitmart-api-vip  3.0      bitmart  VIP1 VIP2 VIP3 VIP4 VIP5  A B C
    """)
    assert json.loads(run("info", "--json")[1])["position"] == "3"


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("register-account alice-2 --owner alice --registered 2024-10-04", "alice-2: registered, owner alice"),
        ("register-symbol XRP_ETH --price-scale 7 --quantity-scale 2 --pair-class C", "XRP_ETH: registered"),
        ("register-currency USDT 6", "USDT: registered"),
        ("start-trial alice --start 2024-10-01",
         "alice: VIP3 (TRIAL g1) from 2024-10-01 00:00:00 until 2024-10-31 00:00:00 UTC"),
        ("change-tier alice VIP4 --from 2024-10-01 --approver ops-8 --reason agreed",
         "alice: VIP4 (MANUAL g1) from 2024-10-01 00:00:00, without an end"),
        ("ban alice 3 ORDER_SPAM --start 2024-10-04",
         "alice: banned from 2024-10-04 00:00:00 until 2024-10-07 00:00:00 UTC (ORDER_SPAM)"),
    ],
    ids=lambda value: value.split()[0],
)  # fmt: skip
def test_a_command_says_what_it_did_and_where_that_is_recorded(run: Run, arguments: str, says: str) -> None:
    code, out, err = run(*arguments.split(), "--actor", "ops-7", "--request-id", "r1")
    assert (code, err) == (0, "")
    where = "at position 4 of LEDGER, 2024-10-04 12:00:00.000000001 UTC"
    assert out.splitlines() == [says, f"recorded {where}", "request id r1"]
    code, out, _ = run(*arguments.split(), "--actor", "ops-7", "--request-id", "r1")
    assert (code, out.splitlines()[1]) == (0, f"recorded before {where}")
    receipt = json.loads(run(*arguments.split(), "--actor", "ops-7", "--request-id", "r1", "--json")[1])["receipt"]
    assert (receipt["position"], receipt["replayed"]) == ("4", True)


def test_grants_and_bans_are_ended_early(run: Run) -> None:
    run("change-tier", "alice", "VIP4", "--from", "2024-10-01", "--until", "2024-11-01", *FOUR_EYES)
    run("ban", "alice", "3", "ORDER_SPAM", "--start", "2024-10-04")
    _, out, _ = run("revoke-tier", "alice", "g1", "--at", "2024-10-05")
    assert out.splitlines()[0] == "alice: revoked from 2024-10-05 00:00:00 UTC on"
    _, out, _ = run("lift-ban", "alice", "--at", "2024-10-04T11:00", *FOUR_EYES)
    assert out.splitlines()[0] == "alice: not banned from 2024-10-04 11:00:00 UTC on"
    _, out, _ = run("state", "alice", "--as-of", "2024-10-04T10:00")
    assert out.startswith("alice: VIP4 (MANUAL g1), banned until ")


def test_a_programme_is_published_by_two_persons_and_read_back(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "next.toml"
    path.write_text(packaged().replace('version = "3.0"', 'version = "3.1"'))
    code, out, err = run("publish", str(path), "--from", "2024-11-01", *FOUR_EYES)
    assert (code, err) == (0, "")
    assert out.startswith(f"{path}: bitmart-api-vip 3.1 in force from 2024-11-01 00:00:00 UTC on\n")
    _, out, _ = run("programmes")
    assert [line.split()[1] for line in out.splitlines()[4:]] == ["3.0", "3.1"]
    assert run("programme", "--as-of", "2024-11-01") == (0, path.read_text(), "")
    assert run("programme", "--version", "3.0") == (0, packaged(), "")
    assert run("publish", str(path), "--actor", "ops-1")[0] == 1
    assert run("publish", str(tmp_path / "missing.toml"), *FOUR_EYES)[0] == 2


def test_a_pair_has_a_class_and_rates_of_its_own(ledger: Ledger, run: Run) -> None:
    ledger.commands.RegisterSymbol(symbol())
    _, out, _ = run("assign-class", "XRP_USDT", "B", "--from", "2024-11-01")
    assert out.startswith("XRP_USDT: from 2024-11-01 00:00:00 UTC on\n")
    assert run("set-pair-rates", "XRP_USDT", "--taker", "0.0002", "--from", "2024-12-01")[0] == 0
    shown = [run("pairs", "--as-of", day)[1].splitlines()[-1].split() for day in ("2024-10-31", "2024-12-01")]
    assert shown == [["XRP_USDT", "A", "-", "-"], ["XRP_USDT", "B", "-", "0.02"]]
    code, _, err = run("set-pair-rates", "XRP_USDT", "--maker", "-0.5", "--from", "2024-12-02")
    assert (code, err.split(":")[0]) == (1, "NEGATIVE_NET_PAIR")


def test_findings_and_what_was_done_alone_are_listed(ledger: Ledger, run: Run) -> None:
    run("start-trial", "alice", "--start", "2024-10-01", "--actor", "ops-1")
    await_tables(ledger)
    _, out, _ = run("findings", "benefits-ending", "--as-of", "2024-10-29", "--within-days", "7")
    assert out.splitlines()[-1].split() == (
        [
            "benefits-ending",
            "VIP3",
            "of",
            "alice",
            "(TRIAL)",
            "ends",
            "2024-10-31T00:00:00Z",
            "with",
            "nothing",
            "after",
            "it",
        ]
    )
    _, out, _ = run("solo-actions", "--of", "ops-1")
    assert out.splitlines()[-1].split()[-4:] == ["ops-1", "TrialStarted", "account/alice", "-"]
    assert run("solo-actions", "--of", "ops-2")[1].splitlines()[-1] == "none"
    assert run("findings", "no-such")[2].startswith("CONTROL_UNKNOWN: ")


def test_a_symbol_without_an_underscore_takes_its_currencies_by_option(ledger: Ledger, run: Run) -> None:
    scales = ("--price-scale", "2", "--quantity-scale", "2")
    code, _, err = run("register-symbol", "XRPUSDT", *scales)
    assert code == 1
    assert err.startswith("FIELD_REQUIRED: ")
    assert run("register-symbol", "XRPUSDT", "--base", "XRP", "--quote", "USDT", *scales)[0] == 0


# --- saying no --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("ban alice 8 ORDER_SPAM", "BAN_DAYS_OUT_OF_RANGE: 8 is not 1 to 7 whole days (days)\n"),
        ("lift-ban alice", "NOT_BANNED: no ban of alice runs at this instant (lift_time)\n"),
        ("state alice --known-at 99", "POSITION_AHEAD: the ledger is at position 3 (at.known_at_position)\n"),
        ("fill alice 2024-10-04 E9", "FILL_UNKNOWN: no fill E9 of alice on 2024-10-04 at bitmart (fill_ref)\n"),
    ],
)
def test_a_refusal_is_one_line_and_exit_code_1(run: Run, arguments: str, told: str) -> None:
    assert run(*arguments.split()) == (1, "", told)


def test_everything_that_is_wrong_with_a_request_is_told(run: Run) -> None:
    code, _, err = run("state", "a b", "--as-of", "1900-01-01")
    assert code == 1
    assert [line.partition(":")[0] for line in err.splitlines()] == ["ID_MALFORMED", "TIME_OUT_OF_RANGE"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("frobnicate", "invalid choice: 'frobnicate'"),
        ("", "the following arguments are required: COMMAND"),
        ("state", "the following arguments are required: ACCOUNT"),
        ("state alice --as-of 2024-13-01", "'2024-13-01' is no time: give 2024-10-01, or 2024-10-01T08:30:00.000001Z"),
        ("state alice --as-of yesterday", "'yesterday' is no time"),
        ("state alice --known-at 18446744073709551616", "is not a whole number from 0 to 18446744073709551615"),
        ("state alice --address here", "'here' is not HOST:PORT, for example 127.0.0.1:50051"),
        ("ban alice many ORDER_SPAM", "'many' is not a whole number"),
        ("quote alice XRP_USDT hold maker --price 1 --quantity 1", "invalid choice: 'hold'"),
        ("fees alice --limit 0", "'0' is not a whole number from 1 to"),
    ],
)
def test_unusable_arguments_are_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: str, told: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments.split())
    out, err = capsys.readouterr()
    assert (caught.value.code, out, err.count("\n")) == (2, "", 1)
    assert told in err
    assert err.endswith("--help)\n")


def test_no_ledger_at_the_address_is_exit_code_2_with_the_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_CONNECT_S_MAX", 0)
    assert main(["info", "--address", "127.0.0.1:1"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("fee-ledger: no ledger answers at 127.0.0.1:1 (")
    assert "start one with `make run`, or give its --address" in err
    assert main(["start-trial", "alice", "--request-id", "r1", "--address", "127.0.0.1:1"]) == 2
    assert capsys.readouterr().err.endswith("send it again with --request-id r1\n")


def test_something_that_is_no_ledger_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        assert main(["info", "--address", f"127.0.0.1:{port}"]) == 2
    finally:
        server.stop(None).wait()
    err = capsys.readouterr().err
    assert err.startswith(f"fee-ledger: the ledger at 127.0.0.1:{port} cannot do this (UNIMPLEMENTED: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("fault", [ValueError("not\nthat"), OSError(28, "No space left on device"), IndexError("7")])
def test_whatever_fails_it_is_a_line_and_not_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def fail(*_: Any) -> None:
        raise fault

    monkeypatch.setitem(commands._COMMANDS, "info", fail)
    assert main(["info"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("fee-ledger: ")
    assert err.count("\n") == 1


# --- in a shell -------------------------------------------------------------------------------------------------------


def shell(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ledger", *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


@pytest.mark.usefixtures("traded")
def test_a_reader_that_goes_away_is_no_error(ledger: Ledger) -> None:
    with shell("events", "--json", "--address", ledger.address) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_ctrl_c_is_exit_code_130_without_a_traceback() -> None:
    with shell("info", "--address", "127.0.0.1:1", "--timeout", "30", env={"PYTHONPATH": str(ROOT)}) as process:
        wait_until_it_calls(process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "fee-ledger: interrupted\n")


def wait_until_it_calls(process: subprocess.Popen[str]) -> None:
    """gRPC's threads are there once the first call is made."""
    while len(list(Path(f"/proc/{process.pid}/task").iterdir())) < 4:
        assert process.poll() is None
        time.sleep(0.01)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_teaches_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    out = capsys.readouterr().out
    assert caught.value.code == 0
    assert re.search(rf"^examples?:\n  fee-ledger {command}\b", out, re.MULTILINE), out
    assert all(len(line) <= 120 for line in out.splitlines())


def test_the_help_lists_every_command_and_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert re.findall(r"^    ([a-z-]+)  ", out, re.MULTILINE) == COMMANDS
    assert "exit code 0: done; 1: the ledger refused, and says why; 2: unusable arguments" in out


# --- members ----------------------------------------------------------------------------------------------------------


def test_a_flag_takes_the_tier_away_until_it_is_lifted_and_state_shows_it(run: Run) -> None:
    run(
        "change-tier",
        "alice",
        "VIP4",
        "--from",
        "2024-10-01",
        "--actor",
        "ops-7",
        "--approver",
        "ops-8",
        "--reason",
        "agreed",
    )
    code, out, err = run("flag", "alice", "robot", "--at", "2024-10-02", "--evidence", "0" * 64)
    assert (code, err) == (0, "")
    assert out.startswith("alice: flagged ROBOT (f1) from 2024-10-02 00:00:00 UTC on\nrecorded at position")
    _, out, _ = run("state", "alice")
    assert out.startswith("alice: NONE, flagged, in LEDGER")
    assert re.search(r"^f1 +ROBOT +2024-10-02 00:00:00 +-$", out, re.MULTILINE)
    code, out, _ = run("unflag", "alice", "--at", "2024-10-03", "--actor", "ops-7", "--approver", "ops-8")
    assert (code, out.splitlines()[0]) == (0, "alice: not flagged from 2024-10-03 00:00:00 UTC on")
    assert run("state", "alice")[1].startswith("alice: VIP4 (MANUAL g1), in LEDGER")
    assert run("unflag", "alice", "--actor", "ops-7", "--approver", "ops-8")[0] == 1


def test_a_match_is_requested_by_one_person_and_approved_by_another(run: Run) -> None:
    claim = (
        "--venue",
        "okx",
        "--level",
        "VIP2",
        "--from",
        "2024-09-01",
        "--until",
        "2024-10-01",
        "--evidence",
        "0" * 64,
    )
    code, out, _ = run("request-match", "carol", *claim, "--spot", "500000", "--actor", "ops-7")
    assert (code, out.splitlines()[0]) == (0, "carol: match m1 is worth VIP2 and waits for approval")
    code, _, err = run("approve-match", "carol", "m1", "--actor", "ops-7", "--approver", "ops-9")
    assert (code, err.partition(":")[0]) == (1, "APPROVER_IS_ACTOR")
    code, out, _ = run("approve-match", "carol", "m1", "--actor", "ops-8", "--approver", "ops-9")
    assert (code, out.splitlines()[0].startswith("carol: VIP2 (MATCH g1) from 2024-10-04")) == (0, True)
    _, out, _ = run("request-match", "dave", *claim, "--futures", "100000", "--actor", "ops-7")
    assert out.splitlines()[0] == "dave: match m1 is rejected, EXTERNAL_VOLUME_TOO_LOW"
    run("request-match", "erin", *claim, "--futures", "100000.01", "--actor", "ops-7")
    _, out, _ = run("reject-match", "erin", "m1", "EVIDENCE_FALSE")
    assert out.startswith("erin: match rejected at 2024-10-04")


def test_what_is_no_sha256_is_refused_before_anything_is_sent(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["flag", "alice", "fake", "--evidence", "abc"])
    assert caught.value.code == 2
    assert "'abc' is no SHA-256: give 64 hex digits" in capsys.readouterr().err


def test_a_close_is_recorded_and_listed(run: Run) -> None:
    evidence = ("--source", "binance-1d", "--evidence", "0" * 64)
    code, out, err = run("record-close", "BTC", "2024-10-03", "60000.50", *evidence)
    assert (code, err, out.splitlines()[0]) == (0, "", "BTC: closed at 60000.5 USDT on 2024-10-03")
    _, out, _ = run("closes", "BTC", "--from", "2024-10-03")
    assert re.search(r"^BTC +2024-10-03 +60000.5 +USDT +binance-1d +\d+ +-$", out, re.MULTILINE)
    assert run("record-close", "BTC", "2024-10-03", "1", *evidence)[0] == 1
