"""The methods of the client on an event loop, generated from those of `ledger.client` by scripts/generate.py."""
