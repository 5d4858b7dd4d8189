"""`fee-ledger history`: every format says the same, to the last digit, and the page shows a whole life."""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from decimal import Decimal
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import duckdb
import pytest

from ledger.domain.instants import DAY_NS
from ledger.program import main
from ledger.programmes import packaged, parse
from ledger.tools.history import command
from ledger.tools.history.files import csv_file, json_lines_file
from ledger.tools.history.page import charts
from ledger.tools.history.page.days import rolling
from ledger.tools.history.parquet import parquet_file
from ledger.tools.pages.drawing import round_ticks
from ledger.tools.pages.words import decimals, percent
from ledger.v1.fill_pb2 import LIQUIDITY_MAKER, TokenPayment
from ledger.v1.query_service_pb2 import ListFeeHistoryRequest
from tests.cli.running import shell
from tests.conftest import NOON_NS, Ledger, at, serving
from tests.e2e.rules.evaluating import DUE_NS, run, trade
from tests.samples import batch, fill, history, state, symbol
from tests.server.calls import send
from tests.server.orders import ban, close, credit, flag, lift, register, tier, unflag, withdraw
from tests.tools.running import Ran
from tests.tools.running import run as run_tool

VOLUME_SCALE: Final = 10**36
FORMATS: Final = ("csv", "jsonl", "parquet", "html")


def run_history(ledger: Ledger, *arguments: str) -> Ran:
    """Run the tool on a ledger."""
    return run_tool("history", *arguments, "--address", ledger.address)


@pytest.fixture(scope="module")
def rich(dsn: str) -> Iterator[Ledger]:
    """A ledger with a rich life of alice, which the tests only read."""
    with serving(dsn, "test_fee_history") as ledger:
        live(ledger)
        yield ledger


def live(ledger: Ledger) -> None:
    """A tier by hand, a rebate, BTC, a token, a ban, a flag, and a fee that an evaluation adjusts."""
    for name in ("XRP_USDT", "XRP_BTC"):
        send(ledger, symbol(name, price_scale=8, quantity_scale=8))
    send(ledger, tier("alice", "VIP3", valid_from=at(NOON_NS), valid_until=at(NOON_NS + DAY_NS)))
    ledger.fills.RecordFills(
        batch(
            fill(last_px="0.12345678", last_qty="7.00000001"),
            fill(last_px="0.6", last_qty="1000", liquidity=LIQUIDITY_MAKER),
            fill(symbol="XRP_BTC", last_px="0.00001", last_qty="33.3"),
            fill(transact_time=at(NOON_NS - DAY_NS), token_payment=TokenPayment(token="BMX", price="0.3")),
        )
    )
    trade(ledger, "600000", at_ns=NOON_NS + 1)
    ledger.clock.now_ns = NOON_NS + DAY_NS
    send(ledger, ban("alice", days=2))
    send(ledger, close("BTC", "2024-10-04", "60000"))
    ledger.clock.now_ns = NOON_NS + 2 * DAY_NS
    send(ledger, flag("alice"))
    send(ledger, lift("alice"))
    ledger.clock.now_ns = NOON_NS + 3 * DAY_NS
    send(ledger, unflag("alice"))
    trade(ledger, "10", at_ns=DUE_NS + 5)
    run(ledger)


def paths(folder: Path) -> dict[str, Path]:
    return {name: folder / f"alice.{name}" for name in FORMATS}


def asked(folder: Path) -> list[str]:
    return [word for name, path in paths(folder).items() for word in (f"--{name}", str(path))]


def rows_of_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.fixture(scope="module")
def credited(dsn: str) -> Iterator[Ledger]:
    """A ledger in which alice got 5 USDT back, and 7 that were withdrawn."""
    with serving(dsn, "test_fee_history_credits") as ledger:
        send(ledger, symbol())
        trade(ledger, "500", at_ns=NOON_NS)
        for amount in ("5", "7"):
            answer = send(ledger, credit(amount))
        send(ledger, withdraw(answer.receipt.position))
        yield ledger


def test_a_credit_is_a_row_of_the_table_and_has_a_sum_of_its_own(credited: Ledger) -> None:
    code, out, err = run_history(credited, "alice")
    assert (code, err) == (0, "")
    given, _, taken = [line.split()[4:] for line in out.splitlines() if line.startswith("2024-10-04 00:00:00")]
    assert given == ["credited", "-", "-", "-5", "USDT", "-"]
    assert taken == ["withdrawn", "-", "-", "7", "USDT", "-"]
    assert out.count("OUTAGE by ops-1 and ops-2") == 2
    assert out.count("MISTAKE by ops-1 and ops-2") == 1
    assert "alice: 1 fill and 0 adjustments and 3 credits or withdrawals" in out
    heads, sums = [line.split() for line in out.splitlines() if line.startswith(("fees", "USDT"))][-2:]
    assert heads == ["fees", "charges", "rebates", "credits", "net", "fills"]
    assert sums == ["USDT", "1.25", "0", "-5", "-3.75", "1"]
    assert "control totals: equal to the running totals of the ledger" in out


def test_files_say_of_a_credit_who_gave_it_and_why(credited: Ledger, tmp_path: Path) -> None:
    assert run_history(credited, "alice", *asked(tmp_path))[0] == 0
    _, given, other, taken = rows_of_csv(tmp_path / "alice.csv")
    who = [given[name] for name in ("credit_reason", "credit_asked_by", "credit_approved_by")]
    assert (given["kind"], given["fee_amount"], given["day"], who) == (
        "CREDIT",
        "-5",
        "2024-10-04",
        ["OUTAGE", "ops-1", "ops-2"],
    )
    assert (taken["kind"], taken["credit_position"]) == ("CREDIT_WITHDRAWN", other["position"])
    found = duckdb.sql(f"SELECT sum(fee_amount) FROM '{tmp_path}/alice.parquet'").fetchall()
    assert found == [(Decimal("-3.75"),)]


def test_every_format_has_the_same_entries_and_their_decimal_sum_is_the_ledgers(rich: Ledger, tmp_path: Path) -> None:
    code, out, err = run_history(rich, "alice", *asked(tmp_path))
    assert (code, err) == (0, "")
    assert "control totals: equal to the running totals of the ledger" in out
    rows = rows_of_csv(tmp_path / "alice.csv")
    documents = [json.loads(line) for line in (tmp_path / "alice.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [{name: _text(value) for name, value in one.items()} for one in documents] == [
        {name: value for name, value in row.items() if value} for row in rows
    ]
    found = duckdb.sql(
        f"SELECT exec_id, kind, fee_amount, notional, epoch_ns(transact_time) FROM '{tmp_path}/alice.parquet'"
    )
    lines = history(rich, as_of=at(DUE_NS + 2 * DAY_NS))
    assert found.fetchall() == [
        (
            one.fill_ref.exec_id,
            one.kind,
            Decimal(one.fee_amount),
            Decimal(one.notional),
            one.transact_time.ToNanoseconds(),
        )
        for one in lines
    ]
    assert {row["kind"] for row in rows} == {"FILL", "ADJUSTMENT"}
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[row["fee_currency"]] += Decimal(row["fee_amount"])
    page = send(rich, ListFeeHistoryRequest(account_id="alice"))
    assert {one.currency: Decimal(one.net) for one in page.totals} == sums
    assert set(sums) == {"USDT", "BTC", "BMX"}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_a_table_shows_what_each_fee_rests_on_and_the_sums(rich: Ledger) -> None:
    code, out, _ = run_history(rich, "alice")
    assert code == 0
    shown = [line.split() for line in out.replace("\n   ", "").splitlines()]  # a row goes on in an indented line
    (rebate,) = (words for words in shown if words[4:6] == ["buy", "maker"])
    assert rebate[-8:] == ["-0.006", "USDT", "-0.001", "TIER", "VIP3", "g1", "MANUAL", "A"]
    (adjusted,) = (words for words in shown if "adjusted" in words)
    assert adjusted[-8:] == ["-0.021", "USDT", "0.04", "TIER", "VIP2", "g2", "EVALUATION", "A"]
    assert out.splitlines()[-1] == "control totals: equal to the running totals of the ledger"


def test_a_decimal_that_no_double_holds_comes_back_from_parquet_and_one_too_wide_is_text(
    ledger: Ledger, tmp_path: Path
) -> None:
    send(ledger, symbol(price_scale=18, quantity_scale=18))
    price, quantity = "12345678901234567.890123456789012345", "0.000000000000000001"
    ledger.fills.RecordFills(batch(fill(last_px=price, last_qty=quantity), fill(last_px="1", last_qty="2")))
    path = tmp_path / "fees.parquet"
    code, _, err = run_history(ledger, "alice", "--parquet", str(path))
    assert code == 0
    why = "notional is a column of texts, as DECIMAL(38,18) does not hold each of its values"
    assert err == f"fee-ledger: {path}: {why}\n"
    found = duckdb.sql(
        f"SELECT last_px, last_qty, notional, typeof(last_px), typeof(notional) FROM '{path}'"
    ).fetchall()
    exact = "0.012345678901234567890123456789012345"
    assert found[0] == (Decimal(price), Decimal(quantity), exact, "DECIMAL(38,18)", "VARCHAR")
    assert Decimal(float(price)) != Decimal(price)


def test_what_was_known_before_is_written_as_it_was_known(rich: Ledger, tmp_path: Path) -> None:
    path, lines = tmp_path / "then.csv", history(rich, as_of=at(DUE_NS + DAY_NS))
    position = max(line.line_ref.position for line in lines) - 1
    assert run_history(rich, "alice", "--known-at", str(position), "--csv", str(path))[0] == 0
    assert [row["kind"] for row in rows_of_csv(path)] == ["FILL"] * (len(lines) - 1), "not adjusted yet"
    assert run_history(rich, "alice", "--as-of", "2024-10-03T12:00:00Z", "--csv", str(path))[0] == 0
    assert [row["day"] for row in rows_of_csv(path)] == ["2024-10-03"]
    assert run_history(rich, "alice", "--as-of", "2024-10-03T11:59:59.999999999Z", "--csv", str(path))[0] == 0
    assert rows_of_csv(path) == []


def test_a_period_is_half_open_and_a_symbol_leaves_the_control_totals_whole(rich: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    period = ("--from", "2024-10-04T12:00:00Z", "--until", "2024-10-04T12:00:00.000000001Z")
    code, out, _ = run_history(rich, "alice", *period, "--symbol", "XRP_BTC", "--csv", str(path))
    assert code == 0
    assert [row["symbol"] for row in rows_of_csv(path)] == ["XRP_BTC"]
    assert "control totals: equal to the running totals of the ledger (of all symbols: 3 fills)" in out


def test_fills_that_arrive_while_pages_are_read_change_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    send(ledger, symbol())
    ledger.fills.RecordFills(batch(*(fill() for _ in range(5))))
    hand = command._hand

    def hand_and_record(lines: Any, outputs: Any) -> None:
        ledger.fills.RecordFills(batch(fill(), fill(transact_time=at(NOON_NS - DAY_NS))))
        hand(lines, outputs)

    monkeypatch.setattr(command, "PAGE_SIZE", 2)
    monkeypatch.setattr(command, "_hand", hand_and_record)
    path = tmp_path / "alice.csv"
    assert run_history(ledger, "alice", "--csv", str(path))[0] == 0
    assert len(rows_of_csv(path)) == 5
    assert len(history(ledger)) >= 5 + 2 * 3, "each of the three pages met more of them"


def test_sums_that_are_not_the_ledgers_are_a_finding(
    rich: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    take = command.Totals.take
    skipped: list[Any] = []

    def take_but_one(totals: Any, line: Any) -> None:
        if line.symbol == "XRP_BTC" and totals not in skipped:
            skipped.append(totals)
            return
        take(totals, line)

    monkeypatch.setattr(command.Totals, "take", take_but_one)
    code, out, _ = run_history(rich, "alice", "--html", str(tmp_path / "alice.html"))
    assert code == 1
    told = [line for line in out.splitlines() if line.startswith("CONTROL_TOTAL_DIFFERS")]
    assert told == [
        "CONTROL_TOTAL_DIFFERS: fees in BTC: none were added up, but the ledger's totals say 0.0000001 0 0.0000001 1",
        "CONTROL_TOTAL_DIFFERS: volume in BTC: none were added up, but the ledger's totals say 0.000333 1",
    ]
    assert "differ" in (tmp_path / "alice.html").read_text(encoding="utf-8")


class _Outside(HTMLParser):
    """Attributes by which a page reaches out of itself."""

    found: list[str]

    def __init__(self) -> None:
        super().__init__()
        self.found = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "img", "iframe", "object", "embed"}:
            self.found.append(tag)
        self.found += [name for name, _ in attrs if name in {"src", "href", "xlink:href", "srcset", "data"}]


def test_the_page_shows_each_grant_ban_and_flag_and_nothing_from_elsewhere(rich: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "alice.html"
    assert run_history(rich, "alice", "--html", str(path))[0] == 0
    page = path.read_text(encoding="utf-8")
    found = state(rich)
    assert (len(found.grants), len(found.bans), len(found.flags)) == (2, 1, 1)
    for grant in found.grants:
        assert f"grant {grant.grant_id}, {grant.tier}" in page
        assert f"<td>{grant.grant_id}</td><td>{grant.tier}</td>" in page
    for name, held in (("ban", found.bans[0].ban_id), ("flag", found.flags[0].flag_id)):
        assert f"{name} {held}, " in page
        assert f"<td>{held}</td>" in page
    outside = _Outside()
    outside.feed(page)
    assert outside.found == []
    assert not re.search(r"https?:|@import|url\(|<script|on(load|click|error)=", page)


def test_every_picture_is_well_formed_and_says_its_units(rich: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "alice.html"
    assert run_history(rich, "alice", "--html", str(path))[0] == 0
    pictures = [ElementTree.fromstring(one) for one in re.findall("<svg.*?</svg>", path.read_text(encoding="utf-8"))]
    titles = [one.findtext("title") or "" for one in pictures]
    assert titles[::2] == titles[1::2], "one for a desk and one for a phone"
    assert any("Volume of the past 30 days" in title for title in titles)
    units = {text.text for one in pictures for text in one.iter("text") if text.get("class") == "unit"}
    assert {"USDT", "USDT per day", "BTC per day", "BMX per day", "% of the notional in USDT", "2024"} <= units
    evaluated = [one for picture in pictures for one in picture.iter("circle") if one.get("class") == "evaluated"]
    assert len(evaluated) == 2


def test_a_period_of_the_page_starts_with_the_volume_of_the_days_before(rich: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "alice.html"
    assert run_history(rich, "alice", "--from", "2024-10-08", "--html", str(path))[0] == 0
    assert "2024-10-08: 600,6" in path.read_text(encoding="utf-8")


def test_an_account_without_fills_gets_a_page_that_says_so_kindly(ledger: Ledger, tmp_path: Path) -> None:
    send(ledger, register("newcomer"))
    code, out, err = run_history(ledger, "newcomer", *asked(tmp_path))
    assert (code, err) == (0, "")
    page = (tmp_path / "alice.html").read_text(encoding="utf-8")
    assert "Nothing was traded yet" in page
    assert "As soon as a fill is recorded" in page
    assert "<svg" not in page
    assert "newcomer: 0 fills and 0 adjustments" in out
    assert rows_of_csv(tmp_path / "alice.csv") == []
    assert duckdb.sql(f"SELECT count(*) FROM '{tmp_path}/alice.parquet'").fetchall() == [(0,)]


def test_an_account_nobody_heard_of_is_one_line_and_no_file(ledger: Ledger, tmp_path: Path) -> None:
    position = ledger.log.head().position
    code, out, err = run_history(ledger, "alcie", *asked(tmp_path))
    assert (code, out) == (2, "")
    assert err == f"fee-ledger: the ledger had not heard of alcie at position {position}: check the name\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [csv_file, json_lines_file, parquet_file])
def test_a_file_is_never_half_there(kind: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "fees"
    path.write_text("as it was", encoding="utf-8")
    more = (print,) if kind is parquet_file else ()
    writing = kind(path, *more)
    writing.__enter__()
    assert len(list(tmp_path.iterdir())) > 1
    stop = KeyboardInterrupt()
    assert not writing.__exit__(KeyboardInterrupt, stop, None)
    assert [(one.name, one.read_text(encoding="utf-8")) for one in tmp_path.iterdir()] == [("fees", "as it was")]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (
            ("alice", "--csv", "/no/such/folder/f"),
            "fee-ledger history: argument --csv: '/no/such/folder/f' lies in no folder there is",
        ),
        (("alice", "--html", "/"), "fee-ledger history: argument --html: '/' is a folder"),
        (("alice", "--csv", "f", "--jsonl", "./f"), "fee-ledger: two files of this run are to be the same one"),
        (("a/b",), "fee-ledger history: argument ACCOUNT: 'a/b' does not match"),
        (("alice", "--from", "soon"), "fee-ledger history: argument --from: 'soon' is no time"),
        (("alice", "--from", "2024-10-05", "--until", "2024-10-05"), "INTERVAL_EMPTY: "),
        (("alice", "--programme", "none-such"), "PROGRAMME_UNKNOWN: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_done_is_one_line_and_2(rich: Ledger, arguments: tuple[str, ...], why: str) -> None:
    code, out, err = run_history(rich, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(why)


def test_without_a_ledger_it_says_how_to_get_one() -> None:
    code, out, err = run_tool("history", "alice", "--address", "127.0.0.1:1")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "start one with `fee-ledger serve`" in err


def test_json_lines_are_printed_as_they_are_written(rich: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "alice.jsonl"
    assert run_history(rich, "alice", "--jsonl", str(path))[0] == 0
    assert run_history(rich, "alice", "--json") == (0, path.read_text(encoding="utf-8"), "")


def test_parquet_without_duckdb_says_what_to_install(
    rich: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    monkeypatch.delitem(sys.modules, "ledger.tools.history.parquet")
    told = "fee-ledger: this needs the extra tools: pip install 'fee-ledger[tools]'\n"
    paths = ("--csv", str(tmp_path / "f.csv"), "--parquet", str(tmp_path / "f.parquet"))
    assert run_history(rich, "alice", *paths) == (2, "", told)
    assert list(tmp_path.iterdir()) == []
    assert run_history(rich, "alice", *paths[:2])[0] == 0


def test_a_file_is_whole_even_if_nobody_reads_the_table_to_its_end(rich: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "alice.csv"
    for more in ("--table", "--json"):
        path.unlink(missing_ok=True)
        with shell("history", "alice", more, "--csv", str(path), "--address", rich.address) as process:
            assert process.stdout is not None
            process.stdout.close()
            assert process.wait(timeout=60) == 0
            assert process.stderr is not None
            assert process.stderr.read() == ""
        assert len(rows_of_csv(path)) == len(history(rich, as_of=at(DUE_NS + 2 * DAY_NS)))


def test_a_full_disk_is_told_with_the_files_that_were_written(
    rich: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "_hand", full)
    path = tmp_path / "alice.csv"
    told = f"fee-ledger: {path} cannot be used: No space left on device\n"
    assert run_history(rich, "alice", "--csv", str(path)) == (2, "", told)
    assert list(tmp_path.iterdir()) == []


def test_a_day_counts_for_thirty_days_and_no_longer() -> None:
    rolled = rolling({100: 5, 110: 7}, range(99, 142), 30)
    shown = [rolled[day] for day in (99, 100, 109, 110, 129, 130, 139, 140)]
    assert shown == [0, 5, 5, 12, 12, 7, 7, 0]
    assert rolling({100: 5}, range(129, 131), 30) == {129: 5, 130: 0}


def test_every_band_is_as_high_as_the_next_and_a_volume_on_its_edge_lies_on_its_line() -> None:
    frame = charts.Period(0, 10).frame(500, 440, top=20)
    scale = charts.BandScale(parse(packaged()), 2_000_000 * VOLUME_SCALE, frame)
    assert [name for name, _ in scale.bands] == ["", "VIP1", "VIP2", "VIP3", "VIP4"]
    lines = [scale.y(least) for _, least in scale.bands]
    assert [round(low - high, 6) for low, high in pairwise(lines)] == [76.0] * 4
    assert scale.y(0) == frame.floor
    assert scale.y(2_000_000 * VOLUME_SCALE) == lines[3] < scale.y(2_000_000 * VOLUME_SCALE - VOLUME_SCALE)
    below = charts.BandScale(parse(packaged()), 2_000_000 * VOLUME_SCALE - 1, frame)
    assert [name for name, _ in below.bands] == ["", "VIP1", "VIP2", "VIP3"]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 4, [0, 1, 2, 3, 4]),
        (-1, 90, [-50, 0, 50, 100]),
        (0, 0, [0, 0.5]),
        (-0.0009, 0, [-0.001, -0.0005, 0]),
    ],
)
def test_ticks_are_round_and_hold_every_value(low: float, high: float, ticks: list[float]) -> None:
    found = round_ticks(float(low), float(high), 4)
    assert found[: len(ticks)] == pytest.approx(ticks)
    assert len(found) > 1, "a scale has a height"
    assert found[0] <= low <= high <= found[-1]


@pytest.mark.parametrize(
    ("fraction", "shown"), [("-0.00001", "-0.001 %"), ("0", "0 %"), ("0.0025", "0.25 %"), ("0.000001", "0.0001 %")]
)
def test_a_rate_is_shown_in_percent_to_its_last_digit(fraction: str, shown: str) -> None:
    assert percent(fraction) == shown


@pytest.mark.parametrize(
    ("amount", "shown"), [(-(10**11), "-0.0000001"), (0, "0"), (1_234_567 * 10**18 + 1, "1,234,567.000000000000000001")]
)
def test_an_amount_has_its_thousands_apart_and_every_digit(amount: int, shown: str) -> None:
    assert decimals(amount, 18) == shown


def test_ctrl_c_says_what_is_kept(rich: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "fees.csv"
    path.write_text("as it was", encoding="utf-8")
    monkeypatch.setattr(command, "_hand", interrupted)
    told = "fee-ledger: interrupted: each file is either whole or as it was before; run the same command again\n"
    assert run_history(rich, "alice", "--csv", str(path)) == (130, "", told)
    assert [one.read_text(encoding="utf-8") for one in tmp_path.iterdir()] == ["as it was"]


def test_a_parquet_file_may_have_any_name(rich: Ledger, tmp_path: Path) -> None:
    path = tmp_path / "it's [a]*?.parquet"
    assert run_history(rich, "alice", "--parquet", str(path)).code == 0
    assert sorted(tmp_path.iterdir()) == [path]
    assert path.read_bytes()[:4] == b"PAR1"


def test_sums_that_differ_are_the_exit_code_also_when_nobody_reads_them(
    rich: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command.Totals, "differences", lambda *_: ["fees in BTC"])
    reading, writing = os.pipe()
    os.close(reading)
    path = tmp_path / "alice.csv"
    with os.fdopen(writing, "w") as unread, redirect_stdout(unread):
        assert main(["history", "alice", "--csv", str(path), "--table", "--address", rich.address]) == 1
    assert path.read_text(encoding="utf-8").count("\n") > 2
