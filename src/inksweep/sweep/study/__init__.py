"""Optuna's record of a search: where it is kept, what counts in it, what dead processes left in it."""
