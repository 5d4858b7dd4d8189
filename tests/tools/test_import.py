"""A public tape goes into a real ledger, whole and once, whatever happens on the way."""

from __future__ import annotations

import gzip
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import grpc
import pytest

from ledger.v1 import fill_pb2
from ledger.v1.command_service_pb2 import RegisterSymbolResponse
from ledger.v1.command_service_pb2_grpc import CommandServiceServicer, add_CommandServiceServicer_to_server
from ledger.v1.fill_service_pb2 import GetSourcePositionRequest
from ledger.v1.fill_service_pb2_grpc import FillServiceServicer, add_FillServiceServicer_to_server
from ledger.wire.fields import ID
from tests.cli.running import shell
from tests.conftest import Ledger, at
from tests.samples import FOUR_EYES, symbol
from tests.tools import running
from tests.tools.tapes import (
    NOBODY,
    SYMBOL,
    Row,
    as_csv,
    as_json,
    command,
    reckon,
    recorded,
    recorded_lines,
    run,
    source_of,
    summary,
    tape,
)

TRADES = 300
MAY_2015_NS = 1_430_438_400 * 10**9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A JSON tape."""
    path = tmp_path / "trades.json"
    path.write_bytes(as_json(tape(TRADES)))
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize("write", [as_json, as_csv], ids=["JSON", "CSV"])
def test_every_account_pays_what_an_independent_reckoner_says_and_only_once(
    ledger: Ledger, tmp_path: Path, write: Callable[[list[Row]], bytes], pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "a-name-that-tells-nothing"
    path.write_bytes(pack(write(tape(TRADES))))
    first = run(path, ledger.address, "--batch", "77")
    assert (first.code, first.err) == (0, "")
    assert summary(first.out)["fills recorded new"] == str(2 * TRADES)
    assert recorded(ledger.queries) == reckon(path)

    again = run(path, ledger.address)
    assert again.code == 0
    assert summary(again.out)["fills recorded new"] == "0"
    assert summary(again.out)["already there"] == str(2 * TRADES)
    assert summary(again.out)["ledger"] == summary(first.out)["ledger"]
    assert recorded(ledger.queries) == reckon(path)


def test_the_same_trades_out_of_another_file_are_known_fill_by_fill(ledger: Ledger, path: Path, tmp_path: Path) -> None:
    run(path, ledger.address)
    other = tmp_path / "trades.csv"
    other.write_bytes(as_csv(tape(TRADES)))
    found = summary(run(other, ledger.address).out)
    assert (found["fills recorded new"], found["already there"], found["refused"]) == ("0", str(2 * TRADES), "0")


def test_numbers_sides_and_owners_of_both_legs_are_those_of_the_tape(ledger: Ledger, path: Path) -> None:
    output = run(path, ledger.address)
    by_account = recorded_lines(ledger.queries)
    lines = {line.fill_ref.exec_id: line for lines in by_account.values() for line in lines}
    for time_ms, trade_id, side, price, amount, _ in tape(TRADES):
        maker, taker = lines[f"{SYMBOL}-{trade_id}-M"], lines[f"{SYMBOL}-{trade_id}-T"]
        for line in (maker, taker):
            assert (Decimal(line.last_px), Decimal(line.last_qty)) == (Decimal(price), Decimal(amount))
            assert (line.transact_time, line.trade_id) == (at(int(time_ms) * 1_000_000), trade_id)
            assert (line.symbol, line.channel, line.basis.pair_class) == (SYMBOL, fill_pb2.CHANNEL_API, "C")
        assert (maker.liquidity, taker.liquidity) == (fill_pb2.LIQUIDITY_MAKER, fill_pb2.LIQUIDITY_TAKER)
        sides = (fill_pb2.SIDE_SELL, fill_pb2.SIDE_BUY)
        assert (maker.side, taker.side) == (sides if side == "buy" else sides[::-1])
        assert taker.counterparty_owner_id == maker.fill_ref.account_id
        assert maker.counterparty_owner_id == taker.fill_ref.account_id
        assert maker.self_trade == taker.self_trade == (maker.fill_ref.account_id == taker.fill_ref.account_id)
        assert (maker.sequence + 1, taker.sequence % 2) == (taker.sequence, 0)
    self_trades = sum(line.self_trade for line in lines.values()) // 2
    assert self_trades > 0
    assert summary(output.out)["self-trades"] == str(self_trades)


def test_costs_are_compared_exactly_and_never_used(path: Path) -> None:
    differences = [
        abs(Decimal(cost) - Decimal(price) * Decimal(amount)) for _, _, _, price, amount, cost in tape(TRADES)
    ]
    off = [difference for difference in differences if difference]
    found = summary(run(path, NOBODY, "--dry-run").out)["cost differences"]
    count, _, largest = found.partition(", at most ")
    assert int(count) == len(off)
    assert Decimal(largest.partition(" ")[0]) == max(off) == Decimal("0.000000000000000064")


def test_one_account_is_no_plural(path: Path) -> None:
    assert summary(run(path, NOBODY, "--dry-run", "--accounts", "1").out)["fills to send"] == "600 of 1 account"


def test_the_source_is_an_id_and_changes_with_the_content_the_symbol_and_the_accounts(
    path: Path, tmp_path: Path
) -> None:
    def source(path: Path, *more: str) -> str:
        return summary(running.run("import", str(path), "--symbol", SYMBOL, "--dry-run", *more).out)["source"]

    packed, other = tmp_path / "packed", tmp_path / "other"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    other.write_bytes(as_json(tape(TRADES, seed=2)))
    sources = {source(path), source(other)}
    for more in (["--symbol", "XRP_BTC"], ["--accounts", "8"], ["--venue", "elsewhere"], ["--attempt", "2"]):
        sources.add(source(path, *more))
    assert len(sources) == 6
    assert all(ID.fullmatch(name) for name in sources)
    assert source(packed) == source(path)


def test_ctrl_c_half_way_loses_nothing_and_the_next_run_goes_on(ledger: Ledger, path: Path) -> None:
    request = GetSourcePositionRequest(source=source_of(path))
    with shell(*command(path, ledger.address, "--batch", "1")) as process:
        try:
            while ledger.fills.GetSourcePosition(request).last_sequence < TRADES // 2:
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, output) == (130, "")
    assert errors.count("\n") == 1
    assert "run the same command again" in errors
    done = ledger.fills.GetSourcePosition(request).last_sequence
    assert 0 < done < 2 * TRADES

    found = summary(run(path, ledger.address).out)
    assert found["fills recorded new"] == str(2 * TRADES - done)
    assert recorded(ledger.queries) == reckon(path)


def test_fills_too_fine_for_the_symbol_are_shown_and_sent_again_when_asked(ledger: Ledger, path: Path) -> None:
    ledger.commands.RegisterSymbol(symbol(SYMBOL, pair_class="C", price_scale=9, quantity_scale=2))
    fine = 2 * sum(amount in ("12.345", "0.00000001") for *_, amount, _ in tape(TRADES))
    first = run(path, ledger.address)
    assert first.code == 1
    assert summary(first.out)["refused"] == str(fine)
    assert summary(first.out)["fills recorded new"] == str(2 * TRADES - fine)
    assert first.out.count(" QUANTITY_TOO_FINE: ") == 5
    assert f"... and {fine - 5} more refused" in first.out
    assert "registered with fewer decimals" in first.out
    assert first.err.count("\n") == 1
    assert "is registered already" in first.err

    for attempt in ("1", "2"):
        again = run(path, ledger.address, "--attempt", attempt)
        assert again.code == 1, "a fill of the file is not in the ledger"
        assert again.out.count(" QUANTITY_TOO_FINE: ") == 5
        assert "registered with fewer decimals" in again.out
        found = summary(again.out)
        assert (found["refused"], found["already there"]) == (str(fine), str(2 * TRADES - fine))


SAME_ID = b"""\
time_ms,id,side,price,amount
1554391994478,1,buy,0.5,100
1554391994999,1,sell,0.6,50
1554391995999,2,sell,0.6,50
1554391994478,1,buy,0.5,100
"""


def test_an_id_that_stands_twice_with_other_content_is_named_by_line_at_every_run(
    ledger: Ledger, tmp_path: Path
) -> None:
    path = tmp_path / "same-id.csv"
    path.write_bytes(SAME_ID)
    first = run(path, ledger.address)
    head = ledger.log.head()
    again = [run(path, ledger.address) for _ in range(2)]
    for ran in (first, *again):
        assert ran.code == 1
        assert summary(ran.out)["refused"] == "2", "the same trade again is no refusal"
        assert "line 3: id 1 stands in line 2 with another time_ms, taker_side, price, amount\n" in ran.out
        assert [line[: line.index(": ")] for line in ran.out.splitlines() if "FILL_CONFLICT" in line] == [
            f"refused line 3, {SYMBOL}-1-{letter}" for letter in "MT"
        ]
    assert [summary(ran.out)["already there"] for ran in (first, *again)] == ["2", "6", "6"]
    assert ledger.log.head() == head, "a second run left something in the log"
    assert "line 3: id 1 stands in line 2 with another" in run(path, NOBODY, "--dry-run").out


def test_what_was_refused_once_and_is_in_the_ledger_since_is_no_refusal_any_more(
    ledger: Ledger, tmp_path: Path
) -> None:
    fine = tmp_path / "fine.csv"
    traded_ns = ledger.clock.now_ns + 5 * 10**9
    fine.write_text(f"time_ms,id,side,price,amount\n{traded_ns // 10**6},1,buy,0.5,0.001\n")
    ledger.commands.RegisterSymbol(symbol(SYMBOL, pair_class="C", quantity_scale=2))
    assert run(fine, ledger.address).code == 1
    finer = symbol(SYMBOL, quantity_scale=3, valid_from=at(traded_ns - 10**9), authority=FOUR_EYES)
    ledger.commands.RegisterSymbol(finer)
    assert run(fine, ledger.address).code == 1, "its numbers stay refused"
    assert run(fine, ledger.address, "--attempt", "2").code == 0
    again = run(fine, ledger.address)
    assert (again.code, summary(again.out)["already there"], summary(again.out)["refused"]) == (0, "2", "0")


def test_a_fill_of_the_same_name_and_other_content_is_not_the_fill_of_the_file(ledger: Ledger, tmp_path: Path) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_bytes(b"time_ms,id,side,price,amount\n1554391994478,1,buy,0.5,1\n")
    other.write_bytes(b"time_ms,id,side,price,amount\n1554391994478,1,buy,0.5,2\n")
    assert run(one, ledger.address).code == 0
    assert [run(other, ledger.address, "--attempt", attempt).code for attempt in "1122"] == [1] * 4
    assert run(one, ledger.address).code == 0


class ForgetfulFills(FillServiceServicer):
    """Passes batches on to a ledger, and loses its first answer to each."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._sent: set[int] = set()

    def GetSourcePosition(self, request: Any, context: Any) -> Any:
        return self._ledger.fills.GetSourcePosition(request)

    def RecordFills(self, request: Any, context: Any) -> Any:
        answer = self._ledger.fills.RecordFills(request)
        if request.first_sequence not in self._sent:
            self._sent.add(request.first_sequence)
            context.abort(grpc.StatusCode.UNAVAILABLE, "the answer was lost")
        return answer


class NoCommands(CommandServiceServicer):
    """Takes every symbol and does nothing."""

    def RegisterSymbol(self, request: Any, context: Any) -> Any:
        return RegisterSymbolResponse()


@pytest.fixture
def forgetful(ledger: Ledger) -> Iterator[str]:
    """Address of a service that loses answers."""
    server = grpc.server(ThreadPoolExecutor(2))
    add_FillServiceServicer_to_server(ForgetfulFills(ledger), server)
    add_CommandServiceServicer_to_server(NoCommands(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_a_lost_answer_neither_doubles_a_fill_nor_hides_a_refusal(ledger: Ledger, forgetful: str, path: Path) -> None:
    ledger.commands.RegisterSymbol(symbol(SYMBOL, pair_class="C", price_scale=9, quantity_scale=2))
    fine = 2 * sum(amount in ("12.345", "0.00000001") for *_, amount, _ in tape(TRADES))
    output = run(path, forgetful, "--batch", "250")
    found = summary(output.out)
    assert output.code == 1
    assert (found["refused"], found["already there"]) == (str(fine), str(2 * TRADES - fine))
    assert sum(len(lines) for lines in recorded_lines(ledger.queries).values()) == 2 * TRADES - fine


GOOD = b'[1570752011620,"1",null,"sell",0.00141342,23.0,0.03250866]'
HEADER = b"time_ms,id,side,price,amount,cost\n"

BAD = {
    "empty": (b"", "no header: the first line names the columns"),
    "words": (b"hello\nworld\n", "neither a JSON list nor CSV"),
    "not text": (b"\xff\xfe\x00\x01", "can't decode byte"),
    "truncated gzip": (gzip.compress(as_json(tape(50)))[:-20], "the gzip file is truncated"),
    "damaged gzip": (gzip.compress(b"[" + GOOD + b"]")[:-8] + bytes(8), "the gzip file is damaged"),
    "truncated JSON": (b"[" + GOOD + b",[15707", ":2: no JSON: parse error: premature EOF"),
    "deep JSON": (b"[" * 200_000, ":1: nested more than 32 deep"),
    "object": (b'{"trades": []}', "row 1: not a list [time_ms"),
    "no trade": (b"[]", "it holds no trade"),
    "no row": (b"[" + GOOD + b",7]", "row 2: not a list [time_ms, id, type, side, price, amount, cost]"),
    "short row": (b"[" + GOOD + b",[1570752011620]]", "row 2: not a list"),
    "time in seconds": (b'[[1570752011,"1",null,"sell",1,2,2]]', "row 1: time_ms '1570752011' is not in milli"),
    "time is no number": (b'[["now","1",null,"sell",1,2,2]]', "row 1: time_ms 'now'"),
    "id is a list": (b'[[1570752011620,[],null,"sell",1,2,2]]', "row 1: id is not a number or text"),
    "id with a space": (b'[[1570752011620,"1 2",null,"sell",1,2,2]]', "row 1: id '1 2' does not match"),
    "id too long": (b'[[1570752011620,"' + b"1" * 60 + b'",null,"sell",1,2,2]]', "row 1: id 1111"),
    "no side": (b"[[1570752011620,1,null,null,1,2,2]]", "row 1: side is missing"),
    "strange side": (b'[[1570752011620,1,null,"short",1,2,2]]', "row 1: side 'short' is neither buy nor sell"),
    "no price": (b'[[1570752011620,1,null,"sell",null,2,2]]', "row 1: price is missing"),
    "price is true": (b'[[1570752011620,1,null,"sell",true,2,2]]', "row 1: price is not a number or text"),
    "zero price": (b'[[1570752011620,1,null,"sell",0e-7,2,2]]', "row 1: price '0E-7' is not greater than zero"),
    "price too fine": (b'[[1570752011620,1,null,"sell",1e-19,2,2]]', "row 1: price '1E-19' has more than 20 digits"),
    "price too large": (b'[[1570752011620,1,null,"sell",1e20,2,2]]', "row 1: price '1E+20' has more than 20 digits"),
    "price out of this world": (b'[[1570752011620,1,null,"sell",1e9999999,2,2]]', "row 1: price '1E+9999999' is not"),
    "NaN": (b'[[1570752011620,1,null,"sell",1,NaN,2]]', ":1: no JSON: lexical error: invalid char in json text"),
    "infinity": (
        b'[[1570752011620,1,null,"sell",1,Infinity,2]]',
        ":1: no JSON: lexical error: invalid char in json text",
    ),
    "negative amount": (b"[" + GOOD.replace(b"23.0", b"-23.0") + b"]", "row 1: amount '-23.0' is not greater"),
    "cost is text": (b'[[1570752011620,1,null,"sell",1,2,"much"]]', "row 1: cost 'much' is not a number"),
    "CSV without a column": (b"time_ms,id,side,price\n", "no amount"),
    "CSV without rows": (HEADER, "it holds no trade"),
    "short CSV row": (HEADER + b"1570752011620,1,buy,1\n", "line 2: 4 cells, the header has 6"),
    "long CSV row": (HEADER + b"1570752011620,1,buy,1,2,2,2\n", "line 2: 7 cells, the header has 6"),
    "CSV without a number": (HEADER + b"1570752011620,1,buy,1,,2\n", "line 2: amount is missing"),
    "CSV column twice": (b"time_ms,id,side,price,Price,amount\n", "column price stands 2 times, which is ambiguous"),
    "open CSV quote": (HEADER + b'1570752011620,1,"buy,1,2,2\n', "not CSV"),
    "bad CSV number": (HEADER + b"1570752011620,1,buy,1,2,2\n1570752011621,2,buy,0x10,2,2\n", "line 3: price '0x10'"),
}


@pytest.mark.parametrize(("content", "why"), BAD.values(), ids=BAD.keys())
def test_a_file_that_cannot_be_used_is_named_in_one_line(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "bad"
    path.write_bytes(content)
    output = running.run("import", str(path), "--symbol", SYMBOL, "--address", NOBODY)
    assert (output.code, output.out) == (2, "")
    assert output.err.startswith(f"fee-ledger: {path}:")
    assert why in output.err
    assert output.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nowhere.json", "--symbol", "XRP_ETH"], "nowhere.json: there is no such file"),
        ([".", "--symbol", "XRP_ETH"], ".: is a folder"),
        (["FILE", "--symbol", "XRPETH"], "--symbol 'XRPETH' is not BASE_QUOTE"),
        (["FILE", "--symbol", "XRP_ETH_BTC"], "is not BASE_QUOTE"),
        (["FILE", "--symbol", "XRP_\udcff"], "is not BASE_QUOTE"),
        (["FILE", "--symbol", "X" * 36 + "_Y"], "is not BASE_QUOTE"),
        (["FILE"], "--symbol"),
        (["FILE", "--symbol", "XRP_ETH", "--accounts", "0"], "--accounts"),
        (["FILE", "--symbol", "XRP_ETH", "--batch", "10001"], "--batch"),
        (["FILE", "--symbol", "XRP_ETH", "--address", "here"], "is not HOST:PORT"),
        (["FILE", "--symbol", "XRP_ETH", "--patience", "1", "--address", NOBODY], f"no ledger answers at {NOBODY}"),
    ],
)
def test_what_else_cannot_be_used_is_one_line_too(path: Path, arguments: list[str], why: str) -> None:
    arguments = [str(path) if argument == "FILE" else argument for argument in arguments]
    output = running.run("import", *arguments)
    assert (output.code, output.out) == (2, "")
    assert why in output.err
    assert output.err.count("\n") == 1


def test_what_the_ledger_refuses_as_a_whole_is_one_line_with_its_reason(ledger: Ledger, path: Path) -> None:
    for more, reason in ((["--pair-class", "Z"], "PAIR_CLASS_UNKNOWN"), (["--venue", "elsewhere"], "VENUE_UNKNOWN")):
        output = run(path, ledger.address, *more)
        assert (output.code, output.out) == (2, "")
        assert reason in output.err
        assert output.err.count("\n") == 1
