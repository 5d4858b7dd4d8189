"""`fee-ledger doctor`: looks at an installation, changes nothing, and names what is wrong with its remedy."""
