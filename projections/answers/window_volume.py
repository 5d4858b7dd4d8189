"""Where the volume of the next evaluation's window stands: what counts, what does not and why, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ledger.domain.decide.evaluation import Case, assess
from ledger.domain.money import decimal_text
from ledger.domain.rules.cumulative_trading_volume import event_period, excluded_because
from ledger.domain.rules.end_day_close import Missing
from ledger.domain.rules.evaluation_days import evaluation_window, next_evaluation_ns
from ledger.domain.state.programme import Programme
from ledger.domain.state.volume_cells import NOTIONAL_SCALE, CellSums
from ledger.store.log import Log
from ledger.v1 import query_service_pb2 as pb
from ledger.wire.enums import set_words
from ledger.wire.status import timestamp
from projections.answers.fee_history import AccountSpan, cell_sums, day_sums, merged_sums, volumes
from projections.as_of import View
from projections.evaluation.messages import missing_closes
from projections.evaluation.plan import known_closes


@dataclass(frozen=True)
class Window:
    """The window of the next evaluation so far: sums by UTC day within the programme's period, and those outside it."""

    log: Log
    evaluation_ns: int
    span: AccountSpan
    days: Mapping[int, CellSums]
    outside: CellSums

    @cached_property
    def sums(self) -> CellSums:
        """Return all of it."""
        return merged_sums([*self.days.values(), self.outside])

    def say(self, response: pb.GetRatesResponse, view: View, programme: Programme) -> None:
        """Say the volumes by whether they count, and what they are worth at the closes known."""
        response.next_evaluation_time.CopyFrom(timestamp(self.evaluation_ns))
        response.window_from.CopyFrom(timestamp(self.span.from_ns))
        by_reason = _by_reason(merged_sums(self.days.values()), programme)
        response.counted.extend(volumes(by_reason.pop("", {})))
        for reason, sums in sorted({**by_reason, "OUTSIDE_PROGRAMME": self.outside}.items()):
            for volume in volumes(sums):
                set_words(response.excluded.add(volume=volume), reason=reason)
        self._say_worth(response, view, programme)

    def _say_worth(self, response: pb.GetRatesResponse, view: View, programme: Programme) -> None:
        """Value it as an evaluation at this instant would: a day that has not ended takes the close before it (A30)."""
        span = self.span
        traded = {key.quote_currency for sums in self.days.values() for key, cell in sums.items() if cell.lines}
        closes = known_closes(self.log, programme, view.instant.known.position, traded - {programme.volume_currency})
        cells = {day: {key: cell.notional for key, cell in sums.items()} for day, sums in self.days.items()}
        case = Case(span.account_id, span.until_ns, (span.from_ns, span.until_ns))
        found = assess(programme, case, cells, closes)
        response.volume_currency = programme.volume_currency
        if isinstance(found, Missing):
            response.missing_closes.extend(missing_closes(found.closes))
        else:
            response.volume, response.projected_tier = decimal_text(found.volume, NOTIONAL_SCALE), found.tier


def window_so_far(log: Log, view: View, programme: Programme) -> Window:
    """Read what an account has traded in the window of the next evaluation."""
    evaluation_ns = next_evaluation_ns(programme, view.instant.as_of_ns)
    from_ns, until_ns = evaluation_window(programme, evaluation_ns)
    so_far_ns = min(until_ns, view.instant.as_of_ns + 1)
    span = AccountSpan(view.account.account_id, from_ns, so_far_ns, view.instant.known.position)
    first_ns, end_ns = event_period(programme, (from_ns, so_far_ns))
    around = [(from_ns, min(first_ns, so_far_ns)), (max(end_ns, from_ns), so_far_ns)] if first_ns < end_ns else []
    around = around or [(from_ns, so_far_ns)]
    parts = (replace(span, from_ns=start, until_ns=end) for start, end in around if start < end)
    outside = merged_sums(cell_sums(log, part) for part in parts)
    inside = day_sums(log, replace(span, from_ns=first_ns, until_ns=end_ns)) if first_ns < end_ns else {}
    return Window(log, evaluation_ns, span, inside, outside)


def _by_reason(sums: CellSums, programme: Programme) -> dict[str, CellSums]:
    """Return the cells by the reason why they do not count; empty: they do."""
    found: dict[str, CellSums] = {}
    for key, cell in sums.items():
        found.setdefault(excluded_because(key, programme), {})[key] = cell
    return found
