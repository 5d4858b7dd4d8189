"""docs/operations: what its pages say of releases and knobs is so."""

from __future__ import annotations

import re
from typing import Final

import psycopg
import pytest

from ledger.config import Config
from ledger.domain.state import held
from ledger.fills import days as days_held
from ledger.store.migration import missing_migrations
from projections.tables.tables import TABLES_VERSION, standing_statement
from tests.docs.pages import ROOT, code, rows
from tests.kept.kept import load, releases

FOLDER: Final = "docs/operations"
UPGRADES: Final = {cells[0]: cells[1:] for cells in rows(f"{FOLDER}/upgrade.md", r"\d+\.\d+\.\d+")}


def text(page: str) -> str:
    """Return a page as one line."""
    return " ".join((ROOT / FOLDER / page).read_text().split())


def test_an_upgrade_is_told_from_each_release() -> None:
    assert list(UPGRADES) == releases()


@pytest.mark.parametrize("release", releases())
def test_an_upgrade_adds_to_the_log_and_makes_tables_anew_as_the_page_says(release: str, dsn: str, schema: str) -> None:
    log, tables = UPGRADES[release]
    load(dsn, release, schema)
    with psycopg.connect(dsn) as connection:
        assert missing_migrations(connection, schema) == code(log)
        row = connection.execute(standing_statement(schema)).fetchone()
    assert row is not None
    assert tables == ("nothing" if row[1] == TABLES_VERSION else "made anew")


def test_how_long_nobody_writes_is_what_the_knobs_say() -> None:
    page, config = text("fail-over.md"), Config()
    assert f"`writer_silent_ms_max` is {config.writer_silent_ms_max // 1000} s" in page
    assert config.standby_poll_ms + config.lease_ms < 1_000  # "about a second"


def test_the_days_and_the_accounts_that_the_defaults_hold_are_those_of_the_page() -> None:
    page, config = text("capacity.md"), Config()
    fill, day, fills, days = numbers(page, r"up to (\S+) bytes for each fill .*?and (\S+) for each account-day.*?"
                                           r"holds a day of (\S+) fills over (\S+) accounts")  # fmt: skip
    assert day > days_held._DAY_BYTES
    assert 0.9 < (fills * fill + days * day) / config.account_day_bytes_max <= 1
    half = config.account_state_bytes_max // 2
    member, members = numbers(page, r"takes at most (\S+) bytes in the first half .*?holds\s(\S+) of them")
    assert 0.9 < members * member / half <= 1
    (accounts,) = numbers(page, r"for each tier or ban: (\S+) with a tier")
    assert 0.9 < accounts * (held._STATE + held._GRANT + 2 * held._STANDING) / half <= 1


def numbers(page: str, pattern: str) -> list[int]:
    """Return the numbers that a pattern finds on a page."""
    found = re.search(pattern, page)
    assert found is not None, pattern
    return [int(number.replace(",", "")) for number in found.groups()]


def test_an_engine_may_be_ahead_by_what_the_page_says() -> None:
    assert f"`clock_skew_ms_max` ({Config().clock_skew_ms_max // 1000} s)" in text("clocks.md")


def test_the_unit_restarts_as_its_page_says() -> None:
    unit = (ROOT / "examples/systemd/fee-ledger.service").read_text()
    pause, silent = (re.findall(rf"^{name}=(\d+)s$", unit, re.MULTILINE)[0] for name in ("RestartSec", "WatchdogSec"))
    page = text("systemd.md")
    assert f"each {pause} s, for twenty minutes" in page
    assert f"no sign of life for {silent} s" in page
