"""The sections of the page, from facts: their plots, tables and texts. `sections.py` is the list of them."""
