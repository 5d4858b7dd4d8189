"""What a script tells a person when a ledger says no, or nothing."""

from __future__ import annotations

import argparse
import re
from typing import Final, NoReturn

from ledger.client import LedgerError, Unavailable

ADDRESS: Final = "127.0.0.1:50051"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def address(text: str) -> str:
    """HOST:PORT."""
    if not re.fullmatch(r"[!-~]+:[0-9]{1,5}", text):
        raise argparse.ArgumentTypeError(f"{text!a} is not HOST:PORT, for example {ADDRESS}")
    return text


def is_no(error: LedgerError) -> bool:
    """Whether the ledger answered, and refused."""
    return error.reason is not None and not isinstance(error, Unavailable)


def sentences(error: LedgerError, where: str) -> list[str]:
    """Why a call ended: every reason of a refusal, or one line with the remedy."""
    if isinstance(error, Unavailable):
        cause = str(error).rpartition(": ")[2].rstrip(".")
        return [f"no ledger answers at {where} ({cause}): start one with `make run`, or give its --address"]
    if error.reason is None:
        return [f"the ledger at {where} cannot do this ({error})"]
    told = [f"{fault.reason.name}: {fault.description} ({fault.field})" for fault in error.violations if fault.reason]
    return told or [f"{error} ({error.field})" if error.field else str(error)]
