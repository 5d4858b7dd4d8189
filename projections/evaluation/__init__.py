"""Evaluations: what a plan says, what a run has done, and what is still to be done."""
