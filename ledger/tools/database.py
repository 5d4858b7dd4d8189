"""The roles of a PostgreSQL of one's own, and the migrations, which its owner runs."""

from __future__ import annotations

import argparse
import re
from typing import Final

import psycopg

from ledger.cli import Options, argument
from ledger.cli.errors import UnusableError
from ledger.clock import ClockLeapError, WallClock, check_other_clock
from ledger.store.migration import migrate
from ledger.store.postgres.database import DatabaseError, cannot_be_used, check_durable, connect, store_clock_ns
from ledger.store.postgres.dsn import VARIABLE
from ledger.store.postgres.migrate import MigrationError
from ledger.store.postgres.roles import Roles, roles_sql
from ledger.tools.group import TOOLS
from ledger.tools.progress import ProgressBar
from ledger.tools.store import knobs_of, own_store_arguments, schema_argument

_ROLES: Final = Roles()
_NOTES: Final = """\
Look at the SQL, and let somebody run it with `psql -f` in the database of the ledger who may create
roles there. A role that it makes has no password: give it one in psql, `\\password ledger_service`,
or another way to log in (pg_hba.conf). Then run `fee-ledger database migrate` as the owner, now and
for each new release, and `fee-ledger serve` as the service.

owner    owns the log and migrates it; for that alone
service  adds to the log, and changes nothing of it; owns the tables of the read side, so `rebuild`
         runs as the service too, and `check`, which looks at free texts
reader   may SELECT all but free texts: for SQL, and for `audit`

A ledger that is there is taken over as it is, whoever owns it. Run the SQL again to change names.
It refuses a service or reader that could change the log by other means."""


def _role(text: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", text):
        raise argparse.ArgumentTypeError(f"{text!a} does not match [a-z_][a-z0-9_]{{0,62}}")
    return text


_DATABASE: Final = TOOLS.verbs("database", "roles and migrations of a PostgreSQL of your own", "database roles")


@_DATABASE.add(
    "roles",
    "print the SQL that gives owner, service and readers of a ledger roles of their own",
    "database roles > roles.sql",
    "database roles --schema spot --owner spot_owner --service spot --reader spot_reader",
    arguments=(
        argument("--owner", type=_role, default=_ROLES.owner, metavar="ROLE",
                 help="owns the log and migrates it (default %(default)s)"),
        argument("--service", type=_role, default=_ROLES.service, metavar="ROLE",
                 help="records, and keeps the read side (default %(default)s)"),
        argument("--reader", type=_role, default=_ROLES.reader, metavar="ROLE",
                 help="reads with SQL (default %(default)s)"),
    ),
    parents=(schema_argument,),
    notes=_NOTES,
)  # fmt: skip
def _print_roles(options: Options) -> int:
    roles = Roles(options.owner, options.service, options.reader)
    if len({roles.owner, roles.service, roles.reader}) < 3:
        raise UnusableError("owner, service and reader are to be three roles")
    print(f"\\set ON_ERROR_STOP on\n{roles_sql(knobs_of(options).schema, roles)}", end="")
    return 0


@_DATABASE.add(
    "migrate",
    "bring the tables of a ledger up to this release, as their owner",
    "database migrate --dsn postgresql://ledger_owner@db/ledger",
    parents=(own_store_arguments,),
    notes="The dsn is that of a role that owns the ledger, or may act for its owner.\n\n"
    "A log that holds events is digested before and after, and the event MigrationApplied, which is\n"
    "appended to it, says both. All is one transaction: whatever ends it, nothing is left half done,\n"
    "and the same command does it. Meanwhile nobody records.\n\n"
    "exit code 0: the tables are those of this release; 2: they cannot be, and one line says why",
    interrupted="nothing was changed",
)
def _migrate(options: Options) -> int:
    config = knobs_of(options)
    if not config.dsn:
        raise UnusableError(f"--dsn or ${VARIABLE} is needed: the embedded PostgreSQL is migrated by `serve`")
    progress, clock = ProgressBar(), WallClock()
    try:
        with connect(config.dsn, "migration") as connection:
            check_durable(connection)
            check_other_clock(clock, store_clock_ns(connection))  # what it appends has a time
            applied = migrate(connection, config.schema, clock_ns=clock.now_ns, show=progress.show)
    except (MigrationError, DatabaseError, ClockLeapError) as error:
        raise UnusableError(str(error)) from error
    except psycopg.Error as error:
        raise UnusableError(cannot_be_used(error)) from error
    finally:
        progress.clear()
    print(f"applied: {', '.join(applied)}" if applied else "nothing was missing")
    return 0
