"""GetLedgerInfo: what ledger this is, and how far it is."""

from __future__ import annotations

from ledger.domain.events import WriterStarted
from ledger.domain.state.programme import Programme
from ledger.domain.streams import LEDGER
from ledger.v1 import query_service_pb2 as pb
from ledger.wire.status import timestamp
from projections.as_of import Reader
from projections.tables.position import lag_ns, rebuilding, tables_standing
from projections.tables.tables import TABLES_VERSION


def get_ledger_info(reader: Reader, schema: str, _: pb.GetLedgerInfoRequest) -> pb.GetLedgerInfoResponse:
    """Answer with the present of the ledger and of its materialised tables."""
    tables, version = tables_standing(reader.log, schema)
    head = reader.log.head()
    last = reader.log.last_of(LEDGER)
    started = last.event if last and isinstance(last.event, WriterStarted) else WriterStarted(0, "")
    book, now_ns = reader.book(), reader.now_ns()
    programmes = (book.programme(programme_id, now_ns) for programme_id in book.programmes)
    return pb.GetLedgerInfoResponse(
        previews=True,
        ledger_id=reader.ledger_id,
        position=head.position,
        recorded_time=timestamp(head.recorded_time_ns),
        writer_term=started.term,
        software_version=started.software_version,
        programmes=[_info(programme) for programme in programmes if isinstance(programme, Programme)],
        projections=pb.ProjectionInfo(
            position=tables,
            lag_positions=max(head.position - tables, 0),
            lag_ms=lag_ns(reader.log, tables, head.position, now_ns) // 1_000_000,
            version=version,
            version_wanted=TABLES_VERSION,
            rebuilding=rebuilding(reader.log, schema),
        ),
    )


def _info(programme: Programme) -> pb.ProgrammeInfo:
    return pb.ProgrammeInfo(
        programme_id=programme.programme_id,
        version=programme.version,
        venues=programme.venues,
        tiers=programme.tiers,
        pair_classes=programme.pair_classes,
    )
