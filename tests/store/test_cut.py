"""The cut of an account: all that a proof of its events needs, and no byte that it may not see."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from ledger.domain import commands
from ledger.domain.events import POSITION_MAX, MatchClaim
from ledger.domain.instants import DAY_NS
from ledger.store.cut import CutEvent, cut_of, cut_out, leaf_of_cut
from ledger.store.leaf import Opening, leaf
from ledger.store.log import StoredRow
from ledger.writing.messages import Accepted, DecideCommand, FillsTaken, Refused
from tests.conftest import NOON_NS
from tests.domain.worked import fills
from tests.store.leaf_vectors import OUTSIDE, SECRET, outside, stored
from tests.write_side import Writing, ask, record

ACCOUNTS: Final = 1_000
ENGINE: Final = "engine9999"
# A text of each kind that a fill or a command can carry, of each account: what the account may see of its own, and not.
SEEN: Final = {
    *("acct", "exec", "trade", "order", "client", "owner", "price", "ticket"),
    *("venue", "level", "claim", "metric", "offence"),
}
HIDDEN: Final = {"party", "asker", "approver", "request", "manager", "nogrant", "proof"}
NOT_IN_THE_LOG: Final = {"because"}
MARKER: Final = re.compile(
    "|".join(sorted((*SEEN, *HIDDEN, *NOT_IN_THE_LOG, "engine"))).join("()").encode() + rb"(\d{4})"
)


def markers(content: bytes) -> set[tuple[str, int]]:
    """Return the markers in some bytes, for example ("acct", 7) for acct0007."""
    return {(kind.decode(), int(number)) for kind, number in MARKER.findall(content)}


def bytes_of(event: CutEvent) -> bytes:
    erasable = event.erasable
    return b"".join((*event.shown, event.hidden_sha256, *(erasable if isinstance(erasable, Opening) else (erasable,))))


def fill(number: int, *, day: int = 0) -> dict[str, object]:
    """A fill with a marker in each text."""
    return {
        "account_id": f"acct{number:04}",
        "exec_id": f"exec{number:04}",
        "trade_id": f"trade{number:04}",
        "order_id": f"order{number:04}",
        "cl_ord_id": f"client{number:04}",
        "owner_id": f"owner{number:04}",
        "counterparty_owner_id": f"party{number:04}",
        "token": "BMX",
        "token_price": "0.25",
        "token_price_source": f"price{number:04}",
        "charged_amount": "-0.1",
        "charged_currency": "USDT",
        "charged_rate": "0.0025",
        "transact_time_ns": NOON_NS - day * DAY_NS,
    }


def asked(number: int) -> list[DecideCommand]:
    """Commands on an account with a marker in each text, of which the last is refused."""
    account_id = f"acct{number:04}"
    names = {name: f"{name}{number:04}" for name in ("approver", "ticket")}
    by = {**names, "actor": f"asker{number:04}", "reason": f"because{number:04}"}
    shown = MatchClaim(
        *((f"venue{number:04}",), f"level{number:04}", NOON_NS - 30 * DAY_NS, NOON_NS, "150000.5", "0"),
        f"claim{number:04}".ljust(32, ".").encode(),
    )
    wanted: list[commands.Command] = [
        commands.RegisterAccount(account_id, f"owner{number:04}", "", None),
        commands.ChangeTier(account_id, "VIP2", NOON_NS, NOON_NS + DAY_NS),
        commands.AssignKeyAccountManager(account_id, f"manager{number:04}", None),
        commands.RecordBehaviourMetric(account_id, f"metric{number:04}", "0.5", NOON_NS - DAY_NS, NOON_NS),
        commands.RequestMatch(account_id, shown, None),
        commands.BanAccount(account_id, 7, NOON_NS, f"offence{number:04}"),
        commands.FlagAccount(account_id, "FAKE", NOON_NS, f"proof{number:04}".ljust(32, ".").encode()),
        commands.RevokeTier(account_id, f"nogrant{number:04}", None),
    ]
    return [ask(command, f"request{number:04}-{place}", **by) for place, command in enumerate(wanted)]


def test_the_cut_of_one_account_out_of_a_commit_of_a_thousand_has_no_byte_of_another_nor_its_own_hidden_ones(
    writing: Writing,
) -> None:
    answers = writing.step(*(each for number in range(ACCOUNTS) for each in asked(number)))
    assert [type(answer) for answer in answers] == [*[Accepted] * 7, Refused] * ACCOUNTS
    rows = [fill(number) for number in range(ACCOUNTS)] + [fill(7, day=1), fill(8, day=1)]
    (taken,) = writing.step(record(replace(fills(*rows, source=ENGINE), actor="asker9999")))
    assert isinstance(taken, FillsTaken)
    assert taken.recorded == len(rows)

    log = writing.log
    in_log = {row.position: row for row in log.stored("", 0, POSITION_MAX, POSITION_MAX)}
    own = {row.position for row in in_log.values() if row.stream.split("/")[1:2] == ["acct0007"]}
    planted = {(kind, number) for kind in SEEN | HIDDEN for number in range(ACCOUNTS)}
    beside = b"".join(part.content for part in log.erasable_parts(in_log).values())
    found = markers(b"".join(row.stream.encode() + row.state for row in in_log.values()) + beside)
    assert found == planted | {("engine", 9999), ("asker", 9999)}

    cut = list(cut_of(log, "acct0007", POSITION_MAX, SECRET))
    assert {event.position for event in cut} == own
    assert len(cut) == len(own) > 5
    assert markers(b"".join(map(bytes_of, cut))) == {(kind, 7) for kind in SEEN}
    for event in cut:
        assert leaf_of_cut(event) == leaf(*in_log[event.position], SECRET)


def test_a_cut_up_to_a_position_ends_there(writing: Writing) -> None:
    writing.step(record(fills(fill(7), fill(7, day=1))))
    last = writing.log.head().position
    writing.step(record(fills(fill(7) | {"exec_id": "exec-later"})))
    before, after = (list(cut_of(writing.log, "acct0007", until, SECRET)) for until in (last, POSITION_MAX))
    assert max(event.position for event in before) <= last
    assert len(after) == len(before) + 1
    assert [event for event in after if event.position <= last] == before


def test_a_long_stream_is_in_the_cut_with_all_its_events(writing: Writing) -> None:
    named = [commands.AssignKeyAccountManager("acct0007", f"manager{number:04}", None) for number in range(250)]
    writing.step(*(ask(command) for command in named))
    positions = [event.position for event in cut_of(writing.log, "acct0007", POSITION_MAX, SECRET)]
    assert positions == list(dict.fromkeys(positions))
    assert len(positions) == len(named)


def test_an_erased_part_is_a_hash_in_the_cut_and_the_leaf_stays() -> None:
    event = dict(stored())[OUTSIDE]
    row = StoredRow(*event)
    held, erased = cut_out(row, SECRET, outside()), cut_out(row, SECRET)
    assert b"T-1" in bytes_of(held)
    assert b"T-1" not in bytes_of(erased)
    assert leaf_of_cut(held) == leaf_of_cut(erased) == leaf(*event, SECRET)
