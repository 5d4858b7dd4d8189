"""Every figure of the benchmarks: its name, its unit, what it says, and the measurements that it rests on."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

INGEST: Final = "ingest.1k_uniform.fills_per_s"
ZIPF: Final = "ingest.100k_zipf.fills_per_s"
UNIFORM: Final = "ingest.100k_uniform.fills_per_s"
ROWS: Final = "ingest.rows.fills_per_s"
REBUILD: Final = "rebuild.fills_per_s"
REBUILD_RATIO: Final = "ratio.rebuild_to_ingest_1k_uniform"
REPLAY: Final = "replay.fills_per_s"
REPLAY_RATIO: Final = "ratio.replay_to_ingest"
SAVE: Final = "peer.eventsourcing_save_per_s"
UMADB: Final = "peer.umadb_batch5000_per_s"
REPRICE: Final = "reprice.fills_per_s"
INGEST_BESIDE: Final = "reprice.ingest_fills_per_s"
COPY: Final = "limit.copy_row_per_fill_per_s"

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


FIGURES: Final = {
    INGEST: Figure(
        "fills/s",
        0,
        ("1k_uniform",),
        "fills/s that one StreamFills of one source acknowledges as durable, in a process of its own; 1,000 accounts,"
        " 1,000 fills per message, column by column, as many messages in flight as the service takes",
    ),
    ZIPF: Figure("fills/s", 0, ("100k_zipf",), "the same over 100,000 accounts, by Zipf's law with exponent 1.1"),
    UNIFORM: Figure("fills/s", 0, ("100k_uniform",), "the same over 100,000 accounts, all alike"),
    ROWS: Figure(
        "fills/s",
        0,
        ("rows",),
        "the friendly form: RecordFills with a message per fill, 1,000 fills each, --lanes sources at once",
    ),
    "ingest.bytes_per_fill": Figure(
        "bytes",
        1,
        ("1k_uniform",),
        f"what the fills of {INGEST} take on disk: all tables of the ledger with indexes and TOAST",
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
        "the most memory the service ever holds (VmHWM, 10^6 bytes) while --rss-fills stream in over 100,000 accounts;"
        " at most 800, the aim is 400",
    ),
    COPY: Figure(
        "rows/s",
        0,
        ("copy",),
        "binary COPY of the same fills as a row each into the library's table, bytes made beforehand, 5,000 rows per"
        " commit: no ledger with a row per fill can be faster",
    ),
    "ratio.ingest_1k_uniform_to_copy_row": _ratio(
        INGEST, COPY, ("1k_uniform", "copy"), "round by round: steadier than either; at least 1.2, the aim is 2.1"
    ),
    "ratio.ingest_100k_zipf_to_copy_row": _ratio(
        ZIPF, COPY, ("100k_zipf", "copy"), "the same; at least 0.6, the aim is 1.0"
    ),
    "ratio.ingest_100k_uniform_to_copy_row": _ratio(
        UNIFORM, COPY, ("100k_uniform", "copy"), "the same; at least 0.25, the aim is 0.5"
    ),
    "ratio.ingest_rows_to_copy_row": _ratio(ROWS, COPY, ("rows", "copy"), "the same; at least 0.5, the aim is 1.0"),
    SAVE: Figure(
        "fills/s",
        0,
        ("eventsourcing",),
        "fills/s of the eventsourcing library as it comes: an aggregate per account, its stock PostgreSQL recorder, one"
        " event per save",
    ),
    "peer.eventsourcing_batch500_per_s": Figure("fills/s", 0, ("eventsourcing",), "the same with 500 events per save"),
    UMADB: Figure(
        "fills/s", 0, ("umadb",), "fills/s of UmaDB with its own Python client: 5,000 events per append, a tag each"
    ),
    "peer.umadb_batch500_idempotent_per_s": Figure(
        "fills/s", 0, ("umadb",), "the same with 500, on condition that none of these trades is there"
    ),
    "ratio.ingest_1k_uniform_to_eventsourcing_save": _ratio(
        INGEST, SAVE, ("1k_uniform", "eventsourcing"), "round by round; at least 350, the aim is 600"
    ),
    "ratio.ingest_1k_uniform_to_umadb_batch5000": _ratio(
        INGEST, UMADB, ("1k_uniform", "umadb"), "round by round; at least 1.1, the aim is 2"
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
        "the acknowledgement by the INSERT and an empty call together, turn by turn; at most 3, the aim is 1.8",
    ),
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
        "ratio", 3, ("reads",), "turn by turn, slices of a second each; at least 0.8 is the aim"
    ),
    "ratio.state_now_ms_to_echo_ms": Figure("ratio", 3, ("reads",), "turn by turn; at most 2 is the aim"),
    REBUILD: Figure(
        "fills/s",
        0,
        ("1k_uniform",),
        "fills/s of a rebuild of the materialised tables over that ledger: made anew, compared with the live ones, put"
        " in their place",
    ),
    REBUILD_RATIO: _ratio(REBUILD, INGEST, ("1k_uniform",), f"by {INGEST}; at least 2 is the aim"),
    REPLAY: Figure(
        "fills/s",
        0,
        ("1k_uniform",),
        "fills/s of an audit over that ledger, from its start to its end: every event read, decided again and"
        " compared, by a process for each core",
    ),
    REPLAY_RATIO: _ratio(REPLAY, INGEST, ("1k_uniform",), f"by {INGEST}; at least 1 is asked for, 4 is the aim"),
    "lag.ms_p50": Figure(
        "ms",
        0,
        ("1k_uniform", "lag"),
        f"age of the oldest commit that the materialised tables lack, while fills arrive at half the rate of {INGEST},"
        " sampled every 50 ms",
    ),
    "lag.ms_p99": Figure("ms", 0, ("1k_uniform", "lag"), "the same; at most 2,000 ms is the aim"),
    "evaluation.accounts_per_s": Figure(
        "acc./s",
        0,
        ("evaluation",),
        "accounts/s of one RunEvaluation: --accounts with 3 active days each, made straight in the tables; each has its"
        " own event in the log afterwards",
    ),
    "limit.group_by_accounts_per_s": Figure(
        "acc./s", 0, ("evaluation",), "one plain SQL GROUP BY over the same account-days, which only adds up"
    ),
    "ratio.evaluation_to_group_by": Figure("ratio", 4, ("evaluation",), "the first by the second"),
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
        REPRICE, INGEST, ("1k_uniform", "reprice"), f"by {INGEST}; at least 0.1, the aim is 0.5"
    ),
    INGEST_BESIDE: Figure(
        "fills/s",
        0,
        ("reprice",),
        f"fills/s acknowledged as of {INGEST}, of accounts without a tier, while all of those are restated once more",
    ),
    "reprice.ingest_ratio": _ratio(
        INGEST_BESIDE, INGEST, ("1k_uniform", "reprice"), f"by {INGEST}; at least 0.5, the aim is 0.8"
    ),
}

_LOADS: Final = {
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
        for load, beside in _LOADS.items()
        for probe, call in _PROBES.items()
        for percent in (50, 99)
    }
)
FIGURES["lanes.idle_streams.open_s"] = Figure(
    "s", 2, ("lanes",), "until an engine has its first acknowledgement while 16 idle streams are open; 30 is never"
)

_PROFILE: Final = {
    "client": "CPU of one fill in the client while they stream in as of " + INGEST + ", in microseconds",
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
