"""Decisions on the shared registers: symbols with their pair class, and currencies."""

from __future__ import annotations

from ledger.domain.commands import RegisterCommand, RegisterCurrency, RegisterSymbol
from ledger.domain.decide.decided import Decided
from ledger.domain.decide.programme import class_refused, in_the_past
from ledger.domain.events import CurrencyRegistered, Event, PairClassAssigned, SymbolRegistered
from ledger.domain.refusal import Reason, Refusal
from ledger.domain.state.rulebook import Rulebook
from ledger.domain.streams import REGISTERS, programme_stream


def decide_register(book: Rulebook, command: RegisterCommand, now_ns: int) -> Decided | Refusal:
    """Decide a command on the registers. No terms change under fills that were priced already."""
    if isinstance(command, RegisterCurrency):
        return _register_currency(book, command)
    return _register_symbol(book, command, now_ns)


def _register_currency(book: Rulebook, command: RegisterCurrency) -> Decided | Refusal:
    known = book.currencies.get(command.currency)
    if known is not None:
        detail = f"{command.currency} is registered with {known} decimals"
        return Refusal(Reason.CURRENCY_ALREADY_REGISTERED, "currency", detail)
    return Decided(0, ((REGISTERS, CurrencyRegistered(command.currency, command.decimals)),))


def _register_symbol(book: Rulebook, command: RegisterSymbol, now_ns: int) -> Decided | Refusal:
    known = book.symbols.get(command.symbol, ())
    if any(command.valid_from_ns == start_ns for start_ns, _ in known):
        detail = f"{command.symbol} is registered from this instant on: give new terms another valid_from"
        return Refusal(Reason.SYMBOL_ALREADY_REGISTERED, "symbol", detail)
    why = f"{command.symbol} has terms, by which fills may have been priced since then"
    past = in_the_past(known, command.valid_from_ns, now_ns, why)
    terms = SymbolRegistered(
        command.symbol,
        command.base_currency,
        command.quote_currency,
        command.product,
        command.price_scale,
        command.quantity_scale,
        command.valid_from_ns,
    )
    events: tuple[tuple[str, Event], ...] = ((REGISTERS, terms),)
    if command.pair_class or command.programme_id:
        programme = book.programme(command.programme_id, command.valid_from_ns)
        if isinstance(programme, Refusal):
            return programme
        if command.pair_class and command.pair_class not in programme.pair_classes:
            classes = ", ".join(programme.pair_classes)
            detail = f"{command.pair_class} is not a pair class of {programme.programme_id}: {classes}"
            return Refusal(Reason.PAIR_CLASS_UNKNOWN, "pair_class", detail)
        if command.pair_class:
            event = PairClassAssigned(programme.programme_id, command.symbol, command.pair_class, command.valid_from_ns)
            events += ((programme_stream(programme.programme_id), event),)
            past = past or class_refused(book, event, now_ns)
    return past or Decided(command.valid_from_ns, events)
