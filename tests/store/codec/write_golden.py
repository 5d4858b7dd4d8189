"""Write the golden bytes and leaves of the samples that have none: `make golden`. What is there is never changed."""

from __future__ import annotations

from tests.store import leaf_vectors
from tests.store.codec.test_events import ENVELOPE, SAMPLES, encode, golden

if __name__ == "__main__":
    for name, event in SAMPLES.items():
        if not golden(name).exists():
            golden(name).write_text(f"{encode(ENVELOPE, event)[1].hex()}\n")
            print(f"written: {golden(name)}")  # noqa: T201
    leaf_vectors.write()
