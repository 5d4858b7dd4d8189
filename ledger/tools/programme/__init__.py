"""`fee-ledger programme`: programme files, and the versions that a ledger has of them."""
