"""Many runs side by side: rows, the table of what differs among them, and how it is written."""
