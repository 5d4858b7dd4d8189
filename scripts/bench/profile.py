"""Where the time of one fill goes: CPU per process while fills stream in, and per step of the service.

The steps are those of the real write side, run in this process without wire and threads, its functions timed as they
are called; commits are as large as those of the service just watched.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from ledger.caller import Caller
from ledger.config import Config
from ledger.fills.days import DayTable
from ledger.server.fills.read_requests import FillRequests
from ledger.server.fills.request_bytes import ReceivedRequest
from ledger.store.writer import Writer
from ledger.writing import fills
from ledger.writing.messages import FillsTaken, RecordFills, UnreadFills
from ledger.writing.service import Service
from ledger.writing.states import States
from scripts.bench.fills import reference_fills
from scripts.bench.load import ACCOUNTS, FILLS_PER_MESSAGE, Lane, Load, stream_load, stream_messages
from scripts.bench.proc import children, process
from scripts.bench.service import Served, trading_ledger
from scripts.bench.store import Store, check
from scripts.bench.stream import stream
from scripts.bench.verify import verify_answers, verify_log
from scripts.bench.write_side import writing

_WRITER: Final = "SELECT pid FROM pg_stat_activity WHERE application_name = 'fee-ledger writer'"
_COMMITS_MAX: Final = 20  # that are timed step by step
_LATEST_NS: Final = 2**62

# The functions of each step, of which none calls another; `rest` is what the service does beside them.
_STEPS: Final[Sequence[tuple[str, Any, str]]] = (
    ("merge", fills, "merged"),
    ("group", fills, "by_account_day"),
    ("states", States, "load_batch"),
    ("states", DayTable, "suspects"),
    ("states", States, "known"),
    ("decide", fills, "decide_fills"),
    ("encode", fills, "rows_of"),
    ("remember", States, "shrink"),
)


class Profile:
    """Fills of 1,000 accounts without an event, once over the wire and once step by step."""

    def __init__(self, fills: int) -> None:
        self._fills = fills
        self.settings: dict[str, object] = {}

    def run(self, store: Store, schema: str) -> dict[str, float]:
        """One round on fresh schemas."""
        seconds, commits = self._processes(store, schema)
        with store.fresh_schema(f"{schema}_steps") as steps_schema:
            seconds |= self._steps(store, steps_schema, self._fills // commits // FILLS_PER_MESSAGE)
        return {f"profile.{name}_us": value * 1e6 for name, value in seconds.items()}

    def _processes(self, store: Store, schema: str) -> tuple[dict[str, float], int]:
        """CPU seconds per fill of each process, and how many commits were made."""
        load = stream_load(self._fills, accounts=ACCOUNTS, fills_per_message=FILLS_PER_MESSAGE)
        with trading_ledger(store, schema) as served:
            ((writer,),) = store.rows(_WRITER)
            before, before_client = _usage(served, writer), time.process_time()
            answers = stream(served.channel, load.lanes[0].messages).answers
            used, client = _usage(served, writer), time.process_time() - before_client
            verify_answers(served.channel, load, [answers])
        verify_log(store, schema, load)
        per_fill = {name: (cpu_s - before[name]) / self._fills for name, cpu_s in used.items()}
        return {"client": client / self._fills, **per_fill}, len({answer.position for answer in answers})

    def _steps(self, store: Store, schema: str, messages: int) -> dict[str, float]:
        """CPU seconds per fill of each step, after one commit that is not counted."""
        with trading_ledger(store, schema):
            pass  # it has made the tables and knows the symbols
        fills = min(self._fills, _COMMITS_MAX * messages * FILLS_PER_MESSAGE)
        load = Load([Lane("engine")])
        sent = list(stream_messages(load, reference_fills(fills, ACCOUNTS), FILLS_PER_MESSAGE))
        messages = max(min(messages, len(sent) // 2), 1)
        check(len(sent) > messages, f"{fills} fills are one message: a profile needs two")
        self.settings["profile_fills_per_commit"] = messages * FILLS_PER_MESSAGE
        steps = _Steps()
        with writing(store, schema) as term, steps.watched():
            for start in range(0, len(sent), messages):
                steps.commit(term, sent[start : start + messages])
        verify_log(store, schema, load)
        return steps.per_fill()


def _usage(served: Served, writer: int) -> dict[str, float]:
    """CPU seconds of the service, of the backend that writes, and of all else in PostgreSQL."""
    of_postgres = children(process(writer).parent)
    rest = sum(one.cpu_s for pid, one in of_postgres.items() if pid != writer)
    return {"service": process(served.pid).cpu_s, "postgres_writer": of_postgres[writer].cpu_s, "postgres_rest": rest}


class _Steps:
    """CPU seconds by step."""

    def __init__(self) -> None:
        self._laps: dict[str, float] = defaultdict(float)
        self._fills = 0
        self._first: int | None = None  # fills of the first commit, which is not counted

    def commit(self, term: Service, messages: Sequence[bytes]) -> None:
        """Read messages, and record them in one commit."""
        arrived = self._lap("parse", lambda: list(map(ReceivedRequest.on_stream, messages)))
        items = self._lap("read", lambda: _read(arrived))
        answers = self._lap("step", lambda: term.step(items, time.time_ns()))
        for item, answer in zip(items, answers, strict=True):
            recorded = answer.recorded if isinstance(answer, FillsTaken) else 0
            check(recorded == item.size, f"of {item.size} fills {recorded} were recorded step by step")
        self._fills += sum(item.size for item in items)
        if self._first is None:  # states were made, and code ran for the first time
            self._laps.clear()
            self._first = self._fills

    def per_fill(self) -> dict[str, float]:
        """The laps, and what a step of the service took beside those inside it."""
        laps = dict(self._laps)
        assert self._first is not None
        inside = {name for name, _, _ in _STEPS}
        laps["rest"] = laps.pop("step") - sum(laps[name] for name in inside)
        return {name: seconds / (self._fills - self._first) for name, seconds in laps.items()}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Until the block ends, the functions of the steps say how long they take."""
        with ExitStack() as stack:
            for name, owner, function in _STEPS:
                check(hasattr(owner, function), f"a step is {owner.__name__}.{function}, which is gone: see _STEPS")
                stack.enter_context(_instead(owner, function, self._timed(name, getattr(owner, function))))
            stack.enter_context(_instead(Writer, "commit", self._commit(Writer.commit)))
            yield

    def _lap(self, name: str, do: Callable[[], Any]) -> Any:
        began = time.thread_time()
        done = do()
        self._laps[name] += time.thread_time() - began
        return done

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments, **named: self._lap(name, lambda: function(*arguments, **named))

    def _commit(self, commit: Callable[..., Any]) -> Callable[..., Any]:
        """In a thread of its own: what it computes, and how long it waits for PostgreSQL."""

        def timed(*arguments: Any) -> None:
            began, began_cpu = time.perf_counter(), time.thread_time()
            commit(*arguments)
            cpu_s = time.thread_time() - began_cpu
            self._laps["copy"] += cpu_s
            self._laps["commit_wait"] += time.perf_counter() - began - cpu_s

        return timed


@contextmanager
def _instead(owner: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Have a function called in place of another, until the block ends."""
    original = getattr(owner, name)
    setattr(owner, name, function)
    try:
        yield
    finally:
        setattr(owner, name, original)


def _read(arrived: Sequence[ReceivedRequest]) -> list[RecordFills]:
    """Requests as FillService reads those that wait together."""
    requests = FillRequests(Config().fills_per_batch_max, lambda: _LATEST_NS)
    unread = [UnreadFills(one.size, "", one, requests.read, Caller()) for one in arrived]
    return [item for item in requests.read(unread) if isinstance(item, RecordFills)]
