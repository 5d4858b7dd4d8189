"""Shared states are read when they are first asked for, evolve from then on, and are not held without an event."""

from __future__ import annotations

from ledger.domain.decide.shared_states import SharedStates
from ledger.domain.events import (
    BountyRoundClosed,
    CurrencyRegistered,
    DailyCloseRecorded,
    Envelope,
    EvaluationCompleted,
    Event,
    PromotionAnnounced,
    Recorded,
    ReleaseAdvanced,
    RepriceStarted,
)
from ledger.domain.state.rulebook import Rulebook
from tests.domain.worked import rulebook

STREAMS: dict[str, Event] = {
    "bounty/2024-W40": BountyRoundClosed("2024-W40", 7),
    "closes/BTC": DailyCloseRecorded("BTC", "USDT", 20_000, "1.5", "index", bytes(32)),
    "evaluation/p/2024-10-01T00:00:00Z": EvaluationCompleted(1, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "promotions": PromotionAnnounced("p1", "API", 1, 2),
    "release/p": ReleaseAdvanced(7, "alice"),
    "repricing/alice": RepriceStarted(7, 6, "BAN", "alice", 20_000),
}


def recorded(stream: str, version: int) -> Recorded:
    return Recorded(version, stream, version, Envelope(1, 1, 1), STREAMS[stream])


class Log:
    """Events by stream, and which streams were read."""

    def __init__(self) -> None:
        self.events: dict[str, list[Recorded]] = {}
        self.read: list[str] = []

    def __call__(self, stream: str) -> list[Recorded]:
        self.read.append(stream)
        return self.events.get(stream, [])


def test_a_state_is_read_once_and_evolves() -> None:
    log = Log()
    states = SharedStates(rulebook(), log, lambda _: rulebook())
    for stream in STREAMS:
        log.events[stream] = [recorded(stream, 1)]
        assert states.version(stream) == 1
        states.evolve(recorded(stream, 2))
        assert states.version(stream) == 2
    assert log.read == list(STREAMS)
    assert states.round("2024-W40").closed_time_ns == 7
    assert states.closes("BTC").in_force["USDT", 20_000].position == 2
    assert states.evaluation("evaluation/p/2024-10-01T00:00:00Z").completed is not None
    assert list(states.promotions().announced) == ["p1"]
    assert [each.event.release_position for each in states.repricings("alice").open] == [7, 7]
    assert states.releasing("p").advanced == {7: ReleaseAdvanced(7, "alice")}
    assert log.read == list(STREAMS)


def test_a_stream_without_an_event_is_not_held_until_it_has_one() -> None:
    log = Log()
    states = SharedStates(rulebook(), log, lambda _: rulebook())
    for _ in range(2):
        assert states.closes("BTC").version == 0
    assert log.read == ["closes/BTC"] * 2
    states.evolve(recorded("closes/BTC", 1))
    assert (states.closes("BTC").version, log.read) == (1, ["closes/BTC"] * 3)


def test_the_rulebook_evolves_by_registers_and_programmes() -> None:
    states = SharedStates(Rulebook(lambda _: rulebook().in_force(1)[0]), Log(), lambda _: rulebook())
    states.evolve(Recorded(1, "registers", 1, Envelope(1, 1, 1), CurrencyRegistered("USDT", 4)))
    assert (states.version("registers"), states.book.currencies) == (1, {"USDT": 4})
