"""How a sweep stands: on the screen, in a log, in its files."""
