"""Bad values for a field of a kind: {kind of bad value: (value, reason)}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.instants import DAY_NS, EARLIEST_NS, LATEST_NS, SECOND_NS
from ledger.domain.refusal import Reason
from ledger.programmes import packaged
from tests.conftest import NOON_NS, at
from tests.server.instants import SKEW_NS

Bad = Mapping[str, tuple[Any, Reason]]


def bad(reason: Reason, **values: Any) -> Bad:
    """Values that are refused with one reason, by what is wrong with them."""
    return {kind.replace("_", " "): (value, reason) for kind, value in values.items()}


OPTIONAL_ID: Final = bad(
    Reason.ID_MALFORMED,
    of_65_characters="i" * 65,
    of_10_kB="i" * 10_000,
    with_a_space="ali ce",
    with_a_space_before=" alice",
    with_a_slash="ali/ce",
    with_a_newline_in_the_middle="ali\nce",
    with_a_newline_at_the_end="alice\n",
    with_a_carriage_return="alice\r",
    with_a_control_character="ali\x07ce",
    with_a_NUL="alice\x00",
    with_an_accent="\u00e9lise",
    not_in_NFC="e\u0301lise",
    in_full_width="\uff41lice",
)
REQUIRED_ID: Final = {**bad(Reason.FIELD_REQUIRED, empty=""), **OPTIONAL_ID}


def text_of(characters_max: int) -> Bad:
    """Free text of at most so many characters."""
    return bad(
        Reason.TEXT_MALFORMED,
        over_the_limit="t" * (characters_max + 1),
        of_accents_over_the_limit="\u00e9" * (characters_max + 1),
        with_a_newline_in_the_middle="one\ntwo",
        with_a_newline_at_the_end="one\n",
        with_a_tab="one\ttwo",
        with_a_NUL="one\x00",
        with_a_DEL="one\x7f",
        with_a_C1_control="one\x85",
        not_in_NFC="re\u0301sume\u0301",
    )


OPTIONAL_DECIMAL: Final = bad(
    Reason.DECIMAL_MALFORMED,
    with_an_exponent="1e5",
    with_a_capital_exponent="1E5",
    not_a_number="NaN",
    infinite="Infinity",
    minus_zero="-0",
    minus_zero_with_decimals="-0.00",
    with_a_plus="+1",
    with_two_signs="--1",
    without_a_whole_part=".5",
    without_decimals_after_the_point="1.",
    with_two_points="1.2.3",
    with_a_comma="1,5",
    with_a_space_before=" 1",
    with_a_space_after="1 ",
    with_a_newline_at_the_end="1\n",
    with_an_underscore="1_000",
    with_a_NUL="1\x00",
    in_full_width_digits="\uff11\uff12",
    in_arabic_digits="\u0661",
    with_a_true_minus_sign="\u22121",
    hexadecimal="0x1",
    of_19_decimals="0." + "1" * 19,
    of_21_digits="1" * 21,
    of_40_digits="1" * 40,
    of_10_kB="1" * 10_000,
)
DECIMAL: Final = {**bad(Reason.FIELD_REQUIRED, empty=""), **OPTIONAL_DECIMAL}
_ZERO_OR_LESS: Final = bad(
    Reason.NOT_POSITIVE,
    zero="0",
    zero_with_decimals="0.000000000000000000",
    zeros="000",
    negative="-1",
    a_little_negative="-0.000000000000000001",
)
OPTIONAL_AMOUNT: Final = {**OPTIONAL_DECIMAL, **_ZERO_OR_LESS}
AMOUNT: Final = {**DECIMAL, **_ZERO_OR_LESS}

OPTIONAL_VOLUME: Final = {**OPTIONAL_DECIMAL, **bad(Reason.NOT_POSITIVE, negative="-1", a_little_negative="-0.1")}

OPTIONAL_DIGEST: Final = bad(
    Reason.DIGEST_MALFORMED,
    of_31_bytes=b"\x01" * 31,
    of_33_bytes=b"\x01" * 33,
    of_64_hex_digits=b"01" * 32,
    of_one_byte=b"\x00",
)
DIGEST: Final = {**bad(Reason.FIELD_REQUIRED, empty=b""), **OPTIONAL_DIGEST}
WEEK: Final = {
    **bad(Reason.FIELD_REQUIRED, empty=""),
    **bad(
        Reason.TIME_MALFORMED,
        of_53_in_a_year_of_52="2024-W53",
        of_0="2024-W00",
        with_one_digit="2024-W1",
        with_three_digits="2024-W040",
        without_a_hyphen="2024W40",
        in_small_letters="2024-w40",
        with_a_day="2024-W40-1",
        of_two_digits_of_a_year="24-W40",
        with_a_newline_at_the_end="2024-W40\n",
        with_a_space="2024-W 4",
        with_a_plus="2024-W+4",
        in_full_width_digits="\uff12\uff10\uff12\uff14-W40",
    ),
    **bad(Reason.TIME_OUT_OF_RANGE, of_2008="2008-W52", of_2200="2200-W10", of_year_1="0001-W01"),
}

_NANOS_OUT_OF_RANGE: Final = bad(
    Reason.TIME_MALFORMED,
    with_nanos_of_minus_1=Timestamp(seconds=NOON_NS // SECOND_NS, nanos=-1),
    with_the_least_nanos=Timestamp(seconds=NOON_NS // SECOND_NS, nanos=-(2**31)),
    with_nanos_of_1e9=Timestamp(seconds=NOON_NS // SECOND_NS, nanos=SECOND_NS),
    with_nanos_of_1e9_in_1970=Timestamp(nanos=SECOND_NS),
)
_OUT_OF_RANGE: Final = bad(
    Reason.TIME_OUT_OF_RANGE,
    just_before_1970=at(-1),
    before_all_time=Timestamp(seconds=-(2**63)),
    just_after_2200=at(LATEST_NS + 1),
    after_all_time=Timestamp(seconds=2**63 - 1, nanos=SECOND_NS - 1),
)
TIME_ASKED: Final = {**_NANOS_OUT_OF_RANGE, **_OUT_OF_RANGE}
TIME: Final = {
    **TIME_ASKED,
    **bad(Reason.TIME_OUT_OF_RANGE, given_but_empty=Timestamp(), just_before_2009=at(EARLIEST_NS - 1)),
}
PAST_TIME: Final = {
    **TIME,
    **bad(
        Reason.TIME_IN_FUTURE,
        just_beyond_the_skew=at(NOON_NS + SKEW_NS + 1),
        tomorrow=at(NOON_NS + DAY_NS),
        just_before_2200=at(LATEST_NS - 1),
    ),
}
REQUIRED_TIME: Final = {**bad(Reason.FIELD_REQUIRED, missing=None), **TIME}
REQUIRED_PAST_TIME: Final = {**bad(Reason.FIELD_REQUIRED, missing=None), **PAST_TIME}


def enum_up_to(known: int) -> Bad:
    """An enum that may be left out; numbers from 1 to `known` mean something."""
    numbers = (known + 1, 9, -1, 2**31 - 1, -(2**31))
    return bad(Reason.ENUM_UNSPECIFIED, **{f"unknown_{number}": number for number in numbers})


def required_enum_up_to(known: int) -> Bad:
    """An enum that must be given."""
    return {**bad(Reason.ENUM_UNSPECIFIED, unspecified=0), **enum_up_to(known)}


SCALE: Final = bad(Reason.SCALE_OUT_OF_RANGE, of_19=19, the_greatest_number=2**32 - 1)
BAN_DAYS: Final = bad(Reason.BAN_DAYS_OUT_OF_RANGE, of_0=0, of_8=8, the_greatest_number=2**32 - 1)
PAGE_SIZE: Final = bad(Reason.PAGE_SIZE_OUT_OF_RANGE, negative=-1, the_least_number=-(2**31))
PAGE_TOKEN: Final = bad(
    Reason.PAGE_TOKEN_INVALID,
    random_text="next page, please",
    of_one_character="A",
    in_the_right_alphabet="A" * 102,
    not_ASCII="\u00e9" * 102,
    with_a_NUL="\x00",
    of_10_kB="A" * 10_000,
)
STREAM: Final = bad(
    Reason.ID_MALFORMED,
    of_an_unknown_shape="account/alice/2024-10-04/more",
    with_a_capital="Account/alice",
    with_a_digit="account1/alice",
    with_a_kind_of_21_letters="a" * 21,
    with_an_id_of_65_characters="account/" + "i" * 65,
    of_10_kB="account/" + "i" * 10_000,
    without_a_kind="/alice",
    without_an_id="account/",
    without_an_id_in_the_middle="fees//2024-10-04",
    with_a_slash_at_the_end="account/alice/",
    of_nothing_but_a_slash="/",
    with_a_space="account/ali ce",
    with_a_newline_at_the_end="account/alice\n",
    with_a_newline_after_the_kind="ledger\n",
    with_a_NUL="account/alice\x00",
    with_an_accent="account/\u00e9lise",
    not_in_NFC="account/e\u0301lise",
    in_full_width="\uff41ccount/alice",
    with_a_wildcard="account/%",
)
OPTIONAL_DAY: Final = {
    **bad(
        Reason.TIME_MALFORMED,
        without_leading_zeros="2024-2-3",
        without_hyphens="20240203",
        of_a_week="2024-W05-6",
        of_a_week_without_hyphens="2024W056",
        of_a_week_alone="2024-W05",
        of_30_February="2024-02-30",
        of_29_February_in_a_common_year="2023-02-29",
        of_month_13="2024-13-01",
        of_month_0="2024-00-10",
        of_day_0="2024-10-00",
        of_year_0="0000-01-01",
        of_five_digits_of_a_year="12024-10-04",
        of_two_digits_of_a_year="24-10-04",
        with_a_minus="-2024-10-04",
        with_a_time="2024-10-04T00:00:00",
        with_slashes="2024/10/04",
        the_other_way_around="04-10-2024",
        with_a_space_before=" 2024-10-04",
        with_a_space_after="2024-10-04 ",
        with_a_newline_at_the_end="2024-10-04\n",
        with_a_NUL="2024-10-04\x00",
        in_full_width_digits="\uff12\uff10\uff12\uff14-10-04",
        in_arabic_digits="\u0662\u0660\u0662\u0664-10-04",
        in_words="today",
        as_a_number="20000",
        of_10_kB="2" * 10_000,
    ),
    **bad(
        Reason.TIME_OUT_OF_RANGE,
        just_before_2009="2008-12-31",
        before_1970="1969-12-31",
        of_year_1="0001-01-01",
        first_of_2200="2200-01-01",
        of_the_last_year="9999-12-31",
    ),
}
DAY: Final = {**bad(Reason.FIELD_REQUIRED, empty=""), **OPTIONAL_DAY}
OPTIONAL_RATE: Final = {
    **OPTIONAL_DECIMAL,
    **bad(
        Reason.RATE_OUT_OF_RANGE,
        finer_than_a_ppm="0.0000001",
        of_a_negative_tenth_of_a_ppm="-0.0000001",
        of_all="1",
        of_more_than_all_as_rebate="-1.5",
        in_percent="4",
    ),
}
PROGRAMME_FILE: Final = {
    **bad(Reason.FIELD_REQUIRED, empty=""),
    **bad(
        Reason.PROGRAMME_INVALID,
        of_nothing_but_a_newline="\n",
        that_is_no_TOML="this is no programme",
        with_a_bare_rate=packaged().replace('maker = "0.04%"', 'maker = "0.04"'),
        that_is_a_money_pump=packaged().replace('taker = "0.02%"', 'taker = "0.0005%"'),
        with_a_switch_nobody_knows=packaged() + "no_such_switch = true\n",
        with_a_key_of_40_000_parts=".".join("a" * 40_000) + " = 1\n",
        with_lists_in_lists="a = " + "[" * 100_000,
        with_a_number_of_5_000_digits="tiers = " + "9" * 5_000,
        with_15_000_keys_nobody_knows="\n".join(f"k{number} = 1" for number in range(15_000)),
        with_rates_for_millions="tiers = {0}\npair_classes = {0}\n".format(list(map(str, range(9_000)))),
    ),
    **bad(Reason.PROGRAMME_TOO_LARGE, one_byte_too_long=packaged().ljust(262_145, "#")),
}
WITHIN_DAYS: Final = bad(Reason.WITHIN_DAYS_OUT_OF_RANGE, of_367=367, the_greatest_number=2**32 - 1)
LEFT_TO_ROWS: Final[Bad] = {}  # no value is bad by itself: see `ROWS`
