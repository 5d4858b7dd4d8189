"""The first events of a term: those of a new ledger, and WriterStarted."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from hashlib import sha256
from importlib.metadata import version

from ledger import programmes
from ledger.config import Config
from ledger.domain.events import POSITION_MAX, Event, LedgerCreated, ProgrammePublished, WriterStarted
from ledger.domain.instants import BEGINNING_NS
from ledger.domain.rules import RULES_VERSION
from ledger.domain.streams import LEDGER, programme_stream
from ledger.store.log import Log
from ledger.store.writer import Writer
from ledger.writing.commit_pipeline import Publish
from ledger.writing.service import Service


def begin_term(
    config: Config,
    log: Log,
    writer: Writer,
    clock_ns: Callable[[], int],
    publish: Publish = lambda _, __, ___: None,
) -> Service:
    """A service with the pen: the log's first events if there are none, and WriterStarted."""
    ledger = log.ledger()
    events: list[tuple[str, Event]] = []
    created = next((recorded.event for recorded in ledger if isinstance(recorded.event, LedgerCreated)), None)
    if created is None:
        events.append((LEDGER, LedgerCreated(config.ledger_id or f"ledger-{uuid.uuid4().hex[:12]}")))
    terms = [recorded.event.term for recorded in ledger if isinstance(recorded.event, WriterStarted)]
    term = max(terms, default=0) + 1
    started = WriterStarted(term, version("fee-ledger"), RULES_VERSION, keeps_requests=True, links_fees=True)
    events.append((LEDGER, started))
    if not log.rulebook(POSITION_MAX):
        events.append(_packaged_programme())
    service = Service(
        log,
        writer,
        term=term,
        day_bytes_max=config.account_day_bytes_max,
        account_bytes_max=config.account_state_bytes_max,
        publish=publish,
    )
    service.start(events, clock_ns())
    return service


def _packaged_programme() -> tuple[str, ProgrammePublished]:
    content = programmes.packaged()
    programme = programmes.parse(content)
    event = ProgrammePublished(
        programme_id=programme.programme_id,
        version=programme.version,
        valid_from_ns=BEGINNING_NS,
        content=content,
        content_sha256=sha256(content.encode()).digest(),
    )
    return programme_stream(programme.programme_id), event
