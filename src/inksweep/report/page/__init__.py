"""The page: facts and plots as one HTML file."""
