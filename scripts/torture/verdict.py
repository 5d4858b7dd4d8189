"""Check that a ledger holds what it must after a trial: read through its API, compared line by line and in sums."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from pathlib import Path
from typing import Any, Final

from ledger.domain.streams import kind_and_subject
from ledger.v1 import events_pb2
from ledger.v1.query_service_pb2 import FeeLine, ListEventsRequest, ListFeeHistoryRequest, StoredEvent
from scripts.torture.fills import ACCOUNTS, journal
from scripts.torture.reckoner import Line, Number, Reckoned

_EXACT: Final = Context(prec=90)
_CALL_S_MAX: Final = 60
_ZERO: Final = Decimal(0)

Cell = tuple[str, bool, bool]  # quote currency, self-trade, rate of zero


@dataclass
class VerdictSums:
    """The sums of one cell of an account-day, or of one currency of an account."""

    notional: Decimal = _ZERO
    lines: int = 0
    charges: Decimal = _ZERO
    rebates: Decimal = _ZERO

    def add(self, line: Line) -> None:
        """Count a line."""
        self.notional += line.notional
        self.lines += 1
        self.charges += max(line.fee, _ZERO)
        self.rebates += min(line.fee, _ZERO)


class Verdict:
    """Find what is wrong, one sentence each; nothing if all is as it must be."""

    def __init__(self, queries: Any, trial: str, reckoned: Reckoned) -> None:
        self._queries = queries
        self._trial = trial
        self._reckoned = reckoned
        self.findings = list(reckoned.findings)
        self.missing = self.twice = self.wrong = 0
        self.position = 0  # the last one that was read
        self._found: dict[Number, FeeLine] = {}
        self._order: dict[int, list[Number]] = defaultdict(list)  # of each position, line by line
        self._refused_at: dict[Number, int] = {}

    def reach(self, folder: Path, sources: Mapping[str, int], after_position: int) -> None:
        """Read what a trial recorded after a position, and compare it."""
        with localcontext(_EXACT):
            for name in ACCOUNTS:
                self._compare_history(f"{self._trial}.{name}")
            self._compare_lines()
            self._compare_events(after_position, sources)
            for source in sources:
                self._compare_acknowledged(source, journal(folder / f"{source}.acked"))

    def _tell(self, finding: str) -> None:
        self.wrong += 1
        self.findings.append(finding)

    # -- lines and fees -----------------------------------------------------------------------------------------------

    def _compare_history(self, account_id: str) -> None:
        """An account's lines, each once, and their totals."""
        request, refs = ListFeeHistoryRequest(account_id=account_id, page_size=10_000), Counter[tuple[str, str]]()
        sums: dict[str, VerdictSums] = defaultdict(VerdictSums)
        while True:
            page = self._queries.ListFeeHistory(request, timeout=_CALL_S_MAX)
            for line in page.lines:
                number = (line.source, line.sequence)
                refs[line.fill_ref.day, line.fill_ref.exec_id] += 1
                if number in self._found:
                    self.twice += 1
                    self.findings.append(f"{number} stands twice in the ledger")
                self._found[number] = line
                self._order[line.line_ref.position].append(number)
                if number in self._reckoned.lines:
                    sums[line.quote_currency].add(self._reckoned.lines[number])
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        for ref, times in refs.items():
            if times > 1:
                self.twice += 1
                self.findings.append(f"{account_id} has {ref} {times} times")
        for total in page.totals:
            told = (Decimal(total.charges), Decimal(total.rebates), total.lines)
            sum_ = sums[total.currency]
            if told != (sum_.charges, sum_.rebates, sum_.lines):
                self._tell(f"totals of {account_id} in {total.currency} are {told}, must be {sum_}")

    def _compare_lines(self) -> None:
        """Every fill that must be there is, at its fee, and no other."""
        for number, line in self._reckoned.lines.items():
            if number not in self._found:
                self.missing += 1
                self.findings.append(f"{number} is missing")
                continue
            found = self._found[number]
            told = (found.fill_ref.account_id, found.fill_ref.exec_id, found.symbol, found.self_trade)
            if told != (line.account_id, line.exec_id, line.symbol, line.self_trade):
                self._tell(f"{number} is {told}, must be {line}")
            if (Decimal(found.notional), Decimal(found.fee_amount)) != (line.notional, line.fee):
                self._tell(f"{number} is {found.notional} at a fee of {found.fee_amount}, must be {line}")
        for number in self._found.keys() - self._reckoned.lines.keys():
            self._tell(f"{number} was recorded, and must not be")

    # -- the log ------------------------------------------------------------------------------------------------------

    def _compare_events(self, after_position: int, sources: Mapping[str, int]) -> None:
        """Positions without a gap, sources without a gap, and running totals that are the sums of their lines."""
        reached = dict.fromkeys(sources, 0)
        cells: dict[str, dict[Cell, VerdictSums]] = defaultdict(lambda: defaultdict(VerdictSums))
        taken = Counter[str]()
        self.position = after_position
        for stored in self._events(after_position):
            if stored.position != self.position + 1:
                self._tell(f"position {self.position} is followed by {stored.position}")
            self.position = stored.position
            kind, name = kind_and_subject(stored.stream)
            if kind == "source" and name in sources:
                advanced = events_pb2.SourceAdvanced.FromString(stored.state)
                if advanced.first_sequence != reached[name] + 1:
                    self._tell(f"{name} goes on with {advanced.first_sequence} after {reached[name]}")
                reached[name] = advanced.last_sequence
                taken += Counter(recorded=advanced.recorded, replayed=advanced.replayed)
                self._note_refused(name, stored.position, advanced)
            elif stored.topic == "VolumeRecorded" and name.startswith(f"{self._trial}."):
                recorded = events_pb2.VolumeRecorded.FromString(stored.state)
                self._compare_totals(stored, recorded, cells[stored.stream])
        if reached != dict(sources):
            self._tell(f"sources are at {reached}, must be at {dict(sources)}")
        must = (len(self._reckoned.lines), len(self._reckoned.again))
        if (taken["recorded"], taken["replayed"]) != must:
            self._tell(f"sources say {dict(taken)}, must be {must}")
        if self._refused_at.keys() != self._reckoned.refused.keys():
            self._tell(f"refused: {sorted(self._refused_at.keys() ^ self._reckoned.refused.keys())} differ")

    def _events(self, after_position: int) -> Iterator[StoredEvent]:
        request = ListEventsRequest(after_position=after_position, page_size=10_000)
        while True:
            page = self._queries.ListEvents(request, timeout=_CALL_S_MAX)
            yield from page.events
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def _note_refused(self, source: str, position: int, advanced: events_pb2.SourceAdvanced) -> None:
        for refused in advanced.refused:
            number = (source, refused.sequence)
            self._refused_at[number] = position
            if refused.reason != self._reckoned.refused.get(number):
                self._tell(f"{number} was refused for {refused.reason}, not {self._reckoned.refused.get(number)}")

    def _compare_totals(
        self, stored: StoredEvent, event: events_pb2.VolumeRecorded, running: dict[Cell, VerdictSums]
    ) -> None:
        """An account-day after one more run."""
        numbers = [number for number in self._order[stored.position] if number in self._reckoned.lines]
        if len(numbers) != len(event.traits):
            self._tell(f"position {stored.position} has {len(event.traits)} lines, of which {len(numbers)} were listed")
        for line in map(self._reckoned.lines.__getitem__, numbers):
            running[line.quote, line.self_trade, not line.rate].add(line)
        for cell in event.totals:
            (fees,) = cell.fees
            told = VerdictSums(Decimal(cell.notional), cell.lines, Decimal(fees.charges), Decimal(fees.rebates))
            must = running[cell.quote_currency, cell.self_trade, cell.zero_fee]
            if told != must:
                self._tell(f"running totals at position {stored.position} are {told}, must be {must}")
        if len(event.totals) != len(running):
            self._tell(f"position {stored.position} has {len(event.totals)} cells, must have {len(running)}")

    # -- acknowledgements ---------------------------------------------------------------------------------------------

    def _compare_acknowledged(self, source: str, acks: Iterator[Mapping[str, Any]]) -> None:
        """Check that each acknowledged fill was recorded by then, and is as it was told."""
        for ack in acks:
            for number in ((source, sequence) for sequence in range(ack["first"], ack["last"] + 1)):
                line, told = self._found.get(number), ack["fees"].get(str(number[1]))
                refused = ack["refused"].get(str(number[1]))
                if refused != self._reckoned.refused.get(number):
                    self._tell(f"{number} was acknowledged as refused for {refused}, and is not so recorded")
                at = line.line_ref.position if line is not None else self._refused_at.get(number, 0)
                if at > ack["position"]:
                    self._tell(f"{number} was acknowledged at {ack['position']}, recorded at {at}")
                if line is not None and line.recorded_time.ToNanoseconds() > ack["recorded_time_ns"]:
                    self._tell(f"{number} was acknowledged before it was recorded")
                if line is not None and told is not None and Decimal(told) != Decimal(line.fee_amount):
                    self._tell(f"{number} was acknowledged with a fee of {told}, and has {line.fee_amount}")
