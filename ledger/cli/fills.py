"""The subcommand that records fills from a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Final, NamedTuple

from ledger.cli.arguments import time_ns
from ledger.cli.errors import REFUSED, UnusableError, tell
from ledger.cli.fill_lines import fills_in, opened
from ledger.cli.orders import ORDER
from ledger.cli.screens.layout import instant, many
from ledger.cli.subcommands import Options, argument
from ledger.client import Acknowledgement, Client, InvalidRequest
from ledger.domain.refusal import Reason
from ledger.v1.fill_pb2 import Fill
from ledger.v1.fill_service_pb2 import RecordFillsResponse

BATCH_FILLS: Final = 1_000

_UNKNOWN: Final = "UNKNOWN"  # a reason this release does not know
_NAMES: Final = {int(reason): reason.name for reason in Reason}

_NOTES: Final = """\
FILE has a JSON document a line, with the fields of the contract's Fill, for example

  {"account_id": "alice", "exec_id": "E1", "symbol": "XRP_USDT", "side": "BUY",
   "liquidity": "TAKER", "last_px": "0.5", "last_qty": "10", "channel": "API",
   "transact_time": "2024-09-30T12:00:00Z"}

written on one line. Amounts are text, times RFC 3339 in UTC. A fill is recorded once, by account,
UTC day and exec_id: whatever stops this command, run it again with the same file.

exit code 0: every fill is recorded; 1: some are refused, each is told with its line; 2: a line is
no fill (those before it are sent), or no ledger answers; 130: interrupted"""


class _Refusal(NamedTuple):
    """Why the fill of a line is not recorded."""

    line: int
    reason: str
    field: str
    message: str


@dataclass(slots=True)
class _Tally:
    """Counts of what became of the fills so far; refusals are told as they come."""

    as_json: bool
    recorded: int = 0
    replayed: int = 0
    refused: int = 0
    position: int = 0

    def add(self, recorded: int, replayed: int, position: int) -> None:
        self.recorded += recorded
        self.replayed += replayed
        self.position = max(self.position, position)

    def refuse(self, refusal: _Refusal) -> None:
        self.refused += 1
        if self.as_json:
            print(json.dumps(refusal._asdict()))
            return
        field = f" ({refusal.field})" if refusal.field else ""
        tell(0, f"line {refusal.line}: {refusal.reason}: {refusal.message}{field}")

    def show(self) -> None:
        if self.as_json:
            print(json.dumps({key: value for key, value in asdict(self).items() if key != "as_json"}))
            return
        fills = many(self.recorded + self.replayed + self.refused, "fill")
        told = f"{self.recorded:,} recorded, {self.replayed:,} recorded before, {self.refused:,} refused"
        where = f"; the ledger is at position {self.position}" if self.position else ""
        print(f"{fills}: {told}{where}")


@ORDER.ask(
    "record-fills",
    "record fills from a file, and price them",
    "record-fills fills.jsonl",
    "record-fills fills.jsonl --source engine-1 --actor engine-1",
    "record-fills --source otc-desk --complete-until 2024-10-08",
    rpcs=("RecordFills", "StreamFills", "GetSourcePosition"),
    arguments=(
        argument("file", metavar="FILE", nargs="?", default="", help="a fill a line, in JSON; - is what is piped in"),
        argument("--source", default="", metavar="ID", help="the engine that numbers them: they are streamed, numbered "
                 "from where the ledger stands"),
        argument("--complete-until", type=time_ns, metavar="TIME", help="the source has sent every fill that traded "
                 "before: evaluations need not wait for it; without FILE only that is said"),
        argument("--venue", default="", metavar="ID", help="the market (default: the only one)"),
        argument("--actor", default="", metavar="ID", help="who sends them, by a pseudonymous id"),
    ),
    notes=_NOTES,
    to_the_end=True,
)  # fmt: skip
def _record_fills(ledger: Client, options: Options) -> int:
    if options.complete_until is not None and not options.source:
        raise UnusableError("--complete-until is what a source says: name it with --source")
    if not options.file:
        return _say_complete(ledger, options)
    tally = _Tally(options.json)
    with opened(options.file) as stream:
        fills = _Fills(fills_in(stream))
        try:
            (_stream if options.source else _batches)(ledger, fills, options, tally)
        except BaseException:
            if tally.position or tally.refused:
                tally.show()  # how far it came, before what stopped it is told
            raise
    tally.show()
    if fills.fault:
        raise fills.fault
    return REFUSED if tally.refused else 0


def _say_complete(ledger: Client, options: Options) -> int:
    """Say how far a source is, without a fill."""
    if options.complete_until is None:
        raise UnusableError("FILE is missing: name the file of fills, or say --source and --complete-until")
    answer = ledger.record_fills(
        [], source=options.source, venue=options.venue, actor=options.actor, complete_until=options.complete_until
    )
    until = instant(answer.complete_until)
    if options.json:
        print(json.dumps({"source": options.source, "complete_until": until, "position": answer.position}))
    else:
        print(f"{options.source} is complete up to {until} UTC; the ledger is at position {answer.position}")
    return 0


class _Fills:
    """Fills up to the first line that is none: so what came before it is sent, and then the fault is told."""

    def __init__(self, fills: Iterator[Fill]) -> None:
        self._fills = fills
        self.fault: UnusableError | None = None

    def __iter__(self) -> Iterator[Fill]:
        try:
            yield from self._fills
        except UnusableError as error:
            self.fault = error


def _stream(ledger: Client, fills: Iterable[Fill], options: Options, tally: _Tally) -> None:
    """Stream fills as those of a source."""
    first: int | None = None

    def on_ack(ack: Acknowledgement) -> None:
        nonlocal first
        first = ack.first_sequence if first is None else first
        tally.add(ack.recorded, ack.replayed, ack.position)
        for fill in ack.refused:
            tally.refuse(_Refusal(fill.sequence - first + 1, _name(fill.reason), fill.field, fill.message))

    with ledger.fill_stream(
        options.source, venue=options.venue, actor=options.actor, batch_fills=BATCH_FILLS, give_up_s=options.timeout,
        on_ack=on_ack,
    ) as stream:  # fmt: skip
        stream.send_all(fills)
        if options.complete_until is not None:
            stream.complete_until(options.complete_until)


def _batches(ledger: Client, fills: Iterable[Fill], options: Options, tally: _Tally) -> None:
    """Record fills batch by batch."""
    numbered = enumerate(fills, 1)
    while batch := list(islice(numbered, BATCH_FILLS)):
        _record(ledger, batch, options, tally)


def _record(ledger: Client, batch: list[tuple[int, Fill]], options: Options, tally: _Tally) -> None:
    """Record (line, fill) pairs. A malformed fill refuses its whole batch, so the others are sent without it."""
    while batch:
        try:
            answer = ledger.record_fills([fill for _, fill in batch], venue=options.venue, actor=options.actor)
        except InvalidRequest as error:
            malformed = _malformed(error, batch)
            if not malformed:
                raise
            for refusal in malformed:
                tally.refuse(refusal)
            lines = {refusal.line for refusal in malformed}
            batch = [(line, fill) for line, fill in batch if line not in lines]
        else:
            _take(answer, batch, tally)
            return


def _take(answer: RecordFillsResponse, batch: list[tuple[int, Fill]], tally: _Tally) -> None:
    tally.add(answer.recorded, answer.replayed, answer.position)
    for entry in answer.refusals:
        name = _NAMES.get(entry.reason, _UNKNOWN)
        tally.refuse(_Refusal(batch[entry.index][0], name, entry.field, entry.message))


def _malformed(error: InvalidRequest, batch: list[tuple[int, Fill]]) -> list[_Refusal]:
    """Return the fills at fault, each with the first thing that is wrong with it."""
    found: dict[int, _Refusal] = {}
    for fault in error.violations:
        if at := re.fullmatch(r"fills\[([0-9]+)\]\.?(.*)", fault.field):
            line = batch[int(at[1])][0]
            found.setdefault(line, _Refusal(line, _name(fault.reason), at[2], fault.description))
    return list(found.values())


def _name(reason: Reason | None) -> str:
    return reason.name if reason else _UNKNOWN
