"""Many runs side by side: rows, the table of what differs among them, and how it is written."""

# What a table may be written as; the first is for people. Here, so that a command line learns them without the rest.
FORMATS = ("table", "csv", "json", "markdown")
