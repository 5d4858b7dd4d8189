"""Hostile files: SQL in names, names that mean something to a shell or to duckdb, and sizes that take all memory."""

from __future__ import annotations

import gzip
import os
import resource
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
import pytest

from ledger.tools.duck.database import open_database
from tests.tools import running
from tests.tools.engine_files.conftest import Reconcile

HEADER = "exec_id,transact_time,symbol,side,last_px,last_qty,fee_amount,fee_currency"
FILLS = "".join(f"Q{number},2024-01-31T12:32:16.944Z,XRP_USDT,SELL,0.6,1000,1.5,USDT\n" for number in (1, 2, 3))
CSV = f"{HEADER}\n{FILLS}"
CHOSEN = (
    "unnest(['Q1', 'Q2', 'Q3']) AS exec_id, '2024-01-31T12:32:16.944Z' AS transact_time, 'XRP_USDT' AS symbol,"
    " 'SELL' AS side, 0.6 AS last_px, 1000 AS last_qty, 1.5::DECIMAL(38,18) AS fee_amount, 'USDT' AS fee_currency"
)


def parquet(file: Path, *more: str) -> Path:
    with duckdb.connect() as connection:
        named = str(file).replace("'", "''")
        connection.execute(f"COPY (SELECT {', '.join([CHOSEN, *more])}) TO '{named}' (FORMAT parquet)")
    return file


@pytest.mark.parametrize("kind", ["struct", "column", "field"])
def test_sql_in_the_name_of_a_column_is_a_name(reconcile: Reconcile, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "pwned"
    attack = f"x\".* FROM (SELECT 1); COPY (SELECT 'pwned') TO '{target}'; SELECT \"x"
    quoted = '"' + attack.replace('"', '""') + '"'
    more = {
        "struct": f"{{'a': 1}} AS {quoted}",
        "column": f"'1' AS {quoted}",
        "field": f"struct_pack({quoted} := 'O1') AS info",
    }[kind]
    file = parquet(tmp_path / "fills.parquet", more)
    found = reconcile(file, "--account", "r1")
    assert (found.code, found.kinds) == (0, {})
    theirs = {"struct": f"{attack}.a", "column": attack, "field": f"info.{attack}"}[kind].replace(",", "")
    reconcile(file, "--account", "r1", "--columns", f"order_id={theirs}")
    assert not target.exists()


def test_a_name_is_that_of_one_file(reconcile: Reconcile, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("no fills")
    (tmp_path / "whata.csv").write_text("no fills")
    files = [tmp_path / name for name in ("it's.csv", "a*.csv", "[ab].csv", "what?.csv", 'q"q;.csv', "ü\n.csv")]
    for file in files:
        file.write_text(CSV)
    packed = tmp_path / "a[*]'s.csv.gz"
    packed.write_bytes(gzip.compress(CSV.encode()))
    found = reconcile(*files, packed, parquet(tmp_path / "a[*]'s.parquet"), "--account", "r1")
    assert (found.code, found.kinds) == (1, {"DUPLICATE": 3})
    assert [one["engine"] for one in found.breaks] == ["8 times"] * 3


@pytest.mark.parametrize("name", ["it's.jsonl", "a*[1].jsonl"])
def test_the_state_lies_in_the_file_of_its_name(reconcile: Reconcile, tmp_path: Path, name: str) -> None:
    file, state = tmp_path / "fills.csv", tmp_path / name
    file.write_text(CSV.replace("1.5", "1.6", 1))
    assert [one["status"] for one in reconcile(file, "--account", "r1", "--state", state).breaks] == ["NEW"]
    assert [one["status"] for one in reconcile(file, "--account", "r1", "--state", state).breaks] == ["KNOWN"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([file.name, name])


def test_only_a_regular_file_is_read(reconcile: Reconcile, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    for file, why in (
        (pipe, "is no regular file: write it to one first"),
        ("/dev/stdin", "is no regular file: write it to one first"),
        ("/dev/zero", "is no regular file: write it to one first"),
        (tmp_path, "is a folder"),
        ("s3://bucket/fills.csv", "there is no such file"),
        ("https://127.0.0.1:9/fills.parquet", "there is no such file"),
        ("nul\0.csv", "there is no such file"),
    ):
        assert why in reconcile(file, "--format", "csv").fault
        told = running.run("import", file, "--symbol", "XRP_ETH", "--dry-run")
        assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
        assert why in told.err


def test_the_database_reaches_its_folder_and_the_files_it_was_opened_for(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours.csv", tmp_path / "other.csv"
    for file in (ours, other):
        file.write_text("a\n1\n")
    with open_database(None, 500, 1, [ours]) as database:
        assert database.all(f"SELECT * FROM read_csv('{database.entrance(ours)}')") == [(1,)]
        for statement in (
            f"SELECT * FROM read_csv('{other}')",
            f"SELECT * FROM read_csv('{database.entrance(other)}')",
            f"COPY (SELECT 1) TO '{tmp_path}/out'",
            f"ATTACH '{tmp_path}/db'",
            "LOAD httpfs",
            "SET enable_external_access = true",
            "SET memory_limit = '100GB'",
            "SELECT * FROM glob('/etc/*')",
        ):
            with pytest.raises(duckdb.Error, match=r"disabled|locked"):
                database.run(statement)


def _bomb(file: Path, parts: Iterable[bytes]) -> Path:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    with file.open("wb") as out:
        for part in parts:
            out.write(packer.compress(part))
        out.write(packer.flush())
    return file


def _sparse(file: Path, size: int, start: bytes = b"") -> Path:
    with file.open("wb") as out:
        out.write(start)
        out.truncate(size)
    return file


GIB, MIB = 1 << 30, 1 << 20


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    zeros, spaces = [bytes(MIB)] * 3, [b" " * MIB] * 3
    rows = [FILLS.encode() * 8_000] * 70
    yield _bomb(folder / "rows.csv.gz", [HEADER.encode() + b"\n", *rows]), "unpacks to more than 250 times its size"
    yield _bomb(folder / "zeros.json.gz", [b"[", *zeros]), "no JSON"
    yield _bomb(folder / "spaces.json.gz", [b"[", *spaces]), "takes more than 1 MiB, as no fill does"
    yield _bomb(folder / "line.csv.gz", zeros), "the line has more than 1 MiB"
    yield _sparse(folder / "line.csv", 64 * MIB, CSV.encode()), ":5: has a NUL"
    yield _sparse(folder / "header.csv", 64 * MIB), ":1: the line has more than 1 MiB"
    yield _sparse(folder / "huge.csv", 17 * GIB, CSV.encode()), "has more than 16 GiB"
    cell = folder / "cell.json"
    with cell.open("wb") as out:
        out.write(b'[{"exec_id":"')
        for _ in range(2):
            out.write(b"x" * MIB)
    yield cell, "takes more than 1 MiB, as no fill does"
    deep, wide = folder / "deep.json", folder / "wide.csv"
    deep.write_text("[" * 100_000)
    yield deep, "nested more than 32 deep"
    deep = folder / "deep.jsonl"
    deep.write_text('{"a":' * 100_000)
    yield deep, "nested more than 32 deep"
    wide.write_text(",".join(f"c{number}" for number in range(100_000)))
    yield wide, "has 100,000 columns, at most 1,000 are read"
    wide = folder / "wider.csv"
    wide.write_text(",".join(f"c{number}" for number in range(1_000_000)))
    yield wide, ":1: the line has more than 1 MiB"
    long = folder / "long.csv"
    long.write_text(f"{CSV}{'x' * 20_000},2024-01-31T12:32:16.944Z,XRP_USDT,SELL,0.6,1000,1.5,USDT\n")
    yield long, ":5: column exec_id: 'xxxxxxxx"


def test_what_is_too_large_is_refused_before_it_is_built(reconcile: Reconcile, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for file, why in _files(tmp_path):
        assert why in reconcile(file, "--account", "r1").fault
        file.unlink()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024  # kB


def test_parquet_of_absurd_shapes_is_refused(reconcile: Reconcile, tmp_path: Path) -> None:
    cells = "repeat('x', 100000000) AS order_id"
    for more, why in (
        (cells, "column order_id: 'xxxx"),
        ("[[['x']]] AS order_id", "column order_id is a list: write text, or JSON lines instead"),
        ("{'a': {'b': 1}} AS order_id", "column order_id is a struct"),
        (", ".join(f"1 AS c{number}" for number in range(1_100)), "has more than 1,000 columns"),
        ("'O' AS order_id, 'P' AS ORDER_ID_1", ""),
    ):
        found = reconcile(parquet(tmp_path / "fills.parquet", more), "--account", "r1")
        assert (found.code, found.err.count("\n")) == ((2, 1) if why else (1, 0))
        assert why in found.err


@pytest.mark.parametrize("size", [0, 4, 8, 100])
def test_a_cut_parquet_file_is_one_line(reconcile: Reconcile, tmp_path: Path, size: int) -> None:
    file = parquet(tmp_path / "fills.parquet")
    file.write_bytes(file.read_bytes()[:size])
    assert reconcile(file, "--account", "r1").fault.startswith(str(file))


def test_a_tape_is_bounded_by_the_same_limits(tmp_path: Path) -> None:
    for file, why in (
        (_bomb(tmp_path / "zeros.gz", [b"time_ms,id,side,price,amount\n", *[bytes(MIB)] * 3]), "has more than 1 MiB"),
        (_bomb(tmp_path / "spaces.gz", [b"[", *[b" " * MIB] * 3]), "takes more than 1 MiB"),
        (_sparse(tmp_path / "line", 64 * MIB, b"time_ms,id,side,price,amount\n"), ":2: the line has more than 1 MiB"),
    ):
        told = running.run("import", file, "--symbol", "XRP_ETH", "--dry-run")
        assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
        assert why in told.err
