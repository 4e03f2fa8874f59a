"""From a data set's files, verified, to batches."""
