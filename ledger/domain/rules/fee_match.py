"""R6: fee rate match program. VIPs of other exchanges enjoy the benefits of a tier for 30 days from approval on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ledger.domain.instants import DAY_NS
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.programme import Programme

# A claim says one of these where it names no level, in small letters and digits: the first step of a table of tiers
# is for everybody.
_NO_LEVEL: Final = frozenset(
    ["", "none", "no", "null", "nil", "na", "novip", "nonvip", "notvip", "regular", "regularuser"]
    + [f"{word}0" for word in ("", "vip", "lv", "lvl", "level", "tier", "l", "v")]
)
_OTHER: Final = re.compile(r"[^0-9a-z]+")


def match_grant(programme: Programme, at_ns: int) -> tuple[int, int]:
    """Return [from, until) of the grant of a match that is approved at an instant (A29)."""
    return at_ns, at_ns + programme.match_days * DAY_NS


def match_expires_ns(programme: Programme, requested_time_ns: int) -> int | None:
    """Return the instant from which a match that nobody settled is over; None: it waits for ever."""
    days = programme.match_pending_days
    return None if days is None else requested_time_ns + days * DAY_NS


def no_vip_elsewhere(programme: Programme, venues: Iterable[str], external_tier: str) -> Refusal | None:
    """Refuse a claim that is not one of a VIP of other exchanges. Venues of the programme are no other exchanges."""
    own = {_plain(venue) for venue in programme.venues}
    governed = [venue for venue in venues if _plain(venue) in own]
    if governed:
        detail = f"{governed[0]} is governed by {programme.programme_id}: a match is for VIPs of other exchanges"
        return Refusal(Reason.MATCH_VENUE_GOVERNED, "venues", detail)
    if _plain(external_tier) in _NO_LEVEL:
        detail = f"{external_tier or 'nothing'} is no level of a VIP: say which one is held there"
        return Refusal(Reason.MATCH_LEVEL_MISSING, "external_tier", detail)
    return None


def _plain(text: str) -> str:
    """Reduce a name to small letters and digits: "Bit-Mart" -> "bitmart"."""
    return _OTHER.sub("", text.casefold())
