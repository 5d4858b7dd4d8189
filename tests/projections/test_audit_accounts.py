"""The audit of one account reads by key: the rows of that account, what they rest on, and no others."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.sql import Composed

from ledger.domain.commands import ChangeTier
from ledger.domain.events import Recorded, RepriceStarted, VolumeEvaluated, VolumeRecorded
from ledger.domain.instants import DAY_NS, SECOND_NS
from ledger.domain.streams import account_of, account_stream, kind_and_subject
from ledger.fills import mend
from ledger.writing.messages import GoOnRepricing
from tests.domain.worked import fills
from tests.projections.audited import OF_ACCOUNTS, Copy, audit
from tests.properties.test_replay import OTHER_OWNERS, OWNERS
from tests.store.test_keys import is_a_walk, noting, plan
from tests.write_side import NOON_NS, Writing, ask, record

ONE = "account0"
FAMILY = {name for name, owner in OWNERS.items() if owner == OWNERS[ONE]}  # whom its trials and matches ask about
OTHERS = 20_000  # rows of others that are put beside those of the ledger

# Nobody can read these any more: whoever reads one says so.
UNREADABLE = """
UPDATE LEDGER.events SET state = '\\xff' WHERE split_part(originator_id, '/', 1) = ANY(
    '{account,fees,repricing,source,bounty,promotions}') AND NOT split_part(originator_id, '/', 2) = ANY(%(read)s)
"""
# Each is of an account-day of its own, on the days of the ledger, before and after its accounts by name.
MANY = """
WITH run AS (
    SELECT *, row_number() OVER (ORDER BY notification_id) - 1 AS place, count(*) OVER () AS runs FROM LEDGER.events
    WHERE topic = 'VolumeRecorded'
)
INSERT INTO LEDGER.events (originator_id, originator_version, topic, state, notification_id, time_min_ns, time_max_ns,
    time_max_so_far_ns)
SELECT 'fees/' || (CASE n %% 2 WHEN 0 THEN 'aa' ELSE 'zz' END) || n || '/' || split_part(originator_id, '/', 3),
    last + n, topic, '\\xff', last + n, time_min_ns, time_max_ns, time_max_so_far_ns
FROM generate_series(1, %(many)s) AS n CROSS JOIN (SELECT max(notification_id) AS last FROM LEDGER.events) AS log
JOIN run ON place = n %% runs
"""
ROWS_READ = """
SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint FROM pg_stat_user_tables WHERE schemaname = 'LEDGER'
"""


def of(account_id: str) -> frozenset[str]:
    return frozenset([account_id])


def test_each_account_of_a_rich_ledger_is_clean_by_itself_and_together_they_are_all_that_was_decided(
    dsn: str, rich: Writing, log: list[Recorded]
) -> None:
    names = {account_of(each.stream) for each in log if each.stream.startswith(OF_ACCOUNTS)}
    decided = 0
    for name in sorted(names):
        found, events, _ = audit(dsn, rich.config.schema, accounts=of(name))
        assert found == [], name
        decided += events
    kinds = [kind_and_subject(each.stream)[0] for each in log]
    assert decided == sum(kind in ("account", "fees", "repricing", "owner") for kind in kinds)
    assert audit(dsn, rich.config.schema, accounts=frozenset(names), jobs=3)[:2] == ([], decided)


def test_what_lies_in_other_accounts_and_in_sources_is_not_read(copy: Copy, log: list[Recorded]) -> None:
    assert not set(OTHER_OWNERS) & FAMILY
    mine = [each for each in log if each.stream == account_stream(ONE)]
    assert any(isinstance(each.event, VolumeEvaluated) for each in mine)
    copy.sql(UNREADABLE, read=list(FAMILY))
    assert copy.audit(accounts=of(ONE)) == []
    others = [name for name in OWNERS if name not in FAMILY]
    assert all("cannot be read" in str(copy.audit(accounts=of(name))[0]) for name in others[:2])


def test_every_statement_of_it_is_a_seek(copy: Copy, log: list[Recorded], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, Any]] = []
    for kind in (psycopg.Cursor, psycopg.ServerCursor):
        monkeypatch.setattr(kind, "execute", noting(asked, kind.execute))
    assert copy.audit(accounts=of(ONE), known=log[-1].position) == []
    monkeypatch.undo()
    with psycopg.connect(copy.dsn, autocommit=True) as connection:
        connection.execute("SET enable_seqscan = off")
        texts = [(text.as_bytes() if isinstance(text, Composed) else text, given) for text, given in asked]
        plans = [plan(connection, *each) for each in texts if isinstance(each[0], bytes) and b'."events"' in each[0]]
    assert len(plans) > 10
    assert [line for each in plans for line in each if is_a_walk(line, each)] == []


def test_it_reads_as_few_rows_however_many_others_have(copy: Copy, log: list[Recorded]) -> None:
    copy.sql(MANY, many=OTHERS)
    with psycopg.connect(copy.dsn, autocommit=True) as connection:
        for table in ("events", "commits", "requests"):
            connection.execute(f"VACUUM ANALYZE {copy.schema}.{table}".encode())
    ((before,),) = copy.sql(ROWS_READ)
    assert copy.audit(accounts=of(ONE), known=log[-1].position) == []
    ((after,),) = copy.sql(ROWS_READ)
    assert len(log) < after - before < OTHERS / 2


def test_an_event_that_is_gone_from_the_end_of_its_stream_is_missed_by_the_frame(
    copy: Copy, log: list[Recorded]
) -> None:
    last = [each for each in log if each.stream == account_stream(ONE)][-1]
    copy.sql("DELETE FROM LEDGER.requests WHERE position = %(at)s", at=last.position)
    copy.sql("DELETE FROM LEDGER.events WHERE notification_id = %(at)s", at=last.position)
    assert not any(each.position == last.position for each in copy.audit(accounts=of(ONE)))
    framed = copy.audit(accounts=of(ONE), frame=True)
    assert any(f"no event lies at position {last.position}," in str(each) for each in framed)


def test_an_event_that_is_gone_from_the_middle_of_its_stream_is_missed_by_the_next_version(
    copy: Copy, log: list[Recorded]
) -> None:
    *_, gone, following = [each for each in log if each.stream == account_stream(ONE)]
    copy.sql("DELETE FROM LEDGER.events WHERE notification_id = %(at)s", at=gone.position)
    said = f"position {following.position}, {following.stream}: its version is {following.version}, expected "
    assert any(str(each).startswith(said) for each in copy.audit(accounts=of(ONE)))


def test_a_commit_that_is_gone_is_missed_by_its_events(copy: Copy, log: list[Recorded]) -> None:
    one = next(each for each in log if each.stream == account_stream(ONE))
    copy.sql(
        "UPDATE LEDGER.commits SET first_position = last_position + 1"
        " WHERE last_position >= %(at)s AND first_position <= %(at)s",
        at=one.position,
    )
    assert f"position {one.position}, {one.stream}: no commit made it" in map(str, copy.audit(accounts=of(ONE)))


def test_the_frame_is_asked_for_where_nothing_is_wrong_with_it(dsn: str, rich: Writing) -> None:
    assert audit(dsn, rich.config.schema, accounts=of(ONE), frame=True)[0] == []


@pytest.mark.parametrize("accounts", [frozenset[str](), of("alice")], ids=["all accounts", "one account"])
def test_fills_of_days_that_are_not_audited_count_for_what_is_decided_later(
    writing: Writing, dsn: str, schema: str, accounts: frozenset[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines come to a day of the past between two late grants: the second reaches more of them than the first."""
    monkeypatch.setattr(mend, "LINES_AT_ONCE", 1)
    late_ns = NOON_NS - 3 * DAY_NS
    for tier in ("VIP1", "VIP2"):
        writing.step(record(fills(*({"exec_id": f"{tier}-{n}", "transact_time_ns": late_ns + n} for n in range(3)))))
        writing.step(ask(ChangeTier("alice", tier, late_ns - SECOND_NS, None)))
        while any(answer.lines for answer in writing.step(GoOnRepricing(("alice",)))):
            pass
    reached = [each.event.lines_reached for each in writing.events() if isinstance(each.event, RepriceStarted)]
    assert reached == [3, 6]
    assert audit(dsn, schema, accounts=accounts, from_ns=NOON_NS - DAY_NS)[0] == []
    assert audit(dsn, schema, accounts=accounts)[0] == []


def test_of_an_hour_the_day_is_decided_and_what_others_traded_then_is_not_read(copy: Copy, log: list[Recorded]) -> None:
    run = next(each for each in log if isinstance(each.event, VolumeRecorded) and account_of(each.stream) == ONE)
    assert isinstance(run.event, VolumeRecorded)
    copy.sql(UNREADABLE, read=list(FAMILY))
    hour = {"from_ns": run.event.time_min_ns, "until_ns": run.event.time_min_ns + 3_600 * SECOND_NS}
    found, _, lines = audit(copy.dsn, copy.schema, accounts=of(ONE), **hour)
    assert (found, lines >= len(run.event)) == ([], True)
