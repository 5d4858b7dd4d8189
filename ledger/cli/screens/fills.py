"""Screens about fills and their fees."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.cli.screens.layout import NONE, given, headline, instant, name, pairs, paragraph, percent, table
from ledger.v1 import fill_pb2
from ledger.v1 import query_service_pb2 as pb


def quote(found: pb.QuoteFeeResponse, trade: str) -> list[str]:
    """Show what a fill would cost, and why."""
    fee = f"{trade}: fee {found.fee_amount} {found.fee_currency} ({found.fee_type})"
    banned = "account is banned" if found.banned else ""
    rows = [("notional", found.notional), *_basis_rows(found.fee_basis), ("note", banned)]
    return headline(fee, found.basis) + pairs(rows)


def _basis_rows(basis: pb.FeeBasis) -> list[tuple[str, str]]:
    grant = f" (grant {basis.grant_id}, {basis.grant_source})" if basis.grant_id else ""
    discount = "" if basis.discount in ("", "0") else f", less {percent(basis.discount)} %"
    return [
        ("rate", f"{percent(basis.rate)} %{discount} ({basis.rate_source})"),
        ("tier", f"{basis.tier}{grant}"),
        ("pair class", basis.pair_class or "none"),
        ("programme", f"{basis.programme_id} {basis.programme_version}"),
    ]


def fill(found: pb.GetFillResponse) -> list[str]:
    """One fill and its fee."""
    line = found.line
    ref, where = line.fill_ref, line.line_ref
    trade = f"{name(fill_pb2.Side, line.side)} as {name(fill_pb2.Liquidity, line.liquidity)}"
    notes = [word for word, said in (("self-trade", line.self_trade), ("banned", line.banned)) if said]
    charged = line.charged_fee
    token = line.token_payment
    fee = f"{ref.account_id} {ref.day} {ref.exec_id}: fee {line.fee_amount} {line.fee_currency} ({line.fee_type})"
    return [
        *headline(fee, found.basis, as_of=False),
        *pairs([
            ("time", f"{instant(line.transact_time)} UTC"), ("recorded", f"{instant(line.recorded_time)} UTC"),
            ("place in the log", f"position {where.position}, line {where.line}"),
            ("venue", ref.venue), ("symbol", line.symbol), ("trade", trade), ("quantity", line.last_qty),
            ("price", line.last_px), ("notional", f"{line.notional} {line.quote_currency}"),
            *_basis_rows(line.basis),
            ("notes", ", ".join(notes)), ("product", name(fill_pb2.Product, line.product)),
            ("channel", name(fill_pb2.Channel, line.channel)),
            ("trade id", line.trade_id), ("order id", line.order_id), ("client's order", line.cl_ord_id),
            ("order time", given(line, "order_time").removeprefix(NONE)),
            ("owner", line.owner_id), ("other owner", line.counterparty_owner_id),
            ("fee token", f"{token.token} {token.price} {token.price_source}".strip()),
            ("engine charged", f"{charged.amount} {charged.currency}".strip()),
            ("source", f"{line.source} {line.sequence}" if line.source else ""),
        ]),
        *_why(found.explanation),
    ]  # fmt: skip


def _why(sentences: Iterable[pb.Sentence]) -> list[str]:
    """Return an explanation: the rule of each sentence, and the sentence."""
    lines: list[str] = []
    for sentence in sentences:
        first, *more = paragraph(sentence.text, " " * 7)
        lines += [f"  {sentence.clause:<5}{first.lstrip()}", *more]
    return ["", "why", *lines] if lines else []


def fees(lines: Iterable[pb.FeeLine]) -> list[str]:
    """A page of a fee history."""
    heads = ("time (UTC)", "exec_id", "symbol", "trade", ".qty", ".price", ".fee", "in", ".rate %", "tier")
    return table(heads, map(_fee_row, lines))


def _fee_row(line: pb.FeeLine) -> tuple[str, ...]:
    trade = f"{name(fill_pb2.Side, line.side)} {name(fill_pb2.Liquidity, line.liquidity)}"
    if line.HasField("credit"):
        amount = (line.fee_amount, line.fee_currency)
        return (
            instant(line.transact_time),
            NONE,
            NONE,
            credit_word(line),
            NONE,
            NONE,
            *amount,
            NONE,
            line.credit.reason_code,
        )
    trade = "adjusted" if line.HasField("adjustment") else trade
    why = line.basis.tier if line.basis.rate_source in ("TIER", "BASE") else line.basis.rate_source
    return (
        instant(line.transact_time), line.fill_ref.exec_id, line.symbol, trade, line.last_qty, line.last_px,
        line.fee_amount, line.fee_currency, percent(line.basis.rate), why,
    )  # fmt: skip


def credit_word(line: pb.FeeLine) -> str:
    """Return what a credit line says was done: "credited" or "withdrawn"."""
    return "credited" if line.kind == "CREDIT" else "withdrawn"


def totals(found: Iterable[pb.FeeTotal]) -> list[str]:
    """Totals of a fee history."""
    every = list(found)
    credited = any(one.credits for one in every)

    def row(one: pb.FeeTotal) -> tuple[str, ...]:
        back = [one.credits or "0"] if credited else []
        return (one.currency, one.charges, one.rebates, *back, one.net, f"{one.lines:,}")

    heads = ("total", ".charges", ".rebates", *([".credits"] if credited else []), ".net", ">fills")
    return table(heads, map(row, every))
