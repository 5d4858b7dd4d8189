"""Running a subcommand: ask, print, and say in the exit code how it went."""

from __future__ import annotations

import argparse
import os
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from ledger.cli import arguments, documents, screens
from ledger.cli.arguments import Parser
from ledger.client import Client, LedgerError, Unavailable

_CONNECT_S_MAX: Final = 2  # a ledger that is there answers sooner
_PAGE_SIZE: Final = 1_000

Options = argparse.Namespace


def add_commands(commands: Any) -> None:
    """Add every subcommand that asks a running ledger; `run` runs them."""
    arguments.add_reads(partial(_add, commands, ()))
    arguments.add_writes(partial(_add, commands, (arguments.authority(),)))


def _add(commands: Any, more: Sequence[Parser], name: str, help_: str, example: str, *parents: Parser) -> Parser:
    parser: Parser = commands.add_parser(
        name,
        help=help_,
        description=f"{help_[0].upper()}{help_[1:]}.",
        epilog=f"example:\n  fee-ledger {example}",
        formatter_class=arguments.HelpFormatter,
        allow_abbrev=False,
        parents=[*parents, *more, arguments.common()],
    )
    return parser


def run(options: Options) -> int:
    """Run a subcommand. 0: done; 1: the ledger refused; 2: unusable arguments, or no answer; 130: interrupted."""
    try:
        with Client(options.address, timeout_s=options.timeout, connect_timeout_s=_CONNECT_S_MAX) as ledger:
            _COMMANDS[options.command](ledger, options)
        sys.stdout.flush()
    except LedgerError as error:
        return _refused(error, options)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on: that is fine
    except (ValueError, OSError) as error:
        return _tell(2, f"fee-ledger: {' '.join(str(error).split())}")
    except KeyboardInterrupt:
        return _tell(130, "fee-ledger: interrupted")
    except Exception as error:  # people get a line to report, not a traceback
        return _tell(2, f"fee-ledger: a defect of this command ({error!r}): please report it")
    return 0


def _tell(code: int, *lines: str) -> int:
    for line in lines:
        print(line, file=sys.stderr)
    return code


def _refused(error: LedgerError, options: Options) -> int:
    if isinstance(error, Unavailable):
        return _tell(2, f"fee-ledger: {_unavailable(error, options)}")
    if error.reason is None:
        return _tell(2, f"fee-ledger: the ledger at {options.address} cannot do this ({error})")
    told = [(fault.reason.name, fault.description, fault.field) for fault in error.violations if fault.reason]
    lines = [f"{reason}: {description}{_field(field)}" for reason, description, field in told]
    return _tell(1, *(lines or [f"{error}{_field(error.field)}"]))


def _field(field: str) -> str:
    return f" ({field})" if field else ""


def _unavailable(error: Unavailable, options: Options) -> str:
    again = f"; send it again with --request-id {error.request_id}" if error.request_id else ""
    if error.reason is not None:
        return f"{error}{again}"
    if error.code is grpc.StatusCode.UNAVAILABLE:
        where = f"start one with `make run`, or give its --address{again}"
        return f"no ledger answers at {options.address} ({_short(error)}): {where}"
    return f"the ledger at {options.address} did not answer within {options.timeout} s: give a longer --timeout{again}"


def _short(error: LedgerError) -> str:
    """gRPC tells of every address it tried: the last clause is the cause."""
    return str(error).rpartition(": ")[2].rstrip(".")


# --- printing ---------------------------------------------------------------------------------------------------------


def _show(options: Options, answer: Message, lines: Callable[[Any], Iterable[str]]) -> None:
    print(documents.document(answer) if options.json else "\n".join(lines(answer)))


def _show_list(options: Options, pages: Iterator[Any], field: str, head: Callable[[Any], list[str]],
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
            print("\n".join(([*head(page), ""] if first else []) + (lines(entries) if entries else ["none"])))
        first = False
        if left == 0 or not page.next_page_token:
            if not options.json and foot(page):
                print("\n".join(["", *foot(page)]))
            return


def _page_size(options: Options) -> int:
    return min(options.limit or _PAGE_SIZE, _PAGE_SIZE)


# --- asking -----------------------------------------------------------------------------------------------------------


def _at(options: Options) -> dict[str, Any]:
    return {"as_of": options.as_of, **options.known_at}


def _info(ledger: Client, options: Options) -> None:
    _show(options, ledger.get_ledger_info(), screens.info)


def _state(ledger: Client, options: Options) -> None:
    answer = ledger.get_vip_state(options.account, programme_id=options.programme, **_at(options))
    _show(options, answer, screens.state)


def _rates(ledger: Client, options: Options) -> None:
    answer = ledger.get_rates(options.account, programme_id=options.programme, **_at(options))
    _show(options, answer, screens.rates)


def _fees(ledger: Client, options: Options) -> None:
    pages = ledger.fee_history_pages(
        options.account,
        from_time=options.from_time,
        until_time=options.until_time,
        page_size=_page_size(options),
        **_at(options),
    )

    def head(page: Any) -> list[str]:
        fills = sum(total.lines for total in page.totals)
        cut = f" (here the first {options.limit:,})" if options.limit and options.limit < fills else ""
        return screens.headline(f"{options.account}: {fills:,} {'fill' if fills == 1 else 'fills'}{cut}", page.basis)

    def foot(page: Any) -> list[str]:
        return screens.totals(page.totals) if page.totals else []

    _show_list(options, pages, "lines", head, screens.fees, foot)


def _quote(ledger: Client, options: Options) -> None:
    answer = ledger.quote_fee(
        options.account,
        options.symbol,
        side=options.side.upper(),
        liquidity=options.liquidity.upper(),
        last_px=options.price,
        last_qty=options.quantity,
        channel=options.channel.upper(),
        venue=options.venue,
        **_at(options),
    )
    trade = f"{options.side} {options.quantity} {options.symbol} at {options.price} as {options.liquidity}"
    _show(options, answer, lambda found: screens.quote(found, f"{options.account}, {trade}"))


def _fill(ledger: Client, options: Options) -> None:
    answer = ledger.get_fill(options.account, options.day, options.exec_id, venue=options.venue, **options.known_at)
    _show(options, answer, screens.fill)


def _accounts(ledger: Client, options: Options) -> None:
    pages = ledger.account_pages(
        as_of=options.as_of,
        tier=options.tier,
        ending_before=options.ending_before,
        banned=options.banned,
        flagged=options.flagged,
        owner_id=options.owner,
        programme_id=options.programme,
        page_size=_page_size(options),
    )

    def head(page: Any) -> list[str]:
        return [f"accounts, in {page.ledger_id}", f"as of {screens.instant(page.as_of)} UTC, position {page.position}"]

    _show_list(options, pages, "accounts", head, screens.accounts)


def _events(ledger: Client, options: Options) -> None:
    pages = ledger.event_pages(
        options.stream, after_position=options.after, page_size=_page_size(options), **options.known_at
    )

    def head(page: Any) -> list[str]:
        return screens.headline(options.stream or "the whole log", page.basis, as_of=False)

    _show_list(options, pages, "events", head, screens.events)


def _programmes(ledger: Client, options: Options) -> None:
    pages = ledger.programme_pages(options.programme, page_size=_page_size(options), **_at(options))
    subject = options.programme or "programmes"
    _show_list(options, pages, "programmes", lambda page: screens.headline(subject, page.basis), screens.programmes)


def _programme(ledger: Client, options: Options) -> None:
    answer = ledger.get_programme(options.programme, version=options.version, **_at(options))
    print(documents.document(answer) if options.json else answer.programme.content, end="\n" if options.json else "")


def _pairs(ledger: Client, options: Options) -> None:
    pages = ledger.pair_pages(options.programme, page_size=_page_size(options), **_at(options))
    _show_list(options, pages, "pairs", lambda page: screens.headline("pairs", page.basis), screens.symbols)


def _closes(ledger: Client, options: Options) -> None:
    pages = ledger.close_pages(options.asset, from_day=options.from_day, until_day=options.until_day,
                               include_restated=options.restated, page_size=_page_size(options),
                               **_at(options))  # fmt: skip
    _show_list(options, pages, "closes", lambda page: screens.headline("closes", page.basis), screens.closes)


def _findings(ledger: Client, options: Options) -> None:
    pages = ledger.finding_pages(
        options.control,
        as_of=options.as_of,
        within_days=options.within_days,
        programme_id=options.programme,
        page_size=_page_size(options),
    )

    def head(page: Any) -> list[str]:
        subject = options.control or "all controls"
        return [
            f"{subject}, in {page.ledger_id}",
            f"as of {screens.instant(page.as_of)} UTC, position {page.position}",
        ]

    _show_list(options, pages, "findings", head, screens.findings)


def _solo_actions(ledger: Client, options: Options) -> None:
    pages = ledger.solo_action_pages(
        options.of,
        from_time=options.from_time,
        until_time=options.until_time,
        page_size=_page_size(options),
        **_at(options),
    )
    subject = f"what {options.of or 'anybody'} did alone"
    _show_list(options, pages, "actions", lambda page: screens.headline(subject, page.basis), screens.solo_actions)


# --- commands ---------------------------------------------------------------------------------------------------------


def _write(command: Callable[..., Message], options: Options, subject: str, **values: Any) -> None:
    """Send a command with its authority, and print its receipt."""
    request_id = options.request_id or uuid.uuid4().hex
    answer = command(
        subject,
        request_id=request_id,
        actor=options.actor,
        approver=options.approver,
        ticket=options.ticket,
        reason=options.reason,
        **values,
    )
    _show(options, answer, lambda found: screens.written(found, subject, request_id))


def _register_account(ledger: Client, options: Options) -> None:
    _write(ledger.register_account, options, options.account, owner_id=options.owner, parent_account_id=options.parent,
           registered_time=options.registered)  # fmt: skip


def _register_symbol(ledger: Client, options: Options) -> None:
    base, _, quote = options.symbol.partition("_")
    _write(
        ledger.register_symbol,
        options,
        options.symbol,
        base_currency=options.base or base,
        quote_currency=options.quote or quote,
        price_scale=options.price_scale,
        quantity_scale=options.quantity_scale,
        product=options.product.upper(),
        valid_from=options.valid_from,
        pair_class=options.pair_class,
        programme_id=options.programme,
    )


def _register_currency(ledger: Client, options: Options) -> None:
    _write(ledger.register_currency, options, options.currency, decimals=options.decimals)


def _start_trial(ledger: Client, options: Options) -> None:
    _write(ledger.start_trial, options, options.account, start_time=options.start, programme_id=options.programme)


def _change_tier(ledger: Client, options: Options) -> None:
    _write(ledger.change_tier, options, options.account, tier=options.tier, valid_from=options.valid_from,
           valid_until=options.valid_until, programme_id=options.programme)  # fmt: skip


def _revoke_tier(ledger: Client, options: Options) -> None:
    _write(ledger.revoke_tier, options, options.account, grant_id=options.grant, revoke_time=options.at)


def _ban(ledger: Client, options: Options) -> None:
    _write(ledger.ban_account, options, options.account, days=options.days, reason_code=options.reason_code,
           start_time=options.start, evidence_positions=options.evidence_positions)  # fmt: skip


def _record_close(ledger: Client, options: Options) -> None:
    _write(ledger.record_daily_close, options, options.asset, day=options.day, price=options.price,
           currency=options.currency, source=options.source, source_sha256=options.evidence,
           restates=options.restates)  # fmt: skip


def _flag(ledger: Client, options: Options) -> None:
    _write(ledger.flag_account, options, options.account, kind=options.kind.upper(), flag_time=options.at,
           evidence_sha256=options.evidence)  # fmt: skip


def _unflag(ledger: Client, options: Options) -> None:
    _write(ledger.unflag_account, options, options.account, unflag_time=options.at)


def _request_match(ledger: Client, options: Options) -> None:
    _write(
        ledger.request_match,
        options,
        options.account,
        venues=options.venues,
        external_tier=options.level,
        period_from=options.period_from,
        period_until=options.period_until,
        spot_volume=options.spot,
        futures_volume=options.futures,
        evidence_sha256=options.evidence,
        programme_id=options.programme,
    )


def _approve_match(ledger: Client, options: Options) -> None:
    _write(ledger.approve_match, options, options.account, match_id=options.match)


def _reject_match(ledger: Client, options: Options) -> None:
    _write(ledger.reject_match, options, options.account, match_id=options.match, reason_code=options.reason_code)


def _lift_ban(ledger: Client, options: Options) -> None:
    _write(ledger.lift_ban, options, options.account, lift_time=options.at)


def _publish(ledger: Client, options: Options) -> None:
    content = Path(options.file).read_bytes().decode()
    _write(lambda _, **values: ledger.publish_programme(content, **values), options, options.file,
           valid_from=options.valid_from)  # fmt: skip


def _assign_class(ledger: Client, options: Options) -> None:
    _write(ledger.assign_pair_class, options, options.symbol, pair_class=options.pair_class,
           valid_from=options.valid_from, programme_id=options.programme)  # fmt: skip


def _set_pair_rates(ledger: Client, options: Options) -> None:
    _write(ledger.set_pair_rates, options, options.symbol, maker_rate=options.maker, taker_rate=options.taker,
           valid_from=options.valid_from, programme_id=options.programme)  # fmt: skip


_COMMANDS: Final[Mapping[str, Callable[[Client, Options], None]]] = {
    "info": _info,
    "state": _state,
    "rates": _rates,
    "fees": _fees,
    "quote": _quote,
    "fill": _fill,
    "accounts": _accounts,
    "events": _events,
    "register-account": _register_account,
    "register-symbol": _register_symbol,
    "register-currency": _register_currency,
    "start-trial": _start_trial,
    "change-tier": _change_tier,
    "revoke-tier": _revoke_tier,
    "ban": _ban,
    "lift-ban": _lift_ban,
    "programmes": _programmes,
    "programme": _programme,
    "pairs": _pairs,
    "findings": _findings,
    "solo-actions": _solo_actions,
    "publish": _publish,
    "assign-class": _assign_class,
    "set-pair-rates": _set_pair_rates,
    "closes": _closes,
    "record-close": _record_close,
    "flag": _flag,
    "unflag": _unflag,
    "request-match": _request_match,
    "approve-match": _approve_match,
    "reject-match": _reject_match,
}
