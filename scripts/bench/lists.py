"""How long the lists of a back office take where there are very many accounts; `make bench-lists` runs it."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final, NamedTuple

import grpc

from ledger.cli.errors import ended
from ledger.domain.instants import DAY_NS
from ledger.v1 import control_service_pb2 as controls_pb
from ledger.v1 import query_service_pb2 as pb
from ledger.v1.control_service_pb2_grpc import ControlServiceStub
from ledger.v1.query_service_pb2_grpc import QueryServiceStub
from ledger.wire.status import timestamp
from projections.controls import CONTROLS
from scripts.bench.calls import percentile
from scripts.bench.fills import messages_of, reference_fills
from scripts.bench.load import single_message
from scripts.bench.many_accounts import ManyAccounts
from scripts.bench.options import Parser
from scripts.bench.paths import RECORD_FILLS
from scripts.bench.proc import children, peak_rss_mb, process
from scripts.bench.service import CALL_SECONDS_MAX, Served, ledger, register
from scripts.bench.store import Failed, Store, throw_away_store
from scripts.bench.tables import wait_for_tables

_SCHEMA: Final = "bench_lists"
_WRITES: Final = 400  # single fills that are timed, one in flight: alone, and beside each control
_EPILOG: Final = """\
Accounts are put below the API by COPY, through the codec: a million in one or two minutes. Each list is asked for
--calls times, or for --seconds; p50 and p99 are of the first page, of the default size, as a client sees it.

examples:
  python -m scripts.bench.lists                            a million accounts, all lists
  python -m scripts.bench.lists --accounts 10000 --calls 3    only to see that it works
  python -m scripts.bench.lists --without-tier 10000       nearly every account has a tier
  python -m scripts.bench.lists --only accounts,withheld   lists whose name begins so
"""

NEARLY_ALL: Final = 10_000  # one account in so many has no tier
_CALLS: Final = 50  # of each list, by default
_NOBODY: Final = "solo actions of nobody"
# What is told of lists by their names; controls that read every fill are left out.
OF_FIGURES: Final[Mapping[str, Callable[[str], bool]]] = {
    "accounts": lambda name: name.startswith("accounts"),
    "findings": lambda name: name in ("findings benefits-ending", "findings near-a-tier"),
    "solo": lambda name: name.startswith("solo actions") and name != _NOBODY,
    "solo_of_nobody": lambda name: name == _NOBODY,
}

Ask = Callable[[], Any]


def _whole(text: str) -> int:
    number = int(text)
    if not 1 <= number < 10**8:
        raise ValueError
    return number


_whole.__name__ = "whole number from 1 to 99,999,999"  # as argparse names it


class _List(NamedTuple):
    """A list that is asked for, and how many entries of its answer there are."""

    ask: Ask
    entries: Callable[[Any], int]


class Lists:
    """The lists of a ledger in which nearly every account has a tier, as figures."""

    def __init__(self, accounts: int, seconds: float) -> None:
        """`seconds` is how long each list is asked for, _CALLS times at most."""
        self._accounts = accounts
        self._options = argparse.Namespace(calls=_CALLS, seconds=seconds)
        self.settings: Mapping[str, object] = {
            "listed_accounts": accounts,
            "listed_without_tier": f"1 of {NEARLY_ALL:,}",
        }

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """One round: of each kind of list the median of the one that takes longest."""
        _make(store, schema, ManyAccounts(self._accounts, NEARLY_ALL))
        with ledger(store, schema) as served:
            lists = _lists(served.channel)
            return {
                f"lists.{figure}_ms_p50": max(self._p50_ms(one) for name, one in lists.items() if is_meant(name))
                for figure, is_meant in OF_FIGURES.items()
            }

    def _p50_ms(self, one: _List) -> float:
        took, _ = _asked(one, self._options)
        return percentile(took, 50)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = Parser(
        prog="bench.lists", description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--accounts", type=_whole, default=1_000_000, metavar="N", help="default 1,000,000")
    parser.add_argument("--calls", type=_whole, default=_CALLS, metavar="N", help=f"of each list (default {_CALLS})")
    parser.add_argument("--seconds", type=float, default=20.0, metavar="S", help="of a list at most (default 20)")
    parser.add_argument(
        "--without-tier", type=_whole, default=3, metavar="N", help="one account in so many has no tier (default 3)"
    )
    parser.add_argument("--only", default="", metavar="NAME,...", help="lists by the first part of their name")
    options = parser.parse_args(arguments)
    return ended(lambda: _run(options), "bench.lists", unusable=(grpc.RpcError, Failed))


def _run(options: argparse.Namespace) -> int:
    with throw_away_store() as store, store.fresh_schema(_SCHEMA):
        began = time.perf_counter()
        _make(store, _SCHEMA, ManyAccounts(options.accounts, options.without_tier))
        print(f"{options.accounts:,} accounts after {time.perf_counter() - began:.0f} s", flush=True)
        print(_settings(options, store), flush=True)
        for relation, size in _sizes(store):
            print(f"{relation:<52} {size / options.accounts:>8.1f} bytes an account", flush=True)
        with ledger(store, _SCHEMA) as served:
            lists = _lists(served.channel)
            wanted = options.only.split(",")
            for name, one in lists.items():
                if any(name.startswith(each) for each in wanted):
                    _tell(name, one, options)
            if any("writes".startswith(each) for each in wanted):
                _writes(served, lists)
            _memory(served)
    return 0


def _make(store: Store, schema: str, accounts: ManyAccounts) -> None:
    """Make a ledger with very many accounts."""
    with ledger(store, schema) as served:
        register(served.channel)
        wait_for_tables(store, schema)
    accounts.put_into(store, schema)
    store.checkpoint()


def _settings(options: argparse.Namespace, store: Store) -> str:
    told = {"calls": options.calls, "seconds": options.seconds, "python": sys.version.split()[0], **store.settings()}
    return ", ".join(f"{name} {value}" for name, value in told.items())


def _sizes(store: Store) -> list[tuple[str, int]]:
    """Return indexes and tables of both schemas that have rows, with their bytes."""
    found = store.rows(
        "SELECT relnamespace::regnamespace::text || '.' || relname, pg_relation_size(oid) FROM pg_class"
        " WHERE relnamespace::regnamespace::text LIKE %s AND relkind IN ('r', 'i')"
        " AND pg_relation_size(oid) > 100000 ORDER BY 1",
        [f"{_SCHEMA}%"],
    )
    return [(str(name), int(size)) for name, size in found]


# --- lists


def _lists(channel: grpc.Channel) -> dict[str, _List]:
    queries, controls = QueryServiceStub(channel), ControlServiceStub(channel)
    now_ns = int(datetime.now(UTC).timestamp()) * 10**9

    def accounts(**fields: Any) -> _List:
        request = pb.ListAccountsRequest(**fields)
        return _List(lambda: queries.ListAccounts(request, timeout=CALL_SECONDS_MAX), lambda a: len(a.accounts))

    def findings(**fields: Any) -> _List:
        request = controls_pb.ListFindingsRequest(**fields)
        return _List(lambda: controls.ListFindings(request, timeout=CALL_SECONDS_MAX), lambda a: len(a.findings))

    found = {
        f"accounts {name}{when}": accounts(**fields, **at)
        for when, at in (("", {}), (", a day ago", {"as_of": timestamp(now_ns - DAY_NS)}))
        for name, fields in _conditions(now_ns).items()
    }
    for name, fields in _conditions(now_ns).items():
        if first := queries.ListAccounts(pb.ListAccountsRequest(**fields), timeout=CALL_SECONDS_MAX).next_page_token:
            found[f"accounts {name}, page 2"] = accounts(**fields, page_token=first)
    solo = controls_pb.ListSoloActionsRequest
    for name, request in {
        "solo actions": solo(),
        _NOBODY: solo(actor="nobody"),
        "solo actions of 100": solo(page_size=100),
    }.items():
        ask = _bound(controls.ListSoloActions, request)
        found[name] = _List(ask, lambda answer: len(answer.actions))
    withheld = _bound(controls.ListWithheld, controls_pb.ListWithheldRequest())
    found["withheld"] = _List(withheld, lambda answer: len(answer.facts))
    found["findings of all controls"] = findings()
    return found | {f"findings {name}": findings(control=name) for name in CONTROLS}


def _bound(call: Callable[..., Any], request: Any) -> Ask:
    return lambda: call(request, timeout=CALL_SECONDS_MAX)


def _conditions(now_ns: int) -> dict[str, dict[str, Any]]:
    """Return what is asked of accounts, by name: each condition, met by few and by many, and some together."""
    soon, late = timestamp(now_ns + DAY_NS + DAY_NS // 10), timestamp(now_ns + 40 * DAY_NS)
    return {
        "of all": {},
        "of a tier nobody has": {"tier": "VIP5"},
        "of a tier few have": {"tier": "VIP4"},
        "of a tier many have": {"tier": "VIP1"},
        "without a tier": {"tier": "NONE"},
        "of an owner": {"owner_id": "O00000077"},
        "of an owner nobody is": {"owner_id": "nobody"},
        "whose tier ends soon": {"ending_before": soon},
        "whose tier ends at all": {"ending_before": late},
        "that are banned": {"banned": True},
        "that are not banned": {"banned": False},
        "that are flagged": {"flagged": True},
        "that are not flagged": {"flagged": False},
        "banned, of a tier many have": {"banned": True, "tier": "VIP1"},
        "banned and flagged": {"banned": True, "flagged": True},
        "flagged, without a tier": {"flagged": True, "tier": "NONE"},
        "flagged, of a tier many have": {"flagged": True, "tier": "VIP1"},
        "of a tier many have that ends soon": {"tier": "VIP1", "ending_before": soon},
        "of a tier few have that ends soon": {"tier": "VIP4", "ending_before": soon},
        "not banned, of a tier many have": {"tier": "VIP1", "banned": False, "flagged": False},
        "not banned, of a tier nobody has": {"tier": "VIP5", "banned": False, "flagged": False},
        "of an owner, of a tier": {"owner_id": "O00000077", "tier": "VIP1"},
    }


def _tell(name: str, one: _List, options: argparse.Namespace) -> None:
    """Ask for a list again and again, and print how long that took."""
    took, entries = _asked(one, options)
    p50, p99 = percentile(took, 50), percentile(took, 99)
    print(f"{name:<52} p50 {p50:>9.1f} ms  p99 {p99:>9.1f} ms  {len(took):>3} calls, {entries:>6,} entries", flush=True)


def _asked(one: _List, options: argparse.Namespace) -> tuple[list[float], int]:
    """Ask for a list again and again; return how many ms each call took, and how many entries the answer has."""
    took, until = list[float](), time.perf_counter() + options.seconds
    while len(took) <= options.calls and (not took or time.perf_counter() < until):
        began = time.perf_counter()
        answer = one.ask()
        took.append((time.perf_counter() - began) * 1_000)
    return took[1:] or took, one.entries(answer)  # who asks first has PostgreSQL read what it needs


# --- writes beside them


def _writes(served: Served, lists: Mapping[str, _List]) -> None:
    """Print how long single fills take alone, and while findings are asked for."""
    call = served.channel.unary_unary(RECORD_FILLS)
    fills = chain.from_iterable(map(messages_of, reference_fills(10_000_000, 1_000)))
    messages = (single_message(fill) for fill in fills)
    _timed("writes alone", call, messages)
    for name in ("findings benefits-ending", "findings near-a-tier", "findings of all controls"):
        with _again_and_again(lists[name].ask) as answered:
            _timed(f"writes beside {name}", call, messages)
        print(f"{'':<52} {len(answered)} answers meanwhile", flush=True)


def _timed(name: str, call: Any, messages: Iterator[bytes]) -> None:
    took = []
    for _ in range(_WRITES):
        message = next(messages)
        began = time.perf_counter()
        call(message, timeout=CALL_SECONDS_MAX)
        took.append((time.perf_counter() - began) * 1_000)
    p50, p99 = percentile(took, 50), percentile(took, 99)
    print(f"{name:<52} p50 {p50:>9.1f} ms  p99 {p99:>9.1f} ms  max {max(took):>9.1f} ms", flush=True)


@contextmanager
def _again_and_again(ask: Ask) -> Iterator[list[None]]:
    """Ask all the time, until the block ends; yields a list with an entry for each answer."""
    answered, over = list[None](), threading.Event()

    def run() -> None:
        while not over.is_set():
            ask()
            answered.append(None)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield answered
    finally:
        over.set()
        thread.join()


def _memory(served: Served) -> None:
    """Print the memory and CPU time of the service and of what it started."""
    print(f"service: {peak_rss_mb(served.pid):,.0f} MB at most, {process(served.pid).cpu_s:.1f} s of CPU")
    for pid, one in children(served.pid).items():
        print(f"process {pid} of it: {peak_rss_mb(pid):,.0f} MB at most, {one.cpu_s:.1f} s of CPU")


if __name__ == "__main__":
    sys.exit(main())
