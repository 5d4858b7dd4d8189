"""The trade out of the ordinary: one with oneself, or during a ban. Neither changes a charge."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.domain.explanation.facts import Facts
from ledger.domain.explanation.sentence import Sentence, say
from ledger.domain.instants import instant_text


def explain_trade(facts: Facts) -> Iterator[Sentence]:
    """Tell of a self-trade (R16), and of a ban (R22) in either reading of its volume (A13)."""
    line = facts.known.line
    if line.self_trade:
        text = "Both sides of the trade have one owner, {owner}: a charge stays, and the volume does not count."
        yield say("SELF_TRADE", "R16", text, owner=line.counterparty_owner_id)
    if line.banned:
        yield _banned(facts)


def _banned(facts: Facts) -> Sentence:
    ban = facts.ban
    code, volume = ("BANNED", "its volume does not count")
    if facts.programme.ban_count_volume:
        code, volume = "BANNED_COUNTED", "its volume counts"
    if ban is None:
        return say(code, "A13", f"API trading was banned when it traded: the fee stays, and {volume}.")
    return say(
        code,
        "A13",
        f"API trading was banned from {{start}} until {{end}} ({{reason_code}}): the fee stays, and {volume}.",
        start=instant_text(ban.start_time_ns),
        end=instant_text(ban.end_time_ns),
        reason_code=ban.reason_code,
        ban_id=ban.ban_id,
    )
