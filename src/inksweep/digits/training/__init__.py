"""The loop, what it trains, and how both are built from a config. Read loop.py first."""
