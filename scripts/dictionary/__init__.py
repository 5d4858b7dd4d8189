"""The dictionary by which stored fill runs are compressed: how it was made, of synthetic runs alone."""
