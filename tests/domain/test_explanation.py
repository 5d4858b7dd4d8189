"""A fee in words: one of every kind of basis, decided by the rules that price fills, then explained from its line."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

import pytest

from ledger.domain.decide.facts import GRANT, AccountFacts
from ledger.domain.events import (
    AccountBanned,
    AccountFlagged,
    Envelope,
    Event,
    FactReleased,
    PairRatesSet,
    Recorded,
    TierChanged,
    TrialStarted,
    VolumeEvaluated,
)
from ledger.domain.explanation import Facts, Sentence, explain
from ledger.domain.explanation.amount import fraction_text
from ledger.domain.instants import DAY_NS
from ledger.domain.state.account import AccountState, fold_account
from ledger.domain.state.programme import CHANNEL_API, Programme, Rates
from ledger.domain.state.rulebook import Rulebook, evolve_rulebook
from ledger.fills.account_day import adjusted
from ledger.fills.adjust import adjustments
from ledger.fills.days import DayTable
from ledger.fills.lines import known_lines
from ledger.fills.posted import Stretch, posted_lines
from ledger.fills.targets import targets
from tests.domain.worked import NOON_NS, TODAY, fills, programme, record, recorded, rulebook

PRICED_AT: Final = 100
MAKER, TAKER = 1, 2
WEEK: Final = {"valid_from_ns": NOON_NS - DAY_NS, "valid_until_ns": NOON_NS + 6 * DAY_NS}
VIP: Final = {"programme_id": "bitmart-api-vip", **WEEK}
TRIAL: Final = TrialStarted("g1", tier="VIP3", **VIP)
MANUAL: Final = TierChanged("g1", tier="VIP1", source="MANUAL", **VIP)
BAN: Final = AccountBanned("b1", NOON_NS - 1, NOON_NS + DAY_NS, "ORDER_SPAM")


def explained(
    *decisions: Event, rules: Programme | None = None, book: Rulebook | None = None, **fill: Any
) -> list[Sentence]:
    """The explanation of the fill that the rules price, after these decisions on its account."""
    rules = rules or programme()
    log = [
        Recorded(position, "account/alice", position, Envelope(NOON_NS, NOON_NS, 1, "ops-1", approver="ops-2"), event)
        for position, event in enumerate(decisions, 1)
    ]
    _, (run,) = record(fills(fill), book or rulebook(rules), fold_account("alice", log))
    (known,) = known_lines(run)
    return list(explain(Facts("alice", run.venue, known, PRICED_AT, PRICED_AT, rules, log, known.basis.fee_currency)))


def codes(sentences: list[Sentence]) -> list[str]:
    return [sentence.code for sentence in sentences]


def said(sentences: list[Sentence], code: str) -> str:
    (found,) = (sentence.text for sentence in sentences if sentence.code == code)
    return found


def test_without_a_tier_it_is_the_base_rate() -> None:
    sentences = explained()
    assert [(sentence.clause, sentence.code) for sentence in sentences] == [
        ("A32", "PROGRAMME"),
        ("R5", "NO_TIER"),
        ("A26", "BASE_RATE"),
        ("R20", "DISCOUNT_NOT_ASKED"),
        ("A26", "AMOUNT_EXACT"),
        ("A31", "NOT_ADJUSTED"),
    ]
    assert [sentence.text for sentence in sentences] == [
        "The rates are those of bitmart-api-vip 3.0, in force on bitmart at 2024-10-04T12:00:00Z.",
        "No grant was in effect, so the account had no tier.",
        "Without a tier the base rate counts, 0.25 % as the taker.",
        "The fill does not ask to pay in a token, so there is no discount.",
        "The fee is 5 x 0.0025 = 0.0125 USDT, exactly.",
        "The fee has not been adjusted since it was recorded.",
    ]


def test_a_rebate_says_so_and_gives_its_numbers_to_programs_too() -> None:
    (rebate,) = (sentence for sentence in explained(TRIAL, liquidity=MAKER) if sentence.code == "TIER_REBATE")
    assert rebate.text == "VIP3 earns a rebate of 0.001 % as the maker in pair class A."
    told = dict(rebate.parameters)
    assert (told["tier"], told["rate"], told["percent"], told["role"]) == ("VIP3", "-0.00001", "0.001", "maker")


def test_a_trial_is_a_grant_of_a_new_member() -> None:
    sentences = explained(TRIAL)
    assert said(sentences, "TRIAL") == (
        "The tier was VIP3 by grant g1, a new member's trial, from 2024-10-03T12:00:00Z until 2024-10-10T12:00:00Z."
    )
    assert said(sentences, "TIER_RATE") == "VIP3 pays 0.03 % as the taker in pair class A."


def evaluation(kind: str) -> VolumeEvaluated:
    window = (NOON_NS - 31 * DAY_NS, NOON_NS - DAY_NS)
    return VolumeEvaluated(
        "bitmart-api-vip", "3.0", kind, window[1], *window, 7, (), (), "500000.5", "USDT", "VIP2", "g1",
        WEEK["valid_from_ns"], WEEK["valid_until_ns"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "code", "clause", "what"),
    [("PERIODIC", "EVALUATION", "R5", "30-day volume"), ("POST_TRIAL", "POST_TRIAL", "R14", "the trial")],
)
def test_a_tier_by_evaluation_names_instant_window_and_volume(kind: str, code: str, clause: str, what: str) -> None:
    sentences = explained(evaluation(kind))
    assert (sentences[1].code, sentences[1].clause) == (code, clause)
    assert sentences[1].text == (
        f"The tier was VIP2 by grant g1, of the evaluation of {what} as of 2024-10-03T12:00:00Z, from"
        " 2024-10-03T12:00:00Z until 2024-10-10T12:00:00Z."
    )
    assert said(sentences, "VOLUME") == (
        "The volume that counted from 2024-09-03T12:00:00Z until 2024-10-03T12:00:00Z was 500000.5 USDT, which gives"
        " VIP2; it was read at position 7."
    )


def test_a_tier_that_is_kept_until_a_person_decides_says_so() -> None:
    kept = replace(evaluation("PERIODIC"), tier="MANUAL_REVIEW", kept_tier="VIP2", valid_until_ns=0)
    sentences = explained(kept)
    assert said(sentences, "EVALUATION").endswith(
        "until further notice. It is the one that the account had, kept until a person or a later evaluation decides."
    )
    assert "which gives MANUAL_REVIEW;" in said(sentences, "VOLUME")


def test_a_tier_by_hand_names_both_persons_and_may_have_no_end() -> None:
    event = TierChanged("g1", "bitmart-api-vip", "VIP1", "MANUAL", NOON_NS - DAY_NS, None)
    assert said(explained(event), "MANUAL") == (
        "The tier was VIP1 by grant g1, given by hand by ops-1 and approved by ops-2, from 2024-10-03T12:00:00Z until"
        " further notice."
    )


def test_a_match_names_what_was_matched_and_who_approved_it() -> None:
    event = TierChanged("g1", tier="VIP2", source="MATCH", evidence="m1", **VIP)
    text = said(explained(event), "MATCH")
    assert "the match m1 of a tier on another exchange, approved by ops-1" in text


def test_of_several_grants_the_one_that_counted_is_named() -> None:
    better = TierChanged("g2", tier="VIP4", source="MANUAL", **VIP)
    sentences = explained(MANUAL, better)
    assert "VIP4 by grant g2" in said(sentences, "MANUAL")


def test_a_grant_recorded_after_the_fill_was_priced_explains_nothing() -> None:
    _, (run,) = record(fills({}), rulebook(), fold_account("alice", [recorded(MANUAL)]))
    (known,) = known_lines(run)
    late = Recorded(PRICED_AT + 1, "account/alice", 1, Envelope(NOON_NS, NOON_NS, 1), MANUAL)
    facts = Facts("alice", run.venue, known, PRICED_AT, PRICED_AT, programme(), [late], "USDT")
    assert "GRANT_NOT_FOUND" in codes(list(explain(facts)))


def test_a_flag_stands_against_every_grant() -> None:
    sentences = explained(TRIAL, AccountFlagged("f1", "ROBOT", NOON_NS), token="BMX")
    assert said(sentences, "FLAGGED") == (
        "The account was flagged as ROBOT since 2024-10-04T12:00:00Z: while a flag runs no grant counts."
    )
    assert "NO_TIER" not in codes(sentences)
    assert {"BASE_RATE", "NO_DISCOUNT_WHILE_FLAGGED"} <= set(codes(sentences))


def test_a_pair_may_have_a_rate_of_its_own() -> None:
    rates = PairRatesSet("bitmart-api-vip", "S", None, 150, NOON_NS)
    book = evolve_rulebook(rulebook(), recorded(rates, 9))
    text = "S has a rate of its own: the taker pays 0.015 %, in place of the table's rate for VIP1."
    assert said(explained(MANUAL, book=book), "PAIR_RATE") == text
    text = "S has a rate of its own: the taker pays 0.015 %, in place of the base rate."
    assert said(explained(book=book), "PAIR_RATE") == text


def test_a_pair_without_a_row_in_the_table_pays_the_base_rate() -> None:
    sentences = explained(MANUAL, book=rulebook(pair_class=""))
    assert said(sentences, "BASE_RATE_WITHOUT_ROW") == (
        "The table has no rate of VIP1 in a pair without a class: the base rate counts, 0.25 % as the taker."
    )


def test_a_lower_base_rate_stands_for_that_of_the_tier() -> None:
    sentences = explained(MANUAL, rules=programme(base_rates=Rates(2_500, 100)))
    assert said(sentences, "BASE_RATE_LOWER").startswith(
        "The base rate, 0.01 % as the taker, is lower than that of VIP1"
    )


def test_rates_of_tiers_may_be_for_api_orders_only() -> None:
    rules = programme(rate_scope="api_only")
    assert "BASE_RATE_NOT_API" in codes(explained(MANUAL, rules=rules, channel=0))
    assert "TIER_RATE" in codes(explained(MANUAL, rules=rules, channel=CHANNEL_API))


def test_rates_may_be_those_of_the_time_of_the_order() -> None:
    rules = programme(rate_time="order")
    sentences = explained(TRIAL, rules=rules, order_time_ns=NOON_NS - 2 * DAY_NS)
    assert said(sentences, "RATES_OF_ORDER_TIME").endswith("when the order came in, 2024-10-02T12:00:00Z.")
    assert "NO_TIER" in codes(sentences), "the trial had not begun"


def test_a_self_trade_pays_its_charge_and_earns_no_rebate() -> None:
    own = {"counterparty_owner_id": "alice"}
    charged, unpaid = explained(TRIAL, **own), explained(TRIAL, liquidity=MAKER, **own)
    assert said(charged, "SELF_TRADE").startswith("Both sides of the trade have one owner, alice")
    assert "TIER_RATE" in codes(charged)
    assert said(unpaid, "REBATE_SUPPRESSED") == "The rate is 0: a trade with oneself earns the maker no rebate."
    assert said(unpaid, "AMOUNT_EXACT") == "The fee is 5 x 0 = 0 USDT, exactly."
    kept = explained(TRIAL, rules=programme(self_trade_rebate=True), liquidity=MAKER, **own)
    assert {"SELF_TRADE", "TIER_REBATE"} <= set(codes(kept))


@pytest.mark.parametrize(
    ("counts", "code", "end"), [(False, "BANNED", "does not count."), (True, "BANNED_COUNTED", "counts.")]
)
def test_a_ban_leaves_the_fee_and_its_volume_counts_as_the_programme_says(counts: bool, code: str, end: str) -> None:
    text = said(explained(BAN, rules=programme(ban_count_volume=counts)), code)
    assert text.startswith(
        "API trading was banned from 2024-10-04T11:59:59.999999999Z until 2024-10-05T12:00:00Z (ORDER_SPAM): the fee"
    )
    assert text.endswith(end)


def test_a_ban_that_has_just_ended_is_not_spoken_of() -> None:
    assert "BANNED" not in codes(explained(AccountBanned("b1", NOON_NS - DAY_NS, NOON_NS, "ORDER_SPAM")))


def test_a_discount_is_paid_in_its_token_or_stays_in_the_quote_currency() -> None:
    sentences = explained(token="BMX", token_price="0.3", token_price_source="index")
    assert said(sentences, "TOKEN_DISCOUNT") == "25 % is off for paying in BMX."
    assert said(sentences, "PAID_IN_TOKEN") == "It is paid in BMX, at 0.3 USDT a token as told by index."
    assert said(sentences, "AMOUNT_EXACT") == "The fee is 5 x 0.0025 x (1 - 0.25) / 0.3 = 0.03125 BMX, exactly."
    sentences = explained(token="BMX")
    assert said(sentences, "TOKEN_WITHOUT_PRICE") == "No price of BMX came with the fill, so the fee stays in USDT."
    assert said(sentences, "AMOUNT_EXACT") == "The fee is 5 x 0.0025 x (1 - 0.25) = 0.009375 USDT, exactly."


@pytest.mark.parametrize(
    ("rules", "decisions", "fill", "code"),
    [
        ({}, (TRIAL,), {}, "NO_DISCOUNT_FOR_MEMBERS"),
        ({}, (TRIAL,), {"liquidity": MAKER}, "NO_DISCOUNT_OFF_REBATE"),
        ({}, (), {"token": "XYZ"}, "NO_DISCOUNT_FOR_TOKEN"),
        ({"token_discount": None}, (), {}, "NO_DISCOUNT_FOR_TOKEN"),
    ],
)
def test_who_asks_for_a_discount_and_has_none_is_told_why(
    rules: dict[str, Any], decisions: tuple[Event, ...], fill: dict[str, Any], code: str
) -> None:
    assert code in codes(explained(*decisions, rules=programme(**rules), **{"token": "BMX", **fill}))


@pytest.mark.parametrize(
    ("exclusion", "code"),
    [("trial_only", "NO_DISCOUNT_DURING_TRIAL"), ("permanent_after_trial", "NO_DISCOUNT_AFTER_TRIAL")],
)
def test_the_trial_may_be_what_excludes_from_a_discount(exclusion: str, code: str) -> None:
    offer = programme().token_discount
    assert offer is not None
    rules = programme(token_discount=type(offer)(offer.token, offer.discount_ppm, exclusion))
    assert code in codes(explained(TRIAL, rules=rules, token="BMX"))
    assert "TOKEN_DISCOUNT" in codes(explained(MANUAL, rules=rules, token="BMX"))


def test_a_rate_of_zero_is_a_fee_of_zero() -> None:
    event = TierChanged("g1", tier="VIP4", source="MANUAL", **VIP)
    sentences = explained(event, book=rulebook(pair_class="B"), liquidity=MAKER)
    assert said(sentences, "TIER_RATE") == "VIP4 pays 0 % as the maker in pair class B."
    assert said(sentences, "AMOUNT_EXACT") == "The fee is 5 x 0 = 0 USDT, exactly."


def test_rounding_is_told_with_both_amounts() -> None:
    sentences = explained(price="0.00000001", quantity="333.33")
    text = "The fee is 0.0000033333 x 0.0025 = 0.00000000833325 USDT, recorded as 0.00000001: 8 decimals,"
    assert said(sentences, "AMOUNT_ROUNDED") == f"{text} ROUND_HALF_EVEN."
    (rounded,) = (sentence for sentence in sentences if sentence.code == "AMOUNT_ROUNDED")
    told = dict(rounded.parameters)
    assert Fraction(told["amount"]) - Fraction(told["exact"]) == Fraction(told["residual"]) > 0


def test_a_fee_in_a_token_may_have_no_exact_decimal() -> None:
    text = said(explained(token="BMX", token_price="0.7"), "AMOUNT_ROUNDED")
    assert "/ 0.7 = 3/224 BMX, recorded as 0.01339286" in text


def test_a_fee_may_be_charged_on_what_was_received() -> None:
    rules = programme(fee_currency="RECEIVED")
    sentences = explained(rules=rules, side=1)
    assert "CHARGED_ON_RECEIVED" in codes(sentences)
    assert said(sentences, "AMOUNT_EXACT") == "The fee is 10 x 0.0025 = 0.025 XRP, exactly."
    assert "CHARGED_ON_RECEIVED" not in codes(explained(rules=rules, side=2))


def test_an_amount_that_is_not_the_rounding_of_the_product_is_for_the_audit() -> None:
    _, (run,) = record(fills({}), rulebook())
    (known,) = known_lines(run)
    for fee, code in ((1_250_000, "AMOUNT_EXACT"), (1_250_001, "AMOUNT_DEVIATES"), (1_249_999, "AMOUNT_DEVIATES")):
        edited = known._replace(line=known.line._replace(fee=fee))
        assert code in codes(list(explain(Facts("alice", "bitmart", edited, 1, 1, programme(), [], "USDT"))))


def test_an_adjustment_tells_both_fees_and_its_cause_and_the_rest_is_about_the_fee_as_it_is_now() -> None:
    book, event = rulebook(), evaluation("PERIODIC")
    late = recorded(event, 7)
    before = AccountFacts("alice", [late])
    released = recorded(FactReleased(7, GRANT, "adjust"), 8)
    after, days = AccountFacts("alice", [late, released]), DayTable()
    _, (run,) = record(fills({}), book, AccountState("alice"), days=days)
    (as_priced,) = known_lines(run)
    posted = posted_lines([Stretch(recorded(run, 5), 0, 1)], [])
    restated = targets(posted, before, after, 0, lambda *_: book)
    (adjustment,) = adjustments(days.day(TODAY), restated, (GRANT, 7), 8)
    (line,) = adjustment.lines
    known = adjusted(as_priced, adjustment, line)
    facts = Facts("alice", run.venue, known, 5, 8, programme(), [late, released], "USDT")
    sentences = list(explain(facts, [(recorded(adjustment, 8), line)]))
    assert {"EVALUATION", "TIER_RATE", "AMOUNT_EXACT"} <= set(codes(sentences))
    assert "NOT_ADJUSTED" not in codes(sentences)
    assert said(sentences, "ADJUSTED") == (
        "Adjusted at 2024-10-04T12:00:00Z (position 8) from 0.0125 USDT to 0.002 USDT, because of a grant recorded"
        " late, at position 7: from NONE to VIP2."
    )
    assert said(sentences, "RELEASED") == "The fact was released at position 8 by the programme itself (adjust)."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(0), "0"),
        (Fraction(-1, 8), "-0.125"),
        (Fraction(1, 10**36), "0." + "0" * 35 + "1"),
        (Fraction(1, 2**54), "0.000000000000000055511151231257827021181583404541015625"),
        (Fraction(-2, 3), "-2/3"),
        (Fraction(10**40), "1" + "0" * 40),
    ],
)
def test_a_fraction_is_a_decimal_where_it_has_an_end(value: Fraction, text: str) -> None:
    assert fraction_text(value) == text
    assert Fraction(text) == value
