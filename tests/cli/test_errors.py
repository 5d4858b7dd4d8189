"""Every way the command line says no."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from ledger.cli import subcommands
from ledger.cli.errors import UnusableError, told
from ledger.client import LedgerError, Unavailable
from ledger.domain.refusal import Reason
from ledger.program import main
from tests.cli.running import Run


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


def test_the_environment_says_where_the_ledger_is_and_the_flag_wins(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subcommands, "CONNECT_S_MAX", 0)
    monkeypatch.setenv("FEE_LEDGER_ADDRESS", "127.0.0.1:2")
    assert main(["info"]) == 2
    assert capsys.readouterr().err.startswith("fee-ledger: no ledger answers at 127.0.0.1:2 (")
    assert main(["info", "--address", "127.0.0.1:1"]) == 2
    assert capsys.readouterr().err.startswith("fee-ledger: no ledger answers at 127.0.0.1:1 (")


def test_a_malformed_address_in_the_environment_is_said_of_the_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEE_LEDGER_ADDRESS", "here")
    with pytest.raises(SystemExit) as caught:
        main(["info"])
    assert caught.value.code == 2
    told = "argument --address: FEE_LEDGER_ADDRESS='here' is not HOST:PORT, for example 127.0.0.1:50051"
    assert capsys.readouterr().err == f"fee-ledger info: {told} (see fee-ledger info --help)\n"


@pytest.mark.parametrize("subcommand", ["release-fact", "decline-fact"])
def test_a_fact_of_an_account_without_a_name_is_not_taken_for_one_of_all_accounts(
    capsys: pytest.CaptureFixture[str], subcommand: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([subcommand, "", "4711", "--actor", "ops-7", "--approver", "ops-8"])
    assert caught.value.code == 2
    assert "argument ACCOUNT: it is empty: use release-shared-fact" in capsys.readouterr().err


def test_a_command_that_does_not_exist_is_told_with_the_ones_it_looks_like(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["stat"])
    told = "argument COMMAND: invalid choice: 'stat': did you mean state?"
    assert capsys.readouterr().err == f"fee-ledger: {told} (see fee-ledger --help)\n"


def test_no_ledger_at_the_address_is_exit_code_2_with_the_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subcommands, "CONNECT_S_MAX", 0)
    assert main(["info", "--address", "127.0.0.1:1"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("fee-ledger: no ledger answers at 127.0.0.1:1 (")
    assert "start one with `fee-ledger serve`, or give its --address" in err
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


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (ValueError("not\nthat"), "not that"),
        (OSError(28, "No space left on device", "out.csv"), "out.csv cannot be used: No space left on device"),
        (UnusableError("fills.jsonl, line 2 is empty"), "fills.jsonl, line 2 is empty"),
        (IndexError("7"), "a defect of this command (IndexError('7')): please report it"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_fails_it_is_a_line_and_not_a_traceback(
    capsys: pytest.CaptureFixture[str], fault: Exception, says: str
) -> None:
    def fail() -> int:
        raise fault

    assert told(fail) == 2
    assert capsys.readouterr().err == f"fee-ledger: {says}\n"


@pytest.mark.parametrize("refused", [1, 2])
def test_a_command_says_which_exit_code_a_refusal_is(capsys: pytest.CaptureFixture[str], refused: int) -> None:
    def refuse() -> int:
        raise LedgerError(grpc.StatusCode.NOT_FOUND, "no control x", reason=Reason.CONTROL_UNKNOWN)

    assert told(refuse, refused=refused) == refused
    assert capsys.readouterr().err == "no control x\n"


def test_a_command_that_goes_on_says_so_where_it_is_interrupted_or_not_answered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt() -> int:
        raise KeyboardInterrupt

    def wait() -> int:
        raise Unavailable(grpc.StatusCode.DEADLINE_EXCEEDED, "too late", request_id="r1")

    assert told(interrupt, interrupted="the same command goes on") == 130
    assert told(wait, "127.0.0.1:1", 30, interrupted="the same command goes on") == 2
    interrupted, unanswered = capsys.readouterr().err.splitlines()
    assert interrupted == "fee-ledger: interrupted: the same command goes on"
    assert unanswered.endswith(" did not answer within 30 s: give a longer --timeout; the same command goes on")


def test_what_a_file_brings_into_a_line_is_shown_and_not_done(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise UnusableError("fills.csv:2: side \x1b[2J\u202e\x85 is neither ü nor \ud800")

    assert told(work) == 2
    shown = r"side \x1b[2J\u202e is neither ü nor \ud800"
    assert capsys.readouterr().err == f"fee-ledger: fills.csv:2: {shown}\n"
