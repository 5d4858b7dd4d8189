"""Printing answers: for people, or as JSON."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from google.protobuf.message import Message

from ledger.cli import documents
from ledger.cli.screens import receipts
from ledger.cli.subcommands import Options
from ledger.client import Client
from ledger.contract import snake_case
from ledger.visible import visible

_PAGE_SIZE: Final = 1_000


def show(options: Options, answer: Message, lines: Callable[[Any], Iterable[str]]) -> None:
    """Print one answer; `lines` is its screen."""
    print(documents.document(answer) if options.json else "\n".join(map(visible, lines(answer))))


def show_pages(options: Options, pages: Iterator[Any], field: str, head: Callable[[Any], list[str]],
               lines: Callable[[Any], list[str]], foot: Callable[[Any], list[str]] = lambda _: []) -> None:  # fmt: skip
    """Print pages as they come: JSON lines, or a headline, a table per page, and a foot."""
    left: int | None = options.limit
    first = True
    for page in pages:
        entries = getattr(page, field)[:left]
        if left is not None:
            left -= len(entries)
        if options.json:
            for entry in entries:
                print(documents.line(entry))
        else:
            told = ([*head(page), ""] if first else []) + (lines(entries) if entries else ["none"])
            print("\n".join(map(visible, told)))
        first = False
        if left == 0 or not page.next_page_token:
            if not options.json and foot(page):
                print("\n".join(["", *map(visible, foot(page))]))
            return


def page_size(options: Options) -> int:
    """Entries of a page: no more than are printed."""
    return min(options.limit or _PAGE_SIZE, _PAGE_SIZE)


def at(options: Options) -> dict[str, Any]:
    """The two clocks of a read, as the client takes them."""
    return {"as_of": options.as_of, **options.known_at}


def given(options: Options) -> tuple[str, dict[str, Any]]:
    """Return the arguments of a subcommand as the client takes them: the first one, and the others by their fields."""
    subject, *others = options.subcommand.arguments
    return subject.value(options), {other.dest: other.value(options) for other in others}


def send(ledger: Client, options: Options) -> None:
    """Do the work of a subcommand that sends a command of its arguments, each under the name of its field."""
    subject, values = given(options)
    write(getattr(ledger, snake_case(options.subcommand.rpcs[0])), options, subject, **values)


def write(
    command: Callable[..., Message], options: Options, subject: str, *, request_id: str = "", **values: Any
) -> None:
    """Send a command about its subject, with its authority, and print its receipt, or its preview.

    `request_id` names the request where --request-id does not; default: a new name.
    """
    request_id = options.request_id or request_id or uuid.uuid4().hex
    answer = command(
        subject,
        request_id=request_id,
        validate_only=options.validate_only,
        actor=options.actor,
        approver=options.approver,
        ticket=options.ticket,
        reason=options.reason,
        **values,
    )
    show(options, answer, lambda found: receipts.written(found, subject, request_id))
