"""The model card of a winner, or of one run: what it is, how it was chosen, how good it is and where it fails."""
