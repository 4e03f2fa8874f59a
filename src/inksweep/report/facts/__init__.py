"""What a report says, as plain data: read here, drawn elsewhere."""
