"""Pages to look at and to print: one HTML file each, without scripts, links or requests, in one style."""
