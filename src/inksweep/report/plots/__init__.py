"""Plots for the page, from facts. `sections.py` is the list of them."""
