"""Side-by-side measurements: `python -m benchmarks` prints one table; a family of rows a file."""
