"""What scripts/fuzz looks at with atheris, with the inputs that it begins with and small changes of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.fuzz.targets import TARGETS, seeds

SEEDS = [(target, data) for target in TARGETS for data in seeds(target)]


@pytest.mark.parametrize("target", TARGETS)
def test_good_inputs_and_those_that_once_failed_pass(target: str) -> None:
    for found, data in SEEDS:
        if found == target:
            TARGETS[target](data)


@settings(max_examples=300)
@given(
    seed=st.sampled_from(SEEDS),
    place=st.integers(0, 2**16),
    cut=st.integers(0, 4),
    put=st.binary(max_size=4) | st.sampled_from([b"\xff\xff\xff\xff\x0f", b"\x80" * 11, b"\x0a\x00", b"\0"]),
)
def test_inputs_of_which_some_bytes_are_others_pass(seed: tuple[str, bytes], place: int, cut: int, put: bytes) -> None:
    target, data = seed
    place %= len(data) + 1
    TARGETS[target](data[:place] + put + data[place + cut :])
