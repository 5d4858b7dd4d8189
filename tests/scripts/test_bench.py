"""The benchmark on tiny sizes: that it measures, verifies and tells; never how fast anything is."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from ledger import program, programmes
from ledger.config import Config
from ledger.domain.instants import DAY_NS
from ledger.server.fills.read_columns import fill_reader
from scripts.bench.__main__ import main
from scripts.bench.figures import FIGURES, GROWTH, OF_AN_AUDIT
from scripts.bench.options import parse
from scripts.bench.replay import replay
from scripts.bench.service import ledger
from scripts.bench.store import Failed, Store
from tests.conftest import Ledger

ROOT = Path(__file__).resolve().parent.parent.parent
LOADS = [
    *("ingest.1k_uniform", "members.zipf", "members.uniform", "members.paced"),
    *("steady.50k", "steady.5k", "steady.singles"),
]
OF_A_LOAD = [
    *("fills_per_s", "ack_ms_p50", "ack_ms_p99", "cpu_us", "postgres_cpu_us"),
    *("bytes_per_fill", "wal_bytes_per_fill", "lag_ms_p99", "rss_mb"),
]
HOSTILE = [
    f"memory.{kind}_{figure}"
    for kind in ("refused", "undecodable", "large", "programme")
    for figure in ("rss_mb", "s", "quote_p99_ms")
]
INGEST = [
    *(f"{load}.{part}" for load in LOADS for part in OF_A_LOAD),
    *("ingest.rows.fills_per_s", *HOSTILE, "ingest.server_rss_mb"),
]
COPY, COPY_BEST = "limit.copy_row_per_fill_per_s", "limit.copy_row_per_fill_best_per_s"
RATIO = [
    "ratio.ingest_1k_uniform_to_copy_best",
    *(f"ratio.{load}_to_copy_row" for load in ("ingest_1k_uniform", "members_zipf", "members_uniform", "ingest_rows")),
]
ECHO = ["limit.echo_rps", "limit.echo_ms_p50"]
READS = ["quote.rps", "state.now_ms_p50", "ratio.quote_rps_to_echo_rps", "ratio.state_now_ms_to_echo_ms"]
REBUILD = ["rebuild.fills_per_s", "ratio.rebuild_to_ingest_1k_uniform"]
REPLAY_CPU = [
    *("replay.cpu_us", "ratio.replay_cpu_to_ingest_1k_uniform"),
    *("replay.members_cpu_us", "ratio.replay_cpu_to_ingest_members_uniform"),
]
REPLAY = ["replay.fills_per_s", "ratio.replay_to_ingest", *REPLAY_CPU]
EVALUATION = [
    *(f"evaluation.{name}" for name in ("accounts_per_s", "told_accounts_per_s", "cpu_us", "postgres_cpu_us")),
    "limit.group_by_accounts_per_s",
    "ratio.evaluation_to_group_by",
]
PAST = [
    figure
    for name in ("asof", "asof_adjusted")
    for figure in (
        *(f"{name.replace('_', '.')}.{at}{kind}_ms_p99" for at in ("", "day_end.") for kind in ("state", "fees_page")),
        *(f"ratio.{name}_{place}_{kind}" for place in ("inside", "day_end") for kind in ("state", "fees_page")),
    )
]
REPRICE = ["reprice.fills_per_s", "ratio.reprice_to_ingest", "reprice.ingest_fills_per_s", "reprice.ingest_ratio"]
LANES = [
    f"lanes.{load}.{probe}_ms_p{percent}"
    for load in ("idle", "waiting", "pages", "streams")
    for probe in ("state", "write", "health")
    for percent in (50, 99)
]
OPEN = "lanes.idle_streams.open_s"
EVENTSOURCING = ["peer.eventsourcing_save_per_s", "peer.eventsourcing_batch500_per_s"]
UMADB = ["peer.umadb_batch5000_per_s", "peer.umadb_batch500_idempotent_per_s"]
SAVE_RATIO, UMADB_RATIO = (
    f"ratio.ingest_1k_uniform_to_{peer}" for peer in ("eventsourcing_batch500", "umadb_batch500_idempotent")
)
ACK = ["ingest.single.ack_ms_p50", "ingest.single.ack_ms_p99", "limit.insert_commit_ms_p50"]
ACK_RATIO = "ratio.single_ack_to_insert_commit_and_echo"
ACK_CPU = ["ingest.single.cpu_us", "limit.echo_alone_cpu_us"]
RESENT = [
    *(f"resend.{form}_ms" for form in ("numbered", "with_fees", "unnumbered", "conflicts")),
    *(f"resend.restarted.{form}_ms" for form in ("numbered", "with_fees", "unnumbered", "conflicts")),
    *("resend.get_fill_ms", "resend.rss_mb"),
]
CALL_CPU = ["ingest.unary64.cpu_us", "limit.echo64_cpu_us", "ingest.unary2x32.cpu_us"]
UNARY = ["ingest.unary64.rps", "ratio.unary64_to_echo", CALL_CPU[0], "limit.echo64_rps", *CALL_CPU[1:]]
USAGE = [f"profile.{name}_us" for name in ("client", "service", "postgres_writer", "postgres_rest")]
STEPS = [
    *(f"profile.{name}_us" for name in ("parse", "read", "merge", "group", "states", "decide", "encode")),
    *(f"profile.{name}_us" for name in ("remember", "rest", "copy", "commit_wait")),
]
WRITTEN = [
    *INGEST,
    COPY,
    COPY_BEST,
    *RATIO,
    *EVENTSOURCING,
    *UMADB,
    SAVE_RATIO,
    UMADB_RATIO,
    *ACK,
    ACK_RATIO,
    *ACK_CPU,
    *RESENT,
    *UNARY,
]
ALL = [*WRITTEN, *ECHO, *READS, *REBUILD, *REPLAY, *EVALUATION, *PAST, *REPRICE, *LANES, OPEN, *USAGE, *STEPS]
VERSIONS = ("rates", "ranking", "choice")
AGED = [
    *(f"aged.restart.{part}" for part in (*OF_A_LOAD, "cpu_s")),
    *("aged.day.postgres_cpu_s", "aged.day.young_postgres_cpu_s", "aged.day.ratio", "aged.read_day_ms"),
    *(f"{name}.{part}" for name in ("aged.audit_hour", "audit.one_account") for part in OF_AN_AUDIT),
    "aged.rebuild_account_days_per_s",
    *(f"aged.publish.{version}.{part}" for version in VERSIONS for part in ("cpu_s", "postgres_cpu_s", "behind_s")),
    "aged.publish.rss_mb",
]
LAYOUT = [
    f"{layout}.{part}"
    for layout in ("layout", "layout.before")
    for part in (
        *("index_bytes", "young_index_bytes", "day_postgres_cpu_s", "young_day_postgres_cpu_s", "day_ratio"),
        *("day_wal_bytes", "young_day_wal_bytes", "read_day_ms", "read_day_cpu_ms"),
    )
]
CLOSES = ["closes.plan_ms", "closes.rates_ms", "closes.none.plan_ms", "closes.none.rates_ms"]
LISTS = [f"lists.{name}_ms_p50" for name in ("accounts", "findings", "solo", "solo_of_nobody")]

MAY_BE_NOTHING = {
    *ACK_CPU,
    *CALL_CPU,
    *(f"{load}.{part}" for load in (*LOADS, "aged.restart") for part in ("cpu_us", "postgres_cpu_us", "lag_ms_p99")),
    *("aged.day.postgres_cpu_s", "aged.day.young_postgres_cpu_s", "aged.day.ratio"),
    *("aged.audit_hour.postgres_cpu_s", "audit.one_account.postgres_cpu_s"),
    *(name for name in LAYOUT if "cpu" in name or "ratio" in name),
    *(f"aged.publish.{version}.{part}" for version in VERSIONS for part in ("cpu_s", "postgres_cpu_s")),
    *USAGE,
    *RESENT,
    *REPLAY_CPU,
}  # tables may be up with the log, and a tiny load take less than a tick of the CPU clock
NOT_HERE = set() if find_spec("umadb") else {*UMADB, UMADB_RATIO}  # `make bench` installs what they need


def figures(folder: Path, *arguments: str) -> tuple[str, list[dict[str, Any]]]:
    """The table and the JSON of a tiny run that must succeed."""
    file = folder / "figures.json"
    tiny = ["--fills", "2500", "--rss-fills", "2500", "--lanes", "2", "--seconds", "0.05", "--accounts", "3000"]
    tiny += ["--members", "600", "--paced-seconds", "0.2"]
    command = [sys.executable, "-m", "scripts.bench", *tiny, "--json", str(file), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(file.read_text())


def test_all_figures_are_measured_and_say_under_which_settings(tmp_path: Path) -> None:
    table, found = figures(tmp_path, "--rounds", "1")
    assert [figure["name"] for figure in found] == [name for name in ALL if name not in NOT_HERE]
    for figure in found:
        assert set(figure) == {"name", "value", "unit", "settings"}
        settings = figure["settings"]
        assert settings["min"] > 0 or figure["name"] in MAY_BE_NOTHING
        assert 0 <= settings["min"] <= figure["value"] <= settings["max"]
        assert {settings[name] for name in ("fsync", "synchronous_commit", "full_page_writes")} == {"on"}
        assert (settings["fills"], settings["rounds"]) == (2500, 1)
        assert settings["server_version"].startswith("18.")
        assert settings["cores"] > 0
        assert figure["name"] in table
    under = {figure["name"]: figure["settings"] for figure in found}
    ingest, copy, reads = under[INGEST[0]], under[COPY], under["quote.rps"]
    assert (ingest["ingest.1k_uniform_fills_per_message"], ingest["streams"]) == (1000, 1)
    assert ingest["messages_in_flight"] == Config().stream_requests_max
    zipf, steady = under["members.zipf.cpu_us"], under["steady.50k.ack_ms_p99"]
    assert (zipf["members.zipf_members"], zipf["zipf_exponent"]) == (600, 1.1)
    assert (steady["steady.50k_fills"], steady["steady.50k_pace"]) == (10_000, "50000/s, open loop")
    assert under["ingest.rows.fills_per_s"]["lanes"] == 2
    assert (reads["quoted_accounts"], reads["quoted_symbols"], reads["turns_per_round"]) == (200, 50, 9)
    assert under["ingest.unary64.rps"]["unary_callers"] == 64
    assert under["ingest.server_rss_mb"]["rss_members"] == 600
    assert (copy["rows_per_commit"], copy["state_bytes"]) == (5000, 161)
    assert under[COPY_BEST]["best_rows_per_commit"] == 50_000


def test_only_picks_figures_by_the_first_part_of_their_names(tmp_path: Path) -> None:
    table, found = figures(
        tmp_path, "--rounds", "2", "--only", "limit.copy_row_per_fill_per,limit.copy_row_per_fill_per_s"
    )
    assert [(figure["name"], figure["settings"]["rounds"]) for figure in found] == [(COPY, 2)]
    assert not any(name in table for name in ALL if name != COPY)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--only", "speed"], "no figure begins with speed"),
        (["--rounds", "0"], "--rounds"),
        (["--fills", "many"], "--fills"),
        (["--rss-fills", "-1"], "--rss-fills"),
        (["--seconds", "0"], "--seconds"),
        (["--paced-seconds", "61"], "--paced-seconds"),
        (["--members", "none"], "--members"),
        (["--account-days", "0"], "--account-days"),
        (["--json", "no/such/folder/file.json"], "no/such/folder"),
    ],
    ids=[
        "an unknown name",
        "no round",
        "no number",
        "fewer than none",
        "no time",
        "more than a minute",
        "no members",
        "no day",
        "nowhere to write",
    ],
)
def test_unusable_arguments_exit_2_before_anything_is_measured(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments)
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert says in line


@pytest.fixture
def scripts() -> Callable[[str], ModuleType]:
    """Imports a module of the scripts."""
    return importlib.import_module


def test_a_sum_that_was_not_sent_stops_the_benchmark(
    scripts: Callable[[str], ModuleType], ledger: Ledger, dsn: str, schema: str
) -> None:
    load, store = scripts("scripts.bench.load"), scripts("scripts.bench.store")
    scripts("scripts.bench.service").register(ledger.channel)
    sent = load.row_load(250, accounts=10, fills_per_message=100, lanes=2)
    _, answers = scripts("scripts.bench.rows").send(ledger.channel, sent.lanes)
    verify = scripts("scripts.bench.verify")
    verify.verify_answers(ledger.channel, sent, answers)
    verify.verify_log(store.Store(dsn), schema, sent)
    sent.volume.add("USDT", 0, 1)
    with pytest.raises(store.Failed, match="notional"):
        verify.verify_log(store.Store(dsn), schema, sent)


def test_an_answer_that_is_missing_or_tells_of_a_replay_stops_the_benchmark(
    scripts: Callable[[str], ModuleType], ledger: Ledger, dsn: str, schema: str
) -> None:
    load, verify = scripts("scripts.bench.load"), scripts("scripts.bench.verify")
    failed = scripts("scripts.bench.store").Failed
    scripts("scripts.bench.service").register(ledger.channel)
    sent = load.stream_load(250, accounts=10, fills_per_message=100, zipf=True)
    first = scripts("scripts.bench.stream").stream(ledger.channel, sent.lanes[0].messages).answers
    verify.verify_answers(ledger.channel, sent, [first])
    verify.verify_log(scripts("scripts.bench.store").Store(dsn), schema, sent)
    with pytest.raises(failed, match="2 of 3 messages"):
        verify.verify_answers(ledger.channel, sent, [first[:2]])
    again = scripts("scripts.bench.stream").stream(ledger.channel, sent.lanes[0].messages).answers
    with pytest.raises(failed, match="replayed"):
        verify.verify_answers(ledger.channel, sent, [again])


def test_rows_and_columns_of_the_load_are_the_same_fills(scripts: Callable[[str], ModuleType]) -> None:
    bench_fills = scripts("scripts.bench.fills")
    (fills,) = bench_fills.reference_fills(500, 40)
    columns = bench_fills.columns_of(fills)
    rows = list(bench_fills.messages_of(fills))
    assert [fill_reader(columns)(index) for index in range(500)] == rows
    assert len({row.account_id for row in rows}) == 40
    assert len({row.symbol for row in rows}) == 50


def test_the_first_fills_are_the_same_however_many_are_wanted(scripts: Callable[[str], ModuleType]) -> None:
    bench_fills = scripts("scripts.bench.fills")
    few = bench_fills.columns_of(next(bench_fills.reference_fills(100, 40)))
    blocks = list(bench_fills.reference_fills(bench_fills.BLOCK + 100, 40))
    assert bench_fills.columns_of(blocks[0].at(slice(100))) == few
    assert [len(block) for block in blocks] == [bench_fills.BLOCK, 100]
    assert blocks[1].number[0] == bench_fills.BLOCK + 1
    assert blocks[1].transact_time_ns.max() > blocks[0].transact_time_ns.max()


def test_the_volume_of_a_load_is_that_of_its_rows(scripts: Callable[[str], ModuleType]) -> None:
    bench_fills, load = scripts("scripts.bench.fills"), scripts("scripts.bench.load")
    (fills,) = bench_fills.reference_fills(300, 40)
    quotes = {market.name: market.quote for market in bench_fills.MARKETS}
    expected = load.Volume()
    for row in bench_fills.messages_of(fills):
        notional = Decimal(row.last_px) * Decimal(row.last_qty)
        expected.add(quotes[row.symbol], 1, int(notional.scaleb(load.NOTIONAL_SCALE)))
    found = load.Volume()
    found.add_fills(fills)
    assert (found.lines, found.notional) == (expected.lines, expected.notional)


def test_by_zipfs_law_the_first_of_many_accounts_has_its_share(scripts: Callable[[str], ModuleType]) -> None:
    bench_fills = scripts("scripts.bench.fills")
    (fills,) = bench_fills.reference_fills(bench_fills.BLOCK, 1_000, zipf=True)
    shares = [rank**-1.1 for rank in range(1, 1_001)]
    found = sorted(Counter(fills.account.tolist()).values(), reverse=True)
    for rank in (0, 1, 2):
        assert found[rank] == pytest.approx(len(fills) * shares[rank] / sum(shares), rel=0.05)
    assert Counter(fills.account.tolist()).most_common(1)[0][0] != 0, "ranks are dealt at random"


def test_late_facts_come_between_two_messages_of_the_lanes_after_the_days_that_they_adjust(
    scripts: Callable[[str], ModuleType],
) -> None:
    asof = scripts("scripts.bench.asof_load")
    load = asof.make_asof_load(20_000)
    cut, end = load.messages_before_facts, load.messages
    first, then = load.lanes_of(0, cut), load.lanes_of(cut, end)
    assert [one.messages + two.messages for one, two in zip(first, then, strict=True)] == [
        lane.messages for lane in load.lanes
    ]
    assert sum(len(lane.messages) for lane in first) == cut
    days = load.time_ns // DAY_NS - asof.FIRST_DAY
    assert days[load.message < cut].max() <= asof.ADJUSTED_DAYS[-1]
    late = np.isin(days, asof.ADJUSTED_DAYS) & (load.message >= cut)
    assert late.sum() <= asof.FILLS_PER_MESSAGE
    adjusted = np.isin(days[load.places(asof.LARGE)], asof.ADJUSTED_DAYS)
    assert adjusted.mean() == pytest.approx(0.1, rel=0.01)


def test_a_row_that_was_lost_stops_the_benchmark(scripts: Callable[[str], ModuleType], dsn: str, schema: str) -> None:
    measurement, store = scripts("scripts.bench.copy").CopyRowPerFill(10), scripts("scripts.bench.store")
    server = store.Store(dsn)
    with server.fresh_schema(schema), server.connect() as connection:
        measurement.run(server, schema)
        connection.execute(f"DELETE FROM {schema}.events WHERE notification_id = 5".encode())
        with pytest.raises(store.Failed, match="COPY stored"):
            measurement.verify(server, schema)


def test_a_wrong_fee_or_tier_stops_the_benchmark(scripts: Callable[[str], ModuleType], ledger: Ledger) -> None:
    reads, failed = scripts("scripts.bench.reads"), scripts("scripts.bench.store").Failed
    programme = programmes.parse(programmes.packaged())
    tiers = {"A0": "NONE", "A1": "VIP1", "A2": "VIP5"}
    reads.set_up(ledger.channel, tiers)
    for method, asked, verify, says in (
        ("QuoteFee", reads.quote_requests(programme, tiers), reads.verify_quotes, "a quote"),
        ("GetVipState", reads.state_requests(tiers), reads.verify_states, "VIP9"),
    ):
        call = ledger.channel.unary_unary(f"/ledger.v1.QueryService/{method}")
        answers = [(one, call(one.message)) for one in asked]
        verify(answers)
        wrong = Decimal(7) if method == "QuoteFee" else "VIP9"
        with pytest.raises(failed, match=says):
            verify([(one._replace(expected=wrong), answer) for one, answer in answers])


def test_a_peer_that_is_not_installed_is_left_out_unless_it_is_asked_for(
    scripts: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = scripts("scripts.bench.options")
    monkeypatch.setitem(script._LACKS, "umadb", "umadb is not installed: run `make bench`")
    assert script.parse(["--only", "peer"]).names == EVENTSOURCING
    told = capsys.readouterr().err.splitlines()
    assert [line.split(" is left out: ")[0] for line in told] == [f"bench: {name}" for name in UMADB]
    with pytest.raises(SystemExit) as ended:
        script.parse(["--only", UMADB[0]])
    assert ended.value.code == 2
    assert "run `make bench`" in capsys.readouterr().err


def test_a_measurement_that_fails_takes_no_other_with_it(
    scripts: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script, failed = scripts("scripts.bench.__main__"), scripts("scripts.bench.store").Failed

    class Failing:
        settings: Mapping[str, object] = MappingProxyType({})

        def run(self, *_: object) -> None:
            raise failed("the service is gone")

    copy = scripts("scripts.bench.copy").CopyRowPerFill(10)
    monkeypatch.setattr(script, "_measurements", lambda *_: {"ingest.1k_uniform": Failing(), "copy": copy})
    assert (
        script.main(["--rounds", "2", "--only", "limit.copy_row_per_fill_per_s,ratio.ingest_1k_uniform_to_copy_row"])
        == 1
    )
    told = capsys.readouterr()
    assert told.out.startswith(COPY)
    assert "ratio." not in told.out
    assert told.err.splitlines()[-1].endswith("left out: the service is gone")


def test_the_steps_of_a_profile_are_the_functions_of_the_service_again_afterwards(
    scripts: Callable[[str], ModuleType],
) -> None:
    profile = scripts("scripts.bench.profile")
    before = [getattr(owner, function) for _, owner, function in profile._STEPS]
    with profile._Steps().watched():
        assert all(
            getattr(owner, function) is not one
            for one, (_, owner, function) in zip(before, profile._STEPS, strict=True)
        )
    assert [getattr(owner, function) for _, owner, function in profile._STEPS] == before


def test_a_message_is_due_at_its_instant_however_late_those_before_it_are_taken(
    scripts: Callable[[str], ModuleType],
) -> None:
    due_s: list[float] = []
    messages = scripts("scripts.bench.stream")._paced([b"a", b"b", b"c"], 1 / 64, due_s)
    assert next(messages) == b"a"
    time.sleep(0.05)  # nobody takes the others when they are due
    assert list(messages) == [b"b", b"c"]
    assert [due - due_s[0] for due in due_s] == pytest.approx([0, 1 / 64, 2 / 64])


def test_a_third_of_the_members_change_their_tier_within_the_minute(scripts: Callable[[str], ModuleType]) -> None:
    members, start_ns = scripts("scripts.bench.members"), scripts("scripts.bench.fills").START_NS
    before = [members.tier_at(number, start_ns) for number in range(6_000)]
    after = [members.tier_at(number, start_ns + members.MINUTE_NS) for number in range(6_000)]
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 2_000
    assert {"NONE", "VIP1", "VIP2", "VIP3"} == {*before} == {*after}


def test_fills_of_members_are_priced_by_the_tiers_that_they_had(
    scripts: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, dsn: str
) -> None:
    members, load = scripts("scripts.bench.members"), scripts("scripts.bench.load")
    sent = load.stream_load(500, accounts=12, fills_per_message=100, span_ns=members.MINUTE_NS)
    store = Store(dsn)
    try:
        with members.members_ledger(store, 12) as (own, served):
            scripts("scripts.bench.stream").stream(served.channel, sent.lanes[0].messages)
            members.verify_tiers(served.channel, 12)
            scripts("scripts.bench.verify").verify_log(own, members.SCHEMA, sent)
            monkeypatch.setattr(members, "tier_at", lambda *_: "VIP5")
            with pytest.raises(Failed, match="its member was VIP5"):
                members.verify_tiers(served.channel, 12)
        assert store.has("members_12")
        assert not store.has("members_12_copy")
    finally:
        store.drop("members_12")


def test_an_old_ledger_gives_the_figures_that_are_only_measured_where_they_are_asked_for(
    scripts: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, dsn: str
) -> None:
    aged, figures_of = scripts("scripts.bench.aged"), scripts("scripts.bench.figures").FIGURES
    monkeypatch.setattr(scripts("scripts.bench.one_account"), "_TIMES", 1)
    old, published = aged.Aged(24 * 30 // 4, 40, days=30), aged.Publish(24)
    audited = aged.OneAccount(12, days=4)
    found = {name: value for each in (old, audited, published) for name, value in each.run(Store(dsn), "").items()}
    assert [name for name in figures_of if name in found] == AGED
    assert len(found) == len(AGED)
    assert all(value > 0 or name in MAY_BE_NOTHING for name, value in found.items())
    of_accounts = {name: old.settings[f"{name}_accounts"] for name in ("aged", "young")}
    assert (of_accounts, published.settings["published_accounts"]) == ({"aged": 24, "young": 24}, 24)
    rows = {name: old.settings[f"{name}_rows"] - 24 * days for name, days in (("aged", 30 / 4 + 3), ("young", 2))}
    assert rows == {"aged": 103 + 3 * 2, "young": 103 + 2}  # the beginning and 50 symbols, and each evaluation's own


def test_layouts_are_measured_side_by_side(scripts: Callable[[str], ModuleType], dsn: str) -> None:
    measured, figures_of = scripts("scripts.bench.layout").Layout(200), scripts("scripts.bench.figures").FIGURES
    found = measured.run(Store(dsn), "layouts")
    assert [name for name in figures_of if name in found] == LAYOUT
    assert len(found) == len(LAYOUT)
    assert all(value > 0 or name in MAY_BE_NOTHING for name, value in found.items())
    rows = {name: rows for name, rows in measured.settings.items() if name.endswith("rows")}
    assert rows == {
        f"{name}_{age}rows": of for name in ("layout", "layout.before") for age, of in (("young_", 100), ("", 200))
    }


def test_figures_that_grow_with_a_ledger_are_measured_by_one_name_in_any_size(tmp_path: Path) -> None:
    table, found = figures(tmp_path, "--rounds", "1", "--only", "closes,lists", "--closes", "3", "--accounts", "600")
    assert [figure["name"] for figure in found] == [*CLOSES, *LISTS]
    assert all(figure["name"] in table for figure in found)
    under = found[0]["settings"] | found[-1]["settings"]
    assert (under["closes_days"], under["closes_assets"], under["listed_accounts"]) == (3, 20, 600)
    assert [name for name in FIGURES if name.startswith(GROWTH)] == parse(["--only", "growth"]).names


def test_an_audit_finds_nothing_wrong_in_a_ledger_that_was_made_old_and_its_tables_are_those_of_its_log(
    scripts: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, dsn: str, capfd: pytest.CaptureFixture[str]
) -> None:
    accounts = 12 * 3
    monkeypatch.setattr(scripts("scripts.bench.seed"), "_COPIES_OF_A_COMMIT", 2)  # so that there are several commits
    with Store(dsn).copied("made_old") as own:
        assert scripts("scripts.bench.seed").seed(own, "ledger", accounts=accounts, days=24) == accounts
        for tool in ("audit", "check"):
            assert program.main([tool, "--dsn", own.dsn]) == 0, capfd.readouterr()
        said = capfd.readouterr().out
        assert f"{accounts * 24 // 4:,} fills, {accounts} accounts, 0 findings" in said
        evaluated = own.rows("SELECT count(*) FROM ledger.events WHERE topic = 'VolumeEvaluated'")
        assert evaluated == [(accounts * 3,)]


@pytest.mark.skipif(bool(NOT_HERE), reason="umadb is not installed: `make bench` does")
def test_umadb_must_refuse_a_trade_that_it_has(scripts: Callable[[str], ModuleType]) -> None:
    bench_umadb, failed = scripts("scripts.bench.umadb"), scripts("scripts.bench.store").Failed
    umadb = importlib.import_module("umadb")
    with bench_umadb._server() as client:
        event = umadb.Event("FillRecorded", b"state", ["E1"])
        with pytest.raises(failed, match="twice"):
            bench_umadb._verify_refused(client, event)
        bench_umadb._verify_refused(client, event)


@pytest.mark.skipif(bool(NOT_HERE), reason="umadb is not installed: `make bench` does")
@pytest.mark.parametrize("error", [Exception, OSError, "TransportError", "IntegrityError"])
def test_an_error_of_umadbs_client_is_one_line(
    error: Any, scripts: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench_umadb, failed = scripts("scripts.bench.umadb"), scripts("scripts.bench.store").Failed
    kind = getattr(importlib.import_module("umadb"), error) if isinstance(error, str) else error
    client = Mock()
    client.append.side_effect = kind("io error:\nfailed to write whole buffer")
    monkeypatch.setattr(bench_umadb, "_server", lambda: nullcontext(client))
    with pytest.raises(failed, match=r"^UmaDB: io error: failed to write whole buffer$"):
        bench_umadb.Uma(1).run(Mock(), "")


def test_help_names_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(name in out for name in (*ALL, *AGED, *LAYOUT, *CLOSES, *LISTS))


def test_no_command_line_has_the_password_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []

    def start(command: list[str], **settings: Any) -> None:
        started.append((command, settings["env"]))
        raise Failed("it has told enough")

    monkeypatch.setattr("scripts.bench.service.subprocess.Popen", start)
    monkeypatch.setattr("scripts.bench.replay.subprocess.run", start)
    monkeypatch.setattr(Store, "checkpoint", lambda _: None)
    store = Store("host=db password=secret")
    with pytest.raises(Failed), ledger(store, "bench"):
        pass
    with pytest.raises(Failed):
        replay(store, "bench", 1)
    assert len(started) == 2
    for command, environment in started:
        assert "secret" not in " ".join(command)
        assert environment["FEE_LEDGER_DSN"] == store.dsn
