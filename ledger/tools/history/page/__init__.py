"""A fee history as one page to look at: charts in SVG and tables, in a file that needs nothing else."""
