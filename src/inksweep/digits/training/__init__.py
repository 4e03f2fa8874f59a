"""The training loop (loop.py, to be read first), what it trains, and how that is built from a config."""
