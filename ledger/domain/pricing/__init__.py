"""What one fill costs: the standing of its account, the terms of its pair, and the rounding of its fee."""
