"""Arguments that several tools take."""

from __future__ import annotations

import argparse

from ledger.cli.arguments import Parser, add_address
from ledger.wire.fields import ID


def identifier(text: str) -> str:
    """Return an id of the ledger, for example of an account or a symbol, as it is written."""
    if not ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!a} does not match {ID.pattern}")
    return text


def where() -> Parser:
    """Return a parser of --address alone, for a tool that has its own ways to wait and to print."""
    parser = Parser(add_help=False)
    add_address(parser.add_argument_group("where").add_argument)
    return parser
