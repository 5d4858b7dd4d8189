"""Subcommands that order something of accounts, symbols and currencies."""

from __future__ import annotations

import argparse
from typing import Final

from ledger.cli.arguments import UINT32_MAX, UINT64_MAX, number, time_ns
from ledger.cli.printing import given, send, write
from ledger.cli.shared import ACCOUNT, PROGRAMME_ID, SYMBOL, TWO_PERSONS, VALID_FROM, at_time
from ledger.cli.subcommands import Group, Options, argument
from ledger.client import Client
from ledger.contract import snake_case

ORDER: Final = Group("order")


ORDER.order(
    "register-account",
    "register an account's owner and parent",
    "register-account alice-2 --owner alice",
    rpc="RegisterAccount",
    arguments=(
        ACCOUNT,
        argument("--owner", dest="owner_id", default="", metavar="ID",
                 help="beneficial owner (default: the account itself)"),
        argument("--parent", dest="parent_account_id", default="", metavar="ACCOUNT",
                 help="the account it is a sub-account of"),
        argument("--registered", dest="registered_time", type=time_ns, metavar="TIME",
                 help="when it was opened (default: now)"),
    ),
)(send)  # fmt: skip


@ORDER.order(
    "register-symbol",
    "register a symbol, or new terms of it",
    "register-symbol XRP_USDT --price-scale 5 --quantity-scale 2 --pair-class A",
    notes="New terms of a symbol that is registered already start now or later, and by the packaged\n"
    "programme they take two persons.",
    rpc="RegisterSymbol",
    arguments=(
        SYMBOL,
        argument("--base", default="", metavar="CURRENCY", help="default: what SYMBOL has before its _"),
        argument("--quote", default="", metavar="CURRENCY", help="default: what SYMBOL has after its _"),
        argument("--price-scale", type=number(0, UINT32_MAX), required=True, metavar="N",
                 help="decimals of a price, 0 to 18"),
        argument("--quantity-scale", type=number(0, UINT32_MAX), required=True, metavar="N",
                 help="decimals of a quantity, 0 to 18"),
        argument("--pair-class", default="", metavar="CLASS", help="default: none, which pays the base rate"),
        argument("--product", choices=("spot", "futures"), default="spot", help="default %(default)s"),
        argument("--from", dest="valid_from", type=time_ns, metavar="TIME", help="default: the beginning"),
        argument("--programme", default="", metavar="ID", help="of the class (default: the only one)"),
    ),
)  # fmt: skip
def _register_symbol(ledger: Client, options: Options) -> None:
    base, _, quote = options.symbol.partition("_")
    write(
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


ORDER.order(
    "register-currency",
    "register the decimals fees are rounded to",
    "register-currency USDT 6",
    rpc="RegisterCurrency",
    arguments=(
        argument("currency", metavar="CURRENCY"),
        argument("decimals", type=number(0, UINT32_MAX), metavar="DECIMALS", help="0 to 18"),
    ),
)(send)


ORDER.order(
    "start-trial",
    "start the trial of a new member",
    "start-trial alice --start 2024-09-01",
    rpc="StartTrial",
    arguments=(
        ACCOUNT,
        argument("--start", dest="start_time", type=time_ns, metavar="TIME", help="first instant (default: now)"),
        PROGRAMME_ID,
    ),
)(send)


ORDER.order(
    "change-tier",
    "grant a tier by hand",
    "change-tier alice VIP4 --from 2024-11-01 --until 2024-12-01 --actor ops-7 --approver ops-8"
    " --reason 'agreed on the phone'",
    notes=TWO_PERSONS,
    rpc="ChangeTier",
    arguments=(
        ACCOUNT,
        argument("tier", metavar="TIER", help="for example VIP4"),
        VALID_FROM,
        argument("--until", dest="valid_until", type=time_ns, metavar="TIME",
                 help="first instant after it (default: no end)"),
        PROGRAMME_ID,
    ),
)(send)  # fmt: skip


ORDER.order(
    "revoke-tier",
    "end a grant early",
    "revoke-tier alice g1 --at 2024-09-20 --actor ops-7 --approver ops-8",
    notes=TWO_PERSONS,
    rpc="RevokeTier",
    arguments=(
        ACCOUNT,
        argument("grant_id", metavar="GRANT", help="as `state` shows it, for example g1"),
        at_time("revoke_time", "when it ends"),
    ),
)(send)


ORDER.order(
    "ban",
    "ban an account's API trading",
    "ban alice 3 ORDER_SPAM --ticket T-18",
    rpc="BanAccount",
    arguments=(
        ACCOUNT,
        argument("days", type=number(0, UINT32_MAX), metavar="DAYS", help="whole days, 1 to 7"),
        argument("reason_code", metavar="REASON_CODE", help="for example ORDER_SPAM or LOW_FILL_RATIO"),
        argument("--start", dest="start_time", type=time_ns, metavar="TIME", help="first instant (default: now)"),
        argument("--evidence", dest="evidence_positions", type=number(1, UINT64_MAX), action="append", default=[],
                 metavar="POSITION", help="of a metric, as `record-metric` prints it; may be given again"),
    ),
)(send)  # fmt: skip


ORDER.order(
    "lift-ban",
    "end the running ban early",
    "lift-ban alice --actor ops-7 --approver ops-8 --reason 'a mistake'",
    notes=TWO_PERSONS,
    rpc="LiftBan",
    arguments=(ACCOUNT, at_time("lift_time", "when it ends")),
)(send)


FACT: Final = argument("fact_position", type=number(1, UINT64_MAX), metavar="POSITION",
                       help="of the fact, as `withheld` and `events` show it")  # fmt: skip
ALWAYS_TWO: Final = "It takes two persons: an actor, and another one as approver."


def _one_account(text: str) -> str:
    """Read the name of an account. A variable of a shell that is not set must not mean all of them."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty: use release-shared-fact or decline-shared-fact for all accounts")
    return text


_ONE_ACCOUNT: Final = ACCOUNT._replace(settings={**ACCOUNT.settings, "type": _one_account})


def _decide_fact(ledger: Client, options: Options) -> None:
    """Send a command on a fact of an account, which the client takes as one on the fact."""
    account_id, values = given(options)
    command = getattr(ledger, snake_case(options.subcommand.rpcs[0]))
    write(lambda name, **named: command(account_id=name, **named), options, account_id, **values)


ORDER.order(
    "release-fact",
    "let fills count by a fact that was recorded after them",
    "release-fact alice 4711 --actor ops-7 --approver ops-8",
    notes=f"{ALWAYS_TWO}\nWhat `withheld` lists for all accounts, `release-shared-fact` releases.",
    rpc="ReleaseFact",
    arguments=(_ONE_ACCOUNT, FACT),
)(_decide_fact)


ORDER.order(
    "release-shared-fact",
    "let fills of all accounts count by a fact that was recorded after them",
    "release-shared-fact 4711 --actor ops-7 --approver ops-8",
    notes=f"{ALWAYS_TWO}\nSuch a fact is a class or rates of a pair; `withheld` lists it for all accounts.\n"
    "Accounts have it one after the other, while fills are recorded; new fills count by it anyhow.",
    rpc="ReleaseFact",
    arguments=(FACT,),
)(send)


ORDER.order(
    "decline-shared-fact",
    "leave fills of all accounts as they are, whatever a withheld fact says",
    "decline-shared-fact 4711 --actor ops-7 --approver ops-8",
    notes=f"{ALWAYS_TWO}\nFills that are recorded after the fact count by it all the same.",
    rpc="DeclineFact",
    arguments=(FACT,),
)(send)


ORDER.order(
    "decline-fact",
    "leave fills as they are, whatever a withheld fact says",
    "decline-fact alice 4711 --actor ops-7 --approver ops-8",
    notes=f"{ALWAYS_TWO}\nWhat `withheld` lists for all accounts, `decline-shared-fact` declines.",
    rpc="DeclineFact",
    arguments=(_ONE_ACCOUNT, FACT),
)(_decide_fact)


_WHY: Final = argument("reason_code", metavar="REASON_CODE", help="why, for example OUTAGE: kept for ever")


@ORDER.order(
    "credit-fee",
    "credit an account on a day by hand, whatever its fees were",
    "credit-fee alice 2024-10-04 12.5 USDT OUTAGE --actor ops-7 --approver ops-8",
    notes=f"{ALWAYS_TWO}\n"
    "The credit counts from the beginning of the UTC day on. No fill, volume or tier changes, and no\n"
    "later fact takes it back. `history` lists it.",
    rpc="CreditFee",
    arguments=(
        ACCOUNT,
        argument("day", metavar="DAY", help="UTC day YYYY-MM-DD, not in the future"),
        argument("amount", metavar="DECIMAL", help="what the member gets back, greater than zero"),
        argument("currency", metavar="CURRENCY", help="of what"),
        _WHY,
    ),
)
def _credit_fee(ledger: Client, options: Options) -> None:
    write(ledger.credit_fee, options, options.account_id, day=options.day, credit=options.amount,
          currency=options.currency, reason_code=options.reason_code)  # fmt: skip


ORDER.order(
    "withdraw-credit",
    "take a credit back, all of it",
    "withdraw-credit alice 4711 MISTAKE --actor ops-7 --approver ops-8",
    notes=ALWAYS_TWO,
    rpc="WithdrawCredit",
    arguments=(
        ACCOUNT,
        argument("credit_position", type=number(1, UINT64_MAX), metavar="POSITION",
                 help="of the credit, as `credit-fee` printed it and `history --html` shows it"),
        _WHY,
    ),
)(send)  # fmt: skip

ORDER.order(
    "withdraw-fact",
    "take back a fact that was a mistake, as if it had never been recorded",
    "withdraw-fact alice 4711 --actor ops-7 --approver ops-8 --reason 'another account was meant'",
    notes=ALWAYS_TWO,
    rpc="WithdrawFact",
    arguments=(ACCOUNT, FACT),
)(send)
