"""`inksweep predict`: pictures read with a saved model."""
