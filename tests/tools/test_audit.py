"""`fee-ledger audit`: what it prints, the exit code by which a scheduler knows, and how it goes on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from ledger.domain.events import Recorded, VolumeRecorded, WriterStarted
from ledger.domain.rules import RULES_VERSION
from tests.conftest import Ledger
from tests.projections.audited import Copy, rich_ledger
from tests.properties.test_replay import fee_off_by_one
from tests.samples import batch, fill, symbol
from tests.server.calls import send
from tests.tools import running
from tests.waiting import wait_for
from tests.write_side import Writing

TOOL = ("-m", "ledger", "audit")
SUMMARY = re.compile(
    r"([\d,]+) events?, ([\d,]+) fills?, ([\d,]+) accounts?, ([\d,]+) findings?, in [\d.]+ s \([\d,]+ fills/s\)"
)

OLD, NEWER = f"rules {RULES_VERSION}", RULES_VERSION + 1


@pytest.fixture(scope="module")
def rich(dsn: str) -> Iterator[Writing]:
    with rich_ledger(dsn, "audit_script", steps=12) as writing:
        yield writing


@pytest.fixture
def copy(dsn: str, rich: Writing) -> Copy:
    return Copy(dsn, "audit_script")


def run(*arguments: str | Path, dsn: str, schema: str = "audit_script", jobs: int = 1) -> tuple[int, list[str], str]:
    """(exit code, lines printed, told on stderr)."""
    ran = running.run("audit", *arguments, "--jobs", jobs, "--schema", schema, "--dsn", dsn)
    return ran.code, ran.out.splitlines(), ran.err


def a_run(writing: Writing) -> Recorded:
    return next(
        recorded
        for recorded in writing.events()
        if isinstance(recorded.event, VolumeRecorded) and not recorded.event.columns.wide
    )


def test_a_clean_ledger_ends_it_with_0_and_one_line(dsn: str, rich: Writing) -> None:
    code, (line,), told = run(dsn=dsn)
    found = SUMMARY.fullmatch(line)
    assert found is not None, line
    assert (code, found[1], found[4], told) == (0, str(rich.log.head().position), "0", "")


def test_what_there_is_one_of_is_no_plural(ledger: Ledger, dsn: str, schema: str) -> None:
    send(ledger, symbol())
    assert not send(ledger, batch(fill())).refusals
    code, (line,), _ = run(dsn=dsn, schema=schema)
    assert (code, line.partition(" events, ")[2].partition(", in ")[0]) == (0, "1 fill, 1 account, 0 findings")


def test_a_finding_ends_it_with_1_and_a_line_that_names_position_stream_field_and_both_values(
    rich: Writing, copy: Copy, tmp_path: Path
) -> None:
    edited = a_run(rich)
    copy.edit(edited, fee_off_by_one)
    code, lines, _ = run("--json", tmp_path / "found.json", dsn=copy.dsn, schema=copy.schema, jobs=2)
    document = json.loads((tmp_path / "found.json").read_text())
    (first, *_), (shown, *_) = document["listed"], lines
    assert (code, document["findings"]) == (1, len(lines) - 1)
    assert (first["position"], first["stream"]) == (edited.position, edited.stream)
    assert re.fullmatch(r"line \d+ \(E\d+\): fee", first["field"])
    wanted = f"position {edited.position}, {edited.stream}: {first['field']} is {first['recorded']},"
    assert shown == f"{wanted} expected {first['expected']}"


def test_as_it_was_known_before_the_finding_it_is_clean(rich: Writing, copy: Copy) -> None:
    edited = a_run(rich)
    copy.edit(edited, fee_off_by_one)
    before = str(edited.position - 1)
    assert run("--known-at", before, dsn=copy.dsn, schema=copy.schema)[0] == 0


def test_of_one_account_that_nobody_touched_nothing_is_found(rich: Writing, copy: Copy) -> None:
    edited = a_run(rich)
    copy.edit(edited, fee_off_by_one)
    mine, other = edited.stream.split("/")[1], "applicant"
    assert run(other, dsn=copy.dsn, schema=copy.schema)[0] == 0
    assert run(mine, dsn=copy.dsn, schema=copy.schema)[0] == 1


def test_what_is_not_looked_at_is_said_and_only_the_frame_of_the_log_is_where_it_is_asked_for(
    rich: Writing, copy: Copy, tmp_path: Path
) -> None:
    copy.sql("DELETE FROM LEDGER.tracking")
    period = ("--from", "2024-10-03T01:00:00Z", "--until", "2024-10-03T02:00:00Z")
    said = {}
    for name, arguments in {
        "whole": (),
        "period": period,
        "one": ("account1", *period),
        "two": ("account1", "account2"),
        "framed": ("account1", "--frame"),
    }.items():
        code, lines, _ = run(*arguments, "--json", tmp_path / "found.json", dsn=copy.dsn, schema=copy.schema)
        document = json.loads((tmp_path / "found.json").read_text())
        told = [f"looked at: {what}" for what in document["looked_at"]]
        told += [f"not looked at: {what}" for what in document["not_looked_at"]]
        assert [line for line in lines if "looked at: " in line] == ([] if name == "whole" else told)
        said[name] = (code, document["looked_at"], document["not_looked_at"])
    frame = "the frame of the log"
    no_frame = f"{frame} (--frame): gaps, all commits and requests, tracking, migrations"
    rests_on = "what these rest on, as it is recorded: terms, registers, programmes, owners, closes"
    others = ["registers, programmes and sources by themselves", "other accounts"]
    when = "from 2024-10-03T01:00:00Z on and before 2024-10-03T02:00:00Z"
    assert said == {
        "whole": (1, [frame, "every event"], []),
        "period": (
            1,
            [frame, f"what took effect {when}", "all fees of the UTC day 2024-10-03"],
            ["sources", "other times"],
        ),
        "one": (
            0,
            [
                f"decisions and repricings of this account that took effect {when}",
                "its fees of the UTC day 2024-10-03",
                rests_on,
            ],
            [no_frame, *others, "other times"],
        ),
        "two": (
            0,
            ["decisions and repricings of these accounts", "their fees of all UTC days", rests_on],
            [no_frame, *others],
        ),
        "framed": (
            1,
            [frame, "decisions and repricings of this account", "its fees of all UTC days", rests_on],
            others,
        ),
    }


def test_killed_it_goes_on_where_it_was_and_forgets_no_finding(rich: Writing, copy: Copy, tmp_path: Path) -> None:
    edited = a_run(rich)
    copy.edit(edited, fee_off_by_one)
    whole = run(dsn=copy.dsn, schema=copy.schema)
    state = tmp_path / "audit.state"
    arguments = ["--resume", str(state), "--jobs", "1", "--dsn", copy.dsn, "--schema", copy.schema]
    assert killed_after_a_stretch(arguments, state) == -signal.SIGKILL
    document = json.loads(state.read_text())["found"]
    assert 0 < document["position"] < document["known"]
    code, lines, _ = run("--resume", state, dsn=copy.dsn, schema=copy.schema)
    assert (code, lines[:-1]) == (whole[0], whole[1][:-1])
    assert lines[-1].partition(", in ")[0] == whole[1][-1].partition(", in ")[0]


def killed_after_a_stretch(arguments: list[str], state: Path) -> int:
    """The exit code of an audit that kills itself, as the kernel might, once it has kept how far it has come."""
    killing = (
        "import os, signal, sys;"
        "from ledger.tools.audit import command; kept = command.save;"
        "from projections.audit import audit; audit.EVENTS_PER_STRETCH = 40;"
        "left = [3]\n"
        "def save(*arguments):\n"
        "    kept(*arguments)\n"
        "    left[0] -= 1\n"
        "    left[0] or os.kill(os.getpid(), signal.SIGKILL)\n"
        "command.save = save\n"
        "from ledger.program import main; main(['audit', *sys.argv[1:]])"
    )
    command = [sys.executable, "-c", killing, *arguments]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode


NEWER_RELEASE = (
    "import sys; import ledger.domain.rules as rules; rules.RULES_VERSION += 1;"
    "from ledger.tools.audit import command; {stop} from ledger.program import main;"
    "sys.exit(main(['audit', *sys.argv[1:]]))"
)
STOP = (
    "from projections.audit import audit; audit.EVENTS_PER_STRETCH = 40; kept = command.save\n"
    "def save(file, found):\n"
    "    kept(file, found)\n"
    "    if found.otherwise.count: raise KeyboardInterrupt\n"
    "command.save = save;"
)


def run_newer(copy: Copy, *arguments: str | Path, stop: str = "") -> tuple[int, list[str]]:
    """(exit code, lines printed) of a release whose rules are newer by one."""
    command = [sys.executable, "-c", NEWER_RELEASE.format(stop=stop), *arguments]
    command += ["--dsn", copy.dsn, "--schema", copy.schema]
    output = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return output.returncode, output.stdout.splitlines()


def another_tier(event: VolumeRecorded) -> VolumeRecorded:
    return replace(event, bases=tuple(basis._replace(tier="VIP9") for basis in event.bases))


def test_what_older_rules_decided_otherwise_is_listed_apart_and_ends_it_with_0(
    rich: Writing, copy: Copy, tmp_path: Path
) -> None:
    edited = a_run(rich)
    copy.edit(edited, another_tier)
    code, (*shown, summary) = run_newer(copy, "--json", tmp_path / "found.json", "--jobs", "2")
    document = json.loads((tmp_path / "found.json").read_text())
    count = len(edited.event) if isinstance(edited.event, VolumeRecorded) else 0
    assert (code, len(shown)) == (0, count)
    assert f", 0 findings, {count} decided otherwise by {OLD} (this release: {NEWER}), in " in summary
    assert (document["findings"], document["listed"], document["decided_otherwise"]) == (0, [], count)
    first, *_ = document["listed_otherwise"]
    assert (first["position"], first["stream"], first["rules_version"]) == (
        edited.position,
        edited.stream,
        RULES_VERSION,
    )
    place = f"position {edited.position}, {edited.stream}"
    assert shown[0].startswith(f"{place}: decided otherwise by {OLD}: {first['field']} is ")
    assert run("--jobs", "1", dsn=copy.dsn, schema=copy.schema)[0] == 1


def test_a_wrong_total_under_older_rules_ends_it_with_1(rich: Writing, copy: Copy) -> None:
    copy.edit(a_run(rich), lambda run: replace(run, totals=(run.totals[0]._replace(lines=99), *run.totals[1:])))
    assert run_newer(copy, "--jobs", "1")[0] == 1


def test_interrupted_it_forgets_nothing_that_older_rules_decided_otherwise(
    rich: Writing, copy: Copy, tmp_path: Path
) -> None:
    copy.edit(a_run(rich), another_tier)
    whole = run_newer(copy, "--jobs", "1")
    state = tmp_path / "audit.state"
    assert run_newer(copy, "--resume", state, "--jobs", "1", stop=STOP)[0] == 130
    document = json.loads(state.read_text())["found"]
    assert 0 < document["position"] < document["known"]
    code, lines = run_newer(copy, "--resume", state, "--jobs", "1")
    assert (code, lines[:-1]) == (0, whole[1][:-1])
    assert lines[-1].partition(", in ")[0] == whole[1][-1].partition(", in ")[0]


def test_a_log_with_newer_rules_than_the_release_knows_is_audited_only_before_them(rich: Writing, copy: Copy) -> None:
    *_, last = [recorded for recorded in rich.events() if isinstance(recorded.event, WriterStarted)]
    copy.edit(last, lambda event: replace(event, rules_version=NEWER))
    told = (
        f"fee-ledger: from position {last.position} on rules {NEWER} decided, and this release knows {OLD}:"
        f" use the release that knows rules {NEWER}, or --known-at {last.position - 1}\n"
    )
    assert run(dsn=copy.dsn, schema=copy.schema) == (2, [], told)
    assert run("--known-at", str(last.position - 1), "--jobs", "1", dsn=copy.dsn, schema=copy.schema)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--dsn", "postgresql://nobody@127.0.0.1:1/none"], "PostgreSQL cannot be used"),
        (["--data", "/nowhere/at/all"], "there is no ledger in /nowhere/at/all"),
        (["--data", "here", "--dsn", "postgresql://there"], "--data and --dsn each say where the ledger lies"),
        (["--known-at", "yesterday"], "'yesterday' is no time"),
        (["--from", "0001-01-01T00:00:00+14:00"], "'0001-01-01T00:00:00+14:00' is no time"),
        (["a/b"], "'a/b' does not match"),
        (["--jobs", "0"], "'0' is not a whole number"),
        (["--schema", "Ledger"], "'Ledger' is not a name that matches"),
    ],
)
def test_what_it_cannot_do_ends_it_with_2_and_one_line(arguments: list[str], why: str) -> None:
    code, out, err = running.run("audit", "--jobs", 1, *arguments)
    assert (code, out) == (2, "")
    assert why in err
    assert err.startswith(("fee-ledger: ", "fee-ledger audit: "))
    assert err.count("\n") == 1


@pytest.mark.parametrize("account", [(), ("account1",)])
def test_a_period_before_or_after_all_times_has_no_fills(dsn: str, rich: Writing, account: tuple[str, ...]) -> None:
    for period in (("--until", "0001-01-02T00:00:00Z"), ("--from", "9999-12-31T00:00:00Z")):
        code, lines, err = run(*account, *period, dsn=dsn)
        assert (code, err) == (0, "")
        assert ", 0 fills, " in lines[-1]


def test_a_schema_without_a_ledger_and_an_unknown_account_are_named(dsn: str, rich: Writing) -> None:
    assert run(dsn=dsn, schema="nothing_here") == (
        2,
        [],
        "fee-ledger: there is no ledger in the schema nothing_here: start one there, or name another --schema\n",
    )
    assert run("stranger", dsn=dsn) == (2, [], "fee-ledger: the ledger does not know stranger\n")
    assert run("--known-at", "0", dsn=dsn)[0] == 2


def test_interrupted_it_says_what_is_kept_and_leaves_no_process_behind(dsn: str, rich: Writing, tmp_path: Path) -> None:
    arguments = ["--resume", tmp_path / "audit.state", "--jobs", "2", "--schema", "audit_script"]
    place = os.environ | {"FEE_LEDGER_DSN": dsn}
    with psycopg.connect(dsn) as blocking:
        blocking.execute("LOCK TABLE audit_script.events IN ACCESS EXCLUSIVE MODE")
        audit = subprocess.Popen([sys.executable, *TOOL, *arguments], env=place, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: waiting_for_a_lock(dsn), 30)
        audit.send_signal(signal.SIGINT)
        blocking.rollback()
        told = audit.communicate(timeout=60)[1]
    assert (audit.returncode, told) == (
        130,
        "fee-ledger: interrupted: with --resume FILE the same command goes on where it stopped\n",
    )


def waiting_for_a_lock(dsn: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
        assert found is not None
        return int(found[0])
