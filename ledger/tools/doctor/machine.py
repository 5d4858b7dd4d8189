"""Memory, threads and open files that the machine gives, beside what follows from the knobs."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Final

from ledger.config import KNOBS, Config
from ledger.knobs.knob import Whole
from ledger.server.connections import connections_needed
from ledger.server.lanes import rooms
from ledger.server.memory_bound import memory_bound
from ledger.tools.doctor.cgroups import least_limit
from ledger.tools.doctor.finding import Finding, fault, ok, unseen, warning
from ledger.tools.doctor.site import Site
from ledger.tools.doctor.words import size

EMBEDDED_BYTES: Final = 512 * 1024 * 1024  # shared_buffers, and the sessions of the service
_THREADS_OF_THE_PROGRAM: Final = 32  # of gRPC, the writer, metrics and the like: 27 were measured with two processors
_PROCESSES_OF_POSTGRESQL: Final = 20  # nine, its workers that vacuum, and those of parallel queries; beside sessions
_THREADS_WANTED: Final = 1_024
_FILES_OF_THE_PROGRAM: Final = 64
_CALLERS: Final = 256  # connections of callers, an open file each
_FILES_WANTED: Final = 4_096


def memory(site: Site) -> Iterator[Finding]:
    """Compare the bound with what this machine, or its container, has."""
    bound = sum(memory_bound(site.config).values())
    needs = bound + (EMBEDDED_BYTES if site.folder else 0)
    has, whose = _memory(site)
    with_it = f" and {size(EMBEDDED_BYTES)} of PostgreSQL" if site.folder else ""
    says = f"the service takes at most {size(bound)}{with_it}, and {whose} has {size(has)}"
    figures = {"bound_bytes": bound, "needs_bytes": needs, "memory_bytes": has}
    if needs > has:
        yield fault(f"{says}: it may be killed", _less(site, needs - has // 4 * 3), **figures)
    elif needs > has // 4 * 3:
        yield warning(f"{says}: little is left for the disk's pages", _less(site, needs - has // 4 * 3), **figures)
    else:
        yield ok(says, **figures)


def _less(site: Site, over: int) -> str:
    """Return the knobs that take so many bytes away: caches first, each down to its lowest."""
    message = site.config.message_bytes_max
    flags = []
    for name, eighths, lowest in (
        ("account_day_bytes_max", 14, 0),
        ("account_state_bytes_max", 16, 0),
        ("request_bytes_max", 16, message),
        ("receiving_max", 8 * message, 0),
    ):
        knob, now = KNOBS[name], getattr(site.config, name)
        assert isinstance(knob, Whole)
        less = min(max(-(-over * 8 // eighths), 0), now - max(knob.lowest, lowest))
        if less > 0:
            flags.append(f"{knob.flag} {now - less}")
            over -= less * eighths // 8
    if over > 0:
        return "lower message_bytes_max and streams_max as well, as docs/limits.md says"
    return f"fee-ledger serve {' '.join(flags)}"


def _memory(site: Site) -> tuple[int, str]:
    """Return the bytes of the machine, or of the smallest cgroup around the service, and which of them it is."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = least_limit("memory", _pid(site))
    return (limit.amount, "its cgroup") if limit and limit.amount < machine else (machine, "this machine")


def _pid(site: Site) -> int | str:
    """Return the service that runs on the embedded PostgreSQL, or else this process, as one that is started here."""
    return site.service.pid if site.service else "self"


def threads(site: Site) -> Iterator[Finding]:
    """Compare the threads and processes that the cgroups allow with those of the service."""
    limit = least_limit("pids", _pid(site))
    itself = _THREADS_OF_THE_PROGRAM + (
        _PROCESSES_OF_POSTGRESQL + connections_needed(site.config) if site.folder else 0
    )
    most = itself + _threads_of_calls(site.config)
    with_it = " and PostgreSQL take" if site.folder else " takes"
    says = f"the service{with_it} at most {most:,} threads and processes, {itself} of them without a call"
    if limit is None:
        yield ok(f"{says}, and no cgroup limits them", threads_needed=itself, threads_max=most)
        return
    says = f"{says}, and the cgroup allows {limit.amount:,}"
    enough = max(most, _THREADS_WANTED)
    remedy = f"echo {enough} > {quote(str(limit.file))}  # TasksMax= of a systemd unit, --pids-limit of a container"
    figures = {"threads": limit.amount, "threads_needed": itself, "threads_max": most}
    if limit.amount < itself:
        yield fault(f"{says}: it may not start", remedy, **figures)
    elif limit.amount < most:
        yield warning(f"{says}: calls wait when none is left", remedy, **figures)
    else:
        yield ok(says, **figures)


def _threads_of_calls(config: Config) -> int:
    """Return how many threads run calls at most: those of each lane, and a second one for each stream of fills."""
    return sum(room.working + room.aside for room in rooms(config).values()) + config.streams_max


def open_files(site: Site) -> Iterator[Finding]:
    """Compare the limit of open files with what the service needs: that of the one that runs, else of this shell."""
    limit, whose = _files(site)
    if limit is None:
        yield unseen(f"the limits of {whose} cannot be read")
        return
    config = site.config
    needs = _FILES_OF_THE_PROGRAM + connections_needed(config) + config.streams_max + config.receiving_max
    says = f"{whose} may have {limit:,} files open: {max(limit - needs, 0):,} connections of callers"
    remedy = f"ulimit -n {_FILES_WANTED}  # LimitNOFILE= of a systemd unit"
    if limit < needs:
        yield fault(f"{says}, and the service needs {needs} itself", remedy, files=limit, needs_files=needs)
    elif limit < needs + _CALLERS:
        yield warning(says, remedy, files=limit, needs_files=needs)
    else:
        yield ok(says, files=limit, needs_files=needs)


def _files(site: Site) -> tuple[int | None, str]:
    if site.service is None:
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0], "what this shell starts"
    whose = f"the service with pid {site.service.pid}"
    try:
        limits = Path(f"/proc/{site.service.pid}/limits").read_text(encoding="ascii").splitlines()
    except OSError:
        return None, whose
    (soft,) = (line.split()[3] for line in limits if line.startswith("Max open files"))
    return (int(soft) if soft.isdigit() else 2**31), whose
