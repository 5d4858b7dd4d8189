"""The table of all checks: what each looks at, when it finds something, and what it needs.

`python -m scripts.doctor` writes it to docs/operations/doctor.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from ledger.tools.doctor import (
    clocks,
    disks,
    durability,
    machine,
    migrations,
    roles,
    serving,
    sources,
    tables,
    versions,
)
from ledger.tools.doctor.finding import Finding
from ledger.tools.doctor.site import Site

Find: TypeAlias = Callable[[Site], Iterator[Finding]]


class Needs(StrEnum):
    """Things that must be there for a check to look."""

    MACHINE = "nothing"
    POSTGRESQL = "PostgreSQL"
    LOG = "a ledger"


class Check(NamedTuple):
    """A thing that is looked at. `looks_at` and `finds` are sentences of the page."""

    name: str
    looks_at: str
    finds: str
    find: Find
    needs: Needs = Needs.LOG


CHECKS: Final = (
    Check(
        "clock-postgresql",
        "The clock of PostgreSQL beside that of this machine.",
        "FAULT from 60 s on, as no service starts then; WARNING from 1 s on.",
        clocks.of_postgresql,
        Needs.POSTGRESQL,
    ),
    Check(
        "clock-last-commit",
        "The clock beside the time of the last commit.",
        "FAULT if that is over 60 s ahead; NOTE if it is over 7 days ago, or --accept-clock began the term.",
        clocks.of_last_commit,
    ),
    Check(
        "clock-synchronised",
        "The word of the kernel (adjtimex) whether its clock is synchronised.",
        "NOTE if it does not know.",
        clocks.synchronised,
        Needs.MACHINE,
    ),
    Check(
        "disk-data",
        "The room on the disks of data and WAL, in days at the pace of the last one.",
        "FAULT below 64 MB, where the ledger writes no more; WARNING below 1 GB or 7 days; NOTE below 30 days.",
        disks.of_data,
        Needs.MACHINE,
    ),
    Check(
        "disk-pace",
        "The size of log and tables, and what a day takes.",
        "Nothing: disk-data reckons with it.",
        disks.pace,
    ),
    Check(
        "disk-temporary",
        "The room where tools put aside what does not fit into memory ($TMPDIR).",
        "WARNING below 1 GB.",
        disks.of_temporary,
        Needs.MACHINE,
    ),
    Check(
        "fsync-settings",
        "The settings fsync, full_page_writes, synchronous_commit and data_checksums of PostgreSQL.",
        "FAULT if one of the first two is off; NOTE for the others, which lose nothing.",
        durability.settings,
        Needs.POSTGRESQL,
    ),
    Check(
        "fsync-measured",
        "A hundred fsyncs of 8 kB beside the data of the embedded PostgreSQL.",
        "NOTE if half of them take over 20 ms, or less than 20 us.",
        durability.measured,
        Needs.MACHINE,
    ),
    Check(
        "version-packages",
        "Each installed package beside the range that the package asks for.",
        "FAULT outside of its range, or where one is missing that is no extra.",
        versions.of_packages,
        Needs.MACHINE,
    ),
    Check(
        "version-postgresql",
        f"PostgreSQL beside the releases with all security fixes known on {versions.SECURE_ON}.",
        "FAULT before 15; WARNING where fixes are lacking, NOTE if it is the embedded one; NOTE for a newer major one.",
        versions.of_postgresql,
        Needs.POSTGRESQL,
    ),
    Check(
        "version-log",
        "Release and rules of the last term beside those of this release.",
        "FAULT if it decided by newer rules; WARNING if a newer release wrote.",
        versions.of_log,
    ),
    Check(
        "migrations-applied",
        "The migrations of the schema beside those of this release.",
        "FAULT if some are missing, or a newer release applied some.",
        migrations.applied,
    ),
    Check(
        "upgrade",
        "What the first start of this release would do to schema and tables, and how long, without doing it.",
        "NOTE if it would do something.",
        migrations.upgrade,
    ),
    Check(
        "roles-owner",
        "The role that serves, or is to serve, beside the owner of the log.",
        "FAULT if it can act for the owner, is a superuser or may create roles; WARNING if the log has no roles.",
        roles.owner,
    ),
    Check(
        "roles-grants",
        "The rights on the tables of the log, of every role.",
        "FAULT for a right too many or too few; WARNING for roles that can act for the owner.",
        roles.grants,
    ),
    Check(
        "roles-guards",
        "The triggers that refuse changes of events, commits and requests, and their function.",
        "FAULT if one is missing, disabled, or another.",
        roles.guards,
    ),
    Check(
        "tables-lag",
        "The position of the read side's tables beside that of the log.",
        "WARNING from a minute on while somebody serves, or if it is ahead; NOTE while nobody serves.",
        tables.lag,
    ),
    Check(
        "tables-version",
        "The version of the tables, and whether all are there.",
        "WARNING if it is another one, or some are missing.",
        tables.version,
    ),
    Check(
        "tables-rebuild",
        "Whether the tables are made anew, or were left half made.",
        "NOTE while they are made; WARNING if they were left.",
        tables.rebuild,
    ),
    Check(
        "sources-silent",
        "The last sign of life of each source, beside --silent-minutes.",
        "WARNING for each that is silent for longer.",
        sources.silent,
    ),
    Check(
        "evaluations-missed",
        "Evaluations of volume that were due since the ledger began.",
        "WARNING for each that was not run, was interrupted, or waits for closes.",
        sources.missed,
    ),
    Check(
        "trials-missed",
        "Trials that have ended.",
        "WARNING if some were not evaluated.",
        sources.trials,
    ),
    Check(
        "memory",
        "The bound of memory that follows from the knobs beside that of the machine, or of the service's cgroup.",
        "FAULT if it is more; WARNING if it is more than three quarters.",
        machine.memory,
        Needs.MACHINE,
    ),
    Check(
        "threads",
        "The threads and processes that the cgroups of the service allow (pids.max) beside those that it takes.",
        "FAULT below what it takes without a call; WARNING below what it takes with all calls that it holds.",
        machine.threads,
        Needs.MACHINE,
    ),
    Check(
        "open-files",
        "The limit of open files: of the service, if the embedded one runs, else of this shell.",
        "FAULT below what the service needs itself; WARNING if less than 256 are left for callers.",
        machine.open_files,
        Needs.MACHINE,
    ),
    Check(
        "connections",
        "The connections that PostgreSQL gives the role beside those that the service needs.",
        "FAULT if there are fewer; WARNING if others leave too few; NOTE if a standby would find too few.",
        serving.connections,
        Needs.POSTGRESQL,
    ),
    Check(
        "configuration",
        "Who sets the knobs: flags, environment and file.",
        "WARNING for a password that others read and for accept_clock at every start; NOTE where two contradict.",
        serving.configuration,
        Needs.MACHINE,
    ),
    Check(
        "service",
        "The health of the service that runs, by each of its services.",
        "FAULT if it does not answer, or serves something not; NOTE if none runs, or it stands by.",
        serving.health,
        Needs.MACHINE,
    ),
    Check(
        "door",
        "The addresses that the service and its metrics listen on.",
        "WARNING if the service is reached beyond loopback, as there is no access control; NOTE if its metrics are.",
        serving.door,
        Needs.MACHINE,
    ),
)
BY_NAME: Final = {check.name: check for check in CHECKS}
