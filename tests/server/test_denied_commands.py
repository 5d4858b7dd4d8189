"""Commands that the state of the ledger refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import pytest
from google.protobuf.message import Message

from ledger.domain.events import CommandRefused
from ledger.domain.refusal import Reason
from tests.conftest import Ledger
from tests.samples import symbol
from tests.server.calls import expected, head, method_of, refused, said, send
from tests.server.instants import A_DAY_AGO, BEFORE_NOON, FIRST, IN_A_DAY, NOON
from tests.server.orders import ban, currency, family, lift, register, revoke, tier, trial


class Denied(NamedTuple):
    """After some commands a good one is refused by the state of the ledger."""

    kind: str
    before: Sequence[Message]
    command: Message


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
    ],
    (Reason.PAIR_CLASS_UNKNOWN, "pair_class"): [
        Denied("unknown class", [], symbol("D5_USDT", pair_class="D")),
        Denied("class in small letters", [], symbol("D6_USDT", pair_class="a")),
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
