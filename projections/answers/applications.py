"""ListApplications: which applications wait for a decision, and until when, out of the materialised tables."""

from __future__ import annotations

import struct
from typing import Any, Final

from ledger.domain.decide.application_deadline import overdue_from_ns
from ledger.domain.instants import DAY_NS
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.rules.business_days import business_day_after
from ledger.v1 import member_query_service_pb2 as pb
from ledger.wire.fields import Shape, optional_id, read_ns
from ledger.wire.status import RefusedError, refuse, timestamp
from projections.as_of import Reader
from projections.page_token import PageToken, encode_token, text
from projections.paging import page_size, token_of
from projections.tables.position import table_rows, wait_for_tables

BUSINESS_DAYS_MAX: Final = 1_000
_NO_DAY: Final = 2**31 - 1  # sorts applications without a deadline last

_LIST: Final = """
WITH waiting AS (
    SELECT account_id, application_id, received_time_ns, verified_time_ns,
        CASE WHEN clock_start_ns <= %(at)s THEN deadline_day ELSE %(no_day)s END AS day
    FROM {read}.applications
    WHERE received_time_ns <= %(at)s AND (settled_time_ns IS NULL OR settled_time_ns > %(at)s)
        AND (%(programme)s = '' OR programme_id = %(programme)s)
)
SELECT account_id, application_id, received_time_ns, verified_time_ns, day FROM waiting
WHERE (%(overdue)s::boolean IS NULL OR (day < %(today)s) = %(overdue)s)
    AND (%(due)s::integer IS NULL OR day BETWEEN %(today)s AND %(due)s)
    AND (day, account_id, application_id) > (%(day)s, %(account)s, %(application)s)
ORDER BY day, account_id, application_id LIMIT %(limit)s
"""
_DAY: Final = struct.Struct(">i")


def list_applications(reader: Reader, schema: str, request: pb.ListApplicationsRequest) -> pb.ListApplicationsResponse:
    """Answer with one page of applications that wait at as_of, the earliest deadline first."""
    with Shape() as shape:
        shape(optional_id, request.programme_id, "programme_id")
        asked_ns = shape(read_ns, request.as_of, "as_of") if request.HasField("as_of") else None
        shape(_business_days, request.due_within_business_days)
        size = shape(page_size, reader, request.page_size)
        token = shape(token_of, reader, request)
    as_of_ns = token.as_of_ns if token else (reader.now_ns() if asked_ns is None else asked_ns)
    position = wait_for_tables(reader, schema, request.min_position, any_version=True)
    today = as_of_ns // DAY_NS
    rows = table_rows(
        reader.log,
        schema,
        _LIST,
        {
            "at": as_of_ns,
            "today": today,
            "programme": request.programme_id,
            "overdue": request.overdue if request.HasField("overdue") else None,
            "due": _due(reader, request, as_of_ns),
            "no_day": _NO_DAY,
            "limit": size + 1,
            **_after(token),
        },
    )
    response = pb.ListApplicationsResponse(
        ledger_id=reader.ledger_id,
        as_of=timestamp(as_of_ns),
        position=position,
        applications=[_application(row, as_of_ns) for row in rows[:size]],
    )
    if len(rows) > size:
        account_id, application_id, *_, day = rows[size - 1]
        key = _DAY.pack(day) + f"{account_id}/{application_id}".encode()
        response.next_page_token = encode_token(PageToken(as_of_ns, 0, key), reader.ledger_id, request)
    return response


def _business_days(days: int) -> None:
    if days > BUSINESS_DAYS_MAX:
        detail = f"{days} business days, at most {BUSINESS_DAYS_MAX}"
        refuse(Reason.TIME_OUT_OF_RANGE, "due_within_business_days", detail)


def _due(reader: Reader, request: pb.ListApplicationsRequest, as_of_ns: int) -> int | None:
    """Return the last UTC day of the deadlines asked for; None: all."""
    if not request.HasField("due_within_business_days"):
        return None
    programme = reader.book().programme(request.programme_id, as_of_ns)
    if isinstance(programme, Refusal):
        raise RefusedError(programme)
    return business_day_after(programme, as_of_ns // DAY_NS, request.due_within_business_days)


def _after(token: PageToken | None) -> dict[str, Any]:
    """Return the key of the last application of the page before."""
    if token is None:
        return {"day": -1, "account": "", "application": ""}
    return token.last(_application_at)


def _application_at(key: bytes) -> dict[str, Any]:
    account_id, _, application_id = text(key[_DAY.size :]).partition("/")
    return {"day": _DAY.unpack_from(key)[0], "account": account_id, "application": application_id}


def _application(row: tuple[Any, ...], at_ns: int) -> pb.ApplicationDue:
    account_id, application_id, received_ns, verified_ns, day = row
    message = pb.ApplicationDue(
        account_id=account_id,
        application_id=application_id,
        received_time=timestamp(received_ns),
        overdue=day < at_ns // DAY_NS,
    )
    if verified_ns is not None and verified_ns <= at_ns:
        message.verified_time.CopyFrom(timestamp(verified_ns))
    if day != _NO_DAY:
        message.deadline.CopyFrom(timestamp(overdue_from_ns(day)))
    return message
