"""Who may change what is recorded: the role that serves, rights that others have, and the triggers that guard."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import Final

from psycopg.sql import SQL, Identifier

from ledger.store.postgres.migrate import DICTIONARIES, ERASABLE, EVENTS, migration_text
from ledger.tools.doctor.finding import Finding, fault, ok, warning
from ledger.tools.doctor.site import Named, Site
from ledger.tools.doctor.words import listed

_GUARDED: Final = ("commits", "events", "requests")
_DELETED_ONLY: Final = (ERASABLE,)  # to erase is to delete a row
_ADDS: Final = frozenset({"SELECT", "INSERT"})
# What grants.sql gives the service; from all other tables it may SELECT.
_OF_SERVICE: Final = {
    **dict.fromkeys((*_GUARDED, *_DELETED_ONLY, "erasable_text"), _ADDS),
    **dict.fromkeys(("tracking", "account_snapshots"), _ADDS | {"UPDATE"}),
}
_WRITES: Final = frozenset({"INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER", "REFERENCES", "CREATE"})

_POWERS: Final = """
SELECT rolsuper, rolcreaterole, pg_has_role(rolname, %s, 'USAGE') FROM pg_roles WHERE rolname = %s
"""
# (table, column or '', role, right) of all that somebody else than the owner has; the schema is the table ''.
_GRANTS: Final = """
SELECT name, place, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee)::text END, privilege_type
FROM (
    SELECT relname::text AS name, '' AS place, relowner AS owner, (aclexplode(relacl)).*
    FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND relkind = 'r'
    UNION ALL
    SELECT relname, attname, relowner, (aclexplode(attacl)).*
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND relkind = 'r' AND attacl IS NOT NULL
    UNION ALL
    SELECT '', '', nspowner, (aclexplode(nspacl)).* FROM pg_namespace WHERE nspname = %(schema)s
) AS granted WHERE grantee <> owner ORDER BY 3, 1, 2, 4
"""
_TABLES: Final = """
SELECT relname::text FROM pg_class
WHERE relnamespace = to_regnamespace(quote_ident(%s)) AND relkind = 'r' ORDER BY 1
"""
# Before release 16 every membership lets somebody act for another role.
_MAY_ACT: Final = """
SELECT r.rolname::text FROM pg_roles AS r WHERE NOT r.rolsuper AND r.rolname <> %(role)s AND r.rolname !~ '^pg_'
    AND (pg_has_role(r.oid, %(role)s, 'USAGE') OR pg_has_role(r.oid, %(role)s,
        CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END))
ORDER BY 1
"""
_TRIGGERS: Final = """
SELECT relname::text, tgenabled::text, tgtype::int, tgqual IS NULL, prosrc FROM pg_trigger
JOIN pg_class AS c ON c.oid = tgrelid JOIN pg_proc AS p ON p.oid = tgfoid
WHERE relnamespace = to_regnamespace(quote_ident(%s)) AND tgname = 'refuse_change'
"""
_ALWAYS: Final = "A"
_BEFORE_EACH_STATEMENT_THAT_CHANGES: Final = 2 | 8 | 16 | 32  # TRIGGER_TYPE_ of PostgreSQL: before, three kinds
_BUT_FOR_DELETE: Final = _BEFORE_EACH_STATEMENT_THAT_CHANGES & ~8
_KINDS: Final = {
    **dict.fromkeys((*_GUARDED, DICTIONARIES), _BEFORE_EACH_STATEMENT_THAT_CHANGES),
    **dict.fromkeys(_DELETED_ONLY, _BUT_FOR_DELETE),
}
_GUARD: Final = "0003_guard.sql"
_GUARDS_OF: Final = {  # tables that came later
    ERASABLE: "0007_erasable_parts.sql",
    DICTIONARIES: "0008_dictionaries.sql",
}


def owner(site: Site) -> Iterator[Finding]:
    """Look whether the role that serves is the owner of the log, or can become it."""
    roles, writer = site.roles, site.writer
    serves = writer.role if writer else roles.service or site.connection.info.user
    is_super, makes_roles, acts = site.row(_POWERS, roles.owner, serves)
    says = f"the log belongs to {roles.owner}, and {serves} {'serves' if writer else 'is to serve'}"
    if not roles.service:
        yield warning(f"{says}: it has no roles of its own, so who serves can change what is recorded", _give(site))
    elif is_super or makes_roles:
        powers = " and ".join(
            name for name, has in (("is a superuser", is_super), ("may create roles", makes_roles)) if has
        )
        yield fault(f"{says}, who {powers}, and so can change what is recorded",
                    site.psql("postgres", f"ALTER ROLE {_quoted(serves)} NOSUPERUSER NOCREATEROLE"))  # fmt: skip
    elif acts:
        remedy = f"fee-ledger serve --dsn {quote(site.dsn_as(roles.service))}"
        if serves == roles.service:
            remedy = site.psql("postgres", f"REVOKE {_quoted(roles.owner)} FROM {_quoted(serves)}")
        yield fault(f"{says}, who acts for the owner, and so can change what is recorded", remedy)
    else:
        yield ok(f"{says}, who only adds to it", owner=roles.owner, service=serves)


def grants(site: Site) -> Iterator[Finding]:
    """Compare the rights on the log with those that each role is to have."""
    roles, found = site.roles, False
    given = site.connection.execute(_GRANTS.encode(), {"schema": site.schema}).fetchall()
    for name, column, role, right in given:
        if right not in _WRITES or (role == roles.service and right in _OF_SERVICE.get(name, ())):
            continue
        found = True
        thing = f"{site.schema}.{name}" if name else f"the schema {site.schema}"
        at = f"TABLE {_quoted(site.schema, name)}" if name else f"SCHEMA {_quoted(site.schema)}"
        what = f"{right} ({_quoted(column)})" if column else right
        who = role if role == "PUBLIC" else _quoted(role)
        yield fault(f"{role} has {what} on {thing}, and is not to have it",
                    site.psql(roles.owner, f"REVOKE {what} ON {at} FROM {who}"))  # fmt: skip
    for role in _acting(site, roles.owner):
        found = True
        yield warning(f"{role} can act for {roles.owner}, the owner of the log",
                      site.psql("postgres", f"REVOKE {_quoted(roles.owner)} FROM {_quoted(role)}"))  # fmt: skip
    for role in _acting(site, "pg_write_all_data"):
        found = True
        yield warning(f"{role} may add to every table, as a member of pg_write_all_data",
                      site.psql("postgres", f"REVOKE pg_write_all_data FROM {_quoted(role)}"))  # fmt: skip
    lacks = list(_lacking(site, roles, {(name, role, right) for name, column, role, right in given if not column}))
    if lacks:
        yield fault(f"rights are missing that the release gives: {listed(lacks)}", _give(site))
    elif not found:
        yield ok("nobody has more rights on the log than the release gives, and nobody less")


def guards(site: Site) -> Iterator[Finding]:
    """Look at the triggers that refuse to change what is recorded, and at their function."""
    found = {name: rest for name, *rest in site.connection.execute(_TRIGGERS.encode(), (site.schema,)).fetchall()}
    wrong = {name: says for name, kind in _KINDS.items() if (says := _fault(found.get(name), kind))}
    for name, says in wrong.items():
        yield fault(
            f"the trigger refuse_change of {site.schema}.{name} {says}: what is recorded can be"
            " changed; `fee-ledger audit` says whether it was",
            site.psql(site.roles.owner, *_trigger(site.schema, name)),
        )
    function = _source()
    for name, (*_, source) in found.items():
        if source != function:
            yield fault(f"the function of the trigger of {site.schema}.{name} is not that of the release",
                        site.psql(site.roles.owner, _function(site.schema)))  # fmt: skip
            return
    if not wrong:
        yield ok(f"the triggers of {listed(sorted(_KINDS))} refuse every change, to everybody")


def _fault(trigger: list[object] | None, wanted: int) -> str:
    if trigger is None:
        return "is missing"
    enabled, kind, unconditional, _ = trigger
    if enabled != _ALWAYS:
        return "is disabled" if enabled == "D" else "does not fire in every replication mode"
    return "" if kind == wanted and unconditional else "fires for less than it is to"


def _source() -> str:
    """Return the body of the function as the release has it: what stands between the dollars."""
    return migration_text(_GUARD).split("$$")[1]


def _function(schema: str) -> str:
    return _sql(next(part for part in _statements() if "FUNCTION" in part.split("\n")[0]), schema)


def _trigger(schema: str, table: str) -> list[str]:
    """Return the statements that make a trigger, and have it fire always."""
    at = "{schema}.{events}" if table == EVENTS else f"{{schema}}.{table}"
    after = _statements() if table in _GUARDED else map(str.strip, migration_text(_GUARDS_OF[table]).split(";"))
    begins = ("CREATE OR REPLACE TRIGGER", "ALTER TABLE")
    made = [part for part in after if part.startswith(begins) and "refuse_change" in part and f"{at}" in part]
    return [" ".join(_sql(part, schema).split()) for part in made]


def _statements() -> list[str]:
    """Return the statements of the migration; those of its function hold semicolons themselves."""
    before, body, after = migration_text(_GUARD).split("$$")
    function = f"{before[before.index('CREATE') :]}$${body}$$"
    return [function, *(part.strip() for part in after.split(";") if part.strip())]


def _sql(text: str, schema: str) -> str:
    return SQL(text).format(schema=Identifier(schema), events=Identifier(EVENTS)).as_string()


def _lacking(site: Site, roles: Named, given: set[tuple[str, str, str]]) -> Iterator[str]:
    """Yield each right that service or reader should have, and has not."""
    if not roles.service:
        return
    for (name,) in site.connection.execute(_TABLES.encode(), (site.schema,)).fetchall():
        for right in sorted(_OF_SERVICE.get(name, {"SELECT"})):
            if (name, roles.service, right) not in given:
                yield f"{right} on {site.schema}.{name} for {roles.service}"
        if name != "erasable_text" and (name, roles.reader, "SELECT") not in given:
            yield f"SELECT on {site.schema}.{name} for {roles.reader}"
    for role in (roles.service, roles.reader):
        if ("", role, "USAGE") not in given:
            yield f"USAGE on the schema {site.schema} for {role}"
    if site.row("SELECT has_database_privilege(%s, current_database(), 'CREATE')", roles.service) != (True,):
        yield f"CREATE on the database for {roles.service}"


def _acting(site: Site, role: str) -> list[str]:
    return [name for (name,) in site.connection.execute(_MAY_ACT.encode(), {"role": role}).fetchall()]


def _give(site: Site) -> str:
    """Return what gives a ledger its roles, and each role its rights."""
    roles = site.roles
    if site.folder is not None and not roles.service:
        return site.fee_ledger("serve")  # it does by itself
    names = f" --owner {roles.owner} --service {roles.service} --reader {roles.reader}" if roles.service else ""
    return f"fee-ledger database roles --schema {site.schema}{names} | {site.psql('postgres')}  # look at the SQL first"


def _quoted(*names: str) -> str:
    return Identifier(*names).as_string()
