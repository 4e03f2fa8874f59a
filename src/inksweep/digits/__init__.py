"""Our own app: handwritten digits. The half that knows torch."""
