"""Rule cases: what a business owner says a rule should do, asked of the very rules that the service calls."""
