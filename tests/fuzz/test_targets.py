"""What scripts/fuzz looks at with atheris, with the inputs that it begins with and small changes of them."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.fuzz.targets import TARGETS, seeds

SEEDS = [(target, data) for target in TARGETS for data in seeds(target)]


def told(target: str, data: bytes) -> str:
    """How a target stumbles over bytes, which are told as the corpus has them; empty: it does not."""
    try:
        TARGETS[target](data)
    except Exception:
        return f"{target}: {data.hex()}\n{traceback.format_exc()}"
    return ""


@pytest.mark.parametrize("target", TARGETS)
def test_good_inputs_and_those_that_once_failed_pass(target: str) -> None:
    inputs = [data for found, data in SEEDS if found == target]
    assert inputs
    assert [stumbled for data in inputs if (stumbled := told(target, data))] == []


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
    assert told(target, data[:place] + put + data[place + cut :]) == ""
