"""Whole columns are checked as strictly as each fill alone, over random batches."""

from __future__ import annotations

import hashlib
import unicodedata
from decimal import Context, Decimal
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.domain.instants import EARLIEST_NS, LATEST_NS, SECOND_NS
from ledger.fills.batch import CARRIED, FillBatch
from ledger.server.fills.read_messages import read_batch, shape_fault
from ledger.server.fills.request_bytes import ListedOrigin
from ledger.v1.fill_pb2 import ChargedFee, Fill, TokenPayment
from ledger.v1.fill_service_pb2 import RecordFillsRequest
from tests.conftest import NOON_NS, at

LATEST_FILL_NS: Final = NOON_NS + 60 * SECOND_NS
FIRST_SEQUENCE: Final = 7

# Fields of each kind, and values for them: good ones, bad ones, and some that are one or the other by chance.
REQUIRED_IDS: Final = ("account_id", "exec_id", "symbol")
OPTIONAL_IDS: Final = ("owner_id", "counterparty_owner_id")
PASSED: Final = ("trade_id", "order_id", "cl_ord_id")
AMOUNTS: Final = ("last_px", "last_qty")
ENUMS: Final = {"side": 2, "liquidity": 2, "channel": 3, "product": 2}

good_ids = st.sampled_from(["a", "A-1", "x.y:z_0", "7", "i" * 64])
any_ids = good_ids | st.sampled_from(
    ["", "i" * 65, "a\n", "\na", "a\nb", "a\r", "a b", "a/b", "a\x00", "\u00e9", "\uff41"]
)
chance_ids = any_ids | st.text(alphabet="aZ09._:-\n\x00 /\u0301", max_size=66)

passed_texts = st.sampled_from(
    ["", "7", "007", "T-1", "a b/c#d", "i" * 127, "i" * 128, "i" * 256, "i" * 257, "\u00e9" * 128, "\u00e9" * 129]
) | st.sampled_from(
    ["a\n", "a\nb", "\x00", "a\x00", "a\x00b", "\x7f", "\x85", "\u202e1", "\u2028", "\u0663", "\uff11", "\xa0"]
)
chance_passed = passed_texts | st.text(max_size=5)

good_amounts = st.from_regex(r"[0-9]{1,20}(\.[0-9]{1,18})?", fullmatch=True).filter(lambda text: text.strip("0."))
good_decimals = st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{1,18})?", fullmatch=True).filter(lambda text: text.strip("-0."))
odd_decimals = st.sampled_from(
    ["", "0", "0.0", "-0", "-1", "+1", ".5", "1.", "1e5", "NaN", "1\n", "1\n2", "\uff11", "1" * 21]
)
chance_decimals = good_amounts | odd_decimals | st.text(alphabet="0123.-+e_\n \uff11", max_size=42)

# Within the last second before the limit whole columns may be unsure, never wrong.
good_times = st.integers(EARLIEST_NS, LATEST_FILL_NS) | st.integers(LATEST_FILL_NS - SECOND_NS, LATEST_FILL_NS)
odd_seconds = st.sampled_from([0, -1, EARLIEST_NS // SECOND_NS - 1, LATEST_NS // SECOND_NS, 2**62])
odd_nanos = st.sampled_from([0, -1, SECOND_NS, SECOND_NS - 1, -(2**31), 2**31 - 1])
chance_times = st.one_of(
    st.builds(at, st.integers(LATEST_FILL_NS - 2, LATEST_FILL_NS + 2)),
    st.builds(Timestamp, seconds=odd_seconds | st.just(NOON_NS // SECOND_NS), nanos=odd_nanos),
    st.none(),
)

good_texts = st.sampled_from(["", "the order book", "\u00e9", "t" * 200])
chance_texts = good_texts | st.sampled_from(["t" * 201, "a\nb", "\x00", "e\u0301", "\x85"]) | st.text(max_size=3)

good_fills = st.builds(
    Fill,
    **dict.fromkeys(REQUIRED_IDS, good_ids),
    **dict.fromkeys(OPTIONAL_IDS, good_ids | st.just("")),
    **dict.fromkeys(PASSED, good_ids | passed_texts),
    **dict.fromkeys(AMOUNTS, good_amounts),
    side=st.integers(1, 2),
    liquidity=st.integers(1, 2),
    channel=st.integers(0, 3),
    product=st.integers(0, 2),
    transact_time=st.builds(at, good_times),
    order_time=st.none() | st.builds(at, st.integers(EARLIEST_NS, NOON_NS)),
    token_payment=st.none()
    | st.builds(TokenPayment, token=good_ids, price=good_amounts | st.just(""), price_source=good_texts),
    charged_fee=st.none()
    | st.builds(ChargedFee, amount=good_decimals | st.just("0"), currency=good_ids, rate=good_decimals | st.just("")),
)

changes = st.one_of(
    st.tuples(st.sampled_from([*REQUIRED_IDS, *OPTIONAL_IDS]), chance_ids),
    st.tuples(st.sampled_from(PASSED), chance_passed),
    st.tuples(st.sampled_from(AMOUNTS), chance_decimals),
    st.tuples(st.sampled_from(list(ENUMS)), st.sampled_from([0, 1, 2, 3, 4, 9, -1, 2**31 - 1, -(2**31)])),
    st.tuples(st.sampled_from(["transact_time", "order_time"]), chance_times),
    st.tuples(
        st.just("token_payment"),
        st.builds(TokenPayment, token=any_ids, price=chance_decimals, price_source=chance_texts),
    ),
    st.tuples(
        st.just("charged_fee"), st.builds(ChargedFee, amount=chance_decimals, currency=any_ids, rate=chance_decimals)
    ),
)


@st.composite
def batches(draw: st.DrawFn) -> list[Fill]:
    """Good fills, with up to three fields changed to anything: often one fault hides among many good fills."""
    fills = draw(st.lists(good_fills, min_size=1, max_size=6))
    for _ in range(draw(st.integers(0, 3))):
        name, value = draw(changes)
        put(fills[draw(st.integers(0, len(fills) - 1))], name, value)
    return fills


def put(fill: Fill, name: str, value: Any) -> None:
    """Set a field; None clears it."""
    fill.ClearField(name)  # type: ignore[arg-type]
    if isinstance(value, Timestamp | TokenPayment | ChargedFee):
        getattr(fill, name).CopyFrom(value)
    elif value is not None:
        setattr(fill, name, value)


def plain(decimal: str) -> str:
    """A decimal without needless zeros, by another way than the ledger's."""
    return format(Decimal(decimal).normalize(Context(prec=60)), "f") if decimal else ""


def kept(text: str) -> str:
    """A text that passes through, as it must be kept."""
    unprintable = any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in text)
    long = len(text.encode()) > 256
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if unprintable or long else text


def row_of(index: int, fill: Fill, source: str) -> dict[str, Any]:
    """What the columns of a batch must hold of one fill; sources number from `FIRST_SEQUENCE` on."""
    as_sent = {name: getattr(fill, name) for name in (*REQUIRED_IDS, *OPTIONAL_IDS, *ENUMS)}
    payment, charged = fill.token_payment, fill.charged_fee
    return {
        **as_sent,
        **{name: kept(getattr(fill, name)) for name in PASSED},
        "index": index,
        "source": source,
        "sequence": FIRST_SEQUENCE + index if source else 0,
        "price": plain(fill.last_px),
        "quantity": plain(fill.last_qty),
        "transact_time_ns": nanoseconds(fill.transact_time),
        "order_time_ns": nanoseconds(fill.order_time),
        "token": payment.token,
        "token_price": plain(payment.price),
        "token_price_source": payment.price_source,
        "charged_amount": plain(charged.amount),
        "charged_currency": charged.currency,
        "charged_rate": plain(charged.rate),
    }


def nanoseconds(time: Timestamp) -> int:
    """0 where it is not said."""
    return time.seconds * SECOND_NS + time.nanos


def rows_of(batch: FillBatch | None) -> list[dict[str, Any]]:
    """The columns of a batch, turned into rows."""
    if batch is None:
        return []
    return [row_at(batch, place) for place in range(len(batch))]


def row_at(batch: FillBatch, place: int) -> dict[str, Any]:
    symbol, product, traits, time_ns, price, quantity, *carried = batch.content(place, int(batch.product[place]))
    return {
        "account_id": batch.accounts[batch.account[place]],
        "exec_id": batch.name(place),
        "symbol": symbol,
        "side": traits & 3,
        "liquidity": traits >> 2 & 3,
        "channel": traits >> 4,
        "product": product,
        "index": int(batch.index[place]),
        "source": batch.sources[batch.source[place]],
        "sequence": int(batch.sequence[place]),
        "price": price,
        "quantity": quantity,
        "transact_time_ns": time_ns,
        **dict(zip(CARRIED, carried, strict=True)),
    }


GOOD: Final = Fill(
    account_id="alice",
    exec_id="E1",
    symbol="XRP_USDT",
    side=1,  # type: ignore[arg-type]
    liquidity=2,  # type: ignore[arg-type]
    last_px="0.5",
    last_qty="10",
    transact_time=at(NOON_NS),
)


def changed(**values: Any) -> Fill:
    """The good fill with other values."""
    fill = Fill()
    fill.CopyFrom(GOOD)
    for name, value in values.items():
        put(fill, name, value)
    return fill


def these(*fills: Fill, source: str = "engine") -> Any:
    """An example that is always tried."""
    return example(fills=list(fills), source=source)


@settings(max_examples=250, deadline=None)
@given(fills=batches(), source=st.sampled_from(["engine", ""]))
@these(GOOD, changed(exec_id="E2\n"))  # a line break at the end of a value of a joined column
@these(changed(exec_id=""), changed(exec_id="E1\nE2"))  # as many lines as values, yet both are bad
@these(changed(owner_id="o1\n"), changed(owner_id=""))
@these(changed(trade_id="T1\n"), changed(trade_id=""))
@these(changed(last_px="1\n2"), GOOD)
@these(changed(last_px="0"), changed(last_px="1"))  # a zero before a line with other digits
@these(changed(last_px="0.0"), changed(last_px="00"))
@these(GOOD, changed(transact_time=None))
@these(GOOD, changed(transact_time=at(LATEST_FILL_NS + 1)))
@these(GOOD, changed(charged_fee=ChargedFee()))
@these(changed(token_payment=TokenPayment()))
@these(changed(exec_id=""), GOOD, changed(side=0), GOOD)  # numbers go on over malformed fills
@these(changed(exec_id=""), GOOD, GOOD, source="")  # without a source there are none
def test_whole_columns_refuse_exactly_the_fills_that_are_refused_alone(fills: list[Fill], source: str) -> None:
    alone = [shape_fault(fill, LATEST_FILL_NS) for fill in fills]
    asked = RecordFillsRequest(
        venue="bitmart", source=source, first_sequence=FIRST_SEQUENCE if source else 0, actor="me"
    )
    batch, refused = read_batch(fills, ListedOrigin.of([asked], [len(fills)]), LATEST_FILL_NS)
    assert refused == [(index, refusal) for index, refusal in enumerate(alone) if refusal is not None]
    good = [(index, fill) for index, fill in enumerate(fills) if alone[index] is None]
    assert rows_of(batch) == [row_of(index, fill, source) for index, fill in good]
    if batch is not None:
        assert (batch.venue, batch.actor) == ("bitmart", "me")
