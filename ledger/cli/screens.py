"""Answers for people: headlines and tables of at most 100 columns, unless the values are wider. Times are UTC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from textwrap import wrap
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.v1 import command_service_pb2 as command_pb
from ledger.v1 import control_service_pb2 as controls_pb
from ledger.v1 import evaluation_service_pb2 as evaluations_pb
from ledger.v1 import fill_pb2, read_pb2
from ledger.v1 import member_service_pb2 as member_pb
from ledger.v1 import programme_service_pb2 as programmes_pb
from ledger.v1 import query_service_pb2 as pb
from ledger.v1.command_pb2 import Flag, FlagKind, Grant

NONE: Final = "-"
WIDTH: Final = 100  # of text
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - every time is UTC, and is printed without a zone


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns two spaces apart; a head with ">" before it is flush right, with "." aligned on the decimal point."""
    columns = list(zip(heads, *rows, strict=True))
    return [" ".join(cells).rstrip() for cells in zip(*map(_column, columns), strict=True)]


def _column(cells: Sequence[str]) -> list[str]:
    head, *values = cells
    kind, head = (head[0], head[1:]) if head.startswith((">", ".")) else ("<", head)
    if kind == ".":
        places = max((len(value.partition(".")[2]) for value in values), default=0)
        values = [_padded(value, places) for value in values]
    width = max(map(len, [head, *values]))
    align = "<" if kind == "<" else ">"
    return [f"{cell:{align}{width}} " for cell in (head, *values)]


def _padded(value: str, places: int) -> str:
    fraction = value.partition(".")[2]
    missing = places - len(fraction) + (1 if places and not fraction else 0)
    return value + " " * missing


def pairs(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Names and values, without those that say nothing."""
    said = [(name, value) for name, value in rows if value]
    width = max((len(name) for name, _ in said), default=0)
    return [f"  {name:<{width}}  {value}" for name, value in said]


def instant(time: Timestamp) -> str:
    """A time with as many decimals as it needs: none, 3, 6 or 9."""
    if not time.seconds and not time.nanos:
        return "beginning"
    decimals = f"{time.nanos:09}"
    while decimals.endswith("000"):
        decimals = decimals[:-3]
    return f"{_EPOCH + timedelta(seconds=time.seconds)}{'.' if decimals else ''}{decimals}"


def given(message: Any, field: str) -> str:
    """A time that may be unset."""
    return instant(getattr(message, field)) if message.HasField(field) else NONE


def percent(rate: str) -> str:
    """A decimal fraction as percent, exactly."""
    return format((Decimal(rate or "0") * 100).normalize(), "f")


def name(enum: Any, number: int) -> str:
    """A member of an enum in words; a number this release does not know, as it is."""
    return enum.Name(number).partition("_")[2].lower() if number in enum.values() else str(number)


def headline(subject: str, basis: read_pb2.ReadBasis, *, as_of: bool = True) -> list[str]:
    """What an answer is about, and what it rests on."""
    effective = f"as of {instant(basis.as_of)} UTC, " if as_of else ""
    if basis.known_at_open:
        known = f"as known now (position {basis.known_at_position})"
    else:
        recorded = f" ({instant(basis.known_at_time)} UTC)" if basis.HasField("known_at_time") else ""
        known = f"known at position {basis.known_at_position}{recorded}"
    return [f"{subject}, in {basis.ledger_id}", f"{effective}{known}"]


def state(found: pb.GetVipStateResponse) -> list[str]:
    """A VIP state: tier, rates, grants, bans."""
    source = f" ({found.grant.source} {found.grant.grant_id})" if found.HasField("grant") else ""
    banned = f", banned until {instant(found.ban.end_time)}" if found.banned else ""
    flagged = ", flagged" if found.flagged else ""
    lines = headline(f"{found.account_id}: {found.tier or 'NONE'}{source}{banned}{flagged}", found.basis)
    lines += _pending(found)
    if not found.known_account:
        lines.append("the ledger had never heard of this account")
    trial = "used" if found.trial_used else "not used"
    lines += pairs([
        ("owner", found.owner_id), ("parent account", found.parent_account_id), ("trial", trial),
        ("programme", f"{found.programme_id} {found.programme_version}".strip()),
    ])  # fmt: skip
    if found.rates:
        lines += ["", *rates_table(found.rates)]
    if found.grants:
        lines += ["", *table(("grant", "tier", "source", "from", "until", "revoked"), map(_grant_row, found.grants))]
    if found.bans:
        rows = [(ban.ban_id, instant(ban.start_time), instant(ban.end_time), ban.reason_code) for ban in found.bans]
        lines += ["", *table(("ban", "from", "until", "reason"), rows)]
    if found.flags:
        rows = [(flag.flag_id, _kind(flag), instant(flag.flagged_time), given(flag, "unflagged_time"))
                for flag in found.flags]  # fmt: skip
        lines += ["", *table(("flag", "kind", "from", "until"), rows)]
    return lines


def _pending(found: pb.GetVipStateResponse | pb.GetRatesResponse) -> list[str]:
    if not found.evaluation_pending:
        return []
    return [f"its volume is to be evaluated as of {instant(found.pending_evaluation_time)}: the tier may change since"]


def _kind(flag: Flag) -> str:
    return FlagKind.Name(flag.kind).removeprefix("FLAG_KIND_")


def _grant_row(grant: Grant) -> tuple[str, ...]:
    until, revoked = given(grant, "valid_until"), given(grant, "revoked_time")
    return grant.grant_id, grant.tier, grant.source, instant(grant.valid_from), until, revoked


def rates_table(rates: Iterable[pb.ClassRates]) -> list[str]:
    """Rates by pair class, in percent."""
    rows = [(rate.pair_class or "none", percent(rate.maker_rate), percent(rate.taker_rate)) for rate in rates]
    return table(("class", ".maker %", ".taker %"), rows)


def rates(found: pb.GetRatesResponse) -> list[str]:
    """What a market maker asks."""
    banned = (", banned" if found.banned else "") + (", flagged" if found.flagged else "")
    until = f" until {instant(found.valid_until)}" if found.HasField("valid_until") else ""
    lines = headline(f"{found.account_id}: {found.tier or 'NONE'}{banned}{until}", found.basis)
    lines += [*_pending(found), "", *rates_table(found.rates), ""]
    missing = ", ".join(f"{close.asset} {close.day}" for close in found.missing_closes)
    lines += pairs([
        ("next evaluation", given(found, "next_evaluation_time")), ("its window from", given(found, "window_from")),
        ("counted so far", f"{found.volume} {found.volume_currency}" if found.volume else ""),
        ("closes it lacks", missing), ("tier it would give", found.projected_tier),
    ])  # fmt: skip
    volume = [("counts", sum_.notional, sum_.quote_currency, f"{sum_.lines:,}") for sum_ in found.counted]
    volume += [
        (f"not: {left.reason}", left.volume.notional, left.volume.quote_currency, f"{left.volume.lines:,}")
        for left in found.excluded
    ]
    rebates = [("earned", rebate.amount, rebate.currency) for rebate in found.rebates_earned]
    rebates += [("not: SELF_TRADE", lost.amount, lost.currency) for lost in found.rebates_suppressed]
    if volume:
        lines += ["", *table(("volume", ".amount", "currency", ">fills"), volume)]
    if rebates:
        lines += ["", *table(("rebates", ".amount", "currency"), rebates)]
    return lines


def quote(found: pb.QuoteFeeResponse, trade: str) -> list[str]:
    """What a fill would cost."""
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
    """An explanation: the rule of each sentence, and the sentence."""
    lines = [
        line
        for sentence in sentences
        for line in wrap(
            sentence.text,
            WIDTH,
            initial_indent=f"  {sentence.clause:<5}",
            subsequent_indent=" " * 7,
            break_on_hyphens=False,  # ids and days stay whole
        )
    ]
    return ["", "why", *lines] if lines else []


def fees(lines: Iterable[pb.FeeLine]) -> list[str]:
    """A page of a fee history."""
    heads = ("time (UTC)", "exec_id", "symbol", "trade", ".qty", ".price", ".fee", "in", ".rate %", "tier")
    return table(heads, map(_fee_row, lines))


def _fee_row(line: pb.FeeLine) -> tuple[str, ...]:
    trade = f"{name(fill_pb2.Side, line.side)} {name(fill_pb2.Liquidity, line.liquidity)}"
    trade = "adjusted" if line.HasField("adjustment") else trade
    why = line.basis.tier if line.basis.rate_source in ("TIER", "BASE") else line.basis.rate_source
    return (
        instant(line.transact_time), line.fill_ref.exec_id, line.symbol, trade, line.last_qty, line.last_px,
        line.fee_amount, line.fee_currency, percent(line.basis.rate), why,
    )  # fmt: skip


def totals(found: Iterable[pb.FeeTotal]) -> list[str]:
    """Totals of a fee history."""
    rows = [(total.currency, total.charges, total.rebates, total.net, f"{total.lines:,}") for total in found]
    return table(("total", ".charges", ".rebates", ".net", ">fills"), rows)


def accounts(found: Iterable[pb.AccountSummary]) -> list[str]:
    """A page of accounts."""
    rows = [
        (
            one.account_id, one.owner_id, one.parent_account_id or NONE, one.tier, one.grant_source or NONE,
            given(one, "tier_ends"), given(one, "ban_ends") if one.banned else NONE,
        )
        for one in found
    ]  # fmt: skip
    return table(("account", "owner", "parent", "tier", "source", "tier ends", "banned until"), rows)


def events(found: Iterable[pb.StoredEvent]) -> list[str]:
    """A page of events."""
    rows = [
        (
            str(event.position), instant(event.recorded_time), event.stream, event.topic, event.actor or NONE,
        )
        for event in found
    ]  # fmt: skip
    return table((">position", "recorded (UTC)", "stream", "event", "actor"), rows)


def programmes(found: Iterable[programmes_pb.ProgrammeVersion]) -> list[str]:
    """Versions of programmes."""
    rows = [
        (
            one.programme_id, one.version, instant(one.valid_from), given(one, "valid_until"),
            "yes" if one.in_force else "", one.actor or NONE, one.approver or NONE, one.content_sha256[:12],
        )
        for one in found
    ]  # fmt: skip
    heads = ("programme", "version", "from (UTC)", "until (UTC)", "in force", "actor", "approver", "SHA-256")
    return table(heads, rows)


def symbols(found: Iterable[programmes_pb.Pair]) -> list[str]:
    """What a programme says of pairs."""
    rows = [(one.symbol, one.pair_class or NONE, *_own_rates(one)) for one in found]
    return table(("symbol", "class", ".own maker %", ".own taker %"), rows)


def _own_rates(pair: programmes_pb.Pair) -> tuple[str, ...]:
    return tuple(percent(rate) if rate else NONE for rate in (pair.maker_rate, pair.taker_rate))


def closes(found: Iterable[evaluations_pb.Close]) -> list[str]:
    """Daily closes."""
    rows = [
        (one.asset, one.day, one.price, one.currency, one.source, str(one.position), _replaced(one)) for one in found
    ]
    return table(("asset", "day", ".close", "in", "source", ">position", "restated by"), rows)


def _replaced(close: evaluations_pb.Close) -> str:
    return str(close.restated_by) if close.restated_by else NONE


def findings(found: Iterable[controls_pb.Finding]) -> list[str]:
    """What controls found, a line each."""
    return table(("control", "finding"), [(one.control, one.message) for one in found])


def solo_actions(found: Iterable[controls_pb.SoloAction]) -> list[str]:
    """Who did what alone."""
    rows = [
        (str(one.position), instant(one.recorded_time), one.actor or NONE, one.event, one.stream, one.ticket or NONE)
        for one in found
    ]
    return table((">position", "recorded (UTC)", "actor", "event", "stream", "ticket"), rows)


def info(found: pb.GetLedgerInfoResponse) -> list[str]:
    """What ledger this is."""
    tables = found.projections
    behind = f", {tables.lag_positions:,} behind for {tables.lag_ms:,} ms" if tables.lag_positions else ", up to date"
    rows = [
        (one.programme_id, one.version, " ".join(one.venues), " ".join(one.tiers), " ".join(one.pair_classes))
        for one in found.programmes
    ]
    return [
        f"ledger {found.ledger_id} at position {found.position:,} ({instant(found.recorded_time)} UTC)",
        *pairs([
            ("writer", f"term {found.writer_term}, version {found.software_version}"),
            ("tables", f"at position {tables.position:,}{behind}"),
        ]),
        "",
        *table(("programme", "version", "venues", "tiers", "pair classes"), rows),
    ]  # fmt: skip


def written(answer: Any, subject: str, request_id: str) -> list[str]:
    """What a command did, and where that is recorded."""
    receipt = answer.receipt
    before = " before" if receipt.replayed else ""
    where = f"at position {receipt.position} of {receipt.ledger_id}, {instant(receipt.recorded_time)} UTC"
    return [f"{subject}{_outcome(answer)}", f"recorded{before} {where}", f"request id {request_id}"]


def _outcome(answer: Any) -> str:
    """What the answer to a command says beside its receipt."""
    match answer:
        case (
            command_pb.StartTrialResponse(grant=grant)
            | command_pb.ChangeTierResponse(grant=grant)
            | member_pb.ApproveMatchResponse(grant=grant)
        ):
            until = f" until {instant(grant.valid_until)} UTC" if grant.HasField("valid_until") else ", without an end"
            return f": {grant.tier} ({grant.source} {grant.grant_id}) from {instant(grant.valid_from)}{until}"
        case command_pb.BanAccountResponse(ban=ban):
            return f": banned from {instant(ban.start_time)} until {instant(ban.end_time)} UTC ({ban.reason_code})"
        case member_pb.FlagAccountResponse(flag=flag):
            return f": flagged {_kind(flag)} ({flag.flag_id}) from {instant(flag.flagged_time)} UTC on"
        case member_pb.UnflagAccountResponse(unflagged_time=time):
            return f": not flagged from {instant(time)} UTC on"
        case member_pb.RequestMatchResponse(eligible=True):
            return f": match {answer.match_id} is worth {answer.tier} and waits for approval"
        case member_pb.RequestMatchResponse():
            return f": match {answer.match_id} is rejected, {answer.refused_because}"
        case member_pb.RejectMatchResponse(rejected_time=time):
            return f": match rejected at {instant(time)} UTC"
        case command_pb.RevokeTierResponse(revoked_time=time):
            return f": revoked from {instant(time)} UTC on"
        case command_pb.LiftBanResponse(lifted_time=time):
            return f": not banned from {instant(time)} UTC on"
        case command_pb.RegisterAccountResponse(owner_id=owner_id):
            return f": registered, owner {owner_id}"
        case _:
            return _on_registers(answer)


def _on_registers(answer: Any) -> str:
    """The same of a command on programmes and registers."""
    match answer:
        case programmes_pb.PublishProgrammeResponse(programme=version):
            since = instant(version.valid_from)
            return f": {version.programme_id} {version.version} in force from {since} UTC on"
        case (
            programmes_pb.AssignPairClassResponse(valid_from=time) | programmes_pb.SetPairRatesResponse(valid_from=time)
        ):
            return f": from {instant(time)} UTC on"
        case evaluations_pb.RecordDailyCloseResponse(close=close):
            return f": closed at {close.price} {close.currency} on {close.day}"
        case _:
            return ": registered"
