"""Programme files: their faults, what they say, what changes, and publishing them."""
