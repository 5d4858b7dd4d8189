"""Lives a story over gRPC: a clock that is moved by hand, commands that must be accepted or refused, and fills."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.clock import WallClock
from ledger.composition import running
from ledger.config import Config
from ledger.fills import mend
from ledger.store.postgres import migrate
from ledger.v1.command_pb2 import Authority
from ledger.v1.fill_pb2 import Fill
from scripts.torture.packed_columns import columns_of
from tests.kept.kept import SCHEMA, SECOND_NS, Asking, refusal_of, request_of, to_json

FOUR_EYES: Final = Authority(actor="ops-1", approver="ops-2", ticket="T-7", reason="agreed on the phone")
DAY_NS: Final = 86_400 * SECOND_NS
LACKING: Final = "0004_indexes_of_lists.sql"  # in the first term of the story


def ns(text: str) -> int:
    """An instant in UTC, as `2024-07-01` or `2024-07-01 12:30`, in ns since 1970."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_NS


def stamp(time_ns: int) -> Timestamp:
    """An instant on the wire."""
    return Timestamp(seconds=time_ns // SECOND_NS, nanos=time_ns % SECOND_NS)


@contextmanager
def before_a_migration() -> Iterator[None]:
    """Let a release lack a file of SQL: the first term after it brings the schema on, as an upgrade does.

    It is one that only makes indexes, so this release can do without.
    """
    files = {name: text for name, text in migrate._files().items() if name != LACKING}
    assert len(files) + 1 == len(migrate._files()), LACKING
    with patch.object(migrate, "_files", lambda: files):
        yield


@contextmanager
def few_lines_at_once() -> Iterator[None]:
    """Let a commit restate no more than two lines, so that the few of the story are restated in parts."""
    with patch.object(mend, "LINES_AT_ONCE", 2):
        yield


class Moment(NamedTuple):
    """A place in the story: where the log ended, and what the clock said."""

    position: int
    time_ns: int


class Sent(NamedTuple):
    """A command or a batch that was sent, with its answer."""

    rpc: str
    request: Any
    answer: dict[str, Any]


class Narrator:
    """Sends what the story says, in order, and keeps what was sent."""

    def __init__(self, dsn: str) -> None:
        self.now_ns = 0
        self.moments: list[Moment] = []
        self.fills: dict[tuple[str, str, str], Fill] = {}  # recorded ones, by venue, account and id
        self._dsn = dsn
        self._asking: Asking | None = None
        self._sent: list[Sent] = []
        self._requests = 0
        self._sequences: dict[str, int] = {}

    @contextmanager
    def term(self, start: str) -> Iterator[None]:
        """A service that runs while the block does, from an instant on."""
        self.now_ns = max(self.now_ns, ns(start))
        config = Config(schema=SCHEMA, ledger_id="kept", listen="127.0.0.1:0", drain_ms=0)
        clock = WallClock(lambda: self.now_ns, lambda: self.now_ns)
        with ExitStack() as stack:
            service = stack.enter_context(running(config, self._dsn, clock=clock))
            self._asking = Asking(stack.enter_context(grpc.insecure_channel(service.address)))
            yield
            self._asking.await_tables()  # a dump has all of them

    @property
    def asking(self) -> Asking:
        assert self._asking is not None, "no term has begun"
        return self._asking

    def at(self, text: str) -> None:
        """Move the clock on to an instant."""
        assert ns(text) >= self.now_ns, text
        self.now_ns = ns(text)

    def remember(self) -> Moment:
        """This is a moment that questions are asked about."""
        position = self.asking.send("GetLedgerInfo", request_of("GetLedgerInfo"))[0].position
        self.moments.append(Moment(position, self.now_ns))
        return self.moments[-1]

    # -- commands -----------------------------------------------------------------------------------------------------

    def do(self, rpc: str, **values: Any) -> Any:
        """The answer to a command that is accepted; a second of the clock passes."""
        request = self._command(rpc, values)
        try:
            answer = self.asking.send(rpc, request)[-1]
        except grpc.RpcError as error:
            raise AssertionError(f"{rpc} was refused ({refusal_of(error)}): {request}") from error
        self._keep(rpc, request, to_json(answer))
        return answer

    def refused(self, rpc: str, reason: str, *, recorded: bool = True, **values: Any) -> None:
        """A command that is refused for a reason; the log has it, unless it may be sent again under the same id."""
        request = self._command(rpc, values)
        try:
            self.asking.send(rpc, request)
        except grpc.RpcError as error:
            found = refusal_of(error)
            if found["reason"] != reason:
                raise AssertionError(f"{rpc} was refused for another reason: {error}") from error
            if recorded:
                self._keep(rpc, request, found)
            return
        raise AssertionError(f"{rpc} was not refused")

    def _command(self, rpc: str, values: dict[str, Any]) -> Any:
        self._requests += 1
        self.now_ns += SECOND_NS
        given = {"request_id": f"kept-{self._requests}", "authority": FOUR_EYES, **values}
        return request_of(rpc, **{name: stamp(ns(v)) if _is_time(name) else v for name, v in given.items()})

    # -- fills --------------------------------------------------------------------------------------------------------

    def trade(
        self, *fills: Fill, venue: str = "bitmart", source: str = "", in_columns: bool = False, **values: Any
    ) -> Any:
        """Record fills of a venue; those of a source go on with its numbers. A second of the clock passes."""
        self.now_ns += SECOND_NS
        packed = {"columns": columns_of(fills)} if in_columns else {"fills": fills}
        request = request_of("RecordFills", venue=venue, include_fees=True, actor="engine", **packed, **values)
        if source:
            request.source = source
            request.first_sequence = self._sequences.get(source, 0) + 1
            self._sequences[source] = self._sequences.get(source, 0) + len(fills)
        answer = self.asking.send("RecordFills", request)[0]
        refused = {found.index for found in answer.refusals}
        taken = [fill for place, fill in enumerate(fills) if place not in refused]
        self.fills.update(((venue, fill.account_id, fill.exec_id), fill) for fill in taken)
        self._keep("RecordFills", request, to_json(answer))
        return answer

    # -- what is kept -------------------------------------------------------------------------------------------------

    def _keep(self, rpc: str, request: Any, answer: dict[str, Any]) -> None:
        self._sent.append(Sent(rpc, request, answer))

    def commands(self) -> Iterator[Sent]:
        """A few commands of each kind: the first accepted and the first refused, and three batches."""
        kept: Counter[tuple[str, bool]] = Counter()
        for sent in self._sent:
            kind = (sent.rpc, "refused" in sent.answer or "refusals" in sent.answer)
            kept[kind] += 1
            if kept[kind] <= (3 if sent.rpc == "RecordFills" else 1):
                yield sent


def _is_time(name: str) -> bool:
    return name.endswith("_time") or name in {"valid_from", "valid_until", "period_from", "period_until", "instant",
                                              "window_from", "window_until"}  # fmt: skip
