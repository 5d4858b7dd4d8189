"""Rule cases: what a business owner says a rule should do, asked of the very rules the service calls."""
