"""ListAccounts: who has which tier, who is banned, whose tier ends soon, out of the materialised tables."""

from __future__ import annotations

from typing import Any, Final

from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.programme import NO_TIER
from ledger.v1 import query_service_pb2 as pb
from ledger.wire.enums import set_words
from ledger.wire.fields import Shape, optional_id, read_ns
from ledger.wire.status import RefusedError, refuse, timestamp
from projections.as_of import Reader
from projections.page_token import PageToken, encode_token, text
from projections.paging import page_size, token_of
from projections.tables.position import table_rows, wait_for_tables

_LIST: Final = """
SELECT a.account_id, o.owner_id, o.parent_account_id, v.tier, v.source, v.tier_until_ns, b.end_time_ns,
    f.flagged
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
WHERE a.account_id > %(after)s
    AND (%(tier)s = '' OR coalesce(v.tier, %(none)s) = %(tier)s)
    AND (%(ending)s::bigint IS NULL OR v.tier_until_ns < %(ending)s)
    AND (%(banned)s::boolean IS NULL OR (b.end_time_ns IS NOT NULL) = %(banned)s)
    AND (%(flagged)s::boolean IS NULL OR f.flagged = %(flagged)s)
    AND (%(owner)s = '' OR o.owner_id = %(owner)s)
ORDER BY a.account_id LIMIT %(limit)s
"""


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
    rows = table_rows(
        reader.log,
        schema,
        _LIST,
        {
            "programme": _programme(reader, request, as_of_ns),
            "at": as_of_ns,
            "after": after,
            "tier": request.tier,
            "none": NO_TIER,
            "ending": read_ns(request.ending_before, "ending_before") if request.HasField("ending_before") else None,
            "banned": request.banned if request.HasField("banned") else None,
            "flagged": request.flagged if request.HasField("flagged") else None,
            "owner": request.owner_id,
            "limit": size + 1,
        },
    )
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
