"""The parts that all paged queries share: the size of a page, and the token by which the next one is the same read."""

from __future__ import annotations

from typing import TypeAlias

from ledger.domain.refusal import Reason
from ledger.v1 import control_service_pb2, evaluation_service_pb2, programme_service_pb2
from ledger.v1 import query_service_pb2 as pb
from ledger.v1.member_query_service_pb2 import ListApplicationsRequest
from ledger.v1.read_pb2 import ReadAt
from ledger.wire.status import refuse, timestamp
from projections.as_of import Instant, Reader
from projections.page_token import PageToken, decode_token, encode_token

Paged: TypeAlias = (
    pb.ListFeeHistoryRequest
    | pb.ListAccountsRequest
    | pb.ListEventsRequest
    | ListApplicationsRequest
    | programme_service_pb2.ListProgrammesRequest
    | programme_service_pb2.ListPairsRequest
    | control_service_pb2.ListFindingsRequest
    | control_service_pb2.ListSoloActionsRequest
    | control_service_pb2.ListWithheldRequest
    | evaluation_service_pb2.ListClosesRequest
)


def page_size(reader: Reader, asked: int) -> int:
    """Return how many entries a page has: the default for 0, never more than the limit."""
    if asked < 0:
        refuse(Reason.PAGE_SIZE_OUT_OF_RANGE, "page_size", f"{asked} is negative")
    return min(asked or reader.config.page_size, reader.config.page_size_max)


def token_of(reader: Reader, request: Paged) -> PageToken | None:
    """Return the token of a request; None: it asks for the first page."""
    return decode_token(request.page_token, reader.ledger_id, request) if request.page_token else None


def frozen(reader: Reader, token: PageToken) -> Instant:
    """Return the read that a page sequence is; another process that follows the log may not have come so far yet."""
    position = token.known_position
    at = ReadAt(as_of=timestamp(token.as_of_ns), known_at_position=position, min_position=position)
    return reader.instant(at)


def next_token(reader: Reader, instant: Instant, key: bytes, request: Paged) -> str:
    """Return the token of the page after the entry with a key, of the read that `frozen` gives again."""
    token = PageToken(instant.as_of_ns, instant.known.position, key)
    return encode_token(token, reader.ledger_id, request)
