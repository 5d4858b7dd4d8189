"""ListAccounts: who has which tier, who is banned, whose tier ends soon, out of the materialised tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ledger.domain.grant_sources import ALL
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.programme import NO_TIER
from ledger.store.log import Log
from ledger.v1 import query_service_pb2 as pb
from ledger.wire.enums import set_words
from ledger.wire.fields import Shape, optional_id, read_ns
from ledger.wire.status import RefusedError, refuse, timestamp
from projections.as_of import Reader
from projections.page_token import PageToken, encode_token, text
from projections.paging import page_size, token_of
from projections.tables.position import table_rows, wait_for_tables

_PAGE: Final = """
SELECT a.account_id, o.owner_id, o.parent_account_id, v.tier, v.source, v.tier_until_ns, b.end_time_ns, f.flagged
FROM {read}.accounts a
CROSS JOIN LATERAL (
    SELECT CASE WHEN a.registered_time_ns <= %(at)s THEN a.owner_id ELSE a.account_id END AS owner_id,
        CASE WHEN a.registered_time_ns <= %(at)s THEN a.parent_account_id ELSE '' END AS parent_account_id
) o
LEFT JOIN {read}.vip_intervals v ON v.account_id = a.account_id AND v.programme_id = %(programme)s
    AND v.valid_from_ns <= %(at)s AND (v.valid_until_ns IS NULL OR v.valid_until_ns > %(at)s)
LEFT JOIN LATERAL (
    SELECT max(end_time_ns) AS end_time_ns FROM {read}.ban_intervals
    WHERE account_id = a.account_id AND start_time_ns <= %(at)s AND end_time_ns > %(at)s
) b ON true
CROSS JOIN LATERAL (
    SELECT EXISTS (SELECT FROM {read}.flag_intervals WHERE account_id = a.account_id AND flagged_time_ns <= %(at)s
        AND (unflagged_time_ns IS NULL OR unflagged_time_ns > %(at)s)) AS flagged
) f
WHERE a.account_id = ANY(ARRAY("""  # the accounts, in the same statement: so that each is as it was found
_PAGE_ENDS: Final = " ORDER BY account_id LIMIT %(limit)s)) ORDER BY a.account_id"
_FEW: Final = 5_000  # accounts that are sorted for each page; where there are more, they are walked in their order
_ENTRIES: Final = "(SELECT FROM {{read}}.{table} WHERE {entries} LIMIT %(few)s)"
_WALKED: Final = "SELECT DISTINCT account_id FROM {{read}}.{table} AS one WHERE {where} AND {rest}"
_SORTED: Final = """
WITH one AS MATERIALIZED (SELECT account_id FROM {{read}}.{table} WHERE {where})
SELECT DISTINCT account_id FROM one WHERE {rest}"""
_EXISTS: Final = "EXISTS (SELECT FROM {{read}}.{table} AS its WHERE its.account_id = one.account_id AND {where})"
_AFTER: Final = "one.account_id > %(after)s"


class _Condition(NamedTuple):
    """A condition that an account meets by a row of a table; not `met`: by having none.

    `entries` are stretches of an index by time. They have all these rows, and few others while the past is long.
    One that is not `exact` is met by others, too: by it accounts are found, and no more.
    """

    table: str
    where: str
    entries: tuple[str, ...] = ()
    met: bool = True
    exact: bool = True

    @property
    def exists(self) -> str:
        """Return the condition on an account `one`."""
        exists = _EXISTS.format(table=self.table, where=self.where)
        return exists if self.met else f"NOT {exists}"


_ANYBODY: Final = _Condition("accounts", "true")
_NOBODY: Final = _Condition("accounts", "false", ("false",))
_WITH_TIER: Final = _Condition(
    "vip_intervals",
    "programme_id = %(programme)s AND valid_from_ns <= %(at)s AND (valid_until_ns IS NULL OR valid_until_ns > %(at)s)",
)
# Of a ledger with one programme: where there are several, the last time with a tier may be one with that of another.
_MAY_HAVE_NO_TIER: Final = _Condition(
    "accounts",
    "(tier_from_ns IS NULL OR tier_from_ns > %(at)s OR tier_until_ns <= %(at)s)",
    ("tier_from_ns IS NULL", "tier_from_ns > %(at)s", "tier_until_ns <= %(at)s"),
    exact=False,
)
_OF_TIER: Final = _Condition(
    "vip_intervals",
    f"tier = %(tier)s AND {_WITH_TIER.where}",
    ("tier = %(tier)s AND valid_until_ns > %(at)s", "tier = %(tier)s AND valid_until_ns IS NULL"),
)
_ENDS: Final = "source = ANY(%(sources)s) AND tier_until_ns > %(at)s AND tier_until_ns < %(ending)s"
_ENDING: Final = _Condition("vip_intervals", f"{_ENDS} AND {_WITH_TIER.where}", (_ENDS,))
_BANNED: Final = _Condition(
    "ban_intervals", "start_time_ns <= %(at)s AND end_time_ns > %(at)s", ("end_time_ns > %(at)s",)
)
_FLAGGED: Final = _Condition(
    "flag_intervals",
    "flagged_time_ns <= %(at)s AND (unflagged_time_ns IS NULL OR unflagged_time_ns > %(at)s)",
    ("unflagged_time_ns > %(at)s", "unflagged_time_ns IS NULL"),
)
_OF_OWNER: Final = _Condition(
    "accounts",
    "(owner_id = %(owner)s AND registered_time_ns <= %(at)s"
    " OR account_id = %(owner)s AND (registered_time_ns IS NULL OR registered_time_ns > %(at)s))",
    ("owner_id = %(owner)s AND registered_time_ns IS NOT NULL", "account_id = %(owner)s"),
)


def list_accounts(reader: Reader, schema: str, request: pb.ListAccountsRequest) -> pb.ListAccountsResponse:
    """Answer with one page of accounts for which all given conditions hold at as_of."""
    with Shape() as shape:
        for field in ("tier", "owner_id", "programme_id"):
            shape(optional_id, getattr(request, field), field)
        for field in ("as_of", "ending_before"):
            if request.HasField(field):  # type: ignore[arg-type]
                shape(read_ns, getattr(request, field), field)
        size = shape(page_size, reader, request.page_size)
        token = shape(token_of, reader, request)
    as_of_ns = token.as_of_ns if token else _as_of_ns(reader, request)
    position = wait_for_tables(reader, schema, request.min_position, any_version=True)
    after = token.last(text) if token else ""
    parameters = {
        "programme": _programme(reader, request, as_of_ns),
        "at": as_of_ns,
        "after": after,
        "tier": request.tier,
        "sources": list(ALL),
        "ending": read_ns(request.ending_before, "ending_before") if request.HasField("ending_before") else None,
        "owner": request.owner_id,
        "few": _FEW,
        "limit": size + 1,
    }
    conditions = list(_conditions(request, has_one_programme=len(reader.book().programmes) == 1))
    rows = _page(reader.log, schema, conditions, parameters)
    response = pb.ListAccountsResponse(
        ledger_id=reader.ledger_id,
        as_of=timestamp(as_of_ns),
        position=position,
        accounts=[_summary(*row) for row in rows[:size]],
    )
    if len(rows) > size:
        key = rows[size - 1][0].encode()
        response.next_page_token = encode_token(PageToken(as_of_ns, 0, key), reader.ledger_id, request)
    return response


def _conditions(request: pb.ListAccountsRequest, *, has_one_programme: bool) -> Iterator[_Condition]:
    """Yield what a request asks of accounts."""
    if request.owner_id:
        yield _OF_OWNER
    if request.HasField("banned"):
        yield _BANNED._replace(met=request.banned)
    if request.HasField("flagged"):
        yield _FLAGGED._replace(met=request.flagged)
    if request.HasField("ending_before"):
        yield _ENDING
    if request.tier == NO_TIER:
        yield _NOBODY if request.HasField("ending_before") else _WITH_TIER._replace(met=False)
        if has_one_programme:
            yield _MAY_HAVE_NO_TIER
    elif request.tier:
        yield _OF_TIER


def _page(
    log: Log, schema: str, conditions: Sequence[_Condition], parameters: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Return rows of accounts that meet all conditions, found by the one which the fewest meet.

    PostgreSQL would go by shares of a whole table, most of which may be of the past.
    """
    found_by = [condition for condition in conditions if condition.met]
    counts = _counts(log, schema, found_by, parameters) if found_by else []
    count, first = min(zip(counts, found_by, strict=True), default=(_FEW, _ANYBODY), key=lambda each: each[0])
    if count >= _FEW and not first.exact:
        first = _ANYBODY
    rest = " AND ".join((_AFTER, *(each.exists for each in conditions if each.exact and each is not first)))
    found = (_SORTED if count < _FEW else _WALKED).format(table=first.table, where=first.where, rest=rest)
    return table_rows(log, schema, _PAGE + found + _PAGE_ENDS, parameters)


def _counts(log: Log, schema: str, conditions: Sequence[_Condition], parameters: Mapping[str, Any]) -> tuple[int, ...]:
    """Return how many accounts may meet each condition, counted up to some _FEW."""
    entries = [[_ENTRIES.format(table=each.table, entries=one) for one in each.entries] for each in conditions]
    counted = ", ".join(f"(SELECT count(*) FROM ({' UNION ALL '.join(each)}) AS entry)" for each in entries)
    (counts,) = table_rows(log, schema, f"SELECT {counted}", parameters)
    return counts


def _as_of_ns(reader: Reader, request: pb.ListAccountsRequest) -> int:
    return read_ns(request.as_of, "as_of") if request.HasField("as_of") else reader.now_ns()


def _programme(reader: Reader, request: pb.ListAccountsRequest, as_of_ns: int) -> str:
    book = reader.book()
    programme = book.programme(request.programme_id, as_of_ns)
    if isinstance(programme, Refusal):
        raise RefusedError(programme)
    if request.tier and request.tier != NO_TIER and request.tier not in programme.tiers:
        known = ", ".join((NO_TIER, *programme.tiers))
        refuse(Reason.TIER_UNKNOWN, "tier", f"{request.tier} is not a tier of {programme.programme_id}: {known}")
    return programme.programme_id


def _summary(account_id: str, owner_id: str, parent_id: str, *standing: Any) -> pb.AccountSummary:
    tier, source, tier_ends_ns, ban_ends_ns, flagged = standing
    summary = pb.AccountSummary(
        account_id=account_id,
        owner_id=owner_id,
        parent_account_id=parent_id,
        tier=tier or NO_TIER,
        banned=ban_ends_ns is not None,
        flagged=flagged,
    )
    set_words(summary, grant_source=source or "")
    if tier_ends_ns is not None:
        summary.tier_ends.CopyFrom(timestamp(tier_ends_ns))
    if ban_ends_ns is not None:
        summary.ban_ends.CopyFrom(timestamp(ban_ends_ns))
    return summary
