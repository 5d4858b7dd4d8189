"""The page of `fee-ledger history`: it adds up, it is of the time that was asked for, and it says why."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import pytest

from ledger.domain.instants import DAY_NS
from ledger.tools.history.page.charts import Period, fee_chart
from ledger.v1.fill_pb2 import CHANNEL_WEB, LIQUIDITY_MAKER, TokenPayment
from tests.conftest import NOON_NS, Ledger, at, serving
from tests.e2e.rules.evaluating import DUE_NS, run, trade
from tests.samples import batch, fill, symbol
from tests.server.calls import send
from tests.server.orders import ban, close, credit, flag, lift, register, tier, withdraw
from tests.tools.page_reading import PageRead, amount, reasons
from tests.tools.running import run as run_tool

OCTOBER = "2024-10-01"
SEPTEMBER_NS = NOON_NS - 10 * DAY_NS  # 2024-09-24


@pytest.fixture(scope="module")
def busy(dsn: str) -> Iterator[Ledger]:
    """A ledger in which alice trades in two months, in every way that does not count, which the tests only read."""
    with serving(dsn, "test_history_page") as ledger:
        live(ledger)
        yield ledger


def live(ledger: Ledger) -> None:
    """Two months: API, web, with herself, banned, in BTC, paid in a token, a rebate; one fill after its evaluation.

    Of bob it becomes known after his evaluation that he was banned when he traded.
    """
    for name in ("XRP_USDT", "XRP_BTC"):
        send(ledger, symbol(name, price_scale=8, quantity_scale=8))
    send(ledger, register("alice", "o"))
    september = {"transact_time": at(SEPTEMBER_NS)}
    ledger.fills.RecordFills(
        batch(
            fill(last_px="1", last_qty="7000.00000001", **september),
            fill(last_px="1", last_qty="0.0007", **september),
            fill(last_px="1", last_qty="300", channel=CHANNEL_WEB, **september),
            fill(last_px="1", last_qty="20", counterparty_owner_id="o", **september),
            fill(symbol="XRP_BTC", last_px="0.00001", last_qty="33.3", **september),
        )
    )
    send(ledger, close("BTC", "2024-09-24", "60000.5"))
    send(ledger, tier("alice", "VIP3", valid_from=at(NOON_NS), valid_until=at(NOON_NS + 20 * DAY_NS)))
    ledger.fills.RecordFills(
        batch(
            fill(last_px="0.6", last_qty="1000", liquidity=LIQUIDITY_MAKER),
            fill(token_payment=TokenPayment(token="BMX", price="0.3")),
            fill(account_id="bob", last_px="1", last_qty="50"),
        )
    )
    ledger.clock.now_ns += DAY_NS
    send(ledger, ban("alice", days=1))
    trade(ledger, "111", at_ns=NOON_NS + DAY_NS + 1)
    ledger.clock.now_ns += DAY_NS // 2
    send(ledger, lift("alice"))
    trade(ledger, "10", at_ns=DUE_NS + 5)
    run(ledger)
    ledger.fills.RecordFills(batch(fill(last_px="1", last_qty="4.5", transact_time=at(DUE_NS - DAY_NS))))
    send(ledger, ban("bob", start_time=at(NOON_NS)))
    send(ledger, flag("bob", flag_time=at(NOON_NS)))


def page_of(ledger: Ledger, folder: Path, *arguments: str, account: str = "alice") -> PageRead:
    path = folder / "page.html"
    done = run_tool("history", account, *arguments, "--html", str(path), "--address", ledger.address)
    assert (done[0], done[2]) == (0, ""), done
    return PageRead(path)


@pytest.mark.parametrize("period", [(), ("--until", OCTOBER), ("--from", OCTOBER), ("--from", "2024-09-24T12:00:00Z")])
def test_each_table_of_amounts_ends_in_sums_of_its_rows_that_are_those_of_the_cards(
    busy: Ledger, tmp_path: Path, period: tuple[str, ...]
) -> None:
    page = page_of(busy, tmp_path, *period)
    tables = page.tables()
    charged, back, net, volume = (page.sums(name) for name in ("charged", "paid back", "net fees", "volume"))
    assert all((net, volume)), "there is something to add up"
    for currency in net:
        fees = tables[f"Fees by day, in {currency}"]
        for head, card in (("charged", charged), ("paid back", back), ("net", net)):
            assert fees.column(head) == fees.sum(head, currency) == card.get(currency, Decimal())
    kinds, volumes = tables["What the fees rest on"], tables["Volume by day"]
    assert {row["tier"].removeprefix("sum in ") for row in kinds.sums} >= set(net)
    for currency in net:
        assert kinds.column("fees", currency) == kinds.sum("fees", currency) == net[currency]
    for currency in volume:
        assert kinds.column("volume", currency) == kinds.sum("volume", currency) == volume[currency]
        assert volumes.column("traded", currency) == volumes.sum("traded", currency) == volume[currency]
    assert sum(amount(row["fills"])[0] for row in kinds.sums) == amount(page.cards()["fills"][0])[0]


def test_credits_have_a_table_that_says_who_gave_them_and_count_in_the_net_fees(dsn: str, tmp_path: Path) -> None:
    with serving(dsn, "test_history_page_credits") as ledger:
        send(ledger, symbol())
        ledger.fills.RecordFills(batch(fill(last_qty="1000")))
        for amount_ in ("5", "7"):
            answer = send(ledger, credit(amount_))
        send(ledger, withdraw(answer.receipt.position))
        page = page_of(ledger, tmp_path)
        table = page.tables()["Credits by hand"]
        assert [
            (row["what"], row["amount"], row["why"], row["asked by"], row["approved by"]) for row in table.rows
        ] == [
            ("credited", "-5 USDT", "OUTAGE", "ops-1", "ops-2"),
            ("credited", "-7 USDT", "OUTAGE", "ops-1", "ops-2"),
            ("withdrawn", "7 USDT", "MISTAKE", "ops-1", "ops-2"),
        ]
        assert table.column("amount", "USDT") == table.sum("amount", "USDT") == Decimal(-5)
        sums = {name: page.sums(name)["USDT"] for name in ("charged", "credited by hand", "net fees")}
        assert sums == {"charged": Decimal("1.25"), "credited by hand": Decimal(-5), "net fees": Decimal("-3.75")}


def test_beside_a_day_stands_what_of_it_does_not_count_and_why(busy: Ledger, tmp_path: Path) -> None:
    volumes = page_of(busy, tmp_path).tables()["Volume by day"]
    for row in [*volumes.rows, *volumes.sums]:
        traded, counts = amount(row["traded"])[0], amount(row["counts"])[0]
        assert traded - counts == sum(reasons(row["what does not"]).values()), row
    september = next(row for row in volumes.rows if row["day"] == "2024-09-24" and row["traded"].endswith("USDT"))
    assert september["what does not"] == "300 not through the API, 20 with oneself"
    assert september["counts"] == "7,000.00070001"
    assert any("111 while banned" in row["what does not"] for row in volumes.rows)
    bitcoin = next(row for row in volumes.rows if row["traded"] == "0.000333 BTC")
    assert bitcoin["worth, USDT"] == "19.9801665"


def test_an_evaluation_says_what_lies_between_it_and_what_was_traded(busy: Ledger, tmp_path: Path) -> None:
    page = page_of(busy, tmp_path)
    (evaluation,) = page.tables()["Evaluations"].rows
    between, _, since = evaluation["why they differ"].partition("; changed since, and not in it: ")
    assert amount(evaluation["traded"])[0] + sum(reasons(between).values()) == amount(evaluation["evaluated"])[0]
    assert between == (
        "-300 not through the API, -111 while banned, -20 with oneself; 19.9801665 for 0.000333 BTC at daily closes"
    )
    assert since == "4.5 USDT"
    days = {row["day"]: row for row in page.tables()["Volume by day"].rows if row["30 days, USDT"]}
    window = amount(days["2024-10-07"]["30 days, USDT"])[0]
    assert window == amount(evaluation["evaluated"])[0] + Decimal("4.5")


def test_volume_that_a_late_ban_moved_is_shown_where_it_is_now(busy: Ledger, tmp_path: Path) -> None:
    tables = page_of(busy, tmp_path, account="bob").tables()
    (day,) = tables["Volume by day"].rows
    assert (day["traded"], day["counts"], day["what does not"]) == ("50 USDT", "0", "50 while banned")
    (evaluation,) = tables["Evaluations"].rows
    assert evaluation["why they differ"] == "changed since, and not in it: -50 USDT"


def test_facts_that_fills_do_not_count_by_are_listed(busy: Ledger, tmp_path: Path) -> None:
    (row,) = page_of(busy, tmp_path, account="bob").tables()["Withheld facts"].rows
    assert (row["fact"], row["from"], row["fills of"]) == ("flag", "2024-10-04 12:00:00", "all")
    assert row["why they do not count by it"] == "the programme says keep: two persons may release it"
    assert "Withheld facts" not in page_of(busy, tmp_path).tables()


def test_no_circle_covers_the_name_of_a_tier(busy: Ledger, tmp_path: Path) -> None:
    marks = [one.get("class") for one in page_of(busy, tmp_path).tree.iter() if one.tag in ("circle", "text")]
    named = [mark for mark, _ in groupby(mark for mark in marks if mark in ("evaluated", "bandname"))]
    assert named == ["evaluated", "bandname"] * 2, "the wide chart and the narrow one"


def test_a_page_of_a_past_month_is_of_that_month(busy: Ledger, tmp_path: Path) -> None:
    september, now = page_of(busy, tmp_path, "--until", OCTOBER), page_of(busy, tmp_path)
    assert september.cards()["tier at the end of 2024-09-30"] == ["no tier"]
    assert [value[0] for name, value in now.cards().items() if name.startswith("tier on 2024-10-")] == ["VIP3"]
    assert "Grants" in now.tables()
    assert not {"Grants", "Evaluations", "Flags and bans"} & september.tables().keys()
    assert "2024-10" not in "".join(row["day"] for row in september.tables()["Volume by day"].rows)
    october = page_of(busy, tmp_path, "--from", OCTOBER, "--until", "2024-10-04")
    assert {"Grants"} & october.tables().keys() == set(), "the grant of 4 October begins after it"


def test_without_the_extra_a_page_says_what_to_install(
    busy: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for module in ("pages.environment", "history.page.page"):
        monkeypatch.delitem(sys.modules, f"ledger.tools.{module}", raising=False)
    told = "fee-ledger: this needs the extra tools: pip install 'fee-ledger[tools]'\n"
    done = run_tool("history", "alice", "--html", str(tmp_path / "page.html"), "--address", busy.address)
    assert done == (2, "", told)
    assert list(tmp_path.iterdir()) == []


def test_the_chart_of_fees_shows_a_small_day_beside_a_large_one_and_says_its_scale(
    busy: Ledger, tmp_path: Path
) -> None:
    drawn = fee_chart(Period(0, 10), "USDT", {1: [10**22, -(10**16)], 2: [10**17, 0]}, 1080)
    heights = {mark.tip.partition(":")[0]: float(mark.attributes["height"]) for mark in drawn.marks if mark.tip}
    assert min(heights.values()) >= 2
    rebate = next(mark for mark in drawn.marks if mark.attributes["class"] == "rebate")
    charge = next(mark for mark in drawn.marks if mark.attributes["class"] == "charge")
    zero = float(rebate.attributes["y"])
    assert float(charge.attributes["y"]) + float(charge.attributes["height"]) == pytest.approx(zero, abs=0.2)
    assert "square-root scale" in {mark.words for mark in drawn.marks}
    assert "square-root scale" in page_of(busy, tmp_path).text
