"""A whole log that is at hand as a list, decided again in one process: what the audit does by stretches and shares."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from ledger import programmes
from ledger.domain.events import CreditEvent, Recorded, SourceAdvanced, VolumeRecorded
from ledger.domain.instants import DAY_NS
from ledger.domain.streams import day_key
from ledger.domain.term_clock import TermClocks
from ledger.replay.back_links import BackLinks
from ledger.replay.compare import Deviation, said
from ledger.replay.replay import Replay
from ledger.replay.requests import RequestsAgain
from ledger.replay.sources import SourcesAgain
from ledger.replay.states import States
from ledger.replay.stored_runs import StoredRun, stored_run
from ledger.store.codec.erasable import apart
from ledger.store.codec.events import encode
from ledger.wire.commands.kept import read_kept


def deviations(events: Iterable[Recorded], *, together: bool = True) -> list[Deviation]:
    """Return the deviations of a log, commit by commit.

    Each event is decided from the events before it as they are recorded, so one that is wrong is named once, not with
    all that follows from it. `together`: runs of fills are given as they lie in the log, to be decided many at once.
    """
    return list(_deviations(list(events), together=together))


def _deviations(log: Sequence[Recorded], *, together: bool) -> Iterator[Deviation]:
    days: dict[str, set[str]] = {}
    ends: list[tuple[int, int]] = []  # (last position, recorded_time_ns) of each commit so far

    def earlier(streams: Sequence[str], position: int) -> list[Recorded]:
        return [recorded for recorded in log if recorded.stream in streams and recorded.position < position]

    def fee_streams(account_id: str, from_ns: int, _: int) -> list[str]:
        return sorted(stream for stream in days.get(account_id, ()) if day_key(stream)[1] >= from_ns // DAY_NS)

    def credits_with(position: int, before: int) -> list[Recorded]:
        stream = next((each.stream for each in log if each.position == position < before), "")
        return [each for each in earlier([stream], before) if isinstance(each.event, CreditEvent)]

    def accounts_trading(after: str, until: str, first_day: int, before: int, limit: int) -> list[str]:
        found = {
            day_key(each.stream)[0]
            for each in log
            if each.stream.startswith("fees/") and each.position < before and day_key(each.stream)[1] >= first_day
        }
        return sorted(name for name in found if after < name and (not until or name <= until))[:limit]

    def recorded_at(position: int) -> int:
        place = bisect_left(ends, position, key=lambda end: end[0])
        return ends[place][1] if place < len(ends) else 0

    clocks, back_links = TermClocks(), BackLinks(())
    states = States(
        programmes.parse,
        earlier,
        recorded_at=recorded_at,
        decided_ns=clocks.decided_ns,
        back_links=back_links,
        fee_streams=fee_streams,
        last_fees=lambda streams, position: [found[-1] for stream in streams if (found := earlier([stream], position))],
        credits_with=credits_with,
        accounts_trading=accounts_trading,
    )
    again = Replay(states, RequestsAgain(read_kept, lambda _: None))
    sources, advances = SourcesAgain(clocks.decided_ns), list[Recorded]()
    expected, time_ns = 1, 0
    for recorded in log:
        if recorded.envelope.recorded_time_ns != time_ns:
            yield from _end_of_commit(again, sources, advances, expected - 1)
            ends.append((expected - 1, time_ns))
        time_ns = recorded.envelope.recorded_time_ns
        if recorded.position != expected:
            yield said(recorded, f"position {expected} was expected here")
        expected = recorded.position + 1
        clocks.take(recorded)
        back_links.take(recorded)
        if isinstance(recorded.event, SourceAdvanced):
            advances.append(recorded)
        if recorded.stream.startswith("fees/"):
            days.setdefault(day_key(recorded.stream)[0], set()).add(recorded.stream)
        run = as_stored(recorded) if together else None
        if run is not None:
            again.take_runs([run])
        else:
            again.take(recorded)
    yield from _end_of_commit(again, sources, advances, expected - 1)


def as_stored(recorded: Recorded, of: Recorded | None = None) -> StoredRun | None:
    """Return a run of fills as it lies in the log; None for another event, and one that must be looked at by itself.

    It lies in the commit `of` another event, if one is said.
    """
    event = recorded.event
    if not isinstance(event, VolumeRecorded):
        return None
    kept, _ = apart(recorded)
    try:
        _, state = encode(kept.envelope, kept.event)
    except (AssertionError, ValueError):
        return None  # a forgery that only an object can say
    times = (event.time_min_ns, event.time_max_ns, event.time_max_so_far_ns)
    envelope = (of or recorded).envelope
    commit = (envelope.recorded_time_ns, envelope.writer_term)
    return stored_run(recorded.position, recorded.stream, state, times, commit, lambda: ([], recorded))


def _end_of_commit(
    again: Replay, sources: SourcesAgain, advances: list[Recorded], position: int
) -> Iterator[Deviation]:
    found, lines = again.end()
    sources.count(lines)
    found += [deviation for advance in advances for deviation in sources.advance(advance)]
    found += sources.end(position)
    advances.clear()
    yield from sorted(found, key=lambda deviation: deviation.position)
