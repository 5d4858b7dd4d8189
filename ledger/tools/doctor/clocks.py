"""The clock of this machine: beside that of PostgreSQL, beside the last commit, and as the system speaks of it."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from typing import Final

from ledger.domain.events import WriterStarted
from ledger.domain.instants import CLOCK_LEAP_NS, DAY_NS, LONG_NS, SECOND_NS, instant_text
from ledger.domain.streams import LEDGER
from ledger.domain.term_clock import TermClock
from ledger.store.postgres.database import store_clock_ns
from ledger.tools.doctor.finding import Finding, fault, note, ok, unseen, warning
from ledger.tools.doctor.site import Site
from ledger.tools.doctor.words import span

_SET: Final = "timedatectl set-ntp true"
UNSYNCHRONISED: Final = 0x40  # STA_UNSYNC of timex.h


def of_postgresql(site: Site) -> Iterator[Finding]:
    """Compare it with that of PostgreSQL, in the middle of the question."""
    asked_ns = site.clock.now_ns()
    store_ns = store_clock_ns(site.connection)
    answered_ns = site.clock.now_ns()
    apart_ns = store_ns - (asked_ns + answered_ns) // 2
    way = "ahead of" if apart_ns > 0 else "behind"
    says = f"the clock of PostgreSQL is {span(abs(apart_ns))} {way} that of this machine"
    if abs(apart_ns) > CLOCK_LEAP_NS:
        yield fault(f"{says}: no service starts (CLOCK_LEAP)", f"{_SET}  # on the machine whose clock is wrong",
                    apart_ns=apart_ns)  # fmt: skip
    elif abs(apart_ns) > max(SECOND_NS, answered_ns - asked_ns):
        yield warning(says, f"{_SET}  # on the machine whose clock is wrong", apart_ns=apart_ns)
    else:
        yield ok(says, apart_ns=apart_ns)


def of_last_commit(site: Site) -> Iterator[Finding]:
    """Compare it with the time at which the last commit was recorded."""
    recorded_ns, now_ns = site.head.recorded_time_ns, site.clock.now_ns()
    if not recorded_ns:
        yield ok("nothing is recorded yet")
        return
    says = f"the last commit was recorded at {instant_text(recorded_ns // SECOND_NS * SECOND_NS)}"
    ago_ns = now_ns - recorded_ns
    if -ago_ns > CLOCK_LEAP_NS:
        yield _ahead(site, f"{says}, {span(-ago_ns)} later than the clock says", ago_ns)
    elif ago_ns > LONG_NS:
        yield note(f"{says}, {ago_ns // DAY_NS} days ago: if that is not so, the clock is wrong", ago_ns=ago_ns)
    else:
        yield ok(f"{says}, {span(max(ago_ns, 0))} ago", ago_ns=ago_ns)


def _ahead(site: Site, says: str, ago_ns: int) -> Finding:
    last = site.log.last_of(LEDGER)
    if last is not None and isinstance(last.event, WriterStarted):
        term = TermClock(last.envelope.effective_time_ns, last.envelope.recorded_time_ns)
        if term.is_behind:
            until = instant_text(term.caught_up_ns // SECOND_NS * SECOND_NS)
            return note(f"{says}; --accept-clock let the term begin, and recorded times go slowly until {until}",
                        ago_ns=ago_ns)  # fmt: skip
    return fault(
        f"{says}: no service starts (CLOCK_LEAP); set the clock, or, if it is right now and was wrong then:",
        site.fee_ledger("serve --accept-clock"),
        ago_ns=ago_ns,
    )


class Timex(ctypes.Structure):
    """The beginning of `struct timex` of Linux, and room for the rest of it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror_us", ctypes.c_long),
        ("esterror_us", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def synchronised(_: Site) -> Iterator[Finding]:
    """Ask the kernel whether anything keeps its clock right."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (AttributeError, OSError):
        yield unseen("this system does not say whether its clock is synchronised")
        return
    found = Timex()  # modes 0: only ask
    if adjtimex(ctypes.byref(found)) < 0:
        yield unseen(f"the kernel does not say whether its clock is synchronised: {os.strerror(ctypes.get_errno())}")
    elif found.status & UNSYNCHRONISED:
        yield note("the kernel does not know its clock to be synchronised (STA_UNSYNC), as in most containers", _SET)
    else:
        most_ns = found.maxerror_us * 1_000
        yield ok(f"the kernel says that its clock is synchronised, to {span(most_ns)} at most", most_ns=most_ns)
