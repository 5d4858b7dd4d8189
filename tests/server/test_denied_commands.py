"""Commands that the state of the ledger refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import pytest
from google.protobuf.message import Message

from ledger.domain.events import CommandRefused
from ledger.domain.refusal import Reason
from ledger.v1.command_pb2 import Authority
from tests.conftest import NOON_NS, Ledger, at
from tests.samples import symbol
from tests.server.calls import expected, head, method_of, refused, said, send
from tests.server.instants import A_DAY_AGO, BEFORE_NOON, FIRST, IN_A_DAY, NOON, SKEW_NS
from tests.server.orders import assign, ban, currency, family, lift, own_rates, publish, register, revoke, tier, trial


class Denied(NamedTuple):
    """After some commands a good one is refused by the state of the ledger."""

    kind: str
    before: Sequence[Message]
    command: Message


def _by(actor: str, approver: str, reason: str = "agreed") -> Authority:
    return Authority(actor=actor, approver=approver, reason=reason)


OTHER: Final = ('id = "bitmart-api-vip"', 'id = "another"')  # of the same venue
BEYOND_SKEW: Final = at(NOON_NS - SKEW_NS - 1)
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
        Denied("unknown programme", [symbol("D72_USDT")], assign("D72_USDT", "A", programme_id="no-such")),
        Denied("unknown programme", [symbol("D73_USDT")], own_rates("D73_USDT", "0", programme_id="no-such")),
    ],
    (Reason.PAIR_CLASS_UNKNOWN, "pair_class"): [
        Denied("unknown class", [], symbol("D5_USDT", pair_class="D")),
        Denied("class in small letters", [], symbol("D6_USDT", pair_class="a")),
        Denied("unknown class", [symbol("D71_USDT")], assign("D71_USDT", "D")),
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
        Denied("nobody asks", [], tier("d50", authority=_by("", "ops-2"))),
        Denied("nobody asks, nobody approves", [], tier("d51", authority=_by("", ""))),
        Denied("nobody asks", [], publish("d52", authority=_by("", "ops-2"))),
    ],
    (Reason.APPROVER_REQUIRED, "authority.approver"): [
        Denied("nobody approves", [], tier("d53", authority=_by("ops-1", ""))),
        Denied("nobody approves", [ban("d54")], lift("d54", authority=_by("ops-1", ""))),
        Denied("nobody approves", [], publish("d55", authority=_by("ops-1", ""))),
        Denied("nobody approves, no reason", [], tier("d56", authority=_by("ops-1", "", reason=""))),
    ],
    (Reason.APPROVER_IS_ACTOR, "authority.approver"): [
        Denied("the same person", [], tier("d57", authority=_by("ops-1", "ops-1"))),
        Denied("the same person", [ban("d58")], lift("d58", authority=_by("ops-1", "ops-1"))),
        Denied("the same person", [], publish("d59", authority=_by("ops-1", "ops-1"))),
    ],
    (Reason.REASON_REQUIRED, "authority.reason"): [
        Denied("no reason", [], tier("d60", authority=_by("ops-1", "ops-2", reason=""))),
    ],
    (Reason.PROGRAMME_VERSION_EXISTS, "content"): [
        Denied("other content", [publish("d61")], publish("d61", ('maker = "0.04%"', 'maker = "0.05%"'))),
        Denied("other content, later", [publish("d62")], publish("d62", ("# ", "#  "), valid_from=IN_A_DAY)),
        Denied("that of the first start", [], publish("3.0", ("# ", "#  "))),
    ],
    (Reason.PROGRAMME_VERSION_EXISTS, "valid_from"): [
        Denied("the same again", [publish("d63", valid_from=NOON)], publish("d63", valid_from=NOON)),
    ],
    (Reason.PROGRAMME_IN_THE_PAST, "valid_from"): [
        Denied("just before the skew", [], publish("d64", valid_from=BEYOND_SKEW)),
        Denied("has a class", [symbol("D65_USDT")], assign("D65_USDT", "B", valid_from=BEYOND_SKEW)),
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
            assign("D68_USDT", "A"),
        ),
        Denied("of its own", [symbol("D69_USDT")], own_rates("D69_USDT", "-0.0003", "0.000299")),
    ],
    (Reason.SYMBOL_UNKNOWN, "symbol"): [
        Denied("unknown", [], assign("D70_USDT", "A")),
        Denied("unknown", [], own_rates("D70_USDT", "0")),
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
