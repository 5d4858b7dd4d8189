"""The benchmark: the ledger, its limits and its peers, measured in one run."""
