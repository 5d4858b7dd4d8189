"""One short sentence of an explanation: in words for people, in a code and parameters for programs."""

from __future__ import annotations

from typing import NamedTuple

from ledger.domain.money import decimal_text, rate_text


class Sentence(NamedTuple):
    """`clause` is the rule or the ambiguity it rests on, for example R2 or A20; parameters are (name, value)."""

    code: str
    text: str
    clause: str
    parameters: tuple[tuple[str, str], ...]


def say(code: str, clause: str, text: str, **parameters: str) -> Sentence:
    """Make a sentence whose text names its parameters in braces; a parameter that it does not name is for programs."""
    return Sentence(code, text.format(**parameters), clause, tuple(parameters.items()))


def rate_parameters(rate_ppm: int) -> dict[str, str]:
    """Return a rate as a decimal fraction, and without its sign in percent."""
    return {"rate": rate_text(rate_ppm), "percent": decimal_text(abs(rate_ppm), 4)}
