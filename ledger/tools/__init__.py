"""What people do with a ledger beyond single calls: audit, check, rebuild, reconcile, evaluate and the like."""
