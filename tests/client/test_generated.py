"""The client's methods that are generated from the contract: as typed, and as well described, as those by hand."""

from __future__ import annotations

import inspect
from inspect import Parameter

from ledger.client import Client
from ledger.client.generated import Generated
from ledger.contract import RPCS, snake_case


def test_there_is_a_method_for_each_rpc_with_one_response() -> None:
    plain = {name for name, rpc in RPCS.items() if not rpc.server_streaming}
    assert {name for name in plain if not hasattr(Client, snake_case(name))} == set()


def test_a_list_has_another_method_for_its_pages_that_takes_the_same() -> None:
    lists = [snake_case(name) for name, rpc in RPCS.items() if "page_token" in rpc.input_type.fields_by_name]
    assert {"list_closes", "list_fee_history", "list_accounts"} <= set(lists)
    for name in lists:
        pages = f"{name.removeprefix('list_').removesuffix('s')}_pages"
        taken, taken_by_pages = (inspect.signature(getattr(Client, each)).parameters for each in (name, pages))
        assert taken == taken_by_pages, name


def test_the_first_field_is_by_position_the_others_by_name_and_optional_ones_have_a_default() -> None:
    _, *taken = inspect.signature(Generated.ban_account).parameters.values()
    assert [(one.name, one.kind, one.default) for one in taken] == [
        ("account_id", Parameter.POSITIONAL_OR_KEYWORD, Parameter.empty),
        ("days", Parameter.KEYWORD_ONLY, Parameter.empty),
        ("reason_code", Parameter.KEYWORD_ONLY, Parameter.empty),
        ("start_time", Parameter.KEYWORD_ONLY, None),
        ("evidence_positions", Parameter.KEYWORD_ONLY, ()),
        ("command", Parameter.VAR_KEYWORD, Parameter.empty),
    ]
    assert Generated.ban_account.__annotations__["start_time"] == "Time | None"


def test_its_text_has_the_comments_of_the_contract_and_the_names_of_enums() -> None:
    text = inspect.getdoc(Generated.flag_account) or ""
    assert text.startswith("Flags an account as fake, or as created by a robot (R21)")
    assert "\nkind: What it is taken for. One of FAKE, ROBOT.\n" in text


def test_a_method_by_hand_is_not_generated() -> None:
    assert {"award_bonus", "record_fills", "list_controls"}.isdisjoint(vars(Generated))
