"""An engine that torture kills: it streams the fills of a source, numbered, and writes down what becomes of them.

What it is about to send and what is acknowledged are in its journals before anything else happens. Started again it
goes on a little before the number the ledger stands at, in batches of other sizes; so it does now and then anyway.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from itertools import cycle
from pathlib import Path
from typing import Any, Final

from ledger.client import Acknowledgement, Client, Conflict, FillStream, LedgerError, Unavailable
from scripts.torture.fills import Journal, content, message
from scripts.torture.packed_columns import columns_of

_BACK_MAX: Final = 80  # numbers sent once more
_GIVE_UP_S: Final = 90
_NEXT_S: Final = 3  # then the other service is tried


class Engine:
    """Sends the fills of one source up to the last one, whatever it takes."""

    def __init__(self, ledger: Client, options: argparse.Namespace, patience_s: float) -> None:
        self._ledger = ledger
        self._options = options
        self._patience_s = patience_s
        self._chance = random.Random(f"{options.seed}:{options.source}:{options.life}")  # noqa: S311 - a load
        self._sent = Journal(options.folder / f"{options.source}.sent")
        self._acked = Journal(options.folder / f"{options.source}.acked")

    def run(self) -> None:
        """Until all fills are durable."""
        last = self._options.fills
        while (durable := self._ledger.get_source_position(self._options.source).last_sequence) < last:
            first = max(1, durable + 1 - self._chance.randrange(_BACK_MAX))
            self._stream(first, min(last, durable + self._chance.randint(last // 4, last)))

    def _stream(self, first: int, last: int) -> None:
        """One stream of its own, in batches of its own size."""
        size = self._chance.randint(1, 40)
        stream = self._ledger.fill_stream(
            self._options.source,
            first_sequence=first,
            batch_fills=size,
            batch_ms=self._chance.randint(0, 5),
            window_fills=max(size, self._chance.randint(50, 1_000)),
            with_fees=self._chance.random() < 0.5,
            give_up_s=self._patience_s,
            on_ack=self._note,
        )
        with stream:
            number = first
            while number <= last:
                end = min(last + 1, number + self._chance.randint(1, 40))
                self._send(stream, number, end)
                number = end

    def _send(self, stream: FillStream, number: int, end: int) -> None:
        options = self._options
        fills = [content(options.seed, options.trial, options.source, each) for each in range(number, end)]
        self._sent.write(*({"number": each, **fill} for each, fill in zip(range(number, end), fills, strict=True)))
        if options.form == "columns":
            stream.send_columns(columns_of([message(fill) for fill in fills]))
        else:
            stream.send_all(map(message, fills))

    def _note(self, ack: Acknowledgement) -> None:
        entry: dict[str, Any] = {"first": ack.first_sequence, "last": ack.last_sequence, "position": ack.position}
        refused = {str(fill.sequence): int(fill.reason or 0) for fill in ack.refused}
        fees = {ack.first_sequence + index: fee.fee_amount for index, fee in enumerate(ack.fees) if fee.fee_amount}
        self._acked.write({**entry, "recorded_time_ns": ack.recorded_time_ns, "refused": refused, "fees": fees})


def main() -> int:
    """Run the command line, which is torture's own affair."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    for name in ("addresses", "trial", "source", "form"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("seed", "fills", "life"):
        parser.add_argument(f"--{name}", required=True, type=int)
    parser.add_argument("--folder", required=True, type=Path)
    options = parser.parse_args()
    try:
        _run(options)
    except LedgerError as error:
        print(f"{options.source}: {error} {' '.join(getattr(error, '__notes__', []))}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    """Send all to the services, one after another where they are several: to the next one when one cannot take it."""
    addresses, until_s = options.addresses.split(","), time.monotonic() + _GIVE_UP_S
    patience_s = _NEXT_S if len(addresses) > 1 else _GIVE_UP_S
    for address in cycle(addresses):
        try:
            with Client(address, actor="torture", timeout_s=patience_s) as ledger:
                Engine(ledger, options, patience_s).run()
            break
        except (Unavailable, Conflict) as error:
            # Conflict: what was sent to the service before may be recorded while this stream runs, which it takes for
            # another sender's. Under a number there is always the same fill; the verdict finds any other.
            if time.monotonic() > until_s or (isinstance(error, Conflict) and len(addresses) == 1):
                raise


if __name__ == "__main__":
    sys.exit(main())
