"""The price of one fill: by the standing of its account and the terms of its pair."""
