"""Versions: of packages, of PostgreSQL, and of the release that wrote the log; the door refuses an old Python."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import metadata
from shlex import quote
from typing import Final

from packaging.requirements import Requirement

from ledger.domain.events import WriterStarted
from ledger.domain.rules import RULES_VERSION
from ledger.domain.streams import LEDGER
from ledger.release import is_newer
from ledger.tools.doctor.finding import Figures, Finding, fault, note, ok, warning
from ledger.tools.doctor.site import Site
from ledger.tools.doctor.words import listed

_PACKAGE: Final = "fee-ledger"
# The minor release of each major one that has all security fixes known on a day: that of 13 August 2026 closed 28.
SECURE_ON: Final = "2026-08-13"
SECURE: Final = {15: 20, 16: 16, 17: 12, 18: 6}
_OLDEST: Final = 15


def of_packages(_: Site) -> Iterator[Finding]:
    """Compare each package that is installed with what this package asks for; those of extras may be missing."""
    extras = metadata.metadata(_PACKAGE).get_all("Provides-Extra") or []
    found: dict[str, str] = {}
    absent: set[str] = set()
    for asked in map(Requirement, metadata.requires(_PACKAGE) or []):
        extra = next((extra for extra in extras if _belongs(asked, extra)), None)
        if asked.name == _PACKAGE or (extra is None and not _belongs(asked, "")):
            continue
        here = _installed(asked.name)
        wanted = f"{asked.name}{asked.specifier}"
        if here is None and extra is None:
            yield fault(f"{asked.name} is not installed, and {wanted} is asked for", f"pip install {quote(wanted)}")
        elif here is None:
            absent.add(f"{asked.name} ({extra})")
        elif not asked.specifier.contains(here, prereleases=True):
            yield fault(f"{asked.name} {here} is installed, and {wanted} is asked for", f"pip install {quote(wanted)}",
                        **{asked.name: here})  # fmt: skip
        else:
            found[asked.name] = here
    left_out = f"; not installed, of extras: {listed(sorted(absent))}" if absent else ""
    python = platform.python_version()
    yield ok(
        f"{_PACKAGE} {metadata.version(_PACKAGE)} on Python {python}: {len(found)} packages are as asked for{left_out}",
        python=python,
        **found,
    )


def _belongs(asked: Requirement, extra: str) -> bool:
    return asked.marker is None if not extra else bool(asked.marker and _marks(asked, extra))


def _marks(asked: Requirement, extra: str) -> bool:
    assert asked.marker is not None
    return asked.marker.evaluate({"extra": extra}) and not asked.marker.evaluate({"extra": ""})


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def of_postgresql(site: Site) -> Iterator[Finding]:
    """Compare PostgreSQL with the minor releases that have the security fixes."""
    (number,) = site.row("SELECT current_setting('server_version_num')::int")
    yield postgresql_finding(number, embedded=site.folder is not None)


def postgresql_finding(number: int, *, embedded: bool) -> Finding:
    """Return what there is to say of a release by its `server_version_num`, for example 180004 of 18.4.

    The embedded one listens to its own user alone: what it lacks is to be known, and no more.
    """
    major, minor = divmod(number, 10_000)
    says = f"PostgreSQL {major}.{minor} runs"
    if major < _OLDEST:
        return fault(f"{says}, and {_OLDEST} or newer is needed", f"install PostgreSQL {max(SECURE)}", release=number)
    if major not in SECURE:
        return note(f"{says}: this release knows of no security fixes of {major} (as of {SECURE_ON})", release=number)
    if minor >= SECURE[major]:
        return ok(f"{says}: it has the security fixes known on {SECURE_ON}", release=number)
    lacks = f"{says}: it lacks the security fixes of {major}.{SECURE[major]}, which are those known on {SECURE_ON}"
    if embedded:
        return note(f"{lacks}; it listens on a socket of its own user alone",
                    "pip install --upgrade 'fee-ledger[embedded]'", release=number)  # fmt: skip
    return warning(lacks, f"install PostgreSQL {major}.{SECURE[major]} on its machine, and restart it", release=number)


def of_log(site: Site) -> Iterator[Finding]:
    """Compare release and rules of the last term with those of this release."""
    last, here = site.log.last_of(LEDGER), metadata.version(_PACKAGE)
    if last is None or not isinstance(last.event, WriterStarted):
        yield ok(f"nobody has written the log yet; this is {here}, with rules {RULES_VERSION}")
        return
    wrote, rules = last.event.software_version, last.event.rules_version or 1
    says = f"the last term was of {wrote}, with rules {rules}; this is {here}, with rules {RULES_VERSION}"
    figures: Figures = {"log_release": wrote, "log_rules": rules}
    remedy = f"pip install {quote(f'{_PACKAGE}>={wrote}')}"
    if rules > RULES_VERSION:
        yield fault(f"{says}: it would decide by older rules than the log", remedy, **figures)
    elif is_newer(wrote):
        yield warning(f"{says}: a newer release has written it", remedy, **figures)
    else:
        yield ok(says, **figures)
