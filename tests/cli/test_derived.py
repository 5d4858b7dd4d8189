"""Subcommands that follow from the contract: what they would be for every RPC, had nobody written one by hand."""

from __future__ import annotations

import shlex
from collections import defaultdict
from typing import Final

import pytest

from ledger.cli.derived import derive
from ledger.cli.program import program, run
from ledger.cli.subcommands import Group
from tests.conftest import Ledger

ALL: Final = Group("all")
derive(defaultdict(lambda: ALL))
BY_NAME: Final = {one.name: one for one in ALL.subcommands}
PARSER: Final = program([ALL])


def ran(line: str, ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a command line prints, which must be done."""
    assert run(PARSER.parse_args([*shlex.split(line), "--address", ledger.address])) == 0
    return capsys.readouterr().out.splitlines()


def test_there_is_one_for_each_rpc_whose_fields_a_command_line_can_say() -> None:
    assert {"ban-account", "change-tier", "get-vip-state", "close-bounty-round"} <= BY_NAME.keys()
    by_hand = {"set-pair-rates", "request-match", "list-events", "run-evaluation"}  # amounts, messages, pages, a stream
    assert by_hand.isdisjoint(BY_NAME)


@pytest.mark.parametrize("name", BY_NAME)
def test_its_example_is_understood(name: str) -> None:
    (example,) = BY_NAME[name].examples
    assert PARSER.parse_args(shlex.split(example)).command == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ban-account", "ban an account's API trading for 1 to 7 whole days"),
        ("reject-match", "say no to a match that waits for approval"),
        ("verify-api-identity", "record that the identity of the API user is verified"),
        ("get-entitlements", "what the tier in effect entitles to beside its rates"),
        ("get-vip-state", "VIP state and rates of one account at any instant, as known at any instant"),
    ],
)
def test_its_help_is_the_first_clause_of_the_comment(name: str, says: str) -> None:
    assert BY_NAME[name].help == says


def test_the_first_field_is_by_position_and_the_others_are_flags_with_their_comments() -> None:
    assert BY_NAME["ban-account"].examples == ("ban-account alice --days 1 --reason-code QUOTE_ONE_UP",)
    subject, days, *_ = BY_NAME["ban-account"].arguments
    assert subject.names == ("account_id",)
    assert (days.names, days.settings["required"], days.settings["help"]) == (("--days",), True, "whole days, 1 to 7")


def test_what_is_required_must_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        PARSER.parse_args(["flag-account", "alice"])
    assert "--kind" in capsys.readouterr().err


def test_commands_and_reads_are_sent_as_typed(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    flagged = ran("flag-account alice --kind robot --flag-time 2024-10-02", ledger, capsys)
    assert flagged[0] == "alice: flagged ROBOT (f1) from 2024-10-02 00:00:00 UTC on"
    ran("report-feedback bob --kind bug --channel email", ledger, capsys)
    found = ran("get-membership alice --as-of 2024-10-03", ledger, capsys)
    assert '      "kind": "FLAG_KIND_ROBOT",' in found
