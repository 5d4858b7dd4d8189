"""Commands that the state of the ledger refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import pytest
from google.protobuf.message import Message

from ledger.domain.events import CommandRefused
from ledger.domain.refusal import Reason
from ledger.domain.rules.bug_bounty import round_ends_ns
from ledger.v1.command_pb2 import Authority
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import FOUR_EYES, symbol
from tests.server.calls import expected, head, method_of, refused, said, send
from tests.server.good_requests import LAST_DUE
from tests.server.instants import A_DAY_AGO, BEFORE_NOON, FIRST, IN_A_DAY, NOON, SKEW_NS
from tests.server.orders import (
    application,
    approve_match,
    assign,
    ban,
    bonus,
    bounty,
    classify,
    close,
    close_round,
    currency,
    family,
    feedback,
    flag,
    lift,
    metric,
    own_rates,
    promotion,
    publish,
    register,
    reject_match,
    request_match,
    revoke,
    run_evaluation,
    settle,
    tier,
    trial,
    unflag,
    verify,
)


class Denied(NamedTuple):
    """After some commands a good one is refused by the state of the ledger."""

    kind: str
    before: Sequence[Message]
    command: Message


def _by(actor: str, approver: str, reason: str = "agreed") -> Authority:
    return Authority(actor=actor, approver=approver, reason=reason)


OTHER: Final = ('id = "bitmart-api-vip"', 'id = "another"')  # of the same venue
BEYOND_SKEW: Final = at(NOON_NS - SKEW_NS - 1)


def week(number: int) -> str:
    """An ISO week of 2023, of one row's own."""
    return f"2023-W{number:02}"


def reported(account_id: str, number: int) -> list[Message]:
    """A report in that week."""
    return [feedback(account_id, report_time=at(round_ends_ns(week(number)) - 1))]


STEPS: Final = ("account_opened", "api_key_created", "form_submitted")
_REQUESTER: Final = Authority(actor="requester", approver="ops-8")
_ALONE: Final = Authority(actor="ops-7", approver="ops-7")

DENIED: Final[Mapping[tuple[Reason, str], Sequence[Denied]]] = {
    (Reason.ACCOUNT_ALREADY_REGISTERED, "account_id"): [
        Denied("registered already", [register("d1")], register("d1")),
        Denied("registered already to another owner", [register("d2", "o2")], register("d2")),
    ],
    (Reason.SYMBOL_ALREADY_REGISTERED, "symbol"): [
        Denied("registered already", [symbol("D1_USDT")], symbol("D1_USDT", price_scale=2)),
        Denied("from then on", [symbol("D2_USDT", valid_from=NOON)], symbol("D2_USDT", valid_from=NOON)),
        Denied("registered already, unknown class", [symbol("D3_USDT")], symbol("D3_USDT", pair_class="D")),
    ],
    (Reason.CURRENCY_ALREADY_REGISTERED, "currency"): [
        Denied("registered already", [currency("D1")], currency("D1")),
    ],
    (Reason.PROGRAMME_UNKNOWN, "programme_id"): [
        Denied("unknown programme", [], symbol("D4_USDT", programme_id="no-such")),
        Denied("unknown programme", [], trial("d3", programme_id="no-such")),
        Denied("unknown programme", [], tier("d4", programme_id="no-such")),
        Denied("unknown programme", [symbol("D72_USDT")], classify("D72_USDT", "A", programme_id="no-such")),
        Denied("unknown programme", [symbol("D73_USDT")], own_rates("D73_USDT", "0", programme_id="no-such")),
    ],
    (Reason.PAIR_CLASS_UNKNOWN, "pair_class"): [
        Denied("unknown class", [], symbol("D5_USDT", pair_class="D")),
        Denied("class in small letters", [], symbol("D6_USDT", pair_class="a")),
        Denied("unknown class", [symbol("D71_USDT")], classify("D71_USDT", "D")),
    ],
    (Reason.TIER_UNKNOWN, "tier"): [
        Denied("unknown tier", [], tier("d5", "VIP6")),
        Denied("tier in small letters", [], tier("d6", "vip1")),
        Denied("tier of those who have none", [], tier("d7", "NONE")),
    ],
    (Reason.GRANT_UNKNOWN, "grant_id"): [
        Denied("no grant", [], revoke("d8")),
        Denied("another grant", [tier("d9")], revoke("d9", "g2")),
        Denied("a grant of another account", [tier("d10")], revoke("d11")),
    ],
    (Reason.GRANT_ENDED, "revoke_time"): [
        Denied("revoked already", [tier("d12"), revoke("d12")], revoke("d12")),
        Denied("at its end", [tier("d13", valid_until=IN_A_DAY)], revoke("d13", revoke_time=IN_A_DAY)),
    ],
    (Reason.NOT_BANNED, "lift_time"): [
        Denied("no ban", [], lift("d14")),
        Denied("lifted already", [ban("d15"), lift("d15")], lift("d15")),
        Denied("at its end", [ban("d16", start_time=A_DAY_AGO)], lift("d16", lift_time=NOON)),
        Denied("before its start", [ban("d17", start_time=NOON)], lift("d17", lift_time=BEFORE_NOON)),
    ],
    (Reason.TRIAL_ALREADY_USED, "account_id"): [
        Denied("a second one", [trial("d20")], trial("d20")),
        Denied("a second one years later", [trial("d21", start_time=FIRST)], trial("d21")),
        Denied("a second one, the first was revoked", [trial("d22"), revoke("d22")], trial("d22")),
        Denied("a second one of the owner", [*family("o23", "d23", "d24"), trial("d23")], trial("d24")),
        Denied("a second one of the owner, older first", [*family("o25", "d25", "d26"), trial("d26")], trial("d25")),
        Denied("a second one, by an account since", [trial("o27"), *family("o27", "d27")], trial("d27")),
        Denied("a second one, owner since", [trial("d28"), *family("o28", "d28", "d29")], trial("d29")),
        Denied("a second one, and a tier", [*family("o30", "d30", "d31"), trial("d31"), tier("d30")], trial("d30")),
    ],
    (Reason.NOT_A_NEW_MEMBER, "account_id"): [
        Denied("held a tier", [tier("d40")], trial("d40")),
        Denied("will hold a tier", [tier("d41", valid_from=IN_A_DAY)], trial("d41")),
        Denied("held a tier that was revoked", [tier("d42"), revoke("d42")], trial("d42")),
        Denied("the owner held a tier", [*family("o43", "d43", "d44"), tier("d43")], trial("d44")),
    ],
    (Reason.ACTOR_REQUIRED, "authority.actor"): [
        Denied("by nobody", [request_match("d66")], approve_match("d66", authority=Authority(approver="ops-8"))),
        Denied(
            "an exception by nobody",
            [promotion("d67")],
            bonus("d67", "d67", override=True, authority=Authority(approver="ops-8")),
        ),
        Denied("nobody asks", [], tier("x50", authority=_by("", "ops-2"))),
        Denied("nobody asks, nobody approves", [], tier("x51", authority=_by("", ""))),
        Denied("nobody asks", [], publish("x52", authority=_by("", "ops-2"))),
    ],
    (Reason.APPROVER_REQUIRED, "authority.approver"): [
        Denied(
            "an exception without an approver",
            [promotion("d69")],
            bonus("d69", "d69", override=True, authority=Authority(actor="ops-7")),
        ),
        Denied("nobody approves", [], tier("x53", authority=_by("ops-1", ""))),
        Denied("nobody approves", [ban("x54")], lift("x54", authority=_by("ops-1", ""))),
        Denied("nobody approves", [], publish("x55", authority=_by("ops-1", ""))),
        Denied("nobody approves, no reason", [], tier("x56", authority=_by("ops-1", "", reason=""))),
    ],
    (Reason.APPROVER_IS_ACTOR, "authority.approver"): [
        Denied("an exception by one person", [promotion("d70")], bonus("d70", "d70", override=True, authority=_ALONE)),
        Denied("the same person", [], tier("x57", authority=_by("ops-1", "ops-1"))),
        Denied("the same person", [ban("x58")], lift("x58", authority=_by("ops-1", "ops-1"))),
        Denied("the same person", [], publish("x59", authority=_by("ops-1", "ops-1"))),
    ],
    (Reason.REASON_REQUIRED, "authority.reason"): [
        Denied("no reason", [], tier("x60", authority=_by("ops-1", "ops-2", reason=""))),
    ],
    (Reason.PROGRAMME_VERSION_EXISTS, "content"): [
        Denied("other content", [publish("x61")], publish("x61", ('maker = "0.04%"', 'maker = "0.05%"'))),
        Denied("other content, later", [publish("x62")], publish("x62", ("# ", "#  "), valid_from=IN_A_DAY)),
        Denied("that of the first start", [], publish("3.0", ("# ", "#  "))),
    ],
    (Reason.PROGRAMME_VERSION_EXISTS, "valid_from"): [
        Denied("the same again", [publish("x63", valid_from=NOON)], publish("x63", valid_from=NOON)),
    ],
    (Reason.PROGRAMME_IN_THE_PAST, "valid_from"): [
        Denied("just before the skew", [], publish("x64", valid_from=BEYOND_SKEW)),
        Denied("has a class", [symbol("D65_USDT")], classify("D65_USDT", "B", valid_from=BEYOND_SKEW)),
        Denied("just before the skew", [symbol("D66_USDT")], own_rates("D66_USDT", "0", valid_from=BEYOND_SKEW)),
    ],
    (Reason.VENUE_ALREADY_GOVERNED, "content"): [
        Denied("another programme", [], publish("1", OTHER)),
        Denied("another programme, for the future", [], publish("1", OTHER, valid_from=IN_A_DAY)),
        Denied("another programme, long ago", [], publish("1", OTHER, valid_from=FIRST)),
    ],
    (Reason.NEGATIVE_NET_PAIR, "symbol"): [
        Denied("against a member", [symbol("D67_USDT")], own_rates("D67_USDT", "-0.000201")),
        Denied(
            "by its class",
            [symbol("D68_USDT", pair_class="C"), own_rates("D68_USDT", "-0.0006")],
            classify("D68_USDT", "A"),
        ),
        Denied("of its own", [symbol("D69_USDT")], own_rates("D69_USDT", "-0.0003", "0.000299")),
    ],
    (Reason.SYMBOL_UNKNOWN, "symbol"): [
        Denied("unknown", [], classify("D70_USDT", "A")),
        Denied("unknown", [], own_rates("D70_USDT", "0")),
    ],
    (Reason.ACCOUNT_FLAGGED, "account_id"): [
        Denied("flagged", [flag("d50")], trial("d50")),
        Denied("flagged since it was requested", [request_match("d51"), flag("d51")], approve_match("d51")),
        Denied(
            "flagged when it reported",
            [flag("d52", flag_time=FIRST), *reported("d52", 1), unflag("d52")],
            bounty(week(1)),
        ),
        Denied(
            "flagged since it reported",
            [tier("d53", valid_from=FIRST), *reported("d53", 2), flag("d53")],
            bounty(week(2)),
        ),
        Denied("flagged", [promotion("d54"), tier("d54"), flag("d54")], bonus("d54", "d54", override=True)),
    ],
    (Reason.ACCOUNT_ALREADY_FLAGGED, "kind"): [
        Denied("flagged already", [flag("d55")], flag("d55")),
    ],
    (Reason.NOT_FLAGGED, "unflag_time"): [
        Denied("no flag", [], unflag("d56")),
        Denied("unflagged already", [flag("d57"), unflag("d57")], unflag("d57")),
        Denied("before its start", [flag("d58", flag_time=NOON)], unflag("d58", unflag_time=BEFORE_NOON)),
    ],
    (Reason.VIP_IN_PAST_90_DAYS, "account_id"): [
        Denied(
            "a tier of before became known", [request_match("d59"), tier("d59", valid_from=FIRST)], approve_match("d59")
        ),
    ],
    (Reason.MATCH_UNKNOWN, "match_id"): [
        Denied("no match", [], approve_match("d60")),
        Denied("another match", [request_match("d61")], reject_match("d61", "m2")),
    ],
    (Reason.MATCH_SETTLED, "match_id"): [
        Denied("approved already", [request_match("d62"), approve_match("d62")], approve_match("d62")),
        Denied("rejected already", [request_match("d63"), reject_match("d63")], approve_match("d63")),
        Denied("rejected by a rule", [request_match("d64", spot="100000")], approve_match("d64")),
        Denied("approved already", [request_match("d65"), approve_match("d65")], reject_match("d65")),
    ],
    (Reason.APPROVER_IS_ACTOR, "authority.actor"): [
        Denied("by who requested it", [request_match("d68")], approve_match("d68", authority=_REQUESTER)),
    ],
    (Reason.IDENTITY_ALREADY_VERIFIED, "account_id"): [
        Denied("verified already", [verify("d71")], verify("d71")),
    ],
    (Reason.APPLICATION_ALREADY_OPEN, "account_id"): [
        Denied("another waits", [application("d72")], application("d72")),
    ],
    (Reason.APPLICATION_INCOMPLETE, "account_opened"): [
        Denied("no account", [], application("d73", account_opened=False)),
        Denied("nothing done", [], application("d73", **dict.fromkeys(STEPS, False))),
    ],
    (Reason.APPLICATION_INCOMPLETE, "api_key_created"): [
        Denied("no API key", [], application("d73", api_key_created=False)),
    ],
    (Reason.APPLICATION_INCOMPLETE, "form_submitted"): [
        Denied("no form", [], application("d73", form_submitted=False)),
    ],
    (Reason.APPLICATION_UNKNOWN, "application_id"): [
        Denied("no application", [], settle("d74")),
        Denied("another application", [application("d75")], settle("d75", "p2")),
    ],
    (Reason.APPLICATION_SETTLED, "application_id"): [
        Denied("settled already", [application("d76"), settle("d76")], settle("d76", outcome=2)),
    ],
    (Reason.NOT_ENTITLED, "account_id"): [
        Denied("no tier", [], assign("d77")),
        Denied("flagged", [tier("d78"), flag("d78")], assign("d78")),
    ],
    (Reason.METRIC_UNKNOWN, "evidence_positions[0]"): [
        Denied("no metric there", [], ban("d79", evidence_positions=[1])),
        Denied("the greatest position", [metric("d80")], ban("d80", evidence_positions=[2**64 - 1])),
    ],
    (Reason.EVALUATION_NOT_DUE, "instant"): [
        Denied("tomorrow", [], run_evaluation(instant=IN_A_DAY)),
        Denied("trials that end tomorrow", [], run_evaluation(instant=IN_A_DAY, kind=2)),
    ],
    (Reason.NOT_AN_EVALUATION_DAY, "instant"): [
        Denied("today", [], run_evaluation(instant=NOON)),
        Denied("a nanosecond after it", [], run_evaluation(instant=at(LAST_DUE.seconds * 10**9 + 1))),
    ],
    (Reason.CLOSE_ALREADY_RECORDED, "day"): [
        Denied("recorded already", [close("D1")], close("D1")),
        Denied("another price", [close("D2")], close("D2", price="1")),
    ],
    (Reason.CLOSE_DAY_NOT_OVER, "day"): [
        Denied("today", [], close("D3", "2024-10-04")),
        Denied("the last day", [], close("D3", "2199-12-31")),
    ],
    (Reason.CLOSE_UNKNOWN, "restates"): [
        Denied("nothing to restate", [], close("D4", restates=1, authority=FOUR_EYES)),
        Denied("the greatest position", [close("D5")], close("D5", restates=2**64 - 1, authority=FOUR_EYES)),
    ],
    (Reason.VOLUME_CURRENCY_UNKNOWN, "currency"): [
        Denied("a currency nobody counts in", [], close("D6", currency="EUR")),
    ],
    (Reason.FEEDBACK_UNKNOWN, "report_id"): [
        Denied("no report", [], bounty(week(3))),
    ],
    (Reason.NOT_A_MEMBER, "report_id"): [
        Denied("no tier", reported("d81", 4), bounty(week(4))),
        Denied("a tier since", [*reported("d82", 5), tier("d82")], bounty(week(5))),
    ],
    (Reason.BOUNTY_ALREADY_AWARDED, "report_id"): [
        Denied(
            "awarded already", [tier("d83", valid_from=FIRST), *reported("d83", 6), bounty(week(6))], bounty(week(6))
        ),
    ],
    (Reason.BOUNTY_ROUND_CLOSED, "week"): [
        Denied("closed already", [close_round(week(7))], close_round(week(7))),
        Denied(
            "after the close",
            [tier("d84", valid_from=FIRST), *reported("d84", 8), close_round(week(8))],
            bounty(week(8)),
        ),
        Denied("after the close", [close_round(week(9))], *reported("d85", 9)),
    ],
    (Reason.BOUNTY_ROUND_RUNNING, "week"): [
        Denied("this week", [], close_round("2024-W40")),
        Denied("next year", [], close_round("2025-W40")),
    ],
    (Reason.PROMOTION_ALREADY_ANNOUNCED, "promotion_id"): [
        Denied("announced already", [promotion("d86")], promotion("d86", "NET_BUY")),
    ],
    (Reason.PROMOTION_UNKNOWN, "promotion_id"): [
        Denied("unknown promotion", [], bonus("d87", "no-such")),
    ],
    (Reason.PROMOTION_NOT_ELIGIBLE, "promotion_id"): [
        Denied("no tier", [promotion("d88")], bonus("d88", "d88")),
        Denied("denied type", [promotion("d89", "NET_BUY"), tier("d89")], bonus("d89", "d89")),
    ],
    (Reason.BONUS_ALREADY_AWARDED, "account_id"): [
        Denied("awarded already", [promotion("d90"), tier("d90"), bonus("d90", "d90")], bonus("d90", "d90")),
    ],
}
_DENIED: Final = [
    pytest.param(row, *why, id=f"{method_of(row.command)}: {row.kind}") for why, rows in DENIED.items() for row in rows
]


@pytest.mark.parametrize(("row", "reason", "field"), _DENIED)
def test_a_command_refused_by_the_state_is_recorded_and_refused_the_same_way_for_ever(
    shared: Ledger, row: Denied, reason: Reason, field: str
) -> None:
    for command in row.before:
        send(shared, command)
    before = head(shared)
    first = refused(shared, row.command)
    assert said(first) == expected(reason, field)
    assert first.metadata == {"position": str(before + 1), "replayed": "false"}
    event = shared.log.at(before + 1).event
    assert isinstance(event, CommandRefused)
    assert (event.command, event.reason, event.field) == (method_of(row.command), reason, field)
    again = refused(shared, row.command)
    assert (said(again), again.message) == (said(first), first.message)
    assert again.metadata == {"position": str(before + 1), "replayed": "true"}
    assert head(shared) == before + 1
