"""Memory and open files that the machine gives, beside what follows from the knobs."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger.config import KNOBS
from ledger.knobs.knob import Whole
from ledger.server.connections import connections_needed
from ledger.server.memory_bound import memory_bound
from ledger.tools.doctor.finding import Finding, fault, ok, unseen, warning
from ledger.tools.doctor.site import Site
from ledger.tools.doctor.words import size

EMBEDDED_BYTES: Final = 512 * 1024 * 1024  # shared_buffers, and the sessions of the service
_CGROUPS: Final = Path("/sys/fs/cgroup")
_FILES_OF_THE_PROGRAM: Final = 64
_CALLERS: Final = 256  # connections of callers, an open file each
_FILES_WANTED: Final = 4_096


def memory(site: Site) -> Iterator[Finding]:
    """Compare the bound with what this machine, or its container, has."""
    bound = sum(memory_bound(site.config).values())
    needs = bound + (EMBEDDED_BYTES if site.folder else 0)
    has, whose = _memory()
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
    """Return the knobs that take so many bytes away: the largest part first, each down to its lowest."""
    flags = []
    for name, eighths in (("account_day_bytes_max", 14), ("account_state_bytes_max", 16)):
        knob, now = KNOBS[name], getattr(site.config, name)
        assert isinstance(knob, Whole)
        less = min(max(-(-over * 8 // eighths), 0), now - knob.lowest)
        if less > 0:
            flags.append(f"{knob.flag} {now - less}")
            over -= less * eighths // 8
    if over > 0:
        return "lower request_bytes_max, message_bytes_max and receiving_max as well, as docs/limits.md says"
    return f"fee-ledger serve {' '.join(flags)}"


def _memory() -> tuple[int, str]:
    """Return the bytes of the machine, or of the smallest cgroup that this process is in, and which of them it is."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    least = min(_cgroup_limits(), default=machine)
    return (least, "its cgroup") if least < machine else (machine, "this machine")


def _cgroup_limits() -> Iterator[int]:
    """Yield the limits of the cgroups around this process, of either version."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = _CGROUPS / "memory" if controllers else _CGROUPS
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        inside = root / path.lstrip("/")
        for folder in (inside, *inside.parents):
            if folder == root.parent:
                break
            try:
                text = (folder / name).read_text(encoding="ascii").strip()
            except OSError:
                continue
            if text.isdigit():
                yield int(text)


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
