"""The typed settings of one run: what each value of conf/ means and may be."""
