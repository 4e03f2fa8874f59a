"""A sweep in one page: what is in its study and folders, drawn."""
