"""Previews of what takes more than one commit: they say what the later ones post, beside the writer and in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Final

import pytest

from ledger.caller import caller
from ledger.cli.screens.receipts import previewed as told_in_words
from ledger.domain.events import FeeAdjusted, ReleaseAdvanced, RepriceCompleted
from ledger.domain.instants import DAY_NS
from ledger.fills import mend
from ledger.store.log import Log
from ledger.v1 import fill_pb2
from ledger.v1.command_pb2 import Preview
from ledger.writing.foresee import Foresight
from tests.conftest import NOON_NS, Ledger, StartLedger, at
from tests.previewing import Moved, foretold_later, posted
from tests.projections.audited import audit
from tests.samples import batch, fill, symbol
from tests.server.calls import CALL_S_MAX, await_tables, head, send
from tests.server.orders import classify, publish, tier
from tests.server.test_previews import everything, preview_of
from tests.waiting import wait_for

HOUR_NS: Final = DAY_NS // 24
MANY: Final = 10_000


def record(ledger: Ledger, fills: Sequence[fill_pb2.Fill]) -> None:
    for start in range(0, len(fills), MANY):
        assert ledger.fills.RecordFills(batch(*fills[start : start + MANY])).recorded
    await_tables(ledger)


def trades(count: int, at_ns: int, **changes: Any) -> list[fill_pb2.Fill]:
    """Fills of 500, by a taker: 1.25 at the base rate."""
    return [fill(last_qty="1000", transact_time=at(at_ns), **changes) for _ in range(count)]


def vip4(from_ns: int = NOON_NS - 2 * DAY_NS, account_id: str = "alice") -> Any:
    return tier(account_id, "VIP4", valid_from=at(from_ns))


def previewed(ledger: Ledger, request: Any) -> Preview:
    preview: Preview = send(ledger, preview_of(request)).receipt.preview
    return preview


def posted_later(ledger: Ledger, after: int) -> tuple[int, Moved]:
    """The lines and amounts that commits after a command's own have posted; it was recorded after a position."""
    events = (ledger.log.at(position) for position in range(after + 1, head(ledger) + 1))
    return posted(each for each in events if isinstance(each.event, FeeAdjusted))


def is_completed(ledger: Ledger, account_id: str = "alice") -> bool:
    last = ledger.log.last_of(f"repricing/{account_id}")
    return last is not None and isinstance(last.event, RepriceCompleted)


def is_brought_to_all(ledger: Ledger) -> bool:
    last = ledger.log.last_of("release/bitmart-api-vip")
    return last is not None and isinstance(last.event, ReleaseAdvanced) and not last.event.until_account_id


def test_of_25_000_fills_of_an_account_it_says_just_what_is_posted_and_leaves_no_trace(
    ledger: Ledger, dsn: str, schema: str
) -> None:
    send(ledger, symbol())
    from_ns = NOON_NS - 2 * DAY_NS
    token = fill_pb2.TokenPayment(token="BMX", price="1")
    days = [
        trades(MANY, from_ns),
        trades(1_000, from_ns - HOUR_NS),
        trades(MANY, from_ns + DAY_NS),
        trades(5_000, NOON_NS, token_payment=token),
    ]
    record(ledger, [each for day in days for each in day])
    request = vip4(from_ns)
    before, position = everything(dsn, schema), head(ledger)
    preview = previewed(ledger, request)
    assert [each.topic for each in preview.events] == ["TierChanged", "FactReleased", "RepriceStarted"]
    assert (preview.lines, preview.lines_later, preview.later.complete) == (0, 0, True)
    assert (preview.later.lines, preview.later.accounts) == (25_000, 1)
    assert everything(dsn, schema) == before
    assert not send(ledger, request).receipt.replayed
    wait_for(lambda: is_completed(ledger), 60)
    told = foretold_later(preview)
    assert told == posted_later(ledger, position)
    assert told[1] == {("alice", "USDT"): Fraction(-22_500), ("alice", "BMX"): Fraction("-4062.5")}
    (*_, last) = told_in_words(preview, ledger.ledger_id)
    amounts = "alice pays 4062.5 BMX less, alice pays 22500 USDT less"
    assert last == f"would also restate 25,000 fills of 1 account in commits after it: {amounts}"


def test_of_a_class_of_300_accounts_it_says_just_what_is_posted_in_each(ledger: Ledger, dsn: str, schema: str) -> None:
    """A third are members; of the others a half never traded the pair."""
    send(ledger, symbol(pair_class=""))
    send(ledger, symbol("BTC_USDT"))
    send(ledger, publish("3.1", ('classes = "propose"', 'classes = "adjust"')))
    names = [f"member-{number:03}" for number in range(300)]
    from_ns = NOON_NS - 3 * DAY_NS
    asked = [ledger.commands.ChangeTier.future(vip4(from_ns, name)) for name in names[::3]]
    assert all(each.result().receipt.position for each in asked)
    pairs = ["BTC_USDT" if number % 3 == 2 else "XRP_USDT" for number in range(300)]
    record(
        ledger,
        [
            each
            for name, pair in zip(names, pairs, strict=True)
            for each in trades(2, NOON_NS - DAY_NS, account_id=name, symbol=pair)
        ],
    )
    request = classify("XRP_USDT", "A", valid_from=at(from_ns))
    before, position = everything(dsn, schema), head(ledger)
    preview = previewed(ledger, request)
    assert [each.topic for each in preview.events] == ["PairClassAssigned", "FactReleased"]
    assert everything(dsn, schema) == before
    assert not send(ledger, request).receipt.replayed
    wait_for(lambda: is_brought_to_all(ledger), 60)
    told = foretold_later(preview)
    assert told == posted_later(ledger, position)
    assert preview.later.accounts == len({account_id for account_id, _ in told[1]}) == 200
    assert {told[1][name, "USDT"] for name in names[::3]} == {Fraction("-2.25")}
    assert {told[1][name, "USDT"] for name in names[1::3]} == {0}, "what it pays stays, the class that it names changes"
    (*_, last) = told_in_words(preview, ledger.ledger_id)
    amount = "all of them pay 225 USDT less"
    assert last == f"would also restate 400 fills of 200 accounts in commits after it: {amount}"
    assert [str(each) for each in audit(dsn, schema)[0]] == []


class Gate:
    """Holds the first preview before its second part, while its caller waits and the gate is shut."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_reached, self._open = threading.Event(), threading.Event()
        parts = Foresight.parts

        def held(foresight: Foresight, log: Log) -> Iterator[None]:
            for number, _ in enumerate(parts(foresight, log)):
                if number == 1 and not self.is_reached.is_set():
                    self.is_reached.set()
                    until_s = time.monotonic() + caller().wait_s(CALL_S_MAX * 1000)
                    while time.monotonic() < until_s and not caller().hung_up and not self._open.wait(0.01):
                        pass
                yield

        monkeypatch.setattr(Foresight, "parts", held)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A part looks at two lines, and the first preview stops before its second one."""
    monkeypatch.setattr(mend, "LINES_AT_ONCE", 2)
    return Gate(monkeypatch)


def test_what_a_deadline_leaves_no_time_for_is_counted_and_no_part_of_its_amounts_is_told(
    ledger: Ledger, gate: Gate
) -> None:
    send(ledger, symbol())
    record(ledger, trades(5, NOON_NS - DAY_NS))
    preview = ledger.commands.ChangeTier(preview_of(vip4()), timeout=2).receipt.preview
    assert gate.is_reached.is_set()
    assert [each.topic for each in preview.events] == ["TierChanged", "FactReleased", "RepriceStarted"]
    assert (preview.lines_later, preview.later.complete, preview.later.lines) == (5, False, 0)
    assert not [*preview.differences, *preview.net, *preview.later.differences, *preview.later.net]
    (*_, last) = told_in_words(preview, ledger.ledger_id)
    assert last == "up to 5 fills would be restated by commits after it, by amounts not worked out"


def test_a_service_may_work_nothing_out_and_says_so(start_ledger: StartLedger) -> None:
    ledger = start_ledger(preview_ms_max=0)
    send(ledger, symbol(pair_class=""))
    send(ledger, publish("3.1", ('classes = "propose"', 'classes = "adjust"')))
    record(ledger, trades(3, NOON_NS - DAY_NS))
    preview = previewed(ledger, classify("XRP_USDT", "A", valid_from=at(NOON_NS - 3 * DAY_NS)))
    assert (preview.lines_later, preview.later.complete, preview.later.lines) == (0, False, 0)
    (*_, last) = told_in_words(preview, ledger.ledger_id)
    assert last == "commits after it may restate fills of accounts that are not looked at"


def test_neither_fills_nor_commands_wait_for_it_and_what_comes_meanwhile_is_not_in_it(
    start_ledger: StartLedger, gate: Gate
) -> None:
    ledger = start_ledger(command_threads=1, waiting_previews_max=1)
    send(ledger, symbol())
    record(ledger, trades(5, NOON_NS - DAY_NS))
    before = head(ledger)
    asked = ledger.commands.ChangeTier.future(preview_of(vip4()))
    assert gate.is_reached.wait(CALL_S_MAX)
    for count in range(1, 21):
        assert ledger.fills.RecordFills(batch(*trades(1, NOON_NS - DAY_NS))).recorded == 1
        assert head(ledger) == before + count, "each has a commit of its own"
    assert send(ledger, tier("bob", "VIP1")).receipt.position == before + 21
    second = previewed(ledger, vip4())
    assert (second.lines_later, second.later.complete) == (25, False), "one at a time, and no more than one waits"
    assert not asked.done()
    gate.open()
    preview = asked.result().receipt.preview
    assert (preview.known_at_position, preview.later.lines, preview.later.complete) == (before, 5, True)


def test_who_hangs_up_makes_room_for_the_next(start_ledger: StartLedger, gate: Gate) -> None:
    ledger = start_ledger(waiting_previews_max=1)
    send(ledger, symbol())
    record(ledger, trades(5, NOON_NS - DAY_NS))
    asked = ledger.commands.ChangeTier.future(preview_of(vip4()))
    assert gate.is_reached.wait(CALL_S_MAX)
    assert not previewed(ledger, vip4()).later.complete
    asked.cancel()
    wait_for(lambda: previewed(ledger, vip4()).later.complete)
