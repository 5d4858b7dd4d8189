"""Every figure of the benchmarks: its name, its unit, what it says, and the measurements that it rests on."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_BURST, _UNIFORM = "ingest.1k_uniform", "members.uniform"  # the measurements
INGEST: Final = f"{_BURST}.fills_per_s"
ZIPF: Final = "members.zipf.fills_per_s"
UNIFORM: Final = f"{_UNIFORM}.fills_per_s"
ROWS: Final = "ingest.rows.fills_per_s"
REBUILD: Final = "rebuild.fills_per_s"
REBUILD_RATIO: Final = "ratio.rebuild_to_ingest_1k_uniform"
REPLAY: Final = "replay.fills_per_s"
REPLAY_RATIO: Final = "ratio.replay_to_ingest"
REPLAY_CPU: Final = "replay.cpu_us"
REPLAY_CPU_RATIO: Final = "ratio.replay_cpu_to_ingest_1k_uniform"
REPLAY_MEMBERS_CPU: Final = "replay.members_cpu_us"
REPLAY_MEMBERS_CPU_RATIO: Final = "ratio.replay_cpu_to_ingest_members_uniform"
SAVES_OF_500: Final = "peer.eventsourcing_batch500_per_s"
UMADB: Final = "peer.umadb_batch500_idempotent_per_s"
REPRICE: Final = "reprice.fills_per_s"
INGEST_BESIDE: Final = "reprice.ingest_fills_per_s"
COPY: Final = "limit.copy_row_per_fill_per_s"
COPY_BEST: Final = "limit.copy_row_per_fill_best_per_s"

_NAME_WIDTH: Final = 46
_HELP_WIDTH: Final = 120


@dataclass(frozen=True)
class Figure:
    """A line of the table: its unit, decimals shown, the measurements it needs, and a sentence for --help.

    `of` are the two figures that a ratio divides, round by round.
    """

    unit: str
    decimals: int
    needs: tuple[str, ...]
    tells: str
    of: tuple[str, str] | None = None


def _ratio(measured: str, other: str, needs: tuple[str, ...], tells: str) -> Figure:
    return Figure("ratio", 3, needs, tells, (measured, other))


def _asof(key: str, whose: str, bars: Mapping[str, str]) -> dict[str, Figure]:
    """The figures of reads of the past, named after their measurement; `bars` of their ratios, by place."""
    name, found = key.replace("_", "."), dict[str, Figure]()
    for place, at in (("", "at any as_of and known_at"), ("day_end.", "where as_of is the end of a day")):
        state, page = f"GetVipState and GetRates of {whose}, {at}", f"ListFeeHistory of it, 100 lines up to as_of, {at}"
        found[f"{name}.{place}state_ms_p99"] = Figure("ms", 2, (key,), f"{state}: of a hundred calls one takes longer")
        found[f"{name}.{place}fees_page_ms_p99"] = Figure("ms", 2, (key,), page)
    for place, bar in bars.items():
        for kind in ("state", "fees_page"):
            tells = f"by the same of an account with 100 fills, question by question; {bar}"
            found[f"ratio.{key}_{place}_{kind}"] = Figure("ratio", 2, (key,), tells)
    return found


APART: Final = frozenset({"aged", "layout", "one_account", "publish", "closes", "lists"})  # only where they are named

# A load by its name in the figures, which is that of its measurement, and what comes in how.
LOADS: Final = {
    _BURST: "as fast as they are taken, 1,000 members all alike",
    "members.zipf": "as fast as they are taken, --members by Zipf's law with exponent 1.1",
    "members.uniform": "as fast as they are taken, --members all alike",
    "members.paced": "20,000 fills/s of --members all alike, a message each 10 ms",
    "steady.50k": "50,000 fills/s of 1,000 members, a message each 10 ms",
    "steady.5k": "5,000 fills/s of 1,000 members, a message each 10 ms",
    "steady.singles": "1,000 fills/s of 1,000 members, a message for each",
}
_OF_A_LOAD: Final = {
    "fills_per_s": ("fills/s", 0, "fills/s acknowledged as durable: {load}"),
    "ack_ms_p50": ("ms", 2, "from when a message was due (at no pace: was taken) to its acknowledgement: {load}"),
    "ack_ms_p99": ("ms", 2, "the same: of a hundred messages one takes longer"),
    "cpu_us": ("us", 2, "CPU of the service for a fill, user and kernel, the tables of its read side included"),
    "postgres_cpu_us": ("us", 2, "CPU of all processes of PostgreSQL for a fill"),
    "bytes_per_fill": (
        "bytes",
        1,
        "by how much the tables of the log and of its read side grow, with indexes and TOAST",
    ),
    "wal_bytes_per_fill": ("bytes", 1, "WAL that is written for a fill"),
    "lag_ms_p99": ("ms", 0, "age of the oldest commit that the tables of the read side lack, sampled every 50 ms"),
    "rss_mb": ("MB", 0, "the most memory the service ever held (VmHWM, 10^6 bytes)"),
}


def of_load(name: str, load: str, measurement: str = "") -> dict[str, Figure]:
    """Return the figures of a load by name, of the measurement that has its name, or another one."""
    return {
        f"{name}.{part}": Figure(unit, decimals, (measurement or name,), tells.format(load=load))
        for part, (unit, decimals, tells) in _OF_A_LOAD.items()
    }


FIGURES: Final = {
    **{figure: made for name, load in LOADS.items() for figure, made in of_load(name, load).items()},
    ROWS: Figure(
        "fills/s",
        0,
        ("rows",),
        "the friendly form: RecordFills with a message per fill, 1,000 fills each, --lanes sources at once",
    ),
    **{
        f"memory.{kind}_{figure}": Figure(unit, digits, ("hostile",), f"{said}: {tells}")
        for kind, said in (
            ("refused", "a call for every fifth of --fills, each of one that has no shape"),
            ("undecodable", "a tenth as many, of bytes that are no message"),
            ("large", "64 messages of 15 MB at once, of millions of entries or of one that is long"),
            ("programme", "programme files of 262 kB, each bad in a way of its own"),
        )
        for figure, unit, digits, tells in (
            ("rss_mb", "MB", 0, "the most memory that the service held until then (VmHWM, 10^6 bytes)"),
            ("s", "s", 2, "how long they took"),
            ("quote_p99_ms", "ms", 0, "what a quote took meanwhile, that 99 of 100 beat"),
        )
    },
    "ingest.server_rss_mb": Figure(
        "MB",
        0,
        ("memory",),
        "the most memory the service ever holds (VmHWM, 10^6 bytes) while --rss-fills of --members stream in; at most"
        " 800, the aim is 400",
    ),
    COPY: Figure(
        "rows/s",
        0,
        ("copy",),
        "binary COPY of the same fills as a row each into the library's table, with its two indexes, bytes made"
        " beforehand, 5,000 rows per commit, one connection",
    ),
    COPY_BEST: Figure(
        "rows/s",
        0,
        ("copy_best",),
        "the same in its best form: one index, that of the position, 50,000 rows per commit, two connections",
    ),
    "ratio.ingest_1k_uniform_to_copy_best": _ratio(INGEST, COPY_BEST, (_BURST, "copy_best"), "round by round"),
    "ratio.ingest_1k_uniform_to_copy_row": _ratio(
        INGEST,
        COPY,
        (_BURST, "copy"),
        "round by round: steadier than either; at least 1.2, the aim is 2.1",
    ),
    "ratio.members_zipf_to_copy_row": _ratio(
        ZIPF, COPY, ("members.zipf", "copy"), "the same; at least 0.6, the aim is 1.0"
    ),
    "ratio.members_uniform_to_copy_row": _ratio(
        UNIFORM, COPY, ("members.uniform", "copy"), "the same; at least 0.25, the aim is 0.5"
    ),
    "ratio.ingest_rows_to_copy_row": _ratio(ROWS, COPY, ("rows", "copy"), "the same; at least 0.5, the aim is 1.0"),
    "peer.eventsourcing_save_per_s": Figure(
        "fills/s",
        0,
        ("eventsourcing",),
        "fills/s of the eventsourcing library as it comes: an aggregate per account, its stock PostgreSQL recorder, one"
        " event per save",
    ),
    SAVES_OF_500: Figure("fills/s", 0, ("eventsourcing",), "the same with 500 events per save"),
    "peer.umadb_batch5000_per_s": Figure(
        "fills/s", 0, ("umadb",), "fills/s of UmaDB with its own Python client: 5,000 events per append, a tag each"
    ),
    UMADB: Figure("fills/s", 0, ("umadb",), "the same with 500, on condition that none of these trades is there"),
    "ratio.ingest_1k_uniform_to_eventsourcing_batch500": _ratio(
        INGEST, SAVES_OF_500, (_BURST, "eventsourcing"), "round by round, beside its best form"
    ),
    "ratio.ingest_1k_uniform_to_umadb_batch500_idempotent": _ratio(
        INGEST, UMADB, (_BURST, "umadb"), "round by round; both take a fill once, however often it is sent"
    ),
    "ingest.single.ack_ms_p50": Figure(
        "ms",
        3,
        ("single",),
        "how long a fill takes until it is acknowledged: one per message of a stream, one in flight",
    ),
    "ingest.single.ack_ms_p99": Figure("ms", 3, ("single",), "the same: of a hundred fills one takes longer"),
    "limit.insert_commit_ms_p50": Figure(
        "ms", 3, ("single",), "how long one INSERT of a row as of COPY takes, committed durably, in one round trip"
    ),
    "ratio.single_ack_to_insert_commit_and_echo": Figure(
        "ratio",
        3,
        ("single",),
        "the acknowledgement by the INSERT and an empty call together, turn by turn; at most 2.4, the aim is 1.8",
    ),
    "ingest.single.cpu_us": Figure(
        "us", 1, ("single",), "CPU of the service for such a fill, the tables of its read side included"
    ),
    "limit.echo_alone_cpu_us": Figure("us", 1, ("single",), "CPU of the echo for an empty call, one in flight"),
    **{
        f"{name}.{form}_ms": Figure(
            "ms", 0, ("resend",), f"by how much another caller's longest wait grows while 1,000 fills {tells}, {where}"
        )
        for name, where in (
            ("resend", "into a day of --fills of one account; at most 100"),
            ("resend.restarted", "the first ones after a restart"),
        )
        for form, tells in (
            ("numbered", "of a source come again"),
            ("with_fees", "of a source come again and ask for their fees"),
            ("unnumbered", "come again without a source"),
            ("conflicts", "with other content come under numbers that were taken"),
        )
    },
    "resend.get_fill_ms": Figure("ms", 1, ("resend",), "how long GetFill takes of a fill of that day"),
    "resend.rss_mb": Figure(
        "MB",
        0,
        ("resend",),
        "by how much the most memory that the service ever held grows over all of these; at most 50",
    ),
    "ingest.unary64.rps": Figure("calls/s", 0, ("unary",), "RecordFills/s with one fill each, 64 in flight"),
    "ratio.unary64_to_echo": Figure(
        "ratio",
        3,
        ("unary",),
        "by an empty method under the same 64 callers, turn by turn; at least 0.45, the aim is 0.7",
    ),
    "ingest.unary64.cpu_us": Figure("us", 1, ("unary",), "CPU of the service for such a call"),
    "limit.echo64_rps": Figure("calls/s", 0, ("unary",), "calls/s of the empty method, 64 in flight"),
    "limit.echo64_cpu_us": Figure("us", 1, ("unary",), "CPU of the echo for such a call: what the gRPC server costs"),
    "ingest.unary2x32.cpu_us": Figure(
        "us",
        1,
        ("unary",),
        "CPU of the service for a fill where 2 callers send 32 fills a call: what is left for it where processes before"
        " it take the calls",
    ),
    "limit.echo_rps": Figure(
        "calls/s",
        0,
        ("reads",),
        "calls/s of an empty method: the ledger's server without the ledger, in a process of its own",
    ),
    "limit.echo_ms_p50": Figure("ms", 3, ("reads",), "how long such a call takes, one in flight"),
    "quote.rps": Figure(
        "calls/s",
        0,
        ("reads",),
        "QuoteFee/s: 200 accounts, half of them with a tier, on 50 symbols, same client as the echo",
    ),
    "state.now_ms_p50": Figure("ms", 3, ("reads",), "how long GetVipState of now takes, one in flight"),
    "ratio.quote_rps_to_echo_rps": Figure(
        "ratio", 3, ("reads",), "turn by turn, slices of a second each; at least 0.75, the aim is 1"
    ),
    "ratio.state_now_ms_to_echo_ms": Figure("ratio", 3, ("reads",), "turn by turn; at most 2 is the aim"),
    REBUILD: Figure(
        "fills/s",
        0,
        (_BURST,),
        "fills/s of a rebuild of the materialised tables over that ledger: made anew, compared with the live ones, put"
        " in their place",
    ),
    REBUILD_RATIO: _ratio(REBUILD, INGEST, (_BURST,), f"by {INGEST}; at least 2 is the aim"),
    REPLAY: Figure(
        "fills/s",
        0,
        (_BURST,),
        "fills/s of an audit over that ledger, from its start to its end: every event read, decided again and"
        " compared, by a process for each core",
    ),
    REPLAY_RATIO: _ratio(REPLAY, INGEST, (_BURST,), f"by {INGEST}; at least 1 is asked for, 4 is the aim"),
    REPLAY_CPU: Figure(
        "us", 2, (_BURST,), "CPU of a fill in that audit, in all of its processes, without what came before the fills"
    ),
    REPLAY_CPU_RATIO: _ratio(
        REPLAY_CPU, f"{_BURST}.cpu_us", (_BURST,), f"by {_BURST}.cpu_us; at most 1.5, the aim is 0.7"
    ),
    REPLAY_MEMBERS_CPU: Figure("us", 2, (_UNIFORM,), f"the same over the ledger of {UNIFORM}"),
    REPLAY_MEMBERS_CPU_RATIO: _ratio(
        REPLAY_MEMBERS_CPU, f"{_UNIFORM}.cpu_us", (_UNIFORM,), f"by {_UNIFORM}.cpu_us; at most 2, the aim is 1"
    ),
    "evaluation.accounts_per_s": Figure(
        "acc./s",
        0,
        ("evaluation",),
        "accounts/s of one RunEvaluation: --accounts with 3 active days each, made straight in the tables, a tenth of"
        " them with a tier by hand; each has its own event in the log afterwards",
    ),
    "evaluation.told_accounts_per_s": Figure(
        "acc./s", 0, ("evaluation",), "the same until the tables of the read side say so"
    ),
    "evaluation.cpu_us": Figure(
        "us", 1, ("evaluation",), "CPU of the service for an account of these, the tables of its read side included"
    ),
    "evaluation.postgres_cpu_us": Figure(
        "us", 1, ("evaluation",), "CPU of all processes of PostgreSQL for an account of these"
    ),
    "limit.group_by_accounts_per_s": Figure(
        "acc./s", 0, ("evaluation",), "one plain SQL GROUP BY over the same account-days, which only adds up"
    ),
    "ratio.evaluation_to_group_by": Figure(
        "ratio", 3, ("evaluation",), "until the tables say so, by the GROUP BY; at least 0.05, the aim is 0.2"
    ),
    **_asof(
        "asof",
        "an account with --fills fills over 30 days",
        {"inside": "at most 4 is the aim", "day_end": "at most 1.5 is the aim"},
    ),
    **_asof(
        "asof_adjusted",
        "such an account, of whose fills late facts have adjusted a tenth",
        {"inside": "at most 8, the aim is 4", "day_end": "at most 3, the aim is 1.5"},
    ),
    REPRICE: Figure(
        "fills/s",
        0,
        ("reprice",),
        "fills/s that late facts restate: --fills of 1,000 accounts, by a better tier of each from before its first"
        " fill, asked for over several connections, from the first request until the last line is restated",
    ),
    "ratio.reprice_to_ingest": _ratio(
        REPRICE, INGEST, (_BURST, "reprice"), f"by {INGEST}; at least 0.1, the aim is 0.5"
    ),
    INGEST_BESIDE: Figure(
        "fills/s",
        0,
        ("reprice",),
        f"fills/s acknowledged as of {INGEST}, but of accounts without a tier, while all of those are restated again",
    ),
    "reprice.ingest_ratio": _ratio(
        INGEST_BESIDE, INGEST, (_BURST, "reprice"), f"by {INGEST}; at least 0.5, the aim is 0.8"
    ),
}

OF_AN_AUDIT: Final = {
    "ms": ("ms", 0, "an audit of one account of that ledger and one hour, with the start of its process"),
    "cpu_s": ("s", 3, "CPU of its process without the start of Python and its modules; at most 0.3, the aim is 0.1"),
    "started_cpu_s": ("s", 3, "the same with the start of Python and its modules"),
    "postgres_cpu_s": ("s", 3, "CPU of PostgreSQL for it"),
    "blocks": ("blocks", 0, "blocks of the log and its indexes that PostgreSQL looks at for it, of 8 kB"),
}


def _of_an_audit(name: str, measurement: str) -> dict[str, Figure]:
    return {
        f"{name}.{part}": Figure(unit, decimals, (measurement,), tells)
        for part, (unit, decimals, tells) in OF_AN_AUDIT.items()
    }


_AGED: Final = "the first 100,000 fills after a restart, of 20,000 accounts that are a year old"
_VERSIONS: Final = {
    "rates": "other rates, published to --accounts that were evaluated once",
    "ranking": "two tiers that have changed places, one of which many accounts have",
    "choice": "another way to choose between grants",
}
FIGURES.update(
    {
        **of_load("aged.restart", _AGED, "aged"),
        "aged.restart.cpu_s": Figure("s", 2, ("aged",), "CPU of the service from its start until it has recorded them"),
        "aged.day.postgres_cpu_s": Figure(
            "s", 2, ("aged",), "CPU of PostgreSQL for 100,000 account-days of one fill, on a day after all others"
        ),
        "aged.day.young_postgres_cpu_s": Figure(
            "s", 2, ("aged",), "the same in a log in which each of these accounts has had one account-day"
        ),
        "aged.day.ratio": Figure("ratio", 2, ("aged",), "the first by the second; at most 1.5, the aim is 1.1"),
        "aged.read_day_ms": Figure(
            "ms", 1, ("aged",), "the first 1,000 fill runs of one day; at most 300, the aim is 100"
        ),
        **_of_an_audit("aged.audit_hour", "aged"),
        **_of_an_audit("audit.one_account", "one_account"),
        "aged.rebuild_account_days_per_s": Figure(
            "days/s", 0, ("aged",), "account-days/s of a rebuild: made anew, compared, put in place of those in use"
        ),
        **{
            f"aged.publish.{version}.{part}": Figure(unit, 2, ("publish",), f"{tells}{said}{ends}")
            for version, said in _VERSIONS.items()
            for part, unit, tells, ends in (
                ("cpu_s", "s", "CPU of the service for a version of the programme with ", "; at most 20"),
                ("postgres_cpu_s", "s", "CPU of PostgreSQL for a version with ", ""),
                ("behind_s", "s", "how long the tables of the read side stand still for a version with ", ""),
            )
        },
        "aged.publish.rss_mb": Figure(
            "MB", 0, ("publish",), "the most memory the service ever held for all of these; at most 500"
        ),
    }
)

_OF_A_LAYOUT: Final = {
    "index_bytes": ("bytes", 1, "indexes of the log, by event, in a log of --account-days of 100,000 accounts"),
    "young_index_bytes": ("bytes", 1, "the same in a log of one day"),
    "day_postgres_cpu_s": ("s", 2, "CPU of PostgreSQL to store 100,000 account-days more, 5,000 in a commit"),
    "young_day_postgres_cpu_s": ("s", 2, "the same in a log of one day"),
    "day_ratio": ("ratio", 2, "the first by the second; at most 1.5, the aim is 1.1"),
    "day_wal_bytes": ("bytes", 1, "WAL of such an account-day"),
    "young_day_wal_bytes": ("bytes", 1, "the same in a log of one day"),
    "read_day_ms": ("ms", 1, "the first 1,000 fill runs of one day of that log; at most 300, the aim is 100"),
    "read_day_cpu_ms": ("ms", 1, "CPU for them, here and in PostgreSQL"),
}
FIGURES.update(
    {
        f"{name}.{part}": Figure(unit, decimals, ("layout",), f"{whose}: {tells}")
        for name, whose in (("layout", "the day first in the keys"), ("layout.before", "the account first"))
        for part, (unit, decimals, tells) in _OF_A_LAYOUT.items()
    }
)
_ASKED: Final = {
    "plan": "PlanEvaluation of a ledger with one account",
    "rates": "GetRates of that account, which has traded against one of the assets",
}
FIGURES.update(
    {
        f"closes.{when}{call}_ms": Figure("ms", 1, ("closes",), f"{said}, {tells}")
        for when, tells in (("", "after --closes days of 20 assets"), ("none.", "before any close"))
        for call, said in _ASKED.items()
    }
)
_LISTS: Final = {
    "accounts": "ListAccounts by any condition or two, of --accounts of which nearly all have a tier; at most 50",
    "findings": "ListFindings of benefits-ending or near-a-tier; at most 1,000",
    "solo": "ListSoloActions, of as many requests",
    "solo_of_nobody": "the same by an actor who did nothing",
}
FIGURES.update(
    {
        f"lists.{name}_ms_p50": Figure(
            "ms", 1, ("lists",), f"the first page of {said}: the median of the one that takes longest"
        )
        for name, said in _LISTS.items()
    }
)
# What grows with a ledger, by the first part of the names.
GROWTH: Final = ("resend", "aged", "audit.one_account", "layout", "closes", "lists")

_BESIDE: Final = {
    "idle": "nothing",
    "waiting": "64 callers of a min_position that is not reached, with deadlines of 5 s",
    "pages": "64 callers of pages of 10,000 lines",
    "streams": "16 streams that send fills as fast as they are taken",
}
_PROBES: Final = {"state": "GetVipState", "write": "RecordFills of one fill", "health": "Check of health"}
_BARS: Final = {"write": "; at most 500", "health": "; at most 200"}
FIGURES.update(
    {
        f"lanes.{load}.{probe}_ms_p{percent}": Figure(
            "ms",
            1,
            ("lanes",),
            f"{call} beside {beside}: of a hundred calls {100 - percent} take longer"
            f"{_BARS.get(probe, '') if percent == 99 else ''}",
        )
        for load, beside in _BESIDE.items()
        for probe, call in _PROBES.items()
        for percent in (50, 99)
    }
)
FIGURES["lanes.idle_streams.open_s"] = Figure(
    "s", 2, ("lanes",), "until an engine has its first acknowledgement while 16 idle streams are open; 30 is never"
)

_PROFILE: Final = {
    "client": "CPU of one fill in the client while fills of 1,000 accounts without an event stream in, in microseconds",
    "service": "in the service, with its gRPC, its threads and its materialised tables",
    "postgres_writer": "in the backend of PostgreSQL that the writer talks to",
    "postgres_rest": "in all other processes of PostgreSQL",
    "parse": "CPU of the service step by step, without wire and threads: messages to protobuf",
    "read": "protobuf to columns, with the checks of their shape",
    "merge": "batches of a commit to one",
    "group": "its fills by account and day",
    "states": "accounts and days looked up, or read, and whether an exec_id came before",
    "decide": "fees and running totals",
    "encode": "events to bytes",
    "remember": "what stays in memory of them, and what goes",
    "rest": "all else of the service",
    "copy": "COPY and COMMIT on the service's side",
    "commit_wait": "and the time, not CPU, that it waits for PostgreSQL there; the next commit is decided meanwhile",
}
FIGURES.update({f"profile.{step}_us": Figure("us", 3, ("profile",), tells) for step, tells in _PROFILE.items()})


def figures_text() -> str:
    """The figures and what they say, for --help."""
    blank = " " * (_NAME_WIDTH + 2)
    return "\n".join(
        textwrap.fill(figure.tells, _HELP_WIDTH, initial_indent=f"  {name:<{_NAME_WIDTH}}", subsequent_indent=blank)
        for name, figure in FIGURES.items()
    )
