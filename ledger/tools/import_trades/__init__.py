"""A public trade tape, read and recorded as the fills of makers and takers."""
